"""Every way into ingest with the same readings, side by side: `make compare`."""
