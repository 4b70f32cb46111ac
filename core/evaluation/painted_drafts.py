"""What models painted, laid before readers beside what other readers painted, and what became of a draft.

A model's masks are never a reader's: they become so by being taken over, stroke by stroke as everything that is
painted. Who looked at them is noted, so that an answer can say what it began from. Where readers answer blind first,
whoever may answer sees none before their own first answer (`core.evaluation.drafts`).
"""

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.errors import InvalidInput, NotFound
from core.evaluation.records import find_predicted_masks, list_painting_models
from core.images.records import Case, get_case
from core.labels.mask_store import KeptMask, code_mask, read_kept_mask
from core.labels.masks import StoredMask, compose_edit, compose_mask, list_edits_of
from core.labels.records import NewLabel, find_current_label, find_label
from core.labels.runs import encode_runs
from core.people.accounts import User, find_user
from core.people.roles import actions_in
from core.projects.changes import present_names
from core.projects.records import Project, get_project
from core.projects.schema import Segmentation
from core.store.audit import Actor, add_audit, list_audit
from core.store.database import writing
from core.store.files import Files
from core.training.records import Model, get_model

NEWEST = 5  # models whose masks are offered to look at
LOOKED = "look at a model's masks"
TITLE = re.compile(r" \((?:draft of )?model ([0-9]{1,18})\)$")


@dataclass(frozen=True)
class Offered:
    """What a model painted on a case: `title` stands where a reader's name would, `masks` go by today's names."""

    title: str
    model: Model
    masks: dict[str, KeptMask]

    @property
    def painted(self) -> list[str]:
        """The structures with any painted pixel."""
        return [name for name, mask in self.masks.items() if mask.pixels]


def list_offered(connection: sqlite3.Connection, user: User, project: Project, case: Case) -> list[Offered]:
    """What this user may lay over the image: the draft, and of who may open test results what other models painted."""
    if not isinstance(project.schema, Segmentation):
        return []
    actions = actions_in(connection, user, project.id)
    labels = "label" in actions
    if labels and project.blind_first and find_current_label(connection, case.id, user.name) is None:
        return []
    found = list_painting_models(connection, case.id)[:NEWEST] if "open test results" in actions else []
    if labels and project.assist_model is not None:
        found = [project.assist_model, *(one for one in found if one != project.assist_model)]
    offered = (_offer(connection, project, case, model) for model in found)
    return [one for one in offered if one.painted]


def is_model(connection: sqlite3.Connection, title: str) -> bool:
    """Whether a name means a model's masks; a reader may be called like that."""
    return TITLE.search(title) is not None and find_user(connection, title) is None


def find_offered(
    connection: sqlite3.Connection, user: User, project: Project, case: Case, title: str
) -> Offered | None:
    """What stands under a title; None where there is nothing, or nothing that this user may see now."""
    return next((one for one in list_offered(connection, user, project, case) if one.title == title), None)


def read_offered(files: Files, case: Case, kept: KeptMask | None) -> StoredMask:
    """A model's mask in the form of a reader's; `edit` changes with its content."""
    if kept is None:
        return StoredMask({}, 0)
    whole = read_kept_mask(files, kept.mask_hash, case)
    frames = {at: encode_runs(frame) for at, frame in enumerate(whole) if frame.any()}
    return StoredMask(frames, int(kept.mask_hash[:12], 16))


def note_look(connection: sqlite3.Connection, user: User, project: Project, case: Case, offered: Offered) -> None:
    """Keep that somebody who may answer saw what a model painted, once: it cannot be unseen."""
    if "label" not in actions_in(connection, user, project.id):
        return
    if offered.model.id in _looked_at(connection, case, user.name):
        return  # most looks are further ones: none of them waits for whoever is writing
    with writing(connection):
        if offered.model.id not in _looked_at(connection, case, user.name):
            add_audit(connection, Actor(user.name, "screen"), LOOKED, f"case {case.id}", model=offered.model.id)


