"""Measurements of the pipeline: what it reaches, beside its peers and its limits."""
