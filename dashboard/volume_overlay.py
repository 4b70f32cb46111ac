"""A map over a volume outside the viewer: the frame that was chosen, and the planes through the volume's middle."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import streamlit as st

from core.explain.overlay import VIRIDIS
from core.explain.plane_pictures import draw_planes
from core.images.decoded import Window
from core.images.records import Case
from core.images.volumes import volume_window
from dashboard import places, session

PLANES = "on the right of each the planes through the middle row and the middle column"


def read_frame(case: Case) -> int:
    """The frame of the address, from 0, with a slider for it; the middle one at first."""
    asked = places.asked_number("frame")
    at = asked if asked and 1 <= asked <= case.frames else case.frames // 2 + 1
    key = f"explained_frame_{case.id}_{at}"
    chosen = st.slider(
        "Frame",
        1,
        case.frames,
        at,
        key=key,
        on_change=lambda: places.remember(frame=st.session_state[key]),
        label_visibility="collapsed",
        help=f"Frame of {case.frames}",
    )
    return int(chosen) - 1


def draw_frame(case: Case, values: np.ndarray, frame: int) -> bytes:
    """A PNG of a frame, from 0, with a map of 0 to 1 over it; the file is mapped and not read whole."""
    path = session.files().check("pixels", case.pixel_hash)
    volume = np.load(path, mmap_mode="r")
    windows = case.windows or ((_window(path),) if volume.ndim == 3 else ())
    return draw_planes(volume, case, windows, values, frame, ramp=VIRIDIS)


@lru_cache(maxsize=64)
def _window(path: Path) -> Window:
    """Files are named by their content, so what was found of one holds for ever."""
    return volume_window(np.load(path, mmap_mode="r"))
