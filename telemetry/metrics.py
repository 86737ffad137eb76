"""One list of samples per service, shown on /metrics and stored as the service's own figures.

Hot paths count in plain integers; a service turns them into samples only when somebody asks.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from msgspec import Struct
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


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


def exposition(service: str, samples: Samples) -> bytes:
    """Return the samples in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(service, samples))
    return generate_latest(registry)


def as_values(samples: Iterable[Sample]) -> dict[str, float | bool | str]:
    """Return the samples as the values of one reading."""
    return {sample.field: float(sample.value) for sample in samples}


class _Collector(Collector):
    def __init__(self, service: str, samples: Samples) -> None:
        self._service = service
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for sample in self._samples():
            if sample.name not in families:
                family = CounterMetricFamily if sample.kind == "counter" else GaugeMetricFamily
                name = f"denyut_{self._service}_{sample.name}"
                families[sample.name] = family(name, sample.help, labels=list(sample.labels))
            families[sample.name].add_metric(list(sample.labels.values()), sample.value)
        yield from families.values()
