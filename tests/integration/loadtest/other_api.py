"""An API of another kind: one answer to everything, late, refusing, or over TLS."""

import http.server
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from broker.certificates import Authority

_DEVICES = b'{"devices": [{"device": "d1"}]}'
_STREAM = "/v1/stream"


@contextmanager
def api_of_another_kind(
    *,
    status: int = 200,
    seconds: float = 0.0,
    one_at_a_time: bool = False,
    authority: Authority | None = None,
    stream: bytes = b"",
    stream_status: int = 200,
    last_ids: list[str | None] | None = None,
) -> Iterator[str]:
    """Serve one answer to everything, `seconds` later, and another to who asks for the stream.

    With `one_at_a_time` it does no more than 1 / `seconds` a second. Where streams go on from is
    noted in `last_ids`.
    """
    gate, turn = threading.Event(), threading.Lock()

    class Answer(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with turn if one_at_a_time else nullcontext():
                gate.wait(seconds)
            is_stream = self.path.startswith(_STREAM)
            body = stream if is_stream else _DEVICES
            if is_stream and last_ids is not None:
                last_ids.append(self.headers["Last-Event-ID"])
            self.send_response(stream_status if is_stream else status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_given: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_given: None  # type: ignore[method-assign]
        if authority is not None:
            server.socket = _server_context(authority).wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http{'s' if authority else ''}://127.0.0.1:{server.server_port}"
        finally:
            gate.set()
            server.shutdown()
            thread.join()


def _server_context(authority: Authority) -> ssl.SSLContext:
    issued = authority.issue_server(["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = Path(folder, "certificate"), Path(folder, "key")
        certificate.write_text(issued.certificate_pem)
        key.write_text(issued.key_pem)
        context.load_cert_chain(certificate, key)
    return context
