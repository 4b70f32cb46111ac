"""Drawn images as cases: marked for ever, read by nobody, and only ever learnt from."""

import io
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from core.datasets.exchange import export_snapshot
from core.datasets.freeze import freeze_snapshot
from core.datasets.leaks import LeaksFound
from core.datasets.records import add_snapshot, list_snapshot_cases, snapshot_counts
from core.errors import InvalidInput
from core.evaluation.comparison import compare_models
from core.evaluation.doubtful import unlearnt
from core.evaluation.records import list_unpredicted, store_predictions
from core.images.ingest import import_paths
from core.images.records import get_cases, set_of_synthetic
from core.jobs.bodies import generate
from core.jobs.context import JobContext
from core.jobs.records import add_job, claim_job, finish_job
from core.labels.records import NewLabel, add_label
from core.labels.schema import SchemaChange, change_schema
from core.labels.worklist import Worklist, label_progress, list_case_ids
from core.progress import Silent
from core.training.ensemble import runs_learnt
from core.training.keeping import keep_drawn
from core.training.recipe import named_recipe
from core.training.records import add_model, add_run, get_run
from core.training.request import request_training
from core.training.samples import png_of

SIDE = 16


def draw(folder: Path, name: str, n: int, *, like: np.ndarray | None = None) -> Path:
    """What a drawing leaves: noise, or the same image again and again."""
    folder.mkdir()
    random = np.random.default_rng(len(name))
    for at in range(n):
        image = random.integers(0, 256, (SIDE, SIDE, 1), np.uint8) if like is None else like
        (folder / f"{at}.png").write_bytes(png_of(image, {}))
    document = {
        "model": "vae 1", "model_hash": "a" * 64, "project": 9, "seed": 3, "wanted": {"class": name, "sex": "F"},
        "images": [{"file": f"{at}.png", "place": at} for at in range(n)],
    }  # fmt: skip
    (folder / "drawn.json").write_text(json.dumps(document))
    return folder


@pytest.fixture
def kept(connection, files, planted, actor, tmp_path: Path) -> list[int]:
    """Six drawn images of each class in the planted project."""
    return [
        case_id
        for name in ("normal", "pneumonia")
        for case_id in keep_drawn(connection, files, planted.project, draw(tmp_path / name, name, 6), None, actor)
    ]


def test_kept_images_are_marked_and_kept_once(connection, files, planted, actor, kept, tmp_path) -> None:
    cases = get_cases(connection, kept)
    assert {case.synthetic["class"] for case in cases} == {"normal", "pneumonia"}
    assert cases[2].synthetic == {
        "model": "vae 1", "model_hash": "a" * 64, "project": 9, "seed": 3, "class": "normal", "sex": "F", "place": 2,
    }  # fmt: skip
    assert cases[2].attributes == {"sex": "F", "synthetic": "vae 1"}
    assert cases[2].source.startswith("synthetic/")
    thumbnail = Image.open(io.BytesIO(files.path("thumbnails", cases[2].pixel_hash).read_bytes()))
    assert thumbnail.getexif()[ExifTags.Base.ImageDescription].startswith("synthetic")
    again = keep_drawn(connection, files, planted.project, tmp_path / "normal", [2, 3], actor)
    assert again == kept[2:4]
    with pytest.raises(InvalidInput, match="project that has their class"):
        keep_drawn(connection, files, planted.project, draw(tmp_path / "other", "other", 1), None, actor)


def test_nobody_is_given_them_to_read(connection, planted, actor, kept) -> None:
    for kind in ("all", "unlabelled"):
        assert not set(kept) & set(list_case_ids(connection, planted.project, Worklist(kind), actor.name))
    assert label_progress(connection, planted.project, actor.name).total == 40
    assert list_unpredicted(connection, planted.project.id, 1) == [
        case_id for case_id in planted.masks if case_id not in kept
    ]
    with pytest.raises(InvalidInput, match="is not read"):
        add_label(connection, NewLabel("event-x", kept[0], actor.name, {"classes": ["normal"]}), actor)


