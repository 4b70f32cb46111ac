"""Which instances of a DICOM series lie on each other as one volume, in which order, and what is odd about them.

Pure geometry: nothing here reads a file. Slices are ordered by their position along the normal of their plane
(PS3.3 C.7.6.2), never by the names of files or by instance numbers, and distances come from positions, never from
the thickness that a header states.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from core.images.decoded import Affine

Kind = Literal["volume", "images", "localiser"]
Vector = np.ndarray[Any, np.dtype[np.float64]]
Counts = np.ndarray[Any, np.dtype[np.int64]]

SAME_PLACE_MM = 0.01  # two slices nearer to each other than this lie in one place
SAME_DIRECTION = 1e-3  # headers round their direction cosines to a few digits
EVEN = 0.02  # steps may differ by this part of a step, and by no less than what rounded positions allow
ROUNDED_MM = 0.02
TILT_DEGREES = 0.3
MOST_MISSING = 10  # more in one gap, and the parts on either side are volumes of their own
LEAST_OF_A_RUN = 3  # slices that make a volume of their own where a series changes its step
MOST_RUNS = 6
NAMED_AT_MOST = 4
# What changes how bright tissue is, so that slices on which it differs are no one volume (`Instance.keys`).
CONTRASTS = ("echo", "echo number", "b-value", "inversion time", "flip angle", "energy", "kind")
INTERLEAVED = ("acquisition", "time point", "cardiac phase")  # alike in contrast, but of different moments
SLICED = ("CT", "MR", "PT")  # modalities whose images lie somewhere in the patient
MOST_STACKS = 64  # a multi-frame object of more stays one case
RESCALED, AS_STORED = "rescaled", "as stored, without a rescale"
STACK = "stack"  # the attribute of a case that is one of several volumes of an object
NOT_ACROSS = "nothing is measured across slices."
AXES = ("sagittal", "coronal", "axial")


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a stack lies in the patient. `slice_spacing_mm` is None where no affine tells of each frame where it lies:
    steps differ, slices are missing or shifted sideways. The affine then tells directions, and the first frame's place.
    """

    affine: Affine  # (column, row, frame, 1) to patient millimetres, LPS
    spacing_mm: tuple[float, float]
    slice_spacing_mm: float | None  # along the normal of the slices, which a tilted gantry does not step along
    oddities: tuple[str, ...] = ()


class _Said:
    """What tells of oddities beside those of its geometry."""

    __slots__ = ()
    oddities: tuple[str, ...]
    geometry: Geometry | None

    @property
    def said(self) -> tuple[str, ...]:
        """All that is odd about it."""
        return (*self.oddities, *(self.geometry.oddities if self.geometry else ()))


@dataclass(frozen=True, slots=True)
class FrameStack(_Said):
    """Frames of one multi-frame object that become one case. `frames` are as stored, counted from 0, in the order of
    the case. Without `geometry` it is a single frame, or all of them as they are stored."""

    frames: tuple[int, ...]
    name: str = ""  # as `Group.name`
    geometry: Geometry | None = None
    oddities: tuple[str, ...] = ()  # beside those of the geometry
    depths_mm: tuple[float, ...] = ()  # along the normal, from the first


@dataclass(frozen=True, slots=True)
class Instance:
    """What counts of one header. `path` is how the caller names the file; it is given back and never looked into."""

    path: str
    study: str
    series: str
    sop: str
    rows: int
    columns: int
    number: int = 0  # the instance number, which only settles what nothing else tells
    frames: int = 1
    position: tuple[float, float, float] | None = None
    orientation: tuple[float, float, float, float, float, float] | None = None
    spacing_mm: tuple[float, float] | None = None  # between rows, between columns
    photometric: str = "MONOCHROME2"
    is_localiser: bool = False
    keys: tuple[tuple[str, str], ...] = ()  # what may tell stacks in one place apart, as (what, value)
    modality: str = ""  # where it is one of the standard's
    patient: str = ""  # what stands for the patient: compared, and never shown or stored
    rescale: bool | None = None  # whether its rescale changes values; None where it has none
    stacks: tuple[FrameStack, ...] = ()  # of several frames: what becomes of them, where their places are told


