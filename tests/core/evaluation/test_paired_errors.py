"""Two models or more that say numbers or paint, on the same cases: what is better, what changed, and what noise is."""

import sqlite3
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from core.datasets.records import list_snapshot_cases
from core.datasets.splits import list_view
from core.errors import InvalidInput
from core.evaluation.paired_errors import UNKNOWN_NOISE, compare_errors
from core.evaluation.paired_parts import Numbers, Sides, compare_part
from core.evaluation.records import add_evaluation, find_evaluation, store_measured, store_predictions
from core.measures.intervals import LEVEL
from core.measures.segmentation import Compared
from core.store.audit import Actor
from core.store.files import Files
from core.training.recipe import change_recipe
from core.training.records import Model, add_model, add_run, get_run
from tests.core.reviews.other_tasks import AGE, Measured, measured_bodies, measured_masks, measured_numbers

AddModel = Callable[..., Model]


def add_sibling(
    connection: sqlite3.Connection,
    found: Measured,
    actor: Actor,
    name: str,
    seed: int,
    epochs: int = 25,
    fold: int | None = None,
) -> Model:
    """A model of the same recipe and another seed, whose answers are still to be given."""
    before = get_run(connection, found.model.run)
    recipe = change_recipe(before.recipe, {"seed": seed, "epochs": epochs})
    run = add_run(
        connection, project=before.project, snapshot=before.snapshot, recipe=recipe, name=name, fold=fold, actor=actor
    )
    return add_model(
        connection, get_run(connection, run.id), keras_hash=found.model.keras_hash,
        onnx_left_out_because="it is a test", parameters=1, file_bytes=1, facts=found.model.facts, seconds=1.0,
        actor=actor,
    )  # fmt: skip


def add_result(connection: sqlite3.Connection, found: Measured, made: Model, actor: Actor) -> int:
    evaluation = find_evaluation(connection, found.model.id, found.snapshot.id)
    assert evaluation is not None
    return add_evaluation(
        connection, model_id=made.id, snapshot_id=found.snapshot.id, split="test", result=evaluation.result, actor=actor
    ).id


@pytest.fixture
def ages(connection: sqlite3.Connection, files: Files, actor: Actor) -> Measured:
    return measured_numbers(connection, files, actor)


@pytest.fixture
def add_guesser(connection: sqlite3.Connection, ages: Measured, actor: Actor) -> AddModel:
    """A model that is wrong by so many years about each of the eight test cases."""

    def add(name: str, errors: Sequence[float], seed: int = 0, epochs: int = 25, fold: int | None = None) -> Model:
        made = add_sibling(connection, ages, actor, name, seed, epochs, fold)
        cases = [case for case in list_view(connection, ages.snapshot.id, fold) if case.split == "test"]
        errors = np.resize(errors, len(cases)).tolist()
        said = {case.case_id: [case.value["value"] + error] for case, error in zip(cases, errors, strict=True)}
        store_predictions(connection, made, AGE, said)
        add_result(connection, ages, made, actor)
        return made

    return add


@pytest.fixture
def livers(connection: sqlite3.Connection, files: Files, actor: Actor) -> Measured:
    return measured_masks(connection, files, actor)


@pytest.fixture
def add_painter(connection: sqlite3.Connection, livers: Measured, actor: Actor) -> AddModel:
    """A model with this Dice on each of the eight test cases; None: an empty reference on which it painted so much."""

    def add(name: str, dice: Sequence[float | None], painted: int = 0) -> Model:
        made = add_sibling(connection, livers, actor, name, seed=1)
        cases = list_snapshot_cases(connection, livers.snapshot.id, split="test")
        rows = {
            case.case_id: {
                "liver": Compared(
                    dice=float("nan") if one is None else one, iou=0.5, hd95=1.0, surface_dice=0.9,
                    reference_pixels=0 if one is None else 8, predicted_pixels=painted if one is None else 8,
                )
            }
            for case, one in zip(cases, dice, strict=True)
        }  # fmt: skip
        evaluation = add_result(connection, livers, made, actor)
        with connection:
            store_measured(connection, evaluation, rows)
        return made

    return add


