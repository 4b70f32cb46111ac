"""Finding cases: by label, reader, split, attribute, prediction, flag, patient or text; fast at 100,000 cases.

Every filter is a condition that an index answers. A page of rows is found by id first; only the rows that
are shown are then opened.
"""

import json
import math
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from core.datasets.splits import list_view
from core.errors import InvalidInput, NotAllowed
from core.images.home_secret import secret_of
from core.images.pseudonyms import path_token, patient_name
from core.images.records import PatientFrom
from core.labels.answers import value_text
from core.labels.sight import NOBODY_BLIND, Sight, answered_cases, covered_patient, covered_source
from core.projects.changes import present_names, under_present_names
from core.projects.records import Project
from core.projects.schema import Classification, Regression

Order = Literal["oldest", "newest", "source", "patient", "most confident", "least confident", "largest error"]
State = Literal["labelled", "unlabelled", "tied", "unusable"]
Outcome = Literal["right", "wrong"]

_ORDERS: dict[Order, str] = {
    "oldest": "cases.id",
    "newest": "cases.id DESC",
    "source": "cases.source, cases.id",
    "patient": "cases.patient, cases.id",
    "most confident": "predictions.confidence DESC, cases.id",
    "least confident": "predictions.confidence, cases.id",
    # without a reference there is no error, and NULL comes last
    "largest error": (
        "abs(json_extract(predictions.predicted, '$.value') - json_extract({reference}, '$.value')) DESC, cases.id"
    ),
}
OF_A_MODEL = ("most confident", "least confident", "largest error")

_ANSWERED = "SELECT case_id FROM current_labels WHERE project = :project AND reader = :blind_reader"
_PATIENT_SEEN = f"patient_from = 'dicom' OR cases.id IN ({_ANSWERED})"  # see `covered_patient`


@dataclass(frozen=True)
class Cell:
    """A cell of a confusion matrix. With several labels per image each class has a matrix of its own:
    name it in `of_class`, and the answers are `present` and `absent`.
    """

    reference: str
    predicted: str
    of_class: str | None = None


@dataclass(frozen=True)
class CaseFilter:
    """Which cases; every field that is set narrows the list. With a model, only cases that it has answered.

    `label` is a class of the reference, or of `reader`'s own answer if a reader is named; `state` is that of the
    reference. `split` belongs to `snapshot`, with `fold` as seen in that round of cross-validation. `outcome` and
    `cell` compare the model's answer with the reference frozen in `snapshot` if one is set, else with today's.
    `among`: these cases alone, such as those that an ensemble is measured on.
    """

    label: str | None = None
    state: State | None = None
    reader: str | None = None
    snapshot: int | None = None
    split: str | None = None
    fold: int | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    model: int | None = None
    outcome: Outcome | None = None
    cell: Cell | None = None
    flagged: bool | None = None
    patient: str | None = None
    text: str | None = None
    among: tuple[int, ...] | None = None


@dataclass(frozen=True)
class CaseRow:
    """One case as lists show it. `reference` is the one that the filter compares with; `answers` counts readers."""

    id: int
    source: str
    patient: str
    patient_from: PatientFrom
    pixel_hash: str
    rows: int
    columns: int
    modality: str | None
    attributes: dict[str, str]
    given_split: str | None
    flagged: bool
    held: bool
    synthetic: bool
    state: State
    reference: dict[str, Any] | None
    answers: int
    split: str | None
    predicted: dict[str, Any] | None
    confidence: float | None


def search_cases(
    connection: sqlite3.Connection,
    project: Project,
    wanted: CaseFilter,
    *,
    order: Order = "oldest",
    limit: int = 100,
    offset: int = 0,
    sight: Sight = NOBODY_BLIND,
) -> list[CaseRow]:
    """One page of the cases that the filter lets through, with as much of their answers as `sight` may see.

    Raises:
        InvalidInput: the filter contradicts itself or the project (see `check_filter`), or the order is unknown.
    """
    ids = search_case_ids(connection, project, wanted, order=order, limit=limit, offset=offset, sight=sight)
    rows = open_rows(connection, wanted, ids)
    if not sight.blind_to_others:
        return rows
    answered = answered_cases(connection, sight, ids)
    return [row if row.id in answered else _covered(row) for row in rows]


