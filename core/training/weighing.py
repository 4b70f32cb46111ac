"""About how many weights the parts have that residual networks share, counted without Keras.

A network's own file adds what it begins and ends with (`count_weights`).
"""

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.training.recipe import Recipe

HALVED = 2  # of each axis, from one stage to the next


def weigh_stages(recipe: "Recipe", axes: int, before: int) -> int:
    """Those of the residual blocks of all stages, down.

    Args:
        axes: of a convolution, 2 or 3.
        before: channels of the first block's input.
    """
    window, weights = recipe.kernel_size**axes, 0
    for filters in recipe.filters:
        weights += (window * (before + filters) + before) * filters  # the first block, with its short cut
        weights += (recipe.blocks - 1) * 2 * window * filters**2
        before = filters
    return weights


def weigh_way_up(recipe: "Recipe", axes: int) -> int:
    """Those of the way up again with a bridge and one block at each size; `axes` as above."""
    window, weights = recipe.kernel_size**axes, 0
    for filters, below in pairwise(recipe.filters):
        weights += HALVED**axes * below * filters  # doubled
        weights += (window * 3 + 2) * filters**2  # and bridged
    return weights
