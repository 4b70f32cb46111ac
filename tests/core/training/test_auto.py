"""The recipe `auto` on made-up fingerprints, and on a snapshot."""

import math
import sqlite3
from dataclasses import replace
from typing import Any

import pytest

from core.datasets.freeze import freeze_snapshot
from core.errors import CoreError
from core.progress import Silent
from core.store.audit import Actor
from core.store.files import Files
from core.training.auto import Fingerprint, choose_recipe
from core.training.auto_volumes import LONGEST_SIDE, Volumes
from core.training.device import CPU
from core.training.fingerprint import settle_auto, take_fingerprint
from core.training.recipe import recipe_hash
from core.training.recipe_fields import field_of
from core.training.records import get_run
from core.training.request import request_training
from tests.core.conftest import PaintedSquares

PNEUMONIA = Fingerprint(
    task="classification",
    classes=(("normal", 1214), ("pneumonia", 3494)),
    multi_label=False,
    training=4708,
    frames=4708,
    training_patients=4708,
    validation=524,
    sides_px=(28, 28, 28),
    proportions=(1.0, 1.0),
    coloured=False,
    device="cpu",
)


def test_a_small_balanced_looking_set_at_28_pixels_goes_in_as_it_is() -> None:
    recipe, sentences = choose_recipe(PNEUMONIA)
    assert (recipe.network, recipe.input_size, recipe.resize, recipe.channels) == ("resnet", 28, "stretch", 1)
    assert (recipe.optimiser, recipe.schedule, recipe.class_weights) == ("adamw", "cosine", "balanced")
    assert 12 <= recipe.epochs <= 20
    assert 0.98 < recipe.ema < 1
    assert 0 < recipe.rotation <= 10
    assert recipe.noise == 0, "28 pixels have no grain"
    assert "28 pixels square and go in as they are" in " ".join(sentences)
    assert "2.9 times as frequent" in " ".join(sentences)


@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.parametrize("training", [2, 60, 350, 5000, 200_000])
@pytest.mark.parametrize("side", [5, 28, 200, 3000])
def test_whatever_is_seen_gives_a_recipe_that_can_be_trained_and_mirrors_nothing(
    device: str, training: int, side: int
) -> None:
    seen = replace(PNEUMONIA, device=device, training=training, frames=training, sides_px=(side, side, side))
    recipe, sentences = choose_recipe(seen)
    assert recipe.flip == "none"
    assert "not mirrored" in sentences[-1]
    assert all(sentence.endswith(".") for sentence in sentences)
    assert (recipe, sentences) == choose_recipe(seen)


@pytest.mark.parametrize("side", [5, 35, 256, 3000])
def test_structures_are_painted_by_a_u_net_that_sees_them_in_their_shape(side: int) -> None:
    seen = replace(PNEUMONIA, task="segmentation", classes=(), training=40, frames=1400, sides_px=(side, side, side))
    recipe, sentences = choose_recipe(replace(seen, proportions=(0.8, 1.4)))
    assert (recipe.network, recipe.resize, recipe.flip, recipe.batch) == ("unet2d", "pad", "none", 8)
    assert 16 <= recipe.input_size <= 256
    assert recipe.epochs * 1400 // 8 >= 2000
    assert "1,400 slices" in sentences[0]


def test_a_large_image_is_made_smaller_on_a_cpu_and_the_reason_is_said() -> None:
    large = replace(PNEUMONIA, sides_px=(900, 1100, 2000), proportions=(0.8, 1.6))
    on_cpu, sentences = choose_recipe(large)
    on_gpu, _ = choose_recipe(replace(large, device="gpu"))
    assert (on_cpu.input_size, on_gpu.input_size) == (128, 224)
    assert "on a CPU" in sentences[1]
    assert "proportions differ" in sentences[1]
    assert on_cpu.resize == "stretch"
    alike, sentences = choose_recipe(replace(large, proportions=(1.33, 1.34)))
    assert alike.resize == "pad"
    assert "same proportions" in sentences[1]
    assert on_gpu.stages == 4


@pytest.mark.parametrize(
    ("counts", "expected"), [((50, 60), "none"), ((50, 200), "balanced"), ((10, 900), "sampling"), ((0, 9), "none")]
)
def test_balance_follows_how_rare_the_rarest_class_is(counts: tuple[int, int], expected: str) -> None:
    seen = replace(PNEUMONIA, classes=tuple(zip(("a", "b"), counts, strict=True)))
    assert choose_recipe(seen)[0].class_weights == expected


