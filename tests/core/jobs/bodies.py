"""Small bodies for tests of the queue; a child finds them as `tests.core.jobs.bodies:BODIES`."""

import os
import signal
import subprocess
import sys
import time
from typing import Any

from core.errors import InvalidInput, Stopped
from core.jobs.context import JobContext
from core.jobs.launchers.local import is_alive
from core.progress import stop_if_asked

PLACE = "tests.core.jobs.bodies:BODIES"


def answer(context: JobContext) -> dict[str, Any]:
    """Says what it sees."""
    context.progress.report(0.5, "Half", epoch=1)
    context.progress.report(0.75, "More", loss=float("nan"))
    sys.stdout.write("printed by the body\n")
    return {
        "cuda": os.environ["CUDA_VISIBLE_DEVICES"],
        "tensorflow": "tensorflow" in sys.modules,
        "nice": os.nice(0),
        "pid": os.getpid(),
        "group": os.getpgid(0),
        "said": context.job.arguments.get("say"),
        "actor": [context.actor.name, context.actor.via],
    }


def note(context: JobContext) -> dict[str, Any]:
    """Leaves a trace of each run: who began, who ended, and whether an earlier one still lived."""
    trace = context.settings.home / f"trace-{context.job.id}.txt"
    before = [int(line.split()[1]) for line in trace.read_text().splitlines()] if trace.exists() else []
    overlaps = [pid for pid in before if is_alive(pid, None)]
    with trace.open("a") as stream:
        stream.write(f"{'overlap' if overlaps else 'begin'} {os.getpid()}\n")
    until = time.monotonic() + context.job.arguments.get("seconds", 0.0)
    while time.monotonic() < until:
        stop_if_asked(context.progress)
        time.sleep(0.02)
    with trace.open("a") as stream:
        stream.write(f"end {os.getpid()}\n")
    return {}


def wait(context: JobContext) -> dict[str, Any]:
    """Waits for a file of its folder named `go`; ends in good order when asked."""
    (context.folder / f"began-{context.job.attempt}").touch()
    while not (context.folder / "go").exists():
        context.progress.report(0.3, "Waiting")
        if context.progress.should_stop():
            raise Stopped("Stopped; nothing was lost.")
        time.sleep(0.02)
    return {"attempt": context.job.attempt}


def ignore(context: JobContext) -> dict[str, Any]:
    """Hears nothing, and has started a helper of its own."""
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (context.folder / "helper").write_text(str(helper.pid))
    time.sleep(600)
    return {}


def keep_best(context: JobContext) -> dict[str, Any]:
    """As a training: asked to stop, it still leaves a result."""
    (context.folder / "began-1").touch()
    while not context.progress.should_stop() and context.job.attempt == 1:
        time.sleep(0.02)
    return {"stopped": True, "model": "m"}


def refuse(context: JobContext) -> dict[str, Any]:
    raise InvalidInput("Choose another snapshot. Received: s1")


def fault(context: JobContext) -> dict[str, Any]:
    raise ZeroDivisionError("by zero")


def exhaust(context: JobContext) -> dict[str, Any]:
    raise MemoryError


def die(context: JobContext) -> dict[str, Any]:
    """Killed by the system, as many times as it is told."""
    if context.job.attempt <= context.job.arguments["times"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"attempt": context.job.attempt}


def crash(context: JobContext) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def leave(context: JobContext) -> dict[str, Any]:
    os._exit(3)


def freeze(context: JobContext) -> dict[str, Any]:
    """Hangs as a whole on its first attempt, its heart too."""
    if context.job.attempt == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    return {"attempt": context.job.attempt}


def explain(context: JobContext) -> dict[str, Any]:
    """As an explanation: the loaded model stays."""
    context.kept["loads"] = context.kept.get("loads", 0) + ("model" not in context.kept)
    context.kept["model"] = True
    time.sleep(context.job.arguments.get("seconds", 0.0))
    return {"pid": os.getpid(), "loads": context.kept["loads"]}


def preload(connection: object, files: object, settings: object, model_id: int, kept: dict[str, Any]) -> None:
    kept["model"] = model_id


BODIES = {
    body.__name__: body
    for body in (
        answer,
        note,
        wait,
        ignore,
        keep_best,
        refuse,
        fault,
        exhaust,
        die,
        crash,
        leave,
        freeze,
        explain,
    )
}
