"""Commands about the audit: check the chain, list it, carry it out."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from core.cli.door import LARGEST, HomeOption, JsonOption, answer, entered, tell, written_to
from core.labels.said import say_answers
from core.store.audit import (
    NOTHING_SAID,
    AuditFilters,
    AuditRow,
    Said,
    list_audit,
    note_check,
    since_text,
    take_audit_along,
    until_text,
    verify_audit,
)
from core.store.database import writing
from core.store.files import write_whole

WhoOption = Annotated[str, typer.Option("--who", help="Only this person's acts.")]
WhatOption = Annotated[str, typer.Option("--what", help='Only this kind of act, such as "sign in" or "export".')]
SubjectOption = Annotated[str, typer.Option("--subject", help='Only about this, such as "project 1" or "case".')]
ViaOption = Annotated[str, typer.Option("--via", help="Only by this door: screen, command line or job.")]
SinceOption = Annotated[str, typer.Option("--since", help="From this day or time on (UTC), such as 2026-11-22.")]
UntilOption = Annotated[str, typer.Option("--until", help="Up to this day, with it (UTC).")]


def verify(
    head: Annotated[str, typer.Option("--head", help="A head noted earlier; it must still be in the chain.")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that no row was altered, taken out, slipped in or cut off; exit code 1 where one was."""
    with entered(home) as door:
        check = verify_audit(door.connection, noted_head=head)
        note_check(door.connection, check, door.actor)
    document = {"whole": check.is_whole, "rows": check.rows, "head": check.head, "faults": list(check.faults)}
    verdict = f"The chain is whole: {check.rows} rows." if check.is_whole else "The chain is broken."
    answer(document, "\n".join([verdict, *check.faults, f"Head: {check.head}"]), as_json=as_json)
    if not check.is_whole:
        tell("The audit is not what was written. Compare it with a backup, and note who can write the home's files.")
        raise typer.Exit(1)


def list_rows(
    who: WhoOption = "",
    what: WhatOption = "",
    subject: SubjectOption = "",
    via: ViaOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    limit: Annotated[int, typer.Option(min=1, max=LARGEST, help="At most so many, the newest first.")] = 50,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who did what, the newest first."""
    chosen = _choose(who, what, subject, via, since, until)
    with entered(home) as door:
        rows = list_audit(door.connection, **chosen, limit=limit)
        said = say_answers(door.connection, rows)
    document = {"rows": [asdict(row) | ({"said": asdict(said[row.id])} if row.id in said else {}) for row in rows]}
    lines = [_line(row, said.get(row.id, NOTHING_SAID)) for row in rows]
    answer(document, "\n".join(lines) or "Nothing was written that fits.", as_json=as_json)


def export(
    out: Annotated[Path, typer.Option("--out", help="The CSV file to write.")],
    who: WhoOption = "",
    what: WhatOption = "",
    subject: SubjectOption = "",
    via: ViaOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the audit to a CSV file; that it was taken along is a row of the audit too."""
    chosen = _choose(who, what, subject, via, since, until)
    with entered(home) as door, writing(door.connection):  # without the file, nothing was taken along
        text, count = take_audit_along(door.connection, door.actor, chosen, say=say_answers)
        with written_to(out):
            write_whole(out.absolute(), text.encode())
    answer({"path": str(out), "rows": count}, f"{count} rows written to {out}.", as_json=as_json)


def _choose(who: str, what: str, subject: str, via: str, since: str, until: str) -> AuditFilters:
    times = since_text(since), until_text(until)
    return {"who": who, "what": what, "subject": subject, "via": via, "since": times[0], "until": times[1]}


def _line(row: AuditRow, answers: Said) -> str:
    where = f" from {row.address}" if row.address else ""
    said = "  ".join(f"{key}={value}" for key, value in row.detail.items())
    said += f"  ({answers.before or '-'} -> {answers.after})" if answers.after else ""
    return f"{row.id:>6}  {row.at}  {row.who} ({row.via}{where})  {row.what}: {row.subject}  {said}".rstrip()
