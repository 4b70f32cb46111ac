"""`python -m dashboard.serve --home DIR --host H --port P`: the web process, and nothing else."""

import argparse
import gc
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from core.errors import CoreError
from core.settings import PROJECT_ROOT, load_settings
from core.store.database import prepare_home

LARGEST_MESSAGE_BYTES = 64 << 20
GOODBYE_SECONDS = 3
CALLERS_WAITING = 2048


def serve(home: Path | None, host: str, port: int, names: frozenset[str] = frozenset()) -> None:
    """Serve until asked to stop (Ctrl-C, SIGTERM); open websockets get a moment to end.

    Raises:
        CoreError: the home cannot be used, or the port is taken.
    """
    settings = load_settings(home)
    prepare_home(settings)
    door = _listen(host, port)
    # Streamlit looks for `.streamlit/config.toml` in the working directory, and only there finds ours.
    os.chdir(PROJECT_ROOT)
    # Loaded only now: a taken port is told at once, not after two seconds of imports.
    import uvicorn

    from dashboard.server import make_app

    # Our own uvicorn instead of `streamlit run`: a trivial click falls from 50-90 ms to about 8 ms.
    config = uvicorn.Config(
        make_app(settings, host=host, port=port, names=names),
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=LARGEST_MESSAGE_BYTES,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GOODBYE_SECONDS,
    )
    gc.freeze()  # what is loaded now stays; a collection need not look at it again
    uvicorn.Server(config).run(sockets=[door])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=CALLERS_WAITING)
    except OSError as error:
        raise CoreError(
            f"Readroom cannot listen there ({error.strerror}); stop what does, or choose another with --port. "
            f"Received: port {port} of {host}"
        ) from error


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m dashboard.serve", description=__doc__)
    parser.add_argument("--home", type=Path, default=None)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--name", action="append", default=[], help="a further host name to answer to")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        serve(given.home, given.host, given.port, frozenset(given.name))
    except CoreError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
