"""Who may do what, walked: every route and every page, by every role, a stranger and nobody; and every engine act.

What is expected is worked out from `ROLE_ACTIONS` alone. A route or a page that is not in the tables here fails
the walk, so nothing new opens without somebody saying to whom.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from core.datasets.exchange import import_snapshot
from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot
from core.errors import CoreError, InvalidInput, NotAllowed
from core.evaluation.abstention import freeze_rule
from core.evaluation.drafts import set_assist_model
from core.evaluation.records import store_predictions
from core.evaluation.run import evaluate_model
from core.images.ingest import import_paths
from core.images.pacs.credentials import Credentials
from core.images.pacs.records import NewPacs, Pacs, add_pacs, change_credentials, remove_pacs
from core.images.records import Case, NewCase, insert_case, record_import_file, set_flag
from core.images.watched_folders import stop_watching, watch_folder
from core.jobs.asking import (
    ask_drafts,
    ask_import,
    ask_import_again,
    ask_pull,
    ask_rate_test,
    ask_repetition,
    ask_training,
    throw_upload_away,
)
from core.jobs.correcting import ask_retraining
from core.jobs.kinds import KINDS, actions_of
from core.jobs.records import Job, add_job, claim_job, finish_job, get_job, request_stop, resume_job
from core.labels.assignments import assign_cases, unassign_cases
from core.labels.case_lists import add_case_list
from core.labels.exchange import import_labels
from core.labels.marks import NewMark, add_mark
from core.labels.mask_files import export_masks
from core.labels.masks import NewMaskEdit, add_mask_edit, put_mask
from core.labels.records import NewLabel, add_label, new_event
from core.labels.reference import set_reference_rule
from core.labels.runs import encode_runs
from core.labels.schema import SchemaChange, change_schema
from core.people.accounts import User, ensure_user
from core.people.invitations import invite_user, reset_user, set_active, set_administrator
from core.people.members import set_member
from core.people.roles import ACTIONS, ROLE_ACTIONS, ROLES, Action
from core.people.sessions import issue_token, redeem_token
from core.progress import Silent
from core.projects.records import Project, ReferenceRule, add_project, change_project
from core.projects.schema import make_classification, make_segmentation
from core.reviews.comments import add_comment
from core.reviews.criteria import parse_criterion
from core.reviews.decisions import NewDecision, decide_review, get_decision, sign_decision
from core.reviews.failures import tag_failure
from core.reviews.meetings import Review, add_review, change_criteria, get_review, open_results
from core.reviews.registry import promote_model, retire_model, roll_back
from core.reviews.remarks import add_remark, present_step
from core.reviews.report import write_report
from core.settings import PROJECT_ROOT, Settings
from core.store.audit import Actor
from core.store.database import opened
from core.store.files import Files, array_bytes
from core.training.recipe import named_recipe
from core.training.records import Model, add_model, add_run, get_run
from dashboard import places, session
from dashboard.middleware import cookie_name
from dashboard.routes.answers import answer_refusal
from dashboard.server import make_middleware, make_routes
from tests.core.reviews.conftest import PASSWORD, give_password
from tests.pages.conftest import as_in_the_web_process, run_page

__all__ = ["as_in_the_web_process"]  # a fixture, for the pages here
SHELL = Actor("root", "command line")
STRANGER, NOBODY, ADMINISTRATOR = "stranger", "nobody", "administrator"
# Each bears the name of what they are in the project: a reader called reader, ...
PEOPLE = (*ROLES, ADMINISTRATOR, STRANGER)
APPROVED = NewDecision("approve", "It finds what readers find.")
MAP = "ab" * 32
COOKIE = cookie_name(8501)


@dataclass(frozen=True)
class House:
    """A project with a case, a model and a job of each sort, somebody in each role, and one project of nobody's."""

    project: Project
    case: Case
    model: Model
    explain_job: int
    painted: Project  # of structures, with the same people in the same roles
    volume: Case


@pytest.fixture(scope="session")
def furnished(prepared_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, House]:
    """A home with such a house in it, made once: each test has a copy."""
    home = Path(shutil.copytree(prepared_home, tmp_path_factory.mktemp("furnished") / "home"))
    with opened(Settings(home=home)) as connection:
        return home, furnish(connection, Files(home))


@pytest.fixture
def settings(tmp_path: Path, furnished: tuple[Path, House]) -> Settings:
    return Settings(home=Path(shutil.copytree(furnished[0], tmp_path / "home")))


@pytest.fixture
def house(furnished: tuple[Path, House]) -> House:
    return furnished[1]


