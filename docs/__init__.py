"""Guides, the reference made from code, and the checks that hold them to it."""
