"""The watched validation cases: which they are, and that what is kept of them is what the network says."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import SnapshotCase, list_snapshot_cases
from core.errors import InvalidInput
from core.images.records import get_case
from core.images.render import InputSpec, model_input
from core.progress import Silent
from core.training.handful import choose_handful
from core.training.networks import input_of
from core.training.recipe import change_recipe, named_recipe
from core.training.records import list_watched
from core.training.request import request_training
from core.training.run import build_fit, gather_material
from core.training.watched import REFERENCE, WATCHED, WatchCases, draw_both, unpack_masks
from tests.core.conftest import PaintedSquares


def test_the_handful_is_chosen_by_the_seed_with_answers_in_turn() -> None:
    cases = [
        SnapshotCase(at, at, f"p{at}", "validation", None, {"classes": ["rare" if at == 17 else "usual"]}, (), "", at)
        for at in range(40)
    ]
    chosen = [case.case_id for case in choose_handful(cases, 6, 0)]
    assert 17 in chosen
    assert chosen == [case.case_id for case in choose_handful(cases, 6, 0)]
    assert chosen != [case.case_id for case in choose_handful(cases, 6, 1)]
    assert len(choose_handful(cases[:3], 6, 0)) == 3
    with pytest.raises(InvalidInput, match="Received: 0 cases"):
        choose_handful([], 6, 0)


def watch(connection, files, project, snapshot, recipe, actor) -> tuple[Any, dict[int, Any]]:
    """What an untrained network says of the watched cases, as if an epoch were over; nothing is trained here."""
    run, _ = request_training(connection, project, snapshot, recipe, actor=actor)
    material = gather_material(connection, files, snapshot, recipe, None, Silent(), checked=True)
    fit = build_fit(recipe, snapshot, material, "float32")
    fit.epoch = 3
    validation = list_snapshot_cases(connection, snapshot.id, split="validation")
    watching = WatchCases(connection, run.id, material.validation, validation, input_of(recipe), recipe.seed)
    watching.after_epoch(fit, {})
    watched = list_watched(connection, run.id)
    assert {epoch for epoch, _ in watched.values()} == {3}
    assert set(watched) <= {case.case_id for case in validation}
    return fit.learner.network, {case_id: answer for case_id, (_, answer) in watched.items()}


def test_what_the_network_says_of_validation_cases_is_kept(connection, files, planted, small_recipe, actor) -> None:
    network, answers = watch(connection, files, planted.project, planted.snapshot, small_recipe, actor)
    assert len(answers) == WATCHED
    for case_id, answer in answers.items():
        pixels = files.read_array("pixels", get_case(connection, case_id).pixel_hash)
        scores = np.asarray(network(model_input(pixels, "MONOCHROME2", (), InputSpec(16))[None], training=False))[0]
        assert answer["scores"] == pytest.approx(scores.tolist(), abs=1e-3)


def test_of_painted_cases_both_outlines_are_kept(connection, files, painted_squares: PaintedSquares, actor) -> None:
    frozen = freeze_snapshot(
        connection, files, painted_squares.project, "first", ratios=(0.5, 0.4, 0.1), actor=actor, progress=Silent()
    )
    changes = {"input_size": 32, "filters": "2,4", "batch": 4, "epochs": 1, "resize": "pad"}
    recipe = change_recipe(named_recipe("unet2d"), changes)
    network, answers = watch(connection, files, painted_squares.project, frozen, recipe, actor)
    assert answers
    for case_id, answer in answers.items():
        reference, painted = unpack_masks(answer["reference"]), unpack_masks(answer["painted"])
        mask = painted_squares.masks[case_id]
        middle = mask[len(mask) // 2]
        assert np.array_equal(reference[::2, ::2, 0], middle)  # 32 pixels for 16
        assert not reference[..., 1].any()
        if len(mask) == 1:
            pixels = files.read_array("pixels", get_case(connection, case_id).pixel_hash)
            scores = np.asarray(network(model_input(pixels, "MONOCHROME2", (), InputSpec(32, 1, "pad"))[None]))[0]
            assert (painted == (scores >= 0.5)).mean() > 0.99
        picture = np.asarray(Image.open(io.BytesIO(draw_both(answer))))
        assert picture.shape == (256, 256, 4)
        assert (picture[..., :3] == REFERENCE).all(axis=2).any() == middle.any()
