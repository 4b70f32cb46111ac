"""What a project asks, as chips; and for its administrator the small forms that change classes or structures."""

from html import escape

import streamlit as st

from core.labels.schema import SchemaChange, change_schema, count_answers_with
from core.projects.changes import ChangeKind, list_changes
from core.projects.records import Project, get_project
from core.projects.schema import HOT_KEYS, Classification, ClassLabel, Quantity, Regression, Segmentation, Structure
from dashboard import messages, session, wording

SAID = {"add": "added", "rename": "renamed", "recolour": "recoloured", "retire": "retired", "restore": "brought back",
        "key": "given another digit"}  # fmt: skip


def question_facts(project: Project) -> str:
    """The rows of the list of facts that say what is asked, as HTML; text is escaped."""
    schema = project.schema
    if isinstance(schema, Regression):
        drawn = f", derived from {'an' if schema.measure in ('angle', 'area') else 'a'} {schema.measure}"
        told = [_say_quantity(one) + (drawn if schema.measure else "") for one in schema.quantities]
        word = "Quantities" if schema.further else "Quantity"
        return f"<dt>{word}</dt><dd>{'<br>'.join(map(escape, told))}</dd>"
    ones = _ones(project)
    word = "Structures" if isinstance(schema, Segmentation) else "Classes"
    keys = {one.name: one.key for one in ones if isinstance(one, ClassLabel)}
    offered = "".join(wording.chip(one.name, one.colour, key=keys.get(one.name, "")) for one in ones if not one.retired)
    retired = "".join(wording.chip(one.name, one.colour) for one in ones if one.retired)
    return f"<dt>{word}</dt><dd>{offered}</dd>" + (f"<dt>Retired</dt><dd>{retired}</dd>" if retired else "")


def _say_quantity(quantity: Quantity) -> str:
    ends = ["" if end is None else f"{end:g}" for end in (quantity.low, quantity.high)]
    limits = f", between {ends[0] or 'any'} and {ends[1] or 'any'}" if any(ends) else ""
    return f"{quantity.target} in {quantity.unit}{limits}"


def draw_schema_editor(project: Project) -> None:
    """Add, rename, recolour, retire: one change at a time; nothing that was answered is lost."""
    ones = _ones(project)
    if not ones:
        return
    word = "structure" if isinstance(project.schema, Segmentation) else "class"
    with st.expander(f"Change the {word}{'s' if word == 'structure' else 'es'}", icon=":material/palette:"):
        st.caption(
            "Answers stay: under a new name they are found by that name, and what is retired is no longer offered but "
            "keeps its answers. Snapshots and models keep the names of their time."
        )
        counts = count_answers_with(session.db(), project)
        chosen = st.selectbox(
            word.capitalize(),
            [one.name for one in ones],
            format_func=lambda name: f"{name} ({wording.count(counts.get(name, 0), 'answer')})",
            key="schema_one",
        )
        one = next(one for one in ones if one.name == chosen)
        _draw_changes(project, one)
        left, right = st.columns([4, 1], vertical_alignment="bottom")
        left.text_input(f"Another {word}", key="schema_new", placeholder="its name")
        right.button("Add", key="schema_add", on_click=_change, args=(project, "add", "schema_new"), width="stretch")
        history = list_changes(session.db(), project.id)
        if history:
            lines = [
                f"{stored.change.name} {SAID[stored.change.kind]}"
                + (f" to {stored.change.to}" if stored.change.to and stored.change.kind != "add" else "")
                + f", {wording.moment(stored.changed_at)} by {stored.changed_by}"
                for stored in reversed(history[-8:])
            ]
            st.html(f'<p class="rr-quiet">{"<br>".join(map(escape, lines))}</p>')


def _draw_changes(project: Project, one: ClassLabel | Structure) -> None:
    """What can be done with the one that is chosen; the widgets are those of this version, so none shows old words."""
    key = f"{project.schema_version}_{one.name}"
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    left.text_input("Name", one.name, key=f"schema_name_{key}")
    right.button(
        "Rename",
        key="schema_rename",
        on_click=_change,
        args=(project, "rename", f"schema_name_{key}", one.name),
        width="stretch",
    )
    colour, digit, retire = st.columns([1, 2, 2], vertical_alignment="bottom")
    colour.color_picker(
        "Colour",
        one.colour,
        key=f"schema_colour_{key}",
        on_change=_change,
        args=(project, "recolour", f"schema_colour_{key}", one.name),
    )
    if isinstance(one, ClassLabel):
        taken = {other.key for other in _ones(project) if isinstance(other, ClassLabel) and other.name != one.name}
        free = [hot for hot in HOT_KEYS if hot not in taken] + [""]
        digit.selectbox(
            "Digit",
            free,
            index=free.index(one.key),
            format_func=lambda hot: hot or "no key",
            key=f"schema_key_{key}",
            on_change=_change,
            args=(project, "key", f"schema_key_{key}", one.name),
            disabled=one.retired,
        )
    retire.button(
        "Offer it again" if one.retired else "Retire it",
        key="schema_retire",
        on_click=_change,
        args=(project, "restore" if one.retired else "retire", "", one.name),
        help="Readers can no longer choose it; what was answered stays." if not one.retired else None,
        width="stretch",
    )


def _change(project: Project, kind: ChangeKind, field: str, name: str = "") -> None:
    """In a callback: read the field, make the change, say so."""
    given = str(st.session_state[field]).strip() if field else ""
    with messages.refusals_told():
        change = SchemaChange(kind, given, "") if kind == "add" else SchemaChange(kind, name, given)
        changed = change_schema(session.db(), get_project(session.db(), project.id), change, session.actor())
        if kind == "add":
            st.session_state[field] = ""
        messages.say(f"{change.name} {SAID[kind]}; this is version {changed.schema_version} of the question.")


def _ones(project: Project) -> tuple[ClassLabel, ...] | tuple[Structure, ...]:
    if isinstance(project.schema, Classification):
        return project.schema.classes
    return project.schema.structures if isinstance(project.schema, Segmentation) else ()