def test_several_answers_are_always_balanced_and_colour_is_kept() -> None:
    recipe, _ = choose_recipe(replace(PNEUMONIA, multi_label=True, coloured=True))
    assert (recipe.class_weights, recipe.channels) == ("balanced", 3)


def test_a_measured_number_is_not_zoomed_and_has_no_classes() -> None:
    recipe, sentences = choose_recipe(replace(PNEUMONIA, task="regression", classes=()))
    assert (recipe.zoom, recipe.class_weights) == (0, "none")
    assert "may hang on size" in sentences[-1]


@pytest.mark.parametrize("side", [5, 28, 33, 3000])
@pytest.mark.parametrize(("device", "network", "most"), [("cpu", "vae", 32), ("gpu", "diffusion", 64)])
def test_images_are_drawn_small_by_what_the_device_bears_and_are_shown_as_they_are(
    device: str, network: str, most: int, side: int
) -> None:
    seen = replace(PNEUMONIA, task="generation", device=device, sides_px=(side, side, side))
    recipe, sentences = choose_recipe(seen)
    assert recipe.network == network
    assert min(side, 16) <= recipe.input_size <= most
    assert {recipe.rotation, recipe.zoom, recipe.shift, recipe.contrast, recipe.noise, recipe.mixup} == {0}
    assert (recipe.flip, recipe.resize) == ("none", "pad")
    assert sentences[-1].startswith("Images are shown as they are")


def test_few_images_get_a_smaller_network_smaller_batches_and_more_epochs() -> None:
    many, (few, _) = choose_recipe(PNEUMONIA)[0], choose_recipe(replace(PNEUMONIA, training=90, frames=90))
    assert few.filters < many.filters
    assert few.batch < many.batch
    assert few.epochs > many.epochs