def search_case_ids(
    connection: sqlite3.Connection,
    project: Project,
    wanted: CaseFilter,
    *,
    order: Order = "oldest",
    limit: int = -1,
    offset: int = 0,
    sight: Sight = NOBODY_BLIND,
) -> list[int]:
    """The ids alone, all of them by default: what "previous" and "next" walk along."""
    if order not in _ORDERS:
        raise InvalidInput(f"Cases are ordered by one of {', '.join(_ORDERS)}. Received: {order}")
    if order in OF_A_MODEL and wanted.model is None:
        raise InvalidInput(f"Choose a model to order cases by what it says. Received: {order}")
    if order == "largest error" and not isinstance(project.schema, Regression):
        raise InvalidInput(f"Only a number is more or less wrong; order by confidence. Received: {order}")
    tables, conditions, values = _query(connection, project, wanted, sight)
    ordered = _ORDERS[order].format(reference=_reference(wanted))
    if order == "largest error" and isinstance(project.schema, Regression) and project.schema.further:
        ordered, added = _error_of_several(connection, project, project.schema, _reference(wanted))
        values = {**values, **added}
    sql = f"SELECT cases.id FROM {tables} WHERE {conditions} ORDER BY {ordered} LIMIT :limit OFFSET :offset"
    return [row[0] for row in connection.execute(sql, {**values, "limit": limit, "offset": offset})]


def open_rows(connection: sqlite3.Connection, wanted: CaseFilter, ids: Sequence[int]) -> list[CaseRow]:
    """These cases as the filter's lists show them, whether it lets them through or not; nothing is covered.

    Only for whoever may see all of it: lists for others come from `search_cases`.
    """
    rows = connection.execute(
        """SELECT cases.*, reference_labels.state, reference_labels.value AS today, snapshot_cases.value AS frozen,
                  snapshot_cases.split, predicted, confidence,
                  (SELECT count(*) FROM current_labels WHERE current_labels.case_id = cases.id) AS answers
           FROM cases LEFT JOIN reference_labels ON reference_labels.case_id = cases.id
           LEFT JOIN snapshot_cases ON snapshot_cases.case_id = cases.id AND snapshot_cases.snapshot = :snapshot
           LEFT JOIN predictions ON predictions.case_id = cases.id AND predictions.model = :model
           WHERE cases.id IN (SELECT value FROM json_each(:ids))""",
        {"snapshot": wanted.snapshot, "model": wanted.model, "ids": json.dumps(list(ids))},
    )
    found = {row["id"]: _row(row) for row in rows}
    return [found[case_id] for case_id in ids if case_id in found]


def _error_of_several(
    connection: sqlite3.Connection, project: Project, schema: Regression, reference: str
) -> tuple[str, dict[str, Any]]:
    """What to order by: errors added up, each in standard deviations of the references of its quantity."""
    terms: list[str] = []
    values: dict[str, Any] = {}
    for at, one in enumerate(schema.quantities):
        path = f'$.values."{one.target}"'
        row = connection.execute(
            """SELECT avg(number * number) - avg(number) * avg(number) AS variance FROM
               (SELECT json_extract(value, ?) AS number FROM reference_labels WHERE project = ?)""",
            (path, project.id),
        ).fetchone()
        values |= {f"path{at}": path, f"spread{at}": math.sqrt(max(row["variance"] or 0.0, 0.0)) or 1.0}
        said = f"json_extract(predictions.predicted, :path{at}) - json_extract({reference}, :path{at})"
        terms.append(f"abs({said}) / :spread{at}")
    return f"({' + '.join(terms)}) DESC, cases.id", values


def count_cases(
    connection: sqlite3.Connection, project: Project, wanted: CaseFilter, *, sight: Sight = NOBODY_BLIND
) -> int:
    """How many cases the filter lets through."""
    tables, conditions, values = _query(connection, project, wanted, sight)
    return int(connection.execute(f"SELECT count(*) FROM {tables} WHERE {conditions}", values).fetchone()[0])


