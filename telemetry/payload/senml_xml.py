"""SenML in XML (RFC 8428, 7): records as elements `senml` in one `sensml`, labels as attributes.

Read by expat itself. Every trick with entities begins in a document type, which SenML has none of:
it is refused where it begins, before anything in it is looked at (docs/decisions/0031).
"""

import re
from typing import Any
from xml.parsers import expat

from telemetry.payload.decoded import Decoded, PayloadError
from telemetry.payload.senml import readings_of
from telemetry.reading import Address

_NAMESPACE = "urn:ietf:params:xml:ns:senml"
_PACK = f"{_NAMESPACE} sensml"
_RECORD = f"{_NAMESPACE} senml"
_NUMBERS = frozenset(("bt", "bv", "bs", "bver", "v", "s", "t", "ut"))
_DOUBLE = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def decode_senml_xml(payload: bytes, address: Address | None, arrival_ms: int) -> Decoded:
    """Decode a pack in XML; each record stands or falls for itself."""
    return readings_of(_Reader().read(payload), address, arrival_ms)


class _Reader:
    """Gathers the records of one document, as JSON would have them."""

    def __init__(self) -> None:
        self._records: list[dict[str, Any]] = []
        self._depth = 0
        # RFC 8428 knows no encoding but UTF-8; what the document says of it is passed over.
        self._parser = expat.ParserCreate("UTF-8", namespace_separator=" ")
        self._parser.StartDoctypeDeclHandler = _refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def read(self, payload: bytes) -> list[dict[str, Any]]:
        """Return the records; PayloadError where it is no SenML."""
        try:
            self._parser.Parse(payload, True)
        except expat.ExpatError as error:
            raise PayloadError(f"not XML: {error}") from error
        return self._records

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if (self._depth, element) == (1, _PACK):
            return
        if (self._depth, element) != (2, _RECORD):
            raise PayloadError(f"the element {element[:64]!r} has no place in SenML")
        self._records.append({label: _read(label, text) for label, text in attributes.items()})

    def _end(self, _element: str) -> None:
        self._depth -= 1


def _refuse_doctype(*_declared: object) -> None:
    raise PayloadError("a document type is not allowed")


def _read(label: str, text: str) -> Any:
    """Return an attribute as JSON would have it; what is malformed stays a text, and is refused."""
    if label in _NUMBERS and _DOUBLE.fullmatch(text.strip()):
        return float(text)
    if label == "vb":
        return _BOOLEANS.get(text.strip(), text)
    return text
