"""How good a model's drawn images are: a judge looks at them and at the real ones of a split, and each is held against
the training images, lest the model has learnt some by heart.
"""

import base64
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.datasets.loading import PreparedImages, prepare_images
from core.datasets.records import SnapshotCase
from core.measures.drawing import Seen, are_copies, close_limit, nearest_of
from core.progress import Portion, Progress, Silent
from core.projects.schema import Generation
from core.store.files import Files
from core.tasks.generation import encode_targets
from core.training.drawn import draw_with
from core.training.ensemble import runs_learnt
from core.training.records import Model
from core.training.request import cases_of_run
from core.training.samples import png_of
from core.training.stored import image_spec

if TYPE_CHECKING:
    from core.training.judge import Judge

MOST_DRAWN = 1000
MOST_COMPARED = 3000  # training images whose nearest is looked for, to know how close real ones lie
SHOWN = 12  # pairs of a drawn image and its nearest training image
SEED = 0
JUDGE_READY, DRAWN = 0.45, 0.8  # shares of the progress bar
# Which axes of `(n, rows, columns, channels)` are turned round in an image as some flip of a recipe may show it.
SHOWN_AS: dict[str, tuple[tuple[int, ...], ...]] = {
    "none": ((),),
    "left-right": ((), (2,)),
    "up-down": ((), (1,)),
    "both": ((), (2,), (1,), (1, 2)),
}


def look_at_drawn(
    connection: sqlite3.Connection,
    files: Files,
    model: Model,
    schema: Generation,
    cases: Sequence[SnapshotCase],
    progress: Progress,
) -> tuple[Seen, Seen, dict[str, Any]]:
    """What the judge sees in the real images of some cases, and in as many drawn for the same class, sex and age.

    The training images are those of the models that this one goes on from, too. Where training mirrored images, the
    mirror image of one is as close to it as the image itself; of real images and between training images likewise.

    Returns:
        Both, and what a result keeps beside its numbers: `judge`, `limits` (distances below which an image counts as
        close), `n_training`, `mirrored` (how training may have mirrored images, as a recipe's `flip`), and `pairs`, the
        drawn images that lie closest and some others, each with its nearest training case.
    """
    from core.training.judge import find_judge

    judge = find_judge(connection, files, model, Portion(progress, 0.0, JUDGE_READY))
    conditions = encode_targets(schema, [case.value for case in cases])
    asked = conditions[np.unique(np.linspace(0, len(cases) - 1, min(len(cases), MOST_DRAWN)).astype(int))]
    drawn = draw_with(connection, files, model, asked, Portion(progress, JUDGE_READY, DRAWN), seed=SEED)
    runs = [run for run in runs_learnt(connection, model) if run.project == model.project]
    learnt = [cases_of_run(connection, run)[0] for run in runs]  # its own first
    train = list({case.case_id: case for some in learnt for case in some}.values())
    flip = _flip_of(run.recipe.flip for run in runs)
    spec, told = image_spec(model), Portion(progress, DRAWN, 1.0)
    known = prepare_images(connection, files, train, spec, Portion(told, 0.0, 0.2))
    real = prepare_images(connection, files, cases, spec, Portion(told, 0.2, 0.3))
    shares = ((known, 0.3, 0.6), (real, 0.8, 0.9), (drawn, 0.9, 1.0))
    features, classes = zip(*(judge.look(one, Portion(told, begin, end)) for one, begin, end in shares), strict=True)
    ways = SHOWN_AS[flip]
    between = _Between(judge, _flat(known), features[0], ways)
    patients = np.unique([case.patient for case in train], return_inverse=True)[1]
    some = np.unique(np.linspace(0, len(train) - 1, min(len(train), MOST_COMPARED)).astype(int))
    apart = between.nearest(known.read(some), features[0][some], Portion(told, 0.6, 0.8), (patients[some], patients))
    copies = are_copies(apart["pixels"][0], between.known_pixels.shape[1])
    limits = {kind: close_limit(distances, copies) for kind, (distances, _) in apart.items()}
    near = [
        between.nearest(images, found, Silent())
        for images, found in ((real.read(range(len(cases))), features[1]), (drawn, features[2]))
    ]
    seen = [
        Seen(features[at], classes[at] == wanted[:, : len(schema.names)].argmax(axis=1),
             close["pixels"][0] < limits["pixels"], close["features"][0] < limits["features"],
             comparable=all(limits.values()))
        for at, wanted, close in ((1, conditions, near[0]), (2, asked, near[1]))
    ]  # fmt: skip
    pairs = _pairs(schema, asked, drawn, near[1], seen[1], [case.case_id for case in train])
    facts = {"network": judge.recipe.network, "input_size": judge.recipe.input_size, "trained_on": len(learnt[0])}
    beside = {"judge": facts, "limits": limits, "n_training": len(train), "mirrored": flip, "pairs": pairs}
    return seen[0], seen[1], beside


