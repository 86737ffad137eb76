"""Whose names the publishers of several processes have."""

from pathlib import Path

from loadtest.devices import Devices, Place


def test_no_two_processes_share_a_name(tmp_path: Path) -> None:
    names: list[str] = []
    for place in (Place(1, 0, 2), Place(1, 1, 2), Place(2, 0, 1)):
        devices = Devices(tmp_path)
        devices.begin(place)
        names += [devices.name(devices.take()) for _ in range(3)]
        devices.end()

    assert len(set(names)) == 9
    assert sorted(names)[:6] == [f"load-1-000{number}" for number in range(6)]


def test_a_number_that_was_given_back_is_taken_again_with_a_later_boot(tmp_path: Path) -> None:
    devices = Devices(tmp_path)
    devices.begin(Place())
    first, second = devices.take(), devices.take()
    boot_ms = devices.boot_ms()
    devices.give_back(second)
    devices.give_back(first)

    assert [devices.take(), devices.take(), devices.take()] == [0, 1, 2]
    assert devices.boot_ms() > boot_ms
    devices.end()


def test_each_run_has_a_ledger_of_its_own(tmp_path: Path) -> None:
    devices = Devices(tmp_path)
    devices.begin(Place())
    first = devices.path
    devices.begin(Place())

    devices.end()

    assert first != devices.path
    assert len(list((tmp_path / "ledger").iterdir())) == 2