def test_a_snapshot_has_them_in_train_or_nowhere(connection, files, planted, actor, kept) -> None:
    options = {"ratios": (0.6, 0.3, 0.1), "actor": actor, "progress": Silent()}
    frozen = freeze_snapshot(connection, files, planted.project, "more", synthetic=5, **options)
    cases = list_snapshot_cases(connection, frozen.id)
    drawn = [case for case in cases if case.case_id in kept]
    assert [case.split for case in drawn] == ["train"] * 5
    assert sorted(case.value["classes"][0] for case in drawn) == ["normal"] * 3 + ["pneumonia"] * 2
    assert frozen.notes[0].startswith("5 images of train are synthetic")
    # The real ones lie where they lie without them, so that both snapshots have one test split.
    before = {case.case_id: case.split for case in list_snapshot_cases(connection, planted.snapshot.id)}
    assert {case.case_id: case.split for case in cases if case.case_id not in kept} == before
    rows = json.loads(export_snapshot(connection, files, frozen))["cases"]
    assert sum(row.get("synthetic", False) for row in rows) == 5
    without = freeze_snapshot(connection, files, planted.project, "without", **options)
    assert not set_of_synthetic(connection, [case.case_id for case in list_snapshot_cases(connection, without.id)])
    for wrong, sentence in (({"synthetic": 50}, "it has 12"), ({"synthetic": 5, "folds": 2}, "belong to no fold")):
        with pytest.raises(InvalidInput, match=sentence):
            freeze_snapshot(connection, files, planted.project, "wrong", **options, **wrong)


def test_drawn_images_alone_can_be_learnt_from(connection, files, planted, actor, kept) -> None:
    """Where the table names no real case for train, which is refused otherwise."""
    connection.execute("UPDATE cases SET given_split = iif(id % 4 < 2, 'val', 'test') WHERE synthetic IS NULL")
    options = {"use_given_split": True, "actor": actor, "progress": Silent()}
    frozen = freeze_snapshot(connection, files, planted.project, "alone", synthetic=12, **options)
    cases = list_snapshot_cases(connection, frozen.id)
    assert {case.case_id for case in cases if case.split == "train"} == set(kept)
    with pytest.raises(InvalidInput, match="names no case for train"):
        freeze_snapshot(connection, files, planted.project, "nothing", **options)


def test_no_way_leads_into_validation_or_test(connection: sqlite3.Connection, files, planted, actor, kept) -> None:
    """Not by another caller, and not by SQL."""
    options = {"ratios": (0.6, 0.3, 0.1), "actor": actor, "progress": Silent()}
    frozen = freeze_snapshot(connection, files, planted.project, "more", synthetic=5, **options)
    cases = list_snapshot_cases(connection, frozen.id)
    moved = [type(case)(**{**vars(case), "split": "test"}) for case in cases]
    with pytest.raises(InvalidInput, match="only learnt from"):
        add_snapshot(
            connection, planted.project, name="moved", content_hash="x", split_rule={}, seed=0, folds=0, cases=moved,
            actor=actor,
        )  # fmt: skip
    with pytest.raises(sqlite3.IntegrityError, match="never validated or tested"):
        connection.execute(
            "INSERT INTO snapshot_cases (snapshot, position, case_id, patient, split, value, labels, pixel_hash, "
            "linked) VALUES (?, 900, ?, 'p', 'test', '{}', '[]', 'x', 0)",
            (planted.snapshot.id, kept[0]),
        )
    with pytest.raises(sqlite3.IntegrityError, match="stays so"):
        connection.execute("UPDATE cases SET synthetic = NULL WHERE id = ?", (kept[0],))
    with pytest.raises(sqlite3.IntegrityError, match="is not read"):
        connection.execute(
            "INSERT INTO labels (event, project, case_id, reader, schema_version, entered_by, made_at, stored_at)"
            " VALUES ('e', ?, ?, 1, 1, 'a', '2', '2')",
            (planted.project.id, kept[0]),
        )


def test_what_a_model_drew_that_has_learnt_test_cases_is_a_leak(connection, files, planted, actor, kept) -> None:
    """Also by way of the model that it began from; what is drawn by a model of the same split is none."""
    facts = {"onnx_left_out_because": "", "parameters": 1, "file_bytes": 1, "facts": {}, "seconds": 1.0, "actor": actor}
    begun = {"sources": {"start_from": {"hash": "b" * 64}}}
    for keras_hash, told in (("b" * 64, {}), ("a" * 64, begun)):  # that of `draw`
        run = add_run(
            connection, project=planted.project.id, snapshot=planted.snapshot.id, recipe=named_recipe("vae"),
            name=keras_hash[0], told=told, actor=actor,
        )  # fmt: skip
        add_model(connection, run, keras_hash=keras_hash, **facts)
    options = {"ratios": (0.6, 0.3, 0.1), "synthetic": 5, "actor": actor, "progress": Silent()}
    assert freeze_snapshot(connection, files, planted.project, "same", **options).leaks == ()
    freeze_snapshot(connection, files, planted.project, "other, real alone", **{**options, "synthetic": 0, "seed": 1})
    with pytest.raises(LeaksFound, match="learnt from other splits drew images of train") as found:
        freeze_snapshot(connection, files, planted.project, "other", seed=1, **options)
    allowed = freeze_snapshot(connection, files, planted.project, "other", seed=1, allow_leaks="a trial", **options)
    learnt = {case.patient for case in list_snapshot_cases(connection, planted.snapshot.id) if case.split == "train"}
    cases = list_snapshot_cases(connection, allowed.id)
    expected = {case.case_id for case in cases if case.split != "train" and case.patient in learnt}
    (leak,) = found.value.leaks
    assert set(leak.case_ids) - set(kept) == expected
    assert len(set(leak.case_ids) & set(kept)) == 1
    assert {one for leak in allowed.leaks for one in leak.case_ids} <= {case.case_id for case in cases}
    assert json.loads(export_snapshot(connection, files, allowed))["leaks"][0]["kind"] == "drawn"
    again = freeze_snapshot(
        connection, files, planted.project, "as before", like=allowed, actor=actor, progress=Silent()
    )
    assert {case.case_id for case in list_snapshot_cases(connection, again.id)} == {case.case_id for case in cases}


