"""A meeting on screen: prepared, opened, walked, decided, signed, and the model put into production."""

import re
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from html import escape

import pytest
from streamlit.testing.v1 import AppTest

from core.datasets.records import get_snapshot, list_snapshot_cases
from core.errors import InvalidInput
from core.jobs.records import add_job, claim_job, finish_job, list_jobs
from core.labels.records import NewLabel, add_label, new_event
from core.people.accounts import User, ensure_user
from core.projects.records import Project
from core.reviews.criteria import parse_criterion
from core.reviews.decisions import NewDecision, decide_review, find_decision
from core.reviews.failures import list_failures, map_causes, tag_failure
from core.reviews.flow import describe_flow
from core.reviews.flow_picture import describe_flow_in_words
from core.reviews.meetings import Review, add_review, count_test_looks, get_review, list_reviews, open_results
from core.reviews.registry import find_production, promote_model, retire_model
from core.reviews.remarks import find_presented, list_remarks, present_step
from core.reviews.renewing import renew_review
from core.reviews.report import write_report
from core.store.audit import Actor
from core.store.files import Files
from core.training.records import Model, add_model, get_run
from dashboard import session
from dashboard.meeting_failures import answered
from dashboard.meeting_view import STEPS, steps_of
from tests.core.reviews.conftest import PASSWORD, give_password
from tests.core.reviews.other_tasks import Measured, measured_masks, measured_numbers
from tests.pages.conftest import OpenPage, plain, said


@pytest.fixture
def review(connection: sqlite3.Connection, project: Project, model: Model, actor: Actor, anna: User) -> Review:
    give_password(connection, "anna")
    made = add_review(connection, project, model, criteria=[parse_criterion("accuracy at least 0")], actor=actor)
    return open_results(connection, made, actor=actor)


def test_a_review_is_prepared_from_lines_and_a_wrong_one_is_refused(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model
) -> None:
    app = open_page("meeting", project=project.id)
    assert "came after" in said(app)
    app.text_area(key="prepare_criteria").set_value("sensitivity of cancer at least 0.9").run()
    app.button(key="prepare_do").click().run()
    assert "This project knows normal, pneumonia" in app.error[0].value
    app.text_area(key="prepare_criteria").set_value("accuracy at least 0.5\n\nauc at least 0.6").run()
    app.button(key="prepare_do").click().run()
    (made,) = list_reviews(connection, project.id)
    assert [one.sentence for one in made.criteria] == ["accuracy at least 0.5", "auc at least 0.6"]
    assert "Intended use and model card" in said(app)


def test_results_stay_closed_until_somebody_opens_them_and_that_is_counted(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, review: Review
) -> None:
    app = open_page("meeting", project=project.id, review=review.id, step="criteria")
    assert "The test results are closed" in said(app)
    assert "accuracy at least 0" not in said(app)
    app.button(key="meeting_open").click().run()
    assert not app.exception
    assert "accuracy at least 0" in said(app)
    assert count_test_looks(connection, review).openings_here == 2


def test_what_was_opened_in_a_tab_is_no_further_look_on_its_other_pages(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model, review: Review
) -> None:
    app = open_page("meeting", project=project.id, review=review.id, step="criteria")
    app.button(key="meeting_open").click().run()
    app.switch_page("../pages/evaluate.py")
    app.query_params["project"] = str(project.id)
    app.run()
    assert not app.exception
    assert count_test_looks(connection, review).elsewhere == 0


@pytest.mark.parametrize(("page", "query"), [("evaluate", {}), ("review", {"result": "all"})])
def test_test_results_on_another_page_lock_the_criteria_and_are_counted_once_a_tab(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model, actor: Actor,
    page: str, query: dict[str, str],
) -> None:  # fmt: skip
    made = add_review(connection, project, model, criteria=[parse_criterion("accuracy at least 0")], actor=actor)
    at = {"project": project.id, "model": model.id, **query}
    open_page(page, **at, split="validation")
    assert not get_review(connection, project.id, made.id).is_locked
    app = open_page(page, **at, split="test")
    app.run()
    assert not app.exception
    assert get_review(connection, project.id, made.id).is_locked
    looks = count_test_looks(connection, made)
    assert (looks.openings, looks.elsewhere) == (0, 1)
    text = said(open_page("meeting", project=project.id, review=made.id))
    assert "Outside of this meeting they were shown once" in text
    assert "Change the criteria" not in text


