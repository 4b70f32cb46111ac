"""The whole examination, thing by thing; a look that fails is itself a finding."""

import sqlite3
import subprocess
import sys

from core.doctor import home, machine, service
from core.doctor.findings import Finding, Look
from core.errors import CoreError
from core.progress import Portion, Progress, Silent, stop_if_asked
from core.settings import PROJECT_ROOT, Settings

TRIAL_STEPS = 20
LOOKS: tuple[tuple[str, Look], ...] = (
    ("home", home.look_at_home),  # first: it makes the home where there is none
    ("permissions", home.look_at_permissions),
    ("database", home.look_at_database),
    ("leftovers", home.look_at_leftovers),
    ("audit", home.look_at_audit),
    ("backup", home.look_at_backup),
    ("worker", service.look_at_worker),
    ("web process", service.look_at_web),
    ("certificate", service.look_at_certificate),
    ("clock", machine.look_at_clock),
    ("disk", machine.look_at_disk),
    ("memory", machine.look_at_memory),
    ("training", machine.look_at_training),
    ("devices", machine.look_at_devices),
    ("browser", machine.look_at_browser),
    ("Python", machine.look_at_python),
    ("packages", machine.look_at_packages),
)
SHARE_OF_LOOKS = 0.4


def examine(settings: Settings, *, every_file: bool = False, progress: Progress | None = None) -> list[Finding]:
    """Look at everything; at every stored file only if asked to, since that reads them all."""
    told = progress or Silent()
    findings = []
    for at, (subject, look) in enumerate(LOOKS):
        stop_if_asked(told)
        told.report(SHARE_OF_LOOKS * at / len(LOOKS), f"looking at: {subject}")
        findings.append(_looked(subject, look, settings))
    part = Portion(told, SHARE_OF_LOOKS, 0.9)
    findings.append(
        _looked("stored files", lambda given: home.look_at_files(given, every=every_file, progress=part), settings)
    )
    told.report(0.9, "looking at: decoders")
    from core.images.dicom_decoders import decoder_findings  # pydicom, for which no other command waits

    findings += [
        Finding(f"decoder {name}", works, said, "" if works else "Install what is named; or run: make setup", "images")
        for name, works, said in decoder_findings()
    ]
    return findings


def examine_gpu(*, steps: int = TRIAL_STEPS, batch: int | None = None) -> Finding:
    """Train some steps, in a process of its own, on the device that a run would get: its name and images/s.

    `batch`: images of a step, where it should not be as many as the recipe says.
    """
    words = ["--steps", str(steps), *(["--batch", str(batch)] if batch else [])]
    done = subprocess.run(
        [sys.executable, "-m", "core.training.trial", *words],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Finding("training trial", False, f"{steps} steps could not be trained: {last}", "Check the driver.")
    return Finding("training trial", True, done.stdout.strip().splitlines()[-1])


def _looked(subject: str, look: Look, settings: Settings) -> Finding:
    """One broken thing must not hide the others: a database that does not open fails its own finding only."""
    try:
        return look(settings)
    except (CoreError, OSError, sqlite3.Error, ValueError) as error:
        mend = "Mend the findings above it, then look again."
        return Finding(subject, False, f"could not be looked at: {error}", mend, "data")