def furnish(connection: sqlite3.Connection, files: Files) -> House:
    ensure_user(connection, "anna", role="admin")
    actor = Actor("anna", "screen")
    project = add_project(
        connection,
        name="Chest",
        task="classification",
        schema=make_classification(["normal", "pneumonia"]),
        actor=actor,
    )
    for name in PEOPLE:
        ensure_user(connection, name, role="admin" if name == ADMINISTRATOR else "reader")
    add_project(connection, name="Other", task="classification", schema=project.schema, actor=actor)
    for role in ROLES:
        set_member(connection, project.id, role, role, actor=SHELL)
    cases = []
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8)).astype(np.uint8)
        pixel_hash = files.put_array("pixels", pixels)
        new = NewCase(
            project=project.id, source=f"{number}.png", patient=f"p{number}", patient_from="table",
            pixel_hash=pixel_hash, file_hash=pixel_hash, perceptual_hash=f"{number * 0x0123456789ABCDEF % 2**64:016x}",
            rows=8, columns=8, channels=1, dtype="uint8", photometric="MONOCHROME2", imported_by="anna",
        )  # fmt: skip
        cases.append(insert_case(connection, new))
        answer = {"classes": [("normal", "pneumonia")[number % 2]]}
        add_label(connection, NewLabel(new_event(), cases[-1].id, "anna", answer), SHELL)
    snapshot = freeze_snapshot(
        connection, files, project, "first", ratios=(0.5, 0.25, 0.25), actor=SHELL, progress=Silent()
    )
    run = add_run(
        connection, project=project.id, snapshot=snapshot.id, recipe=named_recipe("cnn"), name="quick", actor=SHELL
    )
    model = add_model(
        connection, get_run(connection, run.id), keras_hash=files.put_bytes("models", b"weights"),
        onnx_left_out_because="it is a test", parameters=1, file_bytes=7,
        facts={"classes": ["normal", "pneumonia"], "multi_label": False}, seconds=1.0, actor=SHELL,
    )  # fmt: skip
    review_it(connection, files, project, model, snapshot, [case.id for case in cases])
    files.put_under("explanations", MAP, array_bytes(np.ones((2, 2), np.float32)))
    asked = {"model": model.id, "case": cases[0].id, "class": "normal", "method": "grad_cam"}
    add_job(connection, "explain", asked, project=project.id, actor=SHELL)
    job = claim_job(connection, "explain", "cpu")
    assert job is not None
    finish_job(connection, job, "done", result={"explanation": MAP})
    painted = add_project(
        connection, name="Abdomen", task="segmentation", schema=make_segmentation(["liver"]), actor=actor
    )
    for role in ROLES:
        set_member(connection, painted.id, role, role, actor=SHELL)
    deep = {**vars(new), "project": painted.id, "source": "scan.nii.gz", "frames": 2}
    return House(project, cases[0], model, job.id, painted, insert_case(connection, NewCase(**deep)))


def review_it(
    connection: sqlite3.Connection, files: Files, project: Project, model: Model, snapshot: Snapshot, cases: list[int]
) -> None:
    """Two reviews with opened results, of which the second is decided; the model was in production once.

    Everybody has a password, so that only the role says who may sign.
    """
    scores = {case: [0.2, 0.8] if at % 2 else [0.8, 0.2] for at, case in enumerate(cases)}
    store_predictions(connection, model, project.schema, scores)  # type: ignore[arg-type]
    evaluate_model(connection, files, Settings(home=files.root), model.id, snapshot.id, "test", SHELL, Silent())
    for name in ("anna", *PEOPLE):
        give_password(connection, name)
    for _ in range(2):
        made = add_review(connection, project, model, criteria=[parse_criterion("accuracy at least 0.5")], actor=SHELL)
        made = open_results(connection, made, actor=SHELL)
    decide_review(connection, made, APPROVED, signer="anna", password=PASSWORD, actor=SHELL)
    promote_model(connection, model, actor=SHELL)
    retire_model(connection, model, actor=SHELL)


def may(who: str, action: Action | None, *, of_the_readroom: bool = False) -> bool:
    """What the table of roles says; None is an action for everybody who is signed in."""
    if who == ADMINISTRATOR or action is None:
        return True
    return who in ROLE_ACTIONS and action in ROLE_ACTIONS[who] and not of_the_readroom  # type: ignore[index]


# ---- routes


@dataclass(frozen=True)
class Door:
    """What one route takes: `action` in the house's project, or PUBLIC, or None: being signed in."""

    action: Action | str | None
    path: Callable[[House], str] = lambda house: "/"
    json: Callable[[House], object] = lambda house: None
    opens: tuple[int, ...] = (200,)
    shut: int = 403
    signed_out: int = 401


