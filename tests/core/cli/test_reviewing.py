"""A review by command, from its criteria to the model in production and back out."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.cli import reviewing
from core.cli.app import app
from core.cli.door import Door
from core.evaluation.run import evaluate_model
from core.jobs.bodies.review_again import run as review_again
from core.jobs.context import JobContext
from core.jobs.records import Job, claim_job, finish_job
from core.progress import Silent
from core.store.audit import Actor
from core.training.records import Model
from tests.core.reviews.conftest import PASSWORD, Room, furnished_room, project, room, settings, signers
from tests.core.reviews.other_tasks import add_twin, measured_drawn, measured_numbers
from tests.core.reviews.retrained import correct_two, finish_training, opened_review

__all__ = ["furnished_room", "project", "room", "settings", "signers"]  # fixtures
CRITERION = "sensitivity of pneumonia at least 0.70, lower bound at least 0.1"


@pytest.fixture(autouse=True)
def _signing(signers: object) -> None:
    """Who signs here has a password."""


def run(room: Room, *words: str, code: int = 0, typed: str | None = None) -> Any:
    done = CliRunner().invoke(app, [*words, "--home", str(room.settings.home), "--json"], input=typed)
    assert done.exit_code == code, done.output + repr(done.exception)
    return json.loads(done.stdout) if code == 0 else str(done.exception)


def test_from_criteria_to_production(room: Room) -> None:
    made = run(room, "review", "create", "Chest", "quick", "--criterion", "accuracy at least 0.9")
    assert (made["review"], made["state"], made["outcomes"]) == (1, "prepared", None)
    assert made["operating_point"] is None
    made = run(room, "review", "criteria", "Chest", "1", "--criterion", CRITERION)
    assert made["criteria"] == ["sensitivity of pneumonia at least 0.7, lower bound at least 0.1"]
    opened = run(room, "review", "open", "Chest", "1")
    assert opened["operating_point"].startswith("No cut point decides")
    assert (opened["outcomes"][0]["state"], opened["test_looks"]["openings_here"]) == ("met", 1)
    assert "criteria are fixed" in run(room, "review", "criteria", "Chest", "1", code=1)
    assert "Only a model that a review has approved" in run(room, "registry", "promote", "Chest", "quick", code=1)
    words = ("--verdict", "approve", "--rationale", "Good.", "--as", "anna", "--action", "Watch|ben|2026-12-24")
    decided = run(room, "review", "decide", "Chest", "1", *words, "--password-stdin", typed=f"{PASSWORD}\n")
    assert decided["decision"]["signatures"][0]["name"] == "anna"
    read = ("--read", decided["decision"]["hash"])
    run(room, "review", "sign", "Chest", "1", "--as", "ben", *read, "--password-stdin", typed=f"{PASSWORD}\n")
    shown = run(room, "review", "show", "Chest", "1")
    assert [one["name"] for one in shown["decision"]["signatures"]] == ["anna", "ben"]
    assert (shown["state"], shown["faults"]) == ("approve", [])
    assert run(room, "registry", "promote", "Chest", "quick")["stage"] == "production"
    assert run(room, "registry", "show", "Chest")["production"] == "quick"
    drift = run(room, "drift", "Chest")  # no worker runs here: a queued check would never end
    assert (drift["state"], drift["n_new"], drift["least"]) == ("too few", 0, 30)
    assert run(room, "jobs", "list")["jobs"] == []
    assert "No other model" in run(room, "registry", "rollback", "Chest", code=1)
    run(room, "registry", "retire", "Chest", "quick", "--reason", "recalled")
    assert run(room, "registry", "show", "Chest")["history"][0]["reason"] == "recalled"
    assert run(room, "review", "list", "Chest")["reviews"][0]["state"] == "approve"


def test_comparing_on_test_locks_the_review_of_either_model(room: Room) -> None:
    made = run(room, "review", "create", "Chest", "quick", "--criterion", CRITERION)
    run(room, "compare", "Chest", "other", "quick")
    shown = run(room, "review", "show", "Chest", str(made["review"]))
    assert (shown["state"], shown["test_looks"]["elsewhere"]) == ("opened", 1)


def test_a_criterion_about_an_unknown_class_is_refused(room: Room) -> None:
    asked = ("--criterion", "sensitivity of tuberculosis at least 0.9")
    assert "knows normal, pneumonia" in run(room, "review", "create", "Chest", "quick", *asked, code=1)


def test_one_model_is_compared_with_another_or_with_several(room: Room) -> None:
    one = run(room, "compare", "Chest", "quick", "other")
    assert (one["first"], one["second"], one["comparisons"], one["n_cases"]) == ("quick", "other", 1, 16)
    several = run(room, "compare", "Chest", "quick", "other", "quick", "other")
    assert several["first"] == "quick"
    assert [(told["second"], told["comparisons"]) for told in several["comparisons"]] == [("other", 2), ("quick", 2)]


def test_models_that_say_numbers_are_compared_by_their_errors(room: Room, connection: Any, files: Any) -> None:
    found = measured_numbers(connection, files, Actor("anna", "screen"))
    add_twin(connection, found.model, "before", Actor("anna", "screen"), 4.0)
    told = run(room, "compare", "Ages", "before", "quick")
    assert (told["first"], told["second"], told["n_cases"], told["comparisons"]) == ("before", "quick", 8, 1)
    (part,) = told["parts"].values()
    assert (part["difference"]["value"], part["verdict"]) == (-4.0, "better")
    assert (len(part["better"]), part["worse"]) == (8, [])
    assert told["sentence"].startswith("quick is better than before by MAE, years: −4.000")
    several = run(room, "compare", "Ages", "before", "quick", "before")
    assert [one["comparisons"] for one in several["comparisons"]] == [2, 2]
    words = ["compare", "Ages", "before", "quick", "--home", str(room.settings.home)]
    lines = CliRunner().invoke(app, words).stdout
    assert "MAE, years, n = 8: -4.000" in lines
    assert "newly better 8, newly worse 0" in lines
    assert "sign test p = 0.008" in lines


@pytest.mark.parametrize(("file_format", "begins"), [("html", b"<!doctype html>"), ("pdf", b"%pdf-")])
def test_the_report_of_a_review_is_written_by_command(
    room: Room, tmp_path: Path, file_format: str, begins: bytes
) -> None:
    run(room, "review", "create", "Chest", "quick", "--criterion", CRITERION)
    run(room, "review", "open", "Chest", "1")
    target = tmp_path / f"report.{file_format}"
    words = ("export", "Chest", "report", "--review", "1", "--format", file_format, "--out", str(target))
    told = run(room, *words)
    content = target.read_bytes()
    assert (told["path"], told["bytes"]) == (str(target), len(content))
    assert content.lower().startswith(begins)
    if file_format == "html":
        text = content.decode()
        assert "sensitivity of pneumonia at least 0.7, lower bound at least 0.1" in text
        assert "CLAIM" in text
    assert "belongs to nothing else" in run(room, "export", "Chest", "report", code=1)
    assert "There is no review 7" in run(room, "export", "Chest", "report", "--review", "7", code=1)


def test_predictive_values_at_a_prevalence_by_command(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bayes' rule by hand on the sensitivity and specificity that the same command tells."""

    def here(door: Door, kind: str, model: Model, asked: dict[str, Any]) -> dict[str, Any]:
        """What the job does, without a process of its own."""
        return evaluate_model(
            door.connection, door.files, door.settings, model.id, asked["snapshot"], asked["split"], door.actor,
            Silent(),
        )  # fmt: skip

    monkeypatch.setattr("core.cli.modelling.ask_model", here)
    told = run(room, "evaluate", "Chest", "quick", "--prevalence", "0.02")
    found, measured = told["at_prevalence"]["per_class"]["pneumonia"], told["per_class"]["pneumonia"]
    recall, specificity = measured["recall"]["value"], measured["specificity"]["value"]
    assert told["at_prevalence"]["prevalence"] == 0.02
    true, false = 0.02 * recall, 0.98 * (1 - specificity)
    assert found["ppv"]["value"] == pytest.approx(true / (true + false))
    missed, cleared = 0.02 * (1 - recall), 0.98 * specificity
    assert found["npv"]["value"] == pytest.approx(cleared / (cleared + missed))
    lines = CliRunner().invoke(
        app, ["evaluate", "Chest", "quick", "--prevalence", "0.02", "--home", str(room.settings.home)]
    )
    assert "pneumonia, prevalence 0.02: PPV" in lines.stdout
    assert "at_prevalence" not in run(room, "evaluate", "Chest", "quick")
    assert "between 0 and 1" in run(room, "evaluate", "Chest", "quick", "--prevalence", "1.5", code=1)


