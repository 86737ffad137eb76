"""What a run says about a claim: a function each, from rows to words, figures and a verdict."""

from typing import Literal

from msgspec import Struct

from bench.compare.figures import Compared
from docs.comparison.words import Words

Verdict = Literal["agrees", "partly", "disagrees", "no difference"]
_SAME = 0.10
"""Two figures that differ by less are the same: so much does one run differ from the next."""
_MUCH = 10_000
"""Readings/s that are much: what a thousand devices make at ten a second."""


class Finding(Struct, frozen=True):
    """What was measured, in words with their figures, and whether the claim holds."""

    words: Words
    figures: dict[str, float]
    verdict: Verdict


def _more(ours: float, theirs: float) -> Verdict:
    """Judge that ours is more than theirs."""
    if abs(ours / theirs - 1) < _SAME:
        return "no difference"
    return "agrees" if ours > theirs else "disagrees"


def _faster(ours: Compared, theirs: Compared) -> Verdict:
    """Judge that ours is faster, in packs and one a message."""
    found = {_more(_rate(ours), _rate(theirs)), _more(_single(ours), _single(theirs))}
    if len(found) == 1:
        return found.pop()
    return "partly" if "agrees" in found else "disagrees"


def _lost(one: Compared) -> int:
    return (one.lost_sigkill or 0) + (one.lost_away or 0)


def _rate(one: Compared) -> float:
    return one.readings_per_second or 0.0


def _single(one: Compared) -> float:
    return one.single_readings_per_second or 0.0


def _cpu(one: Compared) -> float:
    """Microseconds of all parts that a reading costs, one a message."""
    us = one.single_cpu_us
    return 0.0 if us is None else (us.sender or 0.0) + (us.between or 0.0) + (us.ingest or 0.0)


def _p50(one: Compared) -> float:
    return (one.latency_ms and one.latency_ms.p50) or 0.0


def _bytes(one: Compared) -> float:
    return one.bytes_per_reading or 0.0


def reliable(tcp: Compared) -> Finding:
    """TCP: what it lost."""
    kept = not _lost(tcp) and tcp.ordered
    return Finding(
        Words(
            "{lost} lost with ingest killed and away, order "
            + ("kept" if tcp.ordered else "not kept")
            + "; but that is by the answers to each line, since what TCP itself had delivered to "
            "a killed process would be gone",
            "{lost} hilang saat ingest dimatikan paksa dan tidak ada, urutan "
            + ("terjaga" if tcp.ordered else "tidak terjaga")
            + "; tetapi itu berkat jawaban atas setiap baris, sebab yang sudah diantar TCP ke "
            "proses yang lalu mati akan lenyap",
        ),
        {"lost": _lost(tcp)},
        "agrees" if kept else "disagrees",
    )


def unix_faster(unix: Compared, tcp: Compared) -> Finding:
    """Unix sockets beside TCP."""
    return Finding(
        Words(
            "{unix} against {tcp} readings/s in packs, {unix_one} against {tcp_one} one a message; "
            "CPU of both sides {unix_us} against {tcp_us} µs",
            "{unix} dibanding {tcp} bacaan/detik dalam paket, {unix_one} dibanding {tcp_one} satu "
            "per pesan; CPU kedua sisi {unix_us} dibanding {tcp_us} µs",
        ),
        {
            "unix": _rate(unix),
            "tcp": _rate(tcp),
            "unix_one": _single(unix),
            "tcp_one": _single(tcp),
            "unix_us": _cpu(unix),
            "tcp_us": _cpu(tcp),
        },
        _faster(unix, tcp),
    )


def unreliable(udp: Compared, unixgram: Compared) -> Finding:
    """Datagrams: what they lost, and in which order the rest came."""
    ordered = bool(udp.ordered and unixgram.ordered)
    return Finding(
        Words(
            "lost {udp} over UDP and {unixgram} over the Unix datagram socket, of {offered} each, "
            "while ingest was killed and away; order on one machine "
            + ("kept" if ordered else "not kept"),
            "hilang {udp} lewat UDP dan {unixgram} lewat Unix datagram socket, masing-masing dari "
            "{offered}, selama ingest dimatikan paksa dan tidak ada; urutan di satu mesin "
            + ("terjaga" if ordered else "tidak terjaga"),
        ),
        {
            "udp": _lost(udp),
            "unixgram": _lost(unixgram),
            "offered": (udp.offered_sigkill or 0) + (udp.offered_away or 0),
        },
        "disagrees" if not _lost(udp) else "partly" if ordered else "agrees",
    )


