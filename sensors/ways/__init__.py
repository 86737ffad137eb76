"""The ways by which the readings of a fleet reach ingest, one module each."""