@dataclass(frozen=True, slots=True)
class Group(_Said):
    """Instances that become one case, in the order of its frames; of `images` and `localiser` each is its own."""

    kind: Kind
    instances: tuple[Instance, ...]
    name: str = ""  # which of the series' parts this is, such as "echo 2"; empty where there is only one
    split_by: tuple[str, ...] = ()
    geometry: Geometry | None = None
    oddities: tuple[str, ...] = ()  # beside those of the geometry
    copies: tuple[tuple[Instance, Instance], ...] = ()  # files of an instance that is there already, and that one
    stack: FrameStack | None = None  # of a multi-frame object whose places are told
    part: int | None = None  # which of several stacks of the object, counted from 1


@dataclass(frozen=True)
class _Stack:
    """Slices on their way to a group."""

    slices: tuple[Instance, ...]
    parts: tuple[tuple[str, str], ...] = ()  # by what it was told apart, and its own value
    oddities: tuple[str, ...] = ()

    def part(self, what: str, value: str, slices: Sequence[Instance], *oddities: str) -> "_Stack":
        return _Stack(tuple(slices), (*self.parts, (what, value)), (*self.oddities, *oddities))


def group_instances(instances: Iterable[Instance]) -> list[Group]:
    """The volumes and single images of any number of series; every instance is in one group, or a copy in one."""
    by_series: dict[tuple[str, str], list[Instance]] = defaultdict(list)
    for instance in instances:
        by_series[(instance.study, instance.series)].append(instance)
    return [group for series in by_series.values() for group in _groups_of(series)]


def measure(slices: Sequence[Instance]) -> Geometry:
    """The geometry of two or more slices of one plane, in the order of `ordered`."""
    first = slices[0]
    assert first.orientation is not None
    assert first.spacing_mm is not None
    row, column = (np.array(first.orientation[:3]), np.array(first.orientation[3:]))
    places = np.array([one.position for one in slices], np.float64)
    depths = places @ _normal(first)
    gaps = np.diff(depths)
    missing, step = _missing(gaps)
    is_even = step is not None
    at = np.concatenate([[0], np.cumsum(1 + missing)])
    along = (places[-1] - places[0]) / at[-1]
    bent = float(np.abs(places - places[0] - np.outer(at, along)).max())
    wanders = is_even and bent > 2 * max(ROUNDED_MM, EVEN * float(np.linalg.norm(along)))
    oddities = [*_said_of_gaps(places, depths, missing, is_even)]
    if wanders:
        oddities.append(
            f"The slices are shifted against each other sideways; they are shown as they were taken, and {NOT_ACROSS}"
        )
    tilt = _tilt_degrees(along, _normal(first))
    if not wanders and tilt > TILT_DEGREES:
        oddities.append(
            f"The gantry was tilted by {tilt:.1f} degrees: slices are kept as they were taken, "
            f"and other planes show the patient slanted."
        )
    columns = [row * first.spacing_mm[1], column * first.spacing_mm[0], along]
    affine = np.eye(4)
    affine[:3, :3] = np.stack(columns, axis=1)
    affine[:3, 3] = places[0]
    rounded: Affine = tuple(tuple(float(number) for number in line) for line in affine)
    # the array has no frames for missing slices, so that what lies behind one is not where even steps would lead
    on_grid = step is not None and not missing.any() and not wanders
    return Geometry(rounded, first.spacing_mm, float(step) if step is not None and on_grid else None, tuple(oddities))


def ordered(slices: Iterable[Instance]) -> list[Instance]:
    """Along the normal of their plane; in one place by instance number."""
    some = list(slices)
    normal = _normal(some[0])
    return sorted(some, key=lambda one: (round(float(np.dot(one.position or (0, 0, 0), normal)), 4), one.number))


def depths_of(slices: Sequence[Instance]) -> tuple[float, ...]:
    """How far each slice of one plane lies from the first along the normal, in millimetres."""
    depths = np.array([one.position for one in slices], np.float64) @ _normal(slices[0])
    return tuple(round(float(depth), 3) for depth in depths - depths[0])


# ---- one series


