"""Colours on a dark page and on a light one: contrast as WCAG counts it, and the class colours made to fit.

The themes themselves are in `.streamlit/config.toml`, the colours of our own HTML in `assets/readroom.css`.
"""

import colorsys
from collections.abc import Iterable, Sequence

import streamlit as st

from core.projects.schema import COLOURS

DARK_GROUND, LIGHT_GROUND = "#0e1116", "#ffffff"
# Text, as `textColor` of the themes: for pictures, which cannot look it up.
INK = {"light": "#17202b", "dark": "#d6dee8"}
# Text that steps back, as `--rr-quiet` in the sheet.
QUIET = {"light": "#55616f", "dark": "#98a4b1"}
# What WCAG AA asks of lines, marks and the edges of controls; of text it asks 4.5.
MARK_CONTRAST = 3.0


def is_light() -> bool:
    """Whether this browser shows the light theme; what does not say counts as dark."""
    return st.context.theme.type == "light"


def series_colours(*, light: bool) -> list[str]:
    """The ten colours of charts and classes, each readable on its ground."""
    return [on_ground(colour, light=light) for colour in COLOURS]


def on_ground(colour: str, *, light: bool) -> str:
    """A class's colour as a line or mark: its own hue, darker on a light page where it would be too pale.

    The dark page is where class colours were chosen; there they stay, unless a project brought a very dark one.
    """
    ground = LIGHT_GROUND if light else DARK_GROUND
    hue, lightness, saturation = colorsys.rgb_to_hls(*_channels(colour))
    found = colour
    while contrast(found, ground) < MARK_CONTRAST:
        lightness += -0.01 if light else 0.01
        found = _hex(colorsys.hls_to_rgb(hue, lightness, saturation))
    return found


def between(shades: Sequence[str], share: float) -> str:
    """The colour at a share, 0 to 1, of a scale of evenly spaced shades, mixed as Plotly mixes."""
    place = share * (len(shades) - 1)
    below = min(int(place), len(shades) - 2)
    low, high = _channels(shades[below]), _channels(shades[below + 1])
    return _hex(tuple(a + (place - below) * (b - a) for a, b in zip(low, high, strict=True)))


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio of two colours, 1 to 21."""
    lower, higher = sorted((_luminance(one), _luminance(other)))
    return (higher + 0.05) / (lower + 0.05)


def _luminance(colour: str) -> float:
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in _channels(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def _channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def _hex(channels: Iterable[float]) -> str:
    return "#" + "".join(f"{round(255 * min(1.0, max(0.0, part))):02x}" for part in channels)
