"""Finding cases by what is said, split, predicted and written about them."""

import json
import sqlite3
from collections.abc import Callable

import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, list_snapshot_cases
from core.datasets.splits import fold_view
from core.errors import InvalidInput
from core.images.records import Case, set_flag
from core.labels.answers import value_text
from core.labels.records import Label
from core.labels.sight import Sight
from core.progress import Silent
from core.projects.records import Project, add_project
from core.projects.schema import Regression, make_classification
from core.reviews import case_search
from core.reviews.case_search import (
    CaseFilter,
    Cell,
    count_cases,
    list_attribute_values,
    search_case_ids,
    search_cases,
)
from core.store.audit import Actor
from core.store.files import Files

MODEL = 7


def predict(connection: sqlite3.Connection, snapshot: int, answers: dict[int, tuple[list[str], float]]) -> None:
    """Model 7 says `{case id: (classes, confidence)}`."""
    connection.execute(
        """INSERT INTO runs (id, project, snapshot, name, recipe, recipe_hash, created_at, created_by)
           SELECT 1, project, id, 'run', '{}', '', '', '' FROM snapshots WHERE id = ?""",
        (snapshot,),
    )
    connection.execute(
        """INSERT INTO models (id, project, run, name, keras_hash, parameters, file_bytes, facts, created_at)
           SELECT ?, project, 1, 'model', '', 0, 0, '{}', '' FROM snapshots WHERE id = ?""",
        (MODEL, snapshot),
    )
    connection.executemany(
        """INSERT INTO predictions (model, case_id, scores, predicted, confidence, made_at)
           VALUES (?, ?, '[]', ?, ?, '')""",
        [(MODEL, case, value_text({"classes": names}), sure) for case, (names, sure) in answers.items()],
    )


@pytest.fixture
def cases(
    connection: sqlite3.Connection, make_case: Callable[..., Case], answer: Callable[..., Label], actor: Actor
) -> list[Case]:
    """0-11 are answered by anna, even ones normal; 12 is tied, 13 unusable, 14 unlabelled and flagged."""
    made = [
        make_case(
            f"ward_{at % 3}/{at:02}.png", patient=f"p{at // 2}", attributes={"sex": "FM"[at % 2], "site": str(at % 3)}
        )
        for at in range(15)
    ]
    for at, case in enumerate(made[:12]):
        answer(case, "pneumonia" if at % 2 else "normal")
    answer(made[12], "normal")
    answer(made[12], "pneumonia", reader="ben")
    answer(made[13], unusable=True)
    set_flag(connection, made[14].id, True, actor)
    return made


@pytest.fixture
def snapshot(
    connection: sqlite3.Connection, files: Files, project: Project, cases: list[Case], actor: Actor
) -> Snapshot:
    """Frozen; the model then says "normal" of every case, surer with each."""
    made = freeze_snapshot(connection, files, project, "s", folds=3, actor=actor, progress=Silent())
    predict(connection, made.id, {case.id: (["normal"], at / 20) for at, case in enumerate(cases[:12])})
    return made


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (CaseFilter(), range(15)),
        (CaseFilter(label="normal"), range(0, 12, 2)),
        (CaseFilter(label="normal", reader="anna"), range(0, 13, 2)),
        (CaseFilter(label="normal", reader="ben"), []),
        (CaseFilter(reader="ben"), [12]),
        (CaseFilter(reader="nobody"), []),
        (CaseFilter(state="labelled"), range(12)),
        (CaseFilter(state="tied"), [12]),
        (CaseFilter(state="unusable"), [13]),
        (CaseFilter(state="unlabelled"), [14]),
        (CaseFilter(flagged=True), [14]),
        (CaseFilter(flagged=False, state="unlabelled"), []),
        (CaseFilter(patient="p1"), [2, 3]),
        (CaseFilter(attributes=(("sex", "F"), ("site", "0"))), [0, 6, 12]),
        (CaseFilter(attributes=(("sex", "X"),)), []),
        (CaseFilter(text="ward_1/"), range(1, 15, 3)),
        (CaseFilter(text="P1"), [2, 3]),
        (CaseFilter(text="%"), []),
        (CaseFilter(label="pneumonia", attributes=(("site", "1"),), text="0"), [1, 7]),
    ],
)
def test_each_filter_finds_its_cases(
    connection: sqlite3.Connection, project: Project, cases: list[Case], wanted: CaseFilter, expected: list[int]
) -> None:
    rows = search_cases(connection, project, wanted)
    assert [row.id for row in rows] == [cases[at].id for at in expected]
    assert count_cases(connection, project, wanted) == len(rows)
    assert search_case_ids(connection, project, wanted) == [row.id for row in rows]


def test_a_row_says_what_a_list_shows(connection: sqlite3.Connection, project: Project, cases: list[Case]) -> None:
    labelled, tied, unlabelled = (
        search_cases(connection, project, CaseFilter(text=cases[at].source))[0] for at in (1, 12, 14)
    )
    assert (labelled.state, labelled.reference, labelled.answers) == ("labelled", {"classes": ["pneumonia"]}, 1)
    assert (labelled.attributes, labelled.pixel_hash) == ({"sex": "M", "site": "1"}, cases[1].pixel_hash)
    assert (tied.state, tied.reference, tied.answers) == ("tied", None, 2)
    assert (unlabelled.state, unlabelled.flagged, unlabelled.split) == ("unlabelled", True, None)