def _groups_of(series: list[Instance]) -> list[Group]:
    patients: dict[str, list[Instance]] = defaultdict(list)
    for instance in series:
        patients[instance.patient].append(instance)
    if len(patients) < 2:
        return _groups_of_patient(series)
    said = (
        f"Files of {len(patients)} patients go by one series UID: each patient's are kept apart; "
        f"find out at the source whose they are."
    )
    return [
        replace(
            group,
            name=", ".join(filter(None, (f"patient {at} of {len(patients)}", group.name))),
            split_by=("patient", *group.split_by),
            oddities=(*group.oddities, said),
        )
        for at, its in enumerate(patients.values(), 1)
        for group in _groups_of_patient(its)
    ]


def _groups_of_patient(series: list[Instance]) -> list[Group]:
    # Each copy of an object that falls into several cases does so: a copy of a whole has no single case to go with.
    of_parts = [instance for instance in series if len(instance.stacks) > 1]
    whole, copies = _without_copies([instance for instance in series if len(instance.stacks) < 2])
    singles = sum(instance.frames == 1 for instance in whole)
    groups: list[Group] = []
    stacked = []
    for instance in [*of_parts, *whole]:
        if instance.stacks:
            groups += _of_stacks(instance)
        elif instance.frames != 1 or not _has_place(instance):
            groups.append(Group("images", (instance,), oddities=_why_alone(instance) if singles > 1 else ()))
        elif instance.is_localiser:
            groups.append(Group("localiser", (instance,), oddities=("A localiser, kept apart from the volumes.",)))
        else:
            stacked.append(instance)
    stacks = _by_shape(_Stack(tuple(stacked))) if stacked else []
    stacks = [part for stack in stacks for part in _by_place(stack)]
    stacks = [part for stack in stacks for part in _by_contrast(stack)]
    stacks = [part for stack in stacks for part in _by_step(stack)]
    groups += [_group(stack, len(stacked)) for stack in stacks]
    if not copies:
        return groups
    return [
        replace(group, copies=tuple((copy, kept) for copy, kept in copies if kept in group.instances))
        for group in groups
    ]


def _of_stacks(instance: Instance) -> list[Group]:
    several = len(instance.stacks) > 1
    return [
        Group("images", (instance,), stack.name, (), stack.geometry, stack.oddities, (), stack, at if several else None)
        for at, stack in enumerate(instance.stacks, 1)
    ]


def _group(stack: _Stack, of_series: int) -> Group:
    name = ", ".join(f"{what} {value}".strip() for what, value in stack.parts)
    split_by = tuple(dict.fromkeys(what for what, _ in stack.parts))
    split = (f"The series holds {of_series} slices in several parts; this is {name}.",) if stack.parts else ()
    if len(stack.slices) == 1:
        return Group("images", stack.slices, name, split_by, None, (*split, *stack.oddities))
    slices = tuple(ordered(stack.slices))
    oddities = (*split, *stack.oddities, *_said_of_keys(slices), *_said_of_uids(slices))
    return Group("volume", slices, name, split_by, measure(slices), oddities)


def _without_copies(series: list[Instance]) -> tuple[list[Instance], list[tuple[Instance, Instance]]]:
    """Of files of one instance UID in one place the first, and the others; a UID in two places is of two slices."""
    kept: dict[str, list[Instance]] = defaultdict(list)
    whole, copies = [], []
    for instance in series:
        same = (one for one in kept[instance.sop] if _in_one_place(one, instance)) if instance.sop else iter(())
        first = next(same, None)
        if first is not None:
            copies.append((instance, first))
        else:
            kept[instance.sop].append(instance)
            whole.append(instance)
    return whole, copies


def _in_one_place(one: Instance, other: Instance) -> bool:
    if one.position is None or other.position is None:
        return one.position is other.position
    near = all(abs(a - b) < SAME_PLACE_MM for a, b in zip(one.position, other.position, strict=True))
    return near or one.position == other.position


def _why_alone(instance: Instance) -> tuple[str, ...]:
    """Why a slice lies in no volume; nothing of a picture that lies nowhere, as of a projection."""
    told = {
        "Image Position": instance.position,
        "Image Orientation": instance.orientation,
        "Pixel Spacing": instance.spacing_mm,
    }
    if instance.frames != 1 or not (instance.modality in SLICED or instance.position or instance.orientation):
        return ()
    missing = [word for word, value in told.items() if value is None]
    what = (
        f"tells no {' and no '.join(missing)}"
        if missing
        else "tells an Image Position or Image Orientation that makes no sense"
    )
    return (f"Its header {what}: nobody knows where it lies in its series, so it is an image of its own.",)


