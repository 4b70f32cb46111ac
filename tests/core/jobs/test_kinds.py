"""Kinds of work: each is one file, found by listing the folder."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.jobs.bodies import BODIES
from core.jobs.handlers import HANDLERS
from core.jobs.kinds import KINDS, actions_of
from core.people.roles import ROLE_ACTIONS
from core.settings import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "core" / "jobs" / "bodies"


def test_every_kind_is_a_file_and_every_file_a_kind() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    # Two files of one kind, as a copy with its old name in it, would leave one file over.
    assert len(files) == len(KINDS) == len(BODIES)
    assert {body.__name__.rpartition(".")[2] for body in BODIES.values()} == files  # type: ignore[attr-defined]
    assert {name: kind.name for name, kind in KINDS.items()} == {name: name for name in KINDS}
    assert list(HANDLERS) == list(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_says_what_the_queue_and_the_screen_ask(name: str) -> None:
    kind = KINDS[name]
    assert kind.words[0].isupper()
    assert kind.remedy.endswith(".")
    assert kind.attempts_allowed > 0
    assert actions_of(name, {}) <= ROLE_ACTIONS["admin"]
    assert HANDLERS[name].__doc__


def test_work_on_files_as_somebody_has_them_says_so() -> None:
    assert {name for name, kind in KINDS.items() if kind.opens_files} == {"import", "pull", "predict"}


def test_work_of_an_unknown_kind_is_an_administrators() -> None:
    assert actions_of("dance", {}) == {"administer"}


def test_a_copy_of_a_file_under_a_new_name_is_a_kind(tmp_path: Path) -> None:
    """As CONTRIBUTING says, in a copy of the engine: queued, claimed and run, and listed without TensorFlow."""
    shutil.copytree(PROJECT_ROOT / "core", tmp_path / "core", ignore=shutil.ignore_patterns("__pycache__"))
    bodies = tmp_path / "core" / "jobs" / "bodies"
    about = (bodies / "predict.py").read_text("utf-8").partition("\ndef run")[0]
    about = about.replace('name="predict"', 'name="greet"').replace('words="Prediction"', 'words="Greeting"')
    body = '\ndef run(context: "JobContext") -> Mapping[str, Any]:\n    return {"said": context.job.arguments["to"]}\n'
    (bodies / "greet.py").write_text(about + body, "utf-8")
    script = """
import sys
from pathlib import Path
from core.jobs.child import HANDLERS, run_job
from core.jobs.context import job_folder
from core.jobs.kinds import KINDS, actions_of
from core.jobs.records import add_job, claim_job, get_job
from core.people.accounts import ensure_user
from core.people.homes import enter_home
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened

assert KINDS["greet"].words == "Greeting"
assert actions_of("greet", {}) == {"open test results"}
settings = Settings(home=Path("home").absolute())
enter_home(settings)
with opened(settings) as connection:
    ensure_user(connection, "anna", role="admin")
    add_job(connection, "greet", {"to": "the world"}, actor=Actor("anna", "command line"))
    job = claim_job(connection, "work", "cpu")
    job_folder(settings, job.id).mkdir(parents=True)
    run_job(settings, job, HANDLERS)
    done = get_job(connection, job.id)
assert (done.state, done.result) == ("done", {"said": "the world"}), done
assert not {"keras", "tensorflow"} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
