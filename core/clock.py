"""Time as it is stored: UTC, milliseconds, sortable as text."""

from datetime import UTC, datetime


def utc_now() -> str:
    """The present as `2026-11-22T10:42:03.123Z`."""
    return utc_text(datetime.now(UTC))


def utc_text(moment: datetime) -> str:
    """A moment as stored text, with milliseconds so that two labels keep their order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
