"""Samples in Prometheus' text format."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from telemetry.metrics import Samples

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(service: str, samples: Samples) -> bytes:
    """Return a service's samples as its /metrics page."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(service, samples))
    return generate_latest(registry)


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
