"""Who goes into which split: pure functions from patients, pixels and answers to splits and folds.

Whatever belongs together stays together: images of one patient, images with the same pixels, and pairs that
a leak check would object to, also by way of third images. Every class first gets its foothold in each split;
then groups are dealt one at a time, large ones first, to the split that misses their classes most, so that
every split resembles the whole.
"""

import sqlite3
from collections.abc import Collection, Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from core.datasets.records import (
    SnapshotCase,
    find_fold_validation,
    list_snapshot_cases,
    list_trained_folds,
    set_fold_validation,
)
from core.errors import InvalidInput

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
VALIDATION_SHARE = 0.15  # of what is left for training where nobody says otherwise
FIFTHS = 5  # numbers are dealt as if the fifths of them were classes
NO_CLASS = ""  # stands for "none of the classes" so that such cases are dealt evenly too
# A class with two patients is learnt and tested; validation misses it, and the snapshot says so.
NEEDIEST_FIRST = (0, 2, 1)
WEIGHT_OF_TOTALS = 0.1  # of even numbers of images and of patients, against 1 for each class


def link_groups(*keys: Sequence[Hashable], pairs: Sequence[tuple[int, int]] = ()) -> list[int]:
    """The group of each position: two positions are linked when a key is equal, or by a pair, or over others.

    Args:
        keys: one value per position each, such as the patients and the pixel hashes.
        pairs: further positions that belong together, such as near-duplicates.

    Returns:
        Group numbers from 0, in the order in which the groups first appear.
    """
    parent = list(range(len(keys[0])))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for values in keys:
        first: dict[Hashable, int] = {}
        for at, value in enumerate(values):
            parent[root(at)] = root(first.setdefault(value, at))
    for one, other in pairs:
        parent[root(one)] = root(other)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(at), len(numbers)) for at in range(len(parent))]


def split_by_patient(
    patients: Sequence[str],
    pixel_hashes: Sequence[str],
    classes: Sequence[Sequence[str]],
    *,
    ratios: Sequence[float],
    seed: int = 0,
    pairs: Sequence[tuple[int, int]] = (),
) -> list[Split]:
    """A split for each case, such that no patient and no pixels are in two.

    Args:
        classes: the classes of each case; they are dealt in the proportions of `ratios`.
        ratios: shares of train, validation and test.
        pairs: positions that must not be parted either.
    """
    return split_groups(link_groups(patients, pixel_hashes, pairs=pairs), classes, ratios=ratios, seed=seed)


def split_groups(
    groups: Sequence[int], classes: Sequence[Sequence[str]], *, ratios: Sequence[float], seed: int = 0
) -> list[Split]:
    """A split for each case, such that no group is in two.

    Raises:
        InvalidInput: the ratios are no shares of a whole, or there are fewer groups than splits.
    """
    shares = check_ratios(ratios)
    wanted = int(np.count_nonzero(shares))
    if len(set(groups)) < wanted:
        raise InvalidInput(
            f"{wanted} splits need at least {wanted} patients with an answer whose images are not the same; "
            f"label more patients. Received: {len(set(groups))}"
        )
    return [SPLITS[bin_] for bin_ in _deal(groups, classes, shares, seed, spread=NEEDIEST_FIRST)]


def assign_folds(groups: Sequence[int], classes: Sequence[Sequence[str]], *, folds: int, seed: int = 0) -> list[int]:
    """A fold from 0 to `folds - 1` for each case, such that no group is in two.

    Raises:
        InvalidInput: fewer than two folds, or more folds than groups.
    """
    if folds < 2:
        raise InvalidInput(f"Cross-validation needs at least 2 folds; 0 means none. Received: {folds}")
    if len(set(groups)) < folds:
        raise InvalidInput(
            f"There cannot be more folds than patients with an answer. "
            f"Received: {folds} folds for {len(set(groups))} patients"
        )
    return _deal(groups, classes, [1 / folds] * folds, seed, spread=range(folds))


def fold_view(
    cases: Sequence[SnapshotCase], fold: int, validation: Collection[int] | None = None
) -> list[SnapshotCase]:
    """The cases with the splits of one round of cross-validation: the fold is the test.

    Of the rest, 15 % of each class, in whole groups, are the validation; the same fold always gives the same view.

    Args:
        validation: the positions of those that were it when the snapshot was whole (`keep_fold_views`). Dealt anew
            among fewer cases, some that were learnt would be taken for it.

    Raises:
        InvalidInput: the snapshot has no such fold.
    """
    if validation is not None:
        beside = {True: "validation", False: "train"}
        return [
            replace(case, split="test" if case.fold == fold else beside[case.position in validation]) for case in cases
        ]
    known = sorted({case.fold for case in cases if case.fold is not None})
    if fold not in known:
        text = f"{known[0]} to {known[-1]}" if known else "none"
        raise InvalidInput(f"The folds of this snapshot are {text}. Received: {fold}")
    rest = [case for case in cases if case.fold != fold]
    strata = strata_of([case.value for case in rest])
    dealt = iter(carve_validation([case.group for case in rest], strata, seed=fold))
    return [replace(case, split="test" if case.fold == fold else next(dealt)) for case in cases]


def list_view(connection: sqlite3.Connection, snapshot_id: int, fold: int | None) -> list[SnapshotCase]:
    """The cases of a snapshot with its own splits, or as one of its folds sees them.

    Raises:
        InvalidInput: the snapshot has no such fold.
    """
    cases = list_snapshot_cases(connection, snapshot_id)
    if fold is None:
        return cases
    return fold_view(cases, fold, find_fold_validation(connection, snapshot_id).get(fold))


