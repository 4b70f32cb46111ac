"""Passwords: which are good enough, and how they are kept (scrypt, RFC 7914, with OWASP's parameters of 32 MiB)."""

import hashlib
import re
import secrets
import threading
from base64 import b64decode, b64encode

from core.errors import InvalidInput
from core.people.commonest import COMMONEST

COST, BLOCK, LANES = 1 << 15, 8, 3
SALT_BYTES, KEY_BYTES = 16, 32
LEAST_CHARACTERS, MOST_CHARACTERS = 12, 128
READ_CHARACTERS = 256  # as many were taken once, and whoever has so long a password still gets in
LEAST_DIFFERENT = 5
# Each sum takes 32 MiB: forty people who come at once wait a moment instead of taking 1.3 GB.
SUMS_AT_ONCE = 4
_SUMS = threading.BoundedSemaphore(SUMS_AT_ONCE)


def hash_password(password: str) -> str:
    """`scrypt$COST$BLOCK$LANES$salt$key`: the parameters stay with the sum, so they can be raised later."""
    salt = secrets.token_bytes(SALT_BYTES)
    key = _derive(password, salt, COST, BLOCK, LANES)
    return f"scrypt${COST}${BLOCK}${LANES}${b64encode(salt).decode()}${b64encode(key).decode()}"


def is_password(password: str, stored: str | None) -> bool:
    """Whether this is the password of the stored sum. Without one it takes as long and is False."""
    _, cost, block, lanes, salt, key = (stored or NOBODY).split("$")
    derived = _derive(password[: READ_CHARACTERS + 1], b64decode(salt), int(cost), int(block), int(lanes))
    return secrets.compare_digest(derived, b64decode(key)) and stored is not None


def check_password(password: str, name: str) -> None:
    """Refuse what is guessed first.

    Raises:
        InvalidInput: too short, too long, a few characters over and over, made of the user's name, or very common.
    """
    if len(password) < LEAST_CHARACTERS:
        raise InvalidInput(f"Choose a password of at least {LEAST_CHARACTERS} characters; a few words are good.")
    if len(password) > MOST_CHARACTERS:
        raise InvalidInput(f"Choose a password of at most {MOST_CHARACTERS} characters.")
    if len(set(password)) < LEAST_DIFFERENT:
        raise InvalidInput(f"Choose a password with at least {LEAST_DIFFERENT} different characters.")
    rest = password.casefold().replace(name.casefold(), "").replace("readroom", "").replace("password", "")
    if len(rest) < LEAST_CHARACTERS // 2:
        raise InvalidInput("Choose a password that is more than your name, “readroom” or “password”.")
    if _is_common(password):
        raise InvalidInput("Choose a password that is not among the commonest; a few words of your own are good.")


def _is_common(password: str) -> bool:
    """Whether a password is one of the commonest, repeats one, or adds nothing but digits and signs to one."""
    plain = re.sub(r"[\W_]", "", password.casefold())
    stems = {plain, plain.rstrip("0123456789"), plain.strip("0123456789")}
    return any(stem == word * (len(stem) // len(word)) for stem in stems - {""} for word in COMMONEST)


def _derive(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    memory = 128 * block * (cost + lanes + 2)
    with _SUMS:
        return hashlib.scrypt(
            password.encode(), salt=salt, n=cost, r=block, p=lanes, dklen=KEY_BYTES, maxmem=memory + (1 << 20)
        )


# What a sign-in under an unknown name is held against, so that it takes as long as one under a known name.
NOBODY = f"scrypt${COST}${BLOCK}${LANES}${b64encode(bytes(SALT_BYTES)).decode()}${b64encode(bytes(KEY_BYTES)).decode()}"
