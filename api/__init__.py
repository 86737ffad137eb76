"""The API: a fleet's devices, readings and delivery over HTTP, and the live page that shows them.

It reads the store and never writes to it; what it knows of devices' states it hears from the
broker. `create_app` is in `api.app`, the place where the real parts are chosen in `api.wiring`.
"""