def test_a_small_subgroup_is_shown_greyed_and_not_as_passed(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model, review: Review, actor: Actor
) -> None:
    by_sex = add_review(
        connection, project, model, criteria=[parse_criterion("accuracy by sex at least 0")], actor=actor
    )
    open_results(connection, by_sex, actor=actor)
    app = open_page("meeting", project=project.id, review=by_sex.id, step="criteria")
    app.button(key="meeting_open").click().run()
    assert not app.exception
    text = said(app)
    assert '<tr class=\\"few\\">' in text
    assert "too few to tell, " in text
    assert "such a group does not pass" in text


def test_every_step_draws_and_the_keys_walk_along_them(open_page: OpenPage, project: Project, review: Review) -> None:
    app = open_page("meeting", project=project.id, review=review.id)
    app.session_state[f"meeting_opened_{review.id}"] = True
    for step in STEPS[1:]:
        app.button(key="meeting_next").click().run()
        assert not app.exception, step.key
        assert not app.error
        assert app.query_params["step"] == step.key
        if step.key == "curves":
            assert "Shaded: pointwise 95 % band, bootstrap over patients" in said(app)
            assert "pneumonia: 95 % band" in said(app)
        if step.key == "calibration":
            assert "Calibration slope" in said(app)
    assert app.button(key="meeting_next").disabled
    app.button(key="meeting_back").click().run()
    assert app.query_params["step"] == STEPS[-2].key


def test_criteria_and_classes_have_their_intervals_as_whiskers(
    open_page: OpenPage, project: Project, review: Review
) -> None:
    app = open_page("meeting", project=project.id, review=review.id, step="criteria")
    app.session_state[f"meeting_opened_{review.id}"] = True
    row = plain(said(app.run())).split("accuracy at least 0</b>")[1].split("</tr>")[0]
    assert '</small><span class="rr-whiskers rr-thin"><i style="left:' in row
    app = open_page("meeting", project=project.id, review=review.id, step="numbers")
    app.session_state[f"meeting_opened_{review.id}"] = True
    text = said(app.run())
    assert not app.exception
    row = text.split("<tr><th>class</th>")[1].split("pneumonia</td>")[1].split("</tr>")[0]
    assert row.count("rr-whiskers") == 6  # one to each number of the class


def test_the_population_is_drawn_as_a_flow_with_its_numbers_in_words(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model, review: Review
) -> None:
    app = open_page("meeting", project=project.id, review=review.id, step="population")
    assert not app.exception
    flow = describe_flow(connection, get_snapshot(connection, project.id, review.snapshot), model, None)
    assert "Snapshot" in said(app)
    assert escape(describe_flow_in_words(flow)) in said(app)
    assert "files not recorded" in said(app)
    counted = "<th>train</th><th>validation</th>"
    assert counted not in said(app)  # what is not open is not drawn
    app.session_state["meeting_population_tab"] = "Population"
    app.run()
    assert not app.exception
    assert counted in said(app)
    assert escape(describe_flow_in_words(flow)) not in said(app)


def test_a_decision_is_signed_with_the_password_and_leads_into_production(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model, review: Review, anna: User
) -> None:
    session.configure(session.settings(), lambda connection: replace(anna, has_password=True))
    app = open_page("meeting", project=project.id, review=review.id, step="decision")
    app.session_state[f"meeting_opened_{review.id}"] = True
    app.run()
    app.segmented_control(key="decide_verdict").set_value("approve")
    app.text_area(key="decide_rationale").set_value("It does what was asked.")
    app.text_input(key="decide_password").set_value("not this one at all").run()
    app.button(key="decide_do").click().run()
    assert "The password is wrong" in app.error[0].value
    assert find_decision(connection, review) is None
    app.text_area(key="decide_actions").set_value("Watch drift, ben").run()
    app.text_input(key="decide_password").set_value(PASSWORD).run()
    app.button(key="decide_do").click().run()
    assert "An action reads" in app.error[0].value
    app.text_area(key="decide_actions").set_value("Watch drift | ben | 2026-12-24\n").run()
    app.text_input(key="decide_password").set_value(PASSWORD).run()
    app.button(key="decide_do").click().run()
    assert not app.exception
    decision = find_decision(connection, review)
    assert decision is not None
    assert decision.rationale == "It does what was asked."
    assert "Decided: approve" in said(app)
    assert "Watch drift: ben, until 2026-12-24" in said(app)
    assert "You have signed this decision" in said(app)
    app.button(key="promote_do").click().run()
    production = find_production(connection, project.id)
    assert production is not None
    assert production.id == model.id


