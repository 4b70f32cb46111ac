"""The form of a new project: texts, task, what is asked (classes, structures or a quantity), reference rule."""

from typing import Any, get_args

import streamlit as st

from core.people.accounts import list_users
from core.projects.records import RULES, ReferenceRule, RuleKind, add_project
from core.projects.schema import (
    COLOURS,
    HOT_KEYS,
    MEASURE_UNITS,
    MOST_QUANTITIES,
    TASKS,
    Classification,
    ClassLabel,
    Generation,
    LabelSchema,
    Quantity,
    Regression,
    Segmentation,
    Structure,
    Task,
)
from dashboard import messages, once, places, session

ROWS = "project_form:rows"  # ids of the class rows on screen; an id is never given out twice
STRUCTURE_ROWS = "project_form:structures"
QUANTITY_ROWS = "project_form:quantities"  # beside the first
TASK_WORDS = {
    "classification": "Classification",
    "segmentation": "Segmentation",
    "regression": "Regression",
    "generation": "Generation",
}
TASK_TOLD: dict[Task, str] = {
    "classification": "A model learns to say which class an image or volume belongs to, such as normal or pneumonia.",
    "segmentation": "A model learns to paint structures where readers have painted them, such as an organ or a lesion.",
    "regression": "A model learns to tell a number with its unit, such as an age, a count or a volume.",
    "generation": "A model learns to draw images of each class, and for sex and age where they are known. What it "
    "draws is no patient and stays marked as synthetic.",
}
BLIND_HELP = (
    "A reader sees what others, or a model, say of a case only after their own answer. "
    "It does not hide anything from scientists, reviewers and administrators."
)
RULE_WORDS: dict[RuleKind, str] = {
    "majority": "Majority of readers",
    "reader": "One named reader",
    "median": "Median of readers",
    "only": "The only reader",
}
RULE_HELP: dict[RuleKind, str] = {
    "majority": "Majority: what most readers say; a tie leaves the case without a reference.",
    "median": "Median: the middle of the readers' numbers, of two their mean.",
    "only": "The only reader: as long as one reader has painted, that is the reference; where several have, "
    "the case waits until you name one. There is no majority of outlines.",
    "reader": "One reader: the newest answer of the reader you name.",
}
MEASURE_WORDS = {None: "typed", "length": "from a length", "angle": "from an angle", "area": "from an area"}
assert set(TASK_WORDS) == set(TASK_TOLD) == set(get_args(Task)) == set(TASKS)
assert set(RULE_WORDS) == set(RULE_HELP) == set(get_args(RuleKind))


def draw_project_form() -> None:
    """All fields and the button; a created project is opened at once."""
    name = st.text_input("Name", key="new_name", placeholder="Chest X-rays: pneumonia", max_chars=80)
    task = st.segmented_control(
        "Task", TASKS, default="classification", format_func=TASK_WORDS.__getitem__, key="new_task", required=True
    )
    st.caption(TASK_TOLD[task])
    multi_label = task == "classification" and st.toggle(
        "An image may have several classes at once",
        key="new_multi",
        help="Off: exactly one class for each image. On: any number of them, or none.",
    )
    schema = _draw_schema(task, multi_label)
    left, right = st.columns(2)
    description = left.text_area(
        "Description", key="new_description", height=68, placeholder="What is in the images, from where"
    )
    intended_use = right.text_area(
        "Intended use", key="new_use", height=68, placeholder="Who would use a model, for what, and for what not"
    )
    rule = draw_rule_choice(f"new_{task}", task, ReferenceRule(RULES[task][0]))
    has_classes = task in ("classification", "generation")
    left, right = st.columns(2)
    digit_advances = has_classes and left.toggle(
        "A digit saves and goes to the next case",
        value=True,
        key="new_advance",
        disabled=multi_label,
        help="For projects with one class for each image. Otherwise Enter saves and goes on.",
    )
    blind_first = (right if has_classes else left).toggle(
        "Readers answer blind first", key="new_blind", help=BLIND_HELP
    )
    if st.button("Create project", type="primary", key=once.key("new_create"), shortcut="ctrl+enter"):
        with messages.refusals_shown():
            project = add_project(
                session.db(),
                name=name,
                task=task,
                schema=schema,
                description=description,
                intended_use=intended_use,
                reference_rule=ReferenceRule(*rule),
                digit_advances=digit_advances,
                blind_first=blind_first,
                actor=session.actor(),
            )
            places.go("import_images", project=project.id)


def draw_rule_choice(key: str, task: Task, rule: ReferenceRule) -> tuple[RuleKind, str | None]:
    """Which answer counts when readers differ: the kind of rule and its reader."""
    readers = [user.name for user in list_users(session.db())]
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    kind = left.segmented_control(
        "Which answer counts",
        RULES[task],
        default=rule.kind,
        required=True,
        format_func=RULE_WORDS.__getitem__,
        key=f"{key}_rule",
        help="The reference is what training and evaluation take for true. "
        + " ".join(RULE_HELP[one] for one in RULES[task]),
    )
    if kind != "reader":
        return kind, None
    reader = right.selectbox(
        "Reader",
        readers,
        index=readers.index(rule.reader) if rule.reader in readers else None,
        accept_new_options=True,
        key=f"{key}_reader",
        placeholder="Name",
    )
    return "reader", reader


def _draw_schema(task: Task, multi_label: bool) -> LabelSchema:
    """What is asked; the engine refuses what is incomplete when the project is created."""
    if task == "classification":
        return Classification(_draw_classes(), multi_label)
    if task == "generation":
        return Generation(_draw_classes())
    if task == "segmentation":
        return Segmentation(_draw_structures())
    return _draw_quantity()


