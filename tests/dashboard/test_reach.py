"""Who can come, what that asks for, and which address is shown."""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.errors import InvalidInput
from dashboard.certificate import Certificate
from dashboard.reach import Reach, add_options, check_reach, reach_of
from tests.dashboard.certificates import make_certificate

PAIR = Certificate(Path("/etc/readroom.crt"), Path("/etc/readroom.key"))


def parsed(*options: str) -> Reach:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return reach_of(parser.parse_args(options))


@pytest.mark.parametrize("reach", [Reach(), Reach("::1"), Reach("localhost"), Reach(names=("localhost",))])
def test_on_this_machine_alone_neither_accounts_nor_tls_are_asked_for(reach: Reach) -> None:
    assert not reach.from_elsewhere
    assert not reach.https_only
    assert check_reach(reach) is None


@pytest.mark.parametrize(
    "reach",
    [Reach("0.0.0.0"), Reach("::"), Reach("127.0.0.2"), Reach("10.0.0.7"), Reach("ward"), Reach(names=("ward",))],
)
def test_where_others_can_come_tls_is_asked_for(reach: Reach) -> None:
    assert reach.from_elsewhere
    with pytest.raises(InvalidInput, match=r"--insecure.*openssl req"):
        check_reach(reach)


def test_a_proxy_in_front_means_accounts_although_the_socket_is_on_loopback() -> None:
    reach = Reach(proxies=("127.0.0.1",))
    assert reach.from_elsewhere
    assert reach.https_only
    assert check_reach(reach) is None


def test_insecure_asks_for_accounts_all_the_same() -> None:
    reach = Reach("0.0.0.0", insecure=True)
    assert check_reach(reach) is None
    assert reach.from_elsewhere
    assert not reach.https_only


def test_the_certificate_is_looked_at_and_its_days_are_told(tmp_path: Path) -> None:
    reach = Reach("0.0.0.0", certificate=make_certificate(tmp_path))
    assert check_reach(reach) in (364, 365)
    with pytest.raises(InvalidInput, match="ran out"):
        check_reach(reach, datetime.now(UTC) + timedelta(days=400))


@pytest.mark.parametrize(
    ("reach", "shown"),
    [
        (Reach(), "http://127.0.0.1:8501"),
        (Reach("0.0.0.0", insecure=True), "http://127.0.0.1:8501"),
        (Reach("::1", 8600), "http://[::1]:8600"),
        (Reach("127.0.0.2", certificate=PAIR), "https://127.0.0.2:8501"),
        (Reach("0.0.0.0", 443, ("ward.example", "other"), PAIR), "https://ward.example"),
        (Reach("0.0.0.0", 8501, ("ward.example",), PAIR), "https://ward.example:8501"),
        (Reach(names=("ward.example",), proxies=("127.0.0.1",)), "https://ward.example"),
        (Reach(names=("ward.example",), proxies=("127.0.0.1",), insecure=True), "http://ward.example"),
        (Reach(proxies=("127.0.0.1",)), "http://127.0.0.1:8501"),
        (Reach(names=("ward.example",), proxies=("127.0.0.1",), prefix="/readroom"), "https://ward.example/readroom"),
    ],
)
def test_the_address_shown_is_the_one_to_open(reach: Reach, shown: str) -> None:
    assert reach.url == shown


@pytest.mark.parametrize(
    "reach",
    [
        Reach(),
        Reach("0.0.0.0", 8600, ("ward.example", "fd00::7"), PAIR),
        Reach(proxies=("127.0.0.1", "172.18.0.0/16"), insecure=True),
        Reach(proxies=("127.0.0.1",), prefix="/apps/readroom"),
    ],
)
def test_the_options_passed_on_are_read_back_as_the_same(reach: Reach) -> None:
    assert parsed(*reach.options()) == reach


def test_a_prefix_may_end_in_a_slash() -> None:
    assert parsed("--prefix", "/readroom/").prefix == "/readroom"
    assert parsed("--prefix", "/").prefix == parsed().prefix == ""


def test_a_relative_certificate_is_found_from_any_folder() -> None:
    certificate = parsed("--tls-cert", "a.crt", "--tls-key", "a.key").certificate
    assert certificate is not None
    assert certificate.path == Path.cwd() / "a.crt"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tls-cert", "a.crt"], "together.*Received: --tls-cert alone"),
        (["--tls-key", "a.key"], "together.*Received: --tls-key alone"),
        (["--allowed-host", "https://ward.example"], "without https:// and port"),
        (["--allowed-host", "ward.example:8501"], "without https:// and port"),
        (["--proxy", "proxy.example"], "address of a reverse proxy"),
        (["--proxy", "*"], "address of a reverse proxy"),
        (["--prefix", "readroom"], "as /readroom.*Received: readroom"),
        (["--prefix", "https://ward.example/readroom"], "as /readroom"),
        (["--prefix", "/readroom/../other"], "as /readroom"),
        (["--prefix", "//evil.example"], "as /readroom"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: list[str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parsed(*options)
