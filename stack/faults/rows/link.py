"""Rows 21, 22 and 24: links that are cut, slow and lossy."""

import time

from stack.faults import packets
from stack.faults.case import Trial, case
from stack.faults.link_proxy import Direction, LinkProxy, Shape
from stack.faults.rig import FEW_FLEET, Rig
from stack.faults.watch import Moment
from stack.services import Fleet

_CUT_SECONDS = 45.0
_SEEN_WITHIN_SECONDS = 1.5 * 10  # keepalives of 10 s
_FEW = 100  # readings/s of the second fleet, whose own links are bad
_LOST_PUBRECS = 20


@case(21, "link cut without FIN for 45 s")
def link_cut(trial: Trial) -> None:
    """Cut ingest's link, and those of some devices, so that nobody is told."""
    with Rig(trial) as rig, LinkProxy(rig.broker.port) as link, LinkProxy(rig.broker.port) as few:
        rig.start_ingest({"INGEST_BROKER_PORT": str(link.port)})
        rig.start_fleet()
        _start_few(rig, few)
        rig.await_unacknowledged()
        cut = time.monotonic()
        link.cut()
        few.cut()
        rig.pass_time(_CUT_SECONDS, "the links are cut")
        received = rig.watch.rates("received_readings", cut + 2, cut + 40, window_seconds=5)
        trial.fault(received and not any(received), "ingest received nothing meanwhile")
        seen = rig.watch.seconds_until(_sees_no_broker, after=cut)
        trial.must(
            seen is not None and seen <= _SEEN_WITHIN_SECONDS + 0.5,
            f"ingest saw it after {seen or 0:.1f} s ({_SEEN_WITHIN_SECONDS:g} s allowed)",
        )
        timeouts = rig.figures()["link_timeouts"]
        trial.must(timeouts, f"{timeouts:.0f} links given up for their silence, on /metrics")
        restored = time.monotonic()
        few.restore()
        link.restore()
        rig.must_be_back(restored, 20, of="the link's return")
        rig.pass_time(5, "the fleet goes on")
        rig.finish()


@case(22, "one-byte slices, 500 ms of jitter")
def link_slow(trial: Trial) -> None:
    """Slice ingest's link as finely as the rate allows, and some devices' into single bytes."""
    # Byte by byte at the rate would be half a million writes a second: of each piece the first
    # 64 bytes go one by one, which is the head of a packet or any place in one.
    shape = Shape(single_bytes=64, jitter_seconds=0.5)
    finest = Shape(single_bytes=1 << 20, jitter_seconds=0.5)
    with (
        Rig(trial) as rig,
        LinkProxy(rig.broker.port, shape=shape) as link,
        LinkProxy(rig.broker.port, shape=finest) as few,
    ):
        rig.start_ingest({"INGEST_BROKER_PORT": str(link.port)})
        rig.start_fleet()
        _start_few(rig, few)
        rig.await_unacknowledged()
        rig.pass_time(12, "links are slow and finely sliced")
        rig.finish()
        for name, proxy in (("ingest's link", link), ("the devices' links", few)):
            trial.fault(
                proxy.single_writes > 1000,
                f"{proxy.single_writes:,} single bytes were sent over {name}",
            )
        connects = rig.figures()["connects"]
        trial.must(connects == 1, f"ingest connected {connects:.0f} times")


@case(24, "PUBREC lost at QoS 2")
def pubrec_lost(trial: Trial) -> None:
    """Lose PUBRECs of the broker to devices, and of ingest to the broker, and then the link."""
    with Rig(trial) as rig, LinkProxy(rig.broker.port) as link, LinkProxy(rig.broker.port) as few:
        rig.start_ingest({"INGEST_BROKER_PORT": str(link.port)})
        rig.start_fleet()
        rig.start_fleet(
            {"SENSORS_BROKER_PORT": str(few.port)},
            rate=_FEW,
            client_id="sensors-2",
            fleet=FEW_FLEET,
            qos="2",
            wait=False,
        )
        for name, proxy in (("of ingest", link), ("for devices", few)):
            rig.await_unacknowledged()
            _lose_pubrecs(proxy)
            lost = proxy.lost_packets
            trial.fault(lost >= _LOST_PUBRECS, f"{lost} PUBRECs {name} were lost, then the link")
            rig.pass_time(2 if trial.quick else 4, "the handshakes begin again")
        seen = rig.figures()
        again = seen["duplicate_messages"] + seen["repeated_readings"]
        trial.fault(again > 0, f"{again:,.0f} messages came to ingest a second time")
        report = rig.finish()
        stored, offered = report.by_qos[2].stored, report.by_qos[2].offered
        trial.must(stored == offered, f"{stored:,} points of {offered:,} messages at QoS 2")


def _start_few(rig: Rig, proxy: LinkProxy) -> Fleet:
    settings = {"SENSORS_BROKER_PORT": str(proxy.port)}
    return rig.start_fleet(settings, rate=_FEW, client_id="sensors-2", fleet=FEW_FLEET, wait=False)


def _sees_no_broker(moment: Moment) -> bool:
    return moment.words.get("broker", "ok") != "ok"


def _lose_pubrecs(proxy: LinkProxy) -> None:
    """Lose some PUBRECs and then the connections, as a link does that breaks."""

    def is_pubrec(_direction: Direction, packet: bytes) -> bool:
        return packet[0] == packets.PUBREC

    proxy.loses = is_pubrec
    deadline = time.monotonic() + 10
    while proxy.lost_packets < _LOST_PUBRECS and time.monotonic() < deadline:
        time.sleep(0.02)
    proxy.abort()
    proxy.loses = None
