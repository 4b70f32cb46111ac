"""What is known of one case beside its image: history of labels, attributes, comments, what models say."""

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from core.evaluation.painted_drafts import Offered
from core.images.grids import is_uneven
from core.images.headers import list_overlaps
from core.images.records import Case, find_same_pixels, set_flag
from core.labels.masks import list_painted, volume_ml
from core.labels.records import Label, current_labels, find_reference, list_labels
from core.projects.records import Project
from core.projects.schema import Classification, Regression, Segmentation
from core.reviews.comments import add_comment, list_comments
from core.tasks.regression import decode_scores, numbers_said
from core.training.records import Model
from dashboard import correction, messages, places, session, wording

LATER = "after your own answer"
REFERENCE_WORDS = {"tied": "readers are tied", "unusable": "unusable image"}


def reference_html(case: Case, project: Project) -> str:
    """The reference answer, or why there is none."""
    reference = find_reference(session.db(), case.id)
    if reference is None:
        return '<span class="rr-quiet">nobody whose answer counts has answered</span>'
    if reference.value is None:
        return f'<span class="rr-quiet">{REFERENCE_WORDS.get(reference.state, reference.state)}</span>'
    return wording.chips(reference.value, project.schema)


def draw_labels(case: Case, project: Project, *, of_others: bool = True) -> None:
    """Every answer ever given, newest first; those that were replaced stay, quietly. A blind reader sees their own.

    Beside what counts today stands a way to correct it, for those who may, and below all what an own answer would do.
    """
    name = session.current_user().name
    labels = [label for label in list_labels(session.db(), case.id) if of_others or label.reader == name]
    if not labels:
        st.caption("Nobody has answered yet." if of_others else "You have not answered yet.")
    replaced = {label.replaces for label in labels}
    counting = {label.id for label in current_labels(session.db(), case.id)}
    for label in labels:
        st.html(_label_html(label, project, quiet=label.id in replaced))
        if label.id in counting and correction.may_correct(label, project):
            correction.draw_correction(label, project)
    correction.draw_effect(project)


def _label_html(label: Label, project: Project, *, quiet: bool) -> str:
    if label.withdrawn:
        said = '<span class="rr-quiet">withdrawn</span>'
    else:
        said = wording.chip("unusable image", "") if label.unusable else wording.chips(label.value, project.schema)
    details = "".join(f'<span class="rr-quiet">{escape(detail)}</span>' for detail in _details(label))
    note = f"<br>{escape(label.note)}" if label.note else ""
    entered = f", entered by {escape(label.entered_by)}" if label.entered_by != label.reader else ""
    return (
        f'<p class="rr-comment{" rr-past" if quiet else ""}"><b>{escape(label.reader)}</b> {said} {details}{note}'
        f"<br><small>{wording.moment(label.made_at)}, {escape(label.made_in)}{entered}</small></p>"
    )


def _details(label: Label) -> list[str]:
    """What was said along with an answer, and how it came about."""
    told = []
    if label.unusable_reason:
        told.append(f"because: {label.unusable_reason}")
    if label.unsure:
        told.append("unsure")
    if label.confidence is not None:
        told.append(f"confidence {label.confidence} of 5")
    if label.draft is not None:
        whose = "a model's draft" if label.made_in == "import" else f"draft of model {label.draft['model']}"
        told.append(f"{whose} {label.draft['outcome']}")
    if label.active_seconds is not None:
        told.append(f"{label.active_seconds:.0f} s")
    return [", ".join(told)] if told else []


def draw_masks(case: Case, project: Project, offered: Sequence[Offered], *, of_others: bool = True) -> None:
    """What is painted on the case, reader by reader, then by models: volumes where they are known, else pixels."""
    if not isinstance(project.schema, Segmentation):
        return
    reader = None if of_others else session.current_user().name
    colours = {one.name: one.colour for one in project.schema.structures}
    found = [(one.reader, one.structure, one.pixels) for one in list_painted(session.db(), case.id, reader=reader)]
    found += [(one.title, name, one.masks[name].pixels) for one in offered for name in one.painted]
    rows = [
        f'<p class="rr-comment"><b>{escape(painter)}</b> '
        f"{wording.chip(structure, colours.get(structure, ''))} "
        f'<span class="rr-quiet">{_amount(case, pixels)}</span></p>'
        for painter, structure, pixels in found
    ]
    st.html("".join(rows) or '<p class="rr-quiet">Nothing is painted yet.</p>')


def _amount(case: Case, pixels: int) -> str:
    volume = volume_ml(case, pixels)
    told = f"{pixels:,} {'voxels' if case.frames > 1 else 'px'}"
    return told if volume is None else f"{volume:,.2f} ml, {told}"


def draw_scores(scores: Mapping[str, float], schema: Classification) -> None:
    """The model's probability for each class that it knows, as bars in the class's colour."""
    colours = {label.name: label.colour for label in schema.classes}
    st.html(
        "".join(
            f'<div class="rr-score"><span>{escape(name)}</span><div class="rr-bar">'
            f'<i style="width:{100 * score:.1f}%;background:{escape(colours.get(name, ""))}"></i></div>'
            f"<span>{score:.3f}</span></div>"
            for name, score in scores.items()
        )
    )