def test_the_cases_whose_error_changed_most_are_named_first(
    connection: sqlite3.Connection, ages: Measured, add_guesser: AddModel
) -> None:
    ids = [case.case_id for case in list_snapshot_cases(connection, ages.snapshot.id, split="test")]
    first = add_guesser("first", [4, -4, 4, 4, 4, 4, 4, 4])
    second = add_guesser("second", [4, 0, 1, 4, -9, 4, 4, 5])
    (part,) = compare_errors(connection, first, second, ages.snapshot, "test").parts
    assert part.values == (4.0, pytest.approx(31 / 8))
    assert part.changed_by == pytest.approx((4 + 31 / 8) / 4)  # half of the mean error of both
    assert [(one.case_id, one.values) for one in part.better] == [(ids[1], (4.0, 0.0)), (ids[2], (4.0, 1.0))]
    assert [(one.case_id, one.values) for one in part.worse] == [(ids[4], (4.0, 9.0))]
    assert part.p == 1.0  # two against one


def test_fewer_errors_are_better_and_more_are_worse(
    connection: sqlite3.Connection, ages: Measured, add_guesser: AddModel
) -> None:
    near, far = add_guesser("near", [1, 2] * 4), add_guesser("far", [6, 8] * 4, epochs=26)
    (part,) = compare_errors(connection, far, near, ages.snapshot, "test").parts
    assert (part.verdict, part.difference.value) == ("better", pytest.approx(-5.5))
    (part,) = compare_errors(connection, near, far, ages.snapshot, "test").parts
    assert (part.verdict, part.difference.value) == ("worse", pytest.approx(5.5))


def test_of_two_seeds_neither_is_better_while_their_noise_is_unknown(
    connection: sqlite3.Connection, ages: Measured, add_guesser: AddModel
) -> None:
    near, far = add_guesser("near", [1, 2] * 4, seed=0), add_guesser("far", [6, 8] * 4, seed=0)
    told = compare_errors(connection, far, near, ages.snapshot, "test")
    (part,) = told.parts
    assert part.seed_noise is None
    assert part.high is not None
    assert part.high < 0  # by the cases alone it would be better
    assert part.verdict == "no difference beyond noise"
    assert "Seeds alone could do this" in part.sentence
    assert told.note == UNKNOWN_NOISE


def test_two_models_of_one_fold_are_compared_on_the_cases_of_that_fold(
    connection: sqlite3.Connection, ages: Measured, add_guesser: AddModel
) -> None:
    near, far = (add_guesser(name, [error], epochs=at, fold=0) for name, error, at in (("n", 1, 25), ("f", 6, 26)))
    told = compare_errors(connection, far, near, ages.snapshot, "test")
    cases = [case for case in list_view(connection, ages.snapshot.id, 0) if case.split == "test"]
    assert (told.fold, told.n_cases, told.to_json()["fold"]) == (0, len(cases), 0)
    assert told.parts[0].values == (6.0, 1.0)


def test_the_verdicts_of_several_models_stand_on_wider_intervals_and_say_so(
    connection: sqlite3.Connection, ages: Measured, add_guesser: AddModel
) -> None:
    pair = add_guesser("one", [1, 2, 3, 4, 5, 6, 7, 8]), add_guesser("other", [2, 1, 5, 3, 4, 9, 6, 6])
    alone = compare_errors(connection, *pair, ages.snapshot, "test")
    together = compare_errors(connection, *pair, ages.snapshot, "test", comparisons=5)
    assert together.parts[0].difference == alone.parts[0].difference
    (one,), (wide,) = alone.parts, together.parts
    assert None not in (one.low, one.high, wide.low, wide.high)
    assert (wide.low, wide.high) != (one.low, one.high)
    assert wide.low <= one.low  # type: ignore[operator]
    assert wide.high >= one.high  # type: ignore[operator]
    assert "95 % interval" in one.sentence
    assert "99 % interval" in wide.sentence
    assert (alone.note, together.note) == (
        UNKNOWN_NOISE,
        f"5 comparisons: the verdicts stand on intervals so wide that all hold together (Bonferroni). {UNKNOWN_NOISE}",
    )


def test_several_quantities_are_several_comparisons(connection: sqlite3.Connection, files: Files, actor: Actor) -> None:
    bodies = measured_bodies(connection, files, actor)
    told = compare_errors(connection, bodies.model, bodies.model, bodies.snapshot, "test")
    assert [part.of for part in told.parts] == ["age", "body weight"]
    assert told.note.startswith("2 comparisons")


