"""The report of a review: one document, written as a page for a browser or as a PDF.

It tells of results that were opened; writing it is no further opening, and who exports it is on record. It holds no
image and no name of a patient.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.errors import InvalidInput
from core.people.roles import demand_of
from core.projects.records import Project
from core.reviews.meetings import Review
from core.reviews.report_sections import Section, describe_report
from core.store.audit import Actor, add_audit

ReportFormat = Literal["html", "pdf"]
REPORT_FORMATS: tuple[ReportFormat, ...] = ("html", "pdf")


@dataclass(frozen=True)
class Report:
    """A report before it has a form."""

    title: str
    sections: tuple[Section, ...]
    result: Mapping[str, Any]  # what its figures are drawn from


def write_report(
    connection: sqlite3.Connection, project: Project, review: Review, file_format: ReportFormat, *, actor: Actor
) -> bytes:
    """The bytes of a report.

    Raises:
        InvalidInput: the test results of the review were not opened yet, or the format is unknown.
        NotAllowed: the actor may not export from this project, or not open test results in it.
    """
    if file_format not in REPORT_FORMATS:
        raise InvalidInput(f"A report is written as {' or '.join(REPORT_FORMATS)}. Received: {file_format}")
    for action in ("open test results", "export"):
        demand_of(connection, actor, action, project.id)
    if not review.is_locked:
        raise InvalidInput(f"Open the test results of this review first. Received: review {review.id}")
    sections, result = describe_report(connection, project, review)
    report = Report(f"{review.name} · {project.name}", tuple(sections), result)
    if file_format == "html":
        from core.reviews.report_html import draw_html

        content = draw_html(report.title, report.sections, report.result).encode()
    else:
        from core.reviews.report_pdf import draw_pdf

        content = draw_pdf(report.title, report.sections, report.result)
    add_audit(connection, actor, "export report", f"review {review.id}", format=file_format)
    return content
