"""The settings with which the inbox is made; `docs/settings.md` is made from them."""

from typing import Annotated, ClassVar

from msgspec import Meta

from telemetry.settings import Secret, Settings


class InboxSettings(Settings, frozen=True, kw_only=True):
    """Who makes the inbox, who takes rows from it, and who leaves them there."""

    prefix: ClassVar[str] = "INBOX"

    claimer_url: Annotated[
        Secret, Meta(description="the inbox's address as ingest has it, in INGEST_DATABASE_URL")
    ]
    admin_url: Annotated[
        Secret | None,
        Meta(description="the same database for a user who may make tables and roles; PostgreSQL"),
    ] = None
    sender_url: Annotated[
        Secret | None, Meta(description="the same database as a sender has it; PostgreSQL")
    ] = None
