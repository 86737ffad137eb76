"""The settings of the audit."""

from typing import ClassVar

from telemetry.store.settings import StoreSettings


class AuditSettings(StoreSettings, frozen=True, kw_only=True):
    """Where the audit finds what is stored."""

    prefix: ClassVar[str] = "AUDIT"
