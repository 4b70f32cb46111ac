"""The real body of an evaluation in real children, killed at every moment that matters and started again."""

import os
import signal
from contextlib import closing
from dataclasses import replace

from core.datasets.records import list_snapshot_cases
from core.evaluation.records import find_predictions, list_evaluations
from core.evaluation.run import evaluate_model
from core.jobs.bodies.evaluate import run as evaluate
from core.jobs.records import add_job, get_job
from core.jobs.waiting import read_log
from core.jobs.worker import Worker
from core.progress import Silent
from core.training.device import CPU
from tests.core.jobs.conftest import wait_until

# What the body says last before each kill: nothing done, predicting, predictions stored, the result stored.
MOMENTS = ("Starting", "6 of 6 cases", "Measuring", "cases measured")


class Deadly:
    """A progress that kills its process (signal 9) when the body says the word of this attempt."""

    def __init__(self, whole, word):
        self._whole, self._word = whole, word

    def report(self, fraction, note, **facts):
        self._whole.report(fraction, note, **facts)
        if self._word and self._word in note:
            os.kill(os.getpid(), signal.SIGKILL)

    def should_stop(self):
        return self._whole.should_stop()


def evaluate_and_die(context):
    attempt = context.job.attempt
    word = MOMENTS[attempt - 1] if attempt <= len(MOMENTS) else ""
    return evaluate(replace(context, progress=Deadly(context.progress, word)))


BODIES = {"evaluate": evaluate_and_die}


def test_killed_at_every_moment_an_evaluation_gives_the_same_result_and_counts_once(
    connection, files, settings, actor, project, snapshot, model, add_brightness_model
):
    cases = [case.case_id for case in list_snapshot_cases(connection, snapshot.id, split="test")]
    assert len(cases) == 6
    asked = {"model": model.id, "snapshot": snapshot.id, "split": "test"}
    attempts = len(MOMENTS) + 1
    job = add_job(connection, "evaluate", asked, project=project.id, attempts_allowed=attempts, actor=actor)
    with closing(Worker(settings, handlers=f"{__name__}:BODIES", devices=[CPU])) as worker:
        wait_until(lambda: not get_job(connection, job.id).is_active, worker.tick)
    ended = get_job(connection, job.id)
    assert (ended.state, ended.attempt) == ("done", attempts), read_log(settings, job.id)
    (stored,) = list_evaluations(connection, model_id=model.id)
    assert ended.result == stored.result
    assert stored.result["test_uses"] == 1
    assert connection.execute("SELECT count(*) FROM predictions").fetchone()[0] == len(cases)

    twin = add_brightness_model(project, snapshot)
    unbroken = evaluate_model(connection, files, settings, twin.id, snapshot.id, "test", actor, Silent())
    own = {"model": twin.name, "job": None, "test_uses": 2}
    assert unbroken == stored.result | own
    assert find_predictions(connection, twin.id, cases) == find_predictions(connection, model.id, cases)
