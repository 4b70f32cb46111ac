"""Drawn images on screen: the samples of each epoch, and how good a model's images are beside what it was shown."""

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from core.errors import NotFound
from core.images.records import get_case
from core.jobs.context import job_folder
from core.projects.records import Project
from core.training.records import Run
from core.training.samples import list_samples, read_rows
from dashboard import evaluation_view, places, session, wording
from dashboard.pictures import source_of
from dashboard.prefix import at

WORDS = {
    "fid_like": "Fréchet distance (fid_like)",
    "memorised": "Memorised",
    "class_consistency": "Class as asked for",
    "judge_accuracy": "Judge right on real images",
    "memorised_pixels": "Close by pixels",
    "memorised_features": "Close by features",
    "real_close": "Real images as close",
}
MIRRORED = {"left-right": "left-right", "up-down": "up-down", "both": "left-right and up-down"}
SYNTHETIC = "Synthetic: drawn by a model, no patient."


def draw_headline(result: Mapping[str, Any]) -> None:
    """The numbers as tiles, each with its interval, and what they mean."""
    evaluation_view.draw_headline(result, words=WORDS, say=_say)


def describe_sample(result: Mapping[str, Any]) -> str:
    """On how many real and drawn images the numbers stand, who judged, and what counts as memorised."""
    judge, way = result["judge"], MIRRORED.get(result.get("mirrored", ""))
    shown = f" Training mirrored images {way}, so that a mirror image counts as well." if way else ""
    return (
        f"{wording.count(result['n_samples'], 'image')} drawn for the class, sex and age of these cases. Judged by a "
        f"small {judge['network']} trained on the same {judge['trained_on']:,} training images. Memorised: closer to a "
        f"training image, by pixels and by features, than all but {result['close_percentile']:g} % of training images "
        f"are to their nearest of another patient; real images of this split pass the same test as told beside it."
        f"{shown}"
    )


def draw_pairs(result: Mapping[str, Any], project: Project) -> None:
    """Drawn images each beside its nearest training image: those that lie closest, then others."""
    parts = []
    for title, closest in (("Closest to a training image", True), ("Others, evenly from all", False)):
        pairs = [pair for pair in result["pairs"] if pair["closest"] is closest]
        if not pairs:
            continue
        parts.append(
            f"<p><b>{title}</b>: drawn on the left, its nearest training image by pixels on the right</p>"
            f'<div class="rr-grid rr-pairs">{"".join(_pair(pair, project) for pair in pairs)}</div>'
        )
    st.html(f'<div class="rr-rest">{"".join(parts)}</div>')
    st.caption(SYNTHETIC + " Distances are Euclidean, of grey values from 0 to 1.")


def _pair(pair: Mapping[str, Any], project: Project) -> str:
    try:
        case = get_case(session.db(), pair["case"])
        known = f'<img src="{at(f"/api/v1/thumbnails/{case.pixel_hash}.webp")}" alt="training image" loading="lazy">'
        link = places.address("case", project=project.id, case=case.id)
    except NotFound:
        known, link = '<div class="rr-gone">erased</div>', ""
    drawn = f'<img src="data:image/png;base64,{pair["png"]}" alt="drawn image">'
    said = "memorised" if pair["memorised"] else f"{pair['pixel_distance']:.2f} apart"
    judged = "" if pair["right"] else ", judged otherwise"
    tag = f'a href="{escape(link)}" target="_self"' if link else "a"
    return (
        f'<{tag} class="{"wrong" if pair["memorised"] else ""}"><div class="rr-pair">{drawn}{known}</div>'
        f'<div class="rr-caption"><span class="rr-name">{escape(pair["class"])}{judged}</span>'
        f'<span class="rr-name">{said}</span></div></a>'
    )


def draw_samples(run: Run, *, choose: bool) -> None:
    """The grid that an epoch drew, the last one, or with `choose` any; a row is a class."""
    grids = list_samples(job_folder(session.settings(), run.job)) if run.job else ()
    if not grids:
        return
    epochs = [int(path.stem) for path in grids]
    shown = epochs[-1]
    if choose and len(epochs) > 1:
        shown = st.select_slider("Samples of epoch", epochs, value=epochs[-1], key=f"samples_{run.id}_{len(epochs)}")
    grid = grids[epochs.index(shown)].read_bytes()
    rows = escape(read_rows(grid))
    rows = f"Rows from above: {rows}." if rows else "A row for each class."
    st.html(
        f'<figure class="rr-samples"><img src="{source_of(grid)}" alt="samples of epoch {shown}">'
        f"<figcaption>Epoch {shown}, from the same random numbers in each epoch. {rows} {SYNTHETIC}</figcaption>"
        "</figure>"
    )


def _say(name: str, value: float | None) -> str:
    if value is None or name == "fid_like":
        return wording.number(value)
    return f"{100 * value:.1f} %"
