"""The routes, a blueprint per resource."""
