"""Overview: what a project asks, how far it is, whose answers count; labels and masks out, labels in as a table."""

from html import escape

import streamlit as st

from core.labels.exchange import export_labels, import_labels
from core.labels.reference import set_reference_rule
from core.labels.worklist import label_progress
from core.projects.records import ReferenceRule, change_project
from core.projects.schema import Classification, Segmentation
from core.store.audit import Actor
from dashboard import frame, messages, places, session, wording
from dashboard.assist_panel import draw_assignments, draw_assist_choice
from dashboard.deidentification_view import draw_options
from dashboard.downloads import note_export, zip_masks
from dashboard.erasing_view import draw_project_deletion
from dashboard.progress_view import draw_steps
from dashboard.project_form import BLIND_HELP, RULE_WORDS, draw_rule_choice
from dashboard.registry_view import say_production
from dashboard.schema_view import draw_schema_editor, question_facts

BLIND_WORDS = {
    True: "answer blind first: what others and models say of a case appears after their own answer",
    False: "see what others have answered",
}


def save_texts() -> None:
    with messages.refusals_told():
        change_project(
            session.db(),
            project,
            description=st.session_state["about_text"],
            intended_use=st.session_state["about_use"],
            digit_advances=st.session_state["about_advance"],
            blind_first=st.session_state["about_blind"],
            actor=session.actor(),
        )
        messages.say("Saved.")


def take_labels() -> None:
    upload = st.session_state["labels_file"]
    if upload is not None:
        with messages.refusals_told():
            st.session_state["labels_report"] = import_labels(session.db(), project, upload.getvalue(), session.actor())


def write_labels(history: bool, actor: Actor) -> str:
    note_export(project, "labels", actor=actor, history=history)
    return export_labels(session.db(), project, history=history)


project = frame.need_project()
may_administer = session.may("administer", project)
production = say_production(project) if session.may("open test results", project) else "known to its reviewers"
progress = label_progress(session.db(), project, session.current_user().name)
frame.draw_heading(
    "Overview",
    project.description
    or "No description yet" + ("; write one below, so that others know what they look at." if may_administer else "."),
    project=project,
)
draw_steps(project, progress)
left, right = st.columns(2, gap="large")
with left:
    st.subheader("The question", anchor=False)
    several = isinstance(project.schema, Classification) and project.schema.multi_label
    st.html(
        '<dl class="rr-facts"><dt>Task</dt><dd>'
        + project.task
        + (", several classes possible" if several else "")
        + "</dd>"
        + question_facts(project)
        + f"<dt>Intended use</dt><dd>{escape(project.intended_use) or '–'}</dd>"
        f"<dt>Readers</dt><dd>{BLIND_WORDS[project.blind_first]}</dd>"
        f"<dt>In production</dt><dd>{production}</dd>"
        f"<dt>Created</dt><dd>{wording.moment(project.created_at)} by {escape(project.created_by)}</dd></dl>"
    )
    if may_administer:
        with st.expander("Change the texts", icon=":material/edit:"), st.form("about", border=False):
            st.text_area("Description", project.description, key="about_text", height=80)
            st.text_area("Intended use", project.intended_use, key="about_use", height=80)
            st.toggle(
                "A digit saves and goes to the next case",
                project.digit_advances,
                key="about_advance",
                disabled=several or not isinstance(project.schema, Classification),
            )
            st.toggle("Readers answer blind first", project.blind_first, key="about_blind", help=BLIND_HELP)
            st.form_submit_button("Save", on_click=save_texts, key="about_save")
        draw_schema_editor(project)
        draw_options(project)
        draw_assist_choice(project)
        draw_assignments(project)
        places.link("users", "Who may do what here", project=project.id)
    draw_project_deletion(project)
with right:
    st.subheader("Answers", anchor=False)
    share = progress.labelled_by_anyone / progress.total if progress.total else 0.0
    st.progress(
        share,
        text=f"{progress.labelled_by_anyone:,} of {progress.total:,} cases answered by somebody, "
        f"{progress.mine:,} by you; {progress.referenced:,} have a reference",
    )
    if may_administer:
        kind, reader = draw_rule_choice("about", project.task, project.reference_rule)
        complete = kind != "reader" or reader
        if complete and ReferenceRule(kind, reader) != project.reference_rule:
            st.caption("Changing the rule settles every case anew. Snapshots keep what they were frozen with.")
            if st.button("Use this rule", key="about_rule_save", type="primary"):
                with messages.refusals_shown():
                    set_reference_rule(session.db(), project, ReferenceRule(kind, reader), session.actor())
                    messages.say("The reference of every case is settled anew.")
                    st.rerun()
    else:
        rule = project.reference_rule
        told = f"the newest of {rule.reader}" if rule.reader else RULE_WORDS[rule.kind].lower()
        st.caption(f"The answer that counts: {told}.")
    if session.may("export", project):
        actor = session.actor()
        with st.container(horizontal=True, vertical_alignment="center"):
            for text, history in (("Labels as CSV", False), ("With all history", True)):
                st.download_button(
                    text,
                    lambda history=history: write_labels(history, actor),
                    mime="text/csv",
                    file_name=f"labels-{project.id}.csv",
                    on_click="ignore",
                    icon=":material/download:",
                    key=f"labels_out_{history}",
                    disabled=not progress.labelled_by_anyone,
                )
            if isinstance(project.schema, Segmentation):
                st.download_button(
                    "Masks",
                    lambda: zip_masks(project, actor),
                    mime="application/zip",
                    file_name=f"masks-{project.id}.zip",
                    on_click="ignore",
                    icon=":material/download:",
                    key="masks_out",
                    help="PNG label maps of images, NIfTI of volumes, and a table of what is in them.",
                )
    if session.may("import", project):
        with st.expander("Bring labels in from a CSV", icon=":material/upload:"):
            st.caption(
                "Columns path, label, reader and further ones, as the export writes them. "
                "The same file twice changes nothing."
            )
            st.file_uploader(
                "CSV",
                type=["csv", "tsv", "txt"],
                key="labels_file",
                on_change=take_labels,
                label_visibility="collapsed",
            )
    report = st.session_state.pop("labels_report", None)
    if report:
        st.success(
            f"{report.added:,} labels added, {report.unchanged:,} were there already, {len(report.refused):,} refused."
        )
        if report.without_note:
            st.caption(f"{wording.count(report.without_note, 'note')} left out: a name may stand in one.")
        if report.refused:
            st.dataframe({"refused because": list(report.refused)}, height=220, key="labels_refused")
