"""Changes of classes by themselves, and names that lead from then to now."""

import sqlite3

import pytest

from core.errors import InvalidInput
from core.labels.schema import change_schema
from core.projects.changes import SchemaChange, apply_change, list_changes, present_names, under_present_names
from core.projects.records import Project
from core.projects.schema import Regression, Segmentation, make_classification, make_segmentation
from core.store.audit import Actor


def test_structures_change_like_classes() -> None:
    schema = make_segmentation(["liver", "lesion"])
    renamed = apply_change(schema, SchemaChange("rename", "liver", "hepar"), {"liver": "liver", "lesion": "lesion"})
    assert isinstance(renamed, Segmentation)
    assert renamed.names == ("hepar", "lesion")
    assert renamed.structures[0].colour == schema.structures[0].colour
    wider = apply_change(renamed, SchemaChange("add", "spleen"), {})
    assert isinstance(wider, Segmentation)
    assert wider.structures[2].colour not in {one.colour for one in renamed.structures}
    with pytest.raises(InvalidInput, match="no digit"):
        apply_change(schema, SchemaChange("key", "liver", "2"), {})
    with pytest.raises(InvalidInput, match="at least one structure"):
        apply_change(make_segmentation(["liver"]), SchemaChange("retire", "liver"), {})


def test_a_quantity_has_no_classes_to_change() -> None:
    with pytest.raises(InvalidInput, match="no classes or structures"):
        apply_change(Regression("age", "years", None, None), SchemaChange("add", "x"), {})
    with pytest.raises(InvalidInput, match="A change is one of"):
        SchemaChange("delete", "x")  # type: ignore[arg-type]


def test_a_tenth_class_has_no_digit() -> None:
    schema = make_classification([str(at) for at in range(9)])
    wider = apply_change(schema, SchemaChange("add", "ten"), {})
    assert wider.classes[9].key == ""  # type: ignore[union-attr]


def test_every_former_name_leads_to_the_present_one(
    connection: sqlite3.Connection, project: Project, actor: Actor
) -> None:
    now = project
    for change in (
        SchemaChange("rename", "pneumonia", "b"),
        SchemaChange("rename", "b", "c"),
        SchemaChange("add", "effusion"),
        SchemaChange("rename", "normal", "healthy"),
        SchemaChange("rename", "c", "b"),
    ):
        now = change_schema(connection, now, change, actor)
    names = present_names(connection, now)
    assert names == {
        "healthy": "healthy", "normal": "healthy", "pneumonia": "b", "b": "b", "c": "b", "effusion": "effusion",
    }  # fmt: skip
    assert [stored.version for stored in list_changes(connection, project.id)] == [2, 3, 4, 5, 6]
    assert under_present_names({"classes": ["c", "unheard of"]}, names) == {"classes": ["b", "unheard of"]}
    assert under_present_names({"value": 3.0}, names) == {"value": 3.0}
