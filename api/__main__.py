"""The API's command line: `python -m api`."""

import sys

import typer

from api import keys_commands
from api.access import check_settings, is_loopback
from api.server import Server
from api.settings import ApiSettings
from api.wiring import open_settings_store
from telemetry import log
from telemetry.settings import SettingError
from telemetry.tls import client_context

application = typer.Typer(
    add_completion=False,
    help="Answer over HTTP what the store holds, and show it on the live page.",
)
application.add_typer(keys_commands.application, name="keys")


@application.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """Run the service when no command is given."""
    if context.invoked_subcommand is None:
        run()


@application.command()
def run() -> None:
    """Serve until SIGTERM or Ctrl-C; settings come from the environment (docs/settings.md)."""
    try:
        settings = ApiSettings.load()
        check_settings(settings)
        open_settings_store(settings).close()
        client_context(settings)
    except SettingError as error:
        print(f"api: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    log.configure("api", settings)
    if settings.open and not is_loopback(settings.http_host):
        log.get(__name__).warning(
            "API_OPEN: no key is asked for, whoever reaches it may read everything",
            http_host=settings.http_host,
        )
    Server(settings).run()


def main() -> None:
    application()


if __name__ == "__main__":
    main()