def test_pages_follow_each_other(connection: sqlite3.Connection, project: Project, cases: list[Case]) -> None:
    pages = [search_cases(connection, project, CaseFilter(), limit=6, offset=at) for at in (0, 6, 12, 18)]
    assert [len(page) for page in pages] == [6, 6, 3, 0]
    assert [row.id for page in pages for row in page] == [case.id for case in cases]
    newest = search_cases(connection, project, CaseFilter(), order="newest", limit=1)
    assert newest[0].id == cases[-1].id
    by_source = search_cases(connection, project, CaseFilter(), order="source")
    assert [row.source for row in by_source] == sorted(case.source for case in cases)


def test_splits_and_folds_are_those_of_the_snapshot(
    connection: sqlite3.Connection, project: Project, snapshot: Snapshot
) -> None:
    frozen = list_snapshot_cases(connection, snapshot.id)
    for fold, seen in [(None, frozen), *((fold, fold_view(frozen, fold)) for fold in range(3))]:
        for split in ("train", "validation", "test"):
            wanted = CaseFilter(snapshot=snapshot.id, split=split, fold=fold)
            expected = sorted(case.case_id for case in seen if case.split == split)
            assert search_case_ids(connection, project, wanted) == expected


def test_mistakes_come_most_confident_first(
    connection: sqlite3.Connection, project: Project, cases: list[Case], snapshot: Snapshot
) -> None:
    wrong = CaseFilter(model=MODEL, outcome="wrong")
    rows = search_cases(connection, project, wrong, order="most confident")
    assert [row.id for row in rows] == [cases[at].id for at in range(11, 0, -2)]
    assert (rows[0].predicted, rows[0].confidence) == ({"classes": ["normal"]}, 0.55)
    cell = CaseFilter(model=MODEL, cell=Cell("pneumonia", "normal"))
    assert search_cases(connection, project, cell, order="most confident") == rows
    assert count_cases(connection, project, CaseFilter(model=MODEL, cell=Cell("normal", "pneumonia"))) == 0
    assert count_cases(connection, project, CaseFilter(model=MODEL, outcome="right")) == 6


def test_a_prediction_is_compared_with_the_frozen_reference(
    connection: sqlite3.Connection, project: Project, cases: list[Case], snapshot: Snapshot,
    answer: Callable[..., Label],
) -> None:  # fmt: skip
    """A label corrected in review leaves the confusion matrix and its cells as they were."""
    answer(cases[1], "normal")
    frozen = CaseFilter(model=MODEL, outcome="wrong", snapshot=snapshot.id)
    assert cases[1].id in search_case_ids(connection, project, frozen)
    assert search_cases(connection, project, frozen)[0].reference == {"classes": ["pneumonia"]}
    today = CaseFilter(model=MODEL, outcome="wrong")
    assert cases[1].id not in search_case_ids(connection, project, today)


