"""The settings of the ways into ingest other than MQTT; each is off until its own is set."""

from typing import Annotated

from msgspec import Meta

from telemetry.settings import Secret
from telemetry.store.settings import StoreSettings


class WaysSettings(StoreSettings, frozen=True, kw_only=True):
    """Where else readings are taken, and from whom."""

    mqtt: Annotated[bool, Meta(description="take readings from the MQTT broker")] = True
    keys_file: Annotated[
        str,
        Meta(description="the file of senders' keys, hashed; HTTP and TCP are closed without it"),
    ] = ""
    tcp_listen: Annotated[
        str, Meta(description="where lines are taken over TCP, as `127.0.0.1:9103`; empty: nowhere")
    ] = ""
    tcp_certificate_file: Annotated[
        str, Meta(description="the certificate with which TCP speaks TLS; empty: without TLS")
    ] = ""
    tcp_key_file: Annotated[str, Meta(description="the key of that certificate")] = ""
    unix_socket: Annotated[
        str, Meta(description="the Unix socket at which lines are taken; empty: none")
    ] = ""
    unix_allow_users: Annotated[
        str,
        Meta(
            description="who may send there: user names or numbers, separated by commas; ingest's "
            "own user and root always may"
        ),
    ] = ""
    stream_connections: Annotated[
        int,
        Meta(
            ge=1, le=100_000, description="connections at once over TCP, and over the Unix socket"
        ),
    ] = 10_000
    tcp_address_connections: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="connections at once over TCP from one address; where a proxy or Swarm's "
            "routing mesh hides the senders' own, as many as INGEST_STREAM_CONNECTIONS",
        ),
    ] = 2_500
    stream_idle_seconds: Annotated[
        float,
        Meta(ge=1, le=86_400, description="a connection that is silent for longer is closed"),
    ] = 300.0
    stream_line_seconds: Annotated[
        float, Meta(ge=0.1, le=3_600, description="how long a line may take from beginning to end")
    ] = 30.0
    udp_listen: Annotated[
        str, Meta(description="where datagrams are taken over UDP; empty: nowhere")
    ] = ""
    udp_allow: Annotated[
        str, Meta(description="the networks whose datagrams are taken, separated by commas")
    ] = "127.0.0.0/8, ::1/128"
    unixgram_socket: Annotated[
        str, Meta(description="the Unix socket at which datagrams are taken; empty: none")
    ] = ""
    datagram_buffer_bytes: Annotated[
        int,
        Meta(ge=4_096, le=1_000_000_000, description="the kernel's buffer of unread datagrams"),
    ] = 8_000_000
    folder: Annotated[
        str, Meta(description="the shared folder from which files of lines are taken; empty: none")
    ] = ""
    folder_poll_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=3_600_000,
            description="how often the folder is looked at, as on network volumes; 0: the kernel "
            "tells what is new",
        ),
    ] = 0
    database_url: Annotated[
        Secret | None,
        Meta(
            description="the database of the inbox, as `postgresql://USER:PASSWORD@HOST/DATABASE` "
            "or `sqlite:///PATH`; empty: none"
        ),
    ] = None
    database_claims: Annotated[
        int,
        Meta(ge=1, le=64, description="how many claims on rows, each with a connection, at once"),
    ] = 4
    database_rows: Annotated[int, Meta(ge=1, le=10_000, description="rows in a claim, at most")] = (
        1_000
    )
    database_poll_ms: Annotated[
        int,
        Meta(ge=4, le=60_000, description="how often an empty inbox is looked at; else more often"),
    ] = 100
    database_timeout_seconds: Annotated[
        float, Meta(ge=1, le=120, description="how long the inbox's database may take to answer")
    ] = 5.0
    intake_listen: Annotated[
        str, Meta(description="where readings are taken over HTTP; empty: nowhere")
    ] = ""
    intake_certificate_file: Annotated[
        str, Meta(description="the certificate with which HTTP speaks TLS; empty: without TLS")
    ] = ""
    intake_key_file: Annotated[str, Meta(description="the key of that certificate")] = ""
    intake_requests: Annotated[
        int, Meta(ge=1, le=100_000, description="requests with readings at once; more get 429")
    ] = 256
    intake_connections: Annotated[
        int, Meta(ge=1, le=100_000, description="connections over HTTP at once; idle ones go first")
    ] = 1_000
    intake_body_bytes: Annotated[
        int,
        Meta(
            ge=1_000,
            le=64_000_000,
            description="a larger body gets 413, also inflated; lines (`application/x-ndjson`) and "
            "line protocol may fill it, any other payload may be as large as a payload may be",
        ),
    ] = 1_000_000
    intake_body_seconds: Annotated[
        float, Meta(ge=0.1, le=3_600, description="how long a body may take to come")
    ] = 30.0
    intake_durable_seconds: Annotated[
        float,
        Meta(
            ge=0.1,
            le=3_600,
            description="how long a request waits until its readings are durable; then it gets 503",
        ),
    ] = 30.0
    intake_idle_seconds: Annotated[
        float,
        Meta(ge=1, le=86_400, description="how long a connection may be without a whole request"),
    ] = 60.0
