"""Which method can be trusted stands on its page and on the review; one that fails is no picture by itself."""

import json
import re
import sqlite3
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.explain.records import keep_evidence
from core.explain.shelf import scores_key
from core.images.records import Case
from core.jobs.records import add_job, claim_job, finish_job, list_jobs
from core.labels.marks import NewMark, add_mark
from core.labels.records import new_event
from core.projects.records import Project
from core.reviews.meetings import Review, add_review, open_results
from core.reviews.report import write_report
from core.store.audit import Actor
from core.store.files import Files, array_bytes
from core.training.records import Model
from tests.pages.conftest import OpenPage, said


def estimate(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


def told(alike: float, n: int = 60) -> dict[str, Any]:
    nothing = {"value": None, "low": None, "high": None, "reason": "No reader marked what was explained."}
    measures = {
        "randomisation": estimate(alike, alike - 0.1, alike + 0.1),
        "faithfulness": estimate(0.3, 0.2, 0.4),
        "stability": estimate(0.9, 0.85, 0.95),
        "pointing": estimate(0.7, 0.6, 0.8),
        "overlap": nothing,
        "marked_by_chance": estimate(0.1, 0.1, 0.1),
        "outside": estimate(0.2, 0.1, 0.3),
        "outside_by_chance": estimate(0.25, 0.2, 0.3),
    }
    means = {"normal": {"n": 30, "side": 2, "map": [[0.0, 1.0], [0.5, 0.2]]}}
    return {
        "n_cases": n, "n_patients": n, "n_marked": 30, "n_with_background": n, "split": "validation",
        "measures": measures, "means": means,
    }  # fmt: skip


@pytest.fixture
def judged(connection: sqlite3.Connection, model: Model, actor: Actor) -> Model:
    keep_evidence(connection, model.id, "grad_cam", told(0.8), actor)
    keep_evidence(connection, model.id, "layer_cam", told(0.1), actor)
    keep_evidence(connection, model.id, "occlusion", told(0.1, n=20), actor)
    return model


def viewer_of(app: AppTest) -> list[dict[str, Any]]:
    found = [element.proto.json for element in app.main if "findings" in getattr(element.proto, "json", "")]
    return [json.loads(one) for one in found]


def test_the_page_gives_each_method_its_verdict_with_n_and_intervals(
    open_page: OpenPage, project: Project, judged: Model
) -> None:
    app = open_page("explanations", project=project.id)
    assert not app.exception
    text = said(app)
    assert "✕ not reliable<" in text
    assert "✓ reliable<" in text
    assert "? not checked<" in text
    assert text.count("n = 60, validation") == 2
    assert "0.600 to 0.800, n = 30" in text
    assert "chance 0.100" in text
    assert "Mean map of normal" in text


def test_evidence_is_asked_for_and_waits_in_the_queue(
    open_page: OpenPage, project: Project, model: Model, connection: sqlite3.Connection
) -> None:
    app = open_page("explanations", project=project.id)
    app.multiselect(key="evidence_methods").set_value(["lime"]).run()
    next(button for button in app.button if button.label == "Start").click().run()
    (job,) = list_jobs(connection, kinds=("gather_evidence",))
    assert job.arguments == {"model": model.id, "methods": ["lime"], "split": "validation", "cases": 50}


def test_why_evidence_could_not_be_gathered_stays_on_the_page(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model, actor: Actor
) -> None:
    asked = {"model": model.id, "methods": ["grad_cam"], "split": "validation", "cases": 50}
    add_job(connection, "gather_evidence", asked, project=project.id, actor=actor)
    running = claim_job(connection, "work", "cpu")
    assert running is not None
    finish_job(connection, running, "failed", error="There are too few cases.")
    page = open_page("explanations", project=project.id, model=model.id)
    assert not page.exception
    assert [one.value for one in page.error] == ["There are too few cases."]


def test_a_method_that_fails_is_no_picture_until_somebody_insists(
    open_page: OpenPage, project: Project, cases: list[Case], judged: Model
) -> None:
    app = open_page("review", project=project.id, result="all")
    assert not app.exception
    assert "Not reliable for this model" in app.warning[0].value
    assert viewer_of(app)[0]["model"] is None
    app.toggle(key=f"anyway_{judged.id}_grad_cam").set_value(True).run()
    assert viewer_of(app)[0]["model"] == judged.id
    good = open_page("review", project=project.id, result="all", method="layer_cam")
    assert (viewer_of(good)[0]["model"], viewer_of(good)[0]["method"]) == (judged.id, "layer_cam")
    assert not good.warning


def test_two_stand_side_by_side_the_predicted_and_the_reference_class(
    open_page: OpenPage, project: Project, cases: list[Case], judged: Model, connection: sqlite3.Connection
) -> None:
    query = {"left_method": "layer_cam", "right_method": "lime", "result": "wrong"}
    app = open_page("review", project=project.id, beside="on", **query)
    assert not app.exception
    assert viewer_of(app) == []
    jobs = sorted(list_jobs(connection, kinds=("explain",)), key=lambda job: job.arguments["method"])
    assert [(job.arguments["method"], job.lane) for job in jobs] == [("layer_cam", "explain"), ("lime", "work")]
    assert {job.arguments["class"] for job in jobs} == {"normal", "pneumonia"}
    assert len({job.arguments["case"] for job in jobs}) == 1
    app.run()
    assert len(list_jobs(connection, kinds=("explain",))) == 2


SCORES = {
    "places": 10, "deletion": 0.2, "insertion": 0.8, "stability": 0.9, "pointing": 1.0, "overlap": 0.5,
    "marked_by_chance": 0.1, "outside": None, "outside_by_chance": None,
    **{f"{name}_random{part}": 0.5 for name in ("deletion", "insertion") for part in ("", "_low", "_high")},
}  # fmt: skip


def test_how_good_one_map_is_stands_under_it_on_request(
    open_page: OpenPage, project: Project, model: Model, connection: sqlite3.Connection, files: Files
) -> None:
    app = open_page("review", project=project.id, result="all")
    assert list_jobs(connection, kinds=("explain",)) == []
    app.button(key="review_scores").click().run()
    assert not app.exception
    (job,) = list_jobs(connection, kinds=("explain",))
    assert (job.lane, job.arguments["scores"], job.arguments["method"]) == ("work", True, "grad_cam")
    assert job.arguments["class"] in ("normal", "pneumonia")
    claimed = claim_job(connection, "work", "cpu")
    assert claimed
    files.put_under("explanations", "a" * 64, b"map")
    result = {"explanation": "a" * 64, "scores": {**SCORES, "key": scores_key("a" * 64, [])}}
    finish_job(connection, claimed, "done", result=result)
    text = said(app.run())
    assert not app.exception
    for part in ("This map of", "<b>hit</b>", "at 10 random places 0.500 (0.500 to 0.500)", "correlation under noise"):
        assert part in text
    assert len(list_jobs(connection, kinds=("explain",))) == 1
    box = {"x": 2.0, "y": 2.0, "width": 5.0, "height": 5.0}
    mark = NewMark(new_event(), job.arguments["case"], "anna", "m1", "box", box, label="pneumonia")
    add_mark(connection, mark, Actor("anna", "screen"))
    app.run()
    assert len(list_jobs(connection, kinds=("explain",))) == 2, "it is held against what was marked since"


def test_side_by_side_each_map_has_its_own_scores(
    open_page: OpenPage, project: Project, cases: list[Case], model: Model, connection: sqlite3.Connection, files: Files
) -> None:
    at = {"beside": "on", "left_method": "layer_cam", "right_method": "lime", "result": "all"}
    app = open_page("review", project=project.id, **at)
    assert "left_scores" not in [button.key for button in app.button], "there is no map yet"
    for lane in ("explain", "work"):
        job = claim_job(connection, lane, "cpu")  # type: ignore[arg-type]
        assert job
        files.put_under("explanations", f"{job.id:064x}", array_bytes(np.ones((4, 4), np.float32)))
        told = {"explanation": f"{job.id:064x}", "method": job.arguments["method"], "model": model.id, "layer": ""}
        finish_job(connection, job, "done", result=told)
    app.run()
    app.button(key="left_scores").click().run()
    assert not app.exception
    (job,) = [job for job in list_jobs(connection, kinds=("explain",)) if job.arguments.get("scores")]
    assert job.arguments["method"] == "layer_cam"


@pytest.fixture
def review(connection: sqlite3.Connection, project: Project, model: Model, actor: Actor) -> Review:
    return open_results(connection, add_review(connection, project, model, criteria=[], actor=actor), actor=actor)


def open_step(open_page: OpenPage, project: Project, review: Review) -> AppTest:
    app = open_page("meeting", project=project.id, review=review.id, step="explanations")
    app.session_state[f"meeting_opened_{review.id}"] = True
    app.run()
    assert not app.exception
    return app


def test_a_meeting_says_which_method_is_reliable_and_opens_its_cases_under_that_one(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, judged: Model, review: Review
) -> None:
    app = open_step(open_page, project, review)
    text = said(app)
    assert "<b>Reliable for this model</b>, n = 60, validation" in text
    assert "0.10, 0.00 to 0.20 alike with shuffled weights" in text
    assert "<b>Not reliable for this model</b>, n = 60" in text
    assert "it shows the image and not what was learnt" in text
    assert "<b>Not checked</b>, n = 20" in text
    assert "Not checked: Grad-CAM++" in text
    assert "Each case opens under Layer-CAM." in text
    case = re.search(r"step=explanations&amp;case=(\d+)", text)
    assert case is not None
    app.query_params["case"] = case.group(1)
    opened = said(app.run())
    assert "Layer-CAM, on and off by G." in opened
    assert "method=layer_cam" in opened
    assert "method=grad_cam" not in opened


def test_a_meeting_without_evidence_offers_to_gather_it_and_shows_no_map(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model, review: Review
) -> None:
    app = open_step(open_page, project, review)
    assert "No method is known to be reliable for this model" in said(app)
    assert "overlay=on" not in said(app)
    next(button for button in app.button if button.label == "Start").click().run()
    assert [job.kind for job in list_jobs(connection, project=project.id)] == ["gather_evidence"]


def test_a_report_tells_the_verdict_on_each_method(
    connection: sqlite3.Connection, project: Project, judged: Model, review: Review, actor: Actor
) -> None:
    page = write_report(connection, project, review, "html", actor=actor).decode()
    row = page[page.index("<td>Layer-CAM</td>") :].partition("</tr>")[0]
    assert "<td>reliable</td><td>60, validation</td>" in row
    assert "0.30, 0.20 to 0.40 beyond random places" in row
