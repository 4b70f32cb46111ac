"""What is downloaded as one file holds all that an export wrote and said."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from core.labels.mask_files import MaskExport
from core.projects.records import Project
from core.store.audit import Actor
from core.store.files import write_whole
from dashboard import downloads


def test_what_an_export_of_masks_says_goes_with_them(
    monkeypatch: pytest.MonkeyPatch, project: Project, actor: Actor
) -> None:
    notes = ["Masks of 2 volumes are .npy arrays."]

    def export(connection: Any, project: Project, folder: Path, **_: Any) -> MaskExport:
        write_whole(folder / "masks.csv", b"case\n")
        return MaskExport(folder, 0, 1, tuple(notes))

    def found() -> dict[str, bytes]:
        with zipfile.ZipFile(io.BytesIO(downloads.zip_masks(project, actor))) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    monkeypatch.setattr(downloads.session, "db", lambda: None)
    monkeypatch.setattr(downloads, "export_masks", export)
    assert found() == {"masks.csv": b"case\n", "notes.txt": b"Masks of 2 volumes are .npy arrays.\n"}
    notes.clear()
    assert list(found()) == ["masks.csv"]
