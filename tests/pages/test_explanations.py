"""Which method can be trusted stands on its page and on the review; one that fails is no picture by itself."""

import json
import sqlite3
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.explain.records import keep_evidence
from core.images.records import Case
from core.jobs.records import list_jobs
from core.projects.records import Project
from core.store.audit import Actor
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
