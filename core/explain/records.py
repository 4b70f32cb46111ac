"""The table of evidence: of each model and method the newest, as one JSON document."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.clock import utc_now
from core.explain.methods import DOUBT, METHODS
from core.explain.verdict import Standing, Verdict, judge, judge_doubt, tell_doubt, tell_measures
from core.store.audit import Actor, add_audit
from core.store.database import writing


@dataclass(frozen=True)
class Evidence:
    """How a method stands on a model. `told` is what `core.explain.evidence.gather_evidence` returns."""

    model: int
    method: str
    told: dict[str, Any]
    made_at: str
    made_by: str

    @property
    def standing(self) -> Standing:
        return judge(self.told["n_cases"], self.told["measures"])

    @property
    def check(self) -> dict[str, Any]:
        """As it stands beside a single map: `passed` (None: not checked), `n` and a `sentence`."""
        standing = self.standing
        passed = {"reliable": True, "not reliable": False}.get(standing.verdict)
        return {"passed": passed, "n": standing.n, "sentence": f"{METHODS[self.method].words}: {standing.sentence}"}

    @property
    def why(self) -> tuple[str, ...]:
        """What its verdict stands on: the reasons against it, else the numbers for it."""
        return self.standing.reasons or tell_measures(self.told["measures"])


def keep_evidence(
    connection: sqlite3.Connection, model: int, method: str, told: Mapping[str, Any], actor: Actor
) -> Evidence:
    """Store it in place of what was there of this model and method."""
    with writing(connection):
        keep_told(connection, model, method, told, actor)
        return find_evidence(connection, model)[method]


def keep_told(connection: sqlite3.Connection, model: int, method: str, told: Mapping[str, Any], actor: Actor) -> None:
    """The same of a method that is not among `METHODS`, such as doubt."""
    with writing(connection):
        connection.execute(
            """INSERT INTO explanation_evidence (model, method, told, made_at, made_by) VALUES (?, ?, ?, ?, ?)
               ON CONFLICT (model, method) DO UPDATE
               SET told = excluded.told, made_at = excluded.made_at, made_by = excluded.made_by""",
            (model, method, json.dumps(dict(told), sort_keys=True), utc_now(), actor.name),
        )
        add_audit(connection, actor, "gather evidence", f"model {model}", method=method, n=told["n_cases"])


def find_evidence(connection: sqlite3.Connection, model: int) -> dict[str, Evidence]:
    """By method, in the order in which methods are listed."""
    rows = connection.execute("SELECT * FROM explanation_evidence WHERE model = ?", (model,))
    known = {row["method"]: row for row in rows}
    return {
        name: Evidence(model, name, json.loads(row["told"]), row["made_at"], row["made_by"])
        for name in METHODS
        if (row := known.get(name))
    }


@dataclass(frozen=True)
class DoubtMaps:
    """How the map of doubt about each structure stands on a model that paints. `told` is what
    `core.evaluation.doubt_maps.gather_doubt_maps` keeps."""

    told: dict[str, Any]

    @property
    def judged(self) -> dict[str, dict[str, Any]]:
        """What is kept of each structure, by name, with its `verdict` and `sentence`."""
        return {
            name: one | {"verdict": standing.verdict, "sentence": standing.sentence}
            for name, one in self.told["structures"].items()
            for standing in [self.standing(name)]
        }

    def standing(self, structure: str) -> Standing:
        one = self.told["structures"][structure]
        return judge_doubt(one["n_wrong"], one["measures"])

    def check(self, structure: str) -> dict[str, Any]:
        """As it stands beside a single map (`Evidence.check`)."""
        standing = self.standing(structure)
        passed = {"reliable": True, "not reliable": False}.get(standing.verdict)
        return {"passed": passed, "n": standing.n, "sentence": f"Doubt: {standing.sentence}"}

    def why(self, structure: str) -> tuple[str, ...]:
        """The reasons against it, or the numbers for it and what limits it."""
        standing = self.standing(structure)
        if standing.verdict != "reliable":
            return standing.reasons
        return (*tell_doubt(self.told["structures"][structure]["measures"]), *standing.reasons)


def find_doubt_maps(connection: sqlite3.Connection, model: int) -> DoubtMaps | None:
    """What was gathered of the maps of doubt of a model."""
    row = connection.execute(
        "SELECT told FROM explanation_evidence WHERE model = ? AND method = ?", (model, DOUBT)
    ).fetchone()
    return DoubtMaps(json.loads(row["told"])) if row else None


def sort_methods(found: Mapping[str, Evidence]) -> dict[Verdict, list[str]]:
    """All methods by how they stand on a model, those without evidence among those that are not checked."""
    sorted_methods: dict[Verdict, list[str]] = {"reliable": [], "not reliable": [], "not checked": []}
    for name in METHODS:
        sorted_methods[found[name].standing.verdict if name in found else "not checked"].append(name)
    return sorted_methods
