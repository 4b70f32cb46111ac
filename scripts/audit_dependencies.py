"""`make audit`: ask whether the locked dependencies have known vulnerabilities, and say plainly who did not answer.

The question goes out through pip-audit, to the two services it knows. It calls a package that a service
could not be asked about "skipped" and ends well all the same; here that is not an answer.
Exit code 0: asked, nothing known. 1: something is known. 2: could not ask.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
SERVICES = ("pypi", "osv")
SECONDS = 600
Ask = Callable[[str, Path], str]


@dataclass(frozen=True)
class Answer:
    """What a service knows: vulnerabilities as lines, and which packages it could not tell about."""

    asked: int
    known: tuple[str, ...]
    untold: tuple[str, ...]


def read_answer(report: str) -> Answer:
    """The answer in pip-audit's JSON report; a text that is none means that nobody could be asked."""
    try:
        found: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Answer(0, (), ())
    known = [
        f"{one['name']} {one['version']}: {fault['id']}, mended in {', '.join(fault['fix_versions']) or 'no version'}"
        for one in found
        for fault in one.get("vulns", [])
    ]
    return Answer(len(found), tuple(known), tuple(one["name"] for one in found if "skip_reason" in one))


def ask_pip_audit(service: str, lock: Path) -> str:
    """pip-audit's report as JSON, from a copy of it that uv fetches for the occasion; "" where it gave none."""
    words = [str(Path(sys.executable).parent / "uvx"), "pip-audit", "--vulnerability-service", service]
    options = ["--requirement", str(lock), "--require-hashes", "--disable-pip", "--format", "json"]
    try:
        done = subprocess.run(
            [*words, *options, "--progress-spinner", "off"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def audit(lock: Path = LOCK, services: Sequence[str] = SERVICES, ask: Ask = ask_pip_audit) -> tuple[int, list[str]]:
    """Exit code and what to say: of the first service that tells about every package, else that none did."""
    said = []
    for service in services:
        answer = read_answer(ask(service, lock))
        if answer.known:
            return 1, [
                *answer.known,
                f"{len(answer.known)} known vulnerabilities; raise the versions and run: make lock",
            ]
        if answer.asked and not answer.untold:
            return 0, [f"{answer.asked} packages of {lock.name}: nothing is known against any ({service})."]
        told = f"knew nothing of {len(answer.untold)} of {answer.asked} packages" if answer.asked else "did not answer"
        said.append(f"The service {service!r} {told}.")
    return 2, [*said, "COULD NOT ASK: this says nothing about the dependencies. Run it where a service can be reached."]


def main() -> int:
    code, said = audit()
    sys.stdout.write("\n".join(said) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
