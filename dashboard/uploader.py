"""Files from the reader's computer to a folder of this server, whatever their size.

The browser sends them to `/api/v1/uploads` itself: through Streamlit they would all lie in the
memory of the web process. Streamlit only learns which folder was filled.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.jobs.undecided import uploads_folder
from dashboard import session
from dashboard.prefix import at

ASSETS = Path(__file__).parent / "assets"
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}")
_component = st.components.v2.component(
    "readroom_uploader",
    html=(ASSETS / "uploader.html").read_text("utf-8"),
    css=(ASSETS / "uploader.css").read_text("utf-8"),
    js=(ASSETS / "uploader.js").read_text("utf-8"),
)


@dataclass(frozen=True)
class Upload:
    """A filled folder; `tables` are the files in it that may hold labels."""

    folder: Path
    files: int
    size_bytes: int
    tables: tuple[str, ...]

    @property
    def paths(self) -> list[str]:
        """What the import is pointed at: a zip that came alone or with tables, as their paths are those within it."""
        if self.files == len(self.tables) + 1:
            others = [path for path in self.folder.iterdir() if path.name not in self.tables]
            if len(others) == 1 and others[0].suffix.lower() == ".zip":
                return [str(others[0])]
        return [str(self.folder)]


def draw_uploader(key: str) -> Upload | None:
    """The drop zone; the last upload that was finished in this session and is still there."""
    told = _component(key=key, data={"address": at("/api/v1/uploads")}, on_uploaded_change=lambda: None).uploaded
    if told:
        st.session_state[f"{key}:told"] = dict(told)
    kept = st.session_state.get(f"{key}:told")
    if not kept or not TOKEN.fullmatch(str(kept.get("upload"))):
        return None
    folder = uploads_folder(session.settings()) / kept["upload"] / "files"
    inside = all((folder / name).resolve().is_relative_to(folder.resolve()) for name in kept["tables"])
    if not folder.is_dir() or not inside:
        return None
    return Upload(folder, int(kept["files"]), int(kept["bytes"]), tuple(kept["tables"]))


def forget_upload(key: str) -> None:
    """The upload was handed to an import, which removes it."""
    st.session_state.pop(f"{key}:told", None)
