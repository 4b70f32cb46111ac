"""Numbers, moments and answers in words, the same everywhere on screen."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

from core.images.pseudonyms import TOKEN_PATH
from core.projects.schema import Classification, LabelSchema, Regression, Segmentation, numbers_of


def number(value: float | None, *, digits: int = 3) -> str:
    """`0.912`; a dash where the number does not exist (one class has no AUC)."""
    return "–" if value is None or value != value else f"{value:.{digits}f}".replace("-", "−")


def measured(value: float | None) -> str:
    """A quantity to three figures, and never coarser than ones: `0.0312`, `37.0`, `1,235`."""
    if value is None or not math.isfinite(value):
        return "–"
    digits = 0 if value == 0 else min(6, max(0, 2 - math.floor(math.log10(abs(value)))))
    return f"{value:,.{digits}f}".replace("-", "−")


def given(value: float | None) -> str:
    """A number as a reader gave it: `36`, `0.25`."""
    return "–" if value is None else f"{value:,.6g}".replace("-", "−")


def percent(share: float) -> str:
    """`90 %`."""
    return f"{100 * share:.0f} %"


def interval(measure: Mapping[str, float | None] | None) -> str:
    """`0.912 (0.880 to 0.944)` of a value with its 95 % interval; a dash between would read as a minus."""
    if not measure or measure.get("value") is None:
        return "–"
    low, high = measure.get("low"), measure.get("high")
    if low is None or high is None:
        return f"{number(measure['value'])} (no interval)"
    return f"{number(measure['value'])} ({number(low)} to {number(high)})"


def difference(measure: Mapping[str, float | None]) -> str:
    """`−0.120 (−0.220 to −0.020)` of a difference with its 95 % interval."""
    value, low, high = measure["value"], measure["low"], measure["high"]
    if value is None:
        return "–"
    ends = "no interval" if low is None or high is None else f"{low:+.3f} to {high:+.3f}"
    return f"{value:+.3f} ({ends})".replace("-", "−")


def p_value(value: float | None) -> str:
    """`p = 0.012`, `p < 0.001`."""
    if value is None:
        return "p undefined"
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def count(amount: int, one: str, many: str | None = None) -> str:
    """`1 case`, `1,024 cases`."""
    return f"{amount:,} {one if amount == 1 else many or one + 's'}"


def file_of(case: int, source: str) -> str:
    """What a case is called where there is little room: its file, or its number where the file goes by a token, of
    which all look alike."""
    return f"case {case}" if TOKEN_PATH.fullmatch(source) else source.rpartition("/")[2]


def size(size_bytes: int | float) -> str:
    """`4.2 MB`."""
    amount = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError("unreachable: the loop ends at GB")


def duration(seconds: float | None) -> str:
    """`42 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if 0 < seconds < 1:
        return "under 1 s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def moment(stored: str | None) -> str:
    """A stored UTC time in the server's time zone: `22 Nov 2026, 10:42`."""
    if not stored:
        return "–"
    at = datetime.fromisoformat(stored.replace("Z", "+00:00")).astimezone()
    return f"{at.day} {at:%b %Y, %H:%M}"


def clock(stored: str) -> str:
    """A stored UTC time of today as `10:42` in the server's time zone, of another day with its date."""
    at = datetime.fromisoformat(stored.replace("Z", "+00:00")).astimezone()
    return f"{at:%H:%M}" if at.date() == datetime.now().astimezone().date() else f"{at.day} {at:%b}, {at:%H:%M}"


def seconds_between(start: str | None, end: str | None) -> float | None:
    """Seconds from one stored time to another, or to now where the second is missing."""
    if not start:
        return None
    first = datetime.fromisoformat(start.replace("Z", "+00:00"))
    last = datetime.fromisoformat(end.replace("Z", "+00:00")) if end else datetime.now(UTC)
    return max(0.0, (last - first).total_seconds())


def answer(value: Mapping[str, Any] | None) -> str:
    """A stored answer in words; no class at all reads "none of them"."""
    if value is None:
        return "–"
    if "classes" in value:
        return ", ".join(value["classes"]) or "none of them"
    if "structures" in value:
        return ", ".join(value["structures"]) or "nothing to paint"
    if "values" in value:
        return ", ".join(f"{name} {number:g}" for name, number in value["values"].items())
    return f"{value['value']:g}" if "value" in value else "–"


def chips(value: Mapping[str, Any] | None, schema: LabelSchema) -> str:
    """A stored answer as HTML with each class or structure in its colour, a number with its unit; text is escaped."""
    if isinstance(schema, Regression) and value is not None and {"value", "values"} & set(value):
        said = zip(schema.quantities, numbers_of(schema, value), strict=True)
        return "".join(
            chip(f"{f'{one.target} ' if schema.further else ''}{number:g} {one.unit}", "") for one, number in said
        )
    names = (value or {}).get("classes", (value or {}).get("structures"))
    if names is None or not isinstance(schema, (Classification, Segmentation)):
        return f'<span class="rr-chip">{escape(answer(value))}</span>'
    ones = schema.classes if isinstance(schema, Classification) else schema.structures
    colours = {one.name: one.colour for one in ones}
    return "".join(chip(name, colours.get(name, "")) for name in names) or chip(answer(value), "")


def chip(text: str, colour: str, *, key: str = "") -> str:
    """One word with a dot of its colour and the key that says it, as HTML."""
    dot = f'<i style="background:{escape(colour)}"></i>' if colour else ""
    pressed = f"<kbd>{escape(key)}</kbd>" if key else ""
    return f'<span class="rr-chip">{dot}{escape(text)}{pressed}</span>'
