"""The filter bar of cases, kept in the address by ids and choices, so that a copied URL shows the same cases.

What may name somebody (a text, an attribute's value) is kept in the tab instead.
"""

from collections.abc import Iterable
from typing import Any

import streamlit as st

from core.datasets.freeze import SPELLINGS
from core.datasets.records import list_snapshots
from core.datasets.splits import SPLITS
from core.images.records import count_cases
from core.labels.sight import Sight
from core.people.accounts import list_users
from core.projects.records import Project
from core.projects.schema import Classification
from core.reviews.case_search import CaseFilter, list_attribute_values
from core.training.records import list_models
from dashboard import session

# States of the reference, offered beside the classes.
STATES = {"no reference": "unlabelled", "readers are tied": "tied", "unusable image": "unusable"}
REMEMBERED_SECONDS = 300


def draw_filter_bar(project: Project, sight: Sight, *, stacked: bool = False) -> CaseFilter:
    """One row of controls, each bound to its key in the address; a second one only where a first was chosen.

    `stacked` puts them below each other, for a narrow place.

    Nothing is offered that `sight` may not know: no model, and to a blind reader no reader but themselves and no
    attribute, whose values may say the answer.
    """
    names = project.schema.names if isinstance(project.schema, Classification) else ()
    snapshots = {str(snapshot.id): snapshot.name for snapshot in list_snapshots(session.db(), project.id)}
    models = {str(model.id): model.name for model in list_models(session.db(), project.id)} if sight.models else {}
    people = [user for user in list_users(session.db()) if not sight.blind_to_others or user.id == sight.reader]
    readers = {str(user.id): user.name for user in people}
    attributes = {} if sight.blind_to_others else find_attributes(project)
    chosen: dict[str, Any] = {}
    widths = [1.4, 1.5, 1.2, 1.2, 1.2, 1.2, 0.8]
    text, label, reader, split, model, attribute, flagged = (
        [st.container() for _ in widths] if stacked else st.columns(widths)
    )
    # This and an attribute's value stay out of the address, which is passed on and logged: they may name a patient.
    chosen["text"] = text.text_input("File or patient", key="case_text", placeholder="any")
    chosen["label"] = _select(label, "Reference", [*names, *STATES], "label")
    chosen["reader"] = readers.get(_select(reader, "Answered by", readers, "reader", readers) or "")
    chosen["split"] = _select(split, "Split", SPLITS if snapshots else (), "split")
    if chosen["split"] and len(snapshots) > 1:
        chosen["snapshot"] = _select(split, "of snapshot", snapshots, "snapshot", snapshots)
    chosen["model"] = _select(model, "Predicted by", models, "model", models) if sight.models else None
    if chosen["model"] and names:  # a number is never simply right or wrong
        chosen["outcome"] = _select(model, "which was", ("right", "wrong"), "result")
    chosen["attribute"] = _select(attribute, "Attribute", attributes, "attribute") if attributes else None
    if chosen["attribute"]:
        values, key = attributes[chosen["attribute"]], f"case_is_{chosen['attribute']}"
        chosen["is"] = attribute.selectbox("is", list(values), index=None, key=key, placeholder="any")
    if not stacked:
        flagged.html('<div style="font-size:0.875rem">Flagged</div>')
    chosen["flagged"] = flagged.toggle(
        "Flagged", key="flagged", bind="query-params", label_visibility="visible" if stacked else "collapsed"
    )
    return _filter(chosen, next(iter(snapshots), None))


def find_attributes(project: Project) -> dict[str, dict[str, int]]:
    """{attribute: {value: cases}}; asked for at most every few minutes, since it counts all cases."""
    return _attributes(str(session.settings().home), project.id, count_cases(session.db(), project.id))


def forget_attributes() -> None:
    """Cases were erased: their values are offered to nobody any more."""
    _attributes.clear()


def split_columns(project: Project) -> list[str]:
    """What may hold a split: the label table's own split, and attributes that say train and test."""
    said = [
        name
        for name, values in find_attributes(project).items()
        if {value.lower() for value in values} <= set(SPELLINGS)
    ]
    return ["split", *said]


@st.cache_data(ttl=REMEMBERED_SECONDS, show_spinner=False)
def _attributes(home: str, project_id: int, cases: int) -> dict[str, dict[str, int]]:
    """Kept by the number of cases too, which an import or an erasing from elsewhere changes."""
    return list_attribute_values(session.db(), project_id)


def _select(
    place: Any, title: str, options: Iterable[str], key: str, names: dict[str, str] | None = None
) -> str | None:
    offered = list(options)
    chosen = place.selectbox(
        title,
        offered,
        index=None,
        key=key,
        bind="query-params",
        placeholder="any",
        disabled=not offered,
        format_func=lambda option: (names or {}).get(option, option),
    )
    return None if chosen is None else str(chosen)


def _filter(chosen: dict[str, Any], newest_snapshot: str | None) -> CaseFilter:
    snapshot = chosen.get("snapshot") or newest_snapshot
    label = chosen["label"]
    return CaseFilter(
        label=None if label in STATES else label,
        state=STATES.get(label),  # type: ignore[arg-type]
        reader=chosen["reader"],
        split=chosen["split"],
        snapshot=int(snapshot) if chosen["split"] and snapshot else None,
        attributes=((chosen["attribute"], chosen["is"]),) if chosen.get("is") else (),
        model=int(chosen["model"]) if chosen["model"] else None,
        outcome=chosen.get("outcome"),
        flagged=chosen["flagged"] or None,
        text=chosen["text"].strip() or None,
    )
