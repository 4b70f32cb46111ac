"""The end of a meeting: what people say, what they decide, and who signs it."""

from html import escape

import streamlit as st

from core.datasets.records import get_snapshot
from core.jobs.correcting import ask_retraining, list_followed
from core.progress import Silent
from core.reviews.corrections import find_corrections
from core.reviews.decisions import (
    MEANINGS,
    VERDICTS,
    Decision,
    NewDecision,
    decide_review,
    find_decision,
    find_faults,
    parse_action,
    sign_decision,
)
from core.reviews.meetings import get_review
from core.reviews.registry import find_obstacle, find_production, promote_model
from core.reviews.remarks import add_remark, list_remarks
from core.reviews.report import ReportFormat, write_report
from core.store.audit import Actor
from core.training.records import get_run
from dashboard import jobs_panel, messages, once, places, session, wording
from dashboard.meeting_form import lines_of
from dashboard.meeting_view import STEPS, Meeting
from dashboard.prefix import at
from dashboard.remarks_view import draw_thread

PANE_PX = 430


def draw_discussion(meeting: Meeting) -> None:
    """Everything that was said, threaded, and a line to say more."""
    remarks = list_remarks(session.db(), meeting.review)
    titles = {step.key: step.title for step in STEPS}
    with st.container(height=PANE_PX, border=False):
        st.subheader("Discussion", anchor=False)
        if not remarks:
            st.caption("Nothing was said yet.")
        draw_thread(remarks, titles, meeting.review)
    choices = ["", *titles]
    with st.form("meeting_remark", clear_on_submit=True, border=False):
        first, second, third, fourth = st.columns([2, 2, 7, 1.4], vertical_alignment="bottom")
        step = first.selectbox("About", choices, format_func=lambda key: titles.get(key, "the model"))
        parent = second.selectbox(
            "In answer to", [None, *(one.id for one in remarks)], format_func=lambda number: str(number or "nobody")
        )
        text = third.text_input("Remark", placeholder="Say something to the others")
        if fourth.form_submit_button("Say it", key="meeting_say", width="stretch") and text.strip():
            with messages.refusals_shown():
                add_remark(session.db(), meeting.review, text, step=step, parent=parent, actor=session.actor())
                st.rerun()


def draw_decision(meeting: Meeting) -> None:
    """The decision that there is, with its signatures; else the form that writes one."""
    decision = find_decision(session.db(), meeting.review)
    may_sign = session.may("sign", meeting.project)
    if decision is None and not may_sign:
        st.caption("Nothing was decided yet. To decide and sign you need the role of a reviewer; ask an administrator.")
        return
    if decision is None:
        _draw_form(meeting)
        return
    left, right = st.columns([3, 2], gap="large")
    with left.container(height=PANE_PX + 70, border=False):
        _draw_signed(meeting, decision)
    with right.container(height=PANE_PX + 70, border=False):
        if may_sign:
            _draw_signing(meeting, decision)
            _draw_promotion(meeting)
        _draw_retraining(meeting)
        _draw_report_links(meeting)


def _draw_retraining(meeting: Meeting) -> None:
    """What was corrected since, and one click to a model that has learnt it; for whoever may freeze and train."""
    _draw_retrained(meeting)
    if not all(session.may(action, meeting.project) for action in ("freeze", "train")):
        return
    run = get_run(session.db(), meeting.model.run)
    found = find_corrections(session.db(), get_snapshot(session.db(), meeting.project.id, run.snapshot))
    if not found.sentence:
        return
    st.subheader("Learn from the corrections", anchor=False)
    st.caption(f"References changed since its snapshot was frozen: {found.sentence}.")
    if st.button("Retrain with the corrected labels", icon=":material/model_training:", key=once.key("retrain_do")):
        with messages.refusals_shown(), st.spinner("Freezing the corrected snapshot"):
            asked = ask_retraining(
                session.db(), session.files(), meeting.project, meeting.model, review=meeting.review,
                actor=session.actor(), progress=Silent(),
            )  # fmt: skip
            once.spend()
            messages.say(
                f"{asked.run.name} is queued, on {asked.snapshot.name}; both models are then measured on the same test "
                "cases, and a new review is prepared."
            )
            st.rerun()


