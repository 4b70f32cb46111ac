"""Certificates for tests, made by openssl; where there is none, these tests skip."""

import shutil
import subprocess
from pathlib import Path

import pytest

from dashboard.certificate import Certificate

PRIME = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")  # quicker than RSA


def make_certificate(folder: Path, *, days: int = 365, names: str = "DNS:ward.example,IP:127.0.0.2") -> Certificate:
    """A self-signed pair in a folder."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is absent: sudo apt-get install openssl")
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(folder / "readroom.crt", folder / "readroom.key")
    words = ("-days", str(days), "-subj", "/CN=ward.example", "-addext", f"subjectAltName={names}")
    subprocess.run(
        [openssl, "req", "-x509", *PRIME, "-nodes", *words, "-keyout", str(made.key), "-out", str(made.path)],
        check=True,
        capture_output=True,
    )
    return made
