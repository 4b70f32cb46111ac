"""The doctor by command: what works here, what does not, and how to mend it."""

from typing import Annotated

import typer

from core.cli.door import HomeOption, JsonOption, answer, tell
from core.doctor import Finding, examine, examine_gpu
from core.settings import load_settings


class _Told:
    """Notes on standard error, for a look at every file that takes a while."""

    def report(self, fraction: float, note: str, **facts: object) -> None:
        tell(f"{fraction:4.0%} {note}")

    def should_stop(self) -> bool:
        return False


def doctor(
    gpu: Annotated[bool, typer.Option("--gpu", help="Train 20 steps on the device a run would get.")] = False,
    files: Annotated[bool, typer.Option("--files", help="Check every stored file, not only a sample.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what works here, what does not, and how to mend it."""
    findings = examine(load_settings(home), every_file=files, progress=_Told() if files else None)
    if gpu:
        findings.append(examine_gpu())
    document = {
        "works": all(finding.works for finding in findings),
        "findings": [
            {"subject": f.subject, "works": f.works, "said": f.said, "mend": f.mend, "group": f.group} for f in findings
        ],
    }
    answer(document, "\n".join(map(_line, findings)), as_json=as_json)


def _line(finding: Finding) -> str:
    mend = f"\n      -> {finding.mend}" if finding.mend else ""
    return f"{'ok ' if finding.works else 'NO '} {finding.subject}: {finding.said}{mend}"
