"""Freezing labelled cases, and taking snapshots from home to home."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.datasets.freeze import export_snapshot, find_split_columns, freeze_snapshot, import_snapshot
from core.datasets.leaks import LeaksFound
from core.datasets.records import (
    Snapshot,
    count_left_out,
    get_snapshot,
    list_candidates,
    list_snapshot_cases,
    list_snapshots,
    snapshot_counts,
)
from core.errors import Conflict, InvalidInput, NotFound, Stopped
from core.images.ingest import import_paths
from core.images.label_table import map_columns, read_label_table
from core.images.records import Case
from core.labels.exchange import add_table_labels, export_labels, import_labels
from core.labels.records import Label
from core.labels.schema import SchemaChange, change_schema
from core.progress import Silent
from core.projects.records import Project, add_project, get_project
from core.projects.schema import make_classification
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened
from core.store.files import Files

MakeCase = Callable[..., Case]
Say = Callable[..., Label]
Freeze = Callable[..., Snapshot]


@pytest.fixture
def freeze(connection: sqlite3.Connection, files: Files, project: Project, actor: Actor) -> Freeze:
    def freeze_it(name: str = "first", **options: object) -> Snapshot:
        known = {"actor": actor, "progress": Silent()}
        return freeze_snapshot(connection, files, project, name, **{**known, **options})

    return freeze_it


@pytest.fixture
def labelled(make_case: MakeCase, answer: Say) -> list[Case]:
    """20 cases of 10 patients, half of them normal, with a split in the table and in an attribute."""
    cases = []
    for at in range(20):
        split = ("train", "test")[at % 10 >= 7]
        cases.append(
            make_case(
                f"{at:02}.png", patient=f"p{at % 10}", given_split=split,
                attributes={"fold_of_paper": {"train": "Training", "test": "TEST"}[split], "sex": "F"},
            )
        )  # fmt: skip
        answer(cases[-1], "pneumonia" if at % 2 else "normal")
    return cases


def test_a_snapshot_holds_every_answered_case_with_its_reference(
    connection: sqlite3.Connection, project: Project, labelled: list[Case], make_case: MakeCase, answer: Say,
    freeze: Freeze,
) -> None:  # fmt: skip
    tied = make_case("tied.png")
    answer(tied, "normal")
    answer(tied, "pneumonia", reader="ben")
    answer(make_case("unusable.png"), unusable=True)
    make_case("unlabelled.png")
    snapshot = freeze()
    cases = list_snapshot_cases(connection, snapshot.id)
    assert [case.case_id for case in cases] == [case.id for case in labelled]
    assert [case.position for case in cases] == list(range(20))
    assert all(case.label_ids for case in cases)
    assert snapshot.split_rule["left_out"] == {"unlabelled": 1, "tied": 1, "unusable": 1}
    assert "3 cases were left out: 1 unlabelled, 1 undecided between readers, 1 unusable." in snapshot.notes
    counts = snapshot_counts(connection, snapshot)
    assert sum(part["images"] for part in counts.values()) == 20
    assert sum(part["patients"] for part in counts.values()) == 10
    assert sum(part["classes"]["normal"] for part in counts.values()) == 10
    assert (
        get_snapshot(connection, project.id, "first") == snapshot == get_snapshot(connection, project.id, snapshot.id)
    )
    assert list_snapshots(connection, project.id) == [snapshot]
    assert [case.split for case in list_snapshot_cases(connection, snapshot.id, split="test")].count("train") == 0


def test_later_labels_do_not_change_a_snapshot(
    connection: sqlite3.Connection, labelled: list[Case], answer: Say, freeze: Freeze
) -> None:
    snapshot = freeze()
    before = list_snapshot_cases(connection, snapshot.id)
    for case in labelled:
        answer(case, "normal")
    assert list_snapshot_cases(connection, snapshot.id) == before


def test_the_same_data_and_seed_give_the_same_hash(labelled: list[Case], freeze: Freeze, answer: Say) -> None:
    first, again, other = freeze(seed=1), freeze("again", seed=1), freeze("other", seed=2)
    assert first.hash == again.hash != other.hash
    answer(labelled[0], "pneumonia")
    assert freeze("relabelled", seed=1).hash != first.hash


@pytest.mark.parametrize("column", ["split", "fold_of_paper"])
def test_a_split_can_come_from_the_table(
    connection: sqlite3.Connection, labelled: list[Case], freeze: Freeze, column: str
) -> None:
    snapshot = freeze(ratios=None, split_column=column)
    given = {case.id: case.given_split for case in labelled}
    for case in list_snapshot_cases(connection, snapshot.id):
        assert (case.split == "test") == (given[case.case_id] == "test")
    assert snapshot.split_rule["column"] == column
    assert snapshot_counts(connection, snapshot)["validation"]["images"] == 4  # a patient of each class


def test_use_given_split_is_the_column_split(labelled: list[Case], freeze: Freeze) -> None:
    assert freeze(use_given_split=True).hash == freeze("again", split_column="split").hash


def test_only_columns_that_name_splits_are_offered(
    connection: sqlite3.Connection, project: Project, labelled: list[Case]
) -> None:
    assert sorted(find_split_columns(connection, project)) == ["fold_of_paper", "split"]


def test_a_column_that_names_no_splits_is_refused(labelled: list[Case], freeze: Freeze) -> None:
    with pytest.raises(InvalidInput, match=r"train, validation \(or val, valid\) or test. Received: F"):
        freeze(split_column="sex")
    with pytest.raises(InvalidInput, match="names no case for train"):
        freeze(split_column="nothing")


def test_a_given_split_that_leaks_is_refused_and_can_be_allowed_for_a_reason(
    connection: sqlite3.Connection, labelled: list[Case], make_case: MakeCase, answer: Say, freeze: Freeze
) -> None:
    leaking = make_case("leak.png", patient="p0", given_split="test")
    answer(leaking, "normal")
    with pytest.raises(LeaksFound, match=r"leak.png") as refusal:
        freeze(split_column="split")
    (leak,) = refusal.value.leaks
    assert leaking.id in leak.case_ids
    assert connection.execute("SELECT count(*) FROM snapshots").fetchone()[0] == 0
    allowed = freeze(split_column="split", allow_leaks=" published ")
    assert (allowed.leaks, allowed.leaks_allowed_because) == ((leak,), "published")
    with pytest.raises(LeaksFound):
        freeze("blank reason", split_column="split", allow_leaks=" ")


def test_a_reason_is_not_kept_where_nothing_leaks(labelled: list[Case], freeze: Freeze) -> None:
    assert freeze(allow_leaks="just in case").leaks_allowed_because is None


def smooth(seed: int) -> np.ndarray:
    """A picture with large shapes, as medical images have, so that a slightly brighter copy is like it."""
    small = np.random.default_rng(seed).integers(20, 200, (6, 6), np.uint8)
    return np.asarray(Image.fromarray(small).resize((64, 64), Image.Resampling.BICUBIC))


def test_same_pixels_and_near_duplicates_of_two_patients_stay_together(
    connection: sqlite3.Connection, make_case: MakeCase, answer: Say, freeze: Freeze
) -> None:
    for at in range(12):
        answer(make_case(f"{at:02}.png", pixels=smooth(at), patient=f"p{at}"), "pneumonia" if at % 2 else "normal")
    answer(make_case("same.png", pixels=smooth(0), patient="q0"), "normal")
    answer(make_case("near.png", pixels=smooth(0) + np.uint8(3), patient="q1"), "normal")
    for seed in range(5):
        snapshot = freeze(f"seed {seed}", seed=seed, folds=3)
        cases = list_snapshot_cases(connection, snapshot.id)
        together = [case for case in cases if case.patient in {"p0", "q0", "q1"}]
        assert len(together) == 3
        assert len({(case.split, case.fold, case.group) for case in together}) == 1
        assert snapshot.leaks == ()


def test_a_near_duplicate_across_a_given_split_is_refused(make_case: MakeCase, answer: Say, freeze: Freeze) -> None:
    for at in range(8):
        split = ("train", "test")[at > 4]
        answer(make_case(f"{at}.png", pixels=smooth(at), given_split=split), "pneumonia" if at % 2 else "normal")
    answer(make_case("near.png", pixels=smooth(0) + np.uint8(3), given_split="test"), "normal")
    with pytest.raises(LeaksFound) as refusal:
        freeze(split_column="split")
    assert [leak.kind for leak in refusal.value.leaks] == ["near-duplicate"]
    assert "0.png" in str(refusal.value)
    assert "near.png" in str(refusal.value)


def test_nothing_labelled_is_refused(make_case: MakeCase, freeze: Freeze) -> None:
    make_case("a.png")
    with pytest.raises(InvalidInput, match=r"label some first. Received: 1 unlabelled, 0 tied, 0 unusable"):
        freeze()


def test_volumes_are_frozen_beside_images(
    connection: sqlite3.Connection, labelled: list[Case], make_case: MakeCase, answer: Say, freeze: Freeze
) -> None:
    volume = make_case("scan.nii.gz", pixels=np.zeros((3, 8, 9), np.uint8), frames=3)
    answer(volume, "normal")
    assert volume.id in {case.case_id for case in list_snapshot_cases(connection, freeze().id)}


def test_one_class_is_refused(make_case: MakeCase, answer: Say, freeze: Freeze) -> None:
    for at in range(6):
        answer(make_case(f"{at}.png"), "normal")
    with pytest.raises(InvalidInput, match=r"nothing to tell apart.*6 cases, normal"):
        freeze()


def test_one_patient_is_refused(make_case: MakeCase, answer: Say, freeze: Freeze) -> None:
    for at in range(6):
        answer(make_case(f"{at}.png", patient="p"), "pneumonia" if at % 2 else "normal")
    with pytest.raises(InvalidInput, match=r"at least 3 patients.*Received: 1"):
        freeze()


def test_a_class_with_one_patient_is_learnt_and_the_note_says_what_that_means(
    connection: sqlite3.Connection, make_case: MakeCase, answer: Say, freeze: Freeze
) -> None:
    for at in range(12):
        answer(make_case(f"{at:02}.png", patient=f"p{at}"), "normal")
    answer(make_case("rare.png"), "pneumonia")
    snapshot = freeze()
    assert snapshot_counts(connection, snapshot)["train"]["classes"]["pneumonia"] == 1
    assert any(note.startswith("pneumonia is absent from validation and test: it has images of 1 patient.")
               for note in snapshot.notes)  # fmt: skip


@pytest.mark.parametrize("folds", [1, -1, 11])
def test_folds_that_cannot_be_are_refused(labelled: list[Case], freeze: Freeze, folds: int) -> None:
    with pytest.raises(InvalidInput, match="folds"):
        freeze(folds=folds)


def test_names_are_needed_and_are_free(labelled: list[Case], freeze: Freeze) -> None:
    with pytest.raises(InvalidInput, match="needs a name"):
        freeze(" ")
    freeze()
    with pytest.raises(Conflict, match="of this name"):
        freeze()


def test_freezing_can_be_stopped(labelled: list[Case], freeze: Freeze, connection: sqlite3.Connection) -> None:
    class Impatient(Silent):
        def should_stop(self) -> bool:
            return True

    with pytest.raises(Stopped):
        freeze(progress=Impatient())
    assert connection.execute("SELECT count(*) FROM snapshots").fetchone()[0] == 0


def test_an_unknown_snapshot_is_named(connection: sqlite3.Connection, project: Project) -> None:
    with pytest.raises(NotFound, match="There is no snapshot x"):
        get_snapshot(connection, project.id, "x")


# ---- from home to home


@pytest.fixture
def twin(connection: sqlite3.Connection, project: Project, labelled: list[Case], make_case: MakeCase,
         actor: Actor) -> Project:  # fmt: skip
    """Another project with the same images and labels, imported in another order."""
    other = add_project(connection, name="Twin", task="classification", schema=project.schema, actor=actor)
    for case in reversed(labelled):
        make_case(case.source, into=other, patient=case.patient, given_split=case.given_split)
    import_labels(connection, other, export_labels(connection, project), actor)
    return other


def test_an_export_comes_back_with_the_same_hash(
    connection: sqlite3.Connection, files: Files, twin: Project, freeze: Freeze, actor: Actor
) -> None:
    snapshot = freeze(folds=3, seed=4, split_column="split")
    back = import_snapshot(connection, files, twin, export_snapshot(connection, files, snapshot), actor)
    assert back.hash == snapshot.hash
    assert (back.seed, back.folds, back.reference_rule) == (4, 3, snapshot.reference_rule)
    ours, theirs = (list_snapshot_cases(connection, some.id) for some in (snapshot, back))
    assert [(c.patient, c.split, c.fold, c.value, c.group) for c in ours] == [
        (c.patient, c.split, c.fold, c.value, c.group) for c in theirs
    ]
    assert all(case.label_ids for case in theirs)
    assert {case.case_id for case in ours}.isdisjoint(case.case_id for case in theirs)
    assert json.loads(export_snapshot(connection, files, back))["cases"] == json.loads(
        export_snapshot(connection, files, snapshot)
    )["cases"]  # fmt: skip


def test_a_snapshot_that_came_to_files_of_other_names_is_passed_on_by_the_file_that_it_came_by(
    connection: sqlite3.Connection, files: Files, twin: Project, freeze: Freeze, actor: Actor
) -> None:
    """As in a home that calls files by tokens: they are found by their pixels. Exported from there it would be
    'altered' for whoever reads it, for its hash stands for the names of before."""
    snapshot = freeze(folds=3)
    text = export_snapshot(connection, files, snapshot)
    connection.execute("UPDATE cases SET source = 'other-' || source WHERE project = ?", (twin.id,))
    there = import_snapshot(connection, files, twin, text, actor)
    assert there.hash == snapshot.hash
    assert import_snapshot(connection, files, twin, text, actor) == there, "it is there already"
    with pytest.raises(Conflict, match="pass on the file that it came by"):
        export_snapshot(connection, files, there)


def test_two_images_of_a_snapshot_never_become_one_case(
    connection: sqlite3.Connection, files: Files, project: Project, labelled: list[Case], make_case: MakeCase,
    answer: Say, freeze: Freeze, actor: Actor,
) -> None:  # fmt: skip
    pixels = files.read_array("pixels", labelled[0].pixel_hash)
    answer(make_case("copy.png", patient="p0", pixels=pixels), "normal")
    text = export_snapshot(connection, files, freeze())
    other = add_project(connection, name="Fewer", task="classification", schema=project.schema, actor=actor)
    for case in labelled:
        make_case(case.source, into=other, patient=case.patient)
    with pytest.raises(InvalidInput, match="two show the same pixels"):
        import_snapshot(connection, files, other, text, actor)
    make_case("copy.png", into=other, patient="p0", pixels=pixels)
    import_snapshot(connection, files, other, text, actor)


def test_the_same_images_freeze_to_the_same_hash_anywhere(
    connection: sqlite3.Connection, files: Files, twin: Project, freeze: Freeze, actor: Actor
) -> None:
    theirs = freeze_snapshot(connection, files, twin, "first", folds=3, actor=actor, progress=Silent())
    assert theirs.hash == freeze(folds=3).hash


def test_bringing_back_what_is_there_changes_nothing(
    connection: sqlite3.Connection, files: Files, project: Project, labelled: list[Case], freeze: Freeze, actor: Actor
) -> None:
    snapshot = freeze()
    assert import_snapshot(connection, files, project, export_snapshot(connection, files, snapshot), actor) == snapshot


def test_allowed_leaks_travel_with_their_reason(
    connection: sqlite3.Connection, files: Files, project: Project, twin: Project, make_case: MakeCase, answer: Say,
    freeze: Freeze, actor: Actor,
) -> None:  # fmt: skip
    for into in (project, twin):
        case = make_case("leak.png", into=into, patient="p0", given_split="test")
    answer(make_case("leak2.png", patient="p1", given_split="test"), "normal")
    make_case("leak2.png", into=twin, patient="p1", given_split="test")
    snapshot = freeze(split_column="split", allow_leaks="published")
    text = export_snapshot(connection, files, snapshot)
    back = import_snapshot(connection, files, twin, text, actor)
    assert back.leaks_allowed_because == "published"
    assert [leak.sentence for leak in back.leaks] == [leak.sentence for leak in snapshot.leaks]
    assert back.leaks[0].case_ids != snapshot.leaks[0].case_ids
    document = json.loads(text) | {"leaks_allowed_because": None, "name": "hushed"}
    with pytest.raises(LeaksFound):
        import_snapshot(connection, files, twin, json.dumps(document), actor)
    assert case.project == twin.id


def test_what_is_no_export_of_ours_is_refused(
    connection: sqlite3.Connection, files: Files, project: Project, twin: Project, freeze: Freeze, actor: Actor
) -> None:
    document = json.loads(export_snapshot(connection, files, freeze()))
    altered = json.loads(json.dumps(document))
    first = document["cases"][0]
    altered["cases"][0]["split"] = "test" if altered["cases"][0]["split"] == "train" else "train"
    for text, said in [
        ("{", "not an exported snapshot"),
        ("[]", "not an exported snapshot"),
        (json.dumps(document | {"format": "other"}), "not an export that this version reads"),
        (json.dumps(document | {"seed": "x"}), "damaged"),
        (json.dumps(document | {"cases": []}), "damaged"),
        (json.dumps(document | {"cases": [{}]}), "not an exported snapshot"),
        (json.dumps(document | {"cases": [{k: v for k, v in first.items() if k != "value"}]}), "not an exported snap"),
        (json.dumps(document | {"cases": [document["cases"][0] | {"split": "dev"}]}), "damaged"),
        (json.dumps(document | {"cases": [first | {"source": "z.png", "pixel_hash": "0" * 64}]}), "unknown: z.png"),
        (json.dumps(document | {"cases": [first | {"source": "z.png"}]}), "altered"),  # found by its pixels
        (json.dumps(altered), "altered|leak"),
    ]:
        with pytest.raises((InvalidInput, LeaksFound), match=said):
            import_snapshot(connection, files, twin, text, actor)
    schema = make_classification(["a", "b"])
    other = add_project(connection, name="Other", task="classification", schema=schema, actor=actor)
    with pytest.raises(InvalidInput, match="another label schema"):
        import_snapshot(connection, files, other, json.dumps(document), actor)


# ---- real images


def test_the_leaks_of_a_real_split_are_found_and_nothing_else(
    connection: sqlite3.Connection, files: Files, settings: Settings, actor: Actor, test_data: Path
) -> None:
    """Its `source_split` has 60 patients and 2 byte-identical pairs on both sides; no merely similar image counts.

    Three quarters of the other images are left out to save time.
    """
    folder = test_data / "cxr_pediatric_pneumonia"
    names = ["normal", "bacterial_pneumonia", "viral_pneumonia"]
    project = add_project(connection, name="cxr", task="classification", schema=make_classification(names), actor=actor)
    columns = {"path": "filename", "patient": "patient_id", "split": "source_split"}
    rows = map_columns(read_label_table(folder / "labels.csv"), columns)
    sides: dict[str, set[str]] = {}
    copies: dict[str, list[str]] = {}
    for row in rows.values():
        sides.setdefault(str(row.patient), set()).add(str(row.split))
        copies.setdefault(row.attributes["source_md5"], []).append(row.path)
    twins = {path for paths in copies.values() if len(paths) > 1 for path in paths}
    kept = [
        path for at, (path, row) in enumerate(rows.items())
        if len(sides[str(row.patient)]) == 2 or path in twins or at % 4 == 0
    ]  # fmt: skip
    import_paths(
        connection, files, settings, project, [folder / "images" / path for path in kept], root=folder / "images",
        table=rows, patient_from=None, job=1, actor=actor, progress=Silent(),
        on_case=lambda connection, case, row: add_table_labels(connection, project, case, row, actor) and None,
    )  # fmt: skip
    assert len(list_candidates(connection, project.id)) == len(kept)
    with pytest.raises(LeaksFound) as refusal:
        freeze_snapshot(connection, files, project, "s", split_column="split", actor=actor, progress=Silent())
    kinds = [leak.kind for leak in refusal.value.leaks]
    assert (kinds.count("patient"), kinds.count("same pixels"), kinds.count("near-duplicate")) == (60, 2, 0)
    own = freeze_snapshot(connection, files, project, "own", folds=5, actor=actor, progress=Silent())
    assert own.leaks == ()


def test_a_class_that_is_renamed_while_a_snapshot_is_frozen_leaves_no_mixture(
    connection: sqlite3.Connection, settings: Settings, project: Project, labelled: list[Case], freeze: Freeze,
    actor: Actor, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def count_and_rename(reading: sqlite3.Connection, project_id: int) -> dict[str, int]:
        with opened(settings) as other:
            change_schema(other, get_project(other, project_id), SchemaChange("rename", "pneumonia", "opacity"), actor)
        return count_left_out(reading, project_id)

    def names_in(snapshot: Snapshot) -> tuple[set[str], set[str]]:
        said = {name for case in list_snapshot_cases(connection, snapshot.id) for name in case.value["classes"]}
        return said, {*snapshot.schema.names}  # type: ignore[union-attr]

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("core.datasets.freeze.count_left_out", count_and_rename)
        assert names_in(freeze("first")) == ({"normal", "pneumonia"}, {"normal", "pneumonia"})
    # The page that asks was opened before.
    assert names_in(freeze("second")) == ({"normal", "opacity"}, {"normal", "opacity"})


@pytest.mark.parametrize("change", ["DELETE FROM cases WHERE id = ?", "UPDATE cases SET pixel_hash = 'x' WHERE id = ?"])
def test_a_case_that_is_erased_or_blacked_out_while_a_snapshot_is_frozen_is_not_in_it(
    connection: sqlite3.Connection, freeze: Freeze, labelled: list[Case], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The comparison of pixels takes minutes, in which nobody waits for it."""
    case = labelled[3]

    def compare_and_change(*_: object) -> list[tuple[int, int]]:
        connection.execute("PRAGMA foreign_keys = OFF")  # an erasing takes away all rows of a case
        connection.execute(change, (case.id,))
        connection.execute("PRAGMA foreign_keys = ON")
        return []

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("core.datasets.freeze.pair_near_duplicates", compare_and_change)
        with pytest.raises(Conflict, match=rf"Freeze it once more.*1 of 20 cases, case {case.id}$"):
            freeze()
    assert not list_snapshots(connection, case.project)
