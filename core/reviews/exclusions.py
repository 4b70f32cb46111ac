"""Cases that a meeting excludes: said to be unusable by whoever excludes them, with the reason, and kept in the review.

Nothing is taken out of a snapshot: the numbers of the review stay. A snapshot that is frozen later, as for a training
with the corrected labels, leaves a case out that has no reference any more.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import InvalidInput
from core.labels.records import LONGEST_REASON, NewLabel, add_label, find_reference, new_event
from core.people.roles import demand_of
from core.reviews.meetings import Review
from core.reviews.remarks import add_remark
from core.store.audit import Actor, add_audit
from core.store.database import writing

STEP = "failures"  # of the meeting, where cases are excluded


@dataclass(frozen=True)
class Exclusion:
    """What was excluded; `outvoted` have a reference all the same, for more readers call the image usable."""

    case_ids: tuple[int, ...]
    outvoted: tuple[int, ...]


def exclude_cases(
    connection: sqlite3.Connection, review: Review, case_ids: Sequence[int], reason: str, *, actor: Actor
) -> Exclusion:
    """Say of each case in one act that it cannot be used, and why: as the actor's own answer, and as a remark.

    Raises:
        InvalidInput: no case or no reason is given, the reason is too long, or a case is of another project.
        NotFound: there is no such case.
        NotAllowed: the actor may not label here or open test results.
    """
    reason = " ".join(reason.split())
    wanted = tuple(dict.fromkeys(case_ids))
    if not wanted:
        raise InvalidInput("Choose the cases that are to be excluded. Received: none")
    if not 0 < len(reason) <= LONGEST_REASON:
        raise InvalidInput(f"Say in 1 to {LONGEST_REASON} characters why they are excluded. Received: {reason[:80]!r}")
    with writing(connection):  # all of them or none
        demand_of(connection, actor, "open test results", review.project)
        for case_id in wanted:
            # the remark first: it refuses a case of another project
            add_remark(connection, review, f"Excluded: {reason}", step=STEP, case_id=case_id, actor=actor)
            new = NewLabel(
                new_event(), case_id, actor.name, None, unusable=True, unusable_reason=reason, made_in="review"
            )
            add_label(connection, new, actor)
        add_audit(connection, actor, "exclude cases", f"review {review.id}", cases=list(wanted))
        found = {case_id: find_reference(connection, case_id) for case_id in wanted}
    return Exclusion(wanted, tuple(case_id for case_id, one in found.items() if one and one.state == "labelled"))
