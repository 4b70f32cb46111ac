"""The doctor on screen: findings by group, what does not work first, each with its remedy."""

import re
from collections.abc import Sequence
from html import escape

import streamlit as st

from core.doctor import GROUPS, Finding, examine
from dashboard import messages, session, wording
from dashboard.progress_bar import BarProgress

FINDINGS = "doctor:findings"


def find_findings() -> list[Finding]:
    """What was found when this tab looked last; the first time it looks now."""
    if FINDINGS not in st.session_state:
        look_again()
    return list(st.session_state.get(FINDINGS, ()))


def look_again(*, every_file: bool = False) -> None:
    """Examine everything anew and remember it for this tab."""
    if not session.may("administer"):  # a callback runs before the page's own guard
        return
    with messages.refusals_told():
        bar = BarProgress("Looking")
        st.session_state[FINDINGS] = examine(session.settings(), every_file=every_file, progress=bar)
        bar.remove()


def draw_verdict(findings: Sequence[Finding]) -> None:
    """One sentence on all of it."""
    bad = [finding for finding in findings if not finding.works]
    if bad:
        names = ", ".join(finding.subject for finding in bad)
        st.warning(f"{wording.count(len(bad), 'thing')} to mend: {names}.", icon=":material/build:")
    else:
        st.success("Everything that was looked at works.", icon=":material/check:")


def draw_findings(findings: Sequence[Finding]) -> None:
    """Group by group; a group in which something does not work comes first, and in it what does not."""
    bad_groups = {finding.group for finding in findings if not finding.works}
    for group in sorted(GROUPS, key=lambda name: name not in bad_groups):
        members = sorted((f for f in findings if f.group == group), key=lambda finding: finding.works)
        if members:
            st.subheader(GROUPS[group], anchor=False)
            st.html(f'<table class="rr-doctor" style="width:100%">{"".join(map(_row, members))}</table>')


def _row(finding: Finding) -> str:
    state, word = ("on", "works") if finding.works else ("off", "does not work")
    mend = f"<br><b>How to mend it:</b> {_with_commands(finding.mend)}" if finding.mend else ""
    return (
        f'<tr><td style="width:11rem;vertical-align:top"><span class="rr-dot {state}" title="{word}"></span> '
        f'{escape(finding.subject)}</td><td style="width:8rem;vertical-align:top">{word}</td>'
        f"<td>{_with_commands(finding.said)}{mend}</td></tr>"
    )


def _with_commands(text: str) -> str:
    """A sentence as HTML; what stands between back-ticks is a command."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
