"""When a method counts as reliable for a model: the rules, in one place, over numbers with intervals.

What a method points at does not decide: a true map of a model that looks at the wrong place misses the object too, and
that is what one wants to see.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Verdict = Literal["reliable", "not reliable", "not checked"]

CASES_NEEDED = 50
MOST_ALIKE = 0.5  # rank correlation from which on a map of shuffled weights counts as the same picture
LEAST_STABLE = 0.5  # rank correlation below which noise that nobody sees gives another picture
RULES = (
    f"Reliable for a model: on at least {CASES_NEEDED} cases its maps differ from those of shuffled weights (rank "
    f"correlation below {MOST_ALIKE}), deletion and insertion beat the same maps moved to random places (the interval "
    f"excludes zero), and noise that nobody sees leaves them as they are (rank correlation {LEAST_STABLE} or more)."
)
CASES_OF_DOUBT = 200  # that are looked at unless somebody says otherwise: on some of them nothing is wrong
RULES_OF_DOUBT = (
    f"Reliable for a model and a structure: on at least {CASES_NEEDED} cases on which it is wrong somewhere, doubt is "
    f"higher where it is wrong than where it is right (area under the ROC curve within a case; the interval lies above "
    f"0.5), the map differs from that of shuffled weights (rank correlation below {MOST_ALIKE}), and noise that nobody "
    f"sees leaves it as it is ({LEAST_STABLE} or more). Whether it tells more than nearness to the painted edge, where "
    f"any model errs most, is said with the verdict."
)
EDGE_ONLY = "it tells no more than nearness to the painted edge"
WORDS: dict[Verdict, str] = {
    "reliable": "reliable for this model",
    "not reliable": "not reliable for this model",
    "not checked": "not checked",
}


@dataclass(frozen=True)
class Standing:
    """A verdict with what it stands on; `n` cases."""

    verdict: Verdict
    reasons: tuple[str, ...]
    n: int

    @property
    def sentence(self) -> str:
        said = WORDS[self.verdict]
        because = f": {'; '.join(self.reasons)}" if self.reasons else ""
        return f"{said[0].upper()}{said[1:]}{because} (n = {self.n})."


def judge(n: int, measures: Mapping[str, Mapping[str, Any]]) -> Standing:
    """
    Args:
        measures: estimates as JSON by name; `randomisation`, `faithfulness` and `stability` decide.
    """
    beyond = measures["faithfulness"]
    failed = []
    if beyond["low"] is None or beyond["low"] <= 0:
        failed.append(f"what it marks decides no more than random places ({_number(beyond)} beyond them)")
    return _standing(n, measures, failed)


def judge_doubt(n: int, measures: Mapping[str, Mapping[str, Any]]) -> Standing:
    """Of a map of doubt, on `n` cases on which the model is wrong somewhere.

    Args:
        measures: estimates as JSON by name; `randomisation`, `finds_errors` and `stability` decide.
    """
    finds, beyond = measures["finds_errors"], measures["beyond_edge"]
    if finds["value"] is None:
        return Standing("not checked", ("it is wrong on none of these cases",), n)
    failed = []
    if finds["low"] is None:
        failed.append(f"whether it is higher where the model is wrong has no interval (area {finds['value']:.2f})")
    elif finds["low"] <= 0.5:
        failed.append(f"it is no higher where the model is wrong (area {_number(finds)}, by chance 0.5)")
    standing = _standing(n, measures, failed)
    if standing.verdict == "reliable" and (beyond["low"] is None or beyond["low"] <= 0):
        return replace(standing, reasons=(f"but {EDGE_ONLY} ({_number(beyond)} beyond that)",))
    return standing


def _standing(n: int, measures: Mapping[str, Mapping[str, Any]], failed: list[str]) -> Standing:
    alike, stable = (measures[name] for name in ("randomisation", "stability"))
    if alike["value"] is None or alike["value"] >= MOST_ALIKE:
        failed.insert(0, f"it shows the image and not what was learnt ({_number(alike)} alike with shuffled weights)")
    if stable["value"] is None or stable["value"] < LEAST_STABLE:
        failed.append(f"noise that nobody sees changes it ({_number(stable)} alike)")
    if failed:
        return Standing("not reliable" if n >= CASES_NEEDED else "not checked", tuple(failed), n)
    if n < CASES_NEEDED:
        return Standing("not checked", (f"{CASES_NEEDED} cases are needed",), n)
    return Standing("reliable", (), n)


def tell_measures(measures: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """The three numbers that decide, each with its interval."""
    alike, beyond, stable = (_number(measures[name]) for name in ("randomisation", "faithfulness", "stability"))
    return (f"{alike} alike with shuffled weights", f"{beyond} beyond random places", f"{stable} alike under noise")


def tell_doubt(measures: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """The numbers of a map of doubt, each with its interval."""
    finds, beyond, alike, stable = (
        _number(measures[name]) for name in ("finds_errors", "beyond_edge", "randomisation", "stability")
    )
    return (
        f"area {finds} where it is wrong", f"{beyond} beyond nearness to the painted edge",
        f"{alike} alike with shuffled weights", f"{stable} alike under noise",
    )  # fmt: skip


def _number(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return "undefined"
    if estimate["low"] is None:
        return f"{estimate['value']:.2f}, no interval"
    return f"{estimate['value']:.2f}, {estimate['low']:.2f} to {estimate['high']:.2f}"