def small(udp: Compared, tcp: Compared) -> Finding:
    """Datagrams beside TCP, one reading each."""
    return Finding(
        Words(
            "{udp} against {tcp} bytes a reading, {udp_us} against {tcp_us} µs of CPU: lines share "
            "a call of the kernel, datagrams do not",
            "{udp} dibanding {tcp} byte per bacaan, {udp_us} dibanding {tcp_us} µs CPU: beberapa "
            "baris berbagi satu panggilan kernel, datagram tidak",
        ),
        {"udp": _bytes(udp), "tcp": _bytes(tcp), "udp_us": _cpu(udp), "tcp_us": _cpu(tcp)},
        _more(_cpu(tcp), _cpu(udp)),
    )


def files_efficient(folder: Compared, tcp: Compared) -> Finding:
    """Files beside TCP."""
    return Finding(
        Words(
            "{folder} readings/s against {tcp} over TCP, {folder_us} against {tcp_us} µs of CPU; "
            "but a reading is under way for {folder_ms} against {tcp_ms} ms (p50)",
            "{folder} bacaan/detik dibanding {tcp} lewat TCP, {folder_us} dibanding {tcp_us} µs "
            "CPU; tetapi satu bacaan menempuh {folder_ms} dibanding {tcp_ms} md (p50)",
        ),
        {
            "folder": _rate(folder),
            "tcp": _rate(tcp),
            "folder_us": _cpu(folder),
            "tcp_us": _cpu(tcp),
            "folder_ms": _p50(folder),
            "tcp_ms": _p50(tcp),
        },
        _faster(folder, tcp),
    )


def coordinated(folder: Compared) -> Finding:
    """Files: what was lost."""
    return Finding(
        Words(
            "with it (temporary name, rename, claim) {lost} of {offered} lost with ingest killed "
            "and away",
            "dengan itu (nama sementara, rename, klaim) {lost} dari {offered} hilang saat ingest "
            "dimatikan paksa dan tidak ada",
        ),
        {"lost": _lost(folder), "offered": _offered(folder)},
        "disagrees" if _lost(folder) else "agrees",
    )


def _offered(one: Compared) -> int:
    return (one.offered_sigkill or 0) + (one.offered_away or 0)


def consistent(postgresql: Compared, sqlite: Compared) -> Finding:
    """Rows of databases: what was lost."""
    lost = _lost(postgresql) + _lost(sqlite)
    return Finding(
        Words(
            "{lost} of {offered} lost with ingest killed and away",
            "{lost} dari {offered} hilang saat ingest dimatikan paksa dan tidak ada",
        ),
        {"lost": lost, "offered": _offered(postgresql) + _offered(sqlite)},
        "disagrees" if lost else "agrees",
    )


def saves_time(postgresql: Compared, sqlite: Compared, tcp: Compared) -> Finding:
    """Rows of databases beside TCP."""
    return Finding(
        Words(
            "{postgresql} (PostgreSQL) and {sqlite} (SQLite) readings/s one a message against "
            "{tcp} over TCP; and {bytes} bytes a reading do pass the network to PostgreSQL",
            "{postgresql} (PostgreSQL) dan {sqlite} (SQLite) bacaan/detik satu per pesan dibanding "
            "{tcp} lewat TCP; dan {bytes} byte per bacaan tetap melewati jaringan ke PostgreSQL",
        ),
        {
            "postgresql": _single(postgresql),
            "sqlite": _single(sqlite),
            "tcp": _single(tcp),
            "bytes": _bytes(postgresql),
        },
        _faster(max(postgresql, sqlite, key=_single), tcp),
    )


def overhead(http: Compared, tcp: Compared) -> Finding:
    """What HTTP adds, beside TCP."""
    return Finding(
        Words(
            "{http} against {tcp} bytes a reading over TCP, {http_us} against {tcp_us} µs of CPU; "
            "in packs of 50 {http_packed} against {tcp_packed} bytes",
            "{http} dibanding {tcp} byte per bacaan lewat TCP, {http_us} dibanding {tcp_us} µs "
            "CPU; dalam paket berisi 50 {http_packed} dibanding {tcp_packed} byte",
        ),
        {
            "http": _bytes(http),
            "tcp": _bytes(tcp),
            "http_us": _cpu(http),
            "tcp_us": _cpu(tcp),
            "http_packed": http.packed_bytes_per_reading or 0.0,
            "tcp_packed": tcp.packed_bytes_per_reading or 0.0,
        },
        _more(_bytes(http), _bytes(tcp)),
    )


