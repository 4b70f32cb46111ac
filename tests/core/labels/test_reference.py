"""Changing whose answers count."""

import sqlite3
from collections.abc import Callable

import pytest

from core.errors import NotFound
from core.images.records import Case
from core.labels.records import Label, find_reference
from core.labels.reference import set_reference_rule
from core.labels.schema import SchemaChange, change_schema
from core.projects.records import Project, ReferenceRule, add_project, get_project
from core.projects.schema import make_classification
from core.store.audit import Actor, list_audit


def test_a_new_rule_settles_every_case_anew(
    connection: sqlite3.Connection, project: Project, make_case: Callable[..., Case], answer: Callable[..., Label],
    actor: Actor,
) -> None:  # fmt: skip
    both, only_anna, nobody = make_case("both.png"), make_case("anna.png"), make_case("nobody.png")
    answer(both, "normal", reader="anna")
    by_ben = answer(both, "pneumonia", reader="ben")
    answer(only_anna, "normal", reader="anna")
    changed = set_reference_rule(connection, project, ReferenceRule("reader", "ben"), actor)
    assert changed == get_project(connection, project.id)
    reference = find_reference(connection, both.id)
    assert reference is not None
    assert (reference.value, reference.label_ids) == ({"classes": ["pneumonia"]}, (by_ben.id,))
    assert find_reference(connection, only_anna.id) is None
    assert find_reference(connection, nobody.id) is None
    answer(only_anna, "pneumonia", reader="ben")
    assert find_reference(connection, only_anna.id) is not None
    set_reference_rule(connection, changed, ReferenceRule("majority"), actor)
    tied = find_reference(connection, both.id)
    assert tied is not None
    assert tied.state == "tied"


def test_a_rule_set_on_a_page_opened_before_a_rename_settles_under_the_classes_of_today(
    connection: sqlite3.Connection, make_case: Callable[..., Case], answer: Callable[..., Label], actor: Actor
) -> None:
    opened = add_project(
        connection, name="Findings", task="classification", actor=actor,
        schema=make_classification(["effusion", "nodule"], multi_label=True),
    )  # fmt: skip
    case = make_case("a.png", into=opened)
    label = answer(case, "effusion", "nodule")
    change_schema(connection, opened, SchemaChange("rename", "nodule", "mass"), actor)
    elsewhere = set_reference_rule(connection, opened, ReferenceRule("reader", "anna"), actor)
    assert elsewhere == get_project(connection, opened.id)
    changed = set_reference_rule(connection, opened, ReferenceRule("majority"), actor)
    assert changed == get_project(connection, opened.id)
    reference = find_reference(connection, case.id)
    assert reference is not None
    assert (reference.state, reference.value) == ("labelled", {"classes": ["effusion", "mass"]})
    assert reference.label_ids > (label.id,)
    rows = list_audit(connection, what="set reference rule")
    kinds = [(row.detail["before"]["kind"], row.detail["after"]["kind"]) for row in rows]
    assert kinds == [("reader", "majority"), ("majority", "reader")]


def test_a_rule_names_somebody_who_is_known(connection: sqlite3.Connection, project: Project, actor: Actor) -> None:
    with pytest.raises(NotFound, match="no user zoe"):
        set_reference_rule(connection, project, ReferenceRule("reader", "zoe"), actor)
    assert get_project(connection, project.id).reference_rule == ReferenceRule()
