"""A certificate that will not do is refused in words before anything starts."""

import ssl
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.errors import InvalidInput
from dashboard.certificate import Certificate, certificate_der, check_certificate, make_context, validity
from tests.dashboard.certificates import make_certificate


@pytest.fixture
def pair(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


def test_its_days_are_counted(pair: Certificate) -> None:
    now = datetime.now(UTC)
    assert check_certificate(pair, now) in (364, 365)
    assert check_certificate(pair, now + timedelta(days=350)) in (14, 15)


def test_the_dates_are_those_that_openssl_reads(pair: Certificate) -> None:
    told = subprocess.run(
        ["openssl", "x509", "-in", str(pair.path), "-noout", "-startdate", "-enddate"],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    seconds = [ssl.cert_time_to_seconds(line.partition("=")[2]) for line in told]
    assert [date.timestamp() for date in validity(certificate_der(pair))] == seconds


def test_a_date_beyond_2049_is_read_too(tmp_path: Path) -> None:
    """RFC 5280 writes it in another form."""
    _, ends = validity(certificate_der(make_certificate(tmp_path, days=365 * 40)))
    assert ends.year > 2049


def test_one_that_ran_out_is_refused(pair: Certificate) -> None:
    with pytest.raises(InvalidInput, match="ran out on"):
        check_certificate(pair, datetime.now(UTC) + timedelta(days=366))


def test_one_that_is_not_good_yet_points_at_the_clock(pair: Certificate) -> None:
    with pytest.raises(InvalidInput, match="mend the clock"):
        check_certificate(pair, datetime.now(UTC) - timedelta(days=1))


def test_a_key_of_another_certificate_is_refused(pair: Certificate, tmp_path: Path) -> None:
    other = make_certificate(tmp_path / "other")
    with pytest.raises(InvalidInput, match="does not belong"):
        make_context(replace(pair, key=other.key))


def test_a_missing_file_is_named(pair: Certificate, tmp_path: Path) -> None:
    for part in ("path", "key"):
        with pytest.raises(InvalidInput, match=r"No such file.*gone\.pem"):
            make_context(replace(pair, **{part: tmp_path / "gone.pem"}))


def test_what_is_no_pem_file_is_refused(pair: Certificate, tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    for part in ("path", "key"):
        with pytest.raises(InvalidInput, match="PEM form"):
            make_context(replace(pair, **{part: tmp_path / "image.png"}))


def test_a_key_with_a_passphrase_is_refused_without_asking_for_it(pair: Certificate, tmp_path: Path) -> None:
    closed = tmp_path / "closed.key"
    words = ("pkey", "-in", str(pair.key), "-aes128", "-passout", "pass:abcd", "-out", str(closed))
    subprocess.run(["openssl", *words], check=True, capture_output=True)
    with pytest.raises(InvalidInput, match=r"has a passphrase.*openssl pkey"):
        make_context(replace(pair, key=closed))


def test_nothing_older_than_tls_1_2_is_spoken(pair: Certificate) -> None:
    assert make_context(pair).minimum_version == ssl.TLSVersion.TLSv1_2
