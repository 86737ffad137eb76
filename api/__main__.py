"""The API's command line: `python -m api`."""

import ipaddress
import sys

import typer

from api.server import Server
from api.settings import ApiSettings
from api.wiring import open_settings_store
from telemetry import log
from telemetry.settings import SettingError

application = typer.Typer(
    add_completion=False,
    help="Answer over HTTP what the store holds, and show it on the live page.",
)


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
        open_settings_store(settings).close()
    except SettingError as error:
        print(f"api: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    log.configure("api", settings)
    if not _is_loopback(settings.http_host):
        log.get(__name__).warning(
            "the API asks for no key: whoever reaches it may read everything",
            http_host=settings.http_host,
        )
    Server(settings).run()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def main() -> None:
    application()


if __name__ == "__main__":
    main()
