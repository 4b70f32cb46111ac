"""Each callback by itself, with a learner that only says numbers."""

import logging
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.errors import CoreError
from core.training.batches import Plan
from core.training.callbacks import (
    STOPPED,
    KeepBestWeights,
    LogEpochs,
    LowerRateOnPlateau,
    RecordEpochs,
    RefuseNan,
    ReportProgress,
    StopEarly,
    StopOnRequest,
)
from core.training.checkpoint import NAME, SaveCheckpoint, restore_checkpoint, save_checkpoint
from core.training.fit import Fit
from core.training.losses import LOSSES
from core.training.recipe import Recipe, change_recipe
from core.training.records import add_run, list_epochs


class Variable:
    def __init__(self, value: float) -> None:
        self.value = np.array(value)

    def assign(self, value: np.ndarray) -> None:
        self.value = value

    def __mul__(self, other: float) -> np.ndarray:
        return self.value * other

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.value


class Said:
    """A progress and a clock in one: every look at the clock is 0.3 s later than the one before."""

    def __init__(self) -> None:
        self.reports: list[tuple[float, str, dict[str, Any]]] = []
        self.now, self.stop = 0.0, False

    def __call__(self) -> float:
        self.now += 0.3
        return self.now

    def report(self, fraction: float, note: str, **facts: Any) -> None:
        self.reports.append((fraction, note, facts))

    def should_stop(self) -> bool:
        return self.stop


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def fit() -> Fit:
    learner = SimpleNamespace(
        recipe=Recipe(),
        loss=LOSSES["softmax_cross_entropy"],
        read_sums=lambda: (0.5, 0.75, 64),
        kept_weights=lambda: [np.array(1.0)],
        network=SimpleNamespace(variables=[Variable(1.0), Variable(2.0)]),
        optimizer=SimpleNamespace(variables=[Variable(3.0)]),
        rate_factor=Variable(1.0),
        state=[Variable(1.0)],
    )
    return Fit(learner, Plan(batch=32, steps=10, steps_per_call=4), epochs=5)  # type: ignore[arg-type]


def facts(loss: float) -> dict[str, Any]:
    return {"loss": 0.4, "validation_loss": loss, "validation_auc": 0.9, "seconds": 20.0}


def test_the_best_weights_are_those_of_the_lowest_validation_loss(fit: Fit) -> None:
    keep = KeepBestWeights()
    for epoch, loss in enumerate([0.9, 0.4, 0.6], start=1):
        fit.epoch = epoch
        fit.learner.kept_weights = lambda epoch=epoch: [np.array(epoch)]
        keep.after_epoch(fit, facts(loss))
    assert (fit.best_epoch, fit.best_value, fit.best_weights) == (2, 0.4, [np.array(2)])


def test_patience_counts_epochs_since_the_best(fit: Fit) -> None:
    stop = StopEarly(patience=2)
    fit.best_epoch, fit.epoch = 3, 4
    stop.after_epoch(fit, facts(1))
    assert not fit.stop_because
    fit.epoch = 5
    stop.after_epoch(fit, facts(1))
    assert fit.stop_because == "no lower validation loss for 2 epochs"


def test_a_plateau_cuts_the_rate_and_waits_again_before_it_cuts_once_more(fit: Fit) -> None:
    lower = LowerRateOnPlateau(patience=2)
    fit.best_epoch, found = 2, []
    for fit.epoch in range(3, 9):
        lower.after_epoch(fit, facts(1))
        found.append(float(fit.learner.rate_factor.value))
    np.testing.assert_allclose(found, [1, 0.3, 0.3, 0.09, 0.09, 0.027])


def test_a_request_to_stop_is_heard_between_steps(fit: Fit, said: Said) -> None:
    callback = StopOnRequest(said, said)
    callback.after_steps(fit)
    assert not fit.stop_because
    said.stop = True
    callback.after_steps(fit)
    assert fit.stop_because == STOPPED


