"""Which passwords are good enough, and what is kept of them."""

import hashlib
import threading
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import InvalidInput
from core.people.passwords import SUMS_AT_ONCE, check_password, hash_password, is_password

GOOD = "seven blue horses"


def test_only_the_right_password_fits() -> None:
    kept = hash_password(GOOD)
    assert is_password(GOOD, kept)
    assert not is_password(GOOD + " ", kept)
    assert not is_password("", kept)
    assert not is_password(GOOD, None)


def test_what_is_kept_is_scrypt_with_its_parameters_and_a_salt_of_its_own() -> None:
    first, second = hash_password(GOOD), hash_password(GOOD)
    assert first != second
    name, cost, block, lanes, salt, key = first.split("$")
    assert (name, int(cost), int(block), int(lanes)) == ("scrypt", 2**15, 8, 3)  # OWASP's for 32 MiB
    known = hashlib.scrypt(
        GOOD.encode(), salt=b64decode(salt), n=2**15, r=8, p=3, dklen=32, maxmem=64 << 20
    )  # by the standard library alone, as RFC 7914 says
    assert b64decode(key) == known
    assert len(b64decode(salt)) == 16


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "at least 12"),
        ("seven blue horses " * 8, "at most 128"),
        ("aaaaaaaaaaaaaaaa", "different characters"),
        ("anna-readroom-1", "more than your name"),
        ("readroompassword", "more than your name"),
        ("1q2w3e4r5t6y", "commonest"),
        ("Correct Horse Battery Staple", "commonest"),
        ("iloveyouiloveyou", "commonest"),
        ("Welcome-2026!!", "commonest"),
        ("2026radiology!", "commonest"),
        ("qwertyuiop12", "commonest"),
    ],
)
def test_what_is_guessed_first_is_refused(password: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as refused:
        check_password(password, "anna")
    assert password not in str(refused.value)


@pytest.mark.parametrize("password", [GOOD, "welcome the sunshine", "x7" * 60 + "qwerty!?", "radiology is our trade"])
def test_a_few_words_are_good(password: str) -> None:
    check_password(password, "anna")


def test_a_longer_password_of_before_still_fits() -> None:
    kept = hash_password("x" * 256)
    assert is_password("x" * 256, kept)
    assert not is_password("x" * 128, kept)
    assert not is_password("x" * 300, kept)


def test_no_more_than_a_few_sums_take_memory_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, full, under_way, most = threading.Lock(), threading.Event(), 0, 0

    def counted(*_: object, **__: object) -> bytes:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        if most > SUMS_AT_ONCE:
            full.set()
        full.wait(0.05)  # long enough for the others to come in, if they can
        with lock:
            under_way -= 1
        return b""

    monkeypatch.setattr(hashlib, "scrypt", counted)
    with ThreadPoolExecutor(12) as people:
        list(people.map(hash_password, [GOOD] * 24))
    assert 1 <= most <= SUMS_AT_ONCE
