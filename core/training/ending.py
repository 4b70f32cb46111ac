"""How long a run takes after its last epoch: the model is judged and stored, exported to ONNX in a process of its own,
and its explanations are checked. Of a short run that is most of the time, so the time left counts it from the first
epoch on.

It is told from what the run took before its first step, on the same machine under the same load. Processor time says
how much work an import of TensorFlow is here, whatever the disk did; how much longer than their processor time the
first steps took says how busy the machine is.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.tasks import task_module
from core.training.gap import judgings_of
from core.training.preflight import BYTES_A_VALUE

if TYPE_CHECKING:
    from core.training.batches import Examples

MOST_IMPORTING = 30.0  # processor seconds; a process that has done more than to import is no measure
# In imports of TensorFlow, as measured over the networks: the export imports it again in its child, builds the network
# and traces it; the check explains some twenty images by several layers and with shuffled weights.
STORE, EXPORT, CHECK = 0.4, 1.6, 0.8
EXPORT_OF_MEGABYTE = 0.04  # of weights, which are turned and compared


class Importing:
    """What an import of TensorFlow takes here, which took so many processor seconds; made just before the network is
    built and tried, which is work of one thread for the most part, and asked after that."""

    def __init__(self, processor_seconds: float) -> None:
        self._importing = min(processor_seconds, MOST_IMPORTING)
        self._began, self._worked = time.monotonic(), time.process_time()

    def seconds(self) -> float:
        took, worked = time.monotonic() - self._began, time.process_time() - self._worked
        # At rest 1; never less, for some of the work may have been shared between threads.
        return self._importing * max(1.0, took / max(worked, 1e-3))


@dataclass(frozen=True)
class Ending:
    """`unit` is what an import of TensorFlow takes here, in seconds; `judgings` how many times as long as a judgement
    of the validation all judgements of the end take; `megabytes` are of weights."""

    unit: float
    judgings: float
    megabytes: float
    exports: bool
    checks: bool

    def seconds(self, judged_seconds: float) -> float:
        """From the end of the last epoch to the end of the job.

        Args:
            judged_seconds: that the last judgement of the validation took.
        """
        return self.judgings * judged_seconds + STORE * self.unit + self.after_storing()

    def after_storing(self) -> float:
        """From the moment that the model is stored."""
        export = EXPORT + EXPORT_OF_MEGABYTE * self.megabytes
        return export * self.unit * self.exports + self.after_export()

    def after_export(self) -> float:
        return CHECK * self.unit * self.checks


def plan_ending(unit: float, task: str, parameters: int, train: "Examples", validation: "Examples") -> Ending:
    """What a run of this task ends with: one that draws has no ONNX file, one that paints no explanations."""
    answers = task_module(task)
    judgings = judgings_of(train, validation) + 1  # one for the calibration
    megabytes = parameters * BYTES_A_VALUE / 1e6
    return Ending(unit, judgings, megabytes, exports=not answers.DRAWS, checks=not (answers.DRAWS or answers.PAINTS))
