"""Fleet files that come with Denyut, each called by its name without `.toml`."""
