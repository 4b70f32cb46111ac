"""The audit on screen: a row in words, the verdict on the chain, and the copy to take along."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import streamlit as st

from core.errors import NotAllowed
from core.labels.said import say_answers
from core.people.roles import demand_of
from core.store.audit import (
    NOTHING_SAID,
    AuditCheck,
    AuditFilters,
    AuditRow,
    Said,
    note_check,
    since_text,
    take_audit_along,
    until_text,
    verify_audit,
)
from dashboard import session, wording
from dashboard.progress_bar import BarProgress

CHANGED = ("before", "after")


def check_with_bar() -> AuditCheck:
    """Walk the chain, and remember that it was done."""
    need_administrator()
    check = verify_audit(session.db(), progress=BarProgress("Looking at every row"))
    note_check(session.db(), check, session.actor())
    return check


def need_administrator() -> None:
    """In callbacks, which run before the page's own guard.

    Raises:
        NotAllowed: whoever is signed in does not administer this Readroom.
    """
    if not session.may("administer"):
        raise NotAllowed("The audit is for administrators of this Readroom; ask one. Received: another role")


def draw_verdict(check: AuditCheck) -> None:
    """Whole, or every fault by name."""
    if check.is_whole:
        st.success(f"The chain is whole: {wording.count(check.rows, 'row')}.", icon=":material/verified:")
    else:
        faults = "\n".join(f"- {fault}" for fault in check.faults)
        st.error(f"The audit is not what was written.\n\n{faults}", icon=":material/error:")
        st.markdown(
            "Compare it with a backup (`readroom audit verify --head`), and ask who can write the home's files."
        )
    st.caption("The head of the chain. Noted elsewhere, it proves later that nothing before it was rewritten.")
    st.code(check.head or "no row yet", language="text")


def say_last_check(row: AuditRow | None) -> str:
    """When the chain was looked at last, and what came of it."""
    if row is None:
        return "The chain was never checked."
    faults = int(row.detail.get("faults", 0))
    return f"Checked {wording.moment(row.at)}: {'whole' if not faults else wording.count(faults, 'fault')}."


def read_days(first: date | None, last: date | None) -> dict[str, str]:
    """Two days as the stored times between which rows lie."""
    return {
        "since": since_text(first.isoformat()) if first else "",
        "until": until_text(last.isoformat()) if last else "",
    }


def csv_of(chosen: AuditFilters) -> Callable[[], str]:
    """The rows that fit as CSV, made when the button is pressed and written into the audit then.

    That is in a thread of Streamlit's which knows nobody, so who asks is noted here and asked for their role there.
    """
    actor = session.actor()

    def make() -> str:
        demand_of(session.db(), actor, "administer", None)
        text, _ = take_audit_along(session.db(), actor, chosen, say=say_answers)
        return text

    return make


def shown(row: AuditRow, said: Said = NOTHING_SAID) -> dict[str, object]:
    """A row as the table has it: what was before and what after, then everything else."""
    rest = {key: value for key, value in row.detail.items() if key not in CHANGED}
    return {
        "row": row.id,
        "when": wording.moment(row.at),
        "who": row.who,
        "did": row.what,
        "about": row.subject,
        "before": _with_answer(say(row.detail.get("before")), said.before),
        "after": _with_answer(say(row.detail.get("after")), said.after),
        "further": say(rest),
        "door": row.via,
        "from": row.address,
    }


def _with_answer(number: str, answer: str) -> str:
    """The answer behind a label's number, as long as it is there."""
    return f"{answer} (label {number})" if answer else number


def say(value: Any) -> str:
    """A stored value without brackets and quotation marks."""
    if value is None or value == {} or value == []:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{str(key).replace('_', ' ')}: {say(inner) or '–'}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(say(inner) for inner in value)
    return str(value)
