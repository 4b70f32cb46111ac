"""The recipe `auto`: from what a snapshot and a machine look like to a recipe, with the reasons in sentences.

A pure function of the fingerprint: the same data on the same kind of device give the same recipe. Nothing here has
seen the test split, and everything chosen can be changed afterwards.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from core.datasets.scales import WHOLE_SHARE, Scales
from core.images.render import SCALED
from core.training.auto_volumes import BATCH as VOLUMES_AT_ONCE
from core.training.auto_volumes import RATE as RATE_IN_3D
from core.training.auto_volumes import STEPS_WANTED as STEPS_IN_3D
from core.training.auto_volumes import WHOLE_BATCH, Volumes, choose_patches, choose_whole, why_not_in_3d
from core.training.recipe import RECIPES, Recipe, change_recipe, named_recipe

AUTO = "auto"
WORDS = "chosen for the snapshot"  # on screen, after the name
EXPLANATION = "looks at the snapshot and the machine, chooses the settings, and says why"

LARGEST_SIDE = {"cpu": 128, "gpu": 224}  # beyond it a run on a CPU takes hours
FEW_IMAGES, VERY_FEW_IMAGES = 400, 100
STEPS_WANTED = {"cpu": 2200, "gpu": 6000}  # enough for a cosine to come to rest
EPOCHS, EPOCHS_OF_NARROW = (12, 100), (12, 250)
# Of answers about whole images: how often each is seen, or else how many steps, until what is learnt further is learnt
# by heart. On 654 chest X-rays the validation loss of two folds was lowest after 23 and 31 of 100 epochs.
MOST_PASSES, LEAST_STEPS = 50, 1000
# A network of half the width learns small findings late, and hardly by heart. On 208 drawn chests with nodules of a few
# millimetres the AUC on validation was 0.81 after 1,000 steps at the plain rate with dropout; at twice the rate without
# dropout 0.98 after 2,000. On 200 chest X-rays and on 205 of PneumoniaMNIST nothing was lost by that.
STEPS_OF_NARROW, RATE_OF_NARROW = 2000, 2.0
BATCH_RATE = (32, 0.002)  # the rate that fits a batch; others by the square root of their ratio
SAME_PROPORTIONS = 0.05
SAME_SCALE = {
    True: "structures look as large as they are",
    False: "the number may hang on size",
}  # why images are brought to one scale: where they are painted, and where they are measured
PAINTED = "segmentation"
PAINTED_STEP = 8  # three halvings
DRAWN = "generation"
LARGEST_DRAWN = {"cpu": 32, "gpu": 64}  # the work of drawing grows with the square of the side, many times an image
EPOCHS_DRAWN = {"cpu": 60, "gpu": 200}
NETWORK_DRAWN = {"cpu": "vae", "gpu": "diffusion"}
WHY_DRAWN = {
    "vae": "a CPU learns it soon; diffusion draws sharper and takes many times as long",
    "diffusion": "it draws sharper than vae, and a GPU bears its many steps",
}
LARGEST_PAINTED = {"cpu": 256, "gpu": 512}
ALIKE, RARE = 1.5, 20.0  # times that the most frequent class is more frequent than the rarest
FINE_GRAIN_PX = 64  # smaller images have no grain to add noise to
NOT_MIRRORED = (
    "They are not mirrored: nothing says that left and right mean the same here, as they do not in a chest; where they "
    "do, set flip to left-right."
)


@dataclass(frozen=True)
class Fingerprint:
    """What `auto` sees: the training and the validation cases, never the test, and the device.

    classes: training images of each class, in schema order; empty for a measured number and for structures.
    frames: of all training cases; a volume has many.
    volumes: what they are like: of structures where all cases are volumes, else where any is.
    sides_px: of the images' shorter sides, the smallest, the median and the largest.
    proportions: the least and the greatest of columns / rows.
    scales: how large images are in mm, where any tells it.
    """

    task: str
    classes: tuple[tuple[str, int], ...]
    multi_label: bool
    training: int
    frames: int
    training_patients: int
    validation: int
    sides_px: tuple[int, int, int]
    proportions: tuple[float, float]
    coloured: bool
    device: str
    volumes: Volumes | None = None
    scales: Scales | None = None

    @property
    def in_3d(self) -> bool:
        """Whether structures are learnt in volumes and not slice by slice."""
        return self.task == PAINTED and why_not_in_3d(self.volumes, self.device) is None

    @property
    def whole(self) -> bool:
        """Whether volumes are answered for as wholes."""
        return self.task != PAINTED and self.volumes is not None

    @property
    def to_scale(self) -> bool:
        """Whether images are brought to one scale: all tell theirs, fitted into a square they would differ in it, and
        the answer may hang on size."""
        known = self.scales is not None and self.scales.known == self.scales.cases and self.scales.sides_differ
        return known and not self.classes and self.task != DRAWN

    @property
    def narrow(self) -> bool:
        """Whether images answered for as wholes are so few that they teach a network of half the width only."""
        return self.training < FEW_IMAGES and not (self.task in (PAINTED, DRAWN) or self.whole)

    @property
    def noun(self) -> str:
        """What a case is, in the plural."""
        return "images" if self.volumes is None else "volumes"

    def to_json(self) -> dict[str, Any]:
        lists = {"sides_px": list(self.sides_px), "proportions": list(self.proportions)}
        volumes = self.volumes.to_json() if self.volumes else None
        scales = self.scales.to_json() if self.scales else None
        return {**asdict(self), "classes": dict(self.classes), **lists, "volumes": volumes, "scales": scales}


Chosen = tuple[dict[str, Any], str]  # values of the recipe, and why


def choose_recipe(seen: Fingerprint) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe for what was seen, and a sentence for each choice."""
    changes: dict[str, Any] = {}
    sentences = []
    steps: tuple[Callable[[Fingerprint, dict[str, Any]], Chosen], ...]
    steps = (_see, _choose_input, _choose_network, _choose_length, _choose_schedule, _balance, _augment)
    for step in steps:
        values, sentence = step(seen, changes)
        changes |= values
        sentences.append(sentence)
    return change_recipe(named_recipe(changes["network"]), changes), tuple(sentences)


