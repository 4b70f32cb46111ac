from dataclasses import replace

import numpy as np
import pytest

from core.demo.phantoms import Phantom, make_phantoms
from core.demo.readers import EXPERIENCED, NODULE, READERS, TRAINEE, read_phantom


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return next(make_phantoms(1, seed=0))


def share_called_nodule(reader, phantom: Phantom, visibility: tuple[float, ...], n: int = 400) -> float:
    seen = replace(phantom, visibility=visibility)
    return float(np.mean([read_phantom(reader, seen, seed=seed).name == NODULE for seed in range(n)]))


def test_the_more_visible_a_nodule_the_more_often_it_is_found(phantom):
    for reader in READERS:
        found = [share_called_nodule(reader, phantom, (seen,)) for seen in (0.0, 10.0, 20.0, 60.0)]
        assert found == sorted(found)
        assert found[-1] > 0.98


def test_the_experienced_reader_finds_more_and_raises_fewer_false_alarms(phantom):
    assert share_called_nodule(EXPERIENCED, phantom, (20.0,)) > share_called_nodule(TRAINEE, phantom, (20.0,)) + 0.1
    assert share_called_nodule(EXPERIENCED, phantom, ()) < share_called_nodule(TRAINEE, phantom, ())


def test_readers_err_independently(phantom):
    """Given the same image, one reader's answer says nothing about the other's."""
    seen = replace(phantom, visibility=(11.0,))
    answers = np.array([[read_phantom(r, seen, seed=seed).name == NODULE for r in READERS] for seed in range(600)])
    assert abs(np.corrcoef(answers.T)[0, 1]) < 0.15


def test_the_same_reader_gives_the_same_answer_to_the_same_image(phantom):
    assert read_phantom(TRAINEE, phantom, seed=3) == read_phantom(TRAINEE, phantom, seed=3)


def test_simulated_readers_are_named_as_simulated():
    assert all("simulated" in reader.name for reader in READERS)
