import pytest

from broker.devices import MOST_DEVICES, DevicesError, parse_devices


def test_a_line_is_a_name_or_a_range_with_both_its_ends() -> None:
    text = "# the presses\npress-{0008..0011}\n\n  boiler  # in the cellar\n"

    assert parse_devices(text) == ["press-0008", "press-0009", "press-0010", "press-0011", "boiler"]


def test_a_range_that_is_not_padded_is_as_wide_as_its_numbers() -> None:
    assert parse_devices("a{8..11}b") == ["a8b", "a9b", "a10b", "a11b"]


def test_a_range_of_one_is_one() -> None:
    assert parse_devices("a{0..0}") == ["a0"]


def test_a_name_that_stands_twice_counts_once() -> None:
    assert parse_devices("a1\na{0..2}") == ["a1", "a0", "a2"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("a{5..1}", "ends before it begins"),
        ("a{01..100}", "one width"),
        ("a{0..099}", "one width"),
        ("a{1..}", "is not a range"),
        ("a{1..x}", "is not a range"),
        ("a{1-5}", "is not a range"),
        ("a{-1..5}", "is not a range"),
        ("a{1..2}{1..2}", "is not a range"),
        ("a{1..2", "is not a range"),
        ("a}1..2{", "is not a range"),
        ("a{\u0661..\u0662}", "is not a range"),
        ("{1..2}/x", "is not a name"),
        ("-a", "is not a name"),
        ("a b", "is not a name"),
        ("a" * 65, "is not a name"),
        ("a:b", "colon"),
        ("a:{1..2}", "colon"),
        ("ingest", "user of a service"),
        ("health", "user of a service"),
        (f"a{{0..{MOST_DEVICES}}}", "more than"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_by_its_number(line: str, why: str) -> None:
    with pytest.raises(DevicesError, match=rf"^line 3: .*{why}"):
        parse_devices(f"# devices\nfine\n{line}\n")


def test_ranges_are_not_too_many_together() -> None:
    with pytest.raises(DevicesError, match="line 2: these are more than"):
        parse_devices(f"a{{1..{MOST_DEVICES}}}\nb\n")


@pytest.mark.parametrize("text", ["", "\n", "# nobody\n"])
def test_a_file_without_a_device_is_refused(text: str) -> None:
    with pytest.raises(DevicesError, match="no device"):
        parse_devices(text)
