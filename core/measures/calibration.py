"""What is chosen on the validation split, and never on the test split: a temperature, thresholds, an interval's width.

Arrays in, numbers out. SciPy and scikit-learn are imported where they compute: pages and workers read what a task says
and wait for neither. A temperature makes probabilities mean what they say; a threshold turns one into a decision;
an interval says how far from a number the truth may lie.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.measures.intervals import number_patients

COLDEST, HOTTEST = 0.05, 20.0
THRESHOLD_RULE = "next to 0.5 of those within a standard error of the highest balanced accuracy on validation"
INTERVAL_LEVEL = 0.9
REWEIGHED = 5
FEWEST_TO_GROW, CLEARLY = 30, 0.01  # patients, and the largest p, from which on errors are said to grow with a number


@dataclass(frozen=True)
class Temperature:
    """By what logits are divided, and the mean log loss on the `n` cases before and after."""

    temperature: float
    log_loss_before: float
    log_loss_after: float
    n: int

    def to_json(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class Threshold:
    """From which probability on a case counts as of the class, by which rule, and what that gave on the `n` cases."""

    value: float
    rule: str
    sensitivity: float
    specificity: float
    n: int

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class PredictionInterval:
    """The truth lies within `half_width` of the number in at least `level` of cases of new patients like those that the
    `n` cases it is from are of.

    Where errors grow with the number, that is at the number `middle`, and it `grows` by so much for each unit of the
    number's size (`half_width_at`).
    """

    half_width: float
    level: float
    n: int
    middle: float = 0.0
    grows: float = 0.0

    def to_json(self) -> dict[str, float]:
        always = {"half_width": self.half_width, "level": self.level, "n": self.n}
        return always | ({"middle": self.middle, "grows": self.grows} if self.grows else {})


def fit_temperature(logits: np.ndarray, targets: np.ndarray, *, multi_label: bool) -> Temperature:
    """Temperature scaling (Guo et al. 2017, arXiv:1706.04599): one number that makes the log loss least.

    It changes how sure the probabilities are and not their order.

    Args:
        logits: `(n, k)`.
        targets: 0/1 `(n, k)`.
    """

    from scipy.optimize import minimize_scalar

    def log_loss(log_temperature: float) -> float:
        return _log_loss(logits / math.exp(log_temperature), targets, multi_label)

    found = minimize_scalar(log_loss, bounds=(math.log(COLDEST), math.log(HOTTEST)), method="bounded")
    before = log_loss(0.0)
    if not found.fun < before:  # nothing to gain
        return Temperature(1.0, before, before, len(targets))
    return Temperature(math.exp(float(found.x)), before, float(found.fun), len(targets))


def _log_loss(logits: np.ndarray, targets: np.ndarray, multi_label: bool) -> float:
    from scipy.special import log_expit, log_softmax

    if multi_label:
        each = targets * log_expit(logits) + (1 - targets) * log_expit(-logits)
        return float(-each.mean())
    return float(-(targets * log_softmax(logits, axis=1)).sum(axis=1).mean())


def choose_threshold(truth: np.ndarray, scores: np.ndarray) -> Threshold | None:
    """Where sensitivity and specificity are highest together (Youden 1950), within a standard error of it the
    probability next to 0.5 (the rule of one standard error, Breiman et al. 1984); None for one class.

    Few cases lie near a cut: the very highest hangs on two or three of them, and a resample of the same validation
    split moves it far. Half-way between the scores on both sides of the cut, so that it hangs on neither.

    Args:
        truth: 0/1 `(n,)`.
        scores: probabilities of the class `(n,)`.
    """
    from sklearn.metrics import roc_curve

    if len(np.unique(truth)) < 2:
        return None
    false, true, cuts = roc_curve(truth, scores, drop_intermediate=False)
    lower = np.append(cuts[1:], 0.0)  # a case at the cut is above it; the next score below is the other side
    middles = (np.minimum(cuts, 1.0) + lower) / 2
    parts = middles > lower  # above a score of exactly 1 there is no threshold
    parts[-1] = True  # where all are called
    gain = np.where(parts, true - false, -np.inf)
    highest, positive = int(gain.argmax()), int(truth.sum())
    error = math.sqrt(
        true[highest] * (1 - true[highest]) / positive + false[highest] * (1 - false[highest]) / (len(truth) - positive)
    )
    best = np.flatnonzero(gain >= gain[highest] - error - 1e-12)
    at = best[np.abs(middles[best] - 0.5).argmin()]
    return Threshold(float(middles[at]), THRESHOLD_RULE, float(true[at]), float(1 - false[at]), len(truth))


def conformal_interval(
    errors: np.ndarray,
    numbers: np.ndarray | None = None,
    *,
    patients: Sequence[str] | None = None,
    level: float = INTERVAL_LEVEL,
) -> PredictionInterval | None:
    """Split conformal prediction (Lei et al. 2018, doi:10.1080/01621459.2017.1307116) from absolute errors `(n,)`.

    Images of one patient err together, so each patient counts once and its cases share that: the level then holds for
    a case of a new patient (Lee, Barber and Willett 2023, arXiv:2306.06342). Where each has one case that is Lei's.

    Where errors clearly grow with the size of the numbers that were said, they are weighed by a line through them
    (locally weighted, section 5.2 there). The line is of two numbers from the same cases, so the level holds nearly;
    what share of a test split lies within is measured with every evaluation.

    None where there are too few patients to promise the level at all.

    Args:
        numbers: what the model said, `(n,)`; without it the interval is equally wide everywhere.
        patients: one key per case; without them each case is of its own.
    """
    n, errors = len(errors), np.abs(errors)
    patient = np.arange(n) if patients is None else number_patients(patients)
    cases_of = np.bincount(patient)
    wanted = (len(cases_of) + 1) * level  # so many patients' worth of cases lie within; the new one counts too
    if math.ceil(wanted) > len(cases_of):
        return None
    sizes = np.abs(numbers) if numbers is not None else np.zeros(n)
    least, slope = _spread_by_size(*(_of_patients(each, patient, cases_of) for each in (errors, sizes)))
    scaled = errors / (least + slope * sizes)
    order = np.argsort(scaled, kind="stable")
    within = np.cumsum(1 / cases_of[patient[order]]).round(9)  # three thirds are one patient
    reach = float(scaled[order][np.searchsorted(within, wanted)])
    middle = float(np.median(sizes)) if slope else 0.0
    return PredictionInterval(reach * (least + slope * middle), level, n, middle, reach * slope)


def _of_patients(values: np.ndarray, patient: np.ndarray, cases_of: np.ndarray) -> np.ndarray:
    """The mean of each patient, for whether errors grow is no better known from more images of the same; where each
    has one case, the values as they are."""
    return values if cases_of.max() == 1 else np.asarray(np.bincount(patient, values) / cases_of)


def half_width_at(interval: Mapping[str, Any], numbers: float | np.ndarray) -> Any:
    """How far the truth may lie from these numbers, by a `PredictionInterval` as JSON."""
    return interval["half_width"] + interval.get("grows", 0.0) * (np.abs(numbers) - interval.get("middle", 0.0))


def tell_reach(interval: Mapping[str, Any], unit: str = "") -> str:
    """An interval in a few words, such as `± 4.2 nuclei at 30, wider for larger numbers`."""
    said = f"± {interval['half_width']:.3g}{f' {unit}' if unit else ''}"
    return f"{said} at {interval['middle']:.3g}, wider for larger numbers" if interval.get("grows") else said


def tell_rule(threshold: Mapping[str, Any]) -> str:
    """By which rule a threshold was chosen, and on how many cases; each as far as its model says so."""
    n = f", n = {threshold['n']:,}" if threshold.get("n") else ""
    return f"{threshold['rule']}{n}" if "rule" in threshold else ""


def _spread_by_size(errors: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    """The line of expected errors over the size of a number, `(least, slope)`; `(1, 0)` where they do not clearly
    grow with it. A number near zero keeps a tenth of what the line says in the middle."""
    if len(errors) < FEWEST_TO_GROW or np.ptp(errors) == 0 or np.ptp(sizes) == 0:
        return 1.0, 0.0
    from scipy.optimize import nnls
    from scipy.stats import spearmanr

    if spearmanr(errors, sizes, alternative="greater").pvalue > CLEARLY:
        return 1.0, 0.0
    over, least, slope = np.column_stack([np.ones(len(sizes)), sizes]), 1.0, 0.0
    for _ in range(REWEIGHED):  # as errors are expected to be larger there, large numbers say less about the line
        weights = 1 / (least + slope * sizes)
        (at_zero, slope), _ = nnls(over * weights[:, None], errors * weights)
        least = max(float(at_zero), 0.1 * float(slope * np.median(sizes)))
        if slope <= 0 or least <= 0:  # the latter where most numbers are zero, and rightly so
            return 1.0, 0.0
    return least, float(slope)
