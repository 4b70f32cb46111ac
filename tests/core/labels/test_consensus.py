"""One answer out of several."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.labels.consensus import resolve_reference
from core.projects.records import ReferenceRule
from core.projects.schema import Quantity, Regression, make_classification, make_segmentation

SINGLE = make_classification(["normal", "pneumonia", "other"])
MULTI = make_classification(["effusion", "nodule"], multi_label=True)
MAJORITY = ReferenceRule()


@dataclass(frozen=True)
class Said:
    id: int
    reader: str
    value: dict[str, list[str]] | None
    unusable: bool = False


def said(*answers: tuple[str, ...] | None) -> list[Said]:
    """One reader after the other; None says "unusable"."""
    return [
        Said(at, f"r{at}", None, True) if classes is None else Said(at, f"r{at}", {"classes": list(classes)})
        for at, classes in enumerate(answers)
    ]


@pytest.mark.parametrize(
    ("answers", "state", "classes"),
    [
        (said(("normal",)), "labelled", ["normal"]),
        (said(("normal",), ("pneumonia",)), "tied", None),
        (said(("normal",), ("pneumonia",), ("pneumonia",)), "labelled", ["pneumonia"]),
        (said(("normal",), ("normal",), ("pneumonia",), ("other",)), "labelled", ["normal"]),
        (said(("normal",), ("normal",), ("pneumonia",), ("pneumonia",), ("other",)), "tied", None),
        (said(None), "unusable", None),
        (said(None, ("normal",)), "tied", None),
        (said(None, None, ("normal",)), "unusable", None),
        (said(None, ("normal",), ("normal",)), "labelled", ["normal"]),
    ],
)
def test_the_majority_decides_and_ties_stay_ties(answers: list[Said], state: str, classes: list[str] | None) -> None:
    reference = resolve_reference(MAJORITY, SINGLE, answers)
    assert reference is not None
    assert reference.state == state
    assert reference.value == (None if classes is None else {"classes": classes})
    assert reference.label_ids == tuple(range(len(answers)))


def test_each_class_of_a_multi_label_answer_is_decided_by_itself() -> None:
    answers = said(("effusion", "nodule"), ("effusion",), ())
    reference = resolve_reference(MAJORITY, MULTI, answers)
    assert reference is not None
    assert reference.value == {"classes": ["effusion"]}


def test_half_of_the_readers_for_one_class_is_a_tie() -> None:
    reference = resolve_reference(MAJORITY, MULTI, said(("effusion",), ("effusion", "nodule")))
    assert reference is not None
    assert reference.state == "tied"


def test_nobody_means_no_reference() -> None:
    assert resolve_reference(MAJORITY, SINGLE, []) is None
    assert resolve_reference(ReferenceRule("reader", "anna"), SINGLE, said(("normal",))) is None


def test_only_the_named_reader_counts() -> None:
    reference = resolve_reference(ReferenceRule("reader", "r1"), SINGLE, said(("normal",), ("other",), ("normal",)))
    assert reference is not None
    assert (reference.value, reference.label_ids) == ({"classes": ["other"]}, (1,))


@given(st.permutations(range(6)), st.lists(st.sampled_from([*SINGLE.names, ""]), min_size=6, max_size=6))
def test_the_order_of_readers_does_not_matter(order: list[int], names: list[str]) -> None:
    answers = said(*[(name,) if name else None for name in names])
    assert resolve_reference(MAJORITY, SINGLE, [answers[at] for at in order]) == resolve_reference(
        MAJORITY, SINGLE, answers
    )


def numbers(*values: float | None) -> list[Said]:
    return [
        Said(at, f"r{at}", None, True) if value is None else Said(at, f"r{at}", {"value": value})  # type: ignore[dict-item]
        for at, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("values", "state", "middle"),
    [
        ((3.0,), "labelled", 3.0),
        ((3.0, 4.0), "labelled", 3.5),
        ((3.0, 100.0, 4.0), "labelled", 4.0),
        ((3.0, None), "tied", None),
        ((None, None, 3.0), "unusable", None),
        ((None, 3.0, 5.0), "labelled", 4.0),
    ],
)
def test_the_median_of_the_readers_numbers(values: tuple[float | None, ...], state: str, middle: float | None) -> None:
    reference = resolve_reference(ReferenceRule("median"), Regression("age", "years", None, None), numbers(*values))
    assert reference is not None
    assert (reference.state, reference.value) == (state, None if middle is None else {"value": middle})


def test_the_median_of_several_quantities_is_that_of_each() -> None:
    schema = Regression("age", "years", None, None, None, (Quantity("weight", "kg"),))
    said = [(3.0, 70.0), (5.0, 60.0), (9.0, 65.0)]
    answers = [
        replace(one, value={"values": {"age": age, "weight": weight}})
        for one, (age, weight) in zip(numbers(1.0, 2.0, 3.0), said, strict=True)
    ]
    reference = resolve_reference(ReferenceRule("median"), schema, answers)
    assert reference is not None
    assert reference.value == {"values": {"age": 5.0, "weight": 65.0}}


def test_one_painter_is_the_reference_and_several_wait_until_one_is_named() -> None:
    schema, found = make_segmentation(["liver"]), {"structures": ["liver"]}
    alone = resolve_reference(ReferenceRule("only"), schema, [Said(1, "anna", found)])
    assert alone is not None
    assert (alone.state, alone.value, alone.label_ids) == ("labelled", found, (1,))
    two = [Said(1, "anna", found), Said(2, "ben", found)]  # the same structures, but hardly the same outline
    together = resolve_reference(ReferenceRule("only"), schema, two)
    assert together is not None
    assert (together.state, together.value) == ("tied", None)
    named = resolve_reference(ReferenceRule("reader", "ben"), schema, two)
    assert named is not None
    assert (named.value, named.label_ids) == (found, (2,))