def list_attribute_values(
    connection: sqlite3.Connection, project_id: int, *, at_most: int = 50
) -> dict[str, dict[str, int]]:
    """{attribute: {value: cases}} to choose from; attributes with more different values are left out."""
    found: dict[str, dict[str, int]] = {}
    rows = connection.execute(
        "SELECT name, value, count(*) FROM case_attributes WHERE project = ? GROUP BY name, value", (project_id,)
    )
    for name, value, count in rows:
        found.setdefault(name, {})[value] = count
    return {name: values for name, values in found.items() if len(values) <= at_most}


def check_filter(project: Project, wanted: CaseFilter, *, former_names: Collection[str] = ()) -> None:
    """Refuse a filter that could only be a mistake, such as a class that the project does not have.

    Args:
        former_names: what classes were called before; a snapshot and what a model said go on calling them so.

    Raises:
        InvalidInput: the sentence says what is missing or unknown.
    """
    names = project.schema.names if isinstance(project.schema, Classification) else ()
    multi_label = isinstance(project.schema, Classification) and project.schema.multi_label
    asked = [wanted.label]
    if wanted.cell is not None:
        if bool(wanted.cell.of_class) != multi_label:
            raise InvalidInput(
                f"A cell names a class of its own only where images have several. Received: {wanted.cell}"
            )
        said = (wanted.cell.reference, wanted.cell.predicted)
        asked += [wanted.cell.of_class] if multi_label else said
        if multi_label and not set(said) <= {"present", "absent"}:
            raise InvalidInput(f"The cells of one class are present and absent. Received: {wanted.cell}")
    unknown = [name for name in asked if name is not None and name not in (*names, *former_names)]
    if unknown:
        raise InvalidInput(f"The classes are {', '.join(names)}. Received: {', '.join(unknown)}")
    if (wanted.outcome or wanted.cell) and wanted.model is None:
        raise InvalidInput(f"Choose a model whose answers to compare. Received: {wanted.outcome or wanted.cell}")
    if wanted.outcome and isinstance(project.schema, Regression):
        raise InvalidInput(
            f"A number is never simply right or wrong; order cases by largest error. Received: {wanted.outcome}"
        )
    if (wanted.split is not None or wanted.fold is not None) and wanted.snapshot is None:
        raise InvalidInput(f"Choose the snapshot that the split belongs to. Received: {wanted.split or wanted.fold}")
    if wanted.state is not None and wanted.state not in get_args(State):
        raise InvalidInput(f"A state is one of {', '.join(get_args(State))}. Received: {wanted.state}")


def _query(
    connection: sqlite3.Connection, project: Project, wanted: CaseFilter, sight: Sight
) -> tuple[str, str, dict[str, Any]]:
    """The tables, the conditions and their values, the same for listing and counting."""
    present = present_names(connection, project)
    check_filter(project, wanted, former_names=present)
    if wanted.model is not None and not sight.models:
        raise NotAllowed(f"To filter by what a model says you need another role. Received: model {wanted.model}")
    tables, conditions = "cases", ["cases.project = :project"]
    values: dict[str, Any] = {"project": project.id, "snapshot": wanted.snapshot, "model": wanted.model}
    if wanted.snapshot is not None:
        tables += " JOIN snapshot_cases ON snapshot_cases.snapshot = :snapshot AND snapshot_cases.case_id = cases.id"
    if wanted.model is not None:
        tables += " JOIN predictions ON predictions.model = :model AND predictions.case_id = cases.id"
    for condition, added in (
        _of_case(connection, wanted, sight),
        _of_split(connection, wanted),
        _of_labels(project, wanted),
        _of_outcome(project, wanted, _predicted(connection, wanted, present)),
    ):
        conditions += condition
        values |= added
    if sight.blind_to_others and _tells_of_others(wanted):
        # Being found would tell what others said: only cases that the reader has answered take part.
        conditions.append(f"cases.id IN ({_ANSWERED})")
    values["blind_reader"] = sight.reader
    return tables, " AND ".join(conditions), values


def _tells_of_others(wanted: CaseFilter) -> bool:
    """Whether cases are found by what others or a table said; a snapshot holds only cases that have a reference."""
    return bool(wanted.label or wanted.state or wanted.reader or wanted.split or wanted.snapshot or wanted.attributes)


