"""The shell around every page: who is signed in, where to go, which project, what is running.

Streamlit runs this script on each rerun; it lies in `dashboard/` because beside `pages/`
Streamlit would serve `/review` by itself, around the shell and its guards.
"""

from pathlib import Path

import streamlit as st

from core.projects.records import list_projects
from core.store.troubles import troubles_named
from dashboard import frame, links, messages, places, session
from dashboard.sidebar import draw_sidebar

ASSETS = Path(__file__).parent / "assets"
SIDEBAR_PX = 232

st.set_page_config(
    page_title="Readroom",
    page_icon=str(ASSETS / "icon.svg"),
    layout="wide",
    initial_sidebar_state=SIDEBAR_PX,
    menu_items={"about": "Readroom: label, train, review and decide, in one place."},
)
page = st.navigation([places.page_of(place.name) for place in places.PLACES], position="hidden")
st.html(ASSETS / "readroom.css")
links.catch_clicks()

with messages.refusals_shown(), troubles_named():
    user = session.current_user()
    session.touch()
    project = session.current_project()
    draw_sidebar(list_projects(session.db(), seen_by=user), project)
    messages.show_messages()
    frame.need_admission(page.url_path or places.PLACES[0].name, project)
    page.run()
