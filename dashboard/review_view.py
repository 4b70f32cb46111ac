"""The review of a model's cases: which cases, in which order, and what stands beside each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Literal

import streamlit as st

from core.datasets.records import Snapshot, list_snapshots
from core.errors import NotFound
from core.evaluation.drafts import name_predictions
from core.evaluation.records import Evaluation, find_evaluation
from core.evaluation.run import list_measurable
from core.images.records import get_case
from core.labels.records import find_reference
from core.projects.changes import present_names, under_present_names
from core.projects.records import Project
from core.projects.schema import Regression
from core.reviews.case_search import (
    CaseFilter,
    CaseRow,
    Cell,
    Order,
    count_cases,
    open_rows,
    search_case_ids,
    search_cases,
)
from core.tasks import TrainableSchema, module_of
from core.tasks.regression import numbers_said
from core.training.records import Model, get_run
from dashboard import asked_maps, case_view, evidence_view, method_choice, places, remarks_view, session, side_by_side
from dashboard.handing_out import draw_list_keeper
from dashboard.viewer import HEAT_COLOURS, Finding, Look, Navigated, review_viewer

AT_ONCE = 1000  # cases that the browser gets as one list
AROUND = 12  # cases before and after the present one whose findings are sent along
Result = Literal["right", "wrong", "all"]
RESULT_WORDS: dict[Result, str] = {"wrong": "mistakes", "right": "right answers", "all": "all cases"}


@dataclass(frozen=True)
class View:
    """What the address asks for."""

    project: int
    model: Model
    snapshot: Snapshot
    split: str
    fold: int | None
    result: Result
    cell: Cell | None
    order: Order
    measured: tuple[int, ...] | None  # of an ensemble the cases that its numbers are of

    @property
    def numbers(self) -> dict[str, str | int]:
        """The address of the evaluation that these cases belong to."""
        return {"project": self.project, "model": self.model.id, "snapshot": self.snapshot.id, "split": self.split}

    @property
    def address(self) -> dict[str, str | int | None]:
        """The address of this view, without the case."""
        if self.cell is None:
            return {**self.numbers, "result": self.result}
        cell = {"reference": self.cell.reference, "predicted": self.cell.predicted, "of_class": self.cell.of_class}
        return {**self.numbers, **cell}

    @property
    def said(self) -> str:
        if self.cell is None:
            return RESULT_WORDS[self.result]
        of_class = f"{self.cell.of_class}: " if self.cell.of_class else ""
        return f"{of_class}reference {self.cell.reference}, predicted {self.cell.predicted}"

    @property
    def wanted(self) -> CaseFilter:
        outcome = None if self.cell or self.result == "all" else self.result
        return CaseFilter(
            model=self.model.id,
            snapshot=self.snapshot.id,
            split=self.split,
            fold=self.fold,
            outcome=outcome,
            cell=self.cell,
            among=self.measured,
        )


@dataclass(frozen=True)
class Position:
    """One case within the list that previous and next walk along; the view may hold more than that list, `total`."""

    case_id: int
    case_ids: list[int]
    rows: dict[int, CaseRow]
    total: int
    is_listed: bool

    @property
    def at(self) -> int:
        return self.case_ids.index(self.case_id)


def read_view(project: Project, models: Mapping[int, Model]) -> View:
    """The view that the address names; what it leaves out is the newest model, its own snapshot, test, mistakes."""
    model = models.get(places.asked_number("model") or 0) or next(iter(models.values()))
    run = get_run(session.db(), model.run)
    snapshots = {snapshot.id: snapshot for snapshot in list_snapshots(session.db(), project.id)}
    snapshot = snapshots.get(places.asked_number("snapshot") or 0) or snapshots[run.snapshot]
    reference, predicted, result = places.asked("reference"), places.asked("predicted"), places.asked("result")
    if isinstance(project.schema, Regression):  # a number is nearer or further, and never simply right
        reference, predicted, result = None, None, "all"
    split, fold = places.asked("split") or "test", run.fold if run.snapshot == snapshot.id else None
    return View(
        project=project.id,
        model=model,
        snapshot=snapshot,
        split=split,
        fold=fold,
        result=result if result in RESULT_WORDS else "wrong",
        cell=Cell(reference, predicted, places.asked("of_class")) if reference and predicted else None,
        order="largest error" if isinstance(project.schema, Regression) else "most confident",
        measured=list_measurable(session.db(), model, snapshot.id, split, fold),
    )


def read_look(schema: TrainableSchema) -> Look:
    """The overlay that the address names; what it leaves out, or names wrongly, is as it is at first."""
    usual = Look()
    explained, colours = places.asked("explained") or "", places.asked("colours") or ""
    return Look(
        on=places.asked("overlay") == "on",
        explained=explained if explained in module_of(schema).output_names(schema) else usual.explained,
        opacity=_share("opacity", usual.opacity),
        threshold=_share("from", usual.threshold),
        colours=colours if colours in HEAT_COLOURS else usual.colours,
    )


def find_evaluated(view: View) -> Evaluation | None:
    """The newest evaluation of these cases; None where the model has not answered them."""
    return find_evaluation(session.db(), view.model.id, view.snapshot.id, view.split)


def find_position(project: Project, view: View) -> Position | None:
    """The case of the address within the view, in its order; the first case without an address.

    A case that is no longer in the view (its neighbours were asked for by somebody else) stands before the others.
    """
    case_ids = search_case_ids(session.db(), project, view.wanted, order=view.order, limit=AT_ONCE)
    total = len(case_ids)
    if total == AT_ONCE:
        total = count_cases(session.db(), project, view.wanted)
    asked = places.asked_number("case")
    is_listed = asked is None or asked in case_ids
    if asked is not None and not is_listed:
        try:
            if get_case(session.db(), asked).project != project.id:
                return None
        except NotFound:
            return None
        case_ids = [asked, *case_ids]
    if not case_ids:
        return None
    case_id = case_ids[0] if asked is None else asked
    rows = _rows_around(project, view, case_id, case_ids)
    return Position(case_id, case_ids, rows, total, is_listed)


def draw_position(view: View, position: Position) -> None:
    """Where one is in the list, and which list it is."""
    at = f"{position.at + 1:,} of {position.total:,}" if position.is_listed else f"Beside a list of {position.total:,}"
    order = f"{view.order} first" + (f", walked up to {AT_ONCE:,}" if position.total > AT_ONCE else "")
    st.html(
        f'<div class="rr-at"><b>{at}</b> · {escape(view.said)} '
        f'<span class="rr-quiet">· {escape(view.model.name)} on {view.split} of {escape(view.snapshot.name)}, '
        f"{order}</span></div>"
    )


def draw_result_choice(view: View) -> None:
    """Mistakes, right answers or all of them; of numbers always all."""
    if view.order == "largest error":
        return
    key = f"review_result_{view.result}_{view.said}"
    st.segmented_control(
        "Which cases",
        list(RESULT_WORDS),
        default=None if view.cell else view.result,
        format_func=lambda result: RESULT_WORDS[result].capitalize(),
        key=key,
        on_change=_choose_result,
        args=(key,),
        label_visibility="collapsed",
    )


def draw_case(project: Project, schema: TrainableSchema, view: View, position: Position) -> None:
    """The viewer with reference, scores and overlay; beside it what people said."""
    case = get_case(session.db(), position.case_id)
    names = present_names(session.db(), project)  # a snapshot calls classes what they were called then
    findings = _find(project, schema, view, position.rows.values(), names)
    image, beside = st.columns([7, 2], gap="small")
    method = method_choice.read_method()
    shown = evidence_view.is_shown(view.model, method)
    suffix = "" if method == method_choice.FIRST else f"_{method}"  # another method is another viewer: it asks anew
    with image:
        if side_by_side.is_on():
            side_by_side.draw_walk(position.case_ids, position.at)
            reference = (findings[case.id].reference or {}).get("classes", ()) if case.id in findings else ()
            side_by_side.draw_sides(project, schema, case, view.model, reference)
        else:
            review_viewer(
                project,
                session.current_user(),
                position.case_ids,
                model=view.model.id if shown else None,
                method=method,
                findings=findings,
                look=read_look(schema),
                index=position.at,
                on_navigated=_follow,
                on_looked=_keep_look,
                key=f"review_viewer_{view.model.id}{suffix}" + ("" if shown else "_without"),
            )
    with beside, st.container(key="review_beside"):  # as high as the viewer beside it, and it scrolls by itself
        method_choice.draw_method(view.model, method)
        explained = _explained(schema, findings.get(case.id))
        if explained and shown and not side_by_side.is_on() and not case.held:
            question = {"model": view.model.id, "case": case.id, "class": explained, "method": method}
            asked_maps.draw_scores(question, "review")
        st.subheader("Answers", anchor=False)
        case_view.draw_labels(case, project)
        if case.id in position.rows and _changed_since(case.id, position.rows[case.id], names):
            st.caption("The reference has changed since the snapshot was frozen; a new snapshot takes it up.")
        st.subheader("Comments", anchor=False)
        case_view.draw_comments(case, view.model.id)
        remarks_view.draw_remarks_of_case(case, project)
        case_view.draw_flag(case)
        places.link("case", "All about this case", project=project.id, case=case.id)
        with st.popover("Read these again", icon=":material/playlist_add:"):
            draw_list_keeper(project, len(position.case_ids), lambda: position.case_ids)


def _explained(schema: TrainableSchema, finding: Finding | None) -> str:
    """What the overlay explains: what the address names, else the likeliest class or the first quantity, as the viewer
    takes it; "" where nothing is known of the case."""
    if chosen := read_look(schema).explained:
        return chosen
    if isinstance(schema, Regression):
        return schema.target
    scores = finding.scores if finding else {}
    return max(scores, key=scores.__getitem__) if scores else ""


def _find(
    project: Project, schema: TrainableSchema, view: View, rows: Iterable[CaseRow], names: Mapping[str, str]
) -> dict[int, Finding]:
    """What stands beside each case: the reference, and scores or the number that the model says."""
    if isinstance(schema, Regression):
        return {row.id: _find_numbers(schema, view.model, row) for row in rows}
    known = list(rows)
    scores = name_predictions(session.db(), project, view.model, [row.id for row in known])
    return {
        row.id: Finding(row.reference and under_present_names(row.reference, names), scores[row.id])
        for row in known
        if row.id in scores
    }


def _find_numbers(schema: Regression, model: Model, row: CaseRow) -> Finding:
    if row.predicted is None:
        return Finding(row.reference, {})
    told = {
        one["target"]: {"value": one["value"], **(one["interval"] or {})}
        for one in numbers_said(schema, row.predicted, model.calibration)
    }
    return Finding(row.reference, {}, None, told) if schema.further else Finding(row.reference, {}, told[schema.target])


def _rows_around(project: Project, view: View, case_id: int, case_ids: list[int]) -> dict[int, CaseRow]:
    """The rows near a case, from the list; and of the case itself, should it not be in the list."""
    start = max(0, case_ids.index(case_id) - AROUND)
    rows = search_cases(session.db(), project, view.wanted, order=view.order, limit=2 * AROUND + 1, offset=start)
    found = {row.id: row for row in rows}
    if case_id not in found:
        found |= {row.id: row for row in open_rows(session.db(), view.wanted, [case_id])}
    return found


def _changed_since(case_id: int, row: CaseRow, names: Mapping[str, str]) -> bool:
    if row.split is None:  # never frozen there: its reference is today's
        return False
    reference = find_reference(session.db(), case_id)
    return reference is None or reference.value != (row.reference and under_present_names(row.reference, names))


def _follow(event: Navigated) -> None:
    places.remember(case=event.case_id)


def _keep_look(look: Look) -> None:
    """Into the address, so that it alone shows the same picture; what is as at first stays out."""
    usual = Look()
    kept = {
        "explained": look.explained,
        "opacity": None if look.opacity == usual.opacity else f"{look.opacity:.2f}",
        "from": None if look.threshold == usual.threshold else f"{look.threshold:.2f}",
        "colours": None if look.colours == usual.colours else look.colours,
    }
    places.remember(overlay="on" if look.on else None, **kept)


def _share(key: str, otherwise: float) -> float:
    """A number from 0 to 1 in the address."""
    try:
        given = float(places.asked(key) or "")
    except ValueError:
        return otherwise
    return given if 0 <= given <= 1 else otherwise


def _choose_result(key: str) -> None:
    """Another list begins at its first case."""
    chosen = st.session_state[key]
    if chosen:
        places.remember(result=chosen, case=None, reference=None, predicted=None, of_class=None)
