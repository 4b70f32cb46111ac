"""What the commands about models say in lines for people, and what they ask for."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.cli import modelling
from core.cli.app import app
from core.cli.modelling import _metric_lines, _rule_lines, _said_of
from tests.core.reviews.conftest import Room, furnished_room, project, room, settings

__all__ = ["furnished_room", "project", "room", "settings"]  # fixtures
INTERVAL = {"level": 0.9, "low": 7.123, "high": 54.87, "half_width": 23.9, "n": 16}


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"classes": ["a"], "probabilities": {"a": 0.75, "b": 0.25}}, "a 0.750, b 0.250"),
        ({"value": 31.0, "unit": "nuclei", "interval": INTERVAL}, "31 nuclei (90%: 7.123 to 54.87)"),
        ({"value": 31.04, "unit": "mm", "interval": None}, "31.04 mm"),
        ({"reason": "No image."}, "No image."),
    ],
)
def test_a_prediction_is_one_line(row: dict[str, Any], line: str) -> None:
    assert _said_of(row) == line


def test_errors_are_told_with_the_quantity_and_its_unit() -> None:
    mae = {"value": 4.1731, "low": 2.6394, "high": 6.0578}
    result = {
        "split": "test", "n_cases": 26, "n_patients": 25, "target": "count", "unit": "nuclei",
        "metrics": {"mae": mae, "r2": {"value": None, "reason": "No spread."}},
    }  # fmt: skip
    first, error, spread = _metric_lines(result).splitlines()
    assert first == "test: 26 cases of 25 patients, count in nuclei"
    assert error.split() == ["mae", "4.173", "(2.639", "to", "6.058)"]
    assert spread.endswith("undefined: No spread.")


def test_a_rule_on_numbers_tells_the_error_of_the_answered_beside_that_of_the_withheld() -> None:
    told = {
        "split": "test", "n": 8, "n_answered": 5, "coverage": {"value": 0.625, "low": 0.3, "high": 0.86},
        "parts": {"MAE, years": {"answered": {"value": 4.4, "low": 2.0, "high": 6.8, "n": 5},
                                 "withheld": {"value": None, "reason": "There is no such case.", "n": 0}}},
    }  # fmt: skip
    assert _rule_lines(told) == [
        "answers 5 of 8 cases on test: 0.625 (0.300 to 0.860)",
        "MAE, years among the answered on test, n = 5: 4.400 (2.000 to 6.800)",
        "MAE, years among the withheld on test, n = 0: undefined: There is no such case.",
    ]


def test_what_all_folds_say_together_stands_above_what_each_says_alone() -> None:
    folds = [
        {"fold": at, "model": f"m{at}", "model_id": at, "n_cases": 20, "metric": "balanced_accuracy", "value": value}
        for at, value in enumerate((0.9, 0.8, None))
    ]
    auc = {"value": 0.91, "low": 0.85, "high": 0.96}
    lines = _metric_lines(
        {"split": "out of fold", "n_cases": 60, "n_patients": 40, "metrics": {"auc": auc}, "folds": folds}
    ).splitlines()
    assert lines[0] == "out of fold: 60 cases of 40 patients"
    assert lines[1].split() == ["auc", "0.910", "(0.850", "to", "0.960)"]
    assert lines[2] == (
        "balanced accuracy of each fold by itself: fold 0: 0.900 (m0, n = 20), fold 1: 0.800 (m1, n = 20), "
        "fold 2: undefined (m2, n = 20); standard deviation 0.071"
    )


def test_scores_of_a_map_are_asked_for_and_told_line_by_line(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    overlay = tmp_path / "overlay.png"
    overlay.write_bytes(b"picture")
    random = {f"{name}_random{part}": 0.5 for name in ("deletion", "insertion") for part in ("", "_low", "_high")}
    scores = {"places": 10, "deletion": 0.2, "insertion": 0.8, "stability": 0.9, "pointing": None, "overlap": None,
              "marked_by_chance": None, "outside": 0.1, "outside_by_chance": 0.3, **random}  # fmt: skip

    def answered(door: Any, job: Any) -> dict[str, Any]:
        asked.append(job.arguments)
        told = {"class": "normal", "overlay": str(overlay), "check": {"sentence": "Not checked."}}
        return {**told, **({"scores": scores} if job.arguments.get("scores") else {})}

    monkeypatch.setattr(modelling, "wait_and_tell", answered)
    said = []
    for more in ((), ("--scores",)):
        words = ["explain", "Chest", "quick", str(room.cases[30].id), "--out", str(tmp_path / "out.png"), *more]
        done = CliRunner().invoke(app, [*words, "--home", str(room.settings.home)])
        assert done.exit_code == 0, done.output + repr(done.exception)
        said.append(done.stdout.splitlines())
    assert [one.get("scores") for one in asked] == [None, True]
    assert len(said[0]) == 1
    assert said[1][1:] == [
        "deletion: 0.200 (lower is better; at 10 random places 0.500 (0.500 to 0.500))",
        "insertion: 0.800 (higher is better; at 10 random places 0.500 (0.500 to 0.500))",
        "stability: 0.900 (rank correlation under noise, n = 1; higher is better)",
        "pointing: undefined (no reader marked what was explained)",
        "beside the body: 0.100 (lower is better; chance 0.300)",
    ]
