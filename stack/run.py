"""`make run`: the whole pipeline on one machine until Ctrl-C, with its live page."""

import time
from pathlib import Path

from stack.local import HOST, LocalStack
from stack.ports import require_free

# Readings are kept from run to run, so that the page has a past to show; all else is fresh.
FOLDER = Path("build/run")
_WATCH_SECONDS = 0.5


def run_until_stopped(
    *, fleet: str | Path, devices: int, qos: str | None, via: str, store: str, port: int
) -> None:
    """Run broker, store, ingest, API and fleet; return never, but by an exception.

    KeyboardInterrupt is Ctrl-C; PortTaken, MosquittoMissing and ProcessFailed say what is wrong.
    """
    require_free(HOST, port, "--port (make run PORT=…)")
    FOLDER.mkdir(parents=True, exist_ok=True)
    store_url = f"sqlite:///{(FOLDER / 'denyut.sqlite').resolve()}"
    with LocalStack(store_url=store_url, logs=FOLDER / "logs") as local:
        way, level = local.ways.chosen(via, qos)
        print("starting the broker, ingest and the API …", flush=True)
        local.start_broker()
        if store == "influxdb":
            local.start_influxdb(FOLDER.resolve() / "influxdb")
        local.start_ingest(ways=[way] if way else ())
        api = local.start_api(port=port)
        local.start_fleet(fleet, devices=devices, qos=level, way=way)
        print(f"{devices} devices are publishing over {via}; the live page: {api.url}/", flush=True)
        print(f"logs in {FOLDER / 'logs'}, readings in {FOLDER}; Ctrl-C stops it all", flush=True)
        while True:
            local.check_running()
            time.sleep(_WATCH_SECONDS)
