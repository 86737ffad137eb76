"""What a store shall hold: its buckets, its tasks, and who may do what in them."""

from typing import Literal

from msgspec import Struct

from stack.setup import rollup

Action = Literal["read", "write"]
ServiceName = Literal["ingest", "api", "grafana"]


class Plan(Struct, frozen=True, kw_only=True):
    """What there shall be."""

    org: str = "denyut"
    bucket: str = "telemetry"
    admin: str = "denyut"
    retention_days: int = 30
    minutes_retention_days: int = 365
    hours_retention_days: int = 3650

    @property
    def buckets(self) -> dict[str, int]:
        """The buckets and how many days each keeps its points."""
        return {
            self.bucket: self.retention_days,
            f"{self.bucket}_1m": self.minutes_retention_days,
            f"{self.bucket}_1h": self.hours_retention_days,
        }

    @property
    def tasks(self) -> dict[str, str]:
        """The tasks and their Flux."""
        return {
            f"{self.bucket}_1m": rollup.minutes_task(self.bucket),
            f"{self.bucket}_1h": rollup.hours_task(self.bucket),
        }

    @property
    def tokens(self) -> dict[ServiceName, tuple[Action, tuple[str, ...]]]:
        """The tokens: what each may do, and in which buckets; in all others nothing."""
        return {
            "ingest": ("write", (self.bucket,)),
            "api": ("read", tuple(self.buckets)),
            "grafana": ("read", tuple(self.buckets)),
        }