def _draw_retrained(meeting: Meeting) -> None:
    """What was retrained from here: its job while it runs, then the way to the new review."""
    followed = list_followed(session.db(), meeting.review)
    if not followed:
        return
    jobs_panel.watch_active_jobs(meeting.project.id, ("train", "review_again"))
    for one in followed:
        if one.is_over and one.review:
            places.link(
                "meeting",
                f"Review {one.review.id}: what changed",
                icon=":material/arrow_forward:",
                project=meeting.project.id,
                review=one.review.id,
                step="discussion",
            )
        elif not one.newest_job.is_active:
            jobs_panel.draw_job(one.newest_job)


def _draw_report_links(meeting: Meeting) -> None:
    """The whole review as one file, for whoever may take results along."""
    if not session.may("export", meeting.project):
        return
    st.subheader("Report", anchor=False)
    actor = session.actor()  # the file is written in a thread that knows nobody; what they may do is asked there again
    with st.container(horizontal=True):
        for file_format, mime in (("pdf", "application/pdf"), ("html", "text/html")):
            st.download_button(
                file_format.upper(),
                lambda file_format=file_format: _write_report(meeting, file_format, actor),
                mime=mime,
                file_name=f"review-{meeting.review.id}.{file_format}",
                on_click="ignore",
                icon=":material/download:",
                key=f"report_{file_format}",
            )


def _write_report(meeting: Meeting, file_format: ReportFormat, actor: Actor) -> bytes:
    review = get_review(session.db(), meeting.project.id, meeting.review.id)
    return write_report(session.db(), meeting.project, review, file_format, actor=actor)


def _draw_form(meeting: Meeting) -> None:
    missed = [one.criterion.sentence for one in meeting.review.outcomes or () if one.state != "met"]
    left, right = st.columns(2, gap="large")
    with left:
        st.segmented_control(
            "Decision", VERDICTS, default=None, key="decide_verdict", format_func=lambda text: text.capitalize()
        )
        if missed:
            st.caption(f"Not met: {'; '.join(missed)}. Such a model can be approved with conditions only.")
        st.text_area("Rationale", key="decide_rationale", height=100)
        st.text_area("Conditions", key="decide_conditions", height=80, help="Of an approval with conditions.")
    with right:
        st.text_area(
            "Actions, one a line",
            key="decide_actions",
            height=100,
            placeholder="Watch the scores of site B | ben | 2026-12-24",
            help="What is done, by whom, and until which day, with a bar between them.",
        )
        st.text_input("Dissent", key="decide_dissent", placeholder="What you see otherwise; left empty where nothing")
        _draw_password("decide_password")
        st.button(
            "Decide and sign", type="primary", icon=":material/signature:", key="decide_do", on_click=_decide,
            args=(meeting,), disabled=not session.current_user().has_password,
        )  # fmt: skip
        st.caption("What is signed can never be changed; a new review supersedes it.")


def _draw_password(key: str) -> None:
    """Who signs types the password again; who has none is told where to set one."""
    if session.current_user().has_password:
        st.text_input("Your password", type="password", key=key, autocomplete="current-password")
    else:
        st.markdown(
            f"A signature is made with your password. [Set one first]({at('/account')}): it "
            "signs you out everywhere, and what was written here is gone then."
        )


def _decide(meeting: Meeting) -> None:
    with messages.refusals_told():
        new = NewDecision(
            verdict=st.session_state["decide_verdict"] or "nothing",
            rationale=st.session_state["decide_rationale"],
            conditions=st.session_state["decide_conditions"],
            actions=tuple(parse_action(line) for line in lines_of(st.session_state["decide_actions"])),
        )
        user = session.current_user()
        decide_review(
            session.db(),
            meeting.review,
            new,
            signer=user.name,
            password=_password("decide_password"),
            dissent=st.session_state["decide_dissent"],
            actor=session.actor(),
        )
        messages.say("Decided and signed.")