def _see(seen: Fingerprint, _: dict[str, Any]) -> Chosen:
    what = (
        f"{seen.training:,} training {seen.noun} of {seen.training_patients:,} patients, "
        f"{seen.validation:,} to validate"
    )
    if (seen.in_3d or seen.whole) and seen.volumes:
        what += f"; {seen.volumes.told()}"
    elif seen.frames > seen.training:
        what += f"; {seen.frames:,} slices, which are learnt one by one"
    if seen.scales and not (seen.in_3d or seen.whole):
        what += f"; {seen.scales.told()}"
    if not seen.classes:
        return {}, f"Seen: {what}."
    counts = ", ".join(f"{name} {count:,}" for name, count in seen.classes)
    return {}, f"Seen: {what}; {counts}."


def _choose_input(seen: Fingerprint, _: dict[str, Any]) -> Chosen:
    if seen.in_3d and seen.volumes:
        values, sentence = choose_patches(seen.volumes, seen.device)
        return {**values, "channels": 3 if seen.coloured else 1}, sentence
    if seen.whole and seen.volumes:
        values, sentence = choose_whole(seen.volumes, seen.device, keeps_size=not seen.classes)
        return {**values, "channels": 3 if seen.coloured else 1}, sentence
    if seen.task == DRAWN:
        return _choose_input_to_draw(seen)
    if seen.scales and seen.to_scale:
        return _choose_input_to_scale(seen, seen.scales)
    if seen.task == PAINTED:
        return _choose_input_to_paint(seen)
    smallest, median, largest = seen.sides_px
    most = LARGEST_SIDE[seen.device]
    size = max(16, min(median, most))
    low, high = seen.proportions
    square = max(abs(low - 1), abs(high - 1)) <= SAME_PROPORTIONS
    values = {"input_size": size, "channels": 3 if seen.coloured else 1, "resize": "stretch"}
    colour = "colour is kept" if seen.coloured else "grey values only"
    if square and smallest == largest == size:
        return values, f"The images are {size} pixels square and go in as they are; {colour}."
    why = f"the images' shorter side is {median:,} pixels (median)"
    if median > most:
        why += f" and more than {most} would take very long on a {seen.device.upper()}"
    if square:
        fit = "they are about square, so they are scaled"
    elif high / low - 1 <= SAME_PROPORTIONS:
        values["resize"] = "pad"
        fit = "all have the same proportions, which are kept with borders"
    else:
        fit = "their proportions differ, and borders would let the network read them as a hint, so they are stretched"
    if seen.scales and seen.scales.sides_differ:
        sides = seen.scales.sides_mm
        fit += f", {sides[0]:g} mm as {sides[2]:g} mm (where the answer hangs on size, set resize to {SCALED})"
    return values, f"Input of {size} pixels: {why}; {fit}; {colour}."


