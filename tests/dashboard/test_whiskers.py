"""Intervals drawn as HTML: on which line, and where on it."""

import pytest

from dashboard.numbers_view import scale_of, whiskers


def measure(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


@pytest.mark.parametrize(
    ("name", "beside", "ends"),
    [
        ("dice", [measure(0.5, 0.4, 0.6)], (0, 1)),
        ("mae", [measure(3, 2, 4), measure(5, 4, 8)], (0, 8)),
        ("bias", [measure(1, -1, 2), measure(-6, -8, -4)], (-8, 8)),
        ("r2", [measure(-0.5, -2, 0.1)], (-2, 1)),
        ("mcc", [measure(0.5, 0.4, 0.6)], (-1, 1)),
        ("hd95_mm", [measure(None)], (0, 1e-9)),
    ],
)
def test_a_scale_is_that_of_shares_or_reaches_as_far_as_what_stands_beside(name, beside, ends) -> None:
    assert scale_of(name, beside) == ends


def test_whiskers_lie_where_the_interval_does_and_nothing_stands_for_no_number() -> None:
    drawn = whiskers(measure(5, 4, 8), 0, 10, thin=True)
    assert drawn == (
        '<span class="rr-whiskers rr-thin"><i style="left:40.0%;width:40.0%"></i><b style="left:50.0%"></b></span>'
    )
    assert "<i" not in whiskers(measure(5), 0, 10)
    assert whiskers(measure(None), 0, 1) == ""