PUBLIC = "public"
EVENT = {"type": "label", "made_at": "2026-11-22T10:00:00.000Z", "schema_version": 1, "made_in": "label page"}
DOORS: dict[tuple[str, str], Door] = {
    ("GET", "/healthz"): Door(PUBLIC, lambda house: "/healthz"),
    ("GET", "/assets/source-sans.woff2"): Door(PUBLIC, lambda house: "/assets/source-sans.woff2"),
    ("GET", "/sign-in"): Door(PUBLIC, lambda house: "/sign-in", opens=(200, 303)),
    ("POST", "/sign-in"): Door(PUBLIC, lambda house: "/sign-in", opens=(401,)),
    ("GET", "/sign-out"): Door(None, lambda house: "/sign-out"),
    ("POST", "/sign-out"): Door(None, lambda house: "/sign-out", opens=(303,)),
    ("GET", "/account"): Door(None, lambda house: "/account"),
    ("POST", "/account"): Door(None, lambda house: "/account", opens=(422,)),
    ("POST", "/account/sign-out-everywhere"): Door(None, lambda house: "/account/sign-out-everywhere", opens=(303,)),
    # A batch is never shut as a whole: each event is refused with its reason, and the browser puts it aside.
    ("POST", "/api/v1/events"): Door(
        "label",
        lambda house: "/api/v1/events",
        lambda house: {
            "events": [{**EVENT, "event": new_event(), "case": house.case.id, "value": {"classes": ["normal"]}}]
        },
        shut=422,
    ),
    ("GET", "/api/v1/cases/{case:int}"): Door("see", lambda house: f"/api/v1/cases/{house.case.id}"),
    ("GET", "/api/v1/cases/{case:int}/marks"): Door("see", lambda house: f"/api/v1/cases/{house.case.id}/marks"),
    # No model is chosen for drafts, which only those hear who might see one.
    ("GET", "/api/v1/cases/{case:int}/draft"): Door(
        "label", lambda house: f"/api/v1/cases/{house.case.id}/draft", opens=(404,)
    ),
    ("GET", "/api/v1/cases/{case:int}/masks/{structure}"): Door(
        "see", lambda house: f"/api/v1/cases/{house.volume.id}/masks/liver"
    ),
    ("PUT", "/api/v1/cases/{case:int}/masks/{structure}"): Door(
        "label", lambda house: f"/api/v1/cases/{house.volume.id}/masks/liver", opens=(422,)
    ),
    ("GET", "/api/v1/pixels/{hash}.npy"): Door("see", lambda house: f"/api/v1/pixels/{house.case.pixel_hash}.npy"),
    ("GET", "/api/v1/thumbnails/{hash}.webp"): Door(
        "see", lambda house: f"/api/v1/thumbnails/{house.case.pixel_hash}.webp"
    ),
    ("GET", "/api/v1/explanations/{hash}.npy"): Door(
        "open test results", lambda house: f"/api/v1/explanations/{MAP}.npy"
    ),
    ("POST", "/api/v1/explanations"): Door(
        "open test results",
        lambda house: "/api/v1/explanations",
        lambda house: {"model": house.model.id, "case": house.case.id, "class": "normal"},
    ),
    ("GET", "/api/v1/jobs/{job:int}"): Door("open test results", lambda house: f"/api/v1/jobs/{house.explain_job}"),
    ("GET", "/api/v1/models/{model:int}/model.keras"): Door(
        "export", lambda house: f"/api/v1/models/{house.model.id}/model.keras"
    ),
    # There is none here, which only those hear who might have had it.
    ("GET", "/api/v1/models/{model:int}/model.onnx"): Door(
        "export", lambda house: f"/api/v1/models/{house.model.id}/model.onnx", opens=(404,)
    ),
    ("POST", "/api/v1/uploads"): Door("import", lambda house: "/api/v1/uploads", opens=(201,)),
    # Whoever knows no upload of their own finds none, whatever their role; see test_an_upload_is_its_owners.
    ("GET", "/api/v1/uploads/{upload}"): Door(None, lambda house: "/api/v1/uploads/none", opens=(404,)),
    ("DELETE", "/api/v1/uploads/{upload}"): Door(None, lambda house: "/api/v1/uploads/none", opens=(404,)),
    ("PUT", "/api/v1/uploads/{upload}"): Door(None, lambda house: "/api/v1/uploads/none", opens=(404,)),
    ("PUT", "/api/v1/uploads/{upload}/{path:path}"): Door(
        None, lambda house: "/api/v1/uploads/none/a.png", opens=(404,)
    ),
    **{
        (method, "/api/{path:path}"): Door(None, lambda house: "/api/nothing", opens=(404,))
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    },
}
ASSETS = ("/assets/viewer", "/assets")  # mounted folders: our own styles and scripts, and nothing about any patient


def enumerate_routes() -> list[tuple[str, str]]:
    """Every method of every route, as the server has them; folders apart."""
    settings = Settings(home=PROJECT_ROOT / "nowhere")
    found = []
    for route in make_routes(settings, COOKIE):
        if isinstance(route, Mount):
            assert route.path in ASSETS, f"{route.path}: a new folder is public; add it to ASSETS if it may be"
            continue
        assert isinstance(route, Route)
        found += [(method, route.path) for method in sorted((route.methods or set()) - {"HEAD"})]
    return found


def test_every_route_has_an_entry_and_every_entry_a_route() -> None:
    assert sorted(enumerate_routes()) == sorted(DOORS)


@pytest.fixture
def web(settings: Settings) -> Iterator[TestClient]:
    app = Starlette(
        routes=make_routes(settings, COOKIE),
        middleware=make_middleware(settings, "127.0.0.1", COOKIE, frozenset()),
        exception_handlers={CoreError: answer_refusal},  # type: ignore[dict-item]
    )
    with TestClient(app, base_url="http://127.0.0.1:8501", follow_redirects=False) as client:
        yield client


