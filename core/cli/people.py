"""Commands about people: accounts, and who is what in which project."""

from typing import Annotated, Any, get_args

import typer

from core.cli.door import HomeOption, JsonOption, answer, entered
from core.cli.service import server_url
from core.errors import InvalidInput
from core.people.accounts import list_users
from core.people.invitations import invite_user, reset_user, set_active
from core.people.members import list_roles, set_member
from core.people.roles import ROLES, ProjectRole
from core.people.sessions import list_last_seen
from core.projects.records import get_project, list_projects

NameArgument = Annotated[str, typer.Argument(help="The user's name.")]
ROLE_HELP = f"One of {', '.join(ROLES)}."


def invite(
    name: NameArgument,
    project: Annotated[str, typer.Option(help="A project to make them a member of.")] = "",
    role: Annotated[str, typer.Option(help=f"Their role in it. {ROLE_HELP}")] = "reader",
    admin: Annotated[bool, typer.Option("--admin", help="Make them an administrator of this Readroom.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an account and print the one-time link by which its owner sets a password."""
    with entered(home) as door:
        token = invite_user(
            door.connection,
            name,
            role="admin" if admin else "reader",
            project=get_project(door.connection, project).id if project else None,
            project_role=_role(role),
            actor=door.actor,
        )
        url = f"{server_url(door.settings)}/sign-in?token={token}"
    answer({"user": name.strip(), "url": url}, url, as_json=as_json)


def show_users(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List everybody who has an account, with their roles."""
    with entered(home) as door:
        names = {project.id: project.name for project in list_projects(door.connection)}
        seen = list_last_seen(door.connection)
        users: list[dict[str, Any]] = [
            {
                "name": user.name,
                "active": user.active,
                "administrator": user.role == "admin",
                "has_password": user.has_password,
                "last_seen": seen.get(user.id),
                "roles": {names[project]: role for project, role in list_roles(door.connection, user).items()},
            }
            for user in list_users(door.connection, kind="person")
        ]
    lines = [
        "  ".join(
            [
                user["name"],
                *(["administrator"] if user["administrator"] else []),
                *([] if user["active"] else ["deactivated"]),
                *(f"{project}: {role}" for project, role in user["roles"].items()),
            ]
        )
        for user in users
    ]
    answer({"users": users}, "\n".join(lines) or "Nobody yet: readroom user invite NAME", as_json=as_json)


def reset(name: NameArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Sign a user out everywhere and print the one-time link by which they set a new password."""
    with entered(home) as door:
        url = f"{server_url(door.settings)}/sign-in?token={reset_user(door.connection, name, actor=door.actor)}"
    answer({"user": name, "url": url}, url, as_json=as_json)


def deactivate(name: NameArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Let nobody in under this name any more; labels and acts stay as they are."""
    with entered(home) as door:
        set_active(door.connection, name, False, actor=door.actor)
    answer({"user": name, "active": False}, f"{name} cannot sign in any more.", as_json=as_json)


def give_role(
    project: Annotated[str, typer.Argument(help="The project's name or number.")],
    name: NameArgument,
    role: Annotated[str, typer.Argument(help=f"{ROLE_HELP} Or none.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a user a role in a project, or none."""
    with entered(home) as door:
        found = get_project(door.connection, project)
        given = None if role == "none" else _role(role)
        set_member(door.connection, found.id, name, given, actor=door.actor)
    answer({"project": found.id, "user": name, "role": given}, f"{name} in {found.name}: {role}.", as_json=as_json)


def _role(text: str) -> ProjectRole:
    for role in get_args(ProjectRole):
        if role == text:
            return role  # type: ignore[no-any-return]
    raise InvalidInput(f"A role is one of {', '.join(ROLES)}. Received: {text}")
