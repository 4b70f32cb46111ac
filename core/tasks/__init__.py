"""What each task means for a model: targets, head, loss by name, decoding, headline metric.

One file per task, all with what `TaskModule` names; adding a task is copying one of them.
Nothing imports Keras before a head is built.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np

from core.errors import CoreError
from core.projects.schema import TASKS, Classification, LabelSchema, Regression, Segmentation
from core.tasks import classification, generation, regression, segmentation

__all__ = ["TRAINED_TASKS", "TaskModule", "TrainableSchema", "module_of", "task_module", "trainable_schema"]

TrainableSchema = Classification | Regression | Segmentation


class TaskModule(Protocol):
    """What a task says. Arrays are `(n, k)` throughout: a row a case; a column a class, a quantity or a structure.

    Where a task `PAINTS`, its answers are masks: `score_validation` and `calibrate` take tallies of pixels for them
    (`core.tasks.segmentation`), and `measure` a comparison for each case and structure. Where it `DRAWS`, rows are
    conditions, scores the parts of a network's own loss, and `measure` takes what a judge sees in real and in drawn
    images (`core.measures.drawing`).
    """

    HEADLINE: str  # the metric by which models are compared first, as `measure` and the epochs name it
    PAINTS: bool  # whether what is learnt and answered are masks
    DRAWS: bool  # whether images themselves are learnt, and answers are what they are drawn for
    RAW: str  # the layer on whose output the loss is taken
    LOSSES: Mapping[str, str]  # what a recipe may ask for beside "default", each with its sentence

    def encode_targets(self, schema: Any, values: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Stored answers as float32 `(n, k)`."""

    def check_trainable(self, schema: Any, train: np.ndarray, validation: np.ndarray) -> None:
        """Raise `CoreError` unless targets give something to learn and something to check it on."""

    def loss_terms(self, schema: Any, train: np.ndarray, *, balanced: bool) -> np.ndarray:
        """What loss and head take from the training targets, float32 `(2, k)`; see `core.training.losses`."""

    def sampling_shares(self, schema: Any, train: np.ndarray) -> np.ndarray | None:
        """How often each training case is shown so that classes come alike, `(n,)`; None where there are no classes."""

    def loss_name(self, schema: Any, wanted: str) -> str:
        """The name in `core.training.losses` of what a recipe asks for.

        Raises:
            InvalidInput: it does not go with the task.
        """

    def build_head(self, features: Any, schema: Any, terms: np.ndarray, regularizer: Any = None) -> Any:
        """The last layers on a `(batch, n)` tensor, `RAW` among them, always in float32."""

    def raw_of(self, schema: Any, scores: np.ndarray, terms: np.ndarray) -> np.ndarray:
        """The raw outputs that became these scores, float32."""

    def score_validation(self, schema: Any, targets: np.ndarray, scores: np.ndarray) -> dict[str, float | None]:
        """The metrics of one epoch, without intervals; None where one is undefined."""

    def calibrate(
        self, schema: Any, targets: np.ndarray, scores: np.ndarray, patients: Sequence[str]
    ) -> dict[str, Any]:
        """What is chosen on the validation split once the weights are: the facts that a model keeps as `calibration`,
        and that the functions below take. `patients`: a key for each case."""

    def calibrate_network(self, network: Any, schema: Any, calibration: Mapping[str, Any]) -> Any:
        """The network with its calibration built in, so that whoever has the file has that too."""

    def decode_scores(self, schema: Any, scores: np.ndarray, calibration: Mapping[str, Any]) -> dict[str, Any]:
        """The answer, as a label is stored, that one case's scores `(k,)` amount to."""

    def confidence_of(self, schema: Any, scores: np.ndarray, calibration: Mapping[str, Any]) -> float:
        """How sure a model is of that answer, from 0 to 1; 1 where the task knows no degrees."""

    def measure(
        self,
        schema: Any,
        targets: np.ndarray,
        scores: np.ndarray,
        patients: Sequence[str],
        calibration: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        seed: int,
    ) -> dict[str, Any]:
        """All numbers of a model on some cases, each with its interval over patients, as JSON values.

        Args:
            calibration: that of the model; or one for each case, where several models share them (not of what draws).
        """

    def output_names(self, schema: Any) -> tuple[str, ...]:
        """What each of the `k` columns is called: a class, or the quantity."""

    def describe_schema(self, schema: Any) -> dict[str, Any]:
        """What a stored model keeps of the schema it learnt."""

    def schema_of(self, facts: Mapping[str, Any]) -> Any:
        """The schema that a stored model learnt."""


_MODULES: dict[str, TaskModule] = {
    "classification": cast(TaskModule, classification),
    "segmentation": cast(TaskModule, segmentation),
    "regression": cast(TaskModule, regression),
    "generation": cast(TaskModule, generation),
}
TRAINED_TASKS = tuple(_MODULES)


def task_module(task: str) -> TaskModule:
    """The module of a task.

    Raises:
        CoreError: models cannot be trained for it yet.
    """
    if task not in _MODULES:
        word = "is not a task" if task not in TASKS else "cannot be trained yet"
        raise CoreError(f"This version trains {_trained()}; {task} {word}. Received: {task}")
    return _MODULES[task]


def trainable_schema(schema: LabelSchema) -> TrainableSchema:
    """The schema itself, when a network can be built for it.

    Raises:
        CoreError: models cannot be trained for its task yet.
    """
    if not isinstance(schema, TrainableSchema):
        raise CoreError(f"This version trains {_trained()}. Received: {type(schema).__name__.lower()}")
    return schema


def _trained() -> str:
    *names, last = _MODULES
    return f"{', '.join(names)} and {last}"


def module_of(schema: TrainableSchema) -> TaskModule:
    """The module of a schema's task."""
    return task_module(type(schema).__name__.lower())
