"""What to say of a process that ended without settling its job."""

import signal
from dataclasses import dataclass

from core.jobs.kinds import DEFAULT_REMEDY, KINDS
from core.jobs.records import Job

KILLED = (
    "When the machine has no memory left, the system ends the program that takes most of it; another program or a "
    "person can end it in the same way."
)
HUNG = "It waited for something that did not come: a disk, a driver, or a machine that was asleep."
CRASHED = "A library below Readroom (decoder, TensorFlow, driver) failed in a way that no program can catch."


@dataclass(frozen=True)
class Ending:
    """What happened, what to do, whether the attempt `counts` against those allowed, why it came about, and whether it
    is `final`: a further attempt would most likely end in the same way."""

    sentence: str
    remedy: str
    counts: bool = True
    why: str = ""
    final: bool = False


def explain_ending(
    job: Job, code: int | None, *, silent_seconds: float | None, rebooted: bool, has_kept: bool = True
) -> Ending:
    """Why an attempt broke off.

    Args:
        job: the job as it stood.
        code: the exit code, negative for a signal; None where the process was not our own child.
        silent_seconds: how long it had given no sign of life when the worker killed it, or None.
        rebooted: whether the machine started after the process did.
        has_kept: whether a further attempt would go on from something (`Kind.has_kept`).
    """
    remedy = KINDS[job.kind].remedy if job.kind in KINDS else DEFAULT_REMEDY
    if silent_seconds is not None:
        return Ending(
            f"The job hung: it gave no sign of life for {silent_seconds:.0f} seconds and was ended.", remedy, why=HUNG
        )
    if rebooted:
        return Ending("The machine was restarted while the job ran.", "Resume the job.", counts=False)
    if job.pid is None and code is None:
        return Ending("The worker ended before the job had begun.", "Resume the job.", counts=False)
    if code is None:
        return Ending("The job's process vanished while no worker watched, often out of memory.", remedy, why=KILLED)
    if code == -signal.SIGTERM:
        return Ending("The system asked the job's process to end (signal 15).", "Resume the job.", counts=False)
    if code == -signal.SIGKILL:
        sentence = "The job was killed by the system (exit -9, signal 9), often out of memory."
        if not has_kept:
            sentence += " It had kept nothing yet to go on from, so it was not begun again as it was."
        return Ending(sentence, remedy, why=KILLED, final=not has_kept)
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
        return Ending(f"The job crashed inside a native library (signal {-code}, {name}).", remedy, why=CRASHED)
    began = "ended without an answer" if job.pid else "could not start"
    return Ending(
        f"The job's process {began} (exit code {code}).", "Read the end of its log, mend what it names, then resume."
    )
