"""What can go wrong in a way that a user can mend.

Only a `CoreError` is shown to a user; its text is a sentence that says what to do
and ends in what was received. Anything else is a defect: it is logged and it crashes.
"""

from collections.abc import Sequence


class CoreError(Exception):
    """A refusal that the user can act on. `str(error)` is the sentence for the screen.

    `remedy` is what to do about it once it has ended a job; "" leaves that to the kind of job. `why` is how it came
    about, where the sentence does not say so itself; it names nothing of the data. `would_repeat` is whether the same
    work, done again, would end in the same way: then something has to be asked for otherwise, not resumed.
    """

    would_repeat = False

    def __init__(self, *words: object, remedy: str = "", why: str = "", would_repeat: bool | None = None) -> None:
        super().__init__(*words)
        self.remedy, self.why = remedy, why
        if would_repeat is not None:
            self.would_repeat = would_repeat


class InvalidInput(CoreError):
    """What was given cannot be used."""

    would_repeat = True


class NotFound(CoreError):
    """`raise NotFound("case", 9)` reads "There is no case 9."."""

    would_repeat = True

    def __init__(self, kind: str, name: object) -> None:
        super().__init__(f"There is no {kind} {name}.")
        self.kind = kind
        self.name = name


class Deleted(NotFound):
    """It was there, and somebody deleted it for good."""

    def __init__(self, kind: str, name: object) -> None:
        super().__init__(kind, name)
        self.args = (f"This {kind} was deleted for good; nothing more is kept about it. Received: {kind} {name}",)


class Conflict(CoreError):
    """What was asked contradicts what is already stored."""


class NotAllowed(CoreError):
    """This person may not do this."""


class Unavailable(CoreError):
    """What was asked is right, but the disk or the database cannot serve it now. Nothing was changed; ask again."""


class Stopped(CoreError):
    """Somebody asked the work to stop, and it stopped in good order."""

    def __init__(self, message: str = "Stopped on request.") -> None:
        super().__init__(message)


def some_of(words: Sequence[str], most: int, *, between: str = ", ") -> str:
    """A few of many, for a sentence: `some_of(["a", "b", "c"], 2)` reads "a, b and 1 more"."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return between.join(words[:most]) + more
