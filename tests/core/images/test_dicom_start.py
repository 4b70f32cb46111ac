"""What the first bytes tell, without pydicom."""

import subprocess
import sys

from pydicom.valuerep import VR

from core.images.dicom_start import REPRESENTATIONS


def test_the_value_representations_are_those_of_the_standard() -> None:
    assert {vr.value.encode() for vr in VR if len(vr.value) == 2} == REPRESENTATIONS


def test_no_process_waits_for_pydicom_before_there_is_dicom_to_read() -> None:
    """Nor for the others: each takes about half a second, of every command and of every job."""
    starts = "core.images.reading_child, core.images.ingest, core.jobs.worker, core.cli.app, dashboard.up"
    slow = ["pydicom", "nibabel", "pandas", "scipy", "sklearn", "matplotlib", "reportlab"]
    asked = f"import sys, {starts}, dashboard.serve, dashboard.server"
    asked += f"; sys.exit(sorted({{*{slow}}} & {{*sys.modules}}) or 0)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