def draw_number(scores: Sequence[float], schema: Regression, model: Model) -> None:
    """Each number that a model says, in its unit, with the interval around it."""
    lines = []
    for one in numbers_said(schema, decode_scores(schema, scores), model.calibration):
        around = "no interval"
        if interval := one["interval"]:
            ends = f"{wording.measured(interval['low'])} to {wording.measured(interval['high'])}"
            around = f"{ends} in {wording.percent(interval['level'])} of cases"
        named = f"{escape(one['target'])} " if schema.further else ""
        said = escape(f"{wording.measured(one['value'])} {one['unit']}")
        lines.append(f'<p class="rr-comment">{named}<b>{said}</b> <span class="rr-quiet">{around}</span></p>')
    st.html("".join(lines))


def draw_synthetic(case: Case) -> None:
    """What an image is that no patient is behind, where nobody can overlook it."""
    drawn = case.synthetic or {}
    wanted = ", ".join(str(drawn[key]) for key in ("class", "sex", "age") if key in drawn)
    st.warning(
        f"**Synthetic.** Drawn by {drawn.get('model')} for {wanted}, seed {drawn.get('seed')}, place "
        f"{drawn.get('place')}. No patient; read by nobody; it can be learnt from and never tested on.",
        icon=":material/auto_awesome:",
    )


def draw_state(case: Case) -> None:
    """What somebody should know before they look: that readers do not see the case yet, or that there is more of it."""
    if case.held:
        st.warning("Held for a check of its pixels: readers do not see it.", icon=":material/visibility_lock:")
        places.link("check_pixels", "Check its pixels", project=case.project, case=case.id)
    for other, frames in list_overlaps(session.db(), case):
        link = f'<a href="{places.address("case", case=other)}" target="_self">case {other}</a>'
        told = (
            f"A part of {link}, which has {frames} slices, these {case.frames} among them."
            if frames > case.frames
            else f"{frames} of these {case.frames} slices came in before, as {link}; what was said of them is there."
        )
        st.html(f'<p class="rr-said">{told}</p>')


def draw_facts(case: Case, *, of_others: bool = True) -> None:
    """Where the image came from and what is known of it; to a blind reader nothing that may say the answer."""
    same = [other for other in find_same_pixels(session.db(), case.project, case.pixel_hash) if other.id != case.id]
    patient = case.patient + (" (not known: counted as a patient of its own)" if case.patient_from == "none" else "")
    given = {"Split in the table": case.given_split} if case.given_split else {}
    facts = {
        "Case": str(case.id),
        "File": case.source if of_others else LATER,
        "Patient": patient if of_others or case.patient_from == "dicom" else LATER,
        "Image": f"{case.columns} × {case.rows} px, {case.dtype}, {wording.count(case.channels, 'channel')}",
        **({"Frames": f"{case.frames:,}"} if case.frames > 1 else {}),
        "Spacing": _spacing(case),
        **({"Orientation": _orientation(case)} if case.frames > 1 else {}),
        **({"Modality": case.modality} if case.modality else {}),
        **({"View": case.view} if case.view else {}),
        **({**given, **case.attributes} if of_others else {"Further facts": LATER}),
    }
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts.items())
    twins = ", ".join(
        f'<a href="{places.address("case", case=other.id)}" target="_self">case {other.id}</a>' for other in same
    )
    st.html(f'<dl class="rr-facts">{rows}{f"<dt>Same pixels</dt><dd>{twins}</dd>" if same else ""}</dl>')


def _spacing(case: Case) -> str:
    if case.spacing_mm is None:
        return "not known: px only"
    between = ", frames unevenly apart" if is_uneven(case) else ""
    between = between if case.slice_spacing_mm is None else f", {case.slice_spacing_mm:.4g} mm between frames"
    return f"{case.spacing_mm[0]:.4g} × {case.spacing_mm[1]:.4g} mm at {case.spacing_at}{between}"


def _orientation(case: Case) -> str:
    return "known" if case.affine else "not known: no letters, frames as in the file"


def draw_comments(case: Case, model: int | None = None, *, of_others: bool = True) -> None:
    """What was said about the case, and a line to say more. A blind reader sees what they said themselves."""
    name = session.current_user().name
    for comment in (comment for comment in list_comments(session.db(), case.id) if of_others or comment.author == name):
        st.html(
            f'<p class="rr-comment"><b>{escape(comment.author)}</b> '
            f"<small>{wording.moment(comment.created_at)}</small><br>{escape(comment.text)}</p>"
        )
    with st.form(f"comment_{case.id}", clear_on_submit=True, border=False):
        text = st.text_input("Comment", placeholder="Say something about this case", label_visibility="collapsed")
        if st.form_submit_button("Comment", key=f"comment_send_{case.id}") and text.strip():
            with messages.refusals_shown():
                add_comment(session.db(), case.id, text, actor=session.actor(), model=model)
                st.rerun()


def draw_flag(case: Case) -> None:
    """The mark for a second look."""
    st.button(
        "Take the flag away" if case.flagged else "Flag",
        icon=":material/flag:",
        key=f"flag_{case.id}",
        on_click=_flag,
        args=(case.id, not case.flagged),
        shortcut="f",
        help="For a second look; a worklist of its own.",
    )


def _flag(case_id: int, flagged: bool) -> None:
    with messages.refusals_told():
        set_flag(session.db(), case_id, flagged, session.actor())
