"""What each value of a recipe means, said once, for the page, the command line and the checks.

Every field has a sentence that explains it and one on over- and underfitting: a model that
overfits knows its training images by heart, one that underfits has not learnt what is there.
"""

import math
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args

from core.errors import InvalidInput
from core.images.render import WINDOWS, Resize
from core.training.networks import NETWORKS

Kind = Literal["integer", "number", "choice", "integers", "numbers", "text"]
LONGEST_TEXT = 1000
Group = Literal["image", "network", "training", "augmentation"]


@dataclass(frozen=True)
class Field:
    """One value of a recipe: its bounds or choices, and its two sentences."""

    key: str
    title: str
    group: Group
    kind: Kind
    explanation: str
    effect: str
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    tasks: tuple[str, ...] = ()  # those that read it; none named: every task

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks that read it; the others ignore it. What the training reads counts for all that do not say
        otherwise."""
        if self.group != "network" or self.key == "network":
            return tuple(name for name, network in NETWORKS.items() if self.key not in getattr(network, "IGNORES", ()))
        return tuple(name for name, network in NETWORKS.items() if self.key in network.FIELDS)

    def is_read(self, network: str, task: str) -> bool:
        """Whether a training of this network for this task depends on it at all."""
        return network in self.networks and (not self.tasks or task in self.tasks)

    @property
    def default(self) -> Any:
        """The value in the default recipe."""
        from core.training.recipe import Recipe  # the recipe is made of these fields

        return Recipe.__dataclass_fields__[self.key].default

    def read(self, value: object) -> Any:
        """A value, or its text, as this field keeps it.

        Raises:
            InvalidInput: it cannot be read as this kind. Bounds are checked by `check`.
        """
        try:
            if self.kind in ("integers", "numbers"):
                parts = value.replace(";", ",").split(",") if isinstance(value, str) else value
                one = _whole if self.kind == "integers" else _real
                return tuple(one(part) for part in parts)  # type: ignore[attr-defined]
            if self.kind == "integer":
                return _whole(value)
            if self.kind == "number":
                return _real(value)
            if self.kind == "text":
                return _text(value)
            return next(choice for choice in self.choices if str(choice) == str(value).strip())
        except (TypeError, ValueError, OverflowError, StopIteration) as error:
            raise InvalidInput(f"{self.key} must be {self.allowed()}. Received: {value!r}") from error

    def check(self, value: Any) -> None:
        """Raise `InvalidInput` unless the value is of this kind and within its bounds."""
        if self.read(value) != value or not all(self._within(part) for part in _parts(value)):
            raise InvalidInput(f"{self.key} must be {self.allowed()}. Received: {value!r}")

    def allowed(self) -> str:
        """What may be given, in words."""
        if self.kind == "choice":
            return "one of " + ", ".join(map(str, self.choices))
        if self.kind == "text":
            return f"none, or a name or path of at most {LONGEST_TEXT} characters on one line"
        noun = {
            "integer": "a whole number",
            "number": "a number",
            "integers": "whole numbers, separated by commas,",
            "numbers": "numbers, separated by commas,",
        }
        return f"{noun[self.kind]} from {self.low:g} to {self.high:g}"

    def _within(self, value: Any) -> bool:
        if self.kind == "choice":
            return value in self.choices
        if self.kind == "text":
            return True  # as it was read
        assert self.low is not None  # every other field has bounds
        assert self.high is not None
        return math.isfinite(value) and self.low <= value <= self.high


def _parts(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _whole(value: Any) -> int:
    number = _real(value)
    if number != int(number):
        raise ValueError("not a whole number")
    return int(number)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or not value.isprintable():
        raise ValueError("not a line of text")
    return value.strip() or "none"


def _real(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError("not a number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def field_of(key: str) -> Field:
    """The field of a key.

    Raises:
        InvalidInput: a recipe has no such key.
    """
    for field in FIELDS:
        if field.key == key:
            return field
    keys = [field.key for field in FIELDS]
    near = get_close_matches(key.lower(), keys, n=1)
    meant = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(keys)}."
    raise InvalidInput(f"A recipe has no {key}{meant} Received: {key}")


FIELDS: tuple[Field, ...] = (
    # ---- the image as the network sees it
    Field(
        "network",
        "Network",
        "network",
        "choice",
        "; ".join(f"{name} is {network.EXPLANATION}" for name, network in NETWORKS.items()) + ".",
        "; ".join(f"{name} {network.EFFECT}" for name, network in NETWORKS.items()) + ".",
        choices=tuple(NETWORKS),
    ),
    Field(
        "input_size",
        "Input size",
        "image",
        "integer",
        "Side of the square image given to the network, in pixels; four times the work for twice the side.",
        "Too small hides fine findings (underfitting); large shows more noise to learn by heart (overfitting).",
        low=16,
        high=1024,
    ),
    Field(
        "channels",
        "Channels",
        "image",
        "choice",
        "1 turns every image to grey, 3 keeps colour.",
        "Colour that says nothing about the answer, such as a stain or a camera, invites overfitting.",
        choices=(1, 3),
    ),
    Field(
        "resize",
        "Fit into the square",
        "image",
        "choice",
        "stretch fills the square and changes proportions; pad keeps proportions and adds black borders; crop keeps "
        "proportions and cuts what lies beyond the middle square; scale brings all images to one pixel size in mm, so "
        "that what is as large looks as large, between borders or cut; an image without pixel spacing is refused then.",
        "Borders reveal the file's proportions, a shortcut the network may learn instead of the finding (overfitting); "
        "what is cut away is never seen (underfitting).",
        choices=get_args(Resize),
    ),
    Field(
        "pixel_mm",
        "Pixel size",
        "image",
        "number",
        "Where images are brought to one scale: the side of a pixel in mm. 0: the median of the training images, or "
        "larger where 95 % of them would not fit whole into the square.",
        "Coarse pixels lose small findings (underfitting); fine ones cut large images at the edges.",
        low=0.0,
        high=100.0,
    ),
    Field(
        "window",
        "Window",
        "image",
        "choice",
        "Which values become black and white: the file's own window, sigmoid or table; 0.1 % to 99.9 % of each image; "
        "the same for all, by mean and standard deviation of the training set, grey images alone; or one in Hounsfield "
        "units, for CT alone.",
        "Percentiles hide how bright an image is, a narrow window what lies outside it: neither can be learnt then.",
        choices=WINDOWS,
    ),
    Field(
        "window_values",
        "Training set's window",
        "image",
        "numbers",
        "Centre and width of the window training set, in the images' own values. 0, 0: measured on the training cases "
        "alone, their mean and six standard deviations.",
        "A narrow one hides what lies outside it (underfitting); measured on few cases it fits these alone.",
        low=-1e9,
        high=1e9,
    ),
    # ---- the network
    Field(
        "stages",
        "Stages",
        "network",
        "integer",
        "How many times the image is convolved and halved.",
        "More stages see larger patterns and fit more; too few underfit.",
        low=1,
        high=6,
    ),
    Field(
        "filters",
        "Filters of each stage",
        "network",
        "integers",
        "How many patterns each stage looks for, one number a stage.",
        "More filters fit more and overfit sooner on few images.",
        low=1,
        high=1024,
    ),
    Field(
        "blocks",
        "Blocks in a stage",
        "network",
        "integer",
        "How many residual blocks, of two convolutions each, follow one another in a stage.",
        "More blocks fit more, take longer, and overfit sooner on few images.",
        low=1,
        high=8,
    ),
    Field(
        "kernel_size",
        "Kernel size",
        "network",
        "integer",
        "Side of the convolution window, in pixels.",
        "Larger windows have more weights and overfit sooner; 1 sees no neighbourhood and underfits.",
        low=1,
        high=11,
    ),
    Field(
        "pooling",
        "Pooling",
        "network",
        "choice",
        "How a stage shrinks its map: keep the strongest answer (max) or their mean (average).",
        "The mean smooths noise away and overfits a little less; the maximum keeps small, sharp findings.",
        choices=("max", "average"),
    ),
    Field(
        "pool_size",
        "Pool size",
        "network",
        "integer",
        "Side of the square that pooling turns into one value.",
        "A larger pool leaves fewer weights (less overfitting) and loses position (underfitting).",
        low=1,
        high=8,
    ),
    Field(
        "activation",
        "Activation",
        "network",
        "choice",
        "The curve through which each answer passes; relu and its kin learn fast, sigmoid and tanh learn slowly.",
        "Sigmoid and tanh often underfit in deep stacks, because their slope vanishes.",
        choices=("relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"),
    ),
    Field(
        "dense_units",
        "Dense units",
        "network",
        "integer",
        "Width of the dense layer between the last pooling and the answer.",
        "It holds nearly all weights of the stack: fewer units overfit less.",
        low=1,
        high=8192,
    ),
    Field(
        "latent",
        "Latent numbers",
        "network",
        "integer",
        "By how many numbers an image is described between being taken in and being drawn again.",
        "Few numbers blur (underfitting); with very many, drawn images no longer look like what was shown.",
        low=2,
        high=512,
    ),
    Field(
        "dropout",
        "Dropout",
        "network",
        "number",
        "Share of the last features that is hidden at random at each training step.",
        "More dropout overfits less; too much underfits.",
        low=0.0,
        high=0.95,
    ),
    Field(
        "l2",
        "L2",
        "network",
        "number",
        "Penalty on the squared size of every convolution and dense weight, added to the loss.",
        "A larger penalty overfits less; too large underfits. With adamw prefer weight decay.",
        low=0.0,
        high=1.0,
    ),
    Field(
        "deep_supervision",
        "Deep supervision",
        "network",
        "integer",
        "At how many lower resolutions the network is asked for the answer too while it learns, each counting half as "
        "much as the one before (nnU-Net); the stored model answers at the finest alone. 0: at none.",
        "Asked low down, a deep network learns sooner where a structure lies (less underfitting in few epochs); on a "
        "shallow one or for small structures, which are hardly there at low resolutions, it changes little.",
        low=0,
        high=6,
        tasks=("segmentation",),
    ),
    Field(
        "weights",
        "Ready-made weights",
        "network",
        "text",
        "What the network begins from: none; imagenet (learnt on photographs, fetched once); or the path of a .keras "
        "or .weights.h5 file of the same network.",
        "Begun from ready-made weights a large network learns from few images; begun from nothing it overfits sooner.",
    ),
    # ---- volumes as the network sees them
    Field(
        "neighbours",
        "Neighbouring slices",
        "network",
        "integer",
        "How many slices on either side of the one that is painted are shown with it, as channels (2.5-D); an image "
        "has none, so it stands for them itself.",
        "Without them a slice is read alone, though its neighbours say what is there (underfitting); many of thick "
        "slices show what has little to do with it (overfitting).",
        low=0,
        high=8,
        tasks=("segmentation",),
    ),
    Field(
        "patch_size",
        "Patch size",
        "network",
        "integers",
        "Depth, rows and columns of the patches that are cut of a volume, in voxels at the spacing below; a step takes "
        "as long as all voxels of its patches together.",
        "Small patches see little of what lies around (underfitting); few large ones differ little (overfitting).",
        low=4,
        high=512,
        tasks=("segmentation",),
    ),
    Field(
        "patches",
        "Patches of a volume",
        "network",
        "integer",
        "How many patches of each volume are seen in an epoch, drawn anew in each.",
        "More make an epoch longer, so that the same number of epochs learns more, and by heart sooner (overfitting).",
        low=1,
        high=256,
        tasks=("segmentation",),
    ),
    Field(
        "painted_share",
        "Patches on structures",
        "network",
        "number",
        "Share of the patches that are centred on a painted voxel, of a structure drawn at random; the others lie "
        "anywhere.",
        "Too few and small structures are hardly seen (underfitting); without the others the network never learns "
        "where nothing is, and paints there.",
        low=0.0,
        high=1.0,
        tasks=("segmentation",),
    ),
    Field(
        "spacing_mm",
        "Spacing",
        "network",
        "numbers",
        "Millimetres between frames, rows and columns to which every volume is resampled. 0, 0, 0: unet3d takes the "
        "median of the training volumes, cnn3d fits each volume whole into its input, whatever its size.",
        "Coarse voxels lose small structures (underfitting); fine ones show less of the surroundings in a patch.",
        low=0.0,
        high=100.0,
    ),
    Field(
        "input_depth",
        "Input depth",
        "network",
        "integer",
        "Frames that a network for whole volumes sees: a volume with more or fewer is resampled to so many.",
        "Too few hide short findings (underfitting); many take longer and show more noise to learn by heart "
        "(overfitting).",
        low=4,
        high=512,
    ),
    # ---- the training
    Field(
        "start_from",
        "Fine-tune from",
        "training",
        "text",
        "none, an earlier model of this project with the same network, or the path of such a .keras file. The answer "
        "is learnt anew where its classes differ; a model that draws is taken further only with its own classes.",
        "What was learnt before helps where there are few images; it hides, and may be forgotten, where they differ.",
    ),
    Field(
        "fine_tune_rate",
        "Fine-tuning rate",
        "training",
        "number",
        "What is left of the learning rate where the network begins from something learnt before, as a share; it "
        "counts only there.",
        "A large share forgets what was learnt before; too small a one hardly learns anything new (underfitting).",
        low=0.0001,
        high=1.0,
    ),
    Field(
        "freeze_epochs",
        "Frozen epochs",
        "training",
        "integer",
        "So many epochs only the last layer learns and everything before it is held; 0 holds nothing. For networks "
        "that begin from something learnt before.",
        "A held body overfits less and keeps what it knows; held for all epochs it may underfit.",
        low=0,
        high=10_000,
        tasks=("classification", "segmentation", "regression"),  # what draws has no last layer
    ),
    Field(
        "batch",
        "Batch",
        "training",
        "integer",
        "Images that are averaged for one step.",
        "Small batches are noisy, which holds overfitting back a little; very large ones take few steps and underfit.",
        low=1,
        high=4096,
    ),
    Field(
        "epochs",
        "Epochs",
        "training",
        "integer",
        "How many times every training image is seen.",
        "Too few underfit; too many overfit, unless the schedule has come to rest or early stopping ends it.",
        low=1,
        high=10_000,
    ),
    Field(
        "loss",
        "Loss",
        "training",
        "choice",
        "What a step makes smaller; default is cross entropy for classes, Dice with cross entropy for structures and "
        "Huber for numbers. For structures: dice_cross_entropy, or cross_entropy alone. For classes: "
        "cross_entropy, or focal, which looks away from cases that are already answered surely. For numbers: huber, "
        "absolute (learns the median), or squared (learns the mean). Networks that draw have their own.",
        "Losses that let large errors count fully (squared, cross_entropy) learn wrong labels by heart sooner; focal "
        "and absolute take longer to learn (underfitting).",
        choices=("default", "cross_entropy", "focal", "dice_cross_entropy", "huber", "absolute", "squared", "own"),
    ),
    Field(
        "optimiser",
        "Optimiser",
        "training",
        "choice",
        "How the weights follow the gradient: adam, adamw and rmsprop adapt each step, sgd (momentum 0.9) does not.",
        "adamw shrinks unused weights and overfits less than adam; sgd with too small a rate underfits.",
        choices=("adam", "adamw", "sgd", "rmsprop"),
    ),
    Field(
        "learning_rate",
        "Learning rate",
        "training",
        "number",
        "Length of a step at the schedule's height.",
        "Too small underfits in the epochs given; too large never settles, and the loss may become NaN.",
        low=1e-7,
        high=10.0,
    ),
    Field(
        "schedule",
        "Schedule",
        "training",
        "choice",
        "How the learning rate moves after its warm-up: constant, cosine (down to nothing), step (a tenth after half "
        "of the epochs, a hundredth after three quarters), or plateau (three tenths whenever the validation loss has "
        "not fallen for some epochs).",
        "A falling rate ends in a calm, averaged model that overfits less to its last batches.",
        choices=("constant", "cosine", "step", "plateau"),
    ),
    Field(
        "warm_up",
        "Warm-up",
        "training",
        "number",
        "Share of all steps in which the learning rate climbs from a twentieth to its height; 0 begins there. The "
        "first steps of a fresh network are the wildest.",
        "Without it a large rate may spoil the first weights for good; a long one leaves little time to learn "
        "(underfitting).",
        low=0.0,
        high=0.5,
    ),
    Field(
        "plateau_patience",
        "Plateau patience",
        "training",
        "integer",
        "Epochs without a lower validation loss after which the schedule plateau lowers the learning rate; the other "
        "schedules ignore it.",
        "Too little patience makes the rate small before anything is learnt (underfitting).",
        low=1,
        high=1000,
    ),
    Field(
        "ema",
        "Weight average",
        "training",
        "number",
        "Decay of a running average of the weights (EMA), which is validated and stored in place of the last ones; "
        "0.99 averages about 100 steps, 0 takes the weights as they are.",
        "An average overfits less to the last batches; one over more steps than the run has lags behind what was "
        "learnt (underfitting).",
        low=0.0,
        high=0.9999,
    ),
    Field(
        "weight_decay",
        "Weight decay",
        "training",
        "number",
        "Share by which adamw shrinks weights at each step, times the learning rate; other optimisers ignore it.",
        "More decay overfits less; too much underfits.",
        low=0.0,
        high=1.0,
    ),
    Field(
        "label_smoothing",
        "Label smoothing",
        "training",
        "number",
        "How far the target is moved from certainty towards an even guess.",
        "A little (0.05 to 0.1) keeps the model from being sure of wrong labels (overfitting).",
        low=0.0,
        high=0.5,
        tasks=("classification", "segmentation"),
    ),
    Field(
        "class_weights",
        "Class weights",
        "training",
        "choice",
        "balanced makes rare classes count as much as frequent ones; sampling shows their images more often instead; "
        "none counts and shows every image the same. Structures and numbers have no such weights.",
        "Without weights a rare class may not be learnt at all (underfitting); with them, and sooner with sampling, "
        "its few images may be learnt by heart.",
        choices=("balanced", "sampling", "none"),
        tasks=("classification",),
    ),
    Field(
        "early_stopping",
        "Early stopping",
        "training",
        "integer",
        "Stop after this many epochs without a lower validation loss; 0 never stops early. The best weights are kept "
        "either way.",
        "Stops when overfitting begins; too little patience stops before the schedule has come to rest (underfitting).",
        low=0,
        high=1000,
    ),
    Field(
        "devices",
        "GPUs",
        "training",
        "integer",
        "So many GPUs share each step, a part of the batch on each; a machine that has fewer gives what it has. A run "
        "waits until so many are free.",
        "Each normalises by its own part of the batch: parts of a few images are noisy and may underfit.",
        low=1,
        high=16,
    ),
    Field(
        "seed",
        "Seed",
        "training",
        "integer",
        "Decides first weights, order, augmentation and dropout: the same seed gives the same model on one machine.",
        "A result that hangs on the seed is not to be trusted: try a few.",
        low=0,
        high=2**31 - 1,
    ),
    # ---- augmentation
    Field(
        "flip",
        "Flip",
        "augmentation",
        "choice",
        "Mirror half of the images. Not left-right for chests: heart, liver and side markers would change sides. It is "
        "the left and right of a frame: in sagittal volumes front and back.",
        "Overfits less where both sides mean the same; teaches falsehoods where they do not.",
        choices=("none", "left-right", "up-down", "both"),
    ),
    Field(
        "rotation",
        "Rotation",
        "augmentation",
        "number",
        "Turn each image by up to this many degrees, either way; stretched images in the median of their proportions.",
        "Overfits less to how patients were positioned; far more than real patients turn underfits.",
        low=0.0,
        high=180.0,
    ),
    Field(
        "zoom",
        "Zoom",
        "augmentation",
        "number",
        "Enlarge or shrink each image by up to this share.",
        "Overfits less to size; too much moves the finding out of the image (underfitting).",
        low=0.0,
        high=0.9,
    ),
    Field(
        "shift",
        "Shift",
        "augmentation",
        "number",
        "Move each image by up to this share of its side.",
        "Overfits less to position; too much moves the finding out of the image (underfitting).",
        low=0.0,
        high=0.5,
    ),
    Field(
        "contrast",
        "Contrast",
        "augmentation",
        "number",
        "Stretch or press each image's grey values around their mean by up to this share.",
        "Overfits less to exposure and scanner; too much hides faint findings (underfitting).",
        low=0.0,
        high=0.9,
    ),
    Field(
        "noise",
        "Noise",
        "augmentation",
        "number",
        "Add Gaussian noise of this standard deviation, as a share of the grey range.",
        "Overfits less to fine grain; too much hides fine findings (underfitting).",
        low=0.0,
        high=0.5,
    ),
    Field(
        "mixup",
        "Mixup",
        "augmentation",
        "number",
        "Blend each training image with another and learn both answers in the same parts; 0.2 blends a little, 1 any "
        "two halves, 0 not at all (Zhang et al. 2018). Training accuracy then looks lower than it is.",
        "Overfits less to single images and wrong labels; too much hides small findings (underfitting).",
        low=0.0,
        high=2.0,
    ),
)
