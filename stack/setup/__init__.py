"""Set-up as code: what a store needs before the services can use it."""
