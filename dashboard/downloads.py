"""What leaves Readroom by a button: asked for by who may export, and written into the audit."""

from core.people.roles import demand_of
from core.projects.records import Project
from core.store.audit import add_audit
from dashboard import session


def note_export(project: Project, what: str, **detail: object) -> None:
    """Called by the button's own function, when it is pressed and not when it is drawn.

    Raises:
        NotAllowed: whoever is signed in may not export from this project.
    """
    actor = session.actor()
    demand_of(session.db(), actor, "export", project.id)
    add_audit(session.db(), actor, f"export {what}", f"project {project.id}", **detail)
