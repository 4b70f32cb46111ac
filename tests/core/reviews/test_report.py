"""The report of a review: whole, quick, in any script, and honest about what it does not tell."""

import json
import re
import sqlite3
from html import escape

import pytest

from core.datasets.records import get_snapshot
from core.errors import InvalidInput
from core.evaluation import comparison
from core.evaluation.comparison import compare_models
from core.evaluation.run import evaluate_model
from core.explain.records import keep_evidence
from core.measures.estimates import Estimate
from core.progress import Silent
from core.projects.records import change_project
from core.reviews.checklists import NOT_REPORTED, cover, load_checklists
from core.reviews.criteria import parse_criterion
from core.reviews.decisions import LONGEST_TEXT, FollowUp, NewDecision, decide_review
from core.reviews.meetings import Review, add_review, open_results
from core.reviews.model_card import describe_card, describe_comparison, describe_verdict
from core.reviews.report import write_report
from core.reviews.report_pdf import MARGIN_MM, PAGE_MM, draw_figures, draw_pdf, share_width
from core.reviews.report_sections import Section, Table, band_of, describe_report, numbers_of_parts
from core.store.audit import Actor, list_audit
from tests.core.reviews.conftest import PASSWORD, Room

RATIONALE = "Findet Łódź, Αθήνα и Київ: <script>alert(1)</script>"


@pytest.fixture
def review(connection: sqlite3.Connection, room: Room, signers: tuple[Actor, Actor]) -> Review:
    anna, _ = signers
    criteria = [
        parse_criterion(text) for text in ("accuracy at least 0.5", "sensitivity of pneumonia by sex at least 0.5")
    ]
    made = add_review(
        connection, room.project, room.model, criteria=criteria, production=room.other, name="Before Easter", actor=anna
    )
    made = open_results(connection, made, actor=anna)
    bounds = "Women are read by a person too."  # of too few of them is anything known to approve it without
    new = NewDecision(
        "approve with conditions", RATIONALE, bounds, actions=(FollowUp("Watch drift", "ben", "2026-12-24"),)
    )
    decide_review(connection, made, new, signer="anna", password=PASSWORD, dissent="few women", actor=anna)
    return made


def test_a_page_holds_everything_itself_and_escapes_what_people_wrote(
    connection: sqlite3.Connection, room: Room, review: Review, actor: Actor
) -> None:
    page = write_report(connection, room.project, review, "html", actor=actor).decode()
    words = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "Łódź, Αθήνα и Київ: &lt;script&gt;alert(1)" in words
    for said in ("Before Easter", "Watch drift", "few women", "small group", "CLAIM 2024 coverage", "not reported"):
        assert said in words
    assert room.model.keras_hash in words
    assert "Plotly.newPlot" in page
    assert not re.findall(
        r"<(?:script|link|img)[^>]+(?:src|href)=", words + "".join(re.findall(r"<script[^>]*>", page))
    )
    assert list_audit(connection, what="export report")[0].subject == f"review {review.id}"