def slower(http: Compared, unix: Compared) -> Finding:
    """HTTP beside a Unix socket."""
    return Finding(
        Words(
            "{http} against {unix} readings/s in packs, {http_one} against {unix_one} one a "
            "message; p50 {http_ms} against {unix_ms} ms",
            "{http} dibanding {unix} bacaan/detik dalam paket, {http_one} dibanding {unix_one} "
            "satu per pesan; p50 {http_ms} dibanding {unix_ms} md",
        ),
        {
            "http": _rate(http),
            "unix": _rate(unix),
            "http_one": _single(http),
            "unix_one": _single(unix),
            "http_ms": _p50(http),
            "unix_ms": _p50(unix),
        },
        _faster(unix, http),
    )


def not_for_much(http: Compared) -> Finding:
    """How much goes through HTTP."""
    rate = _rate(http)
    return Finding(
        Words(
            "{rate} readings/s in packs, {megabytes} MB/s of payload",
            "{rate} bacaan/detik dalam paket, {megabytes} MB/detik payload",
        ),
        {"rate": rate, "megabytes": rate * (http.packed_bytes_per_reading or 0.0) / 1e6},
        "disagrees" if rate > _MUCH else "agrees",
    )


def light(mqtt: Compared, http: Compared) -> Finding:
    """MQTT beside HTTP."""
    return Finding(
        Words(
            "{mqtt} against {http} bytes a reading over HTTP, {mqtt_us} against {http_us} µs of "
            "CPU, the broker's included",
            "{mqtt} dibanding {http} byte per bacaan lewat HTTP, {mqtt_us} dibanding {http_us} µs "
            "CPU, termasuk milik broker",
        ),
        {"mqtt": _bytes(mqtt), "http": _bytes(http), "mqtt_us": _cpu(mqtt), "http_us": _cpu(http)},
        _more(_bytes(http), _bytes(mqtt)),
    )


def levels(zero: Compared, one: Compared, two: Compared) -> Finding:
    """The three levels of MQTT."""
    as_promised = not _lost(one) and not _lost(two)
    return Finding(
        Words(
            "lost {zero} at level 0, {one} at 1 and {two} at 2, of {offered} each; CPU of all "
            "parts {zero_us}, {one_us} and {two_us} µs a reading",
            "hilang {zero} pada tingkat 0, {one} pada 1, dan {two} pada 2, masing-masing dari "
            "{offered}; CPU semua bagian {zero_us}, {one_us}, dan {two_us} µs per bacaan",
        ),
        {
            "zero": _lost(zero),
            "one": _lost(one),
            "two": _lost(two),
            "offered": _offered(one),
            "zero_us": _cpu(zero),
            "one_us": _cpu(one),
            "two_us": _cpu(two),
        },
        "agrees" if as_promised else "disagrees",
    )


def encryption(tls: Compared, plain: Compared) -> Finding:
    """A way with TLS beside itself without."""
    return Finding(
        Words(
            "with TLS a reading takes {cpu} % of the CPU without it and {bytes} more bytes, and "
            "{rate} % of the readings/s come through",
            "dengan TLS satu bacaan memakan {cpu} % dari CPU tanpa TLS dan {bytes} byte lebih, "
            "dan {rate} % bacaan/detik tersalurkan",
        ),
        {
            "cpu": round(_cpu(tls) / _cpu(plain) * 100),
            "bytes": round(_bytes(tls) - _bytes(plain)),
            "rate": round(_rate(tls) / _rate(plain) * 100),
        },
        "agrees",
    )


def needs_a_broker(mqtt: Compared, tcp: Compared) -> Finding:
    """What the broker takes."""
    between = (mqtt.single_cpu_us and mqtt.single_cpu_us.between) or 0.0
    return Finding(
        Words(
            "the broker takes {between} µs of CPU a reading, and {mqtt} readings/s come through "
            "one a message, against {tcp} over TCP",
            "broker memakan {between} µs CPU per bacaan, dan {mqtt} bacaan/detik lewat bila satu "
            "per pesan, dibanding {tcp} lewat TCP",
        ),
        {"between": between, "mqtt": _single(mqtt), "tcp": _single(tcp)},
        "agrees",
    )