def test_a_narrow_network_is_taught_longer_at_a_higher_rate_and_without_dropout() -> None:
    """Else it stands still where a finding is small: it has few weights to learn by heart with."""
    below, at = (choose_recipe(replace(PNEUMONIA, training=n, frames=n)) for n in (399, 400))
    (narrow, sentences), (wide, _) = below, at
    assert [2 * count for count in narrow.filters] == list(wide.filters)
    assert (narrow.dropout, wide.dropout) == (0.0, 0.3)
    assert (narrow.batch, narrow.learning_rate) == (16, pytest.approx(2 * wide.learning_rate / math.sqrt(2), rel=0.02))
    assert narrow.epochs * (399 // narrow.batch) >= 2000 > wide.epochs * (400 // wide.batch)
    assert "half the usual width without dropout, because 399 images teach few weights" in " ".join(sentences)
    painted, _ = choose_recipe(replace(PNEUMONIA, task="segmentation", classes=(), training=200, frames=200))
    assert painted.dropout > 0, "each pixel is an answer"


def test_some_hundred_images_are_not_seen_until_they_are_learnt_by_heart() -> None:
    seen = replace(PNEUMONIA, training=654, frames=654)
    recipe, sentences = choose_recipe(seen)
    assert (recipe.batch, recipe.epochs) == (32, 50)
    assert "learnt by heart" in " ".join(sentences)
    painted, _ = choose_recipe(replace(seen, task="segmentation", classes=(), training=200, frames=200))
    assert painted.epochs > 50, "each pixel is an answer"
    some, sentences = choose_recipe(replace(seen, training=450, frames=450))
    assert some.epochs == 72, "too few steps in fewer"
    assert "learnt by heart" in " ".join(sentences)


def test_a_snapshot_is_seen_without_its_test_and_the_choice_is_stored_with_the_run(
    connection: Any, planted: Any, actor: Any
) -> None:
    seen = take_fingerprint(connection, planted.snapshot, device=CPU)
    assert (seen.training, seen.validation) == (24, 12)
    assert seen.sides_px == (16, 16, 16)
    assert sum(count for _, count in seen.classes) == 24
    connection.execute("UPDATE cases SET rows = 9999 WHERE id IN (SELECT case_id FROM snapshot_cases "
                       "WHERE split = 'test')")  # fmt: skip
    assert take_fingerprint(connection, planted.snapshot, device=CPU) == seen
    recipe, choice = settle_auto(seen, {"epochs": "3"})
    assert recipe.epochs == 3
    assert choice["changed"] == {"epochs": "3"}
    run, _ = request_training(connection, planted.project, planted.snapshot, recipe, choice=choice, actor=actor)
    stored = get_run(connection, run.id)
    assert stored.told["choice"] == choice
    assert stored.recipe_hash == recipe_hash(recipe)
    assert stored.told["choice"]["fingerprint"]["training"] == 24


def test_a_fold_that_is_not_there_has_no_fingerprint(connection: Any, planted: Any) -> None:
    with pytest.raises(CoreError, match="Received: 9"):
        take_fingerprint(connection, planted.snapshot, 9, device=CPU)


HIPPOCAMPI = replace(
    PNEUMONIA, task="segmentation", classes=(), training=41, frames=1435, training_patients=41, validation=7,
    sides_px=(31, 35, 43), volumes=Volumes((35, 51, 35), (1.0, 1.0, 1.0), True, 0.03),
)  # fmt: skip


def test_small_volumes_are_learnt_in_3_d_at_their_own_spacing() -> None:
    recipe, sentences = choose_recipe(HIPPOCAMPI)
    assert (recipe.network, recipe.patch_size, recipe.spacing_mm) == ("unet3d", (40, 56, 40), (1.0, 1.0, 1.0))
    assert (recipe.batch, recipe.patches) == (2, 2)
    assert 1500 <= recipe.epochs * 41 <= 1700
    text = " ".join(sentences)
    assert "Seen: 41 training volumes of 41 patients, 7 to validate; about 35 x 51 x 35 voxels each" in text
    assert "40 x 56 x 40 voxels, which hold a volume whole, at 1 x 1 x 1 mm" in text
    assert "slices" not in text


@pytest.mark.parametrize(
    ("volumes", "why"),
    [
        (Volumes((6, 200, 200), (1.0, 1.0, 1.0), True, 0.03), "because 6 frames"),
        (Volumes((40, 200, 200), (5.0, 0.5, 0.5), True, 0.03), "because frames lie 10.0 times as far apart"),
        (Volumes((300, 512, 512), (1.0, 1.0, 1.0), True, 0.2), "because structures that fill 20% of 79 million voxels"),
    ],
)
def test_thick_few_or_vast_slices_are_learnt_one_by_one_and_the_reason_is_told(volumes: Volumes, why: str) -> None:
    recipe, sentences = choose_recipe(replace(HIPPOCAMPI, volumes=volumes))
    assert recipe.network == "unet2d"
    assert why in " ".join(sentences)


def test_a_small_lesion_in_a_vast_volume_is_learnt_in_patches_that_a_step_can_take() -> None:
    recipe, sentences = choose_recipe(
        replace(HIPPOCAMPI, volumes=Volumes((300, 512, 512), (1.0, 0.7, 0.7), False, 0.001))
    )
    assert recipe.network == "unet3d"
    assert math.prod(recipe.patch_size) <= 100_000
    assert recipe.patches == 8
    assert "no file tells their spacing" in " ".join(sentences)


@pytest.mark.parametrize("shape", [(8, 360, 640), (1200, 8, 8), (8, 2000, 9)])
def test_no_side_of_a_patch_is_longer_than_a_recipe_can_have(shape: tuple[int, int, int]) -> None:
    seen = replace(HIPPOCAMPI, device="gpu", volumes=Volumes(shape, (1.0, 1.0, 1.0), False, 0.01))
    recipe, sentences = choose_recipe(seen)
    assert (recipe.network, max(recipe.patch_size), LONGEST_SIDE) == ("unet3d", 512, field_of("patch_size").high)
    assert "hold a volume whole" not in " ".join(sentences)


def test_volumes_of_a_snapshot_are_seen_with_their_spacing(
    connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, actor: Actor
) -> None:
    """The squares are images and two volumes, so they are learnt slice by slice; alone the volumes are seen as such."""
    options: dict[str, Any] = {"ratios": (0.5, 0.5, 0.0), "actor": actor, "progress": Silent()}
    snapshot = freeze_snapshot(connection, files, painted_squares.project, "first", **options)
    assert take_fingerprint(connection, snapshot, device=CPU).volumes is None
    for case in painted_squares.cases[:16]:
        connection.execute("DELETE FROM snapshot_cases WHERE case_id = ?", (case.id,))
    sides = {case.id: split for case, split in zip(painted_squares.cases[16:], ("train", "validation"), strict=True)}
    for case_id, split in sides.items():
        connection.execute("UPDATE snapshot_cases SET split = ? WHERE case_id = ?", (split, case_id))
    seen = take_fingerprint(connection, snapshot, device=CPU).volumes
    assert seen is not None
    assert (seen.shape, seen.spacing_mm, seen.spacing_known) == ((4, 16, 16), (2.0, 0.5, 0.5), True)
    mask = painted_squares.masks[painted_squares.cases[16].id]
    assert seen.painted_share == pytest.approx(mask.mean(), abs=1e-3)
