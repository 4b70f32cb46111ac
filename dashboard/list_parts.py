"""A long list of cases in parts: the browser has the next one before its reader is at the end of this one."""

AT_ONCE = 1000
NEAR_END = 100  # cases before the end of what the browser has: time enough for the next part to arrive


def first_part(case_ids: list[int], case: int | None) -> tuple[list[int], list[int]]:
    """The part in which a case stands, and all that follows."""
    start = case_ids.index(case) // AT_ONCE * AT_ONCE if case is not None else 0
    return case_ids[start : start + AT_ONCE], case_ids[start + AT_ONCE :]


def with_next_part(shown: list[int], rest: list[int], case: int | None) -> tuple[list[int], list[int]]:
    """Longer where the reader is near the end; what they have passed keeps its place."""
    if not rest or case not in shown[-NEAR_END:]:
        return shown, rest
    return shown + rest[:AT_ONCE], rest[AT_ONCE:]