def sign_in(web: TestClient, connection: sqlite3.Connection, who: str) -> None:
    web.cookies.clear()
    if who != NOBODY:
        user = ensure_user(connection, who)
        web.cookies.set(COOKIE, redeem_token(connection, issue_token(connection, user), hours=1))


@pytest.mark.parametrize("who", [*PEOPLE, NOBODY])
def test_each_route_opens_to_those_of_the_table(
    web: TestClient, connection: sqlite3.Connection, house: House, who: str
) -> None:
    wrong = []
    for (method, path), door in DOORS.items():
        sign_in(web, connection, who)  # anew for each: some of them sign out
        answer = web.request(method, door.path(house), json=door.json(house))
        if door.action == PUBLIC:
            expected: tuple[int, ...] = door.opens
        elif who == NOBODY:
            expected = (door.signed_out,)
        else:
            expected = door.opens if may(who, door.action) else (door.shut,)  # type: ignore[arg-type]
        if answer.status_code not in expected:
            wrong.append(f"{method} {path}: {answer.status_code} for {who}, not {expected}: {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", ["/api/v1/cases/999", f"/api/v1/pixels/{'0' * 64}.npy", "/api/v1/jobs/999"])
def test_what_is_not_there_is_404_to_a_stranger_too(
    web: TestClient, connection: sqlite3.Connection, house: House, path: str
) -> None:
    sign_in(web, connection, STRANGER)
    assert web.get(path).status_code == 404


def test_pixels_are_shown_to_whoever_may_see_one_project_that_has_them(
    web: TestClient, connection: sqlite3.Connection, house: House
) -> None:
    path = f"/api/v1/pixels/{house.case.pixel_hash}.npy"
    sign_in(web, connection, STRANGER)
    assert web.get(path, headers={"if-none-match": f'"{house.case.pixel_hash}"'}).status_code == 403
    other = connection.execute("SELECT id FROM projects WHERE name = 'Other'").fetchone()["id"]
    set_member(connection, other, STRANGER, "reader", actor=SHELL)
    assert web.get(path).status_code == 403
    fields = {**vars(house.case), "project": other}
    for unset in ("id", "flagged", "imported_at"):
        del fields[unset]
    insert_case(connection, NewCase(**fields))
    assert web.get(path).status_code == 200


def test_an_upload_is_its_owners(web: TestClient, connection: sqlite3.Connection, house: House) -> None:
    sign_in(web, connection, "scientist")
    upload = web.post("/api/v1/uploads").json()["upload"]
    sign_in(web, connection, "admin")
    assert web.put(f"/api/v1/uploads/{upload}/a.png", content=b"x").status_code == 403
    assert web.get(f"/api/v1/uploads/{upload}").status_code == 403
    assert web.delete(f"/api/v1/uploads/{upload}").status_code == 403


@pytest.mark.parametrize("who", [*PEOPLE, NOBODY])
def test_files_for_streamlit_s_own_uploader_are_taken_from_those_whom_a_page_shows_one(
    web: TestClient, connection: sqlite3.Connection, house: House, who: str
) -> None:
    """Its route, which is not ours, asks nobody for a role and keeps what it gets in memory."""
    sign_in(web, connection, who)
    status = web.put("/_stcore/upload_file/some-session/some-file", content=b"x").status_code
    let_through = 404  # here Streamlit is not behind the doors
    if who == NOBODY:
        assert status == 401
    else:
        assert status == (let_through if may(who, "import") or may(who, "freeze") else 403)


def test_a_stranger_s_answer_is_not_stored(web: TestClient, connection: sqlite3.Connection, house: House) -> None:
    before = connection.execute("SELECT COUNT(*) FROM labels").fetchone()[0]
    sign_in(web, connection, STRANGER)
    door = DOORS["POST", "/api/v1/events"]
    (refusal,) = web.post(door.path(house), json=door.json(house)).json()["refused"]
    assert "another role" in refusal["reason"]
    assert connection.execute("SELECT COUNT(*) FROM labels").fetchone()[0] == before


# ---- pages

# What opens each page: the action, and where it must be allowed. Written out, not read from the places themselves.
PAGES: dict[str, tuple[Action | None, str]] = {
    "projects": (None, "anywhere"),
    "overview": ("see", "project"),
    "import_images": ("import", "project"),
    "pacs": ("import", "project"),
    "check_pixels": ("import", "project"),
    "cases": ("see", "project"),
    "case": ("see", "project"),
    "label": ("label", "project"),
    "snapshots": ("open test results", "project"),
    "train": ("train", "project"),
    "models": ("open test results", "project"),
    "draw": ("train", "project"),
    "predict": ("open test results", "project"),
    "evaluate": ("open test results", "project"),
    "explanations": ("open test results", "project"),
    "review": ("open test results", "project"),
    "meeting": ("open test results", "project"),
    "jobs": ("open test results", "anywhere"),
    "users": ("administer", "anywhere"),
    "audit": ("administer", "readroom"),
    "doctor": ("administer", "readroom"),
}