def _has_place(instance: Instance) -> bool:
    if instance.position is None or instance.orientation is None or instance.spacing_mm is None:
        return False
    row, column = np.array(instance.orientation[:3]), np.array(instance.orientation[3:])
    numbers = np.array([*instance.position, *instance.orientation])
    return bool(
        np.isfinite(numbers).all()
        and abs(np.linalg.norm(row) - 1) < 0.01
        and abs(np.linalg.norm(column) - 1) < 0.01
        and abs(row @ column) < 0.01
    )


def _by_shape(stack: _Stack) -> list[_Stack]:
    """Slices of one size, kind of pixels, meaning of values, spacing and direction."""
    parts = _split(stack, "size", lambda one: (one.columns, one.rows), lambda key: f"{key[0]} x {key[1]}")
    parts = [
        part for some in parts
        for part in _split(some, "colours", lambda one: one.photometric, str)
    ]  # fmt: skip
    parts = [part for some in parts for part in _by_rescale(some)]
    parts = [
        part for some in parts
        for part in _split(
            some, "spacing", lambda one: tuple(round(mm, 3) for mm in one.spacing_mm or ()),
            lambda key: " x ".join(f"{mm:g}" for mm in key) + " mm",
        )
    ]  # fmt: skip
    return [part for some in parts for part in _by_direction(some)]


def _by_rescale(stack: _Stack) -> list[_Stack]:
    """Values that a rescale made, such as HU, and stored ones are not of one volume."""
    if not {None, True} <= {one.rescale for one in stack.slices}:
        return [stack]
    return _split(stack, "values", lambda one: one.rescale is not None, lambda told: RESCALED if told else AS_STORED)


def _by_direction(stack: _Stack) -> list[_Stack]:
    directions: list[tuple[Vector, list[Instance]]] = []
    for one in stack.slices:
        cosines = np.array(one.orientation)
        for known, slices in directions:
            if np.abs(known - cosines).max() < SAME_DIRECTION:
                slices.append(one)
                break
        else:
            directions.append((cosines, [one]))
    if len(directions) == 1:
        return [stack]
    names = [_plane_name(slices[0]) for _, slices in directions]
    return [
        stack.part("orientation", name if names.count(name) == 1 else f"{name} {names[: at + 1].count(name)}", slices)
        for at, (name, (_, slices)) in enumerate(zip(names, directions, strict=True))
    ]


def _by_place(stack: _Stack) -> list[_Stack]:
    """Where several slices lie in one place, what tells them apart makes stacks of them."""
    doubled = _doubled(stack.slices)
    if not doubled:
        return [stack]
    best: tuple[int, int, list[_Stack]] | None = None
    for parts in _by_keys(stack):
        # What is nearly never the same, such as a time, tells single slices apart and no stacks.
        if len(parts) <= _most_in_one_place(stack.slices) + 2:
            left = sum(_doubled(part.slices) for part in parts)
            if left < doubled and (best is None or (left, len(parts)) < best[:2]):
                best = (left, len(parts), parts)
    if best is not None:
        return [smaller for part in best[2] for smaller in _by_place(part)]
    return _by_pass(stack)


def _by_keys(stack: _Stack) -> Iterator[list[_Stack]]:
    """The stack told apart by each of what its headers say, where that differs."""
    for what in dict.fromkeys(what for one in stack.slices for what, _ in one.keys):
        parts = _split(stack, what, partial(_value_of, what), str)
        if len(parts) > 1:
            yield parts


def _value_of(what: str, one: Instance) -> str:
    return next((value for key, value in one.keys if key == what), "")


def _by_contrast(stack: _Stack) -> list[_Stack]:
    """Even stacks that lie in or beside each other without a place in common, and differ in what is bright."""
    for parts in _by_keys(stack):
        what = parts[0].parts[-1][0]
        told = what in CONTRASTS and all(_value_of(what, one) for one in stack.slices)
        if told and all(len(part.slices) >= LEAST_OF_A_RUN and _is_even(part.slices) for part in parts):
            return [smaller for part in parts for smaller in _by_contrast(part)]
    return [stack]


