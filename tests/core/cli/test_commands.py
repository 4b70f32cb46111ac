"""The command line as a script uses it: exit codes, one JSON document, sentences on standard error."""

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from core.cli.app import TOP_LEVEL, app, main
from core.errors import CoreError
from core.people.accounts import find_user
from core.settings import PROJECT_ROOT, Settings, load_settings
from core.store.database import opened
from tests.core.cli.conftest import Run, run_in


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty small images of ten patients with their label table."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    lines = ["file;finding;who"]
    for at in range(20):
        Image.fromarray(rng.integers(0, 255, (24, 20), dtype=np.uint8)).save(folder / f"{at}.png")
        lines.append(f"{at}.png;{['normal', 'pneumonia'][(at // 2) % 2]};patient {at // 2}")
    (folder / "table.csv").write_text("\n".join(lines), "utf-8")
    return folder


@pytest.fixture(scope="module")
def imported_once(images: Path, prepared_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The home into which they were imported, and what the import said; each test has a copy."""
    home = Path(shutil.copytree(prepared_home, tmp_path_factory.mktemp("imported") / "home"))
    run_in(home, "project", "create", "Chest", "--classes", "normal,pneumonia")
    columns = "path=file,label=finding,patient=who"
    told = run_in(home, "import", "Chest", str(images), "--labels", str(images / "table.csv"), "--columns", columns)
    return home, told


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path, prepared_home: Path) -> Settings:
    imported = "imported" in request.fixturenames
    home = request.getfixturevalue("imported_once")[0] if imported else prepared_home
    return Settings(home=Path(shutil.copytree(home, tmp_path / "home")))


@pytest.fixture
def imported(imported_once: tuple[Path, Any], settings: Settings) -> Any:
    return imported_once[1]


def test_an_import_names_every_file(imported: Any) -> None:
    assert (imported["imported"], imported["cases"]) == (20, 20)
    assert (imported["same_pixels"], imported["opposite_labels"]) == (0, 0)
    assert {row["status"] for row in imported["files"] if row["path"].endswith(".png")} == {"imported"}
    assert all(row["reason"] for row in imported["files"] if row["status"] == "failed")


def test_a_label_from_a_script_is_stored(run: Run, imported: Any) -> None:
    stored = run("label", "Chest", "3.png", "pneumonia", "--reader", "bert")
    assert stored["value"] == {"classes": ["pneumonia"]}
    assert run("project", "list")["projects"][0]["cases"] == 20


def test_a_label_that_cannot_be_leaves_no_reader(run: Run, imported: Any, tmp_path: Path) -> None:
    for case, value in (("3.png", "flu"), ("3.png", ""), ("ghost.png", "normal")):
        result = run("label", "Chest", case, value, "--reader", "typo", code=1)
        assert isinstance(result.exception, CoreError)
    with opened(load_settings(tmp_path / "home")) as connection:
        assert find_user(connection, "typo") is None


def test_exported_labels_come_back_unchanged(run: Run, imported: Any, images: Path, tmp_path: Path) -> None:
    run("label", "Chest", "3.png", "normal", "--reader", "bert", "--note", "rotated", "--unsure")
    run("export", "Chest", "labels", "--out", str(tmp_path / "one.csv"))
    run("project", "create", "Twin", "--classes", "normal,pneumonia")
    run("import", "Twin", str(images), "--labels", str(images / "table.csv"), "--columns", "path=file,patient=who")
    told = run("import", "Twin", "--labels", str(tmp_path / "one.csv"))
    assert told["labels"] == {"added": 21, "unchanged": 0, "refused": []}
    assert (told["imported"], told["failed"], told["files"]) == (0, 0, [])
    assert set(told) == set(imported) - {"warnings", "job"} | {"labels"}
    assert run("import", "Twin", "--labels", str(tmp_path / "one.csv"))["labels"]["added"] == 0
    run("export", "Twin", "labels", "--out", str(tmp_path / "two.csv"))
    assert {*_rows(tmp_path / "one.csv")} == {*_rows(tmp_path / "two.csv")}


def test_notes_of_somebody_s_own_table_stay_out_and_that_is_told(run: Run, imported: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("path,label,reader,note\n3.png,normal,bert,Doe Jane\n")
    told = run("import", "Chest", "--labels", str(tmp_path / "notes.csv"))
    assert told["labels"] == {"added": 1, "unchanged": 0, "refused": [], "without_note": 1}
    run("export", "Chest", "labels", "--out", str(tmp_path / "one.csv"))
    assert "Doe" not in (tmp_path / "one.csv").read_text("utf-8")
    run("import", "Chest", "--labels", str(tmp_path / "notes.csv"), "--columns", "note=note")
    run("export", "Chest", "labels", "--out", str(tmp_path / "one.csv"))
    assert "Doe Jane" in (tmp_path / "one.csv").read_text("utf-8")


def _rows(path: Path) -> list[str]:
    """The ten columns of labels; attributes of the cases come after them."""
    return [",".join(line.split(",")[:10]) for line in path.read_text("utf-8").splitlines()]


def test_an_exported_snapshot_comes_back_to_the_same_hash(
    run: Run, imported: Any, images: Path, tmp_path: Path
) -> None:
    frozen = run("snapshot", "Chest", "first")
    run("export", "Chest", "snapshot", "first", "--out", str(tmp_path / "first.json"))
    run("project", "create", "Twin", "--classes", "normal,pneumonia")
    run("import", "Twin", str(images))
    back = run("snapshot", "Twin", "--from", str(tmp_path / "first.json"))
    assert (back["snapshot"], back["hash"], back["counts"]) == ("first", frozen["hash"], frozen["counts"])


def test_a_refused_file_is_called_refused(
    imported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words.png").write_text("hello")
    home = ("--home", str(tmp_path / "home"))
    monkeypatch.setattr("sys.argv", ["readroom", "import", "Chest", str(tmp_path / "words.png"), *home])
    with pytest.raises(SystemExit):
        main()
    told = capsys.readouterr()
    assert "words.png: refused. The name ends in .png" in told.err
    assert told.out == "0 imported, 0 skipped, 1 refused.\n"
    assert "failed" not in told.out + told.err


def test_a_snapshot_reports_its_hash_counts_and_leaks(run: Run, imported: Any) -> None:
    frozen = run("snapshot", "Chest", "first", "--split", "0.6,0.2,0.2")
    assert len(frozen["hash"]) == 64
    assert sum(part["images"] for part in frozen["counts"].values()) == 20
    assert frozen["leaks"] == []


def test_a_snapshot_of_volumes_counts_volumes(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    run("project", "create", "Brains", "--classes", "a,b")
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        volume = nibabel.Nifti1Image(rng.integers(0, 255, (8, 8, 4), np.int16), np.eye(4))
        nibabel.save(volume, tmp_path / "in" / f"{number}.nii")
    told = "\n".join(f"{number}.nii,{'ab'[number % 2]}" for number in range(8))
    (tmp_path / "in" / "table.csv").write_text(f"path,label\n{told}\n")
    run("import", "Brains", str(tmp_path / "in"), "--labels", str(tmp_path / "in" / "table.csv"))
    words = ["readroom", "snapshot", "Brains", "first", "--split", "0.5,0.25,0.25"]
    monkeypatch.setattr("sys.argv", [*words, "--home", str(tmp_path / "home")])
    with pytest.raises(SystemExit):
        main()
    assert "frozen: train 4 volumes, validation 2 volumes, test 2 volumes." in capsys.readouterr().out


def test_a_refused_snapshot_names_every_leak_until_a_reason_is_given(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "twins"
    folder.mkdir()
    lines = ["path,label,patient,split"]
    for at in range(16):
        picture = np.random.default_rng(at // 2).integers(0, 255, (32, 32), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{at}.png")
        lines.append(f"{at}.png,{['normal', 'pneumonia'][(at // 2) % 2]},{at},{['train', 'test'][at % 2]}")
    (folder / "table.csv").write_text("\n".join(lines), "utf-8")
    run("project", "create", "Twins", "--classes", "normal,pneumonia")
    run("import", "Twins", str(folder), "--labels", str(folder / "table.csv"))
    refused = run("snapshot", "Twins", "given", "--split-column", "split", code=1)
    told = json.loads(refused.stdout)
    assert told["snapshot"] is None
    assert {leak["kind"] for leak in told["leaks"]} == {"same pixels"}
    assert len(told["leaks"]) == 8
    assert all(leak["reason"] in refused.stderr for leak in told["leaks"])
    allowed = run("snapshot", "Twins", "given", "--split-column", "split", "--allow-leaks", "a published split")
    assert allowed["leaks"] == told["leaks"]


def test_an_image_that_cannot_be_read_is_said_so_from_a_script(run: Run, imported: Any) -> None:
    stored = run("label", "Chest", "3.png", "--unusable", "--reader", "bert")
    assert (stored["value"], stored["unusable"]) == (None, True)
    for words in (("pneumonia", "--unusable"), ()):
        refused = run("label", "Chest", "3.png", *words, "--reader", "bert", code=1)
        assert "--unusable alone" in str(refused.exception)


def test_the_history_of_answers_is_exported_when_it_is_asked_for(run: Run, imported: Any, tmp_path: Path) -> None:
    for value in ("normal", "pneumonia"):
        run("label", "Chest", "3.png", value, "--reader", "bert")
    sizes = []
    for words in ((), ("--history",)):
        run("export", "Chest", "labels", "--out", str(tmp_path / "labels.csv"), *words)
        sizes.append(sum(",bert," in row for row in _rows(tmp_path / "labels.csv")))
    assert sizes == [1, 2]


def test_a_project_is_created_with_its_keys_and_colours(run: Run) -> None:
    dressed = ("--keys", "7,2", "--colours", "#112233,#445566")
    schema = run("project", "create", "Keys", "--classes", "normal,pneumonia", *dressed, "--digit-stays")["schema"]
    assert [(label["key"], label["colour"]) for label in schema["classes"]] == [("7", "#112233"), ("2", "#445566")]
    for words, sentence in (
        (("--keys", "1"), "one key for each of 2 classes"),
        (("--keys", "1,1"), "its own digit"),
        (("--colours", "red,blue"), "A colour reads #56b4e9"),
    ):
        refused = run("project", "create", "More", "--classes", "normal,pneumonia", *words, code=1)
        assert sentence in str(refused.exception)


def test_exports_are_written_whole(run: Run, imported: Any, tmp_path: Path) -> None:
    run("snapshot", "Chest", "first")
    written = run("export", "Chest", "labels", "--out", str(tmp_path / "labels.csv"))
    assert written["bytes"] == (tmp_path / "labels.csv").stat().st_size
    run("export", "Chest", "snapshot", "first", "--out", str(tmp_path / "first.json"))
    assert json.loads((tmp_path / "first.json").read_text("utf-8"))
    for place in (tmp_path, tmp_path / "labels.csv" / "labels.csv"):
        for words in (("export", "Chest", "labels"), ("audit", "export")):
            refused = run(*words, "--out", str(place), code=1)
            assert f"name another place. Received: {place}" in str(refused.exception)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("import", "Nowhere", "."), "There is no project Nowhere."),
        (("project", "create", "X", "--classes", "one"), "at least two classes"),
        (("project", "create", "X", "--task", "guessing"), "A task is one of"),
        (("project", "create", "X", "--task", "generation"), "at least one class"),
        (("project", "create", "X", "--task", "regression", "--target", "age"), "Name the unit"),
        (("project", "create", "X", "--task", "segmentation"), "at least one structure"),
        (("project", "create", "X", "--classes", "a,b", "--low", "3"), "belong to a regression"),
        (("jobs", "show", "7"), "There is no job 7."),
        (("import", "caf\udce9", "."), "Names here are text in UTF-8, and this is none. Received: 'caf\\udce9'"),
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
    run("snapshot", "Chest", code=2)
    for seed in ("-1", "9" * 30):
        run("snapshot", "Chest", "first", "--seed", seed, code=2)
    run("import", "Chest", code=2)
    run("import", "Chest", ".", "--columns", "path=file", code=2)
    for words in (("jobs", "show"), ("jobs", "stop"), ("review", "show", "Chest"), ("import", "Chest", "--again")):
        run(*words, "9" * 25, code=2)
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
