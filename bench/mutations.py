"""Damage to files, drawn from a seed: the same number gives the same damage again, on any machine."""

import gzip
import random
import re
import struct
import zlib
from collections.abc import Callable

MOST_AT_ONCE = 4
MOST_GROWN = 4096  # bytes that one mutation adds at most
START = 512  # where headers are: every second mutation falls there
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
WORDS = (b"0", b"-1", b"1e30", b"nan", b"inf", b"99999999999999999999", b"4294967296", b"\\", b"..", b"/", b"\0", b"%s")
DIGITS = re.compile(rb"-?\d[\d.]*")

Mutation = Callable[[bytearray, random.Random, bytes], str]


def mutate(content: bytes, rng: random.Random, other: bytes) -> tuple[bytes, str]:
    """Damaged bytes, and what was done to them in words.

    Args:
        other: another file, pieces of which may come in.
    """
    unpacked = _unpacked(content) if rng.random() < 0.5 else None
    damaged = bytearray(content if unpacked is None else unpacked)
    done = [rng.choice(MUTATIONS)(damaged, rng, other) for _ in range(rng.randint(1, MOST_AT_ONCE))]
    if unpacked is not None:
        return gzip.compress(bytes(damaged), mtime=0), f"unpacked; {'; '.join(done)}"
    if damaged.startswith(b"\x89PNG") and rng.random() < 0.7:
        return with_sums(bytes(damaged)), f"{'; '.join(done)}; with the sums of its chunks put right"
    return bytes(damaged), "; ".join(done)


def with_sums(png: bytes) -> bytes:
    """A PNG whose chunks have the sums of what is in them, so that a reader looks at that."""
    made, at = bytearray(png[:8]), 8
    while at + 12 <= len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if at + 12 + length > len(png):
            break
        chunk = png[at + 4 : at + 8 + length]
        made += struct.pack(">I", length) + chunk + struct.pack(">I", zlib.crc32(chunk))
        at += 12 + length
    return bytes(made) + png[at:]


def _unpacked(content: bytes) -> bytes | None:
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else None


def _place(content: bytearray, rng: random.Random) -> int:
    return rng.randrange(max(1, min(len(content), START) if rng.random() < 0.5 else len(content)))


def _flip(content: bytearray, rng: random.Random, other: bytes) -> str:
    count = rng.choice((1, 2, 8, 64))
    for _ in range(count if content else 0):
        content[_place(content, rng)] ^= 1 << rng.randrange(8)
    return f"{count} bits flipped"


def _overwrite(content: bytearray, rng: random.Random, other: bytes) -> str:
    at, length = _place(content, rng), rng.choice((1, 4, 16, 128))
    content[at : at + length] = rng.randbytes(length)
    return f"{length} bytes from {at} overwritten"


def _number(content: bytearray, rng: random.Random, other: bytes) -> str:
    size, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
    at, value = _place(content, rng), rng.choice(EXTREMES)
    value = min(value, (1 << 8 * size) - 1)
    content[at : at + size] = value.to_bytes(size, order)
    return f"{value:#x} in {size} bytes, {order}, at {at}"


def _word(content: bytearray, rng: random.Random, other: bytes) -> str:
    found = [match.span() for match in DIGITS.finditer(content)]
    if not found:
        return _number(content, rng, other)
    (start, end), word = rng.choice(found), rng.choice(WORDS)
    if rng.random() < 0.5:  # in its place, so that lengths stay right
        content[start:end] = word[: end - start].ljust(end - start)
        return f"{word!r} over the number at {start}"
    content[start:end] = word
    return f"{word!r} for the number at {start}"


def _truncate(content: bytearray, rng: random.Random, other: bytes) -> str:
    length = rng.randrange(len(content) + 1)
    del content[length:]
    return f"cut off at {length}"


def _remove(content: bytearray, rng: random.Random, other: bytes) -> str:
    at, length = _place(content, rng), rng.choice((1, 2, 16, 200))
    del content[at : at + length]
    return f"{length} bytes from {at} removed"


def _insert(content: bytearray, rng: random.Random, other: bytes) -> str:
    at, length = _place(content, rng), rng.choice((1, 2, 16, 200))
    content[at:at] = rng.randbytes(length)
    return f"{length} bytes put in at {at}"


def _repeat(content: bytearray, rng: random.Random, other: bytes) -> str:
    at, length = _place(content, rng), rng.choice((4, 32, 256))
    piece = bytes(content[at : at + length])
    times = rng.randint(1, max(1, MOST_GROWN // length))
    content[at:at] = piece * times
    return f"{length} bytes from {at} repeated {times} times"


def _swap(content: bytearray, rng: random.Random, other: bytes) -> str:
    one, two, length = _place(content, rng), _place(content, rng), rng.choice((2, 8, 64))
    first, second = bytes(content[one : one + length]), bytes(content[two : two + length])
    content[one : one + len(first)], content[two : two + len(second)] = second, first
    return f"{length} bytes of {one} and {two} swapped"


def _splice(content: bytearray, rng: random.Random, other: bytes) -> str:
    at, start = _place(content, rng), rng.randrange(max(1, len(other)))
    piece = other[start : start + rng.choice((16, 256, MOST_GROWN))]
    content[at : at + len(piece)] = piece
    return f"{len(piece)} bytes of another file at {at}"


def _blank(content: bytearray, rng: random.Random, other: bytes) -> str:
    at, length, value = _place(content, rng), rng.choice((8, 64, 512)), rng.choice((0, 0xFF, 0x20))
    end = min(len(content), at + length)
    content[at:end] = bytes([value]) * (end - at)
    return f"{end - at} bytes from {at} set to {value:#x}"


MUTATIONS: tuple[Mutation, ...] = (
    _flip, _overwrite, _number, _number, _number, _word, _truncate, _remove, _insert, _repeat, _swap, _splice, _blank,
)  # fmt: skip
