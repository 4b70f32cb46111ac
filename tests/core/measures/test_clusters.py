"""Groups by features: planted ones are found, and what the answer says is not what they are made of."""

import numpy as np

from core.measures.clusters import find_clusters


def planted(n: int, groups: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features `(n, 12)` in which a group and the answer are written in directions of their own."""
    random = np.random.default_rng(seed)
    group, odds = random.integers(0, groups, n), random.normal(0, 3, n)
    features = random.normal(0, 0.3, (n, 12))
    features[:, :groups] += 4 * np.eye(groups)[group]
    features[:, 8:] += 20 * odds[:, None]
    chance = 1 / (1 + np.exp(-odds))
    return features, np.column_stack([1 - chance, chance]), group


def test_planted_groups_are_found_beside_an_answer_that_is_louder() -> None:
    features, scores, group = planted(300, 3)
    found = find_clusters(features, scores)
    assert found is not None
    pairs = {(int(own), int(theirs)) for own, theirs in zip(found.group, group, strict=True)}
    assert len(pairs) == 3  # one to one
    sizes = np.bincount(found.group)
    assert sizes.tolist() == sorted(sizes.tolist(), reverse=True)
    again = find_clusters(features, scores)
    assert again is not None
    assert np.array_equal(again.group, found.group)


def test_too_few_cases_or_features_that_do_not_differ_make_no_groups() -> None:
    features, scores, _ = planted(59, 3)
    assert find_clusters(features, scores) is None
    assert find_clusters(np.ones((200, 4)), np.full((200, 2), 0.5)) is None


def test_of_a_number_the_number_itself_is_what_groups_are_not_made_of() -> None:
    features, scores, group = planted(300, 3)
    said = np.log(scores[:, 1:] / scores[:, :1])  # what the features hold 20 times of, in whatever unit
    found = find_clusters(features, 50 + 8 * said, probabilities=False)
    assert found is not None
    assert len({(int(own), int(theirs)) for own, theirs in zip(found.group, group, strict=True)}) == 3