def test_who_has_no_password_is_told_where_to_set_one_and_who_may_not_sign_sees_no_form(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, review: Review
) -> None:
    session.configure(
        session.settings(), lambda connection: replace(ensure_user(connection, "anna"), has_password=False)
    )
    app = open_page("meeting", project=project.id, review=review.id, step="decision")
    app.session_state[f"meeting_opened_{review.id}"] = True
    app.run()
    assert "Set one first" in said(app)


def test_what_was_decided_tagged_and_said_is_shown(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, review: Review, actor: Actor
) -> None:
    decide_review(
        connection, review, NewDecision("retrain", "Too few <b>women</b>."), signer="anna", password=PASSWORD,
        actor=actor,
    )  # fmt: skip
    app = open_page("meeting", project=project.id, review=review.id, step="failures")
    app.session_state[f"meeting_opened_{review.id}"] = True
    app.run()
    assert not app.exception
    assert "surest first" in said(app)
    case = connection.execute("SELECT case_id FROM predictions LIMIT 1").fetchone()[0]
    tag_failure(connection, review, case, "shortcut", actor=actor)
    assert map_causes(connection, review) == {case: "shortcut"}
    assert "Tagged so far: shortcut 1" in said(app.run())
    app.query_params["step"] = "decision"
    assert "Too few &lt;b&gt;women" in said(app.run())
    app.query_params["step"] = "discussion"
    app.run()
    app.text_input[0].set_value("Who saw case 3?")
    app.button(key="meeting_say").click().run()
    assert [one.text for one in list_remarks(connection, review)] == ["Who saw case 3?"]
    assert "Who saw case 3?" in said(app)
    assert not app.exception


def test_whoever_follows_goes_where_the_presenter_is(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, review: Review
) -> None:
    ensure_user(connection, "ben", role="admin")
    present_step(connection, get_review(connection, project.id, review.id), "population", actor=Actor("ben", "screen"))
    app = open_page("meeting", project=project.id, review=review.id)
    app.segmented_control(key=f"meeting_role_{review.id}").set_value("follow").run()
    assert not app.exception
    assert app.query_params["step"] == "population"
    assert "ben presents" in said(app)


def test_the_case_that_the_presenter_opens_is_shown_to_whoever_follows(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, review: Review
) -> None:
    app = open_page("meeting", project=project.id, review=review.id, step="failures")
    app.session_state[f"meeting_opened_{review.id}"] = True
    app.session_state[f"meeting_role_{review.id}"] = "present"
    app.run()
    pills = app.get("button_group")
    opening = next(one for one in pills if one.key == f"meeting_open_case_{review.id}")
    case = int(opening.options[0])
    opening.set_value(case).run()
    assert not app.exception
    assert f"Case {case}" in said(app)
    shown = find_presented(connection, review)
    assert shown is not None
    assert (shown.step, shown.case_id) == ("failures", case)

    other = open_page("meeting", project=project.id, review=review.id)
    other.session_state[f"meeting_opened_{review.id}"] = True
    other.segmented_control(key=f"meeting_role_{review.id}").set_value("follow").run()
    assert (other.query_params["step"], other.query_params["case"]) == ("failures", str(case))
    assert f"Case {case}" in said(other)

    app.button(key="meeting_close_case").click().run()
    assert "Missed, surest first" in said(app)
    shown = find_presented(connection, review)
    assert shown is not None
    assert shown.case_id is None


