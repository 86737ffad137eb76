"""Ingest with its promise broken on purpose: it acknowledges before the write.

The tests run it to see that they would notice: `python -m tests.e2e.early_acknowledgement`.
"""

from ingest.__main__ import main
from ingest.message import AnyReceipt, Receipts


def _answer_at_once(self: Receipts[AnyReceipt], receipt: AnyReceipt) -> AnyReceipt:
    receipt.receipts = self
    self._answer([receipt])
    return receipt


if __name__ == "__main__":
    Receipts.owe = _answer_at_once  # type: ignore[method-assign]
    main()
