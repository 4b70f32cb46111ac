"""The table of painted cases, as far as it needs no running page."""

from types import SimpleNamespace
from typing import Any

import pytest

from core.evaluation.records import MeasuredMask
from dashboard import painted_view


def test_a_click_on_a_case_that_was_erased_since_takes_the_worst_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def clicked(at: int) -> Any:
        return lambda *_, **__: {"selection": {"rows": [at]}}

    rows = [
        MeasuredMask(case_id, "a.png", "p", "disc", 0.5, 0.4, 1.0, 0.5, 9, 9, None, None)
        for case_id in (7, 8)
    ]  # fmt: skip
    monkeypatch.setattr(painted_view, "places", SimpleNamespace(asked_number=lambda _: None))
    monkeypatch.setattr(painted_view.st, "dataframe", clicked(1))
    assert painted_view._choose(rows, "mm", "key") is rows[1]
    monkeypatch.setattr(painted_view.st, "dataframe", clicked(2))
    assert painted_view._choose(rows, "mm", "key") is rows[0]
