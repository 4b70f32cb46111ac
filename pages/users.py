"""Users: who is here, what each may do in which project; invitations, new passwords, leaving."""

import streamlit as st

from core.people.accounts import User, list_users
from core.people.members import list_members, list_roles
from core.people.roles import ROLE_WORDS, ROLES
from core.people.sessions import list_last_seen
from core.projects.records import list_projects
from dashboard import frame, session, wording
from dashboard.user_forms import draw_invitation, draw_link, draw_person, give_role

me = session.current_user()
is_administrator = session.may("administer")
mine = [project for project in list_projects(session.db(), seen_by=me) if session.may("administer", project)]
frame.draw_heading(
    "Users",
    "Who may sign in, and who may do what in which project."
    if is_administrator
    else "The members of the projects that you administer.",
)


def see_people() -> list[User]:
    people = list_users(session.db(), kind="person")
    if is_administrator:
        return people
    members = {member.user.id for project in mine for member in list_members(session.db(), project.id)}
    return [person for person in people if person.id in members]


def say_state(person: User) -> str:
    if not person.active:
        return "deactivated"
    if not person.has_password:
        return "invited, or by link only"
    return "active"


draw_link()
people = see_people()
seen = list_last_seen(session.db())
roles = {person.id: list_roles(session.db(), person) for person in people}
left, right = st.columns([3, 2], gap="large")
with left:
    st.dataframe(
        {
            "name": [person.name for person in people],
            "state": [say_state(person) for person in people],
            "administrator": [person.role == "admin" for person in people],
            "last seen": [wording.moment(seen[person.id]) if person.id in seen else "–" for person in people],
            **{
                project.name: [
                    "admin" if person.role == "admin" else roles[person.id].get(project.id, "–") for person in people
                ]
                for project in mine[:8]
            },
        },
        hide_index=True,
        height="content" if len(people) < 12 else 440,
        key="users_table",
    )
    told = "".join(f"<dt>{role}</dt><dd>{ROLE_WORDS[role]}</dd>" for role in ROLES)
    st.html(
        '<p class="rr-quiet">When somebody was last seen is known of those who are signed in.</p>'
        f'<dl class="rr-facts">{told}</dl>'
    )
    if is_administrator:
        draw_person(people, me)
with right:
    draw_invitation(mine, may_make_administrators=is_administrator)
    give_role(mine)
