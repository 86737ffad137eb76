"""`/v1/devices/{device}/gaps`: which of a device's readings are missing."""

import pytest

from api.routes import gaps
from api.times import rfc3339
from telemetry.store import Store
from tests.integration.api.conftest import Asking, Client, reading

PATH = "/v1/devices/d1/gaps"


@pytest.fixture
def boot_ms(written: Store, now_ms: int) -> int:
    """Ten minutes of a device, of which numbers 10 to 14 and 30 are missing, and of another one."""
    boot_ms = now_ms - 600_000
    written.write(
        [
            reading(device, boot_ms + 10_000 * seq, seq, boot_ms=boot_ms, measurement=measurement)
            for device, missing in (("d1", {10, 11, 12, 13, 14, 30}), ("d2", {1}))
            for seq in range(60)
            if seq not in missing
            for measurement in (("weather", "door")[seq % 2],)
        ]
    )
    return boot_ms


def test_gaps_are_named_the_newest_first(get: Asking, boot_ms: int) -> None:
    answer = get(PATH)
    assert (answer["stored"], answer["missing"], answer["count"]) == (54, 6, 2)
    assert answer["truncated"] is False
    assert answer["gaps"] == [
        {
            "boot": rfc3339(boot_ms),
            "first": 30,
            "last": 30,
            "missing": 1,
            "after": rfc3339(boot_ms + 290_000),
            "before": rfc3339(boot_ms + 310_000),
        },
        {
            "boot": rfc3339(boot_ms),
            "first": 10,
            "last": 14,
            "missing": 5,
            "after": rfc3339(boot_ms + 90_000),
            "before": rfc3339(boot_ms + 150_000),
        },
    ]


def test_a_range_and_a_limit_bound_what_is_told(get: Asking, boot_ms: int) -> None:
    late = get(PATH, start=boot_ms + 200_000)
    assert (late["stored"], late["missing"], late["count"]) == (39, 1, 1)
    assert get(PATH, limit=1)["truncated"] is True
    assert len(get(PATH, limit=1)["gaps"]) == 1
    early = get(PATH, start=boot_ms - 20_000, stop=boot_ms - 10_000)
    assert (early["stored"], early["gaps"]) == (0, [])


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("start=-1m&stop=-2m", "start must be before stop"),
        ("start=-99d", "at most 744 h"),
        ("limit=1001", "at most 1000"),
        ("fields=t", "not a parameter here"),
    ],
)
def test_what_is_beyond_the_limits_is_refused(client: Client, query: str, word: str) -> None:
    response = client.get(f"{PATH}?{query}")
    assert response.status_code == 400
    assert word in response.json["detail"]  # type: ignore[index]


def test_of_a_range_with_too_many_readings_nothing_is_counted(
    client: Client, boot_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaps, "MOST_READINGS", 54)
    assert client.get(PATH).status_code == 200
    monkeypatch.setattr(gaps, "MOST_READINGS", 53)
    response = client.get(PATH, query_string={"start": boot_ms - 1})
    assert response.status_code == 400
    assert "More than 53 readings" in response.text


def test_a_device_that_is_not_known_is_404(client: Client, boot_ms: int) -> None:
    assert boot_ms
    assert client.get("/v1/devices/nobody/gaps").status_code == 404
