"""A web process of ten lines for tests of `up`: it answers /healthz, and dies where it is told to."""

import argparse
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

parser = argparse.ArgumentParser()
for option in ("--home", "--host", "--port"):
    parser.add_argument(option)
given, _ = parser.parse_known_args()
if (Path(given.home) / "refuse").exists():
    raise SystemExit("fake web: no file config.toml")


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()


HTTPServer((given.host, int(given.port)), Health).serve_forever()
