"""What a recipe leaves to the training cases, settled before anything is prepared: spacing, scale and window.

Both hang on the training cases alone, so validation and test say nothing of how images are seen.
"""

import math
import sqlite3
import statistics
from collections.abc import Sequence

import numpy as np

from core.datasets.loading import HasCase, in_batches
from core.datasets.records import SnapshotCase
from core.datasets.scales import measure_scales
from core.datasets.volumes import median_spacing
from core.images.frames import case_pixels
from core.images.records import get_cases
from core.images.render import NARROWEST_WIDTH, SCALED, TRAINING_SET, InputSpec, demand_spacing
from core.images.volume_input import PatchSpec, Spec
from core.progress import Progress, stop_if_asked
from core.store.files import Files
from core.training.networks import input_of
from core.training.recipe import Recipe, change_recipe

DEVIATIONS = 6  # three on either side of the mean become black and white: of a bell of values all but 0.3 %
DIGITS = 6  # of a measured window: as many as the screens show, so that typed in again it is the same


def settle_input(
    connection: sqlite3.Connection, files: Files, recipe: Recipe, train: Sequence[SnapshotCase], progress: Progress
) -> Recipe:
    """The recipe with the spacing, the scale and the window that it leaves to the training cases.

    Raises:
        InvalidInput: images are to be brought to one scale, and none tells its own.
        NotFound: the pixels of a case are gone.
        Stopped: somebody asked to stop.
    """
    recipe = settle_scale(connection, settle_spacing(connection, recipe, train), train)
    if recipe.window != TRAINING_SET or any(recipe.window_values):
        return recipe
    return change_recipe(recipe, {"window_values": measure_window(connection, files, train, progress)})


def settle_spacing(connection: sqlite3.Connection, recipe: Recipe, train: Sequence[SnapshotCase]) -> Recipe:
    """The recipe with the spacing that 0, 0, 0 stands for: the median of the training volumes."""
    if not isinstance(input_of(recipe), PatchSpec) or all(recipe.spacing_mm):
        return recipe
    cases = get_cases(connection, [case.case_id for case in train])
    return change_recipe(recipe, {"spacing_mm": median_spacing(cases)})


def settle_scale(connection: sqlite3.Connection, recipe: Recipe, train: Sequence[SnapshotCase]) -> Recipe:
    """The recipe with the pixel size that 0 stands for (`core.datasets.scales`)."""
    spec = input_of(recipe)
    if not isinstance(spec, InputSpec) or spec.resize != SCALED or spec.pixel_mm is not None:
        return recipe
    scales = measure_scales(get_cases(connection, [case.case_id for case in train]))
    if scales is None:
        demand_spacing(spec, None)
    assert scales is not None
    return change_recipe(recipe, {"pixel_mm": scales.pixel_for(spec.size)})


def measure_proportions(connection: sqlite3.Connection, cases: Sequence[HasCase], spec: Spec) -> float:
    """Height to width of what is stretched into a square: one number for all, the median over the cases, in mm where
    they tell their pixel spacing. 1 where nothing is stretched, and for volumes, which are turned in three dimensions.

    One number, because a step takes images by the batch; in a collection of very different proportions the turns of
    some remain a little sheared.
    """
    if not isinstance(spec, InputSpec) or spec.resize != "stretch":
        return 1.0
    found = []
    for case in in_batches(connection, [case.case_id for case in cases]):
        down, across = case.spacing_mm or (1.0, 1.0)
        found.append(case.rows * down / (case.columns * across))
    return _rounded(statistics.median(found))


def measure_window(
    connection: sqlite3.Connection, files: Files, cases: Sequence[HasCase], progress: Progress
) -> tuple[float, float]:
    """Centre and width of the window of these cases, in their own values: the mean of all their pixels and `DEVIATIONS`
    times the standard deviation.

    Frame by frame, by the pairwise update of Chan et al. 1983 (doi:10.1080/00031305.1983.10483115), which loses no
    digits on large values and holds one case at a time.

    Raises:
        NotFound: the pixels of a case are gone.
        Stopped: somebody asked to stop.
    """
    n, mean, squares = 0, 0.0, 0.0
    for at, case in enumerate(in_batches(connection, [case.case_id for case in cases])):
        stop_if_asked(progress)
        pixels = case_pixels(files, case)
        for frame in pixels if case.frames > 1 else pixels[np.newaxis]:
            values = frame.astype(np.float64)
            apart, both = float(values.mean()) - mean, n + values.size
            squares += float(values.var()) * values.size + apart**2 * n * values.size / both
            mean, n = mean + apart * values.size / both, both
        # the same part of the bar is taken by the images next, and a bar does not go back
        progress.report(0.0, f"measuring the window, {at + 1} of {len(cases)}")
    width = DEVIATIONS * math.sqrt(squares / n)
    return _rounded(mean), max(_rounded(width), NARROWEST_WIDTH)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
