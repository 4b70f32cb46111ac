"""The viewer's Python side, and that its built bundle is of the source there is."""

import hashlib
import json
from typing import Any

import numpy as np
import pytest

from core.images.render import Window, display_window, to_uint8
from core.settings import PROJECT_ROOT
from dashboard.viewer import BUILD, HEAT_COLOURS, _settle_place, _unseen

FRONTEND = PROJECT_ROOT / "frontend"
FACTS = json.loads((BUILD / "build.json").read_text("utf-8"))
LEVELS = FRONTEND / "tests" / "levels.json"
KINDS = {"u1": np.uint8, "i2": np.int16, "u2": np.uint16, "f4": np.float32}


def test_the_bundle_is_built_of_this_source() -> None:
    """Mend with `cd frontend && npm ci && npm run build`."""
    digest = hashlib.sha256()
    sources = (path for path in (FRONTEND / "src").rglob("*") if path.is_file())
    names = [path.relative_to(FRONTEND).as_posix() for path in sources] + ["package-lock.json", "vite.config.js"]
    for name in sorted(names):
        digest.update(f"{name}\n".encode() + (FRONTEND / name).read_bytes())
    assert FACTS["source_sha256"] == digest.hexdigest()


def test_the_bundle_is_the_one_that_was_built_and_the_only_one() -> None:
    assert {path.name for path in BUILD.iterdir()} == {FACTS["bundle"], "build.json"}
    assert hashlib.sha256((BUILD / FACTS["bundle"]).read_bytes()).hexdigest() == FACTS["bundle_sha256"]


def test_the_bundle_asks_nobody_else_for_anything() -> None:
    text = (BUILD / FACTS["bundle"]).read_text("utf-8")
    assert "http://" not in text
    assert "https://" not in text


def test_the_colours_of_an_address_are_those_of_the_viewer() -> None:
    offered = (FRONTEND / "src" / "heatcontrols.js").read_text("utf-8").split("HEAT_MAPS = ", 1)[1].split("]", 1)[0]
    assert tuple(json.loads(f"{offered}]")) == HEAT_COLOURS


def test_the_lock_names_no_host() -> None:
    assert "resolved" not in (FRONTEND / "package-lock.json").read_text("utf-8")


def make_levels() -> list[dict[str, Any]]:
    """Images and what is seen of them; `python -m tests.dashboard.test_viewer` writes them for Vitest."""
    random = np.random.default_rng(0)
    rising = tuple((10 + at % 7, level) for at, level in enumerate(range(3, 256)))
    falling = tuple((entries, 255 - level) for entries, level in rising)
    cases: list[tuple[str, str, np.ndarray, Window | None, bool]] = [
        ("8 bit", "u1", np.arange(256), Window("", 127.5, 255), False),
        ("8 bit, narrow", "u1", np.arange(256), Window("", 100, 31), False),
        ("halves round to even", "u1", np.arange(256), Window("", 51, 102), False),
        ("signed, a lung window", "i2", np.arange(-1400, 300, 7), Window("", -600, 1500), False),
        ("16 bit, MONOCHROME1", "u2", np.arange(0, 65536, 257), Window("", 30000, 40001), True),
        ("real numbers below one", "f4", np.linspace(-0.2, 1.2, 101), Window("", 0.5, 0.8), False),
        ("16 bit, by its own values", "u2", random.integers(100, 60000, 4000), None, False),
        ("signed, by its own values", "i2", random.normal(0, 300, 4000).round(), None, False),
        ("real numbers, by their own values", "f4", random.normal(0, 30, 4000), None, True),
        ("constant", "i2", np.full(5, 7), None, False),
        ("a sigmoid", "i2", np.arange(-2000, 2000, 7), Window("", 40, 400.5, "sigmoid"), False),
        ("a sigmoid, MONOCHROME1", "u2", np.arange(0, 65536, 131), Window("", 30000, 9000, "sigmoid"), True),
        ("a narrow sigmoid of real numbers", "f4", random.normal(0, 30, 1000), Window("", 0.3, 0.7, "sigmoid"), False),
        ("a table", "u2", np.arange(0, 4096, 3), Window("", 1800, 3285, rising), False),
        ("a table of bytes, from below zero", "i2", np.arange(-9, 9), Window("", 0, 6, ((5, 7), (1, 200))), False),
        ("a table from white to black, MONOCHROME1", "u1", np.arange(256), Window("", 128, 256, falling), True),
        ("a stretched table of real numbers", "f4", random.normal(0, 30, 1000), Window("", 3.3, 77.7, rising), False),
        ("a table that goes up and down", "i2", np.arange(-4, 9), Window("", 2, 7, ((3, 9), (2, 250), (2, 0))), True),
    ]
    made = []
    for name, kind, values, given, inverted in cases:
        pixels = values.astype(KINDS[kind]).reshape(1, -1)
        window = given or display_window(pixels)
        seen = to_uint8(pixels, "MONOCHROME1" if inverted else "MONOCHROME2", (window,))
        facts = {key: value for key, value in json.loads(json.dumps(window.to_json())).items() if key != "name"}
        made.append(
            {
                "name": name,
                "kind": kind,
                "values": pixels[0].tolist(),
                "window": facts,
                "inverted": inverted,
                "expected": seen[0].tolist(),
                "auto": None if given else facts,
            }
        )
    return made


def test_the_viewers_tests_expect_what_the_models_see() -> None:
    assert json.loads(LEVELS.read_text("utf-8")) == make_levels()


def place(**known: Any) -> dict[str, Any]:
    return {"given": 0, "index": 0, "outbox": "", "seen": 0, "went": []} | known


def batch(outbox: str, *numbers: int) -> dict[str, Any]:
    return {"outbox": outbox, "events": [{"number": number} for number in numbers]}


def test_a_repeated_event_is_handled_once() -> None:
    held = place()
    assert [event["number"] for event in _unseen(held, batch("a", 1, 2))] == [1, 2]
    assert [event["number"] for event in _unseen(held, batch("a", 1, 2, 3))] == [3]
    assert held["seen"] == 3


def test_a_page_that_was_loaded_anew_counts_from_one_again() -> None:
    held = place(outbox="old", seen=9)
    assert [event["number"] for event in _unseen(held, batch("new", 1))] == [1]
    assert (held["outbox"], held["seen"]) == ("new", 1)


@pytest.mark.parametrize("said", [{}, {"outbox": "a", "events": []}])
def test_an_empty_batch_is_nothing_new(said: dict[str, Any]) -> None:
    assert _unseen(place(outbox="a", seen=4), said) == []


def test_an_address_that_lags_behind_does_not_pull_the_reader_back() -> None:
    held = place(given=1, index=3, went=[11, 12, 13])
    _settle_place(held, [10, 11, 12, 13, 14], 2)
    assert (held["given"], held["index"]) == (2, 3)


def test_a_case_that_python_asks_for_is_gone_to() -> None:
    held = place(given=1, index=3, went=[11, 12, 13])
    _settle_place(held, [10, 11, 12, 13, 14], 4)
    assert (held["given"], held["index"]) == (4, 4)


if __name__ == "__main__":
    LEVELS.write_text(json.dumps(make_levels()) + "\n", "utf-8")
