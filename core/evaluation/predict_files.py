"""Predictions for files that were never imported; nothing of them is kept.

The slices of a series are put together by the importer's own code, so that a model sees what it would see of the case.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from core.errors import CoreError, InvalidInput, Stopped
from core.evaluation.painting import paint_file
from core.evaluation.predictor import Predictor, batch_of, open_predictor
from core.images.archives import OpenArchives
from core.images.attempts import Attempts
from core.images.decoded import DecodedImage
from core.images.decoding import decode
from core.images.frames import refuse_single, refuse_volume
from core.images.grids import is_uneven
from core.images.pseudonyms import load_secret
from core.images.render import InputSpec, model_input, refuse_window
from core.images.sources import SourceFile, cannot_read, folder_of
from core.images.time_points import numbered, part_of
from core.images.units import Unit, check_unit, find_units, read_unit
from core.images.volume_input import Spec, VolumeSpec, volume_input
from core.progress import Portion, Progress, stop_if_asked
from core.projects.schema import Regression, Segmentation
from core.settings import Settings
from core.store.files import Files
from core.store.growing import GrowingArray
from core.tasks import module_of, task_module
from core.tasks.regression import tell_numbers
from core.training.records import Model
from core.training.stored import learnt_singles

Made = TypeVar("Made")


def predict_files(
    files: Files, settings: Settings, model: Model, paths: Sequence[Path], progress: Progress, folder: Path
) -> dict[str, Any]:
    """One row per case, in order of path: a file, or the slices of a series; a folder stands for the files in it.

    Returns:
        `{"model", "engine", "cases", "predicted", "failed"}`; a case is `{"path", "classes": [...], "probabilities":
        {class: p}}`, `{"path", "value", "unit", "interval"}` (see `interval_around`), of several
        quantities `{"path", "numbers": [{"target", "value", "unit", "interval"}]}`, `{"path", "structures": {name:
        {"pixels", "volume_ml", "probability", "file", "value"}}, "files"}` with masks in `folder`, or
        `{"path", "reason"}`. Of a volume of slices `path` is its first, and `slices` says how many they are; where some
        could not be read, `left_out` says why; `note` says what else should be known of a volume.

    Raises:
        InvalidInput: there is no file under the paths.
        Stopped: somebody asked to stop.
    """
    if task_module(model.task).DRAWS:
        raise InvalidInput(f"A model that draws answers nothing about an image; use generate. Received: {model.name}")
    found = _list_units(_list_files(paths), settings, folder, progress)
    predictor = open_predictor(files, model)
    opening = _Opening(files, settings, load_secret(settings), progress, learnt_singles(model))
    rows: list[dict[str, Any]] = []
    paints = module_of(predictor.schema).PAINTS
    batch = 1 if paints else batch_of(predictor.spec)
    for start in range(0, len(found), batch):
        stop_if_asked(progress)
        some = found[start : start + batch]
        if paints:
            part = Portion(progress, start / len(found), (start + 1) / len(found))
            rows += [_paint(predictor, unit, opening, folder, f"{start:05}", part) for unit in some]
        else:
            rows += _predict_batch(predictor, some, opening)
        progress.report(len(rows) / len(found), f"{len(rows)} of {len(found)} cases")
    failed = sum("reason" in row for row in rows)
    return {
        "model": model.name,
        "engine": predictor.engine,
        "cases": rows,
        "predicted": len(rows) - failed,
        "failed": failed,
    }


@dataclass(frozen=True)
class _Opening:
    """What it takes to read the files of a case."""

    files: Files
    settings: Settings
    secret: bytes
    progress: Progress
    singles: bool  # the network takes single images though it looks along the frames of volumes

    def use(self, unit: Unit, spec: Spec, row: dict[str, Any], of: Callable[[DecodedImage], Made]) -> Made | None:
        """What is made of the image of a case; where it cannot be, or the network does not take it, the row gets the
        reason."""
        try:
            with GrowingArray(self.files, "pixels", len(unit.files)) as growing:  # never put, so that nothing is kept
                image = self._image(unit, row, growing)
                refuse_window(spec.window, image.modality, str(image.pixels.dtype))
                refuse_single(image, spec, learnt=self.singles)
                if is_uneven(image):
                    row["note"] = _note_uneven(spec)
                return of(image)
        except Stopped:
            raise
        except CoreError as error:
            row["reason"] = str(error)
        except OSError as error:
            row["reason"] = cannot_read(error)
        return None

    def _image(self, unit: Unit, row: dict[str, Any], growing: GrowingArray) -> DecodedImage:
        if len(unit.files) == 1:
            file = unit.files[0]
            return decode(file.location, self.settings, self.secret, name=numbered(file.location.name, file.time_point))
        row["slices"] = len(unit.files)
        check_unit(unit, self.settings)
        read = read_unit(unit, self._slice, self.progress, growing)
        if read.failed:
            row["left_out"] = f"{len(read.failed)} of its files could not be read. {next(iter(read.failed.values()))}"
        if read.image is None:
            raise InvalidInput(row.pop("left_out"))
        return read.image

    def _slice(self, file: SourceFile) -> tuple[DecodedImage, str]:
        try:
            return decode(file.location, self.settings, self.secret), ""
        except OSError as error:
            raise InvalidInput(cannot_read(error)) from error


def _note_uneven(spec: Spec) -> str:
    seen = ""
    if not isinstance(spec, InputSpec) and spec.spacing_mm:
        wanted = " x ".join(f"{side:g}" for side in spec.spacing_mm)
        seen = f", and the model sees its own voxels as if they were {wanted} mm"
    return f"Its slices are missing, shifted or unevenly apart: nothing is measured across them{seen}."


def _paint(
    predictor: Predictor, unit: Unit, opening: _Opening, folder: Path, stem: str, progress: Progress
) -> dict[str, Any]:
    """One case, with its masks in the folder or the reason why there are none."""
    row: dict[str, Any] = {"path": unit.files[0].path}
    file = unit.files[0].location
    told = opening.use(
        unit, predictor.spec, row, lambda image: paint_file(predictor, file, image, folder, stem, progress)
    )
    return row | (told or {})


def _predict_batch(predictor: Predictor, units: Sequence[Unit], opening: _Opening) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    inputs: list[np.ndarray] = []
    for unit in units:
        row: dict[str, Any] = {"path": unit.files[0].path}
        seen = opening.use(unit, predictor.spec, row, lambda image: _input_of(image, predictor.spec))
        if seen is not None:
            inputs.append(seen)
        rows.append(row)
    if inputs:
        scores = predictor.answer(np.stack(inputs))
        answered = iter(scores)
        for row in rows:
            if "reason" not in row:
                row |= _answer(predictor, next(answered))
    return rows


def _input_of(image: DecodedImage, spec: Spec) -> np.ndarray:
    if isinstance(spec, VolumeSpec):
        return volume_input(image.pixels, image, spec)
    assert isinstance(spec, InputSpec)  # what sees patches paints
    refuse_volume(image, "predict on")
    return model_input(image.pixels, image.photometric, image.windows, spec, image.spacing_mm)


def _answer(predictor: Predictor, scores: np.ndarray) -> dict[str, Any]:
    schema = predictor.schema
    assert not isinstance(schema, Segmentation)
    answer = module_of(schema).decode_scores(schema, scores, predictor.calibration)
    if isinstance(schema, Regression):
        return tell_numbers(schema, answer, predictor.calibration)
    return answer | {"probabilities": {name: float(score) for name, score in zip(schema.names, scores, strict=True)}}


def _list_files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        else:
            found.append(path)  # one that is absent gets its own row with the reason
    if not found:
        raise InvalidInput(f"Name image files, or folders with some. Received: {', '.join(map(str, paths)) or 'none'}")
    return found


def _list_units(paths: Sequence[Path], settings: Settings, folder: Path, progress: Progress) -> list[Unit]:
    """What an import would make a case of each, by the headers."""
    sources = [SourceFile(str(path), path.as_posix(), folder_of(path), path.name) for path in dict.fromkeys(paths)]
    attempts = Attempts(folder / "reading")
    with OpenArchives(settings) as archives, closing(attempts):
        return find_units(sources, archives, settings, attempts, progress, {}, part_of=part_of)
