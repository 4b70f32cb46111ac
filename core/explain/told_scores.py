"""The numbers of one map in words, for a table and for a line."""

from collections.abc import Mapping
from typing import Any


def describe_scores(scores: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What is told, its number, and what to hold it against; one line saying why where there is nothing to tell.

    The spread of a number at random places is their least and most: of one map there is no interval over patients.
    """
    if scores.get("reason"):
        return [("no numbers", "undefined", str(scores["reason"]))]
    n = scores["places"]
    lines = [
        (
            name,
            f"{scores[name]:.3f}",
            f"{better} is better; at {n} random places {scores[f'{name}_random']:.3f} "
            f"({scores[f'{name}_random_low']:.3f} to {scores[f'{name}_random_high']:.3f})",
        )
        for name, better in (("deletion", "lower"), ("insertion", "higher"))
    ]
    lines.append(("stability", f"{scores['stability']:.3f}", "rank correlation under noise, n = 1; higher is better"))
    if scores["pointing"] is None:
        lines.append(("pointing", "undefined", "no reader marked what was explained"))
    else:
        hit, chance = ("hit" if scores["pointing"] else "miss"), f"chance {scores['marked_by_chance']:.3f}"
        lines.append(("pointing", hit, f"whether its highest place is in what readers marked; {chance}"))
        lines.append(("overlap", f"{scores['overlap']:.3f}", f"share of the map in what readers marked; {chance}"))
    if scores["outside"] is not None:
        chance = f"chance {scores['outside_by_chance']:.3f}"
        lines.append(("beside the body", f"{scores['outside']:.3f}", f"lower is better; {chance}"))
    return lines
