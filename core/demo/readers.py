"""Simulated readers: they answer from what they could see, so their errors are those of seeing.

Signal detection theory with equal variance (Green and Swets, 1966): every nodule gives an inner signal that
grows with its visibility (`core.demo.nodules.visibility`) plus the reader's own unit noise; an image without a
nodule still gives the strongest of its harmless shadows. What exceeds the reader's criterion is called a nodule.
A skilled reader has more signal from the same nodule, not other luck: the noises are independent.
"""

from dataclasses import dataclass

import numpy as np

from core.demo.phantoms import Phantom

NODULE, NO_NODULE = "nodule", "no nodule"
UNSURE_WITHIN = 0.3  # of the criterion, in units of the reader's noise


@dataclass(frozen=True)
class SimulatedReader:
    """`sensitivity` is signal per unit of visibility; `criterion` is how much it takes to say "nodule"."""

    name: str
    sensitivity: float
    criterion: float
    number: int


EXPERIENCED = SimulatedReader("Reader 1 (simulated, experienced)", 0.16, 1.9, 1)
TRAINEE = SimulatedReader("Reader 2 (simulated, in training)", 0.09, 1.3, 2)
READERS = (EXPERIENCED, TRAINEE)


@dataclass(frozen=True)
class SimulatedAnswer:
    """What a simulated reader says of one image."""

    name: str
    unsure: bool


def read_phantom(reader: SimulatedReader, phantom: Phantom, *, seed: int) -> SimulatedAnswer:
    """The answer of a reader on an image; the same seed always gives the same answer."""
    draw = np.random.default_rng((seed, reader.number, phantom.chest.vessel_seed, phantom.image))
    harmless = draw.normal()
    signals = [reader.sensitivity * seen + draw.normal() for seen in phantom.visibility]
    strongest = max([harmless, *signals])
    return SimulatedAnswer(
        NODULE if strongest > reader.criterion else NO_NODULE, abs(strongest - reader.criterion) < UNSURE_WITHIN
    )
