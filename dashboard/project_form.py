"""The form of a new project: texts, task, classes with hot keys and colours, reference rule."""

from typing import get_args

import streamlit as st

from core.people.accounts import list_users
from core.projects.records import ReferenceRule, add_project
from core.projects.schema import COLOURS, HOT_KEYS, TASKS, Classification, ClassLabel, Task, check_schema
from dashboard import messages, places, session

ROWS = "project_form:rows"  # ids of the class rows on screen; an id is never given out twice
TASK_WORDS = {
    "classification": "Classification",
    "segmentation": "Segmentation",
    "regression": "Regression",
    "generation": "Generation",
}
NOT_YET = {
    "segmentation": "painting structures",
    "regression": "measuring a quantity",
    "generation": "drawing images",
}
BLIND_HELP = (
    "A reader sees what others, or a model, say of a case only after their own answer. "
    "It does not hide anything from scientists, reviewers and administrators."
)
assert set(TASK_WORDS) == set(get_args(Task)) == set(TASKS)


def draw_project_form() -> None:
    """All fields and the button; a created project is opened at once."""
    name = st.text_input("Name", key="new_name", placeholder="Chest X-rays: pneumonia", max_chars=80)
    task = st.segmented_control(
        "Task", TASKS, default="classification", format_func=TASK_WORDS.__getitem__, key="new_task", required=True
    )
    if task != "classification":
        st.info(
            f"{TASK_WORDS[task]} ({NOT_YET[task]}) is planned and not here yet. "
            "Today Readroom runs classification: which of these classes does the image show?",
            icon=":material/schedule:",
        )
        return
    multi_label = st.toggle(
        "An image may have several classes at once",
        key="new_multi",
        help="Off: exactly one class for each image. On: any number of them, or none.",
    )
    classes = _draw_classes()
    left, right = st.columns(2)
    description = left.text_area(
        "Description", key="new_description", height=90, placeholder="What is in the images, from where"
    )
    intended_use = right.text_area(
        "Intended use", key="new_use", height=90, placeholder="Who would use a model, for what, and for what not"
    )
    rule = draw_rule_choice("new", ReferenceRule())
    digit_advances = st.toggle(
        "A digit saves and goes to the next case",
        value=True,
        key="new_advance",
        disabled=multi_label,
        help="For projects with one class for each image. Otherwise Enter saves and goes on.",
    )
    blind_first = st.toggle("Readers answer blind first", key="new_blind", help=BLIND_HELP)
    if st.button("Create project", type="primary", key="new_create", shortcut="ctrl+enter"):
        with messages.refusals_shown():
            project = add_project(
                session.db(),
                name=name,
                task=task,
                schema=check_schema(Classification(classes, multi_label)),
                description=description,
                intended_use=intended_use,
                reference_rule=ReferenceRule(*rule),
                digit_advances=digit_advances,
                blind_first=blind_first,
                actor=session.actor(),
            )
            places.go("import_images", project=project.id)


def draw_rule_choice(key: str, rule: ReferenceRule) -> tuple[str, str | None]:
    """Which answer counts when readers differ: the kind of rule and its reader."""
    readers = [user.name for user in list_users(session.db())]
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    kind = left.segmented_control(
        "Which answer counts",
        ("majority", "reader"),
        default=rule.kind,
        required=True,
        format_func={"majority": "Majority of readers", "reader": "One named reader"}.__getitem__,
        key=f"{key}_rule",
        help="The reference is what training and evaluation take for true. "
        "Majority: what most readers say; a tie leaves the case without a reference. "
        "One reader: the newest answer of the reader you name.",
    )
    if kind == "majority":
        return "majority", None
    reader = right.selectbox(
        "Reader",
        readers,
        index=readers.index(rule.reader) if rule.reader in readers else None,
        accept_new_options=True,
        key=f"{key}_reader",
        placeholder="Name",
    )
    return "reader", reader


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
        shade = colour.color_picker(
            f"Colour of class {at + 1}",
            COLOURS[row % len(COLOURS)],
            key=f"class_colour_{row}",
            label_visibility="collapsed",
        )
        text = name.text_input(
            f"Name of class {at + 1}",
            key=f"class_name_{row}",
            label_visibility="collapsed",
            placeholder=("normal", "pneumonia")[at] if at < 2 else "another class",
        )
        remove.button(
            "",
            icon=":material/close:",
            key=f"class_remove_{row}",
            on_click=rows.remove,
            args=(row,),
            type="tertiary",
            disabled=len(rows) == 1,
            help="Remove this class",
        )
        labels.append(ClassLabel(text.strip(), chosen, shade))
    st.button("Add a class", icon=":material/add:", key="class_add", on_click=_add_row, type="tertiary")
    return tuple(labels)


def _add_row() -> None:
    rows = st.session_state[ROWS]
    rows.append(max(rows) + 1)
