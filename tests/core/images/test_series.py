"""Which slices become one volume, in which order, and what is said about the odd ones."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.images.series import Group, Instance, group_instances

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
TILTED = (1.0, 0.0, 0.0, 0.0, float(np.cos(np.radians(18))), float(np.sin(np.radians(18))))


def at(z: float, **more: Any) -> Instance:
    given: dict[str, Any] = {
        "path": f"{z}/{sorted(more.items(), key=str)}", "study": "1", "series": "1.1", "sop": f"{z} {more}",
        "rows": 8, "columns": 6, "position": (0.0, 0.0, float(z)), "orientation": AXIAL, "spacing_mm": (0.5, 0.7),
    }  # fmt: skip
    return Instance(**{**given, **more})


def slices(*places: float, **more: Any) -> list[Instance]:
    return [at(z, **more) for z in places]


def only(instances: list[Instance]) -> Group:
    (group,) = group_instances(instances)
    return group


def geometry_of(group: Group) -> Any:
    assert group.geometry is not None
    return group.geometry


@given(st.randoms())
def test_the_order_is_by_position_whatever_names_and_numbers_say(chance: random.Random) -> None:
    some = slices(*range(0, 50, 5))
    some = [at(one.position[2], number=chance.randint(0, 99)) for one in some if one.position]
    chance.shuffle(some)
    group = only(some)
    assert [one.position[2] for one in group.instances if one.position] == list(range(0, 50, 5))
    assert (group.kind, group.name, group.said) == ("volume", "", ())


def test_the_affine_goes_to_lps_millimetres() -> None:
    geometry = geometry_of(only(slices(10, 5, 0)))
    np.testing.assert_allclose(geometry.affine, [[0.7, 0, 0, 0], [0, 0.5, 0, 0], [0, 0, 5, 0], [0, 0, 0, 1]])
    assert (geometry.spacing_mm, geometry.slice_spacing_mm) == ((0.5, 0.7), 5.0)


def test_other_planes_are_ordered_along_their_own_normal() -> None:
    some = [at(0, position=(0.0, float(y), 0.0), orientation=CORONAL, sop=str(y)) for y in (30, 10, 20)]
    group = only(some)
    assert [one.position[1] for one in group.instances if one.position] == [10, 20, 30]
    assert geometry_of(group).slice_spacing_mm == 10


def test_a_tilted_gantry_is_kept_in_the_affine_and_told() -> None:
    group = only(slices(0, 5, 10, 15, orientation=TILTED))
    geometry = geometry_of(group)
    np.testing.assert_allclose(np.array(geometry.affine)[:3, 2], [0, 0, 5], atol=1e-9)
    assert geometry.slice_spacing_mm == pytest.approx(5 * np.cos(np.radians(18)))
    assert "tilted by 18.0 degrees" in group.said[0]


def test_a_missing_slice_is_named_with_its_place() -> None:
    group = only(slices(-112, -107, -102, -92, -87, -82))
    not_across = "The volume is shown slice by slice, and nothing is measured across slices."
    assert group.said == ("Slice 4 is missing between z = -102 and -92 mm.", not_across)
    several = only(slices(0, 1, 2, 3, 4, 7, 8, 9, 11, 12, 13))
    assert several.said == (
        "Slices 6 to 7 are missing between z = 4 and 7 mm; slice 11 is missing between z = 9 and 11 mm.",
        not_across,
    )


def test_where_slices_are_missing_no_spacing_is_claimed() -> None:
    geometry = geometry_of(only(slices(0, 2, 4, 6, 10, 12, 14)))
    assert geometry.slice_spacing_mm is None, "every frame behind the gap would lie 2 mm off"
    np.testing.assert_allclose(
        np.array(geometry.affine)[:3, :3], np.diag([0.7, 0.5, 2]), err_msg="directions are known"
    )


def test_irregular_steps_are_one_volume_in_which_nothing_is_measured_across() -> None:
    group = only(slices(0, 1.1, 5.3, 6.5, 13.9, 15.0, 19.0))
    assert group.kind == "volume"
    assert geometry_of(group).slice_spacing_mm is None
    assert "1.10 to 7.40 mm apart" in group.said[0]


def test_rounded_positions_are_no_oddity() -> None:
    assert only(slices(*(round(i * 0.6333, 2) for i in range(40)))).said == ()


def test_a_series_that_changes_its_step_becomes_several_volumes() -> None:
    places = [*range(0, 30, 3), *range(30, 80, 5), *range(85, 160, 10)]
    groups = group_instances(slices(*places))
    assert [len(group.instances) for group in groups] == [11, 9, 8]
    assert [group.name for group in groups] == ["part 1 of 3", "part 2 of 3", "part 3 of 3"]
    assert "28 slices have 3 spacings (3, 5 and 10 mm): kept as 3 parts." in groups[0].said
    assert all(geometry_of(group).slice_spacing_mm is not None for group in groups)


def test_blocks_far_from_each_other_are_volumes_of_their_own() -> None:
    groups = group_instances(slices(0, 5, 10, 15, 500, 505, 510))
    assert [len(group.instances) for group in groups] == [4, 3]
    assert "2 blocks far from each other" in groups[0].said[1]


@pytest.mark.parametrize(
    ("what", "values"),
    [("echo", ["10 ms", "80 ms"]), ("b-value", ["0", "800"]), ("cardiac phase", ["0 %", "50 %"]), ("kind", ["M", "P"])],
)
def test_stacks_in_one_place_are_told_apart_and_named(what: str, values: list[str]) -> None:
    some = [at(z, keys=((what, value), ("trigger time", f"{z}{value}"))) for value in values for z in range(0, 20, 5)]
    random.Random(0).shuffle(some)
    groups = group_instances(some)
    assert sorted(group.name for group in groups) == sorted(f"{what} {value}" for value in values)
    assert all((len(group.instances), group.split_by) == (4, (what,)) for group in groups)
    assert all("in several parts; this is" in group.said[0] for group in groups)


def test_two_things_may_tell_stacks_apart() -> None:
    some = [
        at(z, keys=(("echo", echo), ("b-value", b))) for echo in ("1", "2") for b in ("0", "800") for z in (0, 5, 10)
    ]
    assert {group.name for group in group_instances(some)} == {
        f"echo {echo}, b-value {b}" for echo in (1, 2) for b in (0, 800)
    }


def test_keys_do_not_split_what_lies_side_by_side() -> None:
    some = [at(z, keys=(("acquisition", str(z)),)) for z in range(0, 50, 5)]
    assert only(some).name == ""


def test_interleaved_acquisitions_of_different_places_are_told_apart() -> None:
    some = [at(z, keys=(("acquisition", "1"),)) for z in (0, 5, 10, 15)]
    some += [at(z, keys=(("acquisition", "2"),)) for z in (2.1, 7.1, 12.1, 17.1)]
    assert {group.name for group in group_instances(some)} == {"acquisition 1", "acquisition 2"}


def test_passes_without_a_name_are_told_apart_by_number() -> None:
    some = [at(z, number=turn * 10 + z) for turn in range(3) for z in range(4)]
    groups = group_instances(some)
    assert [group.name for group in groups] == ["pass 1 of 3", "pass 2 of 3", "pass 3 of 3"]
    assert [one.number for one in groups[1].instances] == [10, 11, 12, 13]


@pytest.mark.parametrize(
    ("what", "values"),
    [("echo", ["10 ms", "80 ms"]), ("b-value", ["0", "800"]), ("flip angle", ["5 degrees", "30 degrees"])],
)
def test_slices_of_two_contrasts_at_alternating_places_are_two_volumes(what: str, values: list[str]) -> None:
    groups = group_instances([at(2 * i, keys=((what, values[i % 2]), ("trigger time", str(i)))) for i in range(12)])
    assert sorted(group.name for group in groups) == sorted(f"{what} {value}" for value in values)
    assert [geometry_of(group).slice_spacing_mm for group in groups] == [4, 4]
    assert all("in several parts; this is" in group.said[0] for group in groups)


def test_adjoining_acquisitions_of_two_energies_are_two_volumes() -> None:
    groups = group_instances([at(z, keys=(("energy", "80 kV" if z < 20 else "140 kV"),)) for z in range(0, 40, 4)])
    assert [(group.name, len(group.instances)) for group in groups] == [("energy 80 kV", 5), ("energy 140 kV", 5)]


@pytest.mark.parametrize("others", ["5 ms", ""])
def test_a_contrast_that_tells_no_volumes_apart_is_said(others: str) -> None:
    keys = {4: (("echo", others),) if others else ()}
    group = only([at(z, keys=keys.get(z, (("echo", "80 ms"),))) for z in range(0, 20, 2)])
    told = others or "unknown"
    assert group.said == (
        f"Its slices differ in echo (80 ms, {told}): what is bright on one need not be so on the next.",
    )
    many = only([at(z, keys=(("inversion time", f"{z} ms"),)) for z in range(0, 20, 2)])
    assert "differ in inversion time (0 ms, 2 ms, 4 ms, 6 ms ...)" in many.said[0]


def test_acquisitions_that_alternate_in_a_volume_are_said() -> None:
    group = only([at(i, keys=(("acquisition", str(1 + i % 2)),)) for i in range(8)])
    assert group.said == (
        "Slices of several values of acquisition (1, 2) alternate in it: they may not fit each other.",
    )
    assert only([at(i, keys=(("acquisition", str(1 + i // 4)),)) for i in range(8)]).said == ()


def test_stored_values_and_rescaled_ones_are_kept_apart() -> None:
    volume, single = group_instances([at(z, rescale=None if z == 4 else True) for z in range(0, 12, 2)])
    assert (volume.name, len(volume.instances)) == ("values rescaled", 5)
    assert "Slice 3 is missing between z = 2 and 6 mm." in volume.said
    assert (single.kind, single.name) == ("images", "values as stored, without a rescale")
    assert single.said
    assert only([at(z, rescale=None if z == 4 else False) for z in range(0, 12, 2)]).said == (), (
        "1 and 0 change nothing"
    )


def test_a_doubled_slice_stays_apart() -> None:
    volume, double = group_instances([*slices(0, 5, 10, 15), at(5, number=9)])
    assert (len(volume.instances), double.kind, len(double.instances)) == (4, "images", 1)
    assert "1 slice lies where another does" in volume.said[0]
    assert "an image of its own" in double.said[-1]


def test_a_copy_of_an_instance_is_known_by_its_uid() -> None:
    some = slices(0, 5, 10)
    copy = at(5, path="again", sop=some[1].sop)
    group = only([*some, copy])
    assert group.copies == ((copy, some[1]),)
    assert group.said == ()


def test_an_instance_uid_in_two_places_is_of_two_slices() -> None:
    some = slices(0, 5, 10, 15)
    group = only([*some[:3], at(15, sop=some[2].sop)])
    assert (len(group.instances), group.copies) == (4, ())
    assert group.said[0].startswith("2 slices share a SOP Instance UID and lie in different places")
    alike = only(slices(0, 5, 10, 15, 20, sop="1"))
    assert (alike.kind, len(alike.instances)) == ("volume", 5)
    assert alike.said[0].startswith("5 slices share a SOP Instance UID")


def test_orientations_sizes_and_localisers_are_kept_apart() -> None:
    some = [
        *slices(0, 5, 10),
        *(at(0, position=(0.0, float(y), 0.0), orientation=CORONAL, sop=f"c{y}") for y in (0, 5)),
        *slices(0, 5, rows=16),
        at(7, is_localiser=True),
    ]
    groups = group_instances(some)
    assert {(group.kind, group.name) for group in groups} == {
        ("localiser", ""),
        ("volume", "size 6 x 8, orientation axial"),
        ("volume", "size 6 x 8, orientation coronal"),
        ("volume", "size 6 x 16"),
    }


def test_what_has_no_place_is_an_image() -> None:
    for wrong in (
        {"position": None},
        {"orientation": (0.0,) * 6},
        {"spacing_mm": None},
        {"frames": 3},
        {"position": (float("nan"), 0.0, 0.0)},
    ):
        assert [group.kind for group in group_instances(slices(0, 5, **wrong))] == ["images", "images"], wrong


def test_why_a_slice_has_no_place_is_said() -> None:
    for wrong, what in (
        ({"position": None}, "tells no Image Position"),
        ({"spacing_mm": None}, "tells no Pixel Spacing"),
        ({"position": None, "orientation": None, "modality": "CT"}, "tells no Image Position and no Image Orientation"),
        ({"orientation": (0.0,) * 6}, "tells an Image Position or Image Orientation that makes no sense"),
    ):
        groups = group_instances(slices(0, 5, **wrong))
        assert [group.said for group in groups] == 2 * [
            (f"Its header {what}: nobody knows where it lies in its series, so it is an image of its own.",)
        ]
    films = slices(0, 5, position=None, orientation=None, modality="DX")
    assert [group.said for group in group_instances(films)] == [(), ()]
    assert only([at(0, position=None)]).said == ()


def test_patients_under_one_series_uid_never_mix() -> None:
    mixed = [at(z, patient="ab"[i % 2]) for i, z in enumerate(range(0, 24, 2))]
    mixed.append(replace(mixed[0], path="again", patient="b"))
    groups = group_instances(mixed)
    assert all(len({one.patient for one in group.instances}) == 1 for group in groups)
    assert [(group.name, len(group.instances)) for group in groups] == [("patient 1 of 2", 6), ("patient 2 of 2", 7)]
    assert all(not group.copies for group in groups)
    assert all("Files of 2 patients go by one series UID" in group.said[0] for group in groups)


def test_series_of_several_patients_never_mix() -> None:
    groups = group_instances([*slices(0, 5), *slices(0, 5, series="2"), *slices(0, 5, study="2")])
    assert [len(group.instances) for group in groups] == [2, 2, 2]


def test_slices_shifted_sideways_are_told() -> None:
    some = [at(z, position=(8.0 if z == 10 else 0.0, 0.0, float(z))) for z in (0, 5, 10, 15, 20)]
    group = only(some)
    assert "shifted against each other" in group.said[0]
    assert geometry_of(group).slice_spacing_mm is None


@given(st.lists(st.floats(-500, 500, allow_nan=False), min_size=1, max_size=30), st.randoms())
def test_every_instance_is_in_one_group(places: list[float], chance: random.Random) -> None:
    some = [
        at(z, path=str(i), sop=str(i), number=i, keys=(("echo", chance.choice("12")),)) for i, z in enumerate(places)
    ]
    grouped = [one.path for group in group_instances(some) for one in group.instances]
    assert sorted(grouped) == sorted(one.path for one in some)
