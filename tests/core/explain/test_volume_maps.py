"""Maps of volumes: on the volume's own grid, where what they show is, and by methods that only ask."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.explain.body import outside_body
from core.explain.building import build_asking, build_slopes, layer_kind
from core.explain.faithfulness import measure_faithfulness, move_map
from core.explain.maps import blurred, coarsen, peak_of, resize_map
from core.explain.methods import METHODS, is_quick
from core.explain.plane_pictures import draw_planes, peak_frame
from core.explain.seen import see, see_marks
from core.explain.superpixels import superpixels
from core.explain.volume_maps import kept_shape, onto_volume, seen_mask
from core.images.decoded import Window
from core.images.records import Case
from core.images.volume_input import VolumeSpec
from core.labels.marks import NewMark, add_mark, list_marks
from core.labels.records import new_event
from core.people.accounts import ensure_user

SPECS = (
    VolumeSpec(8, 16),
    VolumeSpec(12, 24, resize="pad"),
    VolumeSpec(16, 20, spacing_mm=(1.5, 1.0, 1.0)),
)
BALL = (slice(4, 8), slice(3, 7), slice(12, 16))


@pytest.fixture
def scan(make_case: Callable[..., Case]) -> Callable[..., tuple[Case, np.ndarray]]:
    """A volume of 10 frames of 12 x 20 pixels with one bright block."""

    def make(**known: object) -> tuple[Case, np.ndarray]:
        pixels = np.zeros((10, 12, 20), np.uint8)
        pixels[BALL] = 250
        facts = {"frames": 10, "spacing_mm": (1.0, 1.0), "slice_spacing_mm": 1.5, **known}
        return make_case("scan.nii", pixels=pixels, **facts), pixels

    return make


@pytest.mark.parametrize("spec", SPECS)
def test_what_a_network_saw_lies_where_it_was_in_the_volume(scan, spec: VolumeSpec) -> None:
    case, pixels = scan(windows=(Window("all", 127, 255),))
    seen = see(pixels, case, spec)
    back = onto_volume(seen[..., 0].astype(np.float32), case, spec)
    assert back.shape == pixels.shape == kept_shape(case)
    assert np.corrcoef(back.ravel(), pixels.ravel())[0, 1] > 0.9
    mask = seen_mask(pixels > 0, case, spec)
    assert mask.shape == spec.shape[:3]
    assert mask[np.unravel_index(seen[..., 0].argmax(), mask.shape)]
    assert ((seen[..., 0] > 127) & ~mask).mean() < 0.01


def test_what_a_network_did_not_see_is_marked_nowhere(scan) -> None:
    case, _ = scan()
    spec = VolumeSpec(6, 8, spacing_mm=(1.5, 1.0, 1.0))
    back = onto_volume(np.ones(spec.shape[:3], np.float32), case, spec)
    assert back[2:8, 2:10, 6:14].min() == 1
    assert back.sum() == 6 * 8 * 8


def test_the_map_of_a_large_volume_is_coarser_and_bounded(scan) -> None:
    case, _ = scan()
    frames, rows, columns = kept_shape(replace(case, frames=600, rows=512, columns=512))
    assert frames * rows * columns <= 1 << 21
    assert frames > rows == columns


def test_a_mark_on_one_frame_is_not_lost_where_frames_are_few(scan, connection, actor) -> None:
    case, _ = scan()
    ensure_user(connection, actor.name)
    box = {"x": 12.0, "y": 3.0, "width": 4.0, "height": 4.0}
    add_mark(connection, NewMark(new_event(), case.id, actor.name, "m", "box", box, frame=7), actor)
    for spec in SPECS:
        seen = see_marks(list_marks(connection, case.id), case, spec)
        assert seen.any()
        assert onto_volume(seen, case, spec).sum(axis=(1, 2)).argmax() in (6, 7, 8)


def speaks_of_block(volumes: np.ndarray) -> np.ndarray:
    """A number that hangs on the block alone."""
    bright = volumes[:, 4:8, 3:7, 12:16].mean(axis=(1, 2, 3, 4)) / 255
    return np.stack([1 - bright, bright], axis=1)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.way == "asking"])
def test_methods_that_ask_find_the_block_that_alone_speaks(scan, name: str) -> None:
    volume = np.random.default_rng(0).integers(0, 60, (10, 12, 20, 1), np.uint8)
    volume[BALL] = 250
    told: list[float] = []
    tool = build_asking(METHODS[name], speaks_of_block, is_number=True, report=told.append)
    maps, scores = tool.explain(volume[None], np.ones(1, int))
    assert maps.shape == (1, 10, 12, 20)
    assert scores.shape == (1, 2)
    assert told[-1] == 1
    inside = np.zeros((10, 12, 20), bool)
    inside[BALL] = True
    assert maps[0][inside].mean() > 3 * maps[0][~inside].mean()
    frame, row, column = peak_of(maps[0])
    assert (3 <= frame <= 8, 2 <= row <= 7, 11 <= column <= 16) == (True, True, True)


@pytest.fixture(scope="module")
def block_network() -> Any:
    """Answers "1" by what is bright in whole 3 x 3 x 3 neighbourhoods; its weights are set, not learnt."""
    import keras

    volume = keras.Input((10, 12, 20, 1), dtype="uint8", name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(volume)
    seen = keras.layers.Conv3D(2, 3, padding="same", activation="relu", name="stage_1")
    mean = keras.layers.GlobalAveragePooling3D()(seen(scaled))
    logits = keras.layers.Dense(2, name="logits")(mean)
    network = keras.Model(volume, keras.layers.Softmax()(logits))
    kernel = np.zeros((3, 3, 3, 1, 2), np.float32)
    kernel[..., 0] = 1 / 27
    kernel[..., 1] = -1 / 27  # darkness, which speaks for neither
    seen.set_weights([kernel, np.array([0.2, 0.0], np.float32)])
    network.get_layer("logits").set_weights([np.array([[-40.0, 40.0], [0, 0]], np.float32), np.zeros(2, np.float32)])
    return network


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.way != "asking"])
def test_methods_of_layers_and_slopes_find_the_block_of_a_volume(block_network: Any, name: str) -> None:
    volume = np.random.default_rng(0).integers(0, 60, (10, 12, 20, 1), np.uint8)
    volume[BALL] = 250
    method = METHODS[name]
    if method.way == "layer":
        tool = layer_kind(method)(block_network, "stage_1", "logits")
    else:
        tool = build_slopes(method, block_network, "logits")
    maps, scores = tool.explain(volume[None], np.ones(1, int))
    assert maps.shape == (1, 10, 12, 20)
    assert (maps.min(), maps.max()) == (0, pytest.approx(1))
    np.testing.assert_allclose(scores, np.asarray(block_network(volume[None])), atol=1e-5)
    inside = np.zeros((10, 12, 20), bool)
    inside[BALL] = True
    assert maps[0][inside].mean() > 3 * maps[0][~inside].mean()
    frame, row, column = peak_of(maps[0])
    assert (3 <= frame <= 8, 2 <= row <= 7, 11 <= column <= 16) == (True, True, True)


def test_layer_cam_and_grad_cam_pp_of_a_volume_are_the_published_formulas(block_network: Any) -> None:
    import keras
    import tensorflow as tf

    volume = np.random.default_rng(1).integers(0, 60, (10, 12, 20, 1), np.uint8)
    volume[BALL] = 250
    outputs = [block_network.get_layer("stage_1").output, block_network.get_layer("logits").output]
    with tf.GradientTape() as tape:
        features, logits = keras.Model(block_network.input, outputs)(volume[None])
        spoken = logits[0, 1]
    slopes, values = tape.gradient(spoken, features)[0].numpy(), features[0].numpy()
    below = 2 * slopes**2 + values.sum(axis=(0, 1, 2)) * slopes**3
    shares = np.divide(slopes**2, below, out=np.zeros_like(slopes), where=below != 0)
    weights = (shares * np.maximum(slopes, 0)).sum(axis=(0, 1, 2))
    by_hand = {
        "layer_cam": (np.maximum(slopes, 0) * values).sum(axis=-1),
        "grad_cam_pp": np.maximum((weights * values).sum(axis=-1), 0),
    }
    for name, found in by_hand.items():
        (map_,), _ = layer_kind(METHODS[name])(block_network, "stage_1", "logits").explain(
            volume[None], np.ones(1, int)
        )
        np.testing.assert_allclose(map_, found / found.max(), atol=2e-3)


def test_a_true_map_of_a_volume_is_faithful_and_the_same_map_elsewhere_is_not() -> None:
    volume = np.random.default_rng(0).integers(0, 60, (10, 12, 20, 1), np.uint8)
    volume[BALL] = 250
    true = np.zeros((10, 12, 20), np.float32)
    true[BALL] = 1
    moved = move_map(true, np.random.default_rng(1))
    scores = [measure_faithfulness(speaks_of_block, volume, values, 1).score for values in (true, moved)]
    assert scores[0] > scores[1] + 0.1


def test_maps_are_resized_and_coarsened_without_losing_their_place() -> None:
    values = np.zeros((6, 8, 10), np.float32)
    values[1, 5, 7] = 1
    assert peak_of(resize_map(values, 12, 16, 20)) in {(z, y, x) for z in (2, 3) for y in (10, 11) for x in (14, 15)}
    coarse = coarsen(values)
    assert coarse.shape == (8, 8, 8)
    assert coarsen(np.ones((5, 9, 30), np.float32)) == pytest.approx(1)
    volume = (values * 255).astype(np.uint8)[..., None]
    assert 0 < blurred(volume).max() < 60


def test_supervoxels_follow_an_edge() -> None:
    volume = np.full((12, 12, 12, 1), 30, np.uint8)
    volume[:, :, 7:] = 220
    patches = superpixels(volume)
    assert set(np.unique(patches)) == set(range(patches.max() + 1))
    assert not set(np.unique(patches[..., :7])) & set(np.unique(patches[..., 7:]))


def test_air_around_a_body_is_outside_and_lungs_that_reach_the_last_frame_are_not() -> None:
    volume = np.zeros((6, 32, 32, 1), np.uint8)
    volume[:, 6:28, 4:28] = 200
    volume[:, 12:20, 8:12] = 0
    outside = outside_body(volume)
    assert outside[:, :6].all()
    assert not outside[:, 6:28, 4:28].any()


def test_only_what_a_layer_tells_is_waited_for_on_a_volume() -> None:
    assert [name for name, method in METHODS.items() if is_quick(method, volumes=True)] == [
        "grad_cam", "grad_cam_pp", "layer_cam",
    ]  # fmt: skip
    assert is_quick(METHODS["occlusion"], volumes=False)


def test_planes_are_drawn_in_millimetres_around_the_highest_frame(scan) -> None:
    case, pixels = scan()
    values = (pixels / 250).astype(np.float32)
    assert 4 <= peak_frame(values, 10) <= 7
    with Image.open(io.BytesIO(draw_planes(pixels, case, (Window("all", 127, 255),), values, 5))) as picture:
        drawn = np.asarray(picture)
    assert drawn.shape[1] == 512 + 8 + 252
    assert drawn.shape[0] == round(10 * 1.5 / 20 * 252) + 8 + 252  # 10 frames are longer than 12 rows
    marked = drawn[int(5 / 12 * 307), int(14 / 20 * 512)]
    assert marked.max() > 200  # the block under its colour
    assert drawn[20, 20].max() == 0


def test_planes_through_frames_that_are_unevenly_apart_are_drawn_pixel_by_pixel(scan) -> None:
    case, pixels = scan()
    values = (pixels / 250).astype(np.float32)
    uneven = replace(case, spacing_mm=(2.0, 2.0), slice_spacing_mm=None)
    even = replace(uneven, slice_spacing_mm=2.0)
    assert draw_planes(pixels, uneven, (), values, 5) == draw_planes(pixels, even, (), values, 5)
