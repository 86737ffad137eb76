"""Programs that ask the API, one thing each: `python -m docs.examples.readings`."""
