"""A home for measuring the viewer: many cases of one size, a volume, a case to paint on. Pixels are cheap to make."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

from bench.loop import run_here
from core.settings import Settings
from core.store.database import opened, writing
from core.store.files import Files

SMALL, LARGE = 512, 2048
VOLUME = (512, 512, 300)  # columns, rows, frames
BEFORE_THE_VOLUME = 8  # cases, more than are prefetched
OWN_COLUMNS = ("id", "source", "patient", "pixel_hash", "file_hash")


@dataclass(frozen=True)
class Projects:
    """What was made, by number."""

    home: Path
    small: int
    large: int
    volume: int
    painting: int

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home)


def make_pictures(side: int, count: int, *, seed: int = 0) -> Iterator[np.ndarray]:
    """Radiograph-like: 12 bits, smooth with some noise, each with a bright block in another place."""
    rng = np.random.default_rng(seed)
    across = np.linspace(0, 3, side, dtype=np.float32)
    smooth = 1200 + 900 * np.sin(across)[:, None] * np.cos(2 * across)[None, :]
    plain = (smooth + rng.integers(0, 64, (side, side))).astype(np.uint16)
    for at in range(count):
        picture = np.roll(plain, 7 * at, axis=1)
        top, left = (int(place) for place in rng.integers(side // 8, side * 3 // 4, 2))
        picture[top : top + side // 8, left : left + side // 8] += 900 + at % 100
        yield picture


def prepare_viewing(work: Path, *, small: int, large: int, distinct: int) -> Projects:
    """`large` cases show `distinct` pictures in turn; all others have pixels of their own."""
    home = work / "home"
    binary, painting = ("--classes", "no,yes"), ("--task", "segmentation", "--structures", "liver,lesion")
    projects = {
        name: int(run_here(home, "project", "create", name, *words)["project"])
        for name, words in (("small", binary), ("large", binary), ("volume", binary), ("painting", painting))
    }
    _import_one(home, work, "small", make_pictures(SMALL, 1))
    _import_one(home, work, "large", make_pictures(LARGE, 1))
    _import_one(home, work, "painting", make_pictures(LARGE, 1))
    _import_one(home, work, "volume", make_pictures(SMALL, 1))
    _multiply(home, projects["small"], make_pictures(SMALL, small, seed=1), small)
    _multiply(home, projects["large"], make_pictures(LARGE, distinct, seed=2), large)
    _multiply(home, projects["volume"], make_pictures(SMALL, BEFORE_THE_VOLUME, seed=3), BEFORE_THE_VOLUME)
    _import_volume(home, work)
    return Projects(home, **projects)


def _import_one(home: Path, work: Path, project: str, pictures: Iterator[np.ndarray]) -> None:
    folder = work / f"pictures of {project}"
    folder.mkdir()
    Image.fromarray(next(pictures)).save(folder / "first.png", compress_level=1)
    run_here(home, "import", project, str(folder))


def _multiply(home: Path, project: int, pictures: Iterator[np.ndarray], count: int) -> None:
    """More cases like the one that was imported, straight into the tables: no import is measured here."""
    settings = Settings(home=home)
    files = Files(home)
    hashes = [files.put_array("pixels", picture) for picture in pictures]
    with opened(settings) as connection:
        names = [row["name"] for row in connection.execute("PRAGMA table_info(cases)")]
        same = ", ".join(name for name in names if name not in OWN_COLUMNS)
        query = f"""INSERT INTO cases (source, patient, pixel_hash, file_hash, {same})
                    SELECT ?, ?, ?, ?, {same} FROM cases WHERE project = ? ORDER BY id LIMIT 1"""
        with writing(connection):
            for at in range(count):
                name = f"more {at:05d}.png"
                connection.execute(query, (name, name, hashes[at % len(hashes)], secrets.token_hex(32), project))


def _import_volume(home: Path, work: Path) -> None:
    columns, rows, frames = VOLUME
    folder = work / "volumes"
    folder.mkdir()
    plain = next(make_pictures(columns, 1, seed=4)).astype(np.int16) - 1024
    values = np.empty((columns, rows, frames), np.int16, order="F")
    for at in range(frames):
        values[:, :, at] = np.roll(plain, at, axis=0)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([-0.8, -0.8, 1.5, 1.0])), folder / "scan.nii")
    run_here(home, "import", "volume", str(folder))
