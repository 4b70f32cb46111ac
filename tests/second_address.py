"""A second address of this machine, by which it is reached as from a network."""

import pytest

from bench.server import SECOND_LOOPBACK, free_port


def free_port_there() -> int:
    """A free port of it; where this machine has no such address (macOS), the tests skip."""
    try:
        return free_port(SECOND_LOOPBACK)
    except OSError:
        pytest.skip(f"{SECOND_LOOPBACK} is not an address of this machine: sudo ifconfig lo0 alias {SECOND_LOOPBACK}")
