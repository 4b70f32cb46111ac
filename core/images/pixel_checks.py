"""Images that may have a name in their pixels: held until a person blacks it out, or says that there is none.

While a case is held, only those who may import see it, it is in nobody's worklist, and no snapshot takes it.
What was blacked out is gone: the pixels of before are removed from the store.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from core.clock import utc_now
from core.errors import Conflict, InvalidInput, NotAllowed, NotFound
from core.images.decoded import DecodedImage, Pixels
from core.images.dicom_headers import header_with_clean_pixels
from core.images.headers import list_headers, replace_header
from core.images.perceptual import perceptual_hash
from core.images.records import Case, get_case
from core.images.render import to_uint8
from core.images.thumbnails import thumbnail_of
from core.images.volumes import HasFrames
from core.people.accounts import User
from core.people.roles import demand_of, may
from core.projects.records import Project
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.store.files import Files

State = Literal["held", "cleared", "blacked"]


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the stored image: from `left`, `top` up to, not including, the other corner."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class PixelCheck:
    """What is known of one case's pixels; of one that is held, `boxes` are what somebody has drawn so far."""

    case_id: int
    project: int
    state: State
    reason: str
    device: str
    before_hash: str | None
    boxes: tuple[Box, ...]
    by: str | None
    at: str


@dataclass(frozen=True)
class Template:
    """Boxes that cover what one device burns in; `name` says in the standard's words which device it is."""

    device: str
    name: str
    boxes: tuple[Box, ...]
    made_by: str
    made_at: str


def hold(
    connection: sqlite3.Connection, case: Case, reason: str, device: str, template: "Template | None" = None
) -> PixelCheck:
    """Hold a case that is being imported; the caller holds the transaction of its insertion.

    With a `template` its pixels were blacked out by that already (`blacked_by`), and it is free.
    """
    with writing(connection):
        connection.execute("UPDATE cases SET held = 1 WHERE id = ?", (case.id,))
        connection.execute(
            "INSERT INTO pixel_checks (case_id, project, state, reason, device, at) VALUES (?, ?, 'held', ?, ?, ?)",
            (case.id, case.project, reason, device, utc_now()),
        )
        if template:
            by = Actor(template.made_by, "job")
            _settle(connection, get_check(connection, case.id), "blacked", by, template.boxes)
        return get_check(connection, case.id)


def find_check(connection: sqlite3.Connection, case_id: int) -> PixelCheck | None:
    """What is known of a case's pixels; None where the header let the image pass."""
    row = connection.execute("SELECT * FROM pixel_checks WHERE case_id = ?", (case_id,)).fetchone()
    return _check(row) if row is not None else None


def get_check(connection: sqlite3.Connection, case_id: int) -> PixelCheck:
    """What is known of a case's pixels.

    Raises:
        NotFound: the case was never held.
    """
    found = find_check(connection, case_id)
    if found is None:
        raise NotFound("pixel check of case", case_id)
    return found


def list_held(connection: sqlite3.Connection, project: int, *, most: int | None = None) -> list[PixelCheck]:
    """The cases of a project that wait, oldest first."""
    rows = connection.execute(
        "SELECT * FROM pixel_checks WHERE project = ? AND state = 'held' ORDER BY case_id LIMIT ?",
        (project, -1 if most is None else most),
    )
    return [_check(row) for row in rows]


def count_held(connection: sqlite3.Connection, project: int) -> int:
    """How many cases of a project wait."""
    query = "SELECT count(*) FROM cases WHERE project = ? AND held = 1"
    return int(connection.execute(query, (project,)).fetchone()[0])


def list_held_of_device(connection: sqlite3.Connection, project: int, device: str) -> list[int]:
    """The cases of one device that wait."""
    rows = connection.execute(
        "SELECT case_id FROM pixel_checks WHERE project = ? AND state = 'held' AND device = ? ORDER BY case_id",
        (project, device),
    )
    return [row["case_id"] for row in rows]


def may_see_held(connection: sqlite3.Connection, user: User, project: int) -> bool:
    """Whether a user sees cases that wait: who may import decides on them."""
    return may(connection, user, "import", project) or may(connection, user, "administer", project)


def demand_released(connection: sqlite3.Connection, user: User, case: Case) -> None:
    """Refuse a held case to readers.

    Raises:
        NotAllowed: somebody has to look at its pixels first; the sentence says why.
    """
    if case.held and not may_see_held(connection, user, case.project):
        check = find_check(connection, case.id)
        raise NotAllowed(
            f"Somebody who may import has to look at the pixels of this image first. "
            f"Received: case {case.id}. {check.reason if check else ''}".strip()
        )


# ---- what a person decides


