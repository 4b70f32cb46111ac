"""A row: one measurement with its budget, stored as JSON with commit, machine and seconds."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.clock import utc_now
from core.settings import PROJECT_ROOT

RESULTS = PROJECT_ROOT / "bench" / "results"
MEASURED_CODE = ("core", "dashboard", "pages", "bench")

Figures = list["Figure"]


@dataclass(frozen=True)
class Figure:
    """One number beside what it is held against. `passed` is None where nothing is promised."""

    name: str
    value: float
    unit: str
    against: str = ""
    passed: bool | None = None
    detail: str = ""


@dataclass(frozen=True)
class Row:
    """One measurement: `measure()` takes a while and gives figures."""

    name: str
    pace: Literal["quick", "full"]
    measure: Callable[[], Figures]


def run_rows(rows: list[Row], *, again: bool = False) -> bool:
    """Run each row that has no result for the present code; True where every pass was reached."""
    reached = True
    for row in rows:
        stored = read_result(row.name)
        if again or stored is None or stored["code"] != code_version():
            print(f"{row.name}: measuring …", flush=True)
            stored = _measure(row)
        print(table_of([stored]), flush=True)
        reached &= all(figure["passed"] is not False for figure in stored["figures"])
    return reached


def _measure(row: Row) -> dict[str, Any]:
    started = time.monotonic()
    figures = row.measure()
    result = {
        "row": row.name,
        "measured_at": utc_now(),
        "commit": _git("rev-parse", "HEAD"),
        "code": code_version(),
        "machine": machine(),
        "seconds": round(time.monotonic() - started, 1),
        "figures": [vars(figure) for figure in figures],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{row.name}.json").write_text(json.dumps(result, indent=1) + "\n")
    return result


def read_result(name: str) -> dict[str, Any] | None:
    """The stored result of a row, or None."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def table_of(results: list[dict[str, Any]]) -> str:
    """The figures as lines of a Markdown table."""
    lines = ["| figure | measured | held against | |", "| --- | --- | --- | --- |"]
    for result in results:
        for figure in result["figures"]:
            verdict = {True: "reached", False: "MISSED", None: ""}[figure["passed"]]
            measured = f"{figure['value']:.4g} {figure['unit']}".strip()
            detail = f" ({figure['detail']})" if figure["detail"] else ""
            lines.append(
                f"| {result['row']}: {figure['name']} | {measured}{detail} | {figure['against']} | {verdict} |"
            )
        lines.append(f"| {result['row']}: took | {result['seconds']} s on {result['machine']} | | |")
    return "\n".join(lines)


def machine() -> str:
    """The machine in a few words: what the figures depend on."""
    processor = platform.processor() or platform.machine()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.exists():
        models = [line.partition(":")[2].strip() for line in cpu_info.read_text().splitlines() if "model name" in line]
        processor = models[0] if models else processor
    return f"{os.cpu_count()} cores {processor}, {platform.system()}, Python {platform.python_version()}"


def code_version() -> str:
    """What was measured: the state of the code, in the commit and beside it."""
    trees = [_git("rev-parse", f"HEAD:{folder}") for folder in MEASURED_CODE]
    return " ".join(tree[:12] for tree in trees) + (" changed" if _git("status", "--porcelain", *MEASURED_CODE) else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def run_child(module: str, *words: str, most_said: int | None = None) -> Any:
    """What a module prints as JSON on its last line, in a process of its own.

    Args:
        most_said: characters at the end of what it says of an error that are shown; all of it where None.

    Raises:
        SystemExit: it went wrong.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *words], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(done.stderr[-most_said:] if most_said else done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def test_data() -> Path:
    """The folder of real images, as for the tests."""
    given = Path(os.environ.get("READROOM_TEST_DATA", PROJECT_ROOT.parent / "shared" / "data"))
    if not given.is_dir():
        raise SystemExit(f"Set READROOM_TEST_DATA to the folder of real images (looked in {given}).")
    return given
