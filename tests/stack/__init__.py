"""The stack on a real Docker engine."""
