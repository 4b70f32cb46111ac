"""Both renderers draw what NumPy computes, to the pixel: on a page of their own, without the service.

WebGL2 runs in software here (SwiftShader); the arithmetic under test is the same on a graphics card.
"""

import base64
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Playwright

from bench.chromium import FLAGS, WAIT_MS, find_chromium
from core.images.decoded import Curve, Pixels, Window
from core.images.render import apply_window, to_uint8
from core.settings import PROJECT_ROOT

GL_FLAGS = [flag for flag in FLAGS if flag != "--disable-gpu"]
GL_FLAGS += ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
RENDERERS = ["canvas", "gl"]
ROWS, COLUMNS = 37, 52
Shown = tuple[float, float] | tuple[float, float, Curve]  # centre and width of a window, and its curve


class _Files(SimpleHTTPRequestHandler):
    def translate_path(self, path: str) -> str:
        return str(Path(__file__).with_name("renderers.html")) if path == "/" else super().translate_path(path)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def page(playwright: Playwright) -> Iterator[Page]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(PROJECT_ROOT / "frontend")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = playwright.chromium.launch(executable_path=find_chromium(), args=GL_FLAGS)
    made = browser.new_page(viewport={"width": 1280, "height": 800})
    made.set_default_timeout(WAIT_MS)
    failures: list[str] = []
    made.on("pageerror", lambda error: failures.append(str(error)))
    made.goto(f"http://127.0.0.1:{server.server_port}/")
    made.wait_for_function("() => window.ready")
    yield made
    browser.close()
    server.shutdown()
    server.server_close()
    assert failures == []


def _told(pixels: Pixels, key: str) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode()
    return {"bytes": data, "shape": pixels.shape, "dtype": pixels.dtype.str[1:], "key": key}


def _draw(page: Page, renderer: str, pixels: Pixels, looks: Sequence[dict[str, Any]], key: str) -> list[Pixels]:
    words = [renderer, _told(pixels, key), list(looks)]
    text = page.evaluate("([renderer, picture, looks]) => drawAll(renderer, picture, looks)", words)
    data = np.frombuffer(base64.b64decode(text), np.uint8)
    sizes = [look["size"] for look in looks]
    ends = np.cumsum([3 * width * height for width, height in sizes])[:-1]
    return [part.reshape(height, width, 3) for part, (width, height) in zip(np.split(data, ends), sizes, strict=True)]


def _turned(seen: Pixels, look: dict[str, Any]) -> Pixels:
    """Quarter turns clockwise, then flips of what is seen."""
    seen = np.rot90(seen, -look["turns"])
    seen = seen[:, ::-1] if look["flipX"] else seen
    return seen[::-1] if look["flipY"] else seen


def _every_look(windows: Sequence[Shown], rows: int, columns: int) -> list[dict[str, Any]]:
    return [
        {
            "window": {"centre": centre, "width": width, "curve": curve[0] if curve else None},
            "turns": turns,
            "flipX": flip_x,
            "flipY": flip_y,
            "inverted": inverted,
            "size": [rows, columns] if turns % 2 else [columns, rows],
        }
        for (centre, width, *curve), turns, flip_x, flip_y, inverted in product(
            windows, range(4), (False, True), (False, True), (False, True)
        )
    ]


def _steps(windows: Sequence[tuple[float, float]]) -> Pixels:
    """Singles right at, below and above where each grey level begins: what rounds differently shows here."""
    edges = np.concatenate(
        [(centre - width / 2) + width * (np.arange(256) - 0.5) / 255 for centre, width in windows]
    ).astype(np.float32)
    near = np.concatenate([edges, np.nextafter(edges, np.float32(-np.inf)), np.nextafter(edges, np.float32(np.inf))])
    return np.resize(near, (48, 64))


