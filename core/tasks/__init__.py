"""What each task means for a model: targets, head, loss by name, decoding, headline metric.

One module per task, all with the same functions; adding a task is copying one of them.
Nothing imports Keras before a head is built.
"""

from types import ModuleType

from core.errors import CoreError
from core.projects.schema import TASKS, Classification, LabelSchema
from core.tasks import classification

__all__ = ["task_module", "trainable_schema"]

_MODULES = {"classification": classification}


def task_module(task: str) -> ModuleType:
    """The module of a task.

    Raises:
        CoreError: models cannot be trained for it yet.
    """
    if task not in _MODULES:
        word = "is not a task" if task not in TASKS else "cannot be trained yet"
        raise CoreError(f"This version trains {', '.join(_MODULES)}; {task} {word}. Received: {task}")
    return _MODULES[task]


def trainable_schema(schema: LabelSchema) -> Classification:
    """The schema itself, when a network can be built for it.

    Raises:
        CoreError: models cannot be trained for its task yet.
    """
    if not isinstance(schema, Classification):
        raise CoreError(f"This version trains {', '.join(_MODULES)}. Received: {type(schema).__name__.lower()}")
    return schema