def test_each_class_of_a_multi_label_project_has_its_own_cells(
    connection: sqlite3.Connection, make_case: Callable[..., Case], answer: Callable[..., Label], files: Files,
    actor: Actor,
) -> None:  # fmt: skip
    schema = make_classification(["effusion", "nodule"], multi_label=True)
    project = add_project(connection, name="Multi", task="classification", schema=schema, actor=actor)
    said = [["effusion"], ["nodule"], ["effusion", "nodule"], []]
    made = [make_case(f"{at}.png", into=project) for at in range(4)]
    for case, names in zip(made, said, strict=True):
        answer(case, value={"classes": names})
    frozen = freeze_snapshot(connection, files, project, "s", actor=actor, progress=Silent())
    predict(connection, frozen.id, {case.id: (["effusion"], 0.5) for case in made})

    def found(**fields: object) -> list[int]:
        ids = search_case_ids(connection, project, CaseFilter(**fields))
        return [at for at, case in enumerate(made) if case.id in ids]

    assert found(label="nodule") == [1, 2]
    assert found(label="nodule", reader="anna") == [1, 2]
    assert found(model=MODEL, cell=Cell("present", "present", "effusion")) == [0, 2]
    assert found(model=MODEL, cell=Cell("absent", "present", "effusion")) == [1, 3]
    assert found(model=MODEL, cell=Cell("present", "absent", "nodule"), snapshot=frozen.id) == [1, 2]
    assert found(model=MODEL, outcome="right") == [0]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (CaseFilter(label="flu"), "The classes are normal, pneumonia. Received: flu"),
        (CaseFilter(model=1, cell=Cell("flu", "normal")), "Received: flu"),
        (CaseFilter(model=1, cell=Cell("present", "absent", "normal")), "only where images have several"),
        (CaseFilter(outcome="wrong"), "Choose a model"),
        (CaseFilter(split="test"), "Choose the snapshot"),
        (CaseFilter(state="odd"), "A state is one of"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(
    connection: sqlite3.Connection, project: Project, wanted: CaseFilter, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        count_cases(connection, project, wanted)


def test_an_order_by_confidence_needs_a_model(connection: sqlite3.Connection, project: Project) -> None:
    with pytest.raises(InvalidInput, match="Choose a model"):
        search_cases(connection, project, CaseFilter(), order="most confident")
    with pytest.raises(InvalidInput, match="ordered by one of"):
        search_cases(connection, project, CaseFilter(), order="beauty")


def test_classes_have_no_size_of_error_and_numbers_no_right_and_wrong(
    connection: sqlite3.Connection, project: Project, snapshot: Snapshot, actor: Actor
) -> None:
    with pytest.raises(InvalidInput, match="order by confidence"):
        search_cases(connection, project, CaseFilter(model=MODEL), order="largest error")
    ages = add_project(connection, name="a", task="regression", schema=Regression("age", "years", 0, 120), actor=actor)
    with pytest.raises(InvalidInput, match="order cases by largest error"):
        search_cases(connection, ages, CaseFilter(model=MODEL, outcome="wrong"))


def test_attributes_are_offered_with_their_counts(
    connection: sqlite3.Connection, project: Project, cases: list[Case]
) -> None:
    assert list_attribute_values(connection, project.id) == {
        "sex": {"F": 8, "M": 7},
        "site": {"0": 5, "1": 5, "2": 5},
    }
    assert list_attribute_values(connection, project.id, at_most=2) == {"sex": {"F": 8, "M": 7}}


def test_changed_attributes_are_found_by_their_new_value(
    connection: sqlite3.Connection, project: Project, cases: list[Case]
) -> None:
    connection.execute("UPDATE cases SET attributes = ? WHERE id = ?", (json.dumps({"sex": "X"}), cases[0].id))
    assert search_case_ids(connection, project, CaseFilter(attributes=(("sex", "X"),))) == [cases[0].id]
    assert count_cases(connection, project, CaseFilter(attributes=(("sex", "F"),))) == 7


@pytest.mark.parametrize(
    "wanted",
    [
        CaseFilter(snapshot=1),
        CaseFilter(snapshot=1, split="train"),
        CaseFilter(snapshot=1, fold=0),
        CaseFilter(text="ward"),
        CaseFilter(attributes=(("sex", "F"),)),
        CaseFilter(patient="p1"),
        CaseFilter(text="p1"),
    ],
)
def test_a_blind_reader_finds_by_snapshot_folder_table_or_patient_only_what_they_answered(
    connection: sqlite3.Connection,
    project: Project,
    cases: list[Case],
    snapshot: Snapshot,
    wanted: CaseFilter,
) -> None:
    others = Sight(reader=999, blind_to_others=True)
    assert search_case_ids(connection, project, wanted, sight=others) == []
    rows = search_cases(connection, project, CaseFilter(), sight=others)
    assert [row.source for row in rows] == [f"case {case.id}" for case in cases]
    assert [row.patient for row in rows] == [f"case {case.id}" for case in cases]
    assert {(str(row.attributes), row.given_split) for row in rows} == {("{}", None)}


def test_a_blind_reader_finds_the_cases_of_a_pseudonym(
    connection: sqlite3.Connection, project: Project, cases: list[Case]
) -> None:
    connection.execute("UPDATE cases SET patient_from = 'dicom' WHERE patient = 'p1'")
    others = Sight(reader=999, blind_to_others=True)
    of_one = [case.id for case in cases if case.patient == "p1"]
    assert search_case_ids(connection, project, CaseFilter(patient="p1"), sight=others) == of_one
    assert set(of_one) <= set(search_case_ids(connection, project, CaseFilter(text="p1"), sight=others))
    rows = search_cases(connection, project, CaseFilter(patient="p1"), sight=others)
    assert [row.patient for row in rows] == ["p1", "p1"]


@pytest.mark.parametrize(
    "wanted",
    [
        CaseFilter(label="normal"),
        CaseFilter(state="tied"),
        CaseFilter(reader="anna", label="normal"),
        CaseFilter(attributes=(("sex", "F"),)),
        CaseFilter(flagged=True),
        CaseFilter(patient="p1"),
        CaseFilter(text="1"),
        CaseFilter(snapshot=1, split="test"),
        CaseFilter(model=MODEL, outcome="wrong"),
        CaseFilter(model=MODEL, snapshot=1, split="test", cell=Cell("normal", "pneumonia")),
    ],
)
@pytest.mark.parametrize("blind", [False, True])
def test_no_filter_reads_a_whole_table(
    connection: sqlite3.Connection, project: Project, wanted: CaseFilter, blind: bool
) -> None:
    """With 100,000 cases each of these took 5 to 110 ms on a busy machine, counting included: indices answer them."""
    sight = Sight(reader=1, blind_to_others=blind)
    tables, conditions, values = case_search._query(connection, project, wanted, sight)
    plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT count(*) FROM {tables} WHERE {conditions}", values)
    steps = [row["detail"] for row in plan]
    scans = [step for step in steps if step.startswith("SCAN") and "json_each" not in step]
    assert scans == [], steps