def _pictures() -> dict[str, tuple[Pixels, Sequence[Shown]]]:
    rng = np.random.default_rng(4)
    table = tuple((3 + at % 5, level) for at, level in enumerate((*range(0, 250), *range(255, 90, -3))))
    curves: list[Shown] = [(12.5, 333.7, "sigmoid"), (0, 1500, table), (70, 700.5, table[::-1])]
    shape = (ROWS, COLUMNS)
    narrow = [(0.25, 0.5), (70.0, 1.0), (3.1, 1e-6)]
    fine = [(0.4, 0.83), (-700.0, 1500.0), (33.3, 80.7)]
    return {
        "uint8": (rng.integers(0, 256, shape, np.uint8), [(127.5, 255), (100, 60), (70.2, 0.7)]),
        "int16": (rng.integers(-1200, 3000, shape, np.int16), [(40, 400), (-600, 1500), (480.5, 2501.3)]),
        "int16 at its limits": (rng.integers(-32768, 32768, shape, np.int16), [(0, 65535), *narrow]),
        "uint16": (rng.integers(0, 65536, shape, np.uint16), [(32767.5, 65535), (2048, 4095), (60000, 3)]),
        "float32": (rng.normal(0, 500, shape).astype(np.float32), [(0, 2000), (12.5, 33.7), (0, 0.01)]),
        "float32 at the steps": (_steps(fine), fine),
        "uint8 by curves": (rng.integers(0, 256, shape, np.uint8), curves),
        "int16 by curves": (rng.integers(-1200, 3000, shape, np.int16), curves),
        "float32 by curves": (rng.normal(0, 500, shape).astype(np.float32), curves),
        "RGB of uint8": (rng.integers(0, 256, (*shape, 3), np.uint8), [(127.5, 255), (90, 100)]),
        "RGB of uint16": (rng.integers(0, 65536, (*shape, 3), np.uint16), [(32767.5, 65535)]),
    }


PICTURES = _pictures()


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("name", PICTURES)
def test_every_window_turn_flip_and_inversion_is_numpys_to_the_pixel(page: Page, renderer: str, name: str) -> None:
    pixels, windows = PICTURES[name]
    looks = _every_look(windows, *pixels.shape[:2])
    for look, seen in zip(looks, _draw(page, renderer, pixels, looks, name), strict=True):
        centre, width, curve = (look["window"][word] for word in ("centre", "width", "curve"))
        if pixels.ndim == 2:
            photometric = "MONOCHROME1" if look["inverted"] else "MONOCHROME2"
            grey = to_uint8(pixels, photometric, [Window("", centre, width, curve)])
            expected = np.repeat(grey[..., None], 3, axis=2)
        else:
            expected = np.rint(apply_window(pixels, centre, width) * 255).astype(np.uint8)
            expected = np.invert(expected) if look["inverted"] else expected
        np.testing.assert_array_equal(seen, _turned(expected, look), err_msg=str(look))


def test_colour_maps_are_the_same_in_both_renderers_and_follow_the_window(page: Page) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    maps = ["viridis", "cividis", "magma", "inferno", "plasma", "hot", "grey"]
    window = {"centre": 127.5, "width": 255}
    looks = [{"window": window, "size": [16, 16], "colourMap": name, "inverted": False} for name in maps]
    looks += [{**look, "inverted": True} for look in looks]
    drawn = [_draw(page, renderer, pixels, looks, "ramp") for renderer in RENDERERS]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert drawn[0][0][0, 0].tolist() == [0x44, 0x01, 0x54]  # viridis begins so
    assert drawn[0][7][0, 0].tolist() == [0xFD, 0xE7, 0x25]  # and ends so
    for seen in drawn[0][:7]:  # brightness rises, so that any colour vision reads it
        luminance = seen.reshape(256, 3) @ [0.2126, 0.7152, 0.0722]
        assert np.all(np.diff(luminance) > -1)


@pytest.mark.parametrize("renderer", RENDERERS)
def test_crisp_pixels_are_squares_and_a_small_picture_is_an_average(page: Page, renderer: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (24, 32), np.uint8)
    window = {"centre": 127.5, "width": 255}
    zooms = [{"zoom": 3, "size": [96, 72]}, {"zoom": 0.5, "size": [16, 12]}]
    looks = [{"window": window, "inverted": False, **zoom} for zoom in zooms]
    crisp, half = _draw(page, renderer, pixels, looks, "noise")
    np.testing.assert_array_equal(crisp[..., 0], np.kron(pixels, np.ones((3, 3), np.uint8)))
    means = pixels.reshape(12, 2, 16, 2).mean(axis=(1, 3))
    assert np.abs(half[..., 0] - means).max() <= 0.5


