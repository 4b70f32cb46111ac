"""The forms of the users page: invite, give a role, and what is done to one account."""

from urllib.parse import urlsplit

import streamlit as st

from core.people.accounts import User
from core.people.invitations import invite_user, reset_user, set_active, set_administrator
from core.people.members import set_member
from core.people.roles import ROLE_WORDS, ROLES
from core.projects.records import Project
from dashboard import messages, session
from dashboard.prefix import at

LINK = "users:link"
NONE = "no role"


def draw_link() -> None:
    """The link that was made by the last click. It is shown once: reloading the page or going on forgets it."""
    made = st.session_state.pop(LINK, None)
    if made:
        name, token = made
        with st.container(border=True, key="user_link"):
            st.markdown(f"Give this link to **{name}**. It works once, and is not shown again.")
            st.code(f"{_here()}/sign-in?token={token}", language=None, wrap_lines=True)


def draw_invitation(projects: list[Project], *, may_make_administrators: bool) -> None:
    """A new account with a link by which its owner sets a password."""
    with st.form("invite", border=True):
        st.subheader("Invite", anchor=False)
        st.text_input(
            "Name", key="invite_name", max_chars=80, help="How they sign in, and how their labels are signed."
        )
        _draw_project_and_role("invite", projects, may_be_empty=may_make_administrators)
        if may_make_administrators:
            st.toggle("Administrator of this Readroom", key="invite_admin", help="May do everything, in every project.")
        st.form_submit_button("Make a link", type="primary", key="invite_send", on_click=_invite)


def give_role(projects: list[Project]) -> None:
    """Another role, or none, in one project."""
    if not projects:
        return
    with st.form("role", border=True):
        st.subheader("Role in a project", anchor=False)
        st.text_input("Name", key="role_name", max_chars=80)
        _draw_project_and_role("role", projects, none=True)
        st.form_submit_button("Give this role", key="role_send", on_click=_give_role)


def draw_person(people: list[User], me: User) -> None:
    """What an administrator does to one account; each button says what will happen."""
    with st.container(border=True, key="one_person"):
        names = {person.name: person for person in people}
        chosen = st.selectbox("Account", list(names), index=None, key="person", placeholder="Choose somebody")
        if chosen is None:
            return
        person = names[chosen]
        first, second, third = st.columns(3)
        first.button(
            "New password", key="person_reset", on_click=_reset, args=(chosen,), width="stretch",
            help="Signs them out everywhere; the old password counts no more, and a link lets them set another.",
        )  # fmt: skip
        second.button(
            "Deactivate" if person.active else "Let in again", key="person_active", on_click=_set_active,
            args=(chosen, not person.active), width="stretch", disabled=chosen == me.name,
            help="Nobody signs in under this name; labels and acts stay." if person.active else None,
        )  # fmt: skip
        is_admin = person.role == "admin"
        third.button(
            "No administrator" if is_admin else "Administrator", key="person_admin", on_click=_set_administrator,
            args=(chosen, not is_admin), width="stretch", help="Of this Readroom as a whole.",
        )  # fmt: skip


def _draw_project_and_role(
    key: str, projects: list[Project], *, may_be_empty: bool = False, none: bool = False
) -> None:
    names = {project.id: project.name for project in projects}
    asked = session.current_project()
    at = list(names).index(asked.id) if asked and asked.id in names else None if may_be_empty else 0
    st.selectbox(
        "Project", list(names), index=at if names else None, format_func=names.__getitem__, key=f"{key}_project",
        placeholder="none yet",
    )  # fmt: skip
    st.selectbox("Role", [*ROLES, *([NONE] if none else [])], format_func=_say_role, key=f"{key}_role")


def _say_role(role: str) -> str:
    return f"{role}: {ROLE_WORDS[role]}" if role in ROLES else role  # type: ignore[index]


def _invite() -> None:
    with messages.refusals_told():
        name = st.session_state["invite_name"].strip()
        token = invite_user(
            session.db(),
            name,
            role="admin" if st.session_state.get("invite_admin") else "reader",
            project=st.session_state["invite_project"],
            project_role=st.session_state["invite_role"],
            actor=session.actor(),
        )
        st.session_state[LINK] = (name, token)
        st.session_state["invite_name"] = ""


def _give_role() -> None:
    with messages.refusals_told():
        name, role = st.session_state["role_name"].strip(), st.session_state["role_role"]
        project = st.session_state["role_project"]
        set_member(session.db(), project, name, None if role == NONE else role, actor=session.actor())
        messages.say(f"{name}: {role}.")


def _reset(name: str) -> None:
    with messages.refusals_told():
        st.session_state[LINK] = (name, reset_user(session.db(), name, actor=session.actor()))


def _set_active(name: str, active: bool) -> None:
    with messages.refusals_told():
        set_active(session.db(), name, active, actor=session.actor())
        messages.say(f"{name} {'may sign in again' if active else 'is signed out and cannot sign in any more'}.")


def _set_administrator(name: str, is_admin: bool) -> None:
    with messages.refusals_told():
        set_administrator(session.db(), name, "admin" if is_admin else "reader", actor=session.actor())
        messages.say(f"{name} is {'an administrator' if is_admin else 'no administrator any more'}.")


def _here() -> str:
    """The address of this Readroom that the browser uses, so that the link fits the network its reader is in."""
    url = st.context.url
    parts = urlsplit(url if isinstance(url, str) else "")
    return f"{parts.scheme}://{parts.netloc}{at('')}" if parts.netloc else ""
