"""The settings of the ways: where the other side of each is, and the key that it asks for."""

from typing import Annotated

from msgspec import Meta

from telemetry.settings import Secret, Settings

Port = Annotated[int, Meta(ge=1, le=65535)]


class WaysSettings(Settings, frozen=True, kw_only=True):
    """What the ways other than MQTT need to know; each asks for its own alone."""

    key: Annotated[
        Secret | None, Meta(description="the key that ingest asks for, over TCP and HTTP")
    ] = None
    tcp_host: Annotated[str, Meta(description="where ingest listens for TCP")] = "127.0.0.1"
    tcp_port: Annotated[Port | None, Meta(description="ingest's port for TCP")] = None
    unix_socket: Annotated[
        str | None, Meta(description="the socket file on which ingest takes streams")
    ] = None
    udp_host: Annotated[str, Meta(description="where ingest takes UDP")] = "127.0.0.1"
    udp_port: Annotated[Port | None, Meta(description="ingest's port for UDP")] = None
    unixgram_socket: Annotated[
        str | None, Meta(description="the socket file on which ingest takes datagrams")
    ] = None
    folder: Annotated[
        str | None, Meta(description="the folder out of which ingest takes files")
    ] = None
    folder_files: Annotated[
        int,
        Meta(ge=1, le=100_000, description="so many files wait there before none is added"),
    ] = 1_000
    folder_bytes: Annotated[
        int,
        Meta(ge=1_000_000, description="so many bytes wait there before no file is added"),
    ] = 1_000_000_000
    database_url: Annotated[
        Secret | None,
        Meta(
            description="the database of ingest's inbox, as "
            "`postgresql://USER:PASSWORD@HOST/DATABASE` or `sqlite:///PATH`"
        ),
    ] = None
    http_url: Annotated[
        str | None, Meta(description="where ingest takes readings over HTTP, as http://host:port")
    ] = None
