"""Samples in Prometheus' text format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from telemetry.metrics import Sample, Samples

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_IN_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})
_IN_LABEL = _IN_HELP | str.maketrans({'"': r"\""})


def exposition(service: str, samples: Samples) -> bytes:
    """Return a service's samples as its /metrics page."""
    # The format wants what has one name in one piece.
    families: dict[str, list[Sample]] = {}
    for sample in samples():
        families.setdefault(sample.name, []).append(sample)
    lines = [line for family in families.values() for line in _lines(service, family)]
    return "".join(f"{line}\n" for line in lines).encode()


def _lines(service: str, family: list[Sample]) -> list[str]:
    first = family[0]
    name = f"denyut_{service}_{first.name}{'_total' if first.kind == 'counter' else ''}"
    return [
        f"# HELP {name} {first.help.translate(_IN_HELP)}",
        f"# TYPE {name} {first.kind}",
        *(f"{name}{_labels(sample)} {float(sample.value)!r}" for sample in family),
    ]


def _labels(sample: Sample) -> str:
    if not sample.labels:
        return ""
    pairs = (f'{name}="{text.translate(_IN_LABEL)}"' for name, text in sample.labels.items())
    return f"{{{','.join(pairs)}}}"