def _choose_input_to_scale(seen: Fingerprint, scales: Scales) -> Chosen:
    """All at one pixel size: the images' own where the device bears so many pixels, and larger ones where it does
    not."""
    painted = seen.task == PAINTED
    most = (LARGEST_PAINTED if painted else LARGEST_SIDE)[seen.device]
    wanted = math.ceil(round(scales.whole_mm / scales.pixels_mm[1] / PAINTED_STEP, 3)) * PAINTED_STEP
    size = max(2 * PAINTED_STEP, min(wanted, most))
    pixel = scales.pixel_for(size)
    values = {"input_size": size, "channels": 3 if seen.coloured else 1, "resize": SCALED, "pixel_mm": pixel}
    least, _, greatest = scales.sides_mm
    return values, (
        f"Input of {size} pixels of {pixel:g} mm: the images' longer sides are {least:g} to {greatest:g} mm, so all "
        f"are brought to one scale, because {SAME_SCALE[painted]}; {WHOLE_SHARE:.0%} of them have their place whole, "
        f"between borders. An image without pixel spacing will be refused."
    )


def _choose_input_to_paint(seen: Fingerprint) -> Chosen:
    """The whole of the longest image has its place, and every halving of the way down meets a whole number."""
    _, median, _ = seen.sides_px
    longest = median * max(seen.proportions[1], 1 / seen.proportions[0])
    size = max(2 * PAINTED_STEP, min(round(longest / PAINTED_STEP) * PAINTED_STEP, LARGEST_PAINTED[seen.device]))
    values = {"input_size": size, "channels": 3 if seen.coloured else 1, "resize": "pad"}
    return values, (
        f"Input of {size} pixels, proportions kept with borders, so that structures keep their shape: the images' "
        f"shorter side is {median:,} pixels (median)."
    )


def _choose_input_to_draw(seen: Fingerprint) -> Chosen:
    """A power of two, which halves and doubles again, that holds the images or the most that the device draws soon."""
    _, median, _ = seen.sides_px
    size = min(2 ** math.ceil(math.log2(max(16, median))), LARGEST_DRAWN[seen.device])
    values = {"input_size": size, "channels": 3 if seen.coloured else 1, "resize": "pad"}
    return values, (
        f"Images of {size} pixels are drawn, proportions kept with borders: the images' shorter side is {median:,} "
        f"pixels (median), and a {seen.device.upper()} learns to draw no more than {LARGEST_DRAWN[seen.device]} soon."
    )


