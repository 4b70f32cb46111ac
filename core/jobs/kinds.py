"""The kinds of background work: which lane each takes, who may ask for it, how often it is tried, why it failed."""

from collections.abc import Mapping
from typing import Any

from core.jobs.bodies import BODIES
from core.jobs.kind import Kind, Lane
from core.people.roles import Action

__all__ = ["DEFAULT_REMEDY", "KINDS", "SEEING_A_JOB", "Kind", "Lane", "actions_of"]

KINDS: dict[str, Kind] = {name: body.KIND for name, body in BODIES.items()}
# Notes, logs and results of jobs name what models say.
SEEING_A_JOB: Action = "open test results"
DEFAULT_REMEDY = "Close other programs, then resume the job."


def actions_of(kind: str, arguments: Mapping[str, Any]) -> frozenset[Action]:
    """What somebody must be allowed to do who asks for this work; work of an unknown kind is an administrator's."""
    known = KINDS.get(kind)
    if known is None:
        return frozenset({"administer"})
    return known.actions_of(arguments) if known.actions_of else frozenset({known.action})
