"""The command line as a bench uses it: a child process, or none, one JSON document back."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from core.cli.app import app
from core.settings import PROJECT_ROOT


def run_command(home: Path, *words: str) -> dict[str, Any]:
    """Run `readroom WORDS --home HOME --json` and give its document; a refusal ends the bench with its sentence."""
    done = subprocess.run(
        [sys.executable, "-m", "core.cli.app", *words, "--home", str(home), "--json"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"readroom {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def run_here(home: Path, *words: str) -> dict[str, Any]:
    """The same in this process: quicker by the start of one, where nothing is measured of it."""
    done = CliRunner().invoke(app, [*words, "--home", str(home), "--json"])
    if done.exit_code != 0:
        raise SystemExit(f"readroom {' '.join(words)} ended with {done.exit_code}:\n{done.output}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def train_once(home: Path, project: str, name: str, *words: str) -> float:
    """Seconds from `readroom train PROJECT WORDS` to the stored model; one that is there is not trained again, and one
    that a killed bench has begun is brought to its end. Of that the seconds of its epochs are told."""
    clock = home / f"{name}.seconds"
    if name not in _models(home, project):
        _finish_jobs(home)
    if name not in _models(home, project):
        began = time.monotonic()
        run_command(home, "train", project, "--name", name, *words, "--wait")
        clock.write_text(str(time.monotonic() - began), "utf-8")
    return float(clock.read_text("utf-8")) if clock.exists() else float(_models(home, project)[name]["seconds"])


def _models(home: Path, project: str) -> dict[str, Any]:
    return {row["model"]: row for row in run_command(home, "models", project)["models"]}


def _finish_jobs(home: Path) -> None:
    """Do what a killed bench has left in the queue or under way."""

    def is_left() -> bool:
        return any(job["state"] in ("queued", "running") for job in run_command(home, "jobs", "list")["jobs"])

    if not is_left():
        return
    worker = subprocess.Popen([sys.executable, "-m", "core.jobs.worker", "--home", str(home)], cwd=PROJECT_ROOT)
    while is_left():
        time.sleep(20)  # each look starts a process, which a training beside it would feel
    worker.terminate()
    worker.wait()


def end_job(home: Path, job: int) -> None:
    """Stop a job and wait for its end: it outlives the server, and would write into a home that is being removed."""
    run_command(home, "jobs", "stop", str(job))
    while run_command(home, "jobs", "show", str(job))["state"] in ("queued", "running"):
        time.sleep(0.5)