def test_a_drawn_image_like_one_of_the_test_split_is_left_out(connection, files, planted, actor, tmp_path) -> None:
    held_out = next(case for case in list_snapshot_cases(connection, planted.snapshot.id) if case.split == "test")
    same = files.read_array("pixels", held_out.pixel_hash)[..., None]
    keep_drawn(connection, files, planted.project, draw(tmp_path / "a", "normal", 1, like=same), None, actor)
    keep_drawn(connection, files, planted.project, draw(tmp_path / "b", "pneumonia", 1), None, actor)
    options = {"ratios": (0.6, 0.3, 0.1), "actor": actor, "progress": Silent()}
    frozen = freeze_snapshot(connection, files, planted.project, "more", synthetic=2, **options)
    assert len(list_snapshot_cases(connection, frozen.id)) == 41
    assert "1 synthetic images were left out" in frozen.notes[1]


def test_the_effect_is_a_paired_difference_on_real_images(connection, files, planted, actor, kept) -> None:
    options = {"ratios": (0.6, 0.3, 0.1), "actor": actor, "progress": Silent()}
    more = freeze_snapshot(connection, files, planted.project, "more", synthetic=5, **options)
    validation = [one for one in list_snapshot_cases(connection, planted.snapshot.id) if one.split == "test"]
    models = []
    for snapshot, certain in ((planted.snapshot, 0.0), (more, 0.4)):
        run = add_run(connection, project=planted.project.id, snapshot=snapshot.id, recipe=named_recipe("resnet"),
                      actor=actor)  # fmt: skip
        model = add_model(
            connection, get_run(connection, run.id), keras_hash="0" * 64, onnx_left_out_because="a test", parameters=1,
            file_bytes=1, facts={"task": "classification", "classes": ["normal", "pneumonia"], "multi_label": False},
            seconds=1.0, actor=actor,
        )  # fmt: skip
        with pytest.raises(InvalidInput, match="on this split first"):
            compare_models(connection, model, model, planted.snapshot, "test")
        sure = [0.5 + certain * (1 if one.value["classes"] == ["pneumonia"] else -1) for one in validation]
        scores = {one.case_id: [1 - p, p] for one, p in zip(validation, sure, strict=True)}
        store_predictions(connection, model, planted.snapshot.schema, scores)
        models.append(model)
    told = compare_models(connection, *models, planted.snapshot, "test")
    assert told["metrics"]["auc_difference"]["value"] == pytest.approx(0.5)
    assert told["metrics"]["accuracy_difference"]["value"] > 0
    assert told["synthetic"] == [0, 5]
    assert told["n_cases"] == len(validation)
    with pytest.raises(InvalidInput, match="made with patients of this split"):
        compare_models(connection, *models, planted.snapshot, "validation")


