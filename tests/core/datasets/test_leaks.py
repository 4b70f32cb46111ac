"""Leaks between splits are found and named."""

from core.datasets.leaks import LeaksFound, find_leaks
from core.datasets.records import Candidate


def case(number: int, split: str, *, patient: str | None = None, pixels: str | None = None) -> Candidate:
    return Candidate(
        number, f"{number}.png", patient or f"p{number}", pixels or f"h{number}", None, split, {"classes": ["a"]}, ()
    )


def test_clean_splits_have_no_leak() -> None:
    assert find_leaks([case(1, "train"), case(2, "train", patient="p1"), case(3, "test")], [(0, 1)]) == []


def test_a_patient_in_two_splits_is_named_with_the_cases() -> None:
    (leak,) = find_leaks([case(1, "train", patient="P"), case(2, "test", patient="P"), case(3, "validation")])
    assert (leak.kind, leak.case_ids, leak.splits) == ("patient", (1, 2), ("train", "test"))
    assert leak.sentence == "Patient P is in train and test: 1.png (case 1, train), 2.png (case 2, test)."


def test_same_pixels_under_two_patients_leak() -> None:
    (leak,) = find_leaks([case(1, "validation", pixels="h"), case(2, "train", pixels="h")])
    assert (leak.kind, leak.splits) == ("same pixels", ("train", "validation"))


def test_a_patient_whom_nobody_named_is_told_as_same_pixels_only() -> None:
    stand_in = {"patient": "case:0123456789abcdef", "pixels": "0123456789abcdef" * 4}
    assert [leak.kind for leak in find_leaks([case(1, "train", **stand_in), case(2, "test", **stand_in)])] == [
        "same pixels"
    ]
    named = {**stand_in, "patient": "P"}
    assert [leak.kind for leak in find_leaks([case(1, "train", **named), case(2, "test", **named)])] == [
        "patient",
        "same pixels",
    ]


def test_a_near_duplicate_across_splits_leaks() -> None:
    (leak,) = find_leaks([case(1, "train"), case(2, "test"), case(3, "test")], [(0, 1), (1, 2)])
    assert (leak.kind, leak.case_ids) == ("near-duplicate", (1, 2))


def test_both_sides_of_a_large_leak_are_named() -> None:
    cases = [case(at, "train", patient="P") for at in range(20)] + [case(99, "test", patient="P")]
    (leak,) = find_leaks(cases)
    assert "99.png (case 99, test)" in leak.sentence
    assert "and 15 more" in leak.sentence
    assert len(leak.case_ids) == 21


def test_the_refusal_counts_all_and_names_the_first() -> None:
    leaks = find_leaks([case(at, ("train", "test")[at // 9], patient=f"P{at % 9}") for at in range(18)])
    error = LeaksFound(leaks)
    assert error.leaks == tuple(leaks)
    assert "Received: 9 leaks. Patient P0 is in train and test" in str(error)
    assert str(error).endswith("And 4 more.")