def test_three_seeds_of_a_recipe_tell_the_noise_that_a_difference_must_exceed(
    connection: sqlite3.Connection, ages: Measured, add_guesser: AddModel
) -> None:
    shift = [0.0, 1.5, 3.0]
    seeds = [add_guesser(f"seed {n}", [4 + shift[n], 5 + shift[n]] * 4, seed=n + 1) for n in range(3)]
    other = compare_errors(connection, seeds[2], seeds[0], ages.snapshot, "test")
    (part,) = other.parts
    assert part.difference.value == pytest.approx(-3)
    # quick, of seed 0, is the fourth: 5 years on average
    assert part.seed_noise is not None
    assert part.seed_noise.seeds == (4,)
    assert part.seed_noise.deviations == (pytest.approx(np.std([5, 4.5, 6, 7.5], ddof=1)),)
    assert (part.difference.low, part.difference.high) == (pytest.approx(-3), pytest.approx(-3))
    assert part.verdict != "better"  # each case is nearer, and still another seed may do as much
    assert "with seed noise from 4 trainings" in part.sentence
    assert other.note == ""


def test_a_structure_is_newly_better_from_a_twentieth_of_dice_on(
    connection: sqlite3.Connection, livers: Measured, add_painter: AddModel
) -> None:
    ids = [case.case_id for case in list_snapshot_cases(connection, livers.snapshot.id, split="test")]
    first = add_painter("first", [0.8, 0.8, 0.8, 0.8, 0.55, 0.8, 0.8, 0.8])
    second = add_painter("second", [0.8, 0.84, 0.2, 0.76, 0.6, 0.8, 0.8, 0.8])
    (part,) = compare_errors(connection, first, second, livers.snapshot, "test").parts
    assert (part.name, part.of) == ("Dice of liver", "liver")
    assert [one.case_id for one in part.better] == [ids[4]]
    assert [one.case_id for one in part.worse] == [ids[2]]


def test_what_is_painted_on_an_empty_reference_has_no_dice_and_is_a_changed_case(
    connection: sqlite3.Connection, livers: Measured, add_painter: AddModel
) -> None:
    ids = [case.case_id for case in list_snapshot_cases(connection, livers.snapshot.id, split="test")]
    dice = [None, *[0.7, 0.8] * 3, 0.7]
    empty, painted = add_painter("empty", dice, painted=0), add_painter("painted", dice, painted=5)
    (part,) = compare_errors(connection, painted, empty, livers.snapshot, "test").parts
    assert (part.n_cases, part.difference.value) == (7, 0.0)
    assert [(one.case_id, one.values) for one in part.better] == [(ids[0], None)]
    (part,) = compare_errors(connection, empty, painted, livers.snapshot, "test").parts
    assert [(one.case_id, one.values) for one in part.worse] == [(ids[0], None)]


def test_where_no_case_has_a_dice_the_verdict_is_undefined_and_says_why(
    connection: sqlite3.Connection, livers: Measured, add_painter: AddModel
) -> None:
    pair = add_painter("one", [None] * 8), add_painter("other", [None] * 8, 3)
    told = compare_errors(connection, *pair, livers.snapshot, "test").to_json()
    part = told["parts"]["Dice of liver"]
    why = "There is no case for which both models have this number."
    assert (part["verdict"], part["verdict_reason"]) == ("undefined", why)
    assert f"their difference is undefined: {why}" in told["sentence"]


def test_a_model_without_an_evaluation_is_asked_for_one(
    connection: sqlite3.Connection, livers: Measured, actor: Actor
) -> None:
    blank = add_sibling(connection, livers, actor, "blank", seed=2)
    with pytest.raises(InvalidInput, match="Evaluate blank on test of first first"):
        compare_errors(connection, livers.model, blank, livers.snapshot, "test")


def test_of_two_equally_good_models_at_most_one_in_twenty_is_called_better() -> None:
    said = []
    for seed in range(200):
        draws = np.random.default_rng(seed)
        shared = draws.gamma(2, 1, 40)  # some cases are hard for both
        one, other = (np.abs(shared + draws.normal(0, 1, 40)).tolist() for _ in range(2))
        numbers = Numbers(dict(enumerate(one))), Numbers(dict(enumerate(other)))
        patients = {case: f"p{case}" for case in range(40)}
        said.append(
            compare_part(Sides(("one", "other"), "MAE", "", numbers, patients, True), None, level=LEVEL).verdict
        )
    assert said.count("better") <= 0.05 * len(said)
    assert said.count("worse") <= 0.05 * len(said)
