"""What leaves Readroom by a button: asked for by who may export, and written into the audit.

A file is made when the button is pressed, in a thread of Streamlit's that knows nobody: the page hands over who asks.
"""

import io
import tempfile
import zipfile
from pathlib import Path

from core.labels.mask_files import export_masks
from core.people.roles import demand_of
from core.projects.records import Project
from core.store.audit import Actor, add_audit
from dashboard import session


def note_export(project: Project, what: str, *, actor: Actor, **detail: object) -> None:
    """Called by the button's own function, when it is pressed and not when it is drawn.

    Raises:
        NotAllowed: the actor may not export from this project.
    """
    demand_of(session.db(), actor, "export", project.id)
    add_audit(session.db(), actor, f"export {what}", f"project {project.id}", **detail)


def zip_masks(project: Project, actor: Actor) -> bytes:
    """All masks of a project as one ZIP; the export itself keeps the audit."""
    with tempfile.TemporaryDirectory() as place:
        done = export_masks(session.db(), project, Path(place) / "masks", actor=actor)
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(path for path in done.folder.rglob("*") if path.is_file()):
                archive.write(path, path.relative_to(done.folder))
            if done.notes:
                archive.writestr("notes.txt", "\n".join(done.notes) + "\n")
        return content.getvalue()