def test_whoever_follows_sees_the_class_the_metric_and_the_prevalence_that_the_presenter_chose(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model, review: Review
) -> None:
    def opened(role: str) -> AppTest:
        app = open_page("meeting", project=project.id, review=review.id, step="subgroups")
        app.session_state[f"meeting_opened_{review.id}"] = True
        app.run()
        app.segmented_control(key=f"meeting_role_{review.id}").set_value(role).run()
        return app

    presenter, follower = opened("present"), opened("follow")
    presenter.segmented_control(key="groups_metric").set_value("specificity").run()
    presenter.selectbox(key="groups_class").set_value("normal").run()
    presenter.multiselect(key="groups_of").set_value([]).run()
    follower.run()
    assert not follower.exception
    assert follower.segmented_control(key="groups_metric").value == "specificity"
    assert follower.selectbox(key="groups_class").value == "normal"
    assert follower.multiselect(key="groups_of").value == []

    presenter.query_params["step"] = "threshold"
    presenter.run()
    key = f"threshold_prevalence_{model.id}_test_pneumonia"
    presenter.number_input(key=key).set_value(3.5).run()
    follower.run()
    assert not follower.exception
    assert follower.query_params["step"] == "threshold"
    assert follower.number_input(key=key).value == 3.5

    noted = find_presented(connection, review)
    presenter.run()
    assert find_presented(connection, review) == noted  # nothing has changed, so nothing was written


def test_the_case_of_the_explanations_and_its_overlay_follow(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, review: Review
) -> None:
    app = open_page("meeting", project=project.id, review=review.id, step="explanations")
    app.session_state[f"meeting_opened_{review.id}"] = True
    app.session_state[f"meeting_role_{review.id}"] = "present"
    app.run()
    # a tile of a mistake leads to its case in this step
    case = int(re.search(rf"meeting\?project={project.id}&amp;review={review.id}&amp;step=explanations&amp;case=(\d+)",
                         said(app)).group(1))  # type: ignore[union-attr]  # fmt: skip
    app.query_params["case"] = str(case)
    app.session_state["meeting_overlay_shown"] = True
    app.run()
    assert f"Case {case}" in said(app)
    shown = find_presented(connection, review)
    assert shown is not None
    assert (shown.step, shown.case_id, shown.choices["overlay"]) == ("explanations", case, True)

    other = open_page("meeting", project=project.id, review=review.id)
    other.session_state[f"meeting_opened_{review.id}"] = True
    other.segmented_control(key=f"meeting_role_{review.id}").set_value("follow").run()
    assert not other.exception
    assert (other.query_params["step"], other.query_params["case"]) == ("explanations", str(case))
    assert other.session_state["meeting_overlay_shown"] is True


def test_what_a_step_shows_is_of_known_names(connection: sqlite3.Connection, review: Review, actor: Actor) -> None:
    with pytest.raises(InvalidInput, match="Received: mood"):
        present_step(connection, review, "numbers", choices={"mood": "good"}, actor=actor)
    present_step(connection, review, "numbers", choices={"class": "of the / left"}, actor=actor)
    shown = find_presented(connection, review)
    assert shown is not None
    assert (shown.step, shown.case_id, shown.choices) == ("numbers", None, {"class": "of the / left"})


def test_the_registry_on_models_goes_back_with_one_click(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model, review: Review, actor: Actor
) -> None:
    assert "Roll back" not in said(open_page("models", project=project.id))
    decide_review(
        connection, review, NewDecision("approve", "Good."), signer="anna", password=PASSWORD, actor=actor
    )  # fmt: skip
    promote_model(connection, model, actor=actor)
    retire_model(connection, model, reason="recalled by <b>Ben</b>", actor=actor)
    app = open_page("models", project=project.id)
    assert "recalled by &lt;b&gt;Ben" in said(app)
    app.button(key="registry_back").click().run()
    assert not app.exception
    assert find_production(connection, project.id) == model
    assert f"{model.name} · production" in said(app)
    assert f">{model.name}</a>, since" in said(open_page("overview", project=project.id))


