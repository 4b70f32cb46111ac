"""Decisions: what a review ends in, signed by people who show with their password who they are.

A decision binds, by hash, the model file, the snapshot, the numbers and the criteria it was made on; each signature
binds the decision. The database refuses to change either; `find_faults` shows where somebody went around it.
"""

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal, get_args

from core.clock import utc_now
from core.datasets.records import get_snapshot
from core.errors import Conflict, InvalidInput, NotFound
from core.labels.incoming import is_no_text
from core.people.accounts import User, get_user
from core.people.roles import demand, demand_of
from core.people.sessions import confirm_password
from core.reviews.criteria import criteria_json, outcomes_json
from core.reviews.meetings import Review, get_evaluation_of, get_review
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.training.records import get_model

Verdict = Literal["approve", "approve with conditions", "retrain", "reject"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
APPROVALS: tuple[Verdict, ...] = ("approve", "approve with conditions")
Meaning = Literal["decided by", "agreed by", "witnessed by", "dissented by"]
MEANINGS: tuple[Meaning, ...] = get_args(Meaning)
LONGEST_TEXT = 10_000


@dataclass(frozen=True)
class FollowUp:
    """Something that somebody does until a day (ISO, `2026-12-01`)."""

    what: str
    owner: str
    due: str


@dataclass(frozen=True)
class NewDecision:
    """What is about to be signed."""

    verdict: Verdict
    rationale: str
    conditions: str = ""
    actions: tuple[FollowUp, ...] = ()


@dataclass(frozen=True)
class Bound:
    """What a decision stands on, each by its SHA-256."""

    model_hash: str
    snapshot_hash: str
    metrics_hash: str
    criteria_hash: str


@dataclass(frozen=True)
class Signature:
    """Who signed, when, and as what; `dissent` is what they see otherwise."""

    name: str
    meaning: Meaning
    dissent: str
    at: str
    hash: str


@dataclass(frozen=True)
class Decision:
    """A decision with its signatures, oldest first. Nothing of it ever changes; further people may sign it."""

    id: int
    review: int
    verdict: Verdict
    rationale: str
    conditions: str
    actions: tuple[FollowUp, ...]
    bound: Bound
    hash: str
    made_by: str
    made_at: str
    signatures: tuple[Signature, ...]

    @property
    def is_approval(self) -> bool:
        return self.verdict in APPROVALS


def parse_action(text: str) -> FollowUp:
    """
    Raises:
        InvalidInput: the text does not read "what | owner | day".
    """
    parts = [part.strip() for part in text.split("|")]
    if len(parts) != 3:
        raise InvalidInput(f'An action reads "what | owner | 2026-12-01". Received: {text}')
    return FollowUp(*parts)


def decide_review(
    connection: sqlite3.Connection,
    review: Review,
    new: NewDecision,
    *,
    signer: str,
    password: str,
    dissent: str = "",
    actor: Actor,
) -> Decision:
    """Write down what was decided, with the first signature: both are stored, or neither.

    Raises:
        InvalidInput: something is missing that a decision must say, or the test results were not opened yet.
        Conflict: somebody has decided this review already; read that, and sign it.
        NotAllowed: signer or actor may not sign here, or the password is wrong or was never set.
    """
    user = _signer(connection, review, signer, actor)
    _check(connection, review, new, dissent)
    if found := find_decision(connection, review):  # before somebody's password is asked for nothing
        raise _decided(found)
    confirm_password(connection, user, password, actor=actor)
    with writing(connection):
        if found := find_decision(connection, review):
            raise _decided(found)
        bound, now = bind(connection, review), utc_now()
        actions = [asdict(one) for one in new.actions]
        told = {**asdict(new), "review": review.id, "bound": asdict(bound), "made_by": user.name, "made_at": now}
        digest = _hash(told)
        cursor = connection.execute(
            """INSERT INTO decisions (project, review, verdict, rationale, conditions, actions, bound, hash, made_by,
                                      made_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                review.project,
                review.id,
                new.verdict,
                new.rationale,
                new.conditions,
                json.dumps(actions),
                json.dumps(asdict(bound)),
                digest,
                user.name,
                now,
            ),
        )
        add_audit(connection, actor, "decide", f"review {review.id}", verdict=new.verdict, hash=digest, by=user.name)
        _add_signature(connection, review, int(cursor.lastrowid or 0), digest, user, "decided by", dissent, actor)
        return get_decision(connection, review)


def sign_decision(
    connection: sqlite3.Connection,
    review: Review,
    *,
    read_hash: str,
    signer: str,
    password: str,
    meaning: Meaning,
    dissent: str = "",
    actor: Actor,
) -> Decision:
    """Sign a decision that somebody has written down; `read_hash` is that of the one which was read.

    Raises:
        Conflict: this person has signed it, or it is not the decision that was read.
        InvalidInput: the meaning is unknown, or somebody dissents without saying what from.
        NotAllowed: as `decide_review`.
    """
    user = _signer(connection, review, signer, actor)
    decision = get_decision(connection, review)
    if meaning not in MEANINGS[1:]:
        raise InvalidInput(f"A further signature is one of {', '.join(MEANINGS[1:])}. Received: {meaning}")
    if meaning == "dissented by" and not dissent.strip():
        raise InvalidInput("Say what you see otherwise. Received: a dissent without words")
    _check_text("dissent", dissent)
    if decision.hash != read_hash:
        raise Conflict(f"This is not the decision that you have read; read it again. Received: {read_hash[:12]}")
    _check_once(decision, user)
    confirm_password(connection, user, password, actor=actor)
    with writing(connection):
        _check_once(get_decision(connection, review), user)
        _add_signature(connection, review, decision.id, decision.hash, user, meaning, dissent, actor)
        return get_decision(connection, review)


def bind(connection: sqlite3.Connection, review: Review) -> Bound:
    """The hashes of what a review stands on, as it is now."""
    model = get_model(connection, review.project, review.model)
    result = get_evaluation_of(connection, review).result
    numbers = {  # without the warnings: they quote people, and what names an erased patient is taken out of them
        "result": {key: value for key, value in result.items() if key != "warnings"},
        "outcomes": outcomes_json(review.outcomes or ()),
    }
    return Bound(
        model_hash=model.keras_hash,
        snapshot_hash=get_snapshot(connection, review.project, review.snapshot).hash,
        metrics_hash=_hash(numbers),
        criteria_hash=_hash(criteria_json(review.criteria)),
    )


def find_faults(connection: sqlite3.Connection, review: Review) -> list[str]:
    """What no longer is as it was signed, as sentences; nothing where all of it is."""
    decision = find_decision(connection, review)
    if decision is None:
        return []
    faults = []
    now, then = asdict(bind(connection, review)), asdict(decision.bound)
    words = {"model_hash": "model file", "snapshot_hash": "snapshot", "metrics_hash": "numbers"}
    for key, signed in then.items():
        if now[key] != signed:
            faults.append(f"The {words.get(key, 'criteria')} are not those that were signed: {signed[:12]}.")
    told = {key: value for key, value in asdict(decision).items() if key not in ("id", "hash", "signatures")}
    if _hash(told) != decision.hash:
        faults.append("The text of the decision is not the one that was signed.")
    for one in decision.signatures:
        if _signature_hash(decision.hash, one.name, one.meaning, one.dissent, one.at) != one.hash:
            faults.append(f"The signature of {one.name} is not the one that was given.")
    return faults


def find_decision(connection: sqlite3.Connection, review: Review) -> Decision | None:
    """The decision of a review, or None."""
    row = connection.execute("SELECT * FROM decisions WHERE review = ?", (review.id,)).fetchone()
    if row is None:
        return None
    signatures = connection.execute(
        "SELECT name, meaning, dissent, at, hash FROM signatures WHERE decision = ? ORDER BY id", (row["id"],)
    )
    fields: dict[str, Any] = {key: row[key] for key in row.keys() if key != "project"}  # noqa: SIM118
    fields["actions"] = tuple(FollowUp(**one) for one in json.loads(row["actions"]))
    fields["bound"] = Bound(**json.loads(row["bound"]))
    return Decision(**fields, signatures=tuple(Signature(**dict(one)) for one in signatures))


def get_decision(connection: sqlite3.Connection, review: Review) -> Decision:
    """
    Raises:
        NotFound: nothing was decided yet.
    """
    found = find_decision(connection, review)
    if found is None:
        raise NotFound("decision of review", review.id)
    return found


def find_decision_in_force(connection: sqlite3.Connection, project_id: int, model_id: int) -> Decision | None:
    """The decision about a model that counts: the one that was signed last, in whichever review; it supersedes those
    before."""
    row = connection.execute(
        """SELECT review FROM decisions JOIN reviews ON reviews.id = decisions.review
           WHERE model = ? ORDER BY decisions.id DESC LIMIT 1""",
        (model_id,),
    ).fetchone()
    return find_decision(connection, get_review(connection, project_id, row["review"])) if row else None


def _signer(connection: sqlite3.Connection, review: Review, name: str, actor: Actor) -> User:
    """Whoever signs has the role themselves, whichever door they come by; on a screen nobody signs for another."""
    demand_of(connection, actor, "sign", review.project)
    if actor.via == "screen" and actor.name != name:
        raise InvalidInput(f"On a screen everybody signs for themselves. Received: {name}, signed in as {actor.name}")
    user = get_user(connection, name)
    demand(connection, user, "sign", review.project)
    return user


def _check(connection: sqlite3.Connection, review: Review, new: NewDecision, dissent: str) -> None:
    now = get_review(connection, review.project, review.id)
    if now.outcomes is None:
        raise InvalidInput(f"Open the test results first; nobody can decide without. Received: review {review.id}")
    if new.verdict not in VERDICTS:
        raise InvalidInput(f"A decision is one of {', '.join(VERDICTS)}. Received: {new.verdict}")
    if not new.rationale.strip():
        raise InvalidInput("Say why it was decided so. Received: no rationale")
    if (new.verdict == "approve with conditions") != bool(new.conditions.strip()):
        raise InvalidInput(
            f"Conditions belong to an approval with conditions, and to nothing else. Received: {new.verdict}, "
            f"{'with' if new.conditions.strip() else 'without'} conditions"
        )
    missed = [one.criterion.sentence for one in now.outcomes if one.state != "met"]
    if new.verdict == "approve" and missed:
        raise InvalidInput(
            "A model that misses a criterion can be approved with conditions, which say what makes up for it. "
            f"Received: approve, with {'; '.join(missed)} not met"
        )
    for words, text in (("rationale", new.rationale), ("conditions", new.conditions), ("dissent", dissent)):
        _check_text(words, text)
    for one in new.actions:
        _check_action(one)


def _check_action(one: FollowUp) -> None:
    if not one.what.strip() or not one.owner.strip():
        raise InvalidInput(f"An action says what is done and by whom. Received: {one.what!r}, {one.owner!r}")
    try:
        date.fromisoformat(one.due)
    except ValueError as error:
        raise InvalidInput(f"An action is due on a day such as 2026-12-01. Received: {one.due}") from error


def _check_text(words: str, text: str) -> None:
    if len(text) > LONGEST_TEXT:
        raise InvalidInput(f"The {words} has at most {LONGEST_TEXT} characters. Received: {len(text)}")
    if is_no_text(text):
        raise InvalidInput(f"The {words} is plain text. Received: {text!r}")


def _check_once(decision: Decision, user: User) -> None:
    if any(one.name == user.name for one in decision.signatures):
        raise Conflict(f"You have signed this decision already. Received: {user.name}")


def _decided(found: Decision) -> Conflict:
    return Conflict(
        f"{found.made_by} has decided this review meanwhile: {found.verdict}. Read it and sign that, or prepare a new "
        f"review, which supersedes it. Received: review {found.review}"
    )


def _add_signature(
    connection: sqlite3.Connection,
    review: Review,
    decision_id: int,
    decision_hash: str,
    user: User,
    meaning: Meaning,
    dissent: str,
    actor: Actor,
) -> None:
    now = utc_now()
    digest = _signature_hash(decision_hash, user.name, meaning, dissent.strip(), now)
    connection.execute(
        "INSERT INTO signatures (project, decision, name, meaning, dissent, at, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (review.project, decision_id, user.name, meaning, dissent.strip(), now, digest),
    )
    add_audit(connection, actor, "sign", f"review {review.id}", by=user.name, meaning=meaning, hash=digest)


def _signature_hash(decision_hash: str, name: str, meaning: str, dissent: str, at: str) -> str:
    return _hash([decision_hash, name, meaning, dissent, at])


def _hash(told: Sequence[Any] | dict[str, Any]) -> str:
    text = json.dumps(told, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
