"""What should not be trained on ends in a sentence, or is trained on as it is; nothing ends in a traceback.

NaN voxels, numbers of masks that mean nothing, text for a number: refused where they come in, and tested there. So are
recipes (`test_recipe.py`) and altered pixels (`test_preflight.py`).
"""

import sqlite3
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, list_snapshot_cases
from core.errors import CoreError, InvalidInput
from core.images.records import Case
from core.jobs.asking import ask_rate_test
from core.jobs.records import list_jobs
from core.labels.records import Label
from core.progress import Silent
from core.projects.records import Project
from core.store.audit import Actor
from core.store.files import Files
from core.training.preflight import PreflightFailed
from core.training.recipe import change_recipe, named_recipe, recipe_from_json
from core.training.records import add_run, get_run, list_runs
from core.training.request import request_training
from core.training.run import gather_material

Make = Callable[..., Case]
Say = Callable[..., Label]


def freeze(connection: sqlite3.Connection, files: Files, project: Project, actor: Actor, **changes: Any) -> Snapshot:
    known: dict[str, Any] = {"ratios": (0.6, 0.3, 0.1), "actor": actor, "progress": Silent(), **changes}
    return freeze_snapshot(connection, files, project, "bad", **known)


def test_cases_without_a_label_are_left_out_and_the_others_learnt(
    connection, files, project, actor, make_case: Make, answer: Say, small_recipe
) -> None:
    for at in range(40):
        case = make_case(f"{at}.png")
        if at % 2:
            answer(case, "pneumonia" if at % 4 == 1 else "normal")
    snapshot = freeze(connection, files, project, actor)
    assert len(list_snapshot_cases(connection, snapshot.id)) == 20
    run, _ = request_training(connection, project, snapshot, small_recipe, actor=actor)
    material = gather_material(connection, files, snapshot, run.recipe, None, Silent(), checked=True)
    assert len(material.train) + len(material.validation) < 20


def test_a_network_for_volumes_is_refused_where_each_case_is_an_image(
    connection, files, project, actor, make_case: Make, answer: Say
) -> None:
    for at in range(20):
        answer(make_case(f"{at}.png"), "pneumonia" if at % 2 else "normal")
    snapshot = freeze(connection, files, project, actor)
    with pytest.raises(InvalidInput, match="cnn3d looks along the frames of volumes"):
        request_training(connection, project, snapshot, named_recipe("cnn3d"), actor=actor)


def test_a_network_of_absurd_size_is_refused_before_the_queue_by_the_fields_to_change(
    connection, planted, actor, small_recipe
) -> None:
    absurd = change_recipe(
        small_recipe,
        {"filters": [1024] * 6, "kernel_size": 11, "blocks": 8, "input_size": 1024, "batch": 4096},
    )
    ask: dict[str, Callable[[], object]] = {
        "train": lambda: request_training(connection, planted.project, planted.snapshot, absurd, actor=actor),
        "find_rate": lambda: ask_rate_test(connection, planted.project, planted.snapshot, absurd, actor=actor),
    }
    for one in ask.values():
        with pytest.raises(InvalidInput, match=r"Make filters or kernel_size or blocks smaller.* 12,\d\d\d million"):
            one()
    assert not list_runs(connection, planted.project.id)
    assert not list_jobs(connection)
    stored = add_run(connection, project=planted.project.id, snapshot=planted.snapshot.id, recipe=absurd, actor=actor)
    assert get_run(connection, stored.id).recipe == absurd, "one that was asked for before is still read"


def test_one_case_of_each_class_is_refused_with_what_to_do(
    connection, files, project, actor, make_case: Make, answer: Say
) -> None:
    answer(make_case("a.png"), "normal")
    answer(make_case("b.png"), "pneumonia")
    with pytest.raises(CoreError, match="Received: "):
        freeze(connection, files, project, actor)


def test_constant_images_count_as_one_and_are_refused(
    connection, files, project, actor, make_case: Make, answer: Say
) -> None:
    for at in range(20):
        answer(make_case(f"{at}.png", pixels=np.full((16, 16), 7, np.uint8)), "pneumonia" if at % 2 else "normal")
    with pytest.raises(CoreError, match="Received: "):
        freeze(connection, files, project, actor)


def test_images_of_many_sizes_kinds_and_levels_are_learnt_together(
    connection, files, project, actor, make_case: Make, answer: Say
) -> None:
    random = np.random.default_rng(0)
    kinds: tuple[Callable[[int], np.ndarray], ...] = (
        lambda at: random.integers(0, 256, (16, 16), np.uint8),
        lambda at: random.integers(0, 4096, (40, 24)).astype(np.uint16),
        lambda at: random.normal(-500, 300, (24, 40)).astype(np.float32),
        lambda at: random.integers(0, 256, (30, 20, 3)).astype(np.uint8),
        lambda at: np.full((20, 20 + at), at, np.uint8),  # constant, and no two alike
    )
    for at in range(40):
        pixels = kinds[at % len(kinds)](at)
        photometric = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
        channels = 3 if pixels.ndim == 3 else 1
        case = make_case(f"{at}.png", pixels=pixels, perceptual_hash=None, photometric=photometric, channels=channels)
        answer(case, "pneumonia" if at % 2 else "normal")
    snapshot = freeze(connection, files, project, actor)
    recipe = recipe_from_json({"network": "resnet", "input_size": 16, "filters": [2, 4], "stages": 2, "epochs": 1})
    run, _ = request_training(connection, project, snapshot, recipe, actor=actor)
    material = gather_material(connection, files, snapshot, run.recipe, None, Silent(), checked=False)
    seen = material.train.images.read(np.arange(len(material.train) + len(material.validation)))
    assert seen.shape[1:] == (16, 16, 1)
    flat = sum(image.min() == image.max() for image in seen)  # the constant ones, seen as they are
    assert 0 < flat < len(seen) / 2


@pytest.mark.parametrize("harm", ["gone", "altered"])
def test_a_mask_that_is_gone_or_altered_is_named_with_its_case_before_the_first_step(
    connection, files, painted_squares, actor, harm
) -> None:
    """The card has all three: what, with the case; why; and what to do."""
    recipe = recipe_from_json({"network": "unet2d", "input_size": 16, "filters": [2, 4], "stages": 2})
    snapshot = freeze(connection, files, painted_squares.project, actor)
    run, _ = request_training(connection, painted_squares.project, snapshot, recipe, actor=actor)
    painted = next(case for case in list_snapshot_cases(connection, snapshot.id, split="train") if case.masks[0].pixels)
    path = files.path("masks", painted.masks[0].mask_hash)
    same = [
        case.case_id
        for case in list_snapshot_cases(connection, snapshot.id)
        if case.split != "test" and painted.masks[0].mask_hash in {mask.mask_hash for mask in case.masks}
    ]
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(PreflightFailed, match="masks on disk that no longer match their hash") as refused:
        gather_material(connection, files, snapshot, run.recipe, None, Silent(), checked=False)
    assert str(refused.value).startswith(f"Case {painted.case_id} has" if len(same) == 1 else "Cases ")
    assert str(painted.case_id) in str(refused.value)
    assert "compared with the hash it was frozen under" in refused.value.why
    assert "Restore them from a backup (readroom restore)" in refused.value.remedy
