"""Our image viewer as a Streamlit component: labels in, events out, pixels over HTTP.

The browser module (source in `frontend/`, built into `dashboard/viewer/build`) fetches cases and
pixels itself and sends answers itself, by `POST /api/v1/events`. Streamlit only learns of what
happened, through one trigger that carries a numbered list: two triggers in one tick would lose the first.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from core.jobs.warm import request_warm
from core.labels.worklist import LabelProgress, Pace
from core.people.accounts import User
from core.projects.records import Project
from dashboard import session
from dashboard.prefix import at

BUILD = Path(__file__).parent / "build"
BUNDLE: str = json.loads((BUILD / "build.json").read_text("utf-8"))["bundle"]

# A module of two lines, so that the bundle itself comes from our own cached mount and not over the websocket.
_LOADER = """
const viewer = await import(new URL("%s", window.location.origin).href);
export default viewer.default;
"""
RECENT = 100  # cases the reader went to last, by which an address that lags behind is known


@dataclass(frozen=True)
class Labelled:
    """The server has acknowledged an answer of this reader; it is stored."""

    case_id: int
    label: int
    value: dict[str, Any] | None
    unsure: bool
    unusable: bool


@dataclass(frozen=True)
class Navigated:
    """The reader went to another case; `index` is its place in `case_ids`."""

    case_id: int
    index: int


@dataclass(frozen=True)
class Drawn:
    """What is to go black on a case: the boxes there are now, in image pixels as `{x, y, width, height}`."""

    case_id: int
    boxes: tuple[Mapping[str, float], ...]


@dataclass(frozen=True)
class Seen:
    """A case has stood on the screen for as long as it takes to look at it."""

    case_id: int


HEAT_COLOURS = ("viridis", "cividis", "magma", "inferno", "plasma")  # as in frontend/src/heatcontrols.js


@dataclass(frozen=True)
class Look:
    """How an explanation lies over the image: of which class ("": the likeliest), how strong, from which value on."""

    on: bool = False
    explained: str = ""
    opacity: float = 0.6
    threshold: float = 0.0
    colours: str = HEAT_COLOURS[0]


@dataclass(frozen=True)
class Finding:
    """What the review viewer says about one case: the reference answer and the model's score for each class, or its
    `number`: `value`, and where it has an interval `low`, `high` and `level`; of several quantities `numbers` by
    name."""

    reference: dict[str, Any] | None
    scores: dict[str, float]
    number: dict[str, float] | None = None
    numbers: dict[str, dict[str, float]] | None = None


def label_viewer(
    project: Project,
    user: User,
    case_ids: Sequence[int],
    *,
    index: int = 0,
    more: int = 0,
    progress: LabelProgress | None = None,
    pace: Pace | None = None,
    on_labelled: Callable[[Labelled], None] | None = None,
    on_navigated: Callable[[Navigated], None] | None = None,
    key: str = "label_viewer",
) -> None:
    """The viewer for labelling one case after the other. It fills the rest of the window, without page scroll.

    `case_ids` is the worklist: settle it once and keep it (session state), or a list such as
    "unlabelled" would shift under the reader at every answer. `index` says where to open; giving
    another one later jumps there. `more` cases come later: give a longer list, the same at its start, when the reader
    is near the end. `progress` and `pace` are shown above the image. The callbacks run before the
    script, once per event, in order.
    """
    data: dict[str, Any] = {"mode": "label", "more": more, "pace": asdict(pace) if pace else None}
    if progress:
        data |= {"labelled": progress.mine, "total": progress.total, "labelled_by_anyone": progress.labelled_by_anyone}
    _mount(key, _project_facts(project), user, case_ids, index, data, on_labelled, on_navigated)


def check_viewer(
    project: Project,
    user: User,
    case_id: int,
    *,
    boxes: Sequence[Mapping[str, float]] = (),
    on_drawn: Callable[[Drawn], None] | None = None,
    on_seen: Callable[[Seen], None] | None = None,
    held_back: str = "",
    key: str = "check_viewer",
) -> None:
    """The viewer for what is burned into one case: boxes are drawn, nothing is answered, and nothing is stored by it.

    `boxes` are there to begin with; a change of them is only seen under another `key`. `on_drawn` gets all boxes
    whenever one was drawn, changed or taken away; `on_seen` tells once that the image was on the screen. Buttons in
    the container of the key `held_back` wait while boxes are on their way: Streamlit may call the callback of a button
    before that of a box that was drawn earlier.
    """
    given = [
        {"mark": f"given-{at}", "kind": "box", "frame": 0, "geometry": dict(box), "label": ""}
        for at, box in enumerate(boxes)
    ]
    # whatever the project asks is not asked here
    facts = {
        "id": project.id, "name": project.name, "task": "classification", "classes": [], "structures": [],
        "multi_label": False, "digit_advances": False, "blind_first": False, "assisted": False,
        "schema_version": project.schema_version,
    }  # fmt: skip
    data = {"mode": "check", "boxes": given, "held_back": held_back}
    _mount(key, facts, user, [case_id], 0, data, on_drawn=on_drawn, on_seen=on_seen)


def review_viewer(
    project: Project,
    user: User,
    case_ids: Sequence[int],
    *,
    model: int | None = None,
    findings: Mapping[int, Finding] | None = None,
    method: str = "grad_cam",
    look: Look | None = None,
    index: int = 0,
    on_labelled: Callable[[Labelled], None] | None = None,
    on_navigated: Callable[[Navigated], None] | None = None,
    on_looked: Callable[[Look], None] | None = None,
    key: str = "review_viewer",
) -> None:
    """The viewer beside a model: reference and scores, and the explanation of a class laid over the image on demand.

    `findings` may cover some of the cases only; what is missing is not shown. Without a `model`
    there is no overlay; with one it begins as `look`. A digit corrects the reader's own label (`made_in` "review")
    and stays on the case.
    """
    warmed = f"{key}:warm"
    if model is not None and st.session_state.get(warmed) != model:  # once, when the page opens: loading takes seconds
        request_warm(session.settings(), model)
        st.session_state[warmed] = model
    told = {str(case): _told_finding(finding) for case, finding in (findings or {}).items()}
    data = {"mode": "review", "model": model, "method": method, "findings": told, "look": _told_look(look or Look())}
    _mount(key, _project_facts(project), user, case_ids, index, data, on_labelled, on_navigated, on_looked)


def _told_finding(finding: Finding) -> dict[str, Any]:
    told = asdict(finding)
    if finding.numbers is None:
        del told["numbers"]
    return told


def _mount(
    key: str,
    facts: Mapping[str, Any],
    user: User,
    case_ids: Sequence[int],
    index: int,
    data: dict[str, Any],
    on_labelled: Callable[[Labelled], None] | None = None,
    on_navigated: Callable[[Navigated], None] | None = None,
    on_looked: Callable[[Look], None] | None = None,
    on_drawn: Callable[[Drawn], None] | None = None,
    on_seen: Callable[[Seen], None] | None = None,
) -> None:
    fresh = {"given": index, "index": index, "outbox": "", "seen": 0, "went": []}
    place = st.session_state.setdefault(f"{key}:place", fresh)
    if key not in st.session_state:  # the page was left meanwhile: what it asks for now is meant
        place["went"] = []
    _settle_place(place, case_ids, index)

    def learn() -> None:
        for event in _unseen(place, st.session_state[key].get("happened") or {}):
            if event["type"] == "navigated":
                place["index"] = event["index"]
                place["went"] = [*place["went"], event["case"]][-RECENT:]
                if on_navigated:
                    on_navigated(Navigated(event["case"], event["index"]))
            elif event["type"] == "labelled" and on_labelled:
                on_labelled(Labelled(event["case"], event["label"], event["value"], event["unsure"], event["unusable"]))
            elif event["type"] == "looked" and on_looked:
                on_looked(Look(event["on"], event["class"], event["opacity"], event["threshold"], event["colours"]))
            elif event["type"] == "drawn" and on_drawn:
                on_drawn(Drawn(event["case"], tuple(event["boxes"])))
            elif event["type"] == "seen" and on_seen:
                on_seen(Seen(event["case"]))

    common = {
        "server": session.server_id(),
        "reader": user.name,
        "project": dict(facts),
        "case_ids": list(case_ids),
        "index": place["index"],
        "outbox": place["outbox"],
        "seen": place["seen"],
    }
    _component(at(f"/assets/viewer/{BUNDLE}"))(key=key, data=common | data, on_happened_change=learn)


@cache
def _component(bundle: str) -> ComponentRenderer:
    """Made when it is first shown: by then the door has said where Readroom lies."""
    return st.components.v2.component("readroom_viewer", js=_LOADER % bundle, isolate_styles=True)


def _told_look(look: Look) -> dict[str, Any]:
    """As the browser calls it, and as it tells it in turn."""
    told = asdict(look)
    return told | {"class": told.pop("explained")}


def _settle_place(place: dict[str, Any], case_ids: Sequence[int], index: int) -> None:
    """Where Python asks for another case, go there; otherwise the viewer is where the reader went.

    A page takes its case from the address, and the address that a rerun brings may lag behind the reader:
    a case they have just been to is such an echo, and must not pull them back.
    """
    if index == place["given"]:
        return
    place["given"] = index
    if not (0 <= index < len(case_ids) and case_ids[index] in place["went"]):
        place["index"] = index


def _unseen(place: dict[str, Any], batch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events of a batch that were not handled yet, marked as seen; the browser repeats a batch until they are."""
    if batch.get("outbox") != place["outbox"]:  # the page was loaded anew: its numbers start again
        place["outbox"], place["seen"] = batch.get("outbox", ""), 0
    fresh = [event for event in batch.get("events", ()) if event["number"] > place["seen"]]
    if fresh:
        place["seen"] = fresh[-1]["number"]
    return fresh


def _project_facts(project: Project) -> dict[str, Any]:
    """What the browser must know of a project to ask its question."""
    return {
        "classes": [],
        "structures": [],
        "multi_label": False,
        **asdict(project.schema),
        "id": project.id,
        "name": project.name,
        "task": project.task,
        "digit_advances": project.digit_advances,
        "blind_first": project.blind_first,
        # a draft of structures lies over the image, beside what others painted, and not in the answer's panel
        "assisted": project.assist_model is not None and project.task != "segmentation",
        "schema_version": project.schema_version,
    }
