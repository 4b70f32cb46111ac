"""What Keras brings along is hidden while it loads, and only then. That it works: `test_networks.py`, in a child."""

import importlib
import sys

import pytest

from core.training.keras_alone import KerasAlone, hidden, import_keras_alone


def test_what_is_hidden_cannot_be_imported_and_can_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)  # of Python itself, and small
    with hidden(("colorsys",)), pytest.raises(ImportError):
        importlib.import_module("colorsys")
    assert importlib.import_module("colorsys").rgb_to_hsv


def test_what_is_loaded_already_stays() -> None:
    with hidden(("json",)):
        assert importlib.import_module("json") is sys.modules["json"] is not None


def test_it_stands_before_the_other_finders_once_and_finds_keras_alone() -> None:
    for _ in range(2):
        import_keras_alone()
    (finder,) = [one for one in sys.meta_path if isinstance(one, KerasAlone)]
    assert finder.find_spec("colorsys", None) is None
    found = finder.find_spec("keras", None)
    assert found is not None
    assert found.name == "keras"
