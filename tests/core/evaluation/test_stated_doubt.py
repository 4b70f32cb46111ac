"""Whether the doubt of a model that paints follows its errors, from what its evaluation has left."""

import sqlite3

import numpy as np
import pytest

from core.datasets.records import list_snapshot_cases
from core.evaluation.records import Evaluation, add_evaluation, find_evaluation, store_measured, store_predictions
from core.evaluation.stated_doubt import gather_doubt_evidence
from core.measures.segmentation import Compared
from core.store.audit import Actor
from core.store.files import Files
from core.training.records import Model
from tests.core.reviews.other_tasks import Measured, measured_masks


@pytest.fixture
def livers(connection: sqlite3.Connection, files: Files, actor: Actor) -> Measured:
    return measured_masks(connection, files, actor)


def keep(
    connection: sqlite3.Connection, found: Measured, model: Model, actor: Actor, dice: list[float], sure: list[float]
) -> Evaluation:
    """What an evaluation leaves of as many cases: those of all splits, for there are only eight of test."""
    cases = list_snapshot_cases(connection, found.snapshot.id)[: len(dice)]
    before = find_evaluation(connection, model.id, found.snapshot.id)
    assert before is not None
    made = add_evaluation(
        connection, model_id=model.id, snapshot_id=found.snapshot.id, split="test", result=before.result, actor=actor
    )
    with connection:
        store_measured(
            connection,
            made.id,
            {
                case.case_id: {
                    "liver": Compared(
                        dice=one, iou=0.5, hd95=1.0, surface_dice=0.9, reference_pixels=8, predicted_pixels=int(one > 0)
                    )
                }
                for case, one in zip(cases, dice, strict=True)
            },
        )
    scores = {case.case_id: [one] for case, one in zip(cases, sure, strict=True)}
    store_predictions(connection, model, found.snapshot.schema, scores)  # type: ignore[arg-type]
    return made


def test_a_model_that_is_less_sure_where_it_is_worse_says_so_with_its_interval(
    connection: sqlite3.Connection, livers: Measured, actor: Actor
) -> None:
    dice = [0.3 + 0.03 * at for at in range(20)]
    kept = keep(connection, livers, livers.model, actor, dice, [0.5 + one / 2 for one in dice])
    (found,) = gather_doubt_evidence(connection, kept)
    assert (found.structure, found.n_cases, found.n_patients) == ("liver", 20, 20)
    assert found.follows.value == pytest.approx(1)
    assert (found.is_shown, found.verdict) == (True, "Less sure where its Dice is lower")


def test_sureness_that_runs_against_its_dice_is_warned_of(
    connection: sqlite3.Connection, livers: Measured, actor: Actor
) -> None:
    dice = [0.3 + 0.03 * at for at in range(20)]
    kept = keep(connection, livers, livers.model, actor, dice, [1 - one / 2 for one in dice])
    (found,) = gather_doubt_evidence(connection, kept)
    assert found.verdict == "Surer where its Dice is lower: do not go by its doubt"


def test_sureness_without_a_bearing_on_its_dice_is_not_shown_to_follow(
    connection: sqlite3.Connection, livers: Measured, actor: Actor
) -> None:
    random = np.random.default_rng(0)
    kept = keep(connection, livers, livers.model, actor, list(random.random(20)), list(random.random(20)))
    (found,) = gather_doubt_evidence(connection, kept)
    assert found.follows.low is not None
    assert found.follows.low < 0 < (found.follows.high or 0)
    assert (found.is_shown, found.verdict) == (False, "Not shown that it is less sure where its Dice is lower")


def test_what_was_not_painted_has_no_sureness_and_few_cases_have_no_verdict(
    connection: sqlite3.Connection, livers: Measured, actor: Actor
) -> None:
    dice = [0.0] * 11 + [0.5 + 0.05 * at for at in range(9)]
    kept = keep(connection, livers, livers.model, actor, dice, [0.9] * 20)
    (found,) = gather_doubt_evidence(connection, kept)
    assert (found.n_cases, found.verdict) == (9, "Not known: 9 of at least 10 cases.")


def test_a_model_that_is_equally_sure_of_everything_has_no_rank_correlation(
    connection: sqlite3.Connection, livers: Measured, actor: Actor
) -> None:
    kept = keep(connection, livers, livers.model, actor, [0.5 + 0.02 * at for at in range(20)], [0.9] * 20)
    (found,) = gather_doubt_evidence(connection, kept)
    assert found.follows.value is None
    assert found.verdict == "Not known: It is equally sure of all of these cases, or equally good."
