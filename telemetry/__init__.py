"""The contract between the services: what a reading is, how it is named, sent and stored."""

__version__ = "0.1.0"
