"""Evaluate, tab by tab: all numbers with intervals, and what follows from them."""

import sqlite3

from core.projects.records import Project
from core.training.records import Model
from tests.pages.conftest import OpenPage, said


def test_all_numbers_stand_in_one_table_with_intervals(open_page: OpenPage, project: Project, model: Model) -> None:
    app = open_page("evaluate", project=project.id)
    assert "Calibration slope" not in said(app)  # what is not open is not drawn
    app.session_state["evaluate_tab"] = "All numbers"
    text = said(app.run())
    assert not app.exception
    for words in ("Kappa (Cohen)", "Matthews", "Brier score", "Calibration slope", "PPV at", "rr-whiskers"):
        assert words in text


def test_a_predictive_value_follows_the_prevalence(open_page: OpenPage, project: Project, model: Model) -> None:
    app = open_page("evaluate", project=project.id)
    app.session_state["evaluate_tab"] = "All numbers"
    before = said(app.run())
    app.number_input(key="prevalence_pneumonia").set_value(1.0).run()
    assert "PPV at 1 %" in said(app)
    assert "PPV at 1 %" not in before
