"""One list of samples, two forms: /metrics, and the values of the service's own reading."""

from prometheus_client.parser import text_string_to_metric_families

from telemetry.exposition import exposition
from telemetry.metrics import Sample, as_values

SAMPLES = [
    Sample("received_readings", 17, "Readings received.", {"qos": "1"}),
    Sample("received_readings", 4, "Readings received.", {"qos": "2"}),
    Sample("dropped_readings", 1, "Readings dropped.", {"reason": "stopped"}),
    Sample("latency_ms", 12.5, "Latency.", {"qos": "1", "quantile": "p50"}, "gauge"),
]


def test_samples_are_exposed_in_prometheus_form() -> None:
    lines = exposition("ingest", lambda: SAMPLES).decode().splitlines()

    assert 'denyut_ingest_received_readings_total{qos="1"} 17.0' in lines
    assert 'denyut_ingest_received_readings_total{qos="2"} 4.0' in lines
    assert 'denyut_ingest_latency_ms{qos="1",quantile="p50"} 12.5' in lines
    assert lines.count("# TYPE denyut_ingest_received_readings_total counter") == 1


def test_the_same_samples_are_the_values_of_a_reading() -> None:
    assert as_values(SAMPLES) == {
        "received_readings_qos1": 17.0,
        "received_readings_qos2": 4.0,
        "dropped_readings_stopped": 1.0,
        "latency_ms_qos1_p50": 12.5,
    }


def test_prometheus_reads_any_text_and_the_samples_of_one_name_come_together() -> None:
    text = 'a "quoted" \\ path\nand a line'
    samples = [
        Sample("found_files", 1, "Files\nfound \\ here.", {"name": text}, "gauge"),
        Sample("received_readings", 17, "Readings received."),
        Sample("found_files", float("inf"), "Files.", {"name": "other"}, "gauge"),
    ]

    found = list(text_string_to_metric_families(exposition("ingest", lambda: samples).decode()))

    assert [(one.name, one.type, len(one.samples)) for one in found] == [
        ("denyut_ingest_found_files", "gauge", 2),
        ("denyut_ingest_received_readings", "counter", 1),
    ]
    assert found[0].documentation == "Files\nfound \\ here."
    assert [one.labels["name"] for one in found[0].samples] == [text, "other"]
    assert [one.value for one in found[0].samples] == [1.0, float("inf")]
