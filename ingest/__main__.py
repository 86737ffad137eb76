"""`python -m ingest`: the service, or one of its commands."""

import gc
import sys


def main() -> None:
    if sys.argv[1:] in ([], ["run"]):
        # Looking for garbage in what is imported takes 5 ms of a start and finds none; the service
        # lets it look again.
        gc.disable()
        from ingest.commands import serve

        serve()
    else:
        # Imported here: the service itself is started without a command line's parser.
        from ingest.command_line import application

        application()


if __name__ == "__main__":
    main()