def _flip_of(flips: Iterable[str]) -> str:
    """The one that mirrors as all of them do."""
    found = set(flips) - {"none"}
    return "both" if len(found) > 1 else next(iter(found), "none")


def _flat(images: PreparedImages | np.ndarray) -> np.ndarray:
    """Grey values from 0 to 1 as rows of a matrix, float32 `(n, pixels)`."""
    pixels = images.read(range(len(images.case_ids))) if isinstance(images, PreparedImages) else images
    return pixels.reshape(len(pixels), -1).astype(np.float32) / 255


@dataclass(frozen=True)
class _Between:
    """Distances to the training images, of which pixels `(m, pixels)` and features `(m, d)` are `known_*`.

    Mirrored is what is asked about and not what is known: of pixels that is the same, of features nearly, and there are
    fewer of them.
    """

    judge: "Judge"
    known_pixels: np.ndarray
    known_features: np.ndarray
    ways: tuple[tuple[int, ...], ...]

    def nearest(
        self,
        images: np.ndarray,
        features: np.ndarray,
        progress: Progress,
        keys: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """By `pixels` and by `features` the distance of each image to the nearest training image, and its place.

        Args:
            images: uint8 `(n, rows, columns, channels)`, of which the judge sees `features`.
            keys: as of `nearest_of`.
        """
        found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"pixels": [], "features": []}
        for at, axes in enumerate(self.ways):
            shown, part = np.flip(images, axes), Portion(progress, at / len(self.ways), (at + 1) / len(self.ways))
            looked = self.judge.look(shown, part)[0] if axes else features
            found["pixels"].append(nearest_of(_flat(shown), self.known_pixels, keys))
            found["features"].append(nearest_of(looked, self.known_features, keys))
        return {kind: _nearest_way(ways) for kind, ways in found.items()}


def _nearest_way(ways: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    distances, places = (np.stack(parts) for parts in zip(*ways, strict=True))
    best = distances.argmin(axis=0)[None]
    return np.take_along_axis(distances, best, 0)[0], np.take_along_axis(places, best, 0)[0]


def _pairs(
    schema: Generation,
    asked: np.ndarray,
    drawn: np.ndarray,
    near: dict[str, tuple[np.ndarray, np.ndarray]],
    seen: Seen,
    case_ids: Sequence[int],
) -> list[dict[str, Any]]:
    """The drawn images that lie closest by pixels, then others evenly from all of them."""
    closest = np.argsort(near["pixels"][0], kind="stable")[:SHOWN]
    rest = np.setdiff1d(np.linspace(0, len(drawn) - 1, min(len(drawn), SHOWN)).astype(int), closest)
    return [
        {
            "place": int(at),
            "closest": bool(at in closest),
            "class": schema.names[int(asked[at, : len(schema.names)].argmax())],
            "right": bool(seen.right[at]),
            "case": case_ids[near["pixels"][1][at]],
            "case_by_features": case_ids[near["features"][1][at]],
            "pixel_distance": float(near["pixels"][0][at]),
            "feature_distance": float(near["features"][0][at]),
            "memorised": bool(seen.close_pixels[at] and seen.close_features[at]),
            "png": base64.b64encode(png_of(drawn[at], {})).decode(),
        }
        for at in (*closest, *rest)
    ]