def test_every_page_has_an_entry_and_every_entry_a_page() -> None:
    assert sorted(PAGES) == sorted(place.name for place in places.PLACES)
    assert sorted(PAGES) == sorted(path.stem for path in (PROJECT_ROOT / "pages").glob("*.py"))


@pytest.fixture
def open_as(settings: Settings, connection: sqlite3.Connection) -> Iterator[Callable[..., AppTest]]:
    def open_it(who: str, name: str, **query: object) -> AppTest:
        user: User | None = None if who == NOBODY else ensure_user(connection, who)
        session.configure(settings, lambda _: user)
        return run_page(name, **query)

    yield open_it
    session._Process.settings = session._Process.identify = None


def text_of(app: AppTest) -> str:
    """Everything that stands on the screen, menu included, as text."""
    return "\n".join(str(getattr(element, "proto", "")) for element in (*app, *app.sidebar))


@pytest.mark.parametrize("who", [*PEOPLE, NOBODY])
@pytest.mark.parametrize("name", sorted(PAGES))
def test_each_page_opens_to_those_of_the_table(
    open_as: Callable[..., AppTest], house: House, who: str, name: str
) -> None:
    app = open_as(who, name, project=house.project.id, case=house.case.id)
    assert not app.exception
    shown, menu = text_of(app), "\n".join(str(getattr(element, "proto", "")) for element in app.sidebar)
    action, where = PAGES[name]
    title = places.BY_NAME[name].title
    if who == NOBODY:
        assert "signed out" in shown
        assert house.project.name not in shown
        assert house.case.source not in shown
    elif may(who, action, of_the_readroom=where == "readroom"):
        assert "not open to you" not in shown
        if places.BY_NAME[name].group:
            assert f'label: "{title}"' in menu
    else:
        assert "not open to you" in shown
        assert house.case.source not in shown
        if who != STRANGER or where != "project":  # a stranger has no project open, so its menu is not there at all
            assert "anna for a role" in shown
            assert f'label: "{title}"' not in menu


def test_a_stranger_finds_the_project_nowhere(open_as: Callable[..., AppTest], house: House) -> None:
    for name in ("projects", "jobs", "cases"):
        shown = text_of(open_as(STRANGER, name))
        assert "Chest" not in shown
        assert "Other" not in shown


@pytest.mark.parametrize("who", PEOPLE)
def test_controls_stand_where_their_action_is_allowed(open_as: Callable[..., AppTest], house: House, who: str) -> None:
    overview = text_of(open_as(who, "overview", project=house.project.id))
    assert ("Change the texts" in overview) == may(who, "administer")
    assert ("Labels as CSV" in overview) == may(who, "export")
    assert ("Bring labels in from a CSV" in overview) == may(who, "import")
    snapshots = text_of(open_as(who, "snapshots", project=house.project.id))
    assert ("New snapshot" in snapshots) == may(who, "freeze")
    assert ("New project" in text_of(open_as(who, "projects"))) == (who == ADMINISTRATOR)
    on_the_server = text_of(open_as(who, "import_images", project=house.project.id))
    assert ("On the server" in on_the_server) == (who == ADMINISTRATOR)


# ---- engine


@dataclass(frozen=True)
class Act:
    """One engine function, and what it takes of whoever calls it."""

    action: Action
    do: Callable[[sqlite3.Connection, Settings, House, Actor], object]
    of_the_readroom: bool = False


def label_as(reader: str | None) -> Callable[[sqlite3.Connection, Settings, House, Actor], object]:
    def do(connection: sqlite3.Connection, settings: Settings, house: House, actor: Actor) -> object:
        new = NewLabel(new_event(), house.case.id, reader or actor.name, {"classes": ["normal"]})
        return add_label(connection, new, actor)

    return do


def mark_as(reader: str | None) -> Callable[[sqlite3.Connection, Settings, House, Actor], object]:
    def do(connection: sqlite3.Connection, settings: Settings, house: House, actor: Actor) -> object:
        new = NewMark(new_event(), house.case.id, reader or actor.name, "m1", "point", {"x": 1, "y": 1})
        return add_mark(connection, new, actor)

    return do


def paint_as(reader: str | None) -> Callable[[sqlite3.Connection, Settings, House, Actor], object]:
    def do(connection: sqlite3.Connection, settings: Settings, house: House, actor: Actor) -> object:
        runs = encode_runs(np.ones((8, 8)))
        return add_mask_edit(
            connection, NewMaskEdit(new_event(), house.volume.id, reader or actor.name, "liver", {0: runs}), actor
        )

    return do


def queue(kind: str, **arguments: object) -> Callable[[sqlite3.Connection, Settings, House, Actor], object]:
    return lambda connection, settings, house, actor: add_job(
        connection, kind, arguments, project=house.project.id, actor=actor
    )