def _looks_apart() -> list[dict[str, Any]]:
    """Zoomed, turned, flipped and moved, so that no pixel of the screen lies on an edge of the picture's."""
    views = [(1.9137, 0, False), (2.3731, 1, True), (0.7773, 2, False), (0.3191, 3, True), (5.1977, 0, True)]
    return [
        {"zoom": zoom, "turns": turns, "flipX": flip, "flipY": False, "panX": 3.37, "panY": -2.21, "size": [120, 90]}
        for zoom, turns, flip in views
    ]


def test_the_renderers_agree_where_pixels_are_smoothed_or_shrunk(page: Page) -> None:
    rng = np.random.default_rng(2)
    coarse = rng.integers(0, 4096, (10, 13)).astype(np.uint16)
    window = {"centre": 2048, "width": 4096}
    for name, pixels in {
        "grey": np.kron(coarse, np.ones((9, 9), np.uint16)),
        "colour": rng.integers(60, 180, (80, 95, 3), np.uint8),
    }.items():
        as_stored = window if pixels.ndim == 2 else {"centre": 127.5, "width": 255}
        looks = [{**look, "window": as_stored, "inverted": False, "smooth": True} for look in _looks_apart()]
        drawn = [_draw(page, renderer, pixels, looks, f"smooth {name}") for renderer in RENDERERS]
        for canvas, gl in zip(*drawn, strict=True):
            inner = np.abs(canvas.astype(int) - gl)[_inside(canvas) & _inside(gl)]
            # Canvas2D weighs neighbours in coarse steps: beside a jump from black to white that shows.
            assert inner.size > 300
            assert inner.max() <= 20
            assert inner.mean() < 2


def _inside(seen: Pixels) -> Pixels:
    """Away from the edge of the picture, which only one of the renderers softens."""
    lit = seen.any(axis=2)
    return lit & np.roll(lit, 2, 0) & np.roll(lit, -2, 0) & np.roll(lit, 2, 1) & np.roll(lit, -2, 1)


def _mask(values: Pixels, key: str, colour: str, fill: float, *, outline: bool) -> dict[str, Any]:
    told = _told(values.astype(np.uint8), "")
    return {
        "kind": "mask",
        "key": key,
        "version": 1,
        "values": told,
        "colour": colour,
        "fill": fill,
        "outline": outline,
    }


def _masks() -> list[dict[str, Any]]:
    y, x = np.mgrid[:40, :60]
    disc = (x - 25) ** 2 + (y - 18) ** 2 < 150
    stripes = (x > 20) & (x < 50) & (y > 10) & (y < 28) & ((x + y) % 7 > 0)
    corner = (x > 50) | (y > 34)
    return [
        _mask(disc, "disc", "#56b4e9", 0.4, outline=True),
        _mask(stripes, "stripes", "#e69f00", 0.55, outline=False),
        _mask(corner, "corner", "#009e73", 0, outline=True),
    ]


def test_masks_lie_on_the_same_pixels_in_both_renderers(page: Page) -> None:
    pixels = np.full((40, 60), 40, np.uint8)
    base = {"window": {"centre": 127.5, "width": 255}, "inverted": False}
    one_to_one = {"size": [60, 40], "turns": 0, "flipX": False, "flipY": False}
    looks = [{**base, **look} for look in [one_to_one, *_looks_apart()]]
    for masks in ([_masks()[0]], [_masks()[2]], _masks()):
        drawn = [_draw(page, name, pixels, [{**look, "layers": masks} for look in looks], "flat") for name in RENDERERS]
        plain = _draw(page, "canvas", pixels, looks, "flat")
        for canvas, gl, bare, look in zip(*drawn, plain, looks, strict=True):
            inside = _inside(bare) | (look is looks[0])
            difference = np.abs(canvas.astype(int) - gl).max(axis=2)[inside]
            assert difference.max() <= 2, look
            assert (canvas != bare).any() or look["zoom"] > 5  # there the corner is off the screen


