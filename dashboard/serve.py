"""`python -m dashboard.serve --home DIR --host H --port P ...`: the web process, and nothing else."""

import argparse
import gc
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from core.errors import CoreError
from core.logs import start_log
from core.people.homes import enter_home
from core.settings import PROJECT_ROOT, load_settings
from dashboard.certificate import Certificate, make_context
from dashboard.reach import Reach, add_options, check_reach, reach_of

LARGEST_MESSAGE_BYTES = 64 << 20
GOODBYE_SECONDS = 3
CALLERS_WAITING = 2048


def serve(home: Path | None, reach: Reach) -> None:
    """Serve until asked to stop (Ctrl-C, SIGTERM); open websockets get a moment to end.

    Raises:
        CoreError: the home cannot be used, the port is taken, or it would be reached without TLS.
    """
    check_reach(reach)
    settings = load_settings(home)
    enter_home(settings)
    start_log(settings, "web")
    door = _listen(reach.host, reach.port)
    # Streamlit reads `.streamlit/config.toml` beside `dashboard/app.py`, which is ours and is in the wheel too, but
    # before it that of the working directory: from the root, settings of somebody else's application stay out.
    os.chdir(PROJECT_ROOT)
    # Loaded only now: a taken port is told at once, not after two seconds of imports.
    import uvicorn

    from dashboard.server import make_app

    # Our own uvicorn instead of `streamlit run`: a trivial click falls from 50-90 ms to about 8 ms.
    config = uvicorn.Config(
        make_app(settings, reach),
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=LARGEST_MESSAGE_BYTES,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=bool(reach.proxies),
        forwarded_allow_ips=list(reach.proxies),
        ssl_context_factory=_tls(reach.certificate) if reach.certificate else None,
        timeout_graceful_shutdown=GOODBYE_SECONDS,
    )
    gc.freeze()  # what is loaded now stays; a collection need not look at it again
    uvicorn.Server(config).run(sockets=[door])


def _tls(certificate: Certificate) -> Callable[[object, object], ssl.SSLContext]:
    return lambda *_: make_context(certificate)


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
    add_options(parser)
    given = parser.parse_args(arguments)
    try:
        serve(given.home, reach_of(given))
    except CoreError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