def stop_and_resume(kind: str, which: str) -> Callable[[sqlite3.Connection, Settings, House, Actor], object]:
    def do(connection: sqlite3.Connection, settings: Settings, house: House, actor: Actor) -> object:
        job = add_job(connection, kind, {}, project=house.project.id, actor=SHELL)
        if which == "stop":
            return request_stop(connection, job.id, actor)
        request_stop(connection, job.id, SHELL)
        return resume_job(connection, job.id, actor)

    return do


def snapshot_of(connection: sqlite3.Connection, house: House):  # type: ignore[no-untyped-def]
    from core.datasets.records import get_snapshot

    return get_snapshot(connection, house.project.id, "first")


ACTS: dict[str, Act] = {
    "answer": Act("label", label_as(None)),
    "answer for another reader": Act("edit others' labels", label_as("anna")),
    "mark": Act("label", mark_as(None)),
    "mark for another reader": Act("edit others' labels", mark_as("anna")),
    "paint": Act("label", paint_as(None)),
    "paint for another reader": Act("edit others' labels", paint_as("anna")),
    "put a whole mask": Act(
        "label",
        lambda c, s, house, actor: put_mask(
            c, house.volume, "liver", np.zeros((2, 8, 8), np.uint8), actor, event=new_event()
        ),
    ),
    "keep a list of cases": Act(
        "label", lambda c, s, house, actor: add_case_list(c, house.project, "again", [house.case.id], actor=actor)
    ),
    "hand cases out": Act(
        "administer", lambda c, s, house, actor: assign_cases(c, house.project, "reader", [house.case.id], actor=actor)
    ),
    "take cases back": Act(
        "administer", lambda c, s, house, actor: unassign_cases(c, house.project, "reader", actor=actor)
    ),
    "change the classes": Act(
        "administer",
        lambda c, s, house, actor: change_schema(c, house.project, SchemaChange("rename", "normal", "healthy"), actor),
    ),
    "choose a model for drafts": Act(
        "administer", lambda c, s, house, actor: set_assist_model(c, house.project, house.model.id, actor=actor)
    ),
    "make drafts": Act(
        "administer",
        lambda c, s, house, actor: ask_drafts(c, replace(house.project, assist_model=house.model.id), actor=actor),
    ),
    "export masks": Act(
        "export",
        lambda c, s, house, actor: export_masks(c, house.painted, s.home / "uploads" / "masks", actor=actor),
    ),
    "flag": Act("label", lambda c, s, house, actor: set_flag(c, house.case.id, True, actor)),
    "comment": Act("label", lambda c, s, house, actor: add_comment(c, house.case.id, "see", actor=actor)),
    "import uploaded files": Act(
        "import",
        lambda c, s, house, actor: ask_import(
            c, s, house.project, [str(s.home / "uploads" / "x" / "files")], actor=actor
        ),
    ),
    "pull from a PACS": Act(
        "import",
        lambda c, s, house, actor: ask_pull(
            c, s, house.project, Pacs("Ward", "dicomweb", "https://pacs.example", id=1), ["1.2.3"], actor=actor
        ),
    ),
    "add a PACS": Act(
        "administer",
        lambda c, s, house, actor: add_pacs(c, s, NewPacs("Ward", "dicomweb", "https://pacs.example"), None, actor),
        of_the_readroom=True,
    ),
    "remove a PACS": Act(
        "administer",
        lambda c, s, house, actor: remove_pacs(c, s, Pacs("Ward", "dicomweb", "https://pacs.example", id=1), actor),
        of_the_readroom=True,
    ),
    "sign in to a PACS as somebody else": Act(
        "administer",
        lambda c, s, house, actor: change_credentials(
            c, s, Pacs("Ward", "dicomweb", "https://pacs.example", id=1), Credentials("anna", "secret"), actor
        ),
        of_the_readroom=True,
    ),
    "import a path of the server": Act(
        "administer",
        lambda c, s, house, actor: ask_import(c, s, house.project, ["/etc"], actor=actor),
        of_the_readroom=True,
    ),
    "import a table of the server": Act(
        "administer",
        lambda c, s, house, actor: ask_import(
            c,
            s,
            house.project,
            [str(s.home / "uploads" / "x")],
            labels=f"{s.home}/uploads/../settings.toml",
            actor=actor,
        ),
        of_the_readroom=True,
    ),
    "import images": Act(
        "import",
        lambda c, s, house, actor: import_paths(
            c,
            Files(s.home),
            s,
            house.project,
            [],
            table=None,
            patient_from=None,
            job=77,
            actor=actor,
            on_case=lambda *_: None,
            progress=Silent(),
        ),
    ),
    "resume with what an import refused": Act(
        "import", lambda c, s, house, actor: ask_import_again(c, s, refused_import(c, s, house), "failed", actor=actor)
    ),
    "stop keeping what an import refused": Act(
        "import", lambda c, s, house, actor: throw_upload_away(c, s, refused_import(c, s, house), actor)
    ),
    "watch a folder of the server": Act(
        "administer",
        lambda c, s, house, actor: watch_folder(c, s, house.project, Path("/etc"), actor=actor),
        of_the_readroom=True,
    ),
    "stop watching a folder of the server": Act(
        "administer",
        lambda c, s, house, actor: (
            watch_folder(c, s, house.project, Path("/etc"), actor=SHELL),
            stop_watching(c, house.project, actor),
        ),
        of_the_readroom=True,
    ),
    "import labels": Act(
        "import", lambda c, s, house, actor: import_labels(c, house.project, "path,label\n0.png,normal\n", actor)
    ),
    "freeze": Act(
        "freeze",
        lambda c, s, house, actor: freeze_snapshot(
            c, Files(s.home), house.project, "second", ratios=(0.5, 0.25, 0.25), actor=actor, progress=Silent()
        ),
    ),
    "bring a snapshot back": Act("freeze", lambda c, s, house, actor: bring_back(c, Files(s.home), house, actor)),
    "train": Act(
        "train",
        lambda c, s, house, actor: ask_training(
            c, house.project, snapshot_of(c, house), named_recipe("cnn"), actor=actor
        ),
    ),
    "repeat a training": Act(
        "train",
        lambda c, s, house, actor: ask_repetition(c, house.project, house.model, actor=actor),
    ),
    "try learning rates": Act(
        "train",
        lambda c, s, house, actor: ask_rate_test(
            c, house.project, snapshot_of(c, house), named_recipe("cnn"), actor=actor
        ),
    ),
    "evaluate on train": Act("train", queue("evaluate", split="train")),
    "evaluate on validation": Act("train", queue("evaluate", split="validation")),
    "evaluate on test": Act("open test results", queue("evaluate", split="test")),
    "evaluate on nothing known": Act("open test results", queue("evaluate", split="all")),
    "explain": Act("open test results", queue("explain")),
    "gather evidence": Act("train", queue("gather_evidence")),
    "predict": Act("open test results", queue("predict")),
    "check drift": Act("open test results", queue("drift")),
    "predict cases": Act("open test results", queue("predict_cases")),
    "freeze when a model says nothing": Act(
        "train", lambda c, s, house, actor: freeze_rule(c, house.model, actor=actor)
    ),
    **{
        f"{which} {kind}": Act(min(actions_of(kind, {})), stop_and_resume(kind, which))
        for kind in KINDS
        for which in ("stop", "resume")
    },
    "prepare a review": Act(
        "open test results",
        lambda c, s, house, actor: add_review(c, house.project, house.model, criteria=[], actor=actor),
    ),
    "change criteria": Act(
        "open test results",
        lambda c, s, house, actor: change_criteria(
            c, add_review(c, house.project, house.model, criteria=[], actor=actor), [], actor=actor
        ),
    ),
    "open the results of a review": Act(
        "open test results", lambda c, s, house, actor: open_results(c, review_of(c, house, 1), actor=actor)
    ),
    "decide a review": Act(
        "sign",
        lambda c, s, house, actor: decide_review(
            c, review_of(c, house, 1), APPROVED, signer=actor.name, password=PASSWORD, actor=actor
        ),
    ),
    "sign a decision": Act(
        "sign",
        lambda c, s, house, actor: sign_decision(
            c,
            review_of(c, house, 2),
            read_hash=get_decision(c, review_of(c, house, 2)).hash,
            signer=actor.name,
            password=PASSWORD,
            meaning="agreed by",
            actor=actor,
        ),
    ),
    "put a model into production": Act("sign", lambda c, s, house, actor: promote_model(c, house.model, actor=actor)),
    "take a model out of production": Act("sign", lambda c, s, house, actor: retire_again(c, house, actor)),
    "retrain with corrected labels": Act("freeze", lambda c, s, house, actor: retrain_it(c, s, house, actor)),
    "write the report of a review": Act(
        "export",
        lambda c, s, house, actor: write_report(c, house.project, review_of(c, house, 2), "html", actor=actor),
    ),
    "tag a failure": Act(
        "open test results",
        lambda c, s, house, actor: tag_failure(c, review_of(c, house, 1), house.case.id, "other", actor=actor),
    ),
    "say something in a review": Act(
        "open test results", lambda c, s, house, actor: add_remark(c, review_of(c, house, 1), "Hm.", actor=actor)
    ),
    "present a step": Act(
        "open test results", lambda c, s, house, actor: present_step(c, review_of(c, house, 1), "card", actor=actor)
    ),
    "roll back": Act("sign", lambda c, s, house, actor: roll_back(c, house.project.id, actor=actor)),
    "change the project": Act(
        "administer",
        lambda c, s, house, actor: change_project(
            c, house.project, description="", intended_use="", digit_advances=True, blind_first=True, actor=actor
        ),
    ),
    "set the reference rule": Act(
        "administer", lambda c, s, house, actor: set_reference_rule(c, house.project, ReferenceRule(), actor)
    ),
    "give a role": Act(
        "administer", lambda c, s, house, actor: set_member(c, house.project.id, STRANGER, "reader", actor=actor)
    ),
    "invite into the project": Act(
        "administer", lambda c, s, house, actor: invite_user(c, "new", project=house.project.id, actor=actor)
    ),
    "invite into nothing": Act(
        "administer", lambda c, s, house, actor: invite_user(c, "new", actor=actor), of_the_readroom=True
    ),
    "give a new password": Act(
        "administer", lambda c, s, house, actor: reset_user(c, STRANGER, actor=actor), of_the_readroom=True
    ),
    "deactivate": Act(
        "administer", lambda c, s, house, actor: set_active(c, STRANGER, False, actor=actor), of_the_readroom=True
    ),
    "make an administrator": Act(
        "administer",
        lambda c, s, house, actor: set_administrator(c, "reader", "admin", actor=actor),
        of_the_readroom=True,
    ),
    "create a project": Act(
        "administer",
        lambda c, s, house, actor: add_project(
            c, name="New", task="classification", schema=make_classification(["a", "b"]), actor=actor
        ),
        of_the_readroom=True,
    ),
}


