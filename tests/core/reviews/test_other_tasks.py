"""Reviews of models that say numbers, paint structures or draw images."""

import sqlite3

import numpy as np
import pytest

from core.datasets.records import list_snapshot_cases
from core.errors import InvalidInput
from core.images.records import get_cases
from core.labels.masks import put_mask
from core.labels.records import NewLabel, add_label, new_event
from core.people.accounts import ensure_user
from core.reviews.corrections import find_corrections
from core.reviews.criteria import parse_criterion
from core.reviews.failures import count_causes, kinds_of, list_failures, list_worst_painted, tag_failure
from core.reviews.meetings import add_review, open_results
from core.reviews.model_card import describe_comparison, describe_verdict
from core.reviews.population import describe_population
from core.reviews.reference_standard import describe_reference
from core.reviews.report import write_report
from core.store.audit import Actor
from core.store.files import Files
from tests.core.reviews.other_tasks import add_twin, measured_drawn, measured_masks, measured_numbers


def test_a_model_of_numbers_is_held_to_its_errors_and_by_site(
    connection: sqlite3.Connection, files: Files, actor: Actor
) -> None:
    ensure_user(connection, actor.name)
    found = measured_numbers(connection, files, actor)
    criteria = [parse_criterion(text) for text in ("mae at most 5", "mae by site at most 5", "coverage at least 0.9")]
    review = add_review(connection, found.project, found.model, criteria=criteria, actor=actor)
    review = open_results(connection, review, actor=actor)
    whole, by_site, coverage = review.outcomes or ()
    assert (whole.state, whole.parts[0].value) == ("met", pytest.approx(5))
    assert [(part.group, part.value, part.state) for part in by_site.parts] == [
        ("A", pytest.approx(2), "not met (undefined)"),  # good, but of too few patients to pass
        ("B", pytest.approx(8), "not met"),
    ]
    assert coverage.state == "not met (undefined)"  # the model was given no interval
    worst = list_failures(connection, found.project, review, "largest error", limit=4)
    assert {row.attributes["site"] for row in worst} == {"B"}
    told = {row.title: row.cells for row in describe_population(connection, found.snapshot, None)}
    assert told["age, years"][2] == "median 39.5 (36 to 43)"
    assert write_report(connection, found.project, review, "pdf", actor=actor).startswith(b"%PDF-")


def test_a_model_that_paints_is_held_to_its_overlap_and_by_site(
    connection: sqlite3.Connection, files: Files, actor: Actor
) -> None:
    ensure_user(connection, actor.name)
    found = measured_masks(connection, files, actor)
    criteria = [parse_criterion(text) for text in ("dice of liver at least 0.6", "dice of liver by site at least 0.6")]
    review = add_review(connection, found.project, found.model, criteria=criteria, actor=actor)
    review = open_results(connection, review, actor=actor)
    whole, by_site = review.outcomes or ()
    assert (whole.state, whole.parts[0].value, whole.parts[0].n_of) == ("met", pytest.approx(0.7), 8)
    assert [(part.group, part.value, part.state) for part in by_site.parts] == [
        ("A", pytest.approx(0.9), "not met (undefined)"),
        ("B", pytest.approx(0.5), "not met"),
    ]
    assert b"liver" in write_report(connection, found.project, review, "html", actor=actor)


def test_of_painted_structures_the_lowest_dice_comes_first_and_its_cause_is_kept(
    connection: sqlite3.Connection, files: Files, actor: Actor
) -> None:
    ensure_user(connection, actor.name)
    found = measured_masks(connection, files, actor)
    review = add_review(connection, found.project, found.model, criteria=[], actor=actor)
    review = open_results(connection, review, actor=actor)
    worst = list_failures(connection, found.project, review, "lowest Dice", "liver", limit=4)
    assert {row.attributes["site"] for row in worst} == {"B"}
    assert {row.split for row in worst} == {"test"}
    measured = list_worst_painted(connection, review, "liver")
    assert [one.dice for one in measured] == [0.5] * 4 + [0.9] * 4
    assert [row.id for row in worst] == [one.case_id for one in measured[:4]]
    tag_failure(connection, review, worst[0].id, "image quality", actor=actor)
    assert count_causes(connection, review) == {"image quality": 1}
    with pytest.raises(InvalidInput, match="Name a structure of the project: liver"):
        list_failures(connection, found.project, review, "lowest Dice", "spleen")
    with pytest.raises(InvalidInput, match="This task has no such failures"):
        list_failures(connection, found.project, review, "missed", "liver")


