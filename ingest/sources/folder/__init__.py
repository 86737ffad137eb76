"""The way in by a shared folder: finished files of lines, claimed by a rename, read, and removed.

A writer writes under a name that is not taken, syncs, and renames the file to `NAME.ndjson`.
"""