def test_a_model_that_draws_is_reviewed_by_what_it_drew(room: Room, connection: Any, files: Any) -> None:
    measured_drawn(connection, files, Actor("anna", "screen"))
    refused = run(room, "evaluate", "Faces", "quick", "--prevalence", "0.02", code=1)
    assert refused == "Predictive values are of classes. Received: --prevalence for a generation"
    asked = ("review", "create", "Faces", "quick", "--criterion")
    assert "about fid_like, class_consistency, memorised" in run(room, *asked, "accuracy at least 0.9", code=1)
    made = run(room, *asked, "memorised at most 0.2")
    opened = run(room, "review", "open", "Faces", str(made["review"]))
    assert [one["state"] for one in opened["outcomes"]] == ["met"]


def test_a_retraining_from_a_review_tells_the_number_of_the_new_one(
    room: Room, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = Actor("anna", "screen")
    review = opened_review(connection, room, anna)
    correct_two(connection, room, anna)

    def wait(door: Any, job: Job) -> Any:
        """As a worker would do it; the training itself is left out."""
        if job.kind == "train":
            return finish_training(connection, room, job, anna)
        claimed = claim_job(connection, "work", "cpu")
        assert claimed is not None
        context = JobContext(connection, room.files, room.settings, claimed, room.settings.home, "cpu", anna, Silent())
        result = review_again(context)
        finish_job(connection, claimed, "done", result=result)
        return result

    monkeypatch.setattr(reviewing, "wait_and_tell", wait)
    told = run(room, "review", "retrain", "Chest", str(review.id), "--wait")
    assert (told["run"], told["snapshot"], told["review"]) == ("quick, corrected", "first, corrected", review.id + 1)
    assert "quick, corrected" in told["comparison"][0]
    assert run(room, "review", "show", "Chest", str(review.id))["retrained_in"] == [told["review"]]
    made = run(room, "review", "show", "Chest", str(told["review"]))
    assert (made["state"], made["production"]) == ("prepared", "quick")
    assert made["criteria"] == ["accuracy at least 0.8", "accuracy by sex at least 0.7"]
