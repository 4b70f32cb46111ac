"""Dates in a label table, moved as those of headers are: by the patient's own number of days, intervals kept."""

import re
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Literal

Order = Literal["day", "month"]  # which comes first where the year comes last

# A column of dates by its name: study_date, ExamDate, date, visit_date_1, admission_datetime; no candidate or update.
DATED = re.compile(
    r"(\w*?)(?<!candi)(?<!man)(?<!vali)(?<!up)date(_?time)?s?(_\w+|\d+)?|(\w+_)?timestamp", re.IGNORECASE
)
TIME = r"(?:[T ]\d{1,2}:[\d:.]*(?: ?[AaPp][Mm]|Z|[+-][\d:]+)?)?"  # nothing else may stand behind a date
YEAR_FIRST = re.compile(rf"(\d{{4}})([-/.]?)(\d{{1,2}})\2(\d{{1,2}})({TIME})")
YEAR_LAST = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}})({TIME})")


def order_of(values: Iterable[str]) -> Order | None:
    """What comes first in a column of dates that end in the year, where any of them tells it and none contradicts."""
    found = [match for value in values if (match := YEAR_LAST.fullmatch(value.strip()))]
    first = any(int(match[1]) > 12 for match in found)
    second = any(int(match[3]) > 12 for match in found)
    if first == second:
        return "day" if found and not first and all(match[2] == "." for match in found) else None
    return "day" if first else "month"


def moved(value: str, days: int, order: Order | None) -> str | None:
    """The date so many days later, written as it was, with its time of day; None for what is no date for sure."""
    text = value.strip()
    if match := YEAR_FIRST.fullmatch(text):
        year, between, month, day, rest = match.groups()
        if not between and len(month + day) < 4:
            return None
    elif (match := YEAR_LAST.fullmatch(text)) and order:
        first, between, second, year, rest = match.groups()
        day, month = (first, second) if order == "day" else (second, first)
    else:
        return None
    try:
        new = date(int(year), int(month), int(day)) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    parts = [f"{new.year:04d}", f"{new.month:02d}", f"{new.day:02d}"]
    if not YEAR_FIRST.fullmatch(text):
        parts = [parts[2], parts[1], parts[0]] if order == "day" else [parts[1], parts[2], parts[0]]
    return between.join(parts) + rest
