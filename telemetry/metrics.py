"""One list of samples per service, shown on /metrics and stored as the service's own figures.

Hot paths count in plain integers; a service turns them into samples only when somebody asks.
"""

from collections.abc import Callable, Iterable
from typing import Literal

from msgspec import Struct


class Sample(Struct, frozen=True):
    """A figure: `what_unit` as its name, what it counts, and its labels.

    `Sample("received_readings", 17, "Readings received.", {"qos": "1"})` of the service `ingest`
    is `denyut_ingest_received_readings_total{qos="1"}` on /metrics and the field
    `received_readings_qos1` of its own figures.
    """

    name: str
    value: float
    help: str
    labels: dict[str, str] = {}
    kind: Literal["counter", "gauge"] = "counter"

    @property
    def field(self) -> str:
        """The name of this sample among the service's own figures."""
        return "_".join(
            [
                self.name,
                *(
                    f"{label}{text}" if text.isdigit() else text
                    for label, text in self.labels.items()
                ),
            ]
        )


Samples = Callable[[], Iterable[Sample]]


def as_values(samples: Iterable[Sample]) -> dict[str, float | bool | str]:
    """Return the samples as the values of one reading."""
    return {sample.field: float(sample.value) for sample in samples}
