"""What the job panel calls things."""

from core.jobs.kinds import KINDS
from dashboard.jobs_panel import KIND_WORDS


def test_every_kind_of_job_has_a_name_on_screen() -> None:
    assert set(KINDS) <= set(KIND_WORDS)