def test_a_difference_that_is_undefined_is_told_so_with_its_reason(
    connection: sqlite3.Connection, room: Room, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate_model(connection, room.files, room.settings, room.other.id, room.snapshot.id, "test", actor, Silent())
    review = add_review(connection, room.project, room.model, criteria=[], production=room.other, actor=actor)
    review = open_results(connection, review, actor=actor)
    nothing = Estimate(None, None, None, reason="One of the classes has no case here, or every case.")
    monkeypatch.setattr(comparison, "estimate_of", lambda *_, **__: nothing)
    monkeypatch.setattr(comparison, "compare_aucs", lambda *_, **__: None)
    page = write_report(connection, room.project, review, "html", actor=actor).decode()
    assert f"their difference is undefined: {nothing.reason}" in page
    assert "no difference beyond noise" not in page


def test_the_model_of_before_stands_beside_it_with_the_paired_verdict(
    connection: sqlite3.Connection, room: Room, review: Review, actor: Actor
) -> None:
    assert "other, with which it is compared, was not measured" in describe_comparison(connection, review)
    assert describe_verdict(connection, review) == ()
    evaluate_model(connection, room.files, room.settings, room.other.id, room.snapshot.id, "test", actor, Silent())
    told = describe_comparison(connection, review)
    assert "other on the same 16 cases: accuracy 0.875 (0.640 to 0.965)" in told
    snapshot = get_snapshot(connection, room.project.id, review.snapshot)
    paired = compare_models(connection, room.other, room.model, snapshot, "test")["sentence"]
    page = write_report(connection, room.project, review, "html", actor=actor).decode()
    assert escape(told) in page
    assert escape(paired) in page


def test_a_pdf_has_its_pages_and_its_unicode_font(
    connection: sqlite3.Connection, room: Room, review: Review, actor: Actor
) -> None:
    content = write_report(connection, room.project, review, "pdf", actor=actor)
    assert content.startswith(b"%PDF-")
    assert b"DejaVuSans" in content
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") >= 3


def test_a_dissent_as_long_as_it_may_be_goes_over_several_pages_of_a_pdf() -> None:
    dissent = "I see it otherwise. " * (LONGEST_TEXT // 20)
    signed = Table(("signed", "as", "time (UTC)", "dissent", "signature"), (("ben", "dissented by", "", dissent, ""),))
    assert draw_pdf("Review", [Section("Decision", (signed,))], {}).count(b"/Type /Page\n") > 3


def test_a_class_with_dollar_signs_is_no_formula(connection: sqlite3.Connection, room: Room, review: Review) -> None:
    _, result = describe_report(connection, room.project, review)
    text = json.dumps(result).replace('"pneumonia"', json.dumps(r"from $\5 to $10"))
    assert draw_figures(json.loads(text))


def test_curves_have_their_bands_and_their_areas_with_intervals_in_both_reports(
    connection: sqlite3.Connection, room: Room, review: Review, actor: Actor
) -> None:
    sections, result = describe_report(connection, room.project, review)
    assert any("pointwise 95 % bands" in str(block) for section in sections for block in section.blocks)
    area, mean = (result["per_class"]["pneumonia"][name] for name in ("auc", "average_precision"))
    page = write_report(connection, room.project, review, "html", actor=actor).decode()
    for short, one in (("AUC", area), ("AP", mean)):
        assert f"pneumonia: {short} {one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})" in page
    assert page.count('"name":"pneumonia: 95 % band"') == 2
    places, low, high = band_of(result, "roc", "pneumonia") or ([], [], [])
    assert len(places) == len(low) == len(high) == 101
    ((with_bands, _),) = draw_figures(result)
    ((without, _),) = draw_figures({key: value for key, value in result.items() if key != "bands"})
    assert with_bands != without
    assert with_bands == draw_figures(result)[0][0]


def test_a_class_has_a_column_and_a_metric_a_row_and_no_word_of_a_table_is_broken(
    connection: sqlite3.Connection, room: Room, review: Review
) -> None:
    sections, result = describe_report(connection, room.project, review)
    tables = [block for section in sections for block in section.blocks if isinstance(block, Table)]
    of_classes = next(table for table in tables if table.head[:1] == ("metric",) and "(n = " in table.head[1])
    assert len(of_classes.head) == 1 + len(result["classes"]) + 1
    assert of_classes.head[-1] == "interval by"
    ways = {row[0]: row[-1] for row in of_classes.rows}
    assert ways["recall"].startswith("Wilson")
    assert ways["AUC"] == "bootstrap"
    assert {"recall", "calibration intercept"} <= {row[0] for row in of_classes.rows}
    population = next(table for table in tables if table.head[1:] == ("train", "validation", "test"))
    for table in (of_classes, population):
        widths = share_width(table)
        assert sum(widths) == pytest.approx(PAGE_MM[0] - 2 * MARGIN_MM)
        assert widths[0] > 1.5 * max(len(word) for row in table.rows for word in row[0].split())  # mm a character


def test_below_a_table_stands_why_a_number_is_undefined() -> None:
    known = {"value": 0.5, "low": 0.4, "high": 0.6}
    unknown = {"value": None, "low": None, "high": None, "reason": "No case of this class."}
    parts = {"healthy": {"recall": known, "auc": unknown}, "ill": {"recall": unknown, "auc": known}}
    table, reasons = numbers_of_parts(parts)
    assert isinstance(table, Table)
    assert table.rows[0] == ("recall", "0.500 (0.400 to 0.600)", "undefined", "bootstrap")
    assert reasons == (
        "recall of ill is undefined: No case of this class.",
        "AUC of healthy is undefined: No case of this class.",
    )
    assert len(numbers_of_parts({"healthy": {"recall": known}})) == 1
    noted = {**known, "method": "Wilson", "note": "It is rather wide."}
    table, notes = numbers_of_parts({"healthy": {"recall": noted}})
    assert table.rows[0][-1] == "Wilson"
    assert notes == ("recall of healthy: It is rather wide.",)


def test_a_review_whose_results_are_closed_has_no_report(
    connection: sqlite3.Connection, room: Room, actor: Actor
) -> None:
    closed = add_review(connection, room.project, room.model, criteria=[], actor=actor)
    with pytest.raises(InvalidInput, match="Open the test results"):
        write_report(connection, room.project, closed, "html", actor=actor)


def test_an_item_is_reported_when_the_project_tells_of_it(
    connection: sqlite3.Connection, room: Room, review: Review, actor: Actor
) -> None:
    def intended_use() -> str:
        sections, _ = describe_report(connection, room.project, review)
        (claim,) = (one for one in sections if one.title.startswith("CLAIM"))
        table = claim.blocks[1]
        assert isinstance(table, Table)
        return next(where for number, _, where in table.rows if number == "3")

    assert intended_use() == NOT_REPORTED
    room_project = change_project(
        connection, room.project, description="", intended_use="Second reader.", digit_advances=True, actor=actor
    )
    assert room_project.intended_use
    object.__setattr__(room, "project", room_project)
    assert intended_use() == "model card"


def test_explanations_ensembles_and_subgroups_are_reported_where_the_report_tells_of_them(
    connection: sqlite3.Connection, room: Room, review: Review, actor: Actor
) -> None:
    def told(of: Review) -> dict[str, str]:
        sections, _ = describe_report(connection, room.project, of)
        found = {}
        for name, numbers in (("CLAIM", ("27", "31")), ("TRIPOD", ("23",))):
            table = next(one for one in sections if one.title.startswith(name)).blocks[1]
            assert isinstance(table, Table)
            found |= {f"{name} {number}": where for number, _, where in table.rows if number in numbers}
        return found

    assert told(review) == {
        "CLAIM 27": "model card: one network",
        "CLAIM 31": NOT_REPORTED,
        "TRIPOD 23": "numbers, with 95 % intervals; acceptance criteria by subgroup",
    }
    assert describe_card(connection, room.project, review)["Ensemble"] == "none: one network answers"
    measures = {
        name: {"value": 0.5, "low": 0.4, "high": 0.6} for name in ("randomisation", "faithfulness", "stability")
    }
    told_of = {"n_cases": 50, "split": "validation", "measures": measures}
    keep_evidence(connection, room.model.id, "grad_cam", told_of, actor)
    members = json.dumps([{"model": 1, "name": "one"}, {"model": 2, "name": "two"}])
    connection.execute("UPDATE models SET facts = json_set(facts, '$.members', json(?))", (members,))
    whole = add_review(connection, room.project, room.model, criteria=[], actor=actor)
    assert told(open_results(connection, whole, actor=actor)) == {
        "CLAIM 27": "model card: of what its answers are the mean",
        "CLAIM 31": "explanations: methods with their evidence on this model",
        "TRIPOD 23": NOT_REPORTED,
    }
    assert describe_card(connection, room.project, whole)["Ensemble"] == "the mean of what one, two say"


def test_the_checklists_are_whole_and_name_their_source() -> None:
    by_name = {one.name: one for one in load_checklists()}
    assert {name: len(one.items) for name, one in by_name.items()} == {"CLAIM 2024": 44, "TRIPOD+AI": 27}
    for one in by_name.values():
        assert one.doi.startswith("10.")
        assert [item.number for item in one.items] == [str(at) for at in range(1, len(one.items) + 1)]
        assert {where for _, where in cover(one, {})} == {NOT_REPORTED}


def test_metrics_stand_by_their_terms_and_not_by_the_names_they_are_stored_under(
    connection: sqlite3.Connection, room: Room, review: Review, actor: Actor
) -> None:
    page = write_report(connection, room.project, review, "html", actor=actor).decode()
    words = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    for said in ("macro F1", "AUC", "PPV at prevalence 50 %", "Matthews correlation (MCC)"):
        assert f"<td>{said}</td>" in words
    for stored in ("accuracy at half", "f1 macro", "ppv even", ">auc<", ">mcc<"):
        assert stored not in words
    evaluate_model(connection, room.files, room.settings, room.other.id, room.snapshot.id, "test", actor, Silent())
    assert "macro F1" in describe_comparison(connection, review)