def _choose_network(seen: Fingerprint, so_far: dict[str, Any]) -> Chosen:
    if seen.in_3d:
        words = "A residual U-Net in 3-D: what lies above and below a voxel says as much of it as what lies beside it."
        return {"network": "unet3d", "stages": 4, "filters": (8, 16, 32, 64), "dropout": 0.1}, words
    if seen.task == PAINTED:
        words = "A residual U-Net, which answers for every pixel and overfits later than a stack without bridges"
        words += f"; slice by slice, because {why_not_in_3d(seen.volumes, seen.device)}." if seen.volumes else "."
        return {"network": "unet2d", "stages": 4, "filters": (16, 32, 64, 128), "dropout": 0.1}, words
    if seen.whole:
        words = "A small residual network in 3-D, which sees all frames of a case together and answers once."
        return {"network": "cnn3d", "stages": 4, "filters": (8, 16, 32, 64), "dropout": 0.3}, words
    if seen.task == DRAWN:
        network = NETWORK_DRAWN[seen.device]
        return {"network": network, "stages": 3}, f"{network}, {RECIPES[network]}: {WHY_DRAWN[network]}."
    filters = [32, 64, 128, 256] if so_far["input_size"] >= 160 else [32, 64, 128]
    words, dropout = "A small residual network", 0.3
    if seen.narrow:
        filters, dropout = [count // 2 for count in filters], 0.0
        words = (
            f"A residual network of half the usual width without dropout, because {seen.training:,} {seen.noun} teach "
            f"few weights"
        )
    values = {"network": "resnet", "stages": len(filters), "filters": tuple(filters), "dropout": dropout}
    return values, f"{words}: it averages its map before the answer and overfits later than the classic stack."


def _examples(seen: Fingerprint, so_far: dict[str, Any]) -> int:
    """What an epoch shows: images, slices, or patches."""
    if seen.whole:
        return seen.training
    return seen.training * int(so_far["patches"]) if seen.in_3d else seen.frames


def _choose_length(seen: Fingerprint, so_far: dict[str, Any]) -> Chosen:
    batch = 8 if seen.frames < VERY_FEW_IMAGES else 16 if seen.frames < FEW_IMAGES else 32
    if seen.task == PAINTED:
        batch = VOLUMES_AT_ONCE if seen.in_3d else 8  # each image brings thousands of answers
    if seen.whole:
        batch = WHOLE_BATCH
    steps = max(1, _examples(seen, so_far) // batch)
    if seen.task == DRAWN:
        epochs = min(max(math.ceil(STEPS_WANTED[seen.device] / steps), EPOCHS[0]), EPOCHS_DRAWN[seen.device])
        return {"batch": batch, "epochs": epochs, "early_stopping": 0}, (
            f"{epochs} epochs in batches of {batch}; what is drawn goes on getting sharper for long, so nothing is "
            f"stopped early, and more epochs draw better."
        )
    least, most = EPOCHS_OF_NARROW if seen.narrow else EPOCHS
    wanted = (STEPS_IN_3D if seen.in_3d or seen.whole else STEPS_WANTED)[seen.device]
    epochs = min(max(math.ceil(wanted / steps), least), most)
    enough = max(MOST_PASSES, math.ceil((STEPS_OF_NARROW if seen.narrow else LEAST_STEPS) / steps))
    why = ""
    if epochs > enough and not (seen.task == PAINTED or seen.whole):
        epochs, why = enough, f"; {seen.noun} that are seen more often are learnt by heart"
    return {"batch": batch, "epochs": epochs, "early_stopping": 0}, (
        f"{epochs} epochs in batches of {batch}: about {epochs * steps:,} steps, in which the schedule comes to rest, "
        f"so nothing is stopped early{why}."
    )


def _choose_schedule(seen: Fingerprint, so_far: dict[str, Any]) -> Chosen:
    batch, rate = BATCH_RATE
    if seen.narrow:
        rate *= RATE_OF_NARROW
    steps = max(1, _examples(seen, so_far) // so_far["batch"])
    average = round(1 - 1 / min(max(steps, 10), 500), 3)
    values = {
        "optimiser": "adamw",
        "learning_rate": RATE_IN_3D if seen.in_3d else float(f"{rate * math.sqrt(so_far['batch'] / batch):.2g}"),
        "weight_decay": 0.01,
        "schedule": "cosine",
        "warm_up": 0.05,
        "ema": average,
    }
    return values, (
        f"AdamW at {values['learning_rate']:g} with a short warm-up and a cosine; what is kept is the weights' average "
        f"over about {round(1 / (1 - average))} steps, which hangs less on the last batches."
    )


def _balance(seen: Fingerprint, _: dict[str, Any]) -> Chosen:
    counts = [count for _, count in seen.classes if count]
    if seen.task == DRAWN:
        return {"class_weights": "none"}, "Each image is shown alike: a class is asked for by name, however rare."
    if seen.task == PAINTED:
        return {"class_weights": "none"}, "Overlap (Dice) counts small structures as much as large ones."
    if not counts:
        return {"class_weights": "none"}, "There are no classes to balance."
    if seen.multi_label:
        return {"class_weights": "balanced"}, "Each class counts as much by its presence as by its absence."
    ratio = max(counts) / min(counts)
    if ratio <= ALIKE:
        return {"class_weights": "none"}, (
            f"The classes are about as frequent as one another: each {seen.noun[:-1]} counts alike."
        )
    said = f"The most frequent class is {ratio:.1f} times as frequent as the rarest"
    if ratio <= RARE:
        return {"class_weights": "balanced"}, f"{said}: rare classes count for more, so that each counts alike."
    return {"class_weights": "sampling"}, (
        f"{said}: rare ones are shown more often, because with weights single {seen.noun} would steer whole steps."
    )


def _augment(seen: Fingerprint, so_far: dict[str, Any]) -> Chosen:
    if seen.task == DRAWN:
        return dict.fromkeys(("rotation", "zoom", "shift", "contrast", "noise", "mixup"), 0.0), (
            "Images are shown as they are: turned or stretched ones would be drawn so."
        )
    values = {
        "flip": "none",
        "rotation": 10.0 if seen.in_3d else 7.0,
        "zoom": 0.1,
        "shift": 0.05,
        "contrast": 0.2,
        "noise": 0.01 if seen.in_3d or so_far["input_size"] >= FINE_GRAIN_PX else 0.0,
        "mixup": 0.0,
    }
    text = f"{'Volumes' if seen.in_3d or seen.whole else 'Images'} are turned, moved and changed in contrast a little"
    if seen.task == PAINTED:
        text += ", and zoomed, their masks with them"
    elif seen.classes:
        text += ", and zoomed"
    else:
        values["zoom"] = 0.0
        text += "; not zoomed, because the number may hang on size"
    return values, f"{text}. {NOT_MIRRORED}"
