"""What the teaching document claims of each way, beside what was measured of it here.

A claim is judged by figures alone; what could not be measured is not judged.
"""

from collections.abc import Callable

from msgspec import Struct

from docs.comparison import Results
from docs.comparison.findings import (
    Finding,
    Verdict,
    consistent,
    coordinated,
    encryption,
    files_efficient,
    levels,
    light,
    needs_a_broker,
    not_for_much,
    overhead,
    reliable,
    saves_time,
    slower,
    small,
    unix_faster,
    unreliable,
)
from docs.comparison.tables import rows
from docs.comparison.words import Language, Words, number

_VERDICTS: dict[Verdict, Words] = {
    "agrees": Words("agrees", "sesuai"),
    "partly": Words("in part", "sebagian"),
    "disagrees": Words("**disagrees**", "**tidak sesuai**"),
    "no difference": Words("**no difference**", "**tidak ada beda**"),
}
_HEADINGS = (
    Words("claim", "pernyataan"),
    Words("measured", "hasil ukur"),
    Words("verdict", "kesimpulan"),
)
_NOT_MEASURED = Words("not measured", "belum diukur")


class Claim(Struct, frozen=True):
    """A claim, the rows that judge it, and how."""

    words: Words
    needs: tuple[str, ...]
    judge: Callable[..., Finding]


def claims_table(claims: tuple[Claim, ...], results: Results, language: Language) -> str:
    """Return claims with their findings as a table in Markdown."""
    return rows(
        [heading.say(language) for heading in _HEADINGS],
        [_row(claim, results, language) for claim in claims],
    )


def _row(claim: Claim, results: Results, language: Language) -> list[str]:
    found = [results.get(name) for name in claim.needs]
    if any(one is None or one.why or one.lost_away is None for one in found):
        return [claim.words.say(language), _NOT_MEASURED.say(language), "-"]
    finding = claim.judge(*found)
    figures = {
        name: number(value, language, 1 if abs(value) < 10 and value % 1 else 0)
        for name, value in finding.figures.items()
    }
    return [
        claim.words.say(language),
        finding.words.say(language, **figures),
        _VERDICTS[finding.verdict].say(language),
    ]


SECTIONS: dict[str, tuple[Claim, ...]] = {
    "sockets": (
        Claim(Words("TCP is reliable and ordered", "TCP andal dan berurutan"), ("tcp",), reliable),
        Claim(
            Words(
                "Unix sockets can be faster than TCP: no network",
                "Unix socket bisa lebih cepat daripada TCP: tanpa jaringan",
            ),
            ("unix", "tcp"),
            unix_faster,
        ),
        Claim(
            Words(
                "datagrams are unreliable and unordered", "datagram tidak andal dan tidak berurutan"
            ),
            ("udp", "unixgram"),
            unreliable,
        ),
        Claim(
            Words("datagrams suit small data", "datagram cocok untuk data kecil"),
            ("udp", "tcp"),
            small,
        ),
    ),
    "filesystem": (
        Claim(
            Words(
                "very efficient: nothing goes over a network",
                "sangat efisien: tidak ada yang lewat jaringan",
            ),
            ("folder", "tcp"),
            files_efficient,
        ),
        Claim(
            Words("needs good coordination", "memerlukan koordinasi yang baik"),
            ("folder",),
            coordinated,
        ),
    ),
    "database": (
        Claim(
            Words("keeps data consistent", "menjaga konsistensi data"),
            ("database-postgresql", "database-sqlite"),
            consistent,
        ),
        Claim(
            Words(
                "saves time: no data is sent over a network",
                "menghemat waktu: data tidak dikirim lewat jaringan",
            ),
            ("database-postgresql", "database-sqlite", "tcp"),
            saves_time,
        ),
    ),
    "http": (
        Claim(Words("a large overhead", "overhead yang besar"), ("http", "tcp"), overhead),
        Claim(
            Words(
                "relatively slow, next to a Unix socket",
                "relatif lambat dibanding Unix socket",
            ),
            ("http", "unix"),
            slower,
        ),
        Claim(
            Words("not for streams of much data", "tidak untuk aliran data yang besar"),
            ("http",),
            not_for_much,
        ),
        Claim(
            Words("can be secured: HTTPS", "bisa diamankan: HTTPS"), ("https", "http"), encryption
        ),
    ),
    "mqtt": (
        Claim(Words("light and efficient", "ringan dan efisien"), ("mqtt-1", "http"), light),
        Claim(
            Words("three levels of delivery", "tiga tingkat pengantaran"),
            ("mqtt-0", "mqtt-1", "mqtt-2"),
            levels,
        ),
        Claim(
            Words("can be secured: TLS", "bisa diamankan: TLS"), ("mqtt-tls", "mqtt-1"), encryption
        ),
        Claim(
            Words("more complex: a broker in between", "lebih rumit: ada broker di tengah"),
            ("mqtt-1", "tcp"),
            needs_a_broker,
        ),
    ),
}