def test_what_drew_an_image_has_been_shown_the_patients_that_a_model_is_tested_on(
    connection, files, planted, sides, actor, kept
) -> None:
    """A drawn image tells of those that its model learnt from, so that they count as learnt."""
    options = {"ratios": (0.6, 0.3, 0.1), "seed": 3, "actor": actor, "progress": Silent()}
    more = freeze_snapshot(connection, files, planted.project, "more", synthetic=5, **options)
    run = add_run(connection, project=sides[0].id, snapshot=sides[1].id, recipe=named_recipe("vae"), actor=actor)
    add_model(
        connection, run, keras_hash="a" * 64, onnx_left_out_because="it draws", parameters=1, file_bytes=1, seconds=1.0,
        actor=actor, facts={"task": "generation", "classes": ["left", "right"]},
    )  # fmt: skip
    shown = {case.patient for case in list_snapshot_cases(connection, sides[1].id) if case.split != "test"}
    tested = [case for case in list_snapshot_cases(connection, more.id, split="test") if case.patient in shown]
    assert tested
    asked, _ = request_training(connection, planted.project, more, named_recipe("resnet"), actor=actor)
    assert f"{len(tested)} of " in str(asked.told)
    assert "that drew some of its images" in str(asked.told)
    model = add_model(
        connection, asked, keras_hash="b" * 64, onnx_left_out_because="a test", parameters=1, file_bytes=1,
        seconds=1.0, actor=actor, facts={"task": "classification"},
    )  # fmt: skip
    assert [one.id for one in runs_learnt(connection, model)] == [asked.id, run.id]
    assert len(unlearnt(connection, model, tested)) < len(tested)
    # Without a drawn image it has seen none of them.
    plain, _ = request_training(connection, planted.project, planted.snapshot, named_recipe("resnet"), actor=actor)
    assert "that drew some" not in str(plain.told)


def test_what_was_drawn_and_downloaded_is_known_again_without_its_mark(
    connection, files, settings, planted, sides, actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody kept it as a case; the drawing's own record tells its pixels."""
    run = add_run(connection, project=sides[0].id, snapshot=sides[1].id, recipe=named_recipe("vae"), actor=actor)
    shown = {"classes": {"left": 9, "right": 9}, "sex": {"F": 0, "M": 0}, "age": None}
    model = add_model(
        connection, run, keras_hash="0" * 64, onnx_left_out_because="it draws", parameters=1, file_bytes=1, seconds=1.0,
        actor=actor, facts={"task": "generation", "classes": ["left", "right"], "calibration": {"shown": shown}},
    )  # fmt: skip
    images = np.random.default_rng(4).integers(0, 256, (3, SIDE, SIDE, 1), np.uint8)
    monkeypatch.setattr("core.training.drawn.draw_with", lambda *given, **options: images)
    add_job(connection, "generate", {"model": model.id, "class": "left", "n": 3, "seed": 1}, project=sides[0].id,
            actor=actor)  # fmt: skip
    job = claim_job(connection, "work", "cpu")
    context = JobContext(connection, files, settings, job, tmp_path / "job", "cpu", actor, Silent())
    finish_job(connection, job, "done", result=generate.run(context))
    folder = tmp_path / "downloads"
    folder.mkdir()
    for path in sorted((tmp_path / "job" / "drawn").glob("*.png")):
        Image.fromarray(np.asarray(Image.open(path))).save(folder / path.name)  # as Pillow saves it, without a word
    Image.fromarray(images[0, ..., 0] ^ 1).save(folder / "another.png")
    report = import_paths(connection, files, settings, planted.project, [folder], table=None, patient_from=None, job=99,
                          actor=actor, on_case=lambda *_: None, progress=Silent())  # fmt: skip
    assert (report.imported, report.failed) == (1, 3)
    assert all("A model drew this image" in file.reason for file in report.files if file.status == "failed")


def test_of_a_renamed_class_they_are_of_it_still_and_of_a_retired_one_they_stay_out(
    connection, files, planted, actor, kept, tmp_path
) -> None:
    project = change_schema(connection, planted.project, SchemaChange("add", "effusion"), actor)
    drawn_of_retired = keep_drawn(connection, files, project, draw(tmp_path / "e", "effusion", 6), None, actor)
    project = change_schema(connection, project, SchemaChange("retire", "effusion"), actor)
    project = change_schema(connection, project, SchemaChange("rename", "pneumonia", to="opacity"), actor)
    with pytest.raises(InvalidInput, match="project that has their class"):
        keep_drawn(connection, files, project, tmp_path / "e", None, actor)
    more = keep_drawn(connection, files, project, draw(tmp_path / "by a model of before", "pneumonia", 1), None, actor)
    assert more == kept[6:7]
    options = {"ratios": (0.6, 0.3, 0.1), "actor": actor, "progress": Silent()}
    frozen = freeze_snapshot(connection, files, project, "more", synthetic=12, **options)
    for snapshot in (frozen, freeze_snapshot(connection, files, project, "again", like=frozen, **options)):
        drawn = [case for case in list_snapshot_cases(connection, snapshot.id) if case.case_id in kept]
        assert sorted(case.value["classes"][0] for case in drawn) == ["normal"] * 6 + ["opacity"] * 6
        assert snapshot_counts(connection, snapshot)["train"]["classes"].keys() == {"normal", "opacity"}
    with pytest.raises(InvalidInput, match="it has 12 of its classes"):
        freeze_snapshot(connection, files, project, "wrong", synthetic=12 + len(drawn_of_retired), **options)
