"""What the queue knows of a kind of work. Each kind is a file of `core.jobs.bodies`."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.people.roles import Action

# train: one slot per GPU, or one on a CPU machine. work: two slots. explain: the warm child, outside both.
# keep: one slot of its own, so that a backup waits for nothing.
Lane = Literal["train", "work", "explain", "keep"]


@dataclass(frozen=True)
class Kind:
    """A kind of work by its `name`, as jobs carry it, and by its `words` on screen.

    `action` is what asking for it, stopping it and resuming it takes; where that depends on the arguments, `actions_of`
    says it instead. `remedy` is said when the system ended it, most often for memory. `stop_grace_seconds` is what it
    gets to end in good order: a training stores its best weights first. `mends_outside` is of work whose refusals
    speak of something that is entered or kept elsewhere (a PACS, a setting): once that is mended, resuming helps.
    `has_kept` is of work that takes much memory and keeps, now and then, what it has done: from the job's folder and
    its arguments it says whether there is anything yet. Killed by the system before, it is not begun again by itself.
    `opens_files` is of work that opens files and tables as somebody has them: what their names and contents make an
    error say is no sentence of ours, so that of an error only its type and the lines it passed are kept.
    """

    name: str
    words: str
    lane: Lane
    action: Action
    attempts_allowed: int
    remedy: str
    stop_grace_seconds: float = 20.0
    mends_outside: bool = False
    opens_files: bool = False
    actions_of: Callable[[Mapping[str, Any]], frozenset[Action]] | None = None
    has_kept: Callable[[sqlite3.Connection, Path, Mapping[str, Any]], bool] | None = None


def action_of_split(split: Any) -> Action:
    """What measuring on a split takes: the test split is looked at by few."""
    return "train" if split in ("train", "validation") else "open test results"
