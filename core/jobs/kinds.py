"""The kinds of background work: which lane each takes, how often it is tried, what to do when it fails."""

from dataclasses import dataclass
from typing import Literal

# train: one slot per GPU, or one on a CPU machine. work: two slots. explain: the warm child, outside both.
Lane = Literal["train", "work", "explain"]


@dataclass(frozen=True)
class Kind:
    """What the queue knows of a kind of work.

    `remedy` is said when the system ended it, most often for memory. `stop_grace_seconds` is what it
    gets to end in good order: a training stores its best weights first.
    """

    lane: Lane
    attempts_allowed: int
    remedy: str
    stop_grace_seconds: float = 20.0


KINDS: dict[str, Kind] = {
    "import": Kind("work", 3, "Close other programs, then resume: files that are in stay in."),
    "train": Kind(
        "train",
        3,
        "Close other programs and resume, it goes on from its checkpoint; or train with a smaller batch or image size.",
        stop_grace_seconds=180.0,
    ),
    "evaluate": Kind("work", 3, "Wait until other jobs have ended, or close other programs, then resume."),
    "predict": Kind("work", 3, "Predict fewer files at a time, or close other programs, then resume."),
    "explain": Kind("explain", 2, "Wait until other jobs have ended, or close other programs, then ask again."),
}
DEFAULT_REMEDY = "Close other programs, then resume the job."