def _by_pass(stack: _Stack) -> list[_Stack]:
    """Nothing tells them apart: the first of each place, the second of each place, and so on by instance number."""
    passes: list[list[Instance]] = []
    depth, at = None, 0
    normal = _normal(stack.slices[0])
    for one in ordered(stack.slices):
        here = float(np.dot(one.position or (0, 0, 0), normal))
        at = at + 1 if depth is not None and here - depth < SAME_PLACE_MM else 0
        depth = here
        if at == len(passes):
            passes.append([])
        passes[at].append(one)
    if len({len(some) for some in passes}) == 1:
        return [stack.part("pass", f"{at} of {len(passes)}", some) for at, some in enumerate(passes, 1)]
    first, *others = passes
    again = [one for some in others for one in some]
    said = (
        f"{_counted(len(again), 'slice lies', 'slices lie')} where another does and nothing tells them apart; "
        f"the lower instance number is in the volume."
    )
    alone = "It lies where another slice of its series does, so it is an image of its own."
    whole = _Stack(tuple(first), stack.parts, (*stack.oddities, said))
    return [whole, *(stack.part("duplicate", "", [one], alone) for one in again)]


def _by_step(stack: _Stack) -> list[_Stack]:
    """Cut where the step changes for good, or where far more than a few slices are missing."""
    if len(stack.slices) < 2:
        return [stack]
    slices = ordered(stack.slices)
    depths = np.array([one.position for one in slices]) @ _normal(slices[0])
    gaps = np.diff(depths)
    missing, step = _missing(gaps)
    if step is not None:
        cuts = [int(at) + 1 for at in np.flatnonzero(missing > MOST_MISSING)]
    else:
        for parts in _by_keys(stack):
            if all(len(part.slices) >= LEAST_OF_A_RUN and _is_even(part.slices) for part in parts):
                return parts
        cuts = _runs(gaps)
    if not cuts:
        return [stack]
    pieces = [slices[start:end] for start, end in zip([0, *cuts], [*cuts, len(slices)], strict=True)]
    steps = {round(float(np.median(np.diff(depths[start:end]))), 2)
             for start, end in zip([0, *cuts], [*cuts, len(slices)], strict=True) if end - start > 1}  # fmt: skip
    if len(steps) > 1:
        why = f"{len(slices)} slices have {len(steps)} spacings ({_listed(sorted(steps))} mm)"
    else:
        why = f"{len(slices)} slices lie in {len(pieces)} blocks far from each other"
    said = f"{why}: kept as {len(pieces)} parts."
    return [stack.part("part", f"{at} of {len(pieces)}", piece, said) for at, piece in enumerate(pieces, 1)]


def _runs(gaps: Vector) -> list[int]:
    """Where a new run of even steps begins, when the whole series is made of a few of them; else nothing."""
    cuts, start = [], 0
    for at in range(len(gaps)):
        if not _alike(gaps[start : at + 1]):  # this gap leads from one run to the next and belongs to neither
            cuts.append(at + 1)
            start = at + 1
    sizes = np.diff([0, *cuts, len(gaps) + 1])
    return cuts if len(sizes) <= MOST_RUNS and sizes.min() >= LEAST_OF_A_RUN else []


def _split(stack: _Stack, what: str, key_of: Callable[[Instance], Any], name_of: Callable[[Any], str]) -> list[_Stack]:
    found: dict[Hashable, list[Instance]] = defaultdict(list)
    for one in stack.slices:
        found[key_of(one)].append(one)
    if len(found) == 1:
        return [stack]
    return [stack.part(what, name_of(key) or "unknown", slices) for key, slices in found.items()]


# ---- measures


def _normal(one: Instance) -> Vector:
    assert one.orientation is not None
    crossed = np.cross(one.orientation[:3], one.orientation[3:])
    normal: Vector = crossed / np.linalg.norm(crossed)
    return normal


def _alike(gaps: Vector) -> bool:
    return bool(np.ptp(gaps) <= max(EVEN * float(np.median(gaps)), 2 * ROUNDED_MM))


def _missing(gaps: Vector) -> tuple[Counts, float | None]:
    """How many slices are missing in each gap, and the step; no step where the gaps are no multiples of one."""
    none = np.zeros(len(gaps), np.int64)
    if _alike(gaps):
        return none, float(gaps.mean())
    step = float(np.median(gaps))
    if step < SAME_PLACE_MM:
        return none, None
    times = np.rint(gaps / step).astype(np.int64)
    fits = (times >= 1).all() and (np.abs(gaps - times * step) <= max(EVEN * step, 2 * ROUNDED_MM) * times).all()
    # most slices must be there: two slices far apart tell nothing of those between them
    if not fits or np.count_nonzero(times > 1) > len(gaps) / 3:
        return none, None
    return times - 1, float(gaps.sum() / times.sum())


