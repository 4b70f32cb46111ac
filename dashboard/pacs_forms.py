"""Which PACS is asked, whether it answers, and the forms by which an administrator makes one known."""

from collections.abc import Sequence

import streamlit as st

from core.errors import InvalidInput
from core.images.pacs.client import client_of
from core.images.pacs.credentials import Credentials
from core.images.pacs.records import (
    LONGEST_NAME,
    OUR_TITLE,
    OVER_TLS,
    PROTOCOL_WORDS,
    NewPacs,
    Pacs,
    add_pacs,
    change_credentials,
    get_pacs,
    remove_pacs,
)
from core.people.roles import demand
from core.projects.records import Project
from dashboard import messages, session

TESTED = "pacs:tested"


def draw_server(known: Sequence[Pacs], project: Project) -> Pacs:
    """The choice of a server, its address, and the test of the connection."""
    by_id = {pacs.id: pacs for pacs in known}
    if st.session_state.get("pacs_server") not in by_id:  # somebody removed it meanwhile
        st.session_state.pop("pacs_server", None)
    left, middle, right = st.columns([3, 5, 2], vertical_alignment="bottom")
    chosen = by_id[
        left.selectbox("PACS", list(by_id), format_func=lambda number: by_id[number].name, key="pacs_server")
    ]
    titles = f", {chosen.our_title} calls {chosen.their_title}" if chosen.protocol == "dimse" else ""
    way = f", C-MOVE to port {chosen.move_port}" if chosen.move_port else ""
    middle.caption(f"{chosen.way} at `{chosen.place}`{titles}{way}")
    right.button("Test the connection", icon=":material/network_check:", key="pacs_test", width="stretch",
                 on_click=_test, args=(chosen.id, project.id))  # fmt: skip
    tested = st.session_state.pop(TESTED, None)
    if tested:
        st.success(tested, icon=":material/check:")
    return chosen


def _test(pacs_id: int, project_id: int) -> None:
    with messages.refusals_told():
        demand(session.db(), session.current_user(), "import", project_id)
        st.session_state[TESTED] = client_of(session.settings(), get_pacs(session.db(), pacs_id)).test()


def draw_change(pacs: Pacs) -> None:
    """Another password, or none; and the end of a server."""
    with (
        st.expander(f"Password and removal of {pacs.name}", icon=":material/key:"),
        st.form("pacs_change", border=False),
    ):
        user, password = st.columns(2)
        user.text_input("User", key="pacs_change_user", help="Empty: nobody signs in.", autocomplete="off")
        password.text_input("Password", type="password", key="pacs_change_password", autocomplete="new-password")
        with st.container(horizontal=True):
            st.form_submit_button("Sign in like this", key="pacs_change_do", on_click=_change, args=(pacs.id,))
            st.form_submit_button(f"Remove {pacs.name}", icon=":material/delete:", type="tertiary", on_click=_remove,
                                  args=(pacs.id,), key="pacs_remove", help="What came from it stays.")  # fmt: skip


