"""`python -m ingest inbox …`: the table of a shared database from which ingest takes rows."""

import typer

from ingest.commands import fail
from ingest.inbox_settings import InboxSettings
from telemetry.settings import SettingError

application = typer.Typer(help="The table of a shared database.", no_args_is_help=True)


# So that it is a group of commands, although there is one.
@application.callback()
def inbox() -> None:
    """The table of a shared database."""


@application.command()
def create() -> None:
    """Make the table and, in PostgreSQL, the roles of those who use it; INBOX_… settings.

    What is there stays; the roles' passwords and rights are set anew.
    """
    try:
        print(_create(InboxSettings.load()))
    except SettingError as error:
        fail(str(error))


def _create(settings: InboxSettings) -> str:
    # Imported here: all other commands do without a database's client, which may not be installed.
    import psycopg
    from sqlalchemy.exc import SQLAlchemyError

    from ingest import inbox_schema
    from telemetry.inbox import in_words, parse_url, sqlite_path

    claimer = parse_url(settings.claimer_url, "INBOX_CLAIMER_URL")
    path = sqlite_path(claimer)
    try:
        if path is not None:
            inbox_schema.make_table(settings.claimer_url, "INBOX_CLAIMER_URL")
            return f"the inbox is in {path}"
        if settings.admin_url is None or settings.sender_url is None:
            raise SettingError("PostgreSQL needs INBOX_ADMIN_URL and INBOX_SENDER_URL as well")
        admin = parse_url(settings.admin_url, "INBOX_ADMIN_URL")
        sender = parse_url(settings.sender_url, "INBOX_SENDER_URL")
        inbox_schema.make_table(settings.admin_url, "INBOX_ADMIN_URL")
        roles = [inbox_schema.claimer(claimer), inbox_schema.sender(sender)]
        inbox_schema.make_roles(admin, roles)
    except SQLAlchemyError as error:
        fail(in_words(error))
    except (OSError, psycopg.Error) as error:
        fail(str(error).strip())
    return f"the inbox is in {admin.database}: {sender.username} inserts, {claimer.username} claims"
