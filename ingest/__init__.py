"""Ingest: takes readings from the broker and acknowledges them once they are stored."""
