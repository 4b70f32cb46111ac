"""Members of an ensemble on screen: who they are, how each does, how far they are apart."""

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from core.evaluation.records import list_evaluations
from core.tasks import task_module
from core.training.ensemble import member_ids
from core.training.records import Model, Run, get_model, get_run
from dashboard import places, session, wording


def describe_network(model: Model, run: Run) -> str:
    """What answers, in a few words: a network, so many models, or one that is asked several times."""
    members, views = model.facts.get("members", ()), model.facts.get("views")
    name = f"{len(members)} members" if len(members) > 1 else run.recipe.network
    return f"{name}, {len(views)} views" if views else name


def draw_members(model: Model) -> None:
    """A row a member, with its number on its own validation split, and the spread between them."""
    metric = task_module(model.task).HEADLINE
    rows, found = [], []
    for number in member_ids(model):
        member = get_model(session.db(), model.project, number)
        run = get_run(session.db(), member.run)
        value = (member.facts.get("validation") or {}).get(metric)
        found += [value] if isinstance(value, float) else []
        address = places.address("models", project=model.project, model=member.id)
        rows.append(
            f'<tr><td><a href="{address}" target="_self">{escape(member.name)}</a></td>'
            f"<td>{escape(run.recipe.network)}</td><td>{'–' if run.fold is None else run.fold}</td>"
            f"<td>{run.recipe.seed}</td><td>{wording.number(value)}</td></tr>"
        )
    titles = ("member", "network", "fold", "seed", f"{metric.replace('_', ' ')}, validation")
    head = "".join(f"<th>{title}</th>" for title in titles)
    st.html(f'<table class="rr-numbers"><tr>{head}</tr>{"".join(rows)}</table>')
    if len(found) > 1:
        st.caption(
            f"From {wording.number(min(found))} to {wording.number(max(found))} over {len(found)} members, each on its "
            "own validation cases; no intervals: evaluate gives them."
        )
    if views := model.facts.get("views"):
        st.caption(_describe_views(views))
    newest = next((one for one in list_evaluations(session.db(), model_id=model.id) if "spread" in one.result), None)
    if newest:
        st.caption(describe_spread(newest.result))


def describe_spread(result: Mapping[str, Any]) -> str:
    """How the members did on the cases that the ensemble was measured on, as a sentence."""
    members, spread = result["members"], result["spread"]
    said = ", ".join(f"{one['name']}: {wording.number(one['value'])}" for one in members)
    return (
        f"Members on the same cases, {members[0]['metric'].replace('_', ' ')}: {said}. They are "
        f"{wording.number(spread['value'])} apart on a case (standard deviation, mean over n = {spread['n']:,})."
    )


def _describe_views(views: list[dict[str, float]]) -> str:
    """The ways in which an image is moved, once each."""
    ways = [f"shifted by {100 * max(view['right'] for view in views):.2g} % of its side each way"]
    ways = ways if any(view["right"] for view in views) else []
    if turn := max(view["turn"] for view in views):
        ways.append(f"turned by {turn:.2g}° each way")
    ways += ["mirrored left-right"] if any(view["mirrored"] for view in views) else []
    ways += ["mirrored up-down"] if any(view["inverted"] for view in views) else []
    return f"Test-time augmentation: the mean over {len(views)} views of each image: as it is, {', '.join(ways)}."