def with_what_became(connection: sqlite3.Connection, new: NewLabel) -> NewLabel:
    """An answer about structures, with what became of the draft that its reader saw; the same however often it is sent.

    Of a case that is gone nothing is looked up: whoever stores the answer says what became of the case.
    """
    if new.draft is not None or new.value is None or "structures" not in new.value:
        return new
    try:
        case = get_case(connection, new.case_id)
    except NotFound:
        return new
    project = get_project(connection, case.project)
    known = find_label(connection, project.id, new.event)
    return replace(new, draft=known.draft if known else what_became(connection, project, case, new.reader))


def what_became(connection: sqlite3.Connection, project: Project, case: Case, reader: str) -> dict[str, Any] | None:
    """Of the model whose masks a reader took over: accepted as they are, or edited. Of a draft that was seen and not
    taken over: rejected. None where nothing was seen."""
    seen = [_offer(connection, project, case, model) for model in _looked_at(connection, case, reader)]
    for one in seen:
        taken = [name for name in one.painted if _was_taken(connection, project, case, reader, name, one.masks[name])]
        if taken:
            kept = {name: code_mask(name, compose_mask(connection, case, reader, name))[0] for name in one.masks}
            same = all(kept[name].mask_hash == mask.mask_hash for name, mask in one.masks.items())
            return _told(one, "accepted" if same else "edited")
    return next((_told(one, "rejected") for one in seen if one.model.id == project.assist_model), None)


def demand_offered_structures(connection: sqlite3.Connection, project: Project, model: Model) -> None:
    """Refuse a model as the one whose drafts readers are offered where they could not take all of them over.

    Raises:
        InvalidInput: it paints structures that the project no longer offers.
    """
    schema, names = project.schema, present_names(connection, project)
    offered = [one.name for one in schema.offered] if isinstance(schema, Segmentation) else []
    painted = [names.get(one["name"], one["name"]) for one in model.facts.get("structures", ())]
    if missing := [name for name in painted if name not in offered]:
        raise InvalidInput(
            f"This model paints structures that the project no longer offers; choose another. "
            f"Received: {model.name} with {', '.join(missing)}"
        )


def _offer(connection: sqlite3.Connection, project: Project, case: Case, model_id: int) -> Offered:
    model, names = get_model(connection, project.id, model_id), present_names(connection, project)
    found: Mapping[str, KeptMask] = {
        names.get(mask.structure, mask.structure): mask for mask in find_predicted_masks(connection, model_id, case.id)
    }
    draft = "draft of " if model_id == project.assist_model else ""
    masks = {name: found[name] for name in project.schema.names if name in found}  # type: ignore[union-attr]
    return Offered(f"{model.name} ({draft}model {model_id})", model, masks)


def _looked_at(connection: sqlite3.Connection, case: Case, reader: str) -> list[int]:
    """The models whose masks of a case a reader has seen, the last one first."""
    rows = list_audit(connection, who=reader, what=LOOKED, subject=f"case {case.id}", limit=None)
    return list(dict.fromkeys(int(row.detail["model"]) for row in rows))


def _was_taken(
    connection: sqlite3.Connection, project: Project, case: Case, reader: str, structure: str, kept: KeptMask
) -> bool:
    """Whether one of a reader's strokes is the whole mask of the model, as taking it over makes it."""
    names = present_names(connection, project)
    edits = [
        edit
        for edit, name in list_edits_of(connection, case.id, reader, pixels=kept.pixels)
        if names.get(name, name) == structure
    ]
    return any(
        code_mask(structure, compose_edit(connection, case, edit))[0].mask_hash == kept.mask_hash for edit in edits
    )


def _told(offered: Offered, outcome: str) -> dict[str, Any]:
    return {"model": offered.model.id, "outcome": outcome, "value": {"structures": offered.painted}}
