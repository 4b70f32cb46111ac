"""What more cases would bring: the law, its interval, and the trainings it stands on."""

import json
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.datasets.records import SnapshotCase
from core.errors import CoreError, InvalidInput, Stopped
from core.jobs.asking_trials import ask_learning_curve
from core.jobs.bodies import learning_curve as body
from core.jobs.records import list_jobs
from core.progress import Silent
from core.training.batches import plan_epoch
from core.training.learning_curve import POINTS, expected_seconds, forecast_of, nested_parts, same_steps
from core.training.power_law import fit_power_laws, forecast, gain_of
from core.training.preflight import Trial
from core.training.recipe import Recipe, change_recipe, named_recipe
from core.training.records import add_run, get_model, list_models, list_runs
from core.training.stored import load_network

SIZES = [100, 200, 300, 400]


def curve(a: float = 0.95, b: float = 2.0, c: float = 0.6) -> np.ndarray:
    return a - b * np.array(SIZES, float) ** -c


def told(values: np.ndarray, spread: float = 0.003, **changes: Any) -> Any:
    random = np.random.default_rng(0)
    drawn = values + spread * random.normal(size=(300, 1)) + spread / 3 * random.normal(size=(300, len(SIZES)))
    known: dict[str, Any] = {
        "sizes": SIZES, "patients": 150, "more": 100, "span": 0.5, "words": "balanced accuracy", **changes,
    }  # fmt: skip
    return forecast(fit_power_laws(SIZES, values, 1.0)[0], fit_power_laws(SIZES, drawn, 1.0), **known)


def test_a_law_that_is_there_is_found() -> None:
    a, b, c = fit_power_laws(SIZES, curve(), 1.0)[0]
    assert (a, c) == (pytest.approx(0.95, abs=0.005), pytest.approx(0.6, abs=0.05))
    assert a - b * 800.0**-c == pytest.approx(0.95 - 2 * 800.0**-0.6, abs=0.002)


def test_the_law_is_that_of_least_squares_also_where_the_ceiling_binds() -> None:
    values = np.array([[0.5, 0.9, 0.99, 1.0]])
    a, b, c = fit_power_laws(SIZES, values, 1.0)[0]
    assert a <= 1.0

    def error(a: float, b: float, c: float) -> float:
        return float(((values[0] - a + b * np.array(SIZES, float) ** -c) ** 2 * SIZES).sum())

    random = np.random.default_rng(0)
    others = [error(min(1.0, a + da), max(0, b * (1 + db)), c) for da, db in random.normal(0, 0.02, (200, 2))]
    assert error(a, b, c) <= min(others) + 1e-9


def test_a_curve_that_falls_promises_nothing() -> None:
    law = fit_power_laws(SIZES, curve()[::-1], 1.0)
    assert gain_of(law, 400, 100)[0] == 0


def test_what_more_cases_bring_is_said_with_its_interval() -> None:
    found = told(curve())
    true = 2 * (400.0**-0.6 - 500.0**-0.6)
    assert found.gain == pytest.approx(true, abs=0.002)
    assert found.low < found.gain < found.high
    assert found.sentence.startswith(f"100 more cases are expected to bring +{found.gain:.3f} in balanced accuracy")
    assert "150 validation patients" in found.sentence


def test_an_error_falls_and_is_said_with_a_minus() -> None:
    errors = {"words": "mean absolute error", "unit": "years", "is_error": True}
    found = told(-5.0 * np.array(SIZES, float) ** -0.5, spread=0.001, **errors)
    assert found.gain > 0
    assert f"bring −{found.gain:.3f} years in mean absolute error" in found.sentence
    assert f"(95 % interval −{found.high:.3f} to −{found.low:.3f}," in found.sentence, "the lower end first"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"patients": 12}, "fewer than 20"),
        ({"sizes": [200, 400]}, "at least 3 sizes"),
        ({"more": 500}, "too far to look ahead"),
        ({"spread": 0.5, "span": 0.1}, "the interval is from"),
        ({"learnt_before": 30}, "had learnt 30 of these cases before"),
        ({"spread": 0.3}, "from 100 to 400 cases it did not surely get better"),
    ],
)
def test_what_cannot_be_told_is_said_with_the_reason(changes: dict[str, Any], why: str) -> None:
    found = told(curve(), **changes)
    assert found.gain is None
    assert "cannot be told" in found.sentence
    assert why in found.sentence