def review_of(connection: sqlite3.Connection, house: House, number: int) -> Review:
    return get_review(connection, house.project.id, number)


def retrain_it(connection: sqlite3.Connection, settings: Settings, house: House, actor: Actor) -> object:
    """Nothing was corrected yet: whoever is let through comes again after somebody has."""
    asked = {"actor": actor, "progress": Silent()}
    try:
        return ask_retraining(connection, Files(settings.home), house.project, house.model, **asked)  # type: ignore[arg-type]
    except InvalidInput:
        add_label(connection, NewLabel(new_event(), house.case.id, "anna", {"classes": ["pneumonia"]}), SHELL)
        return ask_retraining(connection, Files(settings.home), house.project, house.model, **asked)  # type: ignore[arg-type]


def retire_again(connection: sqlite3.Connection, house: House, actor: Actor) -> object:
    """The house's model was retired before: whoever is let through puts it back into production first."""
    try:
        return retire_model(connection, house.model, actor=actor)
    except InvalidInput:
        promote_model(connection, house.model, actor=SHELL)
        return retire_model(connection, house.model, actor=actor)


def refused_import(connection: sqlite3.Connection, settings: Settings, house: House) -> Job:
    """An import of an upload that is over, and of which a file was refused."""
    paths = [str(settings.home / "uploads" / "x" / "files")]
    job = ask_import(connection, settings, house.project, paths, actor=SHELL)
    request_stop(connection, job.id, SHELL)
    record_import_file(connection, job.id, "a.png", "failed", None, "The file is empty.")
    return get_job(connection, job.id)


