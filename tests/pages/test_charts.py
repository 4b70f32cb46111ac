"""The figures: what they say, and that a click on a cell is understood."""

import re

import pytest

from core.projects.schema import COLOURS
from dashboard import charts, wording
from dashboard.evaluation_view import describe_thresholds, say_metric

MATRIX = [[8, 2], [1, 9]]
CLASSES = ["normal", "viral_pneumonia"]


def markers(share_of_row: bool = False) -> dict:  # type: ignore[type-arg]
    figure = charts.draw_confusion_matrix(MATRIX, CLASSES, share_of_row=share_of_row).to_plotly_json()
    return figure["data"][1]


def test_a_marker_lies_over_each_cell_and_carries_it() -> None:
    scatter = markers()
    assert [cell[:2] for cell in scatter["customdata"]] == [[0, 0], [0, 1], [1, 0], [1, 1]]
    # A heat map draws its first row at y = 0 and its first column at x = 0.
    assert list(scatter["x"]) == [0, 1, 0, 1]
    assert list(scatter["y"]) == [0, 0, 1, 1]
    assert list(scatter["text"]) == ["8", "2", "1", "9"]


def test_cells_can_show_the_share_of_their_row() -> None:
    assert list(markers(share_of_row=True)["text"]) == ["80.0 %", "20.0 %", "10.0 %", "90.0 %"]


def test_a_row_without_cases_has_no_share() -> None:
    figure = charts.draw_confusion_matrix([[0, 0], [1, 1]], CLASSES, share_of_row=True)
    assert list(figure.data[1].text)[:2] == ["0.0 %", "0.0 %"]


@pytest.mark.parametrize("draw", [charts.draw_roc, charts.draw_precision_recall])
def test_a_single_curve_has_its_legend(draw) -> None:  # type: ignore[no-untyped-def]
    curve = {"recall": [0, 1], "precision": [1, 0.5], "false_positive_rate": [0, 1], "true_positive_rate": [0, 1]}
    legend = "pneumonia: 0.526 (0.278–0.887), n = 7"
    shown = [trace.name for trace in draw({"pneumonia": curve}, {"pneumonia": legend}).data if trace.showlegend]
    assert shown == [legend]


def test_a_click_names_its_cell_and_no_click_none() -> None:
    clicked = {"selection": {"points": [{"customdata": [1, 0, "pneumonia", "normal", 1, 10]}]}}
    assert charts.clicked_cell(clicked) == (1, 0)
    assert charts.clicked_cell({"selection": {"points": []}}) is None
    assert charts.clicked_cell(None) is None


def test_a_curve_leaves_out_epochs_without_the_measure() -> None:
    epochs = [{"epoch": 1, "loss": 0.7, "auc": None}, {"epoch": 2, "loss": 0.5, "auc": 0.8}]
    figure = charts.draw_learning_curves(epochs, {"loss": "loss", "AUC": "auc"}, "Loss", best_epoch=2)
    assert [len(line.x) for line in figure.data] == [2, 1]


def test_nothing_but_the_curves_stands_in_the_plot_of_a_training() -> None:
    epochs = [{"epoch": at, "accuracy": 0.9, "auc": 0.8} for at in (1, 2)]
    figure = charts.draw_learning_curves(epochs, {"training": "accuracy", "AUC": "auc"}, "Accuracy", best_epoch=2)
    assert not any(line.showlegend for line in figure.data), "three rows of a legend took half the height"
    assert not figure.layout.annotations
    assert re.findall(r">━</span> (\w+)", figure.layout.title.subtitle.text) == ["training", "AUC"]
    assert figure.layout.xaxis.title.text == "epoch, dotted: the best, 2"


