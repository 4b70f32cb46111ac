"""Arrays that an evaluation leaves with the prepared images: they are found again from the pixels at any time, and
erasing a case takes them away."""

import hashlib
import json
import os
from typing import Any

import numpy as np

from core.evaluation.predictor import list_stored
from core.store.files import Files
from core.training.records import Model


def look_key(what: str, version: int, model: Model, *hangs_on: Any) -> str:
    """What such an array is kept by: the weights that look, and all else that it hangs on, as JSON can tell it."""
    weights = [keras_hash for keras_hash, _ in list_stored(model)]
    told = json.dumps([what, version, weights, *hangs_on], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def read_look(files: Files, key: str) -> np.ndarray | None:
    """The kept array; None where there is none, or it was cleared away."""
    path = files.path("prepared", key)
    try:
        os.utime(path)  # what is looked at is not cleared away
        kept: np.ndarray = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return None
    return kept
