"""Ingest with its promise broken on purpose: it acknowledges before the write.

The tests run it to see that they would notice: `python -m tests.e2e.early_acknowledgement`.
"""

from ingest.__main__ import main
from ingest.message import Receipt, Receipts


def _acknowledge_at_once(self: Receipts, command: int, packet_id: int) -> Receipt:
    receipt = Receipt(self, command, packet_id)
    self._acknowledge([receipt])
    return receipt


if __name__ == "__main__":
    Receipts.owe = _acknowledge_at_once  # type: ignore[method-assign]
    main()
