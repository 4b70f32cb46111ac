"""The figures about measured numbers: what lies where, and that a click on a point is understood."""

import pytest

from core.evaluation.pairs import Pair
from dashboard import quantity_charts, wording

PAIRS = [Pair(7, 10.0, 14.0), Pair(8, 30.0, 28.0)]
METRICS = {
    "bias": {"value": 1.0, "low": -2.0, "high": 4.0},
    "limit_low": {"value": -7.3, "low": -9.0, "high": -5.0},
    "limit_high": {"value": 9.3, "low": None, "high": None},
}


def test_predictions_lie_over_references_and_each_point_carries_its_case() -> None:
    band, line, points = quantity_charts.draw_pairs(PAIRS, "years", {"half_width": 3.0, "level": 0.9, "n": 40}).data
    assert (list(points.x), list(points.y)) == ([10.0, 30.0], [14.0, 28.0])
    assert [told[0] for told in points.customdata] == [7, 8]
    assert list(line.x) == list(line.y), "the line on which both are equal"
    edge = [round(y - x, 9) for x, y in zip(band.x, band.y, strict=True)]
    assert edge == [3] * (len(edge) // 2) + [-3] * (len(edge) // 2)
    assert band.name == "± 3 years, meant for 90 % of cases"


def test_the_band_widens_with_the_numbers_where_the_interval_does() -> None:
    interval = {"half_width": 3.0, "level": 0.9, "n": 40, "middle": 20.0, "grows": 0.1}
    band, *_ = quantity_charts.draw_pairs(PAIRS, "years", interval).data
    reach = {round(y, 6): round(abs(y - x), 6) for x, y in zip(band.x, band.y, strict=True)}
    assert all(width == pytest.approx(3 + 0.1 * (said - 20), abs=1e-4) for said, width in reach.items())
    assert "wider for larger numbers" in band.name


def test_a_model_without_interval_has_no_band() -> None:
    assert len(quantity_charts.draw_pairs(PAIRS, "years", None).data) == 2


def test_differences_lie_over_means_with_bias_limits_and_those_of_their_intervals_that_there_are() -> None:
    figure = quantity_charts.draw_differences(PAIRS, "years", METRICS)
    (points,) = figure.data
    assert (list(points.x), list(points.y)) == ([12.0, 29.0], [4.0, -2.0])
    lines = [shape.y0 for shape in figure.layout.shapes if shape.type == "line"]
    shades = [(shape.y0, shape.y1) for shape in figure.layout.shapes if shape.type == "rect"]
    assert (lines, shades) == ([1.0, -7.3, 9.3], [(-2.0, 4.0), (-9.0, -5.0)])


def test_splits_share_one_axis_and_an_empty_one_has_its_place() -> None:
    figure = quantity_charts.draw_spread({"train": [1.0, 2.0, 9.0], "validation": [], "test": [4.0]}, "age, years")
    assert [list(bars.x) for bars in figure.data] == [[1.0, 2.0, 9.0], [], [4.0]]
    assert len({(bars.xbins.start, bars.xbins.size) for bars in figure.data}) == 1
    assert [note.text for note in figure.layout.annotations] == ["train", "validation", "test"]


def test_one_and_the_same_number_everywhere_has_a_bar() -> None:
    (bars,) = quantity_charts.draw_spread({"train": [3.0, 3.0]}, "age, years").data
    assert bars.xbins.size > 0


@pytest.mark.parametrize(
    ("event", "case"),
    [
        ({"selection": {"points": [{"customdata": [7, "10", "14", "4"]}]}}, 7),
        ({"selection": {"points": [{"x": 1.0}]}}, None),
        ({"selection": {"points": []}}, None),
        (None, None),
    ],
)
def test_a_click_names_its_case(event: object, case: int | None) -> None:
    assert quantity_charts.clicked_case(event) == case


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.03124, "0.0312"), (36.96, "37.0"), (1234.6, "1,235"), (-4.777, "−4.78"), (0.0, "0"), (None, "–")],
)
def test_a_quantity_is_written_to_three_figures_and_never_coarser_than_ones(value: float | None, text: str) -> None:
    assert wording.measured(value) == text
