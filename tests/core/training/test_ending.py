"""How long a run takes after its last epoch, told before it."""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.training.ending import MOST_IMPORTING, Importing, plan_ending
from core.training.gap import judgings_of


class Rows(SimpleNamespace):
    def __len__(self) -> int:
        return len(self.targets)


def rows(n: int, *, to_a_case: int = 0) -> Any:
    masks = object() if to_a_case else None
    return Rows(targets=np.arange(n) // max(to_a_case, 1), masks=masks)


def test_an_import_takes_longer_on_a_busy_machine_and_is_never_told_shorter_than_its_work() -> None:
    at_rest = Importing(3.0)
    began = time.process_time()
    while time.process_time() - began < 0.05:
        pass
    assert at_rest.seconds() >= 3.0
    busy = Importing(3.0)
    began = time.process_time()
    while time.process_time() - began < 0.02:
        pass
    time.sleep(0.2)
    assert busy.seconds() > 6.0
    assert Importing(500.0).seconds() >= MOST_IMPORTING


def test_both_splits_are_judged_once_more_and_of_a_large_training_split_a_part() -> None:
    assert judgings_of(rows(100), rows(100)) == pytest.approx(2)
    assert judgings_of(rows(10_000), rows(100)) == pytest.approx(1 + 2), "twice as many as validation has"
    assert judgings_of(rows(40, to_a_case=4), rows(40, to_a_case=4)) == pytest.approx(2), "of volumes all their frames"


def test_each_task_ends_with_what_it_has() -> None:
    parts = {"train": rows(100), "validation": rows(100)}
    answers, paints, draws = (
        plan_ending(3.0, task, 250_000, **parts) for task in ("classification", "segmentation", "generation")
    )
    assert answers.after_export() > paints.after_export() == 0 == draws.after_storing()
    assert answers.after_storing() > paints.after_storing() > 0
    assert answers.seconds(10.0) - answers.seconds(0.0) == pytest.approx(30), "calibration, and the gap of two splits"
    assert draws.seconds(10.0) - draws.seconds(0.0) == pytest.approx(30), "both splits are drawn anew, too"
    assert plan_ending(3.0, "regression", 40_000_000, **parts).after_storing() > 2 * answers.after_storing()
    assert plan_ending(6.0, "segmentation", 250_000, **parts).seconds(0.0) == pytest.approx(2 * paints.seconds(0.0))
