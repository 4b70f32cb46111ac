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
from dashboard import session

PLANES = "on the right of each the planes through the middle row and the middle column"


def read_frame(case: Case, first: int | None = None) -> int:
    """The frame that a slider stands on, from 0; at first `first`, from 1, or the middle one."""
    at = first or case.frames // 2 + 1
    key = f"explained_frame_{case.id}_{at}"
    return int(st.slider(f"Frame of {case.frames}", 1, case.frames, at, key=key)) - 1


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
