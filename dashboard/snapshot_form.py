"""The form that freezes a snapshot, and the leaks that speak against it."""

from html import escape
from typing import Any

import streamlit as st

from core.datasets.freeze import freeze_snapshot
from core.datasets.leaks import Leak, LeaksFound
from core.images.records import count_synthetic
from core.projects.records import Project
from dashboard import messages, once, places, session, wording
from dashboard.progress_bar import BarProgress

LEAKS = "snapshot_form:leaks"
SHOWN_LEAKS = 200
FOLDS_HELP = (
    "For cross-validation: the patients are dealt into so many parts, and each part is the test once, of a model that "
    "learnt from the others. Use it where cases are few; 5 is usual, 0 means none."
)
KIND_WORDS = {"patient": "same patient", "same pixels": "identical images", "near-duplicate": "nearly identical images",
              "drawn": "drawn by a model that has learnt these"}  # fmt: skip


def draw_snapshot_form(project: Project, columns: list[str]) -> None:
    """Name, way of splitting, seed, folds; `columns` are the label table's columns that may hold a split."""
    left, right = st.columns([2, 1])
    name = left.text_input("Name", key="snapshot_name", placeholder="first", max_chars=60)
    seed = right.number_input("Seed", 0, 2**31 - 1, 0, key="snapshot_seed", help="The same seed gives the same split.")
    by = st.segmented_control(
        "Split",
        ("ratios", "column"),
        default="ratios",
        required=True,
        key="snapshot_by",
        format_func={"ratios": "By patient, at random", "column": "From a column of the label table"}.__getitem__,
        disabled=not columns,
        help=None if columns else "The label table of this project had no column that could hold a split.",
    )
    arguments: dict[str, Any] = {"seed": int(seed)}
    if by == "column":
        arguments |= {"ratios": None, "split_column": st.selectbox("Column", columns, key="snapshot_column")}
    else:
        parts = st.columns(4)
        shares = [
            parts[at].number_input(f"{split} %", 0, 100, share, step=5, key=f"snapshot_{split}")
            for at, (split, share) in enumerate((("train", 70), ("validation", 15), ("test", 15)))
        ]
        arguments["ratios"] = tuple(share / 100 for share in shares)
        arguments["folds"] = int(parts[3].number_input("Folds", 0, 20, 0, key="snapshot_folds", help=FOLDS_HELP))
    if there := count_synthetic(session.db(), project.id):
        arguments["synthetic"] = int(
            st.number_input(
                "Synthetic images in train",
                0,
                there,
                0,
                key="snapshot_synthetic",
                help=f"{there:,} were drawn into this project. They go into train and nowhere else; freeze the same "
                "split without them too, to see what they are good for.",
            )
        )
    _draw_leaks()
    if st.button("Freeze snapshot", type="primary", key=once.key("snapshot_freeze"), shortcut="ctrl+enter"):
        with messages.refusals_shown():
            _freeze(project, name, arguments)


def _freeze(project: Project, name: str, arguments: dict[str, Any]) -> None:
    reason = st.session_state.get("snapshot_reason", "").strip()
    bar = BarProgress("Looking for leaks")
    try:
        snapshot = freeze_snapshot(
            session.db(),
            session.files(),
            project,
            name,
            allow_leaks=reason or None,
            actor=session.actor(),
            progress=bar,
            **arguments,
        )
    except LeaksFound as found:
        st.session_state[LEAKS] = (str(found), found.leaks)
        st.rerun()
    finally:
        bar.remove()  # beside a refusal it would look like work that goes on
    st.session_state.pop(LEAKS, None)
    messages.say(f"Snapshot {snapshot.name} is frozen.")
    places.go("snapshots", project=project.id, snapshot=snapshot.id)


def _draw_leaks() -> None:
    """A refusal stays on the page with its cases, until another attempt succeeds."""
    if LEAKS not in st.session_state:
        return
    sentence, leaks = st.session_state[LEAKS]
    st.error(sentence, icon=":material/error:")
    draw_leak_table(leaks)
    st.text_input(
        "Allow because",
        key="snapshot_reason",
        placeholder="The split was published like this and results must stay comparable",
        help="A leak makes a model look better than it is. The reason stays with the snapshot and is shown for ever.",
    )


def draw_leak_table(leaks: tuple[Leak, ...] | list[Leak]) -> None:
    """What leaks between which splits, with a link to every case named."""
    rows = "".join(
        f"<tr><td>{KIND_WORDS.get(leak.kind, escape(leak.kind))}</td><td>{escape(' and '.join(leak.splits))}</td>"
        f"<td>{escape(leak.sentence)}</td><td>{_case_links(leak)}</td></tr>"
        for leak in leaks[:SHOWN_LEAKS]
    )
    more = f"<p class='rr-quiet'>and {len(leaks) - SHOWN_LEAKS:,} more</p>" if len(leaks) > SHOWN_LEAKS else ""
    with st.expander(wording.count(len(leaks), "leak"), expanded=len(leaks) <= 8, icon=":material/water_drop:"):
        st.html(
            '<table class="rr-numbers"><tr><th>What</th><th>Between</th><th>Why</th><th>Cases</th></tr>'
            f"{rows}</table>{more}"
        )


def _case_links(leak: Leak) -> str:
    shown = leak.case_ids[:6]
    links = ", ".join(f'<a href="{places.address("case", case=case)}" target="_self">{case}</a>' for case in shown)
    return links + (" …" if len(leak.case_ids) > len(shown) else "")
