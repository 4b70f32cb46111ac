"""Drawn images become cases: marked in the database, in their source, in what is known of them and in their thumbnail.

The mark is never taken away, nobody is given them to read, and a snapshot has them in train or nowhere
(`core.datasets.synthetic`).
"""

import io
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.errors import InvalidInput
from core.images.perceptual import perceptual_hash
from core.images.records import NewCase, find_same_source, insert_case
from core.images.synthetic_mark import SYNTHETIC
from core.images.thumbnails import thumbnail_of
from core.people.roles import demand_of
from core.projects.changes import offered_names
from core.projects.records import Project
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.store.files import Files

DRAWN = "drawn.json"


def keep_drawn(
    connection: sqlite3.Connection,
    files: Files,
    into: Project,
    folder: Path,
    places: Sequence[int] | None,
    actor: Actor,
) -> list[int]:
    """Keep drawn images as synthetic cases of a project; those that are there already are left as they are.

    Args:
        folder: what a drawing left: the PNG files and `drawn.json`.
        places: which of them; None for all.

    Returns:
        The ids of the cases, in the order of the places.

    Raises:
        InvalidInput: the project has no such class, or nothing was drawn there.
        NotAllowed: the actor may not import into the project.
    """
    document = _read(folder)
    name = document["wanted"]["class"]
    demand_room(connection, into, name, actor)
    rows = [row for row in document["images"] if places is None or row["place"] in places]
    if not rows:
        raise InvalidInput(f"Choose at least one image to keep. Received: {list(places or [])}")
    new = [_case(files, into, document, folder / row["file"], row["place"], actor) for row in rows]
    ids = []
    with writing(connection):
        for one in new:
            known = find_same_source(connection, into.id, one.source)
            ids.append(known[0].id if known else insert_case(connection, one).id)
        told = {"images": len(ids), "class": name, "model": document["model"], "model_hash": document["model_hash"]}
        add_audit(connection, actor, "keep synthetic images", f"project {into.id}", **told)
    return ids


def takes_drawn(connection: sqlite3.Connection, into: Project, name: str) -> bool:
    """Whether a project has the class on offer that an image was drawn for, whatever it is called by now: a model draws
    under the names that it has learnt."""
    return name in offered_names(connection, into)


def demand_room(connection: sqlite3.Connection, into: Project, name: str, actor: Actor) -> None:
    """Refuse a project into which drawn images of a class cannot be kept, also before they are drawn.

    Raises:
        InvalidInput: the project has no such class.
        NotAllowed: the actor may not import into it.
    """
    demand_of(connection, actor, "import", into.id)
    if not takes_drawn(connection, into, name):
        raise InvalidInput(f"Keep images in a project that has their class. Received: {name} for {into.name}")


def _read(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / DRAWN).read_text("utf-8")))
    except FileNotFoundError as error:
        raise InvalidInput(f"Draw images first; nothing was drawn there. Received: {folder.name}") from error


def _case(files: Files, into: Project, document: dict[str, Any], path: Path, place: int, actor: Actor) -> NewCase:
    pixels = np.array(Image.open(io.BytesIO(path.read_bytes())))
    wanted, pixel_hash = document["wanted"], files.put_array("pixels", pixels)
    files.put_under("thumbnails", pixel_hash, thumbnail_of(pixels, said=SYNTHETIC))
    of = f"{document['model_hash'][:12]}-{document['seed']}-{wanted['class']}"
    known = {key: f"{wanted[key]}" for key in ("sex", "age") if key in wanted}
    mark = {key: document[key] for key in ("model", "model_hash", "project", "seed")}
    return NewCase(
        project=into.id,
        source="/".join(["synthetic", of, *known.values(), path.name]),
        patient=f"synthetic {of} {' '.join(known.values())} {place}".replace("  ", " "),
        patient_from="none",
        pixel_hash=pixel_hash,
        file_hash=pixel_hash,
        perceptual_hash=perceptual_hash(pixels),
        rows=pixels.shape[0],
        columns=pixels.shape[1],
        channels=1 if pixels.ndim == 2 else pixels.shape[2],
        dtype=str(pixels.dtype),
        photometric="MONOCHROME2" if pixels.ndim == 2 else "RGB",
        imported_by=actor.name,
        attributes={**known, "synthetic": document["model"]},
        synthetic={**mark, **wanted, "place": place},
    )
