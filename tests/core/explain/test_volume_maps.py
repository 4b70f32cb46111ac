"""Maps of volumes: on the volume's own grid, where what they show is, and by methods that only ask."""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from core.explain.body import outside_body
from core.explain.building import build_asking
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