Part = tuple[list[str], dict[str, Any]]


def _of_case(connection: sqlite3.Connection, wanted: CaseFilter, sight: Sight) -> Part:
    conditions: list[str] = []
    values: dict[str, Any] = {}
    if not sight.held:
        conditions.append("cases.held = 0")
    if wanted.among is not None:
        conditions.append("cases.id IN (SELECT value FROM json_each(:among))")
        values["among"] = json.dumps(wanted.among)
    if wanted.flagged is not None:
        conditions.append("cases.flagged = 1" if wanted.flagged else "cases.flagged = 0")
    if wanted.patient is not None:
        seen = f" AND ({_PATIENT_SEEN})" if sight.blind_to_others else ""
        conditions.append(f"cases.patient = :patient{seen}")
        values["patient"] = wanted.patient
    if wanted.text:
        file_seen, patient_seen = (
            (f"AND id IN ({_ANSWERED})", f"AND ({_PATIENT_SEEN})") if sight.blind_to_others else ("", "")
        )
        patients = rf"SELECT id FROM cases WHERE project = :project AND patient LIKE :text ESCAPE '\' {patient_seen}"
        conditions.append(
            rf"cases.id IN (SELECT id FROM cases WHERE project = :project AND source LIKE :text ESCAPE '\' {file_seen} "
            rf"UNION ALL {patients} UNION ALL SELECT id FROM cases WHERE project = :project AND patient = :pseudonym "
            rf"{patient_seen} UNION ALL SELECT id FROM cases WHERE project = :project "
            rf"AND source LIKE :token ESCAPE '\' {file_seen})"
        )
        # Files and patients go by tokens: whoever knows a name finds its case by the whole of it.
        secret = secret_of(connection)
        values["pseudonym"] = patient_name(secret, wanted.text) if secret else ""
        values["token"] = f"%{path_token(secret, wanted.text)}%" if secret else ""
        literal = wanted.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        values["text"] = f"%{literal}%"
    for at, (name, value) in enumerate(wanted.attributes):
        conditions.append(
            "cases.id IN (SELECT case_id FROM case_attributes "
            f"WHERE project = :project AND name = :name{at} AND value = :value{at})"
        )
        values |= {f"name{at}": name, f"value{at}": value}
    return conditions, values


def _of_split(connection: sqlite3.Connection, wanted: CaseFilter) -> Part:
    if wanted.snapshot is None or (wanted.split is None and wanted.fold is None):
        return [], {}
    if wanted.fold is None:
        return ["snapshot_cases.split = :split"], {"split": wanted.split}
    if wanted.split == "test":
        return ["snapshot_cases.fold = :fold"], {"fold": wanted.fold}
    # Which of the rest are validation is worked out, not stored; see `splits.fold_view`.
    seen = list_view(connection, wanted.snapshot, wanted.fold)
    ids = [case.case_id for case in seen if wanted.split in (None, case.split)]
    return ["cases.id IN (SELECT value FROM json_each(:in_fold))"], {"in_fold": json.dumps(ids)}


def _of_labels(project: Project, wanted: CaseFilter) -> Part:
    conditions: list[str] = []
    values: dict[str, Any] = {"state": wanted.state}
    if wanted.state == "unlabelled":
        conditions.append("cases.synthetic IS NULL")  # of drawn images nobody is asked
        conditions.append("cases.id NOT IN (SELECT case_id FROM reference_labels WHERE project = :project)")
    elif wanted.state is not None:
        conditions.append(
            "cases.id IN (SELECT case_id FROM reference_labels WHERE project = :project AND state = :state)"
        )
    if wanted.reader is not None:
        answers = "current_labels"
        if wanted.label is not None:
            answers += " JOIN labels ON labels.id = current_labels.label"
        said, added = _says(project, "labels.value", wanted.label, "label")
        conditions.append(
            f"cases.id IN (SELECT current_labels.case_id FROM {answers} WHERE current_labels.project = :project "
            f"AND current_labels.reader = (SELECT id FROM users WHERE name = :reader) AND {said})"
        )
        values |= {"reader": wanted.reader} | added
    elif wanted.label is not None:
        said, added = _says(project, "reference_labels.value", wanted.label, "label")
        conditions.append(
            "cases.id IN (SELECT case_id FROM reference_labels "
            f"WHERE project = :project AND state = 'labelled' AND {said})"
        )
        values |= added
    return conditions, values


