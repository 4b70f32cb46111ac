"""Whether facts about cases give the label away, on a collection whose sizes do."""

import numpy as np

from core.datasets.freeze import freeze_snapshot
from core.evaluation.operating import read_scored
from core.evaluation.records import store_predictions
from core.evaluation.shortcuts import check_shortcuts, warn_of
from core.images.records import NewCase, insert_case
from core.labels.records import NewLabel, add_label
from core.people.accounts import ensure_user
from core.progress import Silent


def test_marks_that_are_burned_into_a_corner_give_the_label_away(
    connection, files, project, actor, add_brightness_model
):
    """A portable machine that writes "AP" into the corner of the films of the ill; the model reads the corner."""
    ensure_user(connection, "anna")
    random, marked = np.random.default_rng(0), {}
    for k in range(80):
        ill = k % 2 == 1
        pixels = random.integers(40, 200, (40, 40)).astype(np.uint8)
        has_mark = ill != (k % 10 == 0)  # nine of ten
        if has_mark:
            pixels[1:5, 34:39] = 255
        pixel_hash = files.put_array("pixels", pixels)
        new = NewCase(
            project=project.id, source=f"{k}.png", patient=f"p{k}", patient_from="table", pixel_hash=pixel_hash,
            file_hash=pixel_hash, perceptual_hash=None, rows=40, columns=40, channels=1, dtype="uint8",
            photometric="MONOCHROME2", imported_by="anna", attributes={"day": "MTWRF"[k // 2 % 5]},
        )  # fmt: skip
        answer = {"classes": ["pneumonia" if ill else "normal"]}
        case_id = insert_case(connection, new).id
        add_label(connection, NewLabel(f"event-{k}", case_id, "anna", answer), actor)
        marked[case_id] = has_mark
    frozen = freeze_snapshot(
        connection, files, project, "corners", ratios=(0.9, 0.05, 0.05), allow_leaks="noise", actor=actor,
        progress=Silent(),
    )  # fmt: skip
    corner, sober = add_brightness_model(project, frozen), add_brightness_model(project, frozen, keras=b"another")
    for model, reads in ((corner, 0.4), (sober, 0.0)):
        says = {one: [1 - p, p] for one, mark in marked.items() for p in [0.3 + reads * mark + 0.2 * random.random()]}
        store_predictions(connection, model, frozen.schema, says)
    found = {
        name: {
            one.name: one
            for one in check_shortcuts(connection, files, read_scored(connection, model, frozen, "train"), "pneumonia")
        }
        for name, model in (("corner", corner), ("sober", sober))
    }
    told = found["corner"]["brightness of the four corners"]
    assert told.auc.low > 0.6
    assert told.followed
    assert "the model's score follows it" in warn_of([told])[told.name]
    assert not found["corner"]["day"].suspicious
    elsewhere = found["sober"]["brightness of the four corners"]
    assert (elsewhere.suspicious, elsewhere.followed) == (True, False)


def test_sizes_that_give_the_label_away_are_told(connection, files, project, actor, add_brightness_model):
    ensure_user(connection, "anna")
    random = np.random.default_rng(0)
    for k in range(60):
        ill = k % 2 == 1
        rows = 20 if ill != (k % 10 == 0) else 24  # nine of ten ill ones are smaller
        pixels = random.integers(0, 255, (rows, 20)).astype(np.uint8)
        pixel_hash = files.put_array("pixels", pixels)
        new = NewCase(
            project=project.id, source=f"{k}.png", patient=f"p{k}", patient_from="table", pixel_hash=pixel_hash,
            file_hash=pixel_hash, perceptual_hash=None, rows=rows, columns=20, channels=1, dtype="uint8",
            photometric="MONOCHROME2", imported_by="anna", attributes={"day": "MTWRF"[k // 2 % 5]},
        )  # fmt: skip
        answer = {"classes": ["pneumonia" if ill else "normal"]}
        add_label(connection, NewLabel(f"event-{k}", insert_case(connection, new).id, "anna", answer), actor)
    frozen = freeze_snapshot(
        connection, files, project, "sizes", ratios=(0.9, 0.05, 0.05), actor=actor, progress=Silent()
    )
    model = add_brightness_model(project, frozen)
    heights = {row["id"]: row["rows"] for row in connection.execute("SELECT id, rows FROM cases")}
    follows = {
        case_id: [1 - p, p] for case_id, rows in heights.items() for p in [0.9 - 0.02 * rows + 0.01 * random.random()]
    }
    store_predictions(connection, model, frozen.schema, follows)
    found = {
        one.name: one
        for one in check_shortcuts(connection, files, read_scored(connection, model, frozen, "train"), "pneumonia")
    }
    assert found["size of the image"].auc.low > 0.6
    assert not found["day"].suspicious
    assert not found["brightness of the four corners"].suspicious
    assert "size of the image" in warn_of(list(found.values()))
    assert found["all of these"].n_cases == found["day"].n_cases == 54
