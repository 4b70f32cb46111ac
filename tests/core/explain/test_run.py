"""Explaining a case: what is stored, what is kept warm, what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.datasets.records import list_snapshot_cases
from core.errors import InvalidInput, NotFound
from core.explain import run as explain_run
from core.explain.run import check_explanations, explain_case, warm_explainer
from core.images.records import get_case
from core.progress import Silent
from core.projects.records import add_project
from core.projects.schema import make_classification
from core.training.records import Model, get_model, set_model_fact


@pytest.fixture
def explain(connection, files, tmp_path: Path):
    kept: dict[str, Any] = {}

    def ask(**arguments: Any) -> dict[str, Any]:
        return explain_case(connection, files, arguments, tmp_path, Silent(), kept)

    return ask


@pytest.fixture
def checked(connection, model) -> Model:
    """A model whose Grad-CAM was checked before, so that a question about it is answered at once."""
    check = {"passed": True, "n": 12, "similarity": 0.1, "sentence": "It hangs on what was learnt (n=12)."}
    choice = {"layer": "stage_2", "drops": {"stage_1": 1.0, "stage_2": 2.0}, "n": 12}
    set_model_fact(connection, model.id, "explanations", {"grad_cam": {"layer_choice": choice, "check": check}})
    return model


def test_a_map_is_stored_with_its_checks(connection, files, planted, model, explain, tmp_path) -> None:
    case_id = next(case for case, mask in planted.masks.items() if mask.any())
    result = explain(model=model.id, case=case_id, **{"class": "pneumonia"}, method="grad_cam", overlay=True)
    stored = np.load(files.path("explanations", result["explanation"]))
    assert stored.dtype == np.float32
    assert stored.max() == pytest.approx(1)
    assert result["class"] == "pneumonia"
    assert sum(result["probabilities"].values()) == pytest.approx(1)
    assert result["check"]["n"] == result["layer_choice"]["n"] > 0
    assert "n=" in result["check"]["sentence"]
    assert result["layer"] == result["layer_choice"]["layer"]
    with Image.open(result["overlay"]) as overlay:
        assert overlay.size == (16, 16)
    assert get_model(connection, None, model.id).facts["explanations"]["grad_cam"]["check"] == result["check"]


def test_without_a_class_the_predicted_one_is_explained(planted, checked, explain) -> None:
    result = explain(model=checked.id, case=next(iter(planted.masks)))
    assert result["class"] == max(result["probabilities"], key=result["probabilities"].__getitem__)
    assert "overlay" not in result


def test_the_same_question_has_the_same_key_and_another_another(planted, checked, explain) -> None:
    first, second = list(planted.masks)[:2]
    keys = [
        explain(model=checked.id, case=case, **{"class": name})["explanation"]
        for case, name in [(first, "normal"), (first, "normal"), (first, "pneumonia"), (second, "normal")]
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_a_warm_model_is_loaded_once_and_the_oldest_leaves(connection, files, planted, model, monkeypatch) -> None:
    loads = []
    monkeypatch.setattr(explain_run, "load_network", lambda *given: loads.append(given) or _load(*given))
    kept: dict[str, Any] = {}
    first = warm_explainer(connection, files, model.id, Silent(), kept)
    assert warm_explainer(connection, files, model.id, Silent(), kept) is first
    assert len(loads) == 2  # one for the checks, which are kept for ever, and one to explain with
    monkeypatch.setattr(explain_run, "MODELS_KEPT", 1)
    kept["explainers"] = {99: first}
    warm_explainer(connection, files, model.id, Silent(), kept)
    assert list(kept["explainers"]) == [model.id]
    assert len(loads) == 3


def _load(*given):
    from core.training.stored import load_network

    return load_network(*given)


def test_checks_are_made_once(connection, files, model, monkeypatch) -> None:
    checked = check_explanations(connection, files, model.id, Silent())
    monkeypatch.setattr(explain_run, "load_network", None)
    assert check_explanations(connection, files, model.id, Silent()) == checked


def test_a_volume_is_refused(model, explain, make_case) -> None:
    case = make_case("scan.nii.gz", pixels=np.zeros((5, 16, 16), np.uint8), frames=5)
    with pytest.raises(InvalidInput, match=r"cannot explain volumes with a network.*Received: 5 frames"):
        explain(model=model.id, case=case.id)


def test_what_does_not_fit_is_refused(connection, actor, files, planted, model, explain, settings) -> None:
    case = list_snapshot_cases(connection, planted.snapshot.id)[0].case_id
    with pytest.raises(InvalidInput, match="Received: tarot"):
        explain(model=model.id, case=case, method="tarot")
    with pytest.raises(InvalidInput, match="Received: measles"):
        explain(model=model.id, case=case, **{"class": "measles"})
    with pytest.raises(NotFound):
        explain(model=99, case=case)
    other = add_project(
        connection, name="Other", task="classification", schema=make_classification(["a", "b"]), actor=actor
    )
    connection.execute("UPDATE cases SET project = ? WHERE id = ?", (other.id, case))
    assert get_case(connection, case).project == other.id
    with pytest.raises(InvalidInput, match="own project"):
        explain(model=model.id, case=case)