def test_whiskers_reach_from_low_to_high() -> None:
    figure = charts.draw_intervals({"AUC": {"value": 0.9, "low": 0.85, "high": 0.95}, "F1": {"value": None}}, "Numbers")
    (dots,) = figure.data
    assert list(dots.y) == ["AUC"]
    assert dots.error_x.array[0] == pytest.approx(0.05)
    assert dots.error_x.arrayminus[0] == pytest.approx(0.05)


def test_a_threshold_that_is_not_a_half_does_not_read_as_one() -> None:
    said = [describe_thresholds({"thresholds": {"ill": {"value": value}}}) for value in (0.5, 0.49981, 0.3)]
    assert said == [f"Threshold: ill from {value} on." for value in ("0.500", "0.49981", "0.300")]


def test_a_threshold_that_somebody_moved_is_told_beside_those_that_stayed():
    stayed = {"value": 0.4, "rule": "as found", "n": 1200}
    assert describe_thresholds({"thresholds": {"ill": stayed, "old": {**stayed, "value": 0.3}}}) == (
        "Threshold: ill from 0.400 on, old from 0.300 on; rule: as found, n = 1,200."
    )
    moved = {"value": 0.3, "rule": "chosen by anna on validation", "n": 1200}
    assert describe_thresholds({"thresholds": {"ill": stayed, "old": moved}}) == (
        "Threshold: ill from 0.400 on (as found, n = 1,200), "
        "old from 0.300 on (chosen by anna on validation, n = 1,200)."
    )


def test_quantities_of_painted_structures_are_said_to_three_figures() -> None:
    assert (say_metric("hd95_mm", 19.2481), say_metric("dice", 0.2254)) == ("19.2", "0.225")


def test_ten_series_have_ten_colours() -> None:
    assert len(set(COLOURS)) == 10


def test_numbers_read_with_their_interval() -> None:
    assert wording.interval({"value": 0.9123, "low": 0.88, "high": 0.944}) == "0.912 (0.880 to 0.944)"
    assert wording.interval({"value": 0.9, "low": None, "high": None}) == "0.900 (no interval)"
    assert wording.interval({"value": None}) == "–"
    assert (wording.duration(59), wording.duration(200), wording.duration(7500)) == ("59 s", "3 min 20 s", "2 h 05 min")
    assert (wording.duration(0.4), wording.number(-0.349), wording.number(0.5)) == ("under 1 s", "−0.349", "0.500")
    assert (wording.size(999), wording.size(4_200_000)) == ("999 B", "4.2 MB")
    assert (wording.count(1, "case"), wording.count(1024, "case")) == ("1 case", "1,024 cases")


def test_few_epochs_have_a_tick_each_and_none_between() -> None:
    epochs = [{"epoch": at, "loss": 1.0 / at} for at in (1, 2, 3)]
    assert charts.draw_learning_curves(epochs, {"training": "loss"}, "Loss").layout.xaxis.dtick == 1


def test_a_curve_has_its_band_behind_it_and_goes_with_it() -> None:
    roc = {"ill": {"false_positive_rate": [0, 0.5, 1], "true_positive_rate": [0, 0.8, 1]}}
    precision = {"ill": {"recall": [0, 1], "precision": [1, 0.5]}}
    ends = {"low": [0.0, 0.6, 1.0], "high": [0.2, 0.9, 1.0]}
    bands = {"at": [0, 0.5, 1], "roc": {"ill": ends}, "precision_recall": {"ill": None}}
    figure = charts.draw_roc(roc, {"ill": "ill: AUC 0.7"}, bands)
    _, band, curve = figure.data  # the line of chance first
    assert (band.fill, band.hoverinfo, band.legendgroup) == ("toself", "skip", curve.legendgroup)
    assert list(band.y) == [0.0, 0.6, 1.0, 1.0, 0.9, 0.2]
    assert curve.name == "ill: AUC 0.7"
    assert len(charts.draw_precision_recall(precision, {}, bands).data) == 1  # no band, no shade
    assert len(charts.draw_roc(roc, {}).data) == 2  # of an evaluation of an earlier version