def keep_fold_views(connection: sqlite3.Connection, snapshot_id: int) -> None:
    """Keep what is validation in each fold that something was trained for, before cases of the snapshot are erased:
    `fold_view` deals it among all of them. In the caller's transaction."""
    kept = find_fold_validation(connection, snapshot_id)
    missing = [fold for fold in list_trained_folds(connection, snapshot_id) if fold not in kept]
    cases = list_snapshot_cases(connection, snapshot_id) if missing else []
    for fold in missing:
        with suppress(InvalidInput):  # which cannot be dealt, so that its training was refused
            kept[fold] = frozenset(case.position for case in fold_view(cases, fold) if case.split == "validation")
    if missing:
        set_fold_validation(connection, snapshot_id, kept)


def carve_validation(groups: Sequence[int], classes: Sequence[Sequence[str]], *, seed: int) -> list[Split]:
    """Train and validation made of cases that are only known not to be the test."""
    return split_groups(groups, classes, ratios=(1 - VALIDATION_SHARE, VALIDATION_SHARE, 0), seed=seed)


def strata_of(values: Sequence[dict[str, Any]]) -> list[list[str]]:
    """In what splits shall resemble each other, for each answer: its classes, its structures, or its number's fifth,
    of several quantities each by itself."""
    if values and all("values" in value for value in values):
        return _fifths_of_several([value["values"] for value in values])
    numbers = [value["value"] for value in values if "value" in value]
    edges = np.quantile(numbers, np.linspace(0, 1, FIFTHS + 1)[1:-1]) if numbers else np.empty(0)
    return [
        [f"fifth {np.searchsorted(edges, value['value'], side='right') + 1}"]
        if "value" in value
        else (value.get("classes") or value.get("structures") or [NO_CLASS])
        for value in values
    ]


def _fifths_of_several(answers: Sequence[dict[str, float]]) -> list[list[str]]:
    strata: list[list[str]] = [[] for _ in answers]
    for name in answers[0]:
        for told, (fifth,) in zip(strata, strata_of([{"value": said[name]} for said in answers]), strict=True):
            told.append(f"{name}: {fifth}")
    return strata


def check_ratios(ratios: Sequence[float]) -> list[float]:
    """Shares of train, validation and test that add up to 1.

    Raises:
        InvalidInput: they do not, one is negative, or nothing is left to learn or to choose a threshold from.
    """
    shares = [float(share) for share in ratios]
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6 or min(shares[:2]) == 0:
        raise InvalidInput(
            "Train, validation and test must add up to 100 %, such as 70, 15 and 15 % (0.7,0.15,0.15); only test may "
            f"be 0. Received: {' + '.join(f'{100 * share:g}' for share in shares)} = {100 * sum(shares):g} %"
        )
    return shares


def _deal(
    groups: Sequence[int], classes: Sequence[Sequence[str]], shares: Sequence[float], seed: int, spread: Sequence[int]
) -> list[int]:
    """A bin for each case. `spread` is the order in which bins get their first group of a rare class."""
    numbers, group_of = np.unique(groups, return_inverse=True)
    counts = _count(len(numbers), group_of, classes)
    spread = [bin_ for bin_ in spread if shares[bin_] > 0]
    given = np.full(len(counts), -1)
    shuffled = np.random.default_rng(seed).permutation(len(counts))
    order = [int(group) for group in sorted(shuffled, key=lambda group: -counts[group, -2])]
    _give_each_bin_some(given, counts, order, spread)
    due = np.maximum(np.outer(shares, counts.sum(axis=0)), 1e-9)
    missing = due - np.stack([counts[given == bin_].sum(axis=0) for bin_ in range(len(shares))])
    weights = np.array([1.0] * (counts.shape[1] - 2) + [WEIGHT_OF_TOTALS] * 2) / due
    for group in order:
        if given[group] < 0:
            has = counts[group]
            # How much nearer each bin comes to its due: the fall of chi-square, sum of (missing ** 2 / due).
            # Divided by what is due, all bins fill at one pace, so large patients do not all end up in train.
            gain = ((2 * missing - has) * has * weights)[spread].sum(axis=1)
            bin_ = spread[int(np.argmax(gain))]
            given[group] = bin_
            missing[bin_] -= has
    _fill_empty_bins(given, counts, spread)
    return [int(given[group]) for group in group_of]


def _count(count: int, groups: Iterable[int], classes: Sequence[Sequence[str]]) -> np.ndarray:
    """(groups, classes + 2): cases of each class, then all cases, then 1 for the group itself."""
    names = {name: at for at, name in enumerate(sorted({name for some in classes for name in some}))}
    counts = np.zeros((count, len(names) + 2))
    for group, some in zip(groups, classes, strict=True):
        counts[group, [names[name] for name in some]] += 1
        counts[group, -2] += 1
    counts[:, -1] = 1
    return counts


def _give_each_bin_some(given: np.ndarray, counts: np.ndarray, order: Sequence[int], spread: Sequence[int]) -> None:
    """One group of every class for every bin, as far as the groups reach; a proportional share may round to none.

    The bin that comes first (train) takes the largest group, the others take the smallest; `order` goes by size.
    """
    has = counts[:, :-2] > 0
    for name in np.argsort(has.sum(axis=0), kind="stable"):
        for bin_ in spread:
            if has[given == bin_, name].any():
                continue
            free = [group for group in order if has[group, name] and given[group] < 0]
            if free:  # in order of size
                given[free[0 if bin_ == spread[0] else -1]] = bin_


def _fill_empty_bins(given: np.ndarray, counts: np.ndarray, spread: Sequence[int]) -> None:
    for bin_ in spread:
        if not (given == bin_).any():
            richest = max(spread, key=lambda other: int((given == other).sum()))
            held = np.flatnonzero(given == richest)
            given[held[np.argmin(counts[held, -2])]] = bin_
