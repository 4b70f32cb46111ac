"""Which addresses are one caller."""

import pytest

from core.people.callers import caller_of


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2::7", "20010db800010002::/64"),
        ("2001:db8:1:2:ffff::", "20010db800010002::/64"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_an_ipv6_caller_counts_by_the_half_that_is_given_out(address: str, caller: str) -> None:
    assert caller_of(address) == caller
