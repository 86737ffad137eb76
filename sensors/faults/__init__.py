"""Faults: what goes wrong with simulated devices, on purpose and on the record."""
