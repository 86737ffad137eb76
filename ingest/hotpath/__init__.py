"""The hot path: from a broker's bytes to lines for the store, for nearly all messages.

Most of ingest's time went here, and most of that into what a client library does for any packet and
a decoder for any payload. `packets` takes plain PUBLISHes out of the stream and leaves all other
packets to gmqtt; `layouts` and `quick` make lines of payloads that look like others before them,
and leave all else to `telemetry.payload`. What is left to those is what they would have made of all
of it: tests hold both to a plain reference, for any packets, cut anywhere.
"""