def test_an_outline_is_the_masks_edge_and_a_fill_is_inside(page: Page) -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 20:50] = 1
    layers = [_mask(mask, "box", "#ff0000", 0.5, outline=True)]
    look = {"window": {"centre": 127.5, "width": 255}, "inverted": False, "size": [60, 40], "layers": layers}
    expected = np.zeros((40, 60, 3), np.uint8)
    expected[10:30, 20:50, 0] = 255
    expected[12:28, 22:48, 0] = 128  # two pixels of the screen belong to the line
    for renderer in RENDERERS:
        (seen,) = _draw(page, renderer, np.zeros((40, 60), np.uint8), [look], "black")
        assert np.abs(seen.astype(int) - expected).max() <= 1


def test_what_a_stroke_changed_is_drawn_as_if_all_were_drawn(page: Page) -> None:
    before = _masks()[0]
    after = np.frombuffer(base64.b64decode(before["values"]["bytes"]), np.uint8).reshape(40, 60).copy()
    after[5:17, 30:55] = 1
    after[15:20, 10:25] = 0
    stroke = {**before, "version": 2, "values": _told(after, ""), "dirty": [10, 5, 45, 15]}
    whole = {**stroke, "version": 1, "key": "fresh", "dirty": None}
    base = {"window": {"centre": 127.5, "width": 255}, "inverted": False}
    for renderer, look in product(RENDERERS, _looks_apart()):
        layers = [[before], [stroke], [whole]]
        steps = [{**base, **look, "layers": one} for one in layers]
        _, painted, fresh = _draw(page, renderer, np.full((40, 60), 40, np.uint8), steps, "flat")
        np.testing.assert_array_equal(painted, fresh, err_msg=str(look))


def test_heat_maps_agree_and_nothing_is_seen_below_their_threshold(page: Page) -> None:
    y, x = np.mgrid[:8, :12]
    heat = np.exp(-((x - 6) ** 2 + (y - 4) ** 2) / 9).astype(np.float32)
    layer = {
        "kind": "heat", "key": "heat", "version": 1, "values": _told(heat, ""), "opacity": 0.6, "colourMap": "inferno",
    }  # fmt: skip
    base = {"window": {"centre": 127.5, "width": 255}, "inverted": False}
    pixels = np.full((40, 60), 90, np.uint8)
    layers = [[{**layer, "threshold": 0.0}], [{**layer, "threshold": 0.5}], []]
    for look in _looks_apart():
        looks = [{**base, **look, "layers": one} for one in layers]
        canvas, gl = (_draw(page, renderer, pixels, looks, "flat and light") for renderer in RENDERERS)
        inside = _inside(canvas[2])
        for one, other in zip(canvas, gl, strict=True):
            # An edge of the threshold may fall one pixel of the screen to either side.
            difference = np.abs(one.astype(int) - other).max(axis=2)[inside]
            assert np.mean(difference <= 6) > 0.98
        changed = (canvas[1] != canvas[2]).any(axis=2)
        assert 0 < changed.sum() < 0.95 * (canvas[0] != canvas[2]).any(axis=2).sum()


def test_a_stroke_on_a_large_mask_touches_only_what_it_changed(page: Page) -> None:
    large = {"rows": 2048, "columns": 2048, "size": [1000, 760], "zoom": 0.9, "times": 5}
    stroke, whole = (
        page.evaluate("(asked) => pixelsWritten(asked)", {**large, "says": says}) for says in (True, False)
    )
    assert stroke[0] == whole[0] > 1000 * 760  # the picture and the mask, the first time
    assert all(30**2 < one < 50**2 for one in stroke[1:])
    assert all(one > 500 * 300 for one in whole[1:])


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_lost_context_ends_in_the_same_picture(page: Page, comes_back: bool) -> None:
    pixels, windows = PICTURES["int16"]
    centre, width = windows[0]
    layers = [_mask(np.ones((ROWS, COLUMNS)), "all", "#56b4e9", 0, outline=True)]
    look = {"window": {"centre": centre, "width": width}, "inverted": False, "size": [COLUMNS, ROWS], "layers": layers}
    told = page.evaluate("(words) => loseContext(...words)", [_told(pixels, "lost"), look, comes_back])
    assert told["after"] == told["before"]
    assert told["name"] == ("gl" if comes_back else "canvas")
    assert told["inPage"]


def test_a_graphics_card_made_of_software_is_left_alone(page: Page) -> None:
    assert page.evaluate("() => chosen()") == "canvas"