def cases_of(n: int) -> list[SnapshotCase]:
    return [
        SnapshotCase(at, at, f"p{at // 2}", "train", None, {"classes": ["a" if at // 2 % 5 else "b"]}, (), "", at // 2)
        for at in range(n)
    ]


def test_parts_are_nested_whole_by_patient_and_of_every_class() -> None:
    cases = cases_of(100)
    parts = nested_parts(cases, [1.0, 0.25, 0.5], seed=3)
    assert [len(part) for part in parts] == [26, 50, 100]
    for smaller, larger in pairwise(parts):
        assert {case.case_id for case in smaller} < {case.case_id for case in larger}
    for part in parts:
        groups = [case.group for case in part]
        assert all(groups.count(group) == 2 for group in groups)
        share = sum(case.value == {"classes": ["b"]} for case in part) / len(part)
        assert share == pytest.approx(0.2, abs=0.08)
    assert nested_parts(cases, [0.25], seed=3) == parts[:1]
    assert nested_parts(cases, [0.25], seed=4) != parts[:1]


def test_a_part_is_trained_for_as_many_steps_as_the_whole() -> None:
    recipe = change_recipe(named_recipe("resnet"), {"epochs": 12, "early_stopping": 4})
    quarter = same_steps(recipe, 1280, 320)
    assert (quarter.epochs, quarter.early_stopping, quarter.plateau_patience) == (48, 16, 12)
    assert same_steps(recipe, 1280, 1280) == recipe
    begun = change_recipe(recipe, {"start_from": "first", "freeze_epochs": 3})
    assert same_steps(begun, 1280, 320).freeze_epochs == 12


@pytest.mark.parametrize(("whole", "batch"), [(60, 8), (30, 16), (61, 16)])
def test_it_is_so_too_where_few_cases_make_few_batches(whole: int, batch: int) -> None:
    recipe = change_recipe(named_recipe("resnet"), {"epochs": 40, "batch": batch})
    wanted = plan_epoch(whole, recipe).steps * recipe.epochs
    for part in (whole // 4, whole // 2, 3 * whole // 4):
        longer = same_steps(recipe, whole, part)
        assert plan_epoch(part, longer).steps * longer.epochs == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize(
    ("changes", "known"),
    [({"dropout": 0.7}, True), ({"kernel_size": 11}, False), ({"blocks": 4}, False), ({"patch_size": "8,8,8"}, False)],
)
def test_how_long_a_curve_takes_is_told_by_a_run_that_takes_as_long_alone(
    connection, planted, small_recipe, actor, changes, known
) -> None:
    run = add_run(
        connection, project=planted.project.id, snapshot=planted.snapshot.id, recipe=small_recipe,
        told={"preflight": {"estimated_seconds": 60.0}}, actor=actor,
    )  # fmt: skip
    recipe = change_recipe(small_recipe, {**changes, "epochs": 2 * run.recipe.epochs})
    seconds = expected_seconds(connection, planted.snapshot, recipe, (0.5, 0.75, 1.0))
    assert seconds == (pytest.approx(2 * 60 * 3) if known else None)


def test_a_curve_is_made_of_trainings_that_leave_no_model_and_goes_on_where_it_was_left(
    connection, files, planted, small_recipe, actor, tmp_path
) -> None:
    recipe = change_recipe(small_recipe, {"epochs": 3})
    job = ask_learning_curve(
        connection, planted.project, planted.snapshot, recipe, fractions=(0.5, 0.75, 1.0), actor=actor
    )

    class Noted(Silent):
        notes: list[str] = []  # noqa: RUF012

        def report(self, fraction: float, note: str, **facts: Any) -> None:
            assert 0 <= fraction <= 1
            self.notes.append(note)

    known: dict[str, Any] = {"connection": connection, "files": files, "job": job, "device": "cpu"}
    context: Any = SimpleNamespace(**known, folder=tmp_path / "job", progress=Noted())
    # As if the job had been killed after its first two parts.
    (tmp_path / "job").mkdir()
    point = {
        "cases": 12, "patients": 12, "metric": "balanced_accuracy", "value": 0.6, "low": 0.4, "high": 0.8, "epochs": 6,
        "validation_cases": 12, "validation_patients": 12, "resampled": [0.6] * 300,
    }  # fmt: skip
    before = [point, {**point, "cases": 18, "patients": 18, "value": 0.7, "resampled": [0.7] * 300}]
    (tmp_path / "job" / POINTS).write_text(json.dumps(before))
    found = body.run(context)
    assert [one["cases"] for one in found["points"]] == [12, 18, 24]
    assert found["points"][-1]["epochs"] == 3
    assert found["sentence"] == Noted.notes[-1]
    assert "cannot be told: validation has 12 patients" in found["sentence"]
    assert json.loads(json.dumps(found)) == found
    assert forecast_of({**found, "patients": 40}, 6)["low"] is not None
    assert not list_runs(connection, planted.project.id)
    assert not list_models(connection, planted.project.id)


@pytest.mark.parametrize("done", [[], [12]])
def test_every_part_is_trained_with_the_batch_that_fits_into_memory(
    connection, files, planted, small_recipe, actor, tmp_path, monkeypatch, done
) -> None:
    recipe, batches = change_recipe(small_recipe, {"epochs": 1}), list[int]()
    job = ask_learning_curve(
        connection, planted.project, planted.snapshot, recipe, fractions=(0.5, 0.75, 1.0), actor=actor
    )
    point = {"cases": 12, "value": None, "validation_patients": 12, "resampled": []}
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / POINTS).write_text(json.dumps([{**point, "cases": cases} for cases in done]))

    def half_fits(build: Any, wanted: Recipe, *_: Any) -> tuple[Any, Trial]:
        return build(change_recipe(wanted, {"batch": wanted.batch // 2})), Trial(0.01, 0)

    def train_part(fit: Any, _: Any, cases: Any, *__: Any) -> dict[str, Any]:
        batches.append(fit.learner.recipe.batch)
        return {**point, "cases": len(cases), "metric": "balanced_accuracy"}

    monkeypatch.setattr("core.training.learning_curve.fit_into_memory", half_fits)
    monkeypatch.setattr("core.training.learning_curve._train_part", train_part)
    body.run(SimpleNamespace(  # type: ignore[arg-type]
        connection=connection, files=files, job=job, device="cpu", folder=tmp_path / "job", progress=Silent()
    ))  # fmt: skip
    assert batches == [small_recipe.batch // 2] * (3 - len(done))


def test_parts_that_are_left_take_the_batch_of_those_before_also_where_more_fits_by_now(
    connection, files, planted, small_recipe, actor, tmp_path, monkeypatch
) -> None:
    job = ask_learning_curve(
        connection, planted.project, planted.snapshot, change_recipe(small_recipe, {"epochs": 1}),
        fractions=(0.5, 0.75, 1.0), actor=actor,
    )  # fmt: skip

    def half_fits(build: Any, wanted: Recipe, *_: Any) -> tuple[Any, Trial]:
        return build(change_recipe(wanted, {"batch": wanted.batch // 2})), Trial(0.01, 0)

    class StopsAfterTheFirst(Silent):
        def should_stop(self) -> bool:
            return (tmp_path / POINTS).exists()

    def run(progress: Silent) -> Any:
        return body.run(SimpleNamespace(  # type: ignore[arg-type]
            connection=connection, files=files, job=job, device="cpu", folder=tmp_path, progress=progress
        ))  # fmt: skip

    with monkeypatch.context() as memory_is_short:
        memory_is_short.setattr("core.training.learning_curve.fit_into_memory", half_fits)
        with pytest.raises(Stopped):
            run(StopsAfterTheFirst())
    batches = [point["batch"] for point in run(Silent())["points"]]
    assert batches == [small_recipe.batch // 2] * 3


def test_every_part_begins_from_what_the_recipe_begins_from(
    connection, files, planted, train, small_recipe, actor, tmp_path, monkeypatch, no_onnx
) -> None:
    first = get_model(connection, None, train(change_recipe(small_recipe, {"epochs": 1}), name="first")["model_id"])
    recipe, begun = change_recipe(small_recipe, {"start_from": "first", "freeze_epochs": 1}), list[list[np.ndarray]]()
    job = ask_learning_curve(
        connection, planted.project, planted.snapshot, recipe, fractions=(0.5, 0.75, 1.0), files=files, actor=actor
    )

    def train_part(fit: Any, _: Any, cases: Any, *__: Any) -> dict[str, Any]:
        begun.append(fit.learner.network.get_weights())
        return {"cases": len(cases), "value": None, "metric": "", "validation_patients": 12, "resampled": []}

    monkeypatch.setattr("core.training.learning_curve._train_part", train_part)
    found = body.run(SimpleNamespace(  # type: ignore[arg-type]
        connection=connection, files=files, job=job, device="cpu", folder=tmp_path / "curve", progress=Silent()
    ))  # fmt: skip
    assert "cannot be told: the model that each part began from had learnt 24 of these cases" in found["sentence"]
    assert "had learnt 24 of" in forecast_of(found, 3)["sentence"]
    learnt = load_network(files, first).get_weights()
    assert [all(map(np.array_equal, weights, learnt)) for weights in begun] == [True] * 3


def test_a_curve_beyond_its_budget_is_refused_before_the_first_training(
    connection, files, planted, small_recipe, actor, tmp_path
) -> None:
    with pytest.raises(CoreError, match="at least 3 different parts"):
        ask_learning_curve(connection, planted.project, planted.snapshot, small_recipe, fractions=(1.0,), actor=actor)
    job = ask_learning_curve(
        connection, planted.project, planted.snapshot, small_recipe, most_minutes=1e-6, actor=actor
    )
    context: Any = SimpleNamespace(
        connection=connection, files=files, job=job, device="cpu", folder=tmp_path / "job", progress=Silent()
    )
    with pytest.raises(CoreError, match="would take about"):
        body.run(context)
    assert not (tmp_path / "job" / POINTS).exists()


def test_of_drawing_no_curve_is_made(connection, sides, actor) -> None:
    """The parts of its loss are no answers, of which a headline could be told."""
    project, snapshot = sides
    with pytest.raises(InvalidInput, match=r"of models that answer; .* Received: generation"):
        ask_learning_curve(connection, project, snapshot, named_recipe("vae"), actor=actor)
    assert not list_jobs(connection, kinds=("learning_curve",))