def draw_addition(*, open_at_first: bool = False) -> None:
    """The form of a new server."""
    with st.expander("Add a PACS", expanded=open_at_first, icon=":material/add:"):
        protocol = st.segmented_control(
            "Protocol",
            list(PROTOCOL_WORDS),
            default="dicomweb",
            required=True,
            key="pacs_protocol",
            format_func=PROTOCOL_WORDS.__getitem__,
            help="DICOMweb goes through HTTPS and asks for a password. DIMSE is the older way, by AE titles.",
        )
        over_tls = protocol == "dimse" and st.toggle(
            "Over TLS", key="pacs_tls",
            help="Encrypted, often at port 2762; the certificate of the PACS is checked. Studies come by C-GET.",
        )  # fmt: skip
        with st.form("pacs_add", border=False):
            name, address = st.columns([1, 2])
            name.text_input("Name", key="pacs_name", max_chars=LONGEST_NAME, placeholder="Radiology")
            if protocol == "dicomweb":
                address.text_input("Address", key="pacs_address", placeholder="https://pacs.example/dicom-web")
                _draw_sign_in()
                _draw_authority()
            else:
                usual = "pacs.example:2762" if over_tls else "pacs.example:104"
                address.text_input("Host and port", key="pacs_address", placeholder=usual)
                theirs, ours, port = st.columns(3)
                theirs.text_input("AE title of the PACS", key="pacs_their_title", max_chars=16, placeholder="PACS")
                ours.text_input("AE title of this Readroom", key="pacs_our_title", max_chars=16, value=OUR_TITLE)
                if over_tls:
                    with port:
                        _draw_authority()
                else:
                    port.number_input(
                        "Port for C-MOVE", 1, 65535, None, key="pacs_move_port", placeholder="empty: C-GET",
                        help="Studies come to this port of ours, which the PACS must know under our AE title. Empty: "
                        "they come by C-GET, through the connection that we open.",
                    )  # fmt: skip
                _draw_sign_in()
            st.form_submit_button("Add", type="primary", key="pacs_add_do", on_click=_add)


def _draw_authority() -> None:
    st.text_input(
        "Authority of its certificate", key="pacs_authority", placeholder="/etc/ssl/hospital-ca.pem",
        help="A PEM file on the server, where the system does not know the authority. Empty: the usual ones.",
    )  # fmt: skip


def _draw_sign_in() -> None:
    user, password = st.columns(2)
    user.text_input("User", key="pacs_user", help="Empty: nobody signs in.", autocomplete="off")
    password.text_input("Password", type="password", key="pacs_password", autocomplete="new-password",
                        help="Kept encrypted in a file of the home, never in the database.")  # fmt: skip


def _credentials(user: str, password: str) -> Credentials | None:
    if bool(user) != bool(password):
        raise InvalidInput(
            f"Give both a user and a password, or neither. Received: only a {'user' if user else 'password'}"
        )
    return Credentials(user, password) if user else None


def _add() -> None:
    said = st.session_state
    with messages.refusals_told():
        credentials = _credentials(said["pacs_user"].strip(), said["pacs_password"])
        name, address = said["pacs_name"].strip(), said["pacs_address"].strip()
        authority = (said.get("pacs_authority") or "").strip()
        if said["pacs_protocol"] == "dicomweb":
            new = NewPacs(name, "dicomweb", address, authority=authority)
        else:
            titles = said["pacs_their_title"].strip(), said["pacs_our_title"].strip()
            if said["pacs_tls"]:
                new = NewPacs(name, "dimse", f"{OVER_TLS}{address}", *titles, authority=authority)
            else:
                new = NewPacs(name, "dimse", address, *titles, said["pacs_move_port"])
        made = add_pacs(session.db(), session.settings(), new, credentials, session.actor())
        said["pacs_server"] = made.id
        for key in ("pacs_name", "pacs_address", "pacs_user", "pacs_authority"):
            said[key] = ""
        messages.say(f"{made.name} is added; test the connection.")
    said["pacs_password"] = ""


def _change(pacs_id: int) -> None:
    said = st.session_state
    with messages.refusals_told():
        credentials = _credentials(said["pacs_change_user"].strip(), said["pacs_change_password"])
        pacs = get_pacs(session.db(), pacs_id)
        change_credentials(session.db(), session.settings(), pacs, credentials, session.actor())
        messages.say(f"{pacs.name} is asked as {credentials.user if credentials else 'nobody'} from now on.")
    said["pacs_change_password"] = ""


def _remove(pacs_id: int) -> None:
    with messages.refusals_told():
        pacs = get_pacs(session.db(), pacs_id)
        remove_pacs(session.db(), session.settings(), pacs, session.actor())
        st.session_state.pop("pacs_server", None)
        messages.say(f"{pacs.name} is forgotten.")