def note_boxes(connection: sqlite3.Connection, case_id: int, boxes: Sequence[Box], actor: Actor) -> None:
    """Keep what is drawn on a held image, so that it is there when its page is opened again.

    Raises:
        NotFound: the case was never held.
        NotAllowed: the actor may not import into its project.
        Conflict: somebody has decided already.
    """
    with writing(connection):
        _waiting(connection, case_id, actor)
        connection.execute("UPDATE pixel_checks SET boxes = ? WHERE case_id = ?", (_boxes_text(boxes), case_id))


def release(connection: sqlite3.Connection, case_id: int, actor: Actor) -> PixelCheck:
    """Say that nothing in the pixels names anybody.

    Raises:
        NotFound: the case was never held.
        NotAllowed: the actor may not import into its project.
        Conflict: somebody has decided already.
    """
    with writing(connection):
        check = _waiting(connection, case_id, actor)
        _settle(connection, check, "cleared", actor)
        add_audit(connection, actor, "release pixels", f"case {case_id}", reason=check.reason)
        return get_check(connection, case_id)


def black_out(
    connection: sqlite3.Connection, files: Files, case_id: int, boxes: Sequence[Box], actor: Actor
) -> PixelCheck:
    """Paint boxes black, on every frame, and release the case. What was under them is gone.

    Call `core.erasing.erase.finish_erasing` after it: the file of before is on its list.

    Raises:
        NotFound: the case was never held.
        NotAllowed: the actor may not import into its project.
        Conflict: somebody has decided already.
        InvalidInput: no box, or one that lies outside the image.
    """
    case = get_case(connection, case_id)
    _waiting(connection, case_id, actor)
    fitting = _fitting(boxes, case)
    blacked = blacken(files.read_array("pixels", case.pixel_hash), fitting, case)
    picture = blacked if case.frames == 1 else blacked[case.frames // 2]
    seen = to_uint8(picture, case.photometric, case.windows)
    new_hash = files.put_array("pixels", blacked)
    if not files.has("thumbnails", new_hash):
        files.put_under("thumbnails", new_hash, thumbnail_of(seen))
    headers = [
        (old, files.put_bytes("headers", header_with_clean_pixels(files.read_bytes("headers", old.header_hash))))
        for old in list_headers(connection, case_id)
    ]
    with writing(connection):
        check = _waiting(connection, case_id, actor)
        connection.execute(
            "UPDATE cases SET pixel_hash = ?, perceptual_hash = ? WHERE id = ?",
            (new_hash, perceptual_hash(seen), case_id),
        )
        for old, header_hash in headers:
            replace_header(connection, old, header_hash)
        before = None if new_hash == case.pixel_hash else case.pixel_hash
        _settle(connection, check, "blacked", actor, fitting, before)
        if before:
            _list_to_erase(connection, files, before)
        add_audit(connection, actor, "black out pixels", f"case {case_id}", reason=check.reason,
                  boxes=[asdict(box) for box in fitting])  # fmt: skip
        return get_check(connection, case_id)


def blacken(pixels: Pixels, boxes: Sequence[Box], case: Case) -> Pixels:
    """The pixels with the darkest value that is shown inside the boxes, on every frame."""
    return _blackened(pixels, boxes, case)


def _blackened(pixels: Pixels, boxes: Sequence[Box], of: HasFrames) -> Pixels:
    blacked = np.array(pixels)
    dark = 0 if of.photometric == "RGB" else _darkest(pixels, of)
    across = (slice(None),) if of.frames > 1 else ()
    for box in boxes:
        blacked[(*across, slice(box.top, box.top + box.height), slice(box.left, box.left + box.width))] = dark
    return blacked


def _darkest(pixels: Pixels, of: HasFrames) -> Any:
    """Of the least and the greatest value the one that is shown darker, also by a table that turns black and white."""
    ends = np.array([[pixels.min(), pixels.max()]])
    at_least, at_most = to_uint8(ends, of.photometric, of.windows)[0]
    turned = at_most < at_least or (at_most == at_least and of.photometric == "MONOCHROME1")
    return ends[0, int(turned)]


# ---- templates


def save_template(connection: sqlite3.Connection, case: Case, boxes: Sequence[Box], actor: Actor) -> Template:
    """Keep boxes for the next images of the device that made this one.

    Raises:
        NotFound: the case was never held.
        NotAllowed: the actor may not import into its project.
        InvalidInput: no box, or one that lies outside the image.
    """
    with writing(connection):
        demand_of(connection, actor, "import", case.project)
        check, fitting = get_check(connection, case.id), _fitting(boxes, case)
        name = f"{case.modality or 'Unknown modality'}, {case.columns} x {case.rows}"
        connection.execute(
            "INSERT OR REPLACE INTO device_templates VALUES (?, ?, ?, ?, ?, ?)",
            (case.project, check.device, name, _boxes_text(fitting), actor.name, utc_now()),
        )
        add_audit(connection, actor, "save blackout template", f"project {case.project}", device=name,
                  boxes=[asdict(box) for box in fitting])  # fmt: skip
        return Template(check.device, name, fitting, actor.name, utc_now())


def find_template(connection: sqlite3.Connection, project: int, device: str) -> Template | None:
    """The template of a device, if somebody has saved one."""
    row = connection.execute(
        "SELECT * FROM device_templates WHERE project = ? AND device = ?", (project, device)
    ).fetchone()
    return _template(row) if row is not None else None


def template_for(connection: sqlite3.Connection, project: Project, image: DecodedImage) -> Template | None:
    """The template that an image about to be imported is blacked out by, where the project says so."""
    if not image.to_check or not project.deidentification.apply_templates:
        return None
    return find_template(connection, project.id, image.device)


def blacked_by(image: DecodedImage, template: Template) -> DecodedImage:
    """An image about to be stored with the boxes of its device's template painted black."""
    pixels = _blackened(image.pixels, template.boxes, image)
    headers = tuple(replace(one, content=header_with_clean_pixels(one.content)) for one in image.headers)
    return replace(image, pixels=pixels, headers=headers)


def remove_template(connection: sqlite3.Connection, project: int, device: str, actor: Actor) -> None:
    """Forget the template of a device.

    Raises:
        NotFound: there is none.
        NotAllowed: the actor may not import into the project.
    """
    with writing(connection):
        demand_of(connection, actor, "import", project)
        found = find_template(connection, project, device)
        if found is None:
            raise NotFound("template", device)
        connection.execute("DELETE FROM device_templates WHERE project = ? AND device = ?", (project, device))
        add_audit(connection, actor, "remove blackout template", f"project {project}", device=found.name)


# ----


def _waiting(connection: sqlite3.Connection, case_id: int, actor: Actor) -> PixelCheck:
    check = get_check(connection, case_id)
    demand_of(connection, actor, "import", check.project)
    if check.state != "held":
        raise Conflict(f"Somebody has decided on this image already. Received: case {case_id}, {check.state}")
    return check


def _settle(
    connection: sqlite3.Connection,
    check: PixelCheck,
    state: State,
    actor: Actor,
    boxes: Sequence[Box] = (),
    before_hash: str | None = None,
) -> None:
    connection.execute("UPDATE cases SET held = 0 WHERE id = ?", (check.case_id,))
    connection.execute(
        'UPDATE pixel_checks SET state = ?, boxes = ?, before_hash = ?, "by" = ?, at = ? WHERE case_id = ?',
        (state, _boxes_text(boxes), before_hash, actor.name, utc_now(), check.case_id),
    )


def _list_to_erase(connection: sqlite3.Connection, files: Files, pixel_hash: str) -> None:
    """The worker, or the caller, removes them; those that another case shows too stay."""
    paths = [files.path(shelf, pixel_hash).relative_to(files.root).as_posix() for shelf in ("pixels", "thumbnails")]
    # What training has prepared from held pixels cannot be: no snapshot takes a held case.
    connection.executemany("INSERT OR IGNORE INTO files_to_erase (path) VALUES (?)", ((path,) for path in paths))


def _fitting(boxes: Sequence[Box], case: Case) -> tuple[Box, ...]:
    """The boxes cut to the image."""
    cut = []
    for box in boxes:
        left, top = max(0, box.left), max(0, box.top)
        right, bottom = min(case.columns, box.left + box.width), min(case.rows, box.top + box.height)
        if left >= right or top >= bottom:
            raise InvalidInput(
                f"A box must cover some of the {case.columns} x {case.rows} pixels. "
                f"Received: {box.width} x {box.height} pixels at {box.left}, {box.top}"
            )
        cut.append(Box(left, top, right - left, bottom - top))
    if not cut:
        raise InvalidInput("Draw a box over what names somebody first, or release the image as it is. Received: no box")
    return tuple(cut)


def _boxes_text(boxes: Sequence[Box]) -> str:
    return json.dumps([[box.left, box.top, box.width, box.height] for box in boxes])


def _check(row: sqlite3.Row) -> PixelCheck:
    return PixelCheck(**{**dict(row), "boxes": tuple(Box(*box) for box in json.loads(row["boxes"]))})


def _template(row: sqlite3.Row) -> Template:
    boxes = tuple(Box(*box) for box in json.loads(row["boxes"]))
    return Template(row["device"], row["name"], boxes, row["made_by"], row["made_at"])
