"""Where things are on screen: every page by name, its address, and the ways to get there.

An address carries everything a view depends on, so that a copied URL shows the same view.
"""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

import streamlit as st

from core.people.roles import Action
from core.settings import PROJECT_ROOT
from dashboard import once
from dashboard.prefix import at

Query = str | int | None


Where = Literal["the project", "any project", "this Readroom"]


@dataclass(frozen=True)
class Place:
    """One page: its file `pages/<name>.py` is also its address; a group of "" is not in the menu.

    Who opens it must be allowed `action` (None: be signed in), in the project that is open, in any project,
    or in this Readroom as a whole. A page that says nothing of it is for administrators.
    """

    name: str
    title: str
    icon: str
    group: str
    action: Action | None = "administer"
    where: Where = "this Readroom"


PLACES = (
    Place("projects", "Projects", ":material/home:", "Readroom", None, "any project"),
    Place("overview", "Overview", ":material/dashboard:", "Collection", "see", "the project"),
    Place("import_images", "Import", ":material/upload:", "Collection", "import", "the project"),
    Place("pacs", "PACS", ":material/dns:", "Collection", "import", "the project"),
    Place("check_pixels", "Check pixels", ":material/visibility_lock:", "Collection", "import", "the project"),
    Place("cases", "Cases", ":material/grid_view:", "Collection", "see", "the project"),
    Place("case", "Case", ":material/image:", "", "see", "the project"),
    Place("label", "Label", ":material/edit:", "Collection", "label", "the project"),
    Place("snapshots", "Snapshots", ":material/inventory_2:", "Model", "open test results", "the project"),
    Place("train", "Train", ":material/model_training:", "Model", "train", "the project"),
    Place("models", "Models", ":material/deployed_code:", "Model", "open test results", "the project"),
    Place("draw", "Draw", ":material/brush:", "", "train", "the project"),
    Place("predict", "Predict", ":material/online_prediction:", "", "open test results", "the project"),  # from Models
    Place("evaluate", "Evaluate", ":material/query_stats:", "Model", "open test results", "the project"),
    # reached from Models and Review: with one more line the menu of an administrator does not fit on a small screen
    Place("explanations", "Explanations", ":material/frame_inspect:", "", "open test results", "the project"),
    Place("review", "Review", ":material/fact_check:", "Model", "open test results", "the project"),
    Place("meeting", "Meeting", ":material/groups:", "Model", "open test results", "the project"),
    Place("users", "Users", ":material/group:", "Readroom", "administer", "any project"),
    Place("jobs", "Jobs", ":material/list_alt:", "Readroom", "open test results", "any project"),
    Place("audit", "Audit", ":material/history:", "Readroom", "administer", "this Readroom"),
    Place("doctor", "Doctor", ":material/health_and_safety:", "Readroom", "administer", "this Readroom"),
)
BY_NAME = {place.name: place for place in PLACES}


def page_of(name: str) -> st.Page:
    """The page as Streamlit knows it. The path is absolute: pages lie outside the script's folder on purpose."""
    place = BY_NAME[name]
    path = PROJECT_ROOT / "pages" / f"{name}.py"
    home = name == PLACES[0].name
    return st.Page(path, title=place.title, icon=place.icon, url_path=None if home else name, default=home)


def address(name: str, **query: Query) -> str:
    """The URL of a page, for links inside HTML; a value of None is left out."""
    text = urlencode(_kept(query))
    path = at("/" if name == PLACES[0].name else f"/{name}")
    return f"{path}?{text}" if text else path


def go(name: str, **query: Query) -> None:
    """Leave this page for another; nothing after this call runs."""
    once.spend()
    st.switch_page(page_of(name), query_params=_kept(query))


def link(
    name: str, label: str | None = None, *, icon: str | None = None, help: str | None = None, **query: Query
) -> None:
    """A link that changes the page without loading the whole application anew."""
    place = BY_NAME[name]
    st.page_link(
        page_of(name), label=label or place.title, icon=icon or place.icon, help=help, query_params=_kept(query)
    )


def asked(key: str) -> str | None:
    """What the address says under this key; an empty text counts as nothing."""
    return st.query_params.get(key) or None


def asked_number(key: str) -> int | None:
    """What the address says under this key, where it is a whole number SQLite can hold."""
    text = asked(key) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def remember(**query: Query) -> None:
    """Write into the address what the view now depends on; None takes a key out."""
    for key, value in query.items():
        if value is None or value == "":
            st.query_params.pop(key, None)
        elif st.query_params.get(key) != str(value):
            st.query_params[key] = str(value)


def _kept(query: dict[str, Query]) -> dict[str, str]:
    return {key: str(value) for key, value in query.items() if value is not None and value != ""}
