"""The overlay of the review stands in the address: the viewer begins as it says, and tells it what becomes of it."""

import json
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.images.records import Case
from core.projects.records import Project
from core.training.records import Model
from dashboard import review_view
from dashboard.viewer import Look
from tests.pages.conftest import OpenPage

AT_FIRST = {"on": False, "class": "", "opacity": 0.6, "threshold": 0.0, "colours": "viridis"}


def look_of(app: AppTest) -> dict[str, Any]:
    (told,) = (element.proto.json for element in app.main if "findings" in getattr(element.proto, "json", ""))
    found: dict[str, Any] = json.loads(told)["look"]
    return found


@pytest.mark.parametrize(
    ("query", "look"),
    [
        ({}, {}),
        ({"overlay": "on"}, {"on": True}),
        (
            {"overlay": "on", "explained": "pneumonia", "opacity": "0.30", "from": "0.15", "colours": "magma"},
            {"on": True, "class": "pneumonia", "opacity": 0.3, "threshold": 0.15, "colours": "magma"},
        ),
        ({"overlay": "yes", "explained": "no class", "opacity": "7", "from": "nan", "colours": "pink"}, {}),
    ],
)
def test_the_overlay_begins_as_the_address_says(
    open_page: OpenPage, project: Project, cases: list[Case], model: Model, query: dict[str, str], look: dict[str, Any]
) -> None:
    app = open_page("review", project=project.id, result="all", **query)
    assert not app.exception
    assert look_of(app) == AT_FIRST | look


def test_what_the_reader_makes_of_the_overlay_goes_into_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    address: dict[str, str] = {"case": "7"}
    monkeypatch.setattr(st, "query_params", address)
    review_view._keep_look(Look(on=True, explained="pneumonia", opacity=0.3))
    assert address == {"case": "7", "overlay": "on", "explained": "pneumonia", "opacity": "0.30"}
    review_view._keep_look(Look())
    assert address == {"case": "7"}