def _password(key: str) -> str:
    """What was typed; it does not stay in the session."""
    typed = str(st.session_state.get(key) or "")
    if key in st.session_state:
        st.session_state[key] = ""
    return typed


def _draw_signed(meeting: Meeting, decision: Decision) -> None:
    st.subheader(f"Decided: {decision.verdict}", anchor=False)
    signatures = "".join(
        f"<li><b>{escape(one.name)}</b>, {one.meaning.split()[0]} {wording.moment(one.at)}"
        + (f"<br><i>{escape(one.dissent)}</i>" if one.dissent else "")
        + f"<br><small>{one.hash[:24]}</small></li>"
        for one in decision.signatures
    )
    actions = "".join(
        f"<li>{escape(one.what)}: {escape(one.owner)}, until {escape(one.due)}</li>" for one in decision.actions
    )
    bound = vars(decision.bound)
    hashes = "".join(
        f"<dt>{key.replace('_hash', '')}</dt><dd><code>{value[:24]}</code></dd>" for key, value in bound.items()
    )
    st.html(
        f'<div class="rr-said"><p>{escape(decision.rationale)}</p>'
        + (f"<p><b>On condition:</b> {escape(decision.conditions)}</p>" if decision.conditions else "")
        + (f"<p><b>Actions</b></p><ul>{actions}</ul>" if actions else "")
        + f"<p><b>Signed</b></p><ul>{signatures}</ul></div>"
        f'<p class="rr-quiet">Bound to, SHA-256:</p><dl class="rr-facts">{hashes}</dl>'
    )
    for fault in find_faults(session.db(), meeting.review):
        st.error(fault)


def _draw_signing(meeting: Meeting, decision: Decision) -> None:
    if any(one.name == session.current_user().name for one in decision.signatures):
        st.caption("You have signed this decision.")
        return
    st.subheader("Sign as well", anchor=False)
    st.segmented_control("As", MEANINGS[1:], default=MEANINGS[1], required=True, key="sign_meaning")
    st.text_input("Dissent", key="sign_dissent", placeholder="What you see otherwise")
    _draw_password("sign_password")
    st.button("Sign", type="primary", key="sign_do", on_click=_sign, args=(meeting, decision.hash))


def _sign(meeting: Meeting, read_hash: str) -> None:
    with messages.refusals_told():
        sign_decision(
            session.db(),
            meeting.review,
            read_hash=read_hash,
            signer=session.current_user().name,
            password=_password("sign_password"),
            meaning=st.session_state["sign_meaning"],
            dissent=st.session_state["sign_dissent"],
            actor=session.actor(),
        )
        messages.say("Signed.")


def _draw_promotion(meeting: Meeting) -> None:
    """The way into production, where a signed approval is in force."""
    st.subheader("Use it", anchor=False)
    production = find_production(session.db(), meeting.project.id)
    if production is not None and production.id == meeting.model.id:
        st.caption(f"{meeting.model.name} is in production.")
    elif obstacle := find_obstacle(session.db(), meeting.model):
        st.caption(obstacle)
    else:
        followed = f" {production.name} is retired then." if production else ""
        st.button(
            "Put into production", icon=":material/rocket_launch:", key="promote_do", on_click=_promote, args=(meeting,)
        )
        st.caption(f"The approval of this model is in force.{followed}")
    places.link("models", "The registry", project=meeting.project.id, model=meeting.model.id)


def _promote(meeting: Meeting) -> None:
    with messages.refusals_told():
        promote_model(session.db(), meeting.model, reason=f"review {meeting.review.id}", actor=session.actor())
        messages.say(f"{meeting.model.name} is in production.")
