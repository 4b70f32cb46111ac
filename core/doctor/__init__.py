"""What works here, what does not, and how to mend it: one finding for each thing that Readroom stands on."""

from core.doctor.examine import examine, examine_gpu
from core.doctor.findings import GROUPS, Finding

__all__ = ["GROUPS", "Finding", "examine", "examine_gpu"]