def test_a_report_comes_once_a_second_with_everything_in_it(fit: Fit, said: Said) -> None:
    report = ReportProgress(said, said, use=lambda: {"processor_share": 0.75})
    fit.call = 1
    for _ in range(20):  # of 0.3 s each, and one more look at every report
        report.after_steps(fit)
    assert 4 <= len(said.reports) <= 6
    fraction, note, first = said.reports[0]
    assert fraction == pytest.approx(0.4 / 5)
    assert note == "Epoch 1 of 5, batch 4 of 10, loss 0.5000"
    assert (first["epoch"], first["batch"], first["batches"], first["loss"]) == (1, 4, 10, 0.5)
    assert first["accuracy"] == 0.75
    assert first["memory_bytes"] > 1 << 20
    assert first["processor_share"] == 0.75
    assert first["images_per_second"] > 0


def test_of_numbers_a_report_and_the_log_tell_the_error(fit: Fit, said: Said, caplog: pytest.LogCaptureFixture) -> None:
    fit.learner.loss, fit.epoch = LOSSES["huber"], 1
    seen = {
        **facts(0.5),
        "mae": 4.25,
        "validation_mae": 5.5,
        "images_per_second": 128.4,
        "input_share": 0.0,
        "best": False,
    }
    report = ReportProgress(said, said)
    report.after_epoch(fit, seen)
    (_, _, told) = said.reports[0]
    assert (told["mae"], told["validation_mae"]) == (0.75, 5.5)
    assert "accuracy" not in told
    with caplog.at_level(logging.INFO, "readroom.training"):
        LogEpochs().after_epoch(fit, seen)
    assert "mean absolute error 4.2500, in validation 5.5000" in caplog.messages[0]


def test_the_log_holds_one_plain_line_for_each_epoch(fit: Fit, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "readroom.training"):
        for fit.epoch, (loss, waited) in enumerate(((0.5, 0.01), (0.6, 0.25)), start=1):
            seen = facts(loss) | {"images_per_second": 128.4, "input_share": waited}
            KeepBestWeights().after_epoch(fit, seen)
            LogEpochs().after_epoch(fit, seen)
    assert caplog.messages == [
        "Epoch 1 of 5: loss 0.4000, validation loss 0.5000, AUC 0.9000; 128 images/s, 20.0 s; the best so far",
        "Epoch 2 of 5: loss 0.4000, validation loss 0.6000, AUC 0.9000; 128 images/s, 20.0 s, "
        "25% of it waiting for images",
    ]


def test_time_left_follows_the_last_epoch(fit: Fit, said: Said) -> None:
    report = ReportProgress(said, said)
    fit.epoch, fit.epoch_began = 1, time.monotonic() - 20
    report.after_epoch(fit, facts(0.4))
    assert said.reports[-1][0] == pytest.approx(1 / 5)
    assert said.reports[-1][2]["seconds_left"] == pytest.approx(4 * 20, rel=0.01)
    assert said.reports[-1][2]["validation_auc"] == 0.9
    for fit.epoch, seconds in ((2, 29.4), (3, 29.4)):  # with what the callbacks took; the clock goes on by 0.3 a look
        said.now += seconds
        report.after_epoch(fit, facts(0.4))
    assert said.reports[-1][2]["seconds_left"] == pytest.approx(2 * 30)
    fit.epoch = 4
    said.now += 300  # the machine slept
    report.after_epoch(fit, facts(0.4))
    assert said.reports[-1][2]["seconds_left"] == pytest.approx(30)


def test_time_left_counts_epochs_in_which_everything_learns_by_their_own_steps(fit: Fit, said: Said) -> None:
    """Those with everything but the last layer held take a fraction of them."""
    fit.learner.recipe = change_recipe(Recipe(), {"start_from": "first", "freeze_epochs": 2, "epochs": 5})
    report = ReportProgress(said, said, step_seconds=5.9)
    fit.judged_seconds = 1.0
    fit.epoch, fit.epoch_began = 1, time.monotonic() - 20
    report.after_epoch(fit, facts(0.4))
    assert said.reports[-1][2]["seconds_left"] == pytest.approx(20 + 3 * 60, rel=0.01)
    fit.epoch = 2
    said.now += 19.4
    report.after_epoch(fit, facts(0.4))
    assert said.reports[-1][2]["seconds_left"] == pytest.approx(3 * 60)
    fit.epoch = 3
    said.now += 69.4  # not what the held ones took
    report.after_epoch(fit, facts(0.4))
    assert said.reports[-1][2]["seconds_left"] == pytest.approx(2 * 70)


