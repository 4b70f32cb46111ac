"""Several trainings asked for at once."""

import hashlib
import json
import sqlite3

import pytest

from core.jobs.asking_series import ask_series
from core.store.audit import Actor
from core.store.files import Files
from core.training.networks import NETWORKS
from core.training.recipe import change_recipe, named_recipe
from tests.core.conftest import Planted


def test_while_ready_made_weights_are_fetched_others_still_write(
    planted: Planted, connection: sqlite3.Connection, files: Files, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []

    def fetch(url: str, md5: str) -> bytes:
        assert not connection.in_transaction
        fetched.append((url, md5))
        return b"weights"

    monkeypatch.setattr("core.training.sources.fetch_weights", fetch)
    recipe = change_recipe(named_recipe("densenet"), {"weights": "imagenet"})
    for times in (1, 2):
        asked = ask_series(
            connection, files, planted.project, planted.snapshot, lambda _: (recipe, None), folds=[None], seeds=2,
            actor=actor,
        )  # fmt: skip
        assert len(fetched) == 1, f"asked {times} times: what an earlier run has is taken"
        assert {run.recipe.weights for run, _ in asked} == {hashlib.sha256(b"weights").hexdigest()}
        assert [run.recipe.seed for run, _ in asked] == [recipe.seed, recipe.seed + 1]
        assert "the ImageNet weights of densenet" in json.dumps(asked[0][0].told)
    assert fetched == [NETWORKS["densenet"].IMAGENET]  # type: ignore[attr-defined]
