"""What each answer of InfluxDB means."""

import email.utils
import json
import time

import pytest

from telemetry.store import StoreError, StoreMisconfigured, StoreThrottled, StoreUnavailable
from telemetry.store.influxdb.failures import STORED, Verdict, verdict


def body(message: str) -> bytes:
    """An error as InfluxDB words it."""
    return json.dumps({"code": "invalid", "message": message}).encode()


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (401, {}, StoreMisconfigured),
        (403, {}, StoreMisconfigured),
        (404, {}, StoreMisconfigured),
        (408, {}, StoreUnavailable),
        (429, {}, StoreThrottled),
        (429, {"Retry-After": "3"}, StoreThrottled),
        (500, {}, StoreUnavailable),
        (502, {}, StoreUnavailable),
        (503, {}, StoreUnavailable),
        (503, {"Retry-After": "7"}, StoreThrottled),
        (504, {}, StoreUnavailable),
    ],
)
def test_an_answer_that_speaks_of_the_store_is_an_error_of_its_kind(
    status: int, headers: dict[str, str], kind: type[StoreError]
) -> None:
    with pytest.raises(StoreError) as caught:
        verdict(status, body("a message"), headers)

    assert type(caught.value) is kind
    assert str(status) in str(caught.value)
    assert "a message" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (204, "", STORED),
        (400, "unable to parse 'm'", Verdict("nothing stored", "unable to parse 'm'")),
        (413, "too large", Verdict("too large", "too large")),
        (422, "partial write dropped=3", Verdict("rest stored", "partial write dropped=3", 3)),
        (422, "partial write", Verdict("rest stored", "partial write", None)),
    ],
)
def test_an_answer_that_speaks_of_the_data_is_a_verdict(
    status: int, message: str, expected: Verdict
) -> None:
    assert verdict(status, body(message) if message else b"", {}) == expected


@pytest.mark.parametrize("status", [200, 301, 400, 422])
@pytest.mark.parametrize(
    "said", [b"", b"<html>\xff</html>", b"Client sent an HTTP request to an HTTPS server.", b"{}"]
)
def test_what_is_not_in_influxdb_s_words_says_nothing_of_the_readings(
    status: int, said: bytes
) -> None:
    with pytest.raises(StoreMisconfigured, match=f"^{status}: "):
        verdict(status, said, {})


@pytest.mark.parametrize(
    ("status", "named"),
    [(401, "the token is not known"), (403, "the token lacks the permission")],
)
def test_a_refused_token_is_named(status: int, named: str) -> None:
    with pytest.raises(StoreMisconfigured, match=named):
        verdict(status, body("no"), {})


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999", 300.0),
        ("soon", 1.0),
    ],
)
def test_retry_after_is_honoured_and_capped(retry_after: str, seconds: float) -> None:
    with pytest.raises(StoreThrottled) as caught:
        verdict(429, b"", {"Retry-After": retry_after})

    assert caught.value.retry_after_seconds == seconds


@pytest.mark.parametrize(("from_now", "least", "most"), [(100, 50, 100), (-100, 0, 0)])
def test_retry_after_may_be_a_date(from_now: int, least: int, most: int) -> None:
    date = email.utils.formatdate(time.time() + from_now, usegmt=True)

    with pytest.raises(StoreThrottled) as caught:
        verdict(503, b"", {"Retry-After": date})

    assert least <= caught.value.retry_after_seconds <= most
