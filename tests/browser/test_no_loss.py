"""Nothing that a reader said is lost or doubled, whatever dies; `python -m bench no_loss` is the long form.

A cut network and an expired sign-in have tests of their own in test_viewer_label.py and test_signed_out.py.
"""

import pytest
from playwright.sync_api import Browser

from bench.no_loss import Verdict, reading_under_fire, survive


def test_three_kills_lose_and_double_nothing(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    with reading_under_fire(tmp_path_factory.mktemp("fire"), browser) as reader:
        verdict = survive(reader, kills=3, spells=0)
        assert reader.server.kills == 3
    assert verdict.made >= 8
    assert verdict == Verdict(
        made=verdict.made, acknowledged=verdict.made, missing=0, broken=0, doubled=0, altered=(), refused=0
    )
