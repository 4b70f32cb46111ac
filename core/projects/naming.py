"""Which names a class, a structure or a quantity may bear."""

from collections.abc import Sequence

from core.errors import InvalidInput

LONGEST_NAME = 100


def check_names(names: Sequence[str], thing: str) -> None:
    """Raise `InvalidInput` where a name is empty, repeated, too long, or holds a separator of label tables."""
    for name in names:
        if not name:
            raise InvalidInput(f"Give each {thing} a name. Received: {list(names)}")
        if "|" in name or "," in name or name != name.strip():
            raise InvalidInput(f"A {thing} needs a name without | or comma. Received: {name!r}")
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise InvalidInput(
                f"The name of a {thing} is plain text of at most {LONGEST_NAME} characters. Received: {name[:120]!r}"
            )
    if len({name.casefold() for name in names}) < len(names):
        raise InvalidInput(f"Give each {thing} its own name. Received: {list(names)}")