def test_time_left_holds_what_follows_the_last_epoch(fit: Fit, said: Said) -> None:
    report = ReportProgress(said, said, ending=lambda judged: 10 * judged + 3)
    fit.epoch, fit.epoch_began, fit.judged_seconds = 5, time.monotonic() - 20, 2.0
    report.after_epoch(fit, facts(0.4))
    assert said.reports[-1][2]["seconds_left"] == pytest.approx(23)


def test_a_loss_that_is_no_number_ends_the_run(fit: Fit, said: Said) -> None:
    refuse = RefuseNan(said)
    refuse.after_epoch(fit, facts(0.3))
    fit.epoch = 1
    with pytest.raises(CoreError, match=r"lower learning rate.* Received: loss nan in epoch 1 at"):
        refuse.after_epoch(fit, facts(float("nan")))
    fit.epoch = 0
    fit.learner.read_sums = lambda: (float("inf"), 0, 1)
    said.now += 1.0
    with pytest.raises(CoreError, match="loss inf in epoch 1"):
        refuse.after_steps(fit)
    fit.learner.recipe = Recipe(learning_rate=0.02, start_from="earlier", fine_tune_rate=0.1)
    said.now += 1.0
    with pytest.raises(CoreError, match=r"example 0.002\. .*at learning rate 0.002 \(0.1 of 0.02, since"):
        refuse.after_steps(fit)


def test_epochs_are_written_to_the_run(connection, planted, actor, fit: Fit) -> None:
    run = add_run(connection, project=planted.project.id, snapshot=planted.snapshot.id, recipe=Recipe(), actor=actor)
    record = RecordEpochs(connection, run.id)
    for epoch, loss in ((1, 0.9), (2, 0.8), (2, 0.7)):  # the second was repeated after a crash
        fit.epoch = epoch
        record.after_epoch(fit, facts(loss))
    assert [epoch["validation_loss"] for epoch in list_epochs(connection, run.id)] == [0.9, 0.7]


def test_a_checkpoint_brings_everything_back(fit: Fit, tmp_path) -> None:
    fit.epoch, fit.best_epoch, fit.best_value, fit.best_weights = 4, 3, 0.25, [np.array([7.0, 8.0])]
    save_checkpoint(tmp_path, fit, "hash")
    for variable in (*fit.learner.network.variables, *fit.learner.optimizer.variables):
        variable.assign(np.array(0.0))
    fit.epoch = fit.best_epoch = 0
    fit.best_value, fit.best_weights = float("inf"), []
    assert restore_checkpoint(tmp_path, fit, "hash")
    assert (fit.epoch, fit.best_epoch, fit.best_value) == (4, 3, 0.25)
    np.testing.assert_array_equal(fit.best_weights[0], [7, 8])
    assert [float(np.asarray(v)) for v in fit.learner.network.variables] == [1, 2]
    assert float(np.asarray(fit.learner.optimizer.variables[0])) == 3


def test_a_checkpoint_of_another_recipe_or_build_is_refused(fit: Fit, tmp_path) -> None:
    assert not restore_checkpoint(tmp_path, fit, "hash")
    save_checkpoint(tmp_path, fit, "hash")
    with pytest.raises(CoreError, match="another recipe"):
        restore_checkpoint(tmp_path, fit, "other")
    fit.learner.network.variables.append(Variable(0.0))
    with pytest.raises(CoreError, match="3 variables for 2"):
        restore_checkpoint(tmp_path, fit, "hash")


def test_a_costly_checkpoint_is_written_less_often(fit: Fit, said: Said, tmp_path) -> None:
    save = SaveCheckpoint(tmp_path, "hash", said)
    written = 0
    for epoch in range(1, 31):  # one look at the clock each, 0.3 s; a save seems to take 0.3 s, so it rests for 6 s
        fit.epoch = epoch
        save.after_epoch(fit, facts(1))
        written += (tmp_path / NAME).exists()
        (tmp_path / NAME).unlink(missing_ok=True)
    assert written == 2


def test_half_an_epoch_is_not_saved(fit: Fit, said: Said, tmp_path) -> None:
    fit.stop_because = STOPPED
    SaveCheckpoint(tmp_path, "hash", said).after_epoch(fit, facts(1))
    assert not (tmp_path / NAME).exists()