def _predicted(connection: sqlite3.Connection, wanted: CaseFilter, present: Mapping[str, str]) -> Part:
    """What the model decided, as an expression that can be compared with the reference, and its values.

    A model goes on speaking in the words it learned, and so does a snapshot; references of today do not.
    """
    values: dict[str, Any] = {}
    renamed = {name for name, today in present.items() if name != today}
    if wanted.snapshot is None and wanted.model is not None and renamed:
        rows = connection.execute("SELECT DISTINCT predicted FROM predictions WHERE model = ?", (wanted.model,))
        for (text,) in rows.fetchall():
            today = value_text(under_present_names(json.loads(text), present))
            if today != text:
                values |= {f"said{len(values)}": text, f"said{len(values) + 1}": today}
    if not values:
        return ["predictions.predicted"], {}
    cases = " ".join(f"WHEN :said{at} THEN :said{at + 1}" for at in range(0, len(values), 2))
    return [f"(CASE predictions.predicted {cases} ELSE predictions.predicted END)"], values


def _of_outcome(project: Project, wanted: CaseFilter, predicted: Part) -> Part:
    if wanted.outcome is None and wanted.cell is None:
        return [], {}
    reference = _reference(wanted)
    conditions = [f"{reference} IS NOT NULL"]
    (decided,), values = predicted[0], dict(predicted[1])
    if wanted.outcome is not None:
        conditions.append(f"{decided} {'=' if wanted.outcome == 'right' else '<>'} {reference}")
    if wanted.cell is not None:
        for column, answer, key in (
            (reference, wanted.cell.reference, "in_reference"),
            (decided, wanted.cell.predicted, "in_predicted"),
        ):
            said, added = _says(project, column, wanted.cell.of_class or answer, key)
            conditions.append(f"NOT {said}" if answer == "absent" and wanted.cell.of_class else said)
            values |= added
    return conditions, values


def _reference(wanted: CaseFilter) -> str:
    """The answer that a model's is compared with: the one frozen in the snapshot, else today's."""
    if wanted.snapshot is not None:
        return "snapshot_cases.value"
    return "(SELECT value FROM reference_labels WHERE reference_labels.case_id = cases.id)"


def _says(project: Project, column: str, name: str | None, key: str) -> tuple[str, dict[str, Any]]:
    """The condition that an answer names a class; equality of text where an answer is one class, so an index helps."""
    if name is None:
        return "1", {}
    if isinstance(project.schema, Classification) and project.schema.multi_label:
        return f"EXISTS (SELECT 1 FROM json_each({column}, '$.classes') WHERE json_each.value = :{key})", {key: name}
    return f"{column} = :{key}", {key: value_text({"classes": [name]})}


def _row(row: sqlite3.Row) -> CaseRow:
    reference = row["frozen"] or row["today"]
    return CaseRow(
        id=row["id"],
        source=row["source"],
        patient=row["patient"],
        patient_from=row["patient_from"],
        pixel_hash=row["pixel_hash"],
        rows=row["rows"],
        columns=row["columns"],
        modality=row["modality"],
        attributes=json.loads(row["attributes"]),
        given_split=row["given_split"],
        flagged=bool(row["flagged"]),
        held=bool(row["held"]),
        synthetic=row["synthetic"] is not None,
        state=row["state"] or "unlabelled",
        reference=json.loads(reference) if reference else None,
        answers=row["answers"],
        split=row["split"],
        predicted=json.loads(row["predicted"]) if row["predicted"] else None,
        confidence=row["confidence"],
    )


def _covered(row: CaseRow) -> CaseRow:
    """A row that tells nothing of what others, a model, a table, or the names of folders say."""
    return replace(
        row,
        source=covered_source(row.id),
        patient=covered_patient(row.id, row.patient, row.patient_from),
        attributes={},
        given_split=None,
        state="unlabelled",
        reference=None,
        answers=0,
        split=None,
        predicted=None,
        confidence=None,
    )
