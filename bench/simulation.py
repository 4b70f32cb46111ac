"""Whether intervals hold what they promise, and how often one of two equal models is called better: by simulation,
where the truth is known."""

import numpy as np

from bench.harness import Figure, Figures, Row
from core.measures.classification import measure_classification
from core.measures.paired import SeedNoise, compare_aucs, verdict, with_seed_noise

PAIRS = 4000
MOST_FALSE = 0.05
SHARED = 0.7  # of the noise of two models' scores is of the case: both find the same cases hard
SEED_SPREAD = 0.15  # of the distance between the classes, from training to training
SEEDS_KNOWN = (3, 5)

SAMPLES, RESAMPLES = 800, 500
LEAST, MOST = 0.93, 0.97
PREVALENCE = 0.4
# Patients, images of each, and how far apart the classes are in standard deviations of the scores.
SETTINGS = {
    "n = 60": (60, 1, 1.5),
    "n = 200": (200, 1, 1.5),
    "n = 600": (600, 1, 1.5),
    "n = 200, near 1": (200, 1, 3.6),
    "100 patients with 2 images": (100, 2, 1.5),
    "100 patients with 3 images": (100, 3, 1.5),
    "100 patients with 2 images, near 1": (100, 2, 3.6),
}
METRICS = ("accuracy", "balanced_accuracy", "f1_macro", "auc", "kappa", "mcc", "brier", "log_loss", "calibration_slope")
OF_CLASS = ("recall", "specificity", "precision")


def false_better() -> Figures:
    """Models of equal true performance; patients with one image, and with three."""
    found = []
    for n, images in ((100, 1), (400, 1), (400, 3), (1000, 1)):
        random, called = np.random.default_rng(n + images), 0
        for _ in range(PAIRS):
            patient = np.arange(n) // images
            truth = (random.random(patient.max() + 1) < PREVALENCE).astype(int)[patient]
            hard = random.normal(size=patient.max() + 1)[patient] * np.sqrt(SHARED)
            one, other = (1.5 * truth + hard + np.sqrt(1 - SHARED) * random.normal(size=n) for _ in range(2))
            told = compare_aucs(truth == 1, one, other, patient.astype(str).tolist())
            called += told is not None and verdict(told.low, told.high) == "better"
        what = f"{n} cases, {images} a patient"
        found.append(Figure(f"called better, {what}", called / PAIRS, "", f"at most {MOST_FALSE}",
                            called / PAIRS <= MOST_FALSE, f"{PAIRS} pairs of equal models"))  # fmt: skip
    return found + [_other_seeds(seeds) for seeds in SEEDS_KNOWN] + [_other_seeds(0)]


def _other_seeds(seeds: int) -> Figure:
    """Two trainings of one recipe, which differ in their seed alone; 0: the noise of seeds is not known."""
    random, called, n = np.random.default_rng(seeds), 0, 400
    for _ in range(PAIRS):
        truth = (random.random(n) < PREVALENCE).astype(int)
        hard, alone = random.normal(size=n) * np.sqrt(SHARED), [str(k) for k in range(n)]
        trained = [
            random.normal(1.5, SEED_SPREAD) * truth + hard + np.sqrt(1 - SHARED) * random.normal(size=n)
            for _ in range(max(2, seeds))
        ]
        told = compare_aucs(truth == 1, trained[0], trained[1], alone)
        if told is None:
            continue
        low, high = told.low, told.high
        if seeds:
            areas = [found.first for one in trained if (found := compare_aucs(truth == 1, one, one, alone))]
            noise = SeedNoise((float(np.std(areas, ddof=1)),), (seeds,))
            low, high = with_seed_noise(told.difference, told.error, noise)
        called += verdict(low, high, seeds_unknown=not seeds) == "better"
    share, noise_known = called / PAIRS, f"noise of {seeds} known" if seeds else "noise unknown: neither is better"
    return Figure(f"called better, other seeds, {noise_known}", share, "", f"at most {MOST_FALSE}",
                  share <= MOST_FALSE, f"{PAIRS} pairs, 400 cases")  # fmt: skip


def interval_coverage() -> Figures:
    """How often the 95 % interval of a metric holds its true value, which a million cases tell."""
    figures = []
    for what, (patients, images, apart) in SETTINGS.items():
        random = np.random.default_rng(patients + images - 1)
        true = _measured(random, 1_000_000, 1, apart, resamples=1)
        held: dict[str, list[bool]] = {}
        for _ in range(SAMPLES):
            for name, found in _measured(random, patients, images, apart, resamples=RESAMPLES).items():
                if found[0] is not None and found[1] is not None and found[2] is not None:
                    held.setdefault(name, []).append(bool(found[1] <= (true[name][0] or 0.0) <= found[2]))
        for name, hits in held.items():
            share = sum(hits) / len(hits)
            figures.append(Figure(f"{name}, {what}, true {true[name][0]:.3f}", share, "", f"{LEAST} to {MOST}",
                                  bool(LEAST <= share <= MOST), f"{len(hits)} of {SAMPLES} samples"))  # fmt: skip
    return figures


def _measured(
    random: np.random.Generator, patients: int, images: int, apart: float, *, resamples: int
) -> dict[str, tuple[float | None, float | None, float | None]]:
    """A binary classifier with normal scores whose probabilities are right. The images of a patient are of one class
    and share a part of their noise, so that they err together."""
    patient = np.arange(patients * images) // images
    truth = (random.random(patients) < PREVALENCE).astype(int)[patient]
    noise = random.normal(size=patients * images)
    if images > 1:
        noise = np.sqrt(SHARED) * random.normal(size=patients)[patient] + np.sqrt(1 - SHARED) * noise
    latent = apart * truth + noise
    odds = apart * latent - apart**2 / 2 + np.log(PREVALENCE / (1 - PREVALENCE))
    chance = 1 / (1 + np.exp(-odds))
    told = measure_classification(
        np.eye(2, dtype=int)[truth], np.stack([1 - chance, chance], 1),
        ["one"] * len(truth) if resamples == 1 else patient.astype(str).tolist(), classes=["well", "ill"],
        resamples=resamples,
    )  # fmt: skip
    rows = {name: told.metrics[name] for name in METRICS} | {name: told.per_class["ill"][name] for name in OF_CLASS}
    return {name: (found.value, found.low, found.high) for name, found in rows.items()}


ROWS = [Row("false_better", "full", false_better), Row("interval_coverage", "full", interval_coverage)]