def test_readers_of_numbers_have_their_mean_difference_and_alpha(
    connection: sqlite3.Connection, files: Files, actor: Actor
) -> None:
    found = measured_numbers(connection, files, actor)
    ensure_user(connection, "ben", role="admin")
    for case in list_snapshot_cases(connection, found.snapshot.id)[:10]:  # Ben reads three years more, once seven
        years = case.value["value"] + (7 if case.position == 4 else 3)
        add_label(connection, NewLabel(new_event(), case.case_id, "ben", {"value": years}), Actor("ben", "screen"))
    blind = list_snapshot_cases(connection, found.snapshot.id)[10].case_id  # of which he says no number
    add_label(connection, NewLabel(new_event(), blind, "ben", None, unusable=True), Actor("ben", "screen"))
    told = describe_reference(connection, found.snapshot)
    (pair,) = told.pairs
    assert (pair.one, pair.other, pair.n) == ("anna", "ben", 10)
    assert (told.read_by_several, told.alpha_cases) == (11, 10)
    assert pair.value == pytest.approx(3.4)
    assert pair.low is not None
    assert pair.low < 3.4 < pair.high  # type: ignore[operator]
    assert pair.difference is not None
    assert pair.difference.value == pytest.approx(-3.4)
    ((of, alpha),) = told.alphas
    assert of == ""
    assert alpha.value is not None
    assert 0 < alpha.value < 1
    assert alpha.low is not None


def test_readers_of_painted_structures_are_compared_by_dice(
    connection: sqlite3.Connection, files: Files, actor: Actor
) -> None:
    found = measured_masks(connection, files, actor)
    assert describe_reference(connection, found.snapshot).measure == ""
    ensure_user(connection, "ben", role="admin")
    ben = Actor("ben", "screen")
    some = list_snapshot_cases(connection, found.snapshot.id)[:5]
    for case in get_cases(connection, [one.case_id for one in some]):
        half = np.zeros((1, case.rows, case.columns), np.uint8)
        half[:, : case.rows // 2] = 1  # Anna has painted everything
        put_mask(connection, case, "liver", half, ben, event=new_event())
        add_label(connection, NewLabel(new_event(), case.id, "ben", {"structures": ["liver"]}), ben)
    told = describe_reference(connection, found.snapshot)
    (pair,) = told.pairs
    assert (pair.one, pair.other, pair.n, pair.of) == ("anna", "ben", 5, "liver")
    assert pair.value == pytest.approx(2 / 3)
    assert (told.measure, told.alphas) == ("mean Dice", ())


def test_a_model_that_draws_is_held_to_its_images_and_fails_no_case(
    connection: sqlite3.Connection, files: Files, actor: Actor
) -> None:
    ensure_user(connection, actor.name)
    found = measured_drawn(connection, files, actor)
    assert find_corrections(connection, found.snapshot).sentence == ""
    before = add_twin(connection, found.model, "before", actor)
    texts = (
        "class consistency at least 0.7",
        "class consistency at least 0.7, lower bound at least 0.6",
        "fid_like at most 100",
        "memorised at most 0.01",
    )
    criteria = [parse_criterion(text) for text in texts]
    asked = {"criteria": criteria, "production": before, "actor": actor}
    review = open_results(connection, add_review(connection, found.project, found.model, **asked), actor=actor)  # type: ignore[arg-type]
    assert [one.state for one in review.outcomes or ()] == ["met", "not met", "met", "not met"]
    assert [one.parts[0].value for one in review.outcomes or ()][::3] == [0.75, 0.125]
    assert kinds_of(found.snapshot.schema) == ()
    with pytest.raises(InvalidInput, match="has no such failures"):
        list_failures(connection, found.project, review, "lowest Dice", "ill")
    assert describe_comparison(connection, review).startswith("before on the same 8 cases: Fréchet distance")
    assert "draws better is not tested" in describe_verdict(connection, review)[0]
    page = write_report(connection, found.project, review, "html", actor=actor).decode()
    for part in ("8 images drawn for the classes of 8 real images", "to draw images of ill, well", "is not tested"):
        assert part in page
    assert "<h2>Failures</h2>" not in page
    assert "cut points" not in page
    assert write_report(connection, found.project, review, "pdf", actor=actor).startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("r2 at least 0.8", "about fid_like, class_consistency, memorised"),
        ("memorised at least 0.1", "memorised is asked to be at most"),
        ("class consistency of ill at least 0.8", "measured as one set"),
        ("class consistency by site at least 0.8", "measured as one set"),
        ("memorised at most 2", "between 0 and 1"),
    ],
)
def test_what_cannot_be_asked_of_drawn_images_is_refused(
    text: str, why: str, connection: sqlite3.Connection, files: Files, actor: Actor
) -> None:
    ensure_user(connection, actor.name)
    found = measured_drawn(connection, files, actor)
    with pytest.raises(InvalidInput, match=why):
        add_review(connection, found.project, found.model, criteria=[parse_criterion(text)], actor=actor)
