"""The command line as a script uses it: exit codes, one JSON document, sentences on standard error."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from core.cli.app import TOP_LEVEL, app, main
from core.settings import PROJECT_ROOT

Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run one command in a home of the test's own; the answer is its JSON document."""

    def run_command(*words: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, [*words, "--home", str(tmp_path / "home"), "--json"])
        assert result.exit_code == code, result.output + repr(result.exception)
        return json.loads(result.stdout) if code == 0 else result

    return run_command


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Twenty small images of ten patients with their label table."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["file;finding;who"]
    for at in range(20):
        Image.fromarray(rng.integers(0, 255, (24, 20), dtype=np.uint8)).save(folder / f"{at}.png")
        lines.append(f"{at}.png;{['normal', 'pneumonia'][(at // 2) % 2]};patient {at // 2}")
    (folder / "table.csv").write_text("\n".join(lines), "utf-8")
    return folder


@pytest.fixture
def imported(run: Run, images: Path) -> Any:
    run("project", "create", "Chest", "--classes", "normal,pneumonia")
    columns = "path=file,label=finding,patient=who"
    return run("import", "Chest", str(images), "--labels", str(images / "table.csv"), "--columns", columns)


def test_an_import_names_every_file(imported: Any) -> None:
    assert (imported["imported"], imported["cases"]) == (20, 20)
    assert {row["status"] for row in imported["files"] if row["path"].endswith(".png")} == {"imported"}
    assert all(row["reason"] for row in imported["files"] if row["status"] == "failed")


def test_a_label_from_a_script_is_stored(run: Run, imported: Any) -> None:
    stored = run("label", "Chest", "3.png", "pneumonia", "--reader", "bert")
    assert stored["value"] == {"classes": ["pneumonia"]}
    assert run("project", "list")["projects"][0]["cases"] == 20


def test_a_snapshot_reports_its_hash_counts_and_leaks(run: Run, imported: Any) -> None:
    frozen = run("snapshot", "Chest", "first", "--split", "0.6,0.2,0.2")
    assert len(frozen["hash"]) == 64
    assert sum(part["images"] for part in frozen["counts"].values()) == 20
    assert frozen["leaks"] == []


def test_exports_are_written_whole(run: Run, imported: Any, tmp_path: Path) -> None:
    run("snapshot", "Chest", "first")
    written = run("export", "Chest", "labels", "--out", str(tmp_path / "labels.csv"))
    assert written["bytes"] == (tmp_path / "labels.csv").stat().st_size
    run("export", "Chest", "snapshot", "first", "--out", str(tmp_path / "first.json"))
    assert json.loads((tmp_path / "first.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("import", "Nowhere", "."), "There is no project Nowhere."),
        (("project", "create", "X", "--classes", "one"), "at least two classes"),
        (("project", "create", "X", "--task", "guessing"), "A task is one of"),
        (("project", "create", "X", "--task", "regression", "--target", "age"), "other tasks follow"),
        (("jobs", "show", "7"), "There is no job 7."),
        (("demo", "--dataset", "mnist"), "one of phantoms, pneumoniamnist"),
        (("restore", "/nowhere"), "There is no backup in"),
    ],
)
def test_a_refusal_is_a_sentence_on_standard_error_and_exit_code_1(
    words: tuple[str, ...],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["readroom", *words, "--home", str(tmp_path / "home")])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert sentence in said.err
    assert said.out == ""


def test_a_command_called_wrongly_ends_with_2(run: Run) -> None:
    run("snapshot", code=2)
    run("frobnicate", code=2)


def test_jobs_are_listed_with_their_state(run: Run, imported: Any) -> None:
    (job,) = run("jobs", "list")["jobs"]
    assert (job["kind"], job["state"]) == ("import", "done")
    assert run("jobs", "show", str(job["job"]))["state"] == "done"
    assert "log" in run("jobs", "logs", str(job["job"]))


def test_a_backup_restores_to_the_same_project(run: Run, imported: Any, tmp_path: Path) -> None:
    run("backup", str(tmp_path / "backup"))
    result = CliRunner().invoke(app, ["restore", str(tmp_path / "backup"), "--home", str(tmp_path / "two"), "--json"])
    assert result.exit_code == 0
    listed = CliRunner().invoke(app, ["project", "list", "--home", str(tmp_path / "two"), "--json"])
    assert json.loads(listed.stdout)["projects"][0]["cases"] == 20


def test_every_command_is_in_the_readme() -> None:
    readme = (PROJECT_ROOT / "README.md").read_text("utf-8")
    missing = [name for name in [*TOP_LEVEL, "project", "jobs"] if f"readroom {name}" not in readme]
    assert missing == []