def bring_back(connection: sqlite3.Connection, files: Files, house: House, actor: Actor) -> object:
    from core.datasets.exchange import export_snapshot

    text = export_snapshot(connection, files, snapshot_of(connection, house))
    text = text.replace('"name": "first"', '"name": "back"')
    return import_snapshot(connection, files, house.project, text, actor)


@pytest.fixture
def new_home(tmp_path: Path, furnished: tuple[Path, House]) -> Callable[[], Settings]:
    """`new_home()` is another copy of the furnished home."""
    return lambda: Settings(home=Path(shutil.copytree(furnished[0], Path(mkdtemp(dir=tmp_path)) / "home")))


@pytest.mark.parametrize("act", sorted(ACTS))
def test_each_act_is_done_by_those_of_the_table(new_home: Callable[[], Settings], house: House, act: str) -> None:
    for who in PEOPLE:
        if is_allowed(who, act):
            settings = new_home()
            with opened(settings) as connection, told_whom(who):
                ACTS[act].do(connection, settings, house, Actor(who, "screen", "10.0.0.7"))


@pytest.mark.parametrize("act", sorted(ACTS))
def test_each_act_leaves_nothing_where_it_is_refused(
    connection: sqlite3.Connection, settings: Settings, house: House, act: str
) -> None:
    queued = act.startswith(("stop", "resume"))  # these first queue what is then refused
    for who in (*PEOPLE, NOBODY):
        if not is_allowed(who, act):
            before = connection.serialize()
            with told_whom(who), pytest.raises(NotAllowed):
                ACTS[act].do(connection, settings, house, Actor(who, "screen", "10.0.0.7"))
            assert queued or connection.serialize() == before, who


def is_allowed(who: str, act: str) -> bool:
    wanted = ACTS[act]
    return who != NOBODY and may(who, wanted.action, of_the_readroom=wanted.of_the_readroom)


@contextmanager
def told_whom(who: str) -> Iterator[None]:
    """One test asks for everybody in turn: a failure says for whom."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"as {who}")
        raise


def test_a_training_with_a_look_at_test_takes_both(connection: sqlite3.Connection, house: House) -> None:
    assert actions_of("train", {"run": 1}) == {"train"}
    assert actions_of("train", {"run": 1, "evaluate": "test"}) == {"train", "open test results"}
    assert actions_of("something new", {}) == {"administer"}


def test_every_action_of_the_table_is_walked_here() -> None:
    walked = {door.action for door in DOORS.values()} | {act.action for act in ACTS.values()}
    walked |= {action for action, _ in PAGES.values()}
    assert set(ACTIONS) <= walked
