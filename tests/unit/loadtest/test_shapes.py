"""How the users come: the stages of each shape."""

import pytest

from loadtest.shapes import STAGES, ShapeName, stage_at, users_of


@pytest.mark.parametrize("shape", STAGES)
def test_a_shape_fills_the_whole_duration_and_no_more(shape: ShapeName) -> None:
    assert stage_at(shape, 0, 60) is not None
    assert stage_at(shape, 59.9, 60) is not None
    assert stage_at(shape, 60, 60) is None


def test_steps_rise_to_all_users() -> None:
    counts = []
    for second in (0, 13, 25, 37, 59):
        stage = stage_at("step", second, 60)
        assert stage is not None
        counts.append(users_of(stage, 50))

    assert counts == [10, 20, 30, 40, 50]


def test_a_spike_comes_and_goes() -> None:
    loads = [stage.load for stage in STAGES["spike"]]

    assert loads[0] == loads[2] < loads[1] == 1.0


def test_a_soak_rises_slowly_and_stays() -> None:
    loads = [stage.load for stage in STAGES["soak"]]

    assert loads == sorted(loads)
    assert STAGES["soak"][-1].share > 0.9


def test_a_stage_is_never_without_users() -> None:
    assert users_of(STAGES["soak"][0], 3) == 1