def _is_even(slices: Sequence[Instance]) -> bool:
    some = ordered(slices)
    return _missing(np.diff(np.array([one.position for one in some]) @ _normal(some[0])))[1] is not None


def _most_in_one_place(slices: Sequence[Instance]) -> int:
    normal = _normal(slices[0])
    depths = np.array([one.position for one in slices]) @ normal
    return max(Counter(np.rint(depths / (2 * SAME_PLACE_MM)).tolist()).values())


def _doubled(slices: Sequence[Instance]) -> int:
    normal = _normal(slices[0])
    depths = np.sort(np.array([one.position for one in slices]) @ normal)
    return int(np.count_nonzero(np.diff(depths) < SAME_PLACE_MM))


def _tilt_degrees(along: Vector, normal: Vector) -> float:
    length = float(np.linalg.norm(along))
    if length == 0:
        return 0.0
    return float(np.degrees(np.arccos(np.clip(abs(along @ normal) / length, -1, 1))))


# ---- words


def _said_of_gaps(places: Vector, depths: Vector, missing: Counts, is_even: bool) -> list[str]:
    if not is_even:
        gaps = np.diff(depths)
        return [
            f"The slices lie {gaps.min():.2f} to {gaps.max():.2f} mm apart: the volume is shown slice by slice, "
            f"and {NOT_ACROSS}"
        ]
    holes = [int(at) for at in np.flatnonzero(missing)]
    if not holes:
        return []
    axis = int(np.argmax(np.abs(places[-1] - places[0])))
    number = np.concatenate([[1], 2 + np.arange(len(missing)) + np.cumsum(missing)])
    said = []
    for at in holes[:NAMED_AT_MOST]:
        count = int(missing[at])
        which = f"slice {number[at] + 1} is" if count == 1 else f"slices {number[at] + 1} to {number[at] + count} are"
        between = f"{'xyz'[axis]} = {places[at, axis]:g} and {places[at + 1, axis]:g} mm"
        said.append(f"{which} missing between {between}")
    more = f"; and {len(holes) - NAMED_AT_MOST} further gaps" if len(holes) > NAMED_AT_MOST else ""
    sentence = "; ".join(said) + more + "."
    return [sentence[0].upper() + sentence[1:], f"The volume is shown slice by slice, and {NOT_ACROSS}"]


def _said_of_keys(slices: Sequence[Instance]) -> list[str]:
    """What differs from slice to slice of a volume and ought not to."""
    said = []
    for what in dict.fromkeys(what for one in slices for what, _ in one.keys):
        values = [_value_of(what, one) or "unknown" for one in slices]
        kinds = list(dict.fromkeys(values))
        if len(kinds) == 1:
            continue
        named = f"{', '.join(kinds[:NAMED_AT_MOST])}{' ...' if len(kinds) > NAMED_AT_MOST else ''}"
        if what in CONTRASTS:
            said.append(f"Its slices differ in {what} ({named}): what is bright on one need not be so on the next.")
        elif what in INTERLEAVED and sum(map(str.__ne__, values, values[1:])) > len(kinds) - 1:
            said.append(f"Slices of several values of {what} ({named}) alternate in it: they may not fit each other.")
    return said


def _said_of_uids(slices: Sequence[Instance]) -> list[str]:
    times = Counter(one.sop for one in slices if one.sop)
    count = sum(number for number in times.values() if number > 1)
    if not count:
        return []
    return [
        f"{count} slices share a SOP Instance UID and lie in different places: each is kept, and what refers to them "
        f"by UID cannot tell them apart."
    ]


def _plane_name(one: Instance) -> str:
    normal = np.abs(_normal(one))
    axis = int(np.argmax(normal))
    return AXES[axis] if normal[axis] > 0.999 else f"oblique {AXES[axis]}"


def _listed(numbers: Sequence[float]) -> str:
    words = [f"{number:g}" for number in numbers]
    return ", ".join(words[:-1]) + f" and {words[-1]}"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
