"""Hypothesis strategies for the contract's types."""

from hypothesis import strategies as st

from telemetry.reading import RESERVED_FIELD_NAMES, Reading, Value

_MARKS = "_.:-"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

EPOCH_MS = st.integers(0, 4_102_444_800_000)


def names() -> st.SearchStrategy[str]:
    """Names by the contract's rule, from one to 64 characters."""
    return st.builds(
        str.__add__,
        st.sampled_from(_LETTERS),
        st.text(st.sampled_from(_LETTERS + _MARKS), max_size=63),
    )


def field_names() -> st.SearchStrategy[str]:
    """Names that a field may have."""
    return names().filter(lambda name: name not in RESERVED_FIELD_NAMES)


def values() -> st.SearchStrategy[Value]:
    """Anything that can be measured: finite numbers, booleans, and texts that UTF-8 can carry."""
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    return st.one_of(numbers, st.booleans(), st.text(max_size=50))


def readings() -> st.SearchStrategy[Reading]:
    """Readings with and without boot and sequence number."""
    return st.builds(
        Reading,
        names(),
        names(),
        names(),
        EPOCH_MS,
        st.dictionaries(field_names(), values(), min_size=1, max_size=6),
        st.none() | EPOCH_MS,
        st.none() | st.integers(0, 2**63 - 1),
    )
