"""Changing whose answers count."""

import sqlite3
from collections.abc import Callable

import pytest

from core.errors import NotFound
from core.images.records import Case
from core.labels.records import Label, find_reference
from core.labels.reference import set_reference_rule
from core.projects.records import Project, ReferenceRule, get_project
from core.store.audit import Actor


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


def test_a_rule_names_somebody_who_is_known(connection: sqlite3.Connection, project: Project, actor: Actor) -> None:
    with pytest.raises(NotFound, match="no user zoe"):
        set_reference_rule(connection, project, ReferenceRule("reader", "zoe"), actor)
    assert get_project(connection, project.id).reference_rule == ReferenceRule()