def _draw_structures() -> tuple[Structure, ...]:
    """One row per structure: colour, name."""
    rows: list[int] = st.session_state.setdefault(STRUCTURE_ROWS, [0])
    st.markdown("Structures", help="Each is painted in its own colour; the digits 1 to 9 choose them in this order.")
    structures = []
    for at in range(len(rows)):
        colour, name, remove = st.columns([0.6, 6.1, 0.6], vertical_alignment="center")
        text, shade = _draw_name(rows, at, "structure", ("liver", "lesion"), (colour, name, remove))
        structures.append(Structure(text.strip(), shade))
    _draw_add("structure", STRUCTURE_ROWS)
    return tuple(structures)


def _draw_quantity() -> Regression:
    """What is measured, in which unit and range, and whether the number is typed or drawn."""
    how, target, unit = st.columns([2, 2, 1], vertical_alignment="bottom")
    measure = how.selectbox(
        "The number is",
        list(MEASURE_WORDS),
        format_func=MEASURE_WORDS.__getitem__,
        key="new_measure",
        help="Derived from a measurement, the number follows what the reader draws, and the drawing stays beside it "
        "as evidence. Images whose pixel spacing is not known can be answered by typing alone.",
    )
    name = target.text_input("Quantity", key="new_target", placeholder="age" if measure is None else "heart width")
    if measure is None:
        word = unit.text_input("Unit", key="new_unit", placeholder="years")
    else:
        word = unit.selectbox("Unit", MEASURE_UNITS[measure], key=f"new_unit_{measure}")
    low, high = st.columns(2)
    least = low.number_input("Least", value=None, key="new_low", placeholder="no limit", help="Less is refused.")
    most = high.number_input("Most", value=None, key="new_high", placeholder="no limit", help="More is refused.")
    further = _draw_further() if measure is None else ()
    return Regression(name.strip(), word.strip(), least, most, measure, further)


def _draw_further() -> tuple[Quantity, ...]:
    """One row per quantity beside the first; an answer gives all of them."""
    rows: list[int] = st.session_state.setdefault(QUANTITY_ROWS, [])
    found = []
    for at, row in enumerate(rows, start=2):
        target, unit, low, high, remove = st.columns([2.6, 1.6, 1.3, 1.3, 0.6], vertical_alignment="bottom")
        name = target.text_input(f"Quantity {at}", key=f"further_target_{row}", placeholder="body weight")
        word = unit.text_input(f"Unit {at}", key=f"further_unit_{row}", placeholder="kg")
        least = low.number_input(f"Least {at}", value=None, key=f"further_low_{row}", placeholder="no limit")
        most = high.number_input(f"Most {at}", value=None, key=f"further_high_{row}", placeholder="no limit")
        _draw_remove(remove, "quantity", rows, row, key=f"further_remove_{row}")
        found.append(Quantity(name.strip(), word.strip(), least, most))
    _draw_add(
        "quantity",
        QUANTITY_ROWS,
        disabled=len(rows) + 1 >= MOST_QUANTITIES,
        help="Several numbers of the same image, typed one after the other. An answer gives all of them: a case "
        "without one stays unlabelled.",
    )
    return tuple(found)


def _draw_classes() -> tuple[ClassLabel, ...]:
    """One row per class: key, colour, name; rows come and go by buttons."""
    rows: list[int] = st.session_state.setdefault(ROWS, [0, 1])
    st.markdown("Classes", help="The digit is the key that gives this class on the label page.")
    labels = []
    for at, row in enumerate(rows):
        key, colour, name, remove = st.columns([1.1, 0.6, 5, 0.6], vertical_alignment="center")
        chosen = key.selectbox(
            f"Key of class {at + 1}",
            [*HOT_KEYS, ""],
            index=min(row, 9),
            key=f"class_key_{row}",
            label_visibility="collapsed",
            format_func=lambda digit: digit or "no key",
        )
        text, shade = _draw_name(rows, at, "class", ("normal", "pneumonia"), (colour, name, remove))
        labels.append(ClassLabel(text.strip(), chosen, shade))
    _draw_add("class", ROWS)
    return tuple(labels)


def _draw_add(what: str, which: str, *, disabled: bool = False, help: str | None = None) -> None:
    st.button(
        f"Add a {what}", icon=":material/add:", key=f"{what}_add", on_click=_add_row, args=(which,), type="tertiary",
        disabled=disabled, help=help,
    )  # fmt: skip


def _draw_remove(place: Any, what: str, rows: list[int], row: int, *, key: str, disabled: bool = False) -> None:
    place.button(
        "", icon=":material/close:", key=key, on_click=rows.remove, args=(row,), type="tertiary", disabled=disabled,
        help=f"Remove this {what}",
    )  # fmt: skip


def _add_row(which: str) -> None:
    rows = st.session_state[which]
    rows.append(max(rows, default=-1) + 1)


def _draw_name(
    rows: list[int], at: int, what: str, examples: tuple[str, str], places: tuple[Any, Any, Any]
) -> tuple[str, str]:
    """What a class or a structure is called and its colour, and the button that takes its row away."""
    row, (colour, name, remove) = rows[at], places
    shade = colour.color_picker(
        f"Colour of {what} {at + 1}",
        COLOURS[row % len(COLOURS)],
        key=f"{what}_colour_{row}",
        label_visibility="collapsed",
    )
    text = name.text_input(
        f"Name of {what} {at + 1}",
        key=f"{what}_name_{row}",
        label_visibility="collapsed",
        placeholder=examples[at] if at < 2 else f"another {what}",
    )
    _draw_remove(remove, what, rows, row, key=f"{what}_remove_{row}", disabled=len(rows) == 1)
    return text, shade
