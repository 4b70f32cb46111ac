"""The kinds of background work: which lane each takes, who may ask for it, how often it is tried, why it failed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.people.roles import Action

# train: one slot per GPU, or one on a CPU machine. work: two slots. explain: the warm child, outside both.
# keep: one slot of its own, so that a backup waits for nothing.
Lane = Literal["train", "work", "explain", "keep"]


@dataclass(frozen=True)
class Kind:
    """What the queue knows of a kind of work.

    `action` is what asking for it, stopping it and resuming it takes (see `actions_of`). `remedy` is said when the
    system ended it, most often for memory. `stop_grace_seconds` is what it gets to end in good order: a training
    stores its best weights first.
    """

    lane: Lane
    action: Action
    attempts_allowed: int
    remedy: str
    stop_grace_seconds: float = 20.0


KINDS: dict[str, Kind] = {
    "import": Kind("work", "import", 3, "Close other programs, then resume: files that are in stay in."),
    "train": Kind(
        "train",
        "train",
        3,
        "Close other programs and resume, it goes on from its checkpoint; or train with a smaller batch or image size.",
        stop_grace_seconds=180.0,
    ),
    "evaluate": Kind("work", "train", 3, "Wait until other jobs have ended, or close other programs, then resume."),
    "predict": Kind(
        "work", "open test results", 3, "Predict fewer files at a time, or close other programs, then resume."
    ),
    "draft": Kind("work", "administer", 3, "Resume it: cases that the model has looked at are not asked again."),
    "explain": Kind(
        "explain", "open test results", 2, "Wait until other jobs have ended, or close other programs, then ask again."
    ),
    "backup": Kind("keep", "administer", 3, "Resume it: files that were copied are not copied again."),
}
# Notes, logs and results of jobs name what models say.
SEEING_A_JOB: Action = "open test results"
DEFAULT_REMEDY = "Close other programs, then resume the job."


def actions_of(kind: str, arguments: Mapping[str, Any]) -> frozenset[Action]:
    """What somebody must be allowed to do who asks for this work; work of an unknown kind is an administrator's."""
    if kind == "evaluate":
        return frozenset({_of_split(arguments.get("split"))})
    known = KINDS.get(kind)
    asked: set[Action] = {known.action if known else "administer"}
    if kind == "train" and arguments.get("evaluate"):
        asked.add(_of_split(arguments["evaluate"]))
    return frozenset(asked)


def _of_split(split: Any) -> Action:
    return "train" if split in ("train", "validation") else "open test results"
