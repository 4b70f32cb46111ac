"""The colours: readable by WCAG AA in both themes, and the same wherever they are written down."""

import re
import tomllib
from pathlib import Path

import pytest

from core.projects.schema import COLOURS
from core.settings import PROJECT_ROOT
from dashboard import theme
from dashboard.charts import DARK_SHADES, LIGHT_SHADES, _ink
from dashboard.theme_switch import page_names

TEXT, MARK = 4.5, theme.MARK_CONTRAST
THEMES = ("light", "dark")
SHEET = PROJECT_ROOT / "dashboard" / "assets" / "readroom.css"
PLAIN = PROJECT_ROOT / "dashboard" / "routes" / "plain.html"
VIEWER = PROJECT_ROOT / "frontend" / "src" / "viewer.css"
CONFIG = tomllib.loads((PROJECT_ROOT / ".streamlit" / "config.toml").read_text("utf-8"))["theme"]


def tokens(sheet: Path, which: str) -> dict[str, str]:
    """`--rr-quiet: light-dark(#..., #...)` as {"quiet": its colour in one theme}."""
    pairs = re.findall(r"--(?:rr-)?([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", sheet.read_text("utf-8"))
    return {name: (light, dark)[THEMES.index(which)] for name, light, dark in pairs}


def grounds(which: str) -> list[str]:
    own = CONFIG[which]
    return [own["backgroundColor"], own["secondaryBackgroundColor"], own["sidebar"]["backgroundColor"]]


def test_contrast_is_counted_as_wcag_does() -> None:
    assert theme.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert theme.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the well-known near miss
    assert theme.contrast("#56b4e9", "#56b4e9") == 1


@pytest.mark.parametrize("which", THEMES)
def test_every_word_is_readable_on_every_ground(which: str) -> None:
    words = {key: CONFIG[which][key] for key in ("textColor", "linkColor", "codeTextColor", "dataframeHeaderTextColor")}
    words |= {name: tokens(SHEET, which)[name] for name in ("quiet", "accent", "link", "bad", "good")}
    faults = [(n, w, g) for n, w in words.items() for g in grounds(which) if theme.contrast(w, g) < TEXT]
    assert faults == []
    assert theme.contrast(tokens(SHEET, which)["on-accent"], CONFIG[which]["primaryColor"]) >= TEXT
    assert tokens(SHEET, which)["text"] == CONFIG[which]["textColor"]


@pytest.mark.parametrize("which", THEMES)
def test_the_edges_of_controls_and_the_ring_of_focus_are_seen(which: str) -> None:
    marks = {name: tokens(SHEET, which)[name] for name in ("control", "accent", "idle")}
    faults = [(n, m, g) for n, m in marks.items() for g in grounds(which) if theme.contrast(m, g) < MARK]
    assert faults == []


@pytest.mark.parametrize("which", THEMES)
def test_the_viewer_around_the_image_is_readable(which: str) -> None:
    own = tokens(VIEWER, which)
    on = [own["ground"], own["panel"], own["raised"], own["hover"]]
    words = {name: own[name] for name in ("text", "quiet")}
    assert [(n, w, g) for n, w in words.items() for g in on if theme.contrast(w, g) < TEXT] == []
    states = {name: own[name] for name in ("bad", "good", "news", "link")}  # these stand in the top bar
    assert [(n, w) for n, w in states.items() if theme.contrast(w, own["panel"]) < TEXT] == []
    assert theme.contrast(own["control"], own["panel"]) >= MARK
    assert theme.contrast(own["accent"], own["panel"]) >= MARK


@pytest.mark.parametrize("which", THEMES)
def test_the_sign_in_page_is_readable(which: str) -> None:
    own = tokens(PLAIN, which)
    on = [own["ground"], own["panel"]]
    words = {name: own[name] for name in ("text", "quiet", "link", "bad")}
    assert [(n, w, g) for n, w in words.items() for g in on if theme.contrast(w, g) < TEXT] == []
    assert theme.contrast(own["on-accent"], own["accent"]) >= TEXT
    assert min(theme.contrast(own["control"], ground) for ground in on) >= MARK


@pytest.mark.parametrize("which", THEMES)
def test_a_colour_of_one_name_is_the_same_everywhere(which: str) -> None:
    sheet = tokens(SHEET, which)
    for other in (PLAIN, VIEWER):
        shared = {name: colour for name, colour in tokens(other, which).items() if name in sheet}
        assert shared == {name: sheet[name] for name in shared}
        assert {"quiet", "accent", "line", "control", "bad"} <= set(shared)
    assert theme.QUIET[which] == sheet["quiet"]
    own = CONFIG[which]
    assert sheet["accent"] == own["primaryColor"]
    assert sheet["link"] == own["linkColor"]
    assert sheet["line"] == own["borderColor"]
    assert sheet["quiet"] == own["dataframeHeaderTextColor"]
    assert own["backgroundColor"] == (theme.LIGHT_GROUND if which == "light" else theme.DARK_GROUND)


@pytest.mark.parametrize("which", THEMES)
def test_charts_have_ten_colours_that_stand_out_from_the_page(which: str) -> None:
    colours = theme.series_colours(light=which == "light")
    assert len(set(colours)) == 10
    assert CONFIG[which]["chartCategoricalColors"] == colours
    assert [c for c in colours if theme.contrast(c, CONFIG[which]["backgroundColor"]) < MARK] == []


def test_a_class_keeps_its_colour_where_it_can_be_seen_already() -> None:
    assert theme.series_colours(light=False) == list(COLOURS)
    assert theme.on_ground("#0072b2", light=True) == "#0072b2"
    assert theme.on_ground("#f0e442", light=True) != "#f0e442"
    assert theme.contrast(theme.on_ground("#000000", light=False), theme.DARK_GROUND) >= MARK


@pytest.mark.parametrize("shades", [LIGHT_SHADES, DARK_SHADES])
def test_the_number_in_a_cell_of_the_confusion_matrix_is_readable_at_every_share(shades: list[str]) -> None:
    for percent in range(101):
        shade = theme.between(shades, percent / 100)
        assert theme.contrast(_ink(percent / 100, shades), shade) >= TEXT


def test_a_scale_is_mixed_between_its_shades() -> None:
    assert theme.between(["#000000", "#ff0000"], 0.5) == "#800000"
    assert theme.between(["#000000", "#ff0000", "#00ff00"], 1.0) == "#00ff00"


def test_dark_is_what_a_browser_gets_that_never_chose() -> None:
    script = (PROJECT_ROOT / "dashboard" / "assets" / "theme.js").read_text("utf-8")
    assert '=== "light" ? "light" : "dark"' in script


def test_the_choice_is_written_down_for_every_page() -> None:
    files = {path.stem for path in (PROJECT_ROOT / "pages").glob("*.py")}
    assert set(page_names()) == (files - {"projects"}) | {""}


def test_no_style_reaches_for_a_font_of_another_host() -> None:
    for sheet in (SHEET, PLAIN, VIEWER, *SHEET.parent.glob("*.css")):
        assert not re.search(r"@import|https?://(?!www\.w3\.org)", sheet.read_text("utf-8"))