def test_corrections_are_named_and_learnt_with_one_click_which_leads_to_a_new_review(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, model: Model, review: Review, actor: Actor
) -> None:
    decide_review(
        connection, review, NewDecision("retrain", "Wrong labels."), signer="anna", password=PASSWORD, actor=actor
    )
    case = connection.execute("SELECT case_id FROM snapshot_cases WHERE split = 'test' LIMIT 1").fetchone()[0]
    said_before = connection.execute("SELECT value FROM reference_labels WHERE case_id = ?", (case,)).fetchone()[0]
    other = "normal" if "pneumonia" in said_before else "pneumonia"
    add_label(connection, NewLabel(new_event(), case, "anna", {"classes": [other]}), actor)
    app = open_page("meeting", project=project.id, review=review.id, step="decision")
    app.session_state[f"meeting_opened_{review.id}"] = True
    app.run()
    assert "References changed since its snapshot was frozen: 1 " in said(app)
    app.button(key="retrain_do").click().run()
    assert not app.exception
    assert not app.error
    (job,) = list_jobs(connection, kinds=("train",))
    assert (job.arguments["evaluate"], job.arguments["review"]) == ("test", review.id)
    assert "what changed" not in said(app)

    asked = claim_job(connection, "train", "cpu")
    assert asked
    made = add_model(
        connection, get_run(connection, job.arguments["run"]), keras_hash="1" * 64, onnx_left_out_because="a test",
        parameters=1, file_bytes=1, facts=model.facts, seconds=1.0, actor=actor,
    )  # fmt: skip
    finish_job(connection, asked, "done", result={"model_id": made.id})
    add_job(connection, "review_again", {"model": made.id, "review": review.id}, project=project.id, actor=actor)
    measuring = claim_job(connection, "work", "cpu")
    assert measuring
    renewed = renew_review(connection, review, made, actor=actor)
    finish_job(connection, measuring, "done", result={"review": renewed.id})
    assert f"Review {renewed.id}: what changed" in said(app.run())
    assert not app.exception
    text = said(open_page("meeting", project=project.id, review=renewed.id, step="discussion"))
    assert f"Retrained after review {review.id}" in text
    assert "Labels changed since first: 1 " in text


@pytest.mark.parametrize("make", [measured_numbers, measured_masks])
def test_numbers_and_painted_structures_have_their_steps(
    open_page: OpenPage, connection: sqlite3.Connection, files: Files, actor: Actor, make: Callable[..., Measured]
) -> None:
    found = make(connection, files, actor)
    review = open_results(
        connection, add_review(connection, found.project, found.model, criteria=[], actor=actor), actor=actor
    )
    app = open_page("meeting", project=found.project.id, review=review.id)
    app.session_state[f"meeting_opened_{review.id}"] = True
    for step in steps_of(found.snapshot.schema)[1:]:  # type: ignore[arg-type]
        app.button(key="meeting_next").click().run()
        assert not app.exception, step.key
        assert not app.error
        assert app.query_params["step"] == step.key


def test_the_worst_painted_cases_are_listed_with_their_dice_and_one_is_opened(
    open_page: OpenPage, connection: sqlite3.Connection, files: Files, actor: Actor
) -> None:
    found = measured_masks(connection, files, actor)
    review = open_results(
        connection, add_review(connection, found.project, found.model, criteria=[], actor=actor), actor=actor
    )
    app = open_page("meeting", project=found.project.id, review=review.id, step="failures")
    app.session_state[f"meeting_opened_{review.id}"] = True
    app.run()
    assert "Lowest Dice" in said(app)
    opening = next(one for one in app.get("button_group") if one.key == f"meeting_open_case_{review.id}")
    case = int(opening.options[0])
    opening.set_value(case).run()
    assert not app.exception
    assert f"Case {case}</b> · Dice 0.500" in said(app)


def test_a_number_in_the_failure_gallery_is_not_more_or_less_sure(
    connection: sqlite3.Connection, files: Files, actor: Actor
) -> None:
    found = measured_numbers(connection, files, actor)
    review = open_results(
        connection, add_review(connection, found.project, found.model, criteria=[], actor=actor), actor=actor
    )
    (worst,) = list_failures(connection, found.project, review, "largest error", limit=1)
    assert worst.confidence is not None
    assert "(" not in answered(worst)


def test_the_agreement_of_readers_on_numbers_is_on_the_screen_and_in_the_report(
    open_page: OpenPage, connection: sqlite3.Connection, files: Files, actor: Actor
) -> None:
    found = measured_numbers(connection, files, actor)
    ensure_user(connection, "ben", role="admin")
    for case in list_snapshot_cases(connection, found.snapshot.id)[:10]:
        new = NewLabel(new_event(), case.case_id, "ben", {"value": case.value["value"] + 3})
        add_label(connection, new, Actor("ben", "screen"))
    review = open_results(
        connection, add_review(connection, found.project, found.model, criteria=[], actor=actor), actor=actor
    )
    app = open_page("meeting", project=found.project.id, review=review.id, step="reference")
    assert not app.exception
    assert "mean difference" in said(app)
    assert "−3.000" in said(app)
    assert "alpha of all readers" in said(app)
    report = write_report(connection, found.project, review, "html", actor=actor).decode()
    assert "mean difference" in report
