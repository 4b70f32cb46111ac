import itertools

import numpy as np
import pytest

from core.demo.anatomy import COLUMNS, ROWS, make_chest
from core.demo.phantoms import make_phantom, make_phantoms
from core.images.render import to_uint8
from core.images.similarity import LEAST_CORRELATION, fingerprint

SEED = 11


@pytest.fixture(scope="module")
def phantoms():
    return list(make_phantoms(12, seed=SEED))


def test_the_same_seed_draws_the_same_pixels_and_another_seed_others(phantoms):
    again, other = next(make_phantoms(1, seed=SEED)), next(make_phantoms(1, seed=SEED + 1))
    assert np.array_equal(again.pixels, phantoms[0].pixels)
    assert not np.array_equal(other.pixels, phantoms[0].pixels)


def test_pixels_are_twelve_bits_of_a_detector(phantoms):
    for phantom in phantoms:
        assert phantom.pixels.shape == (ROWS, COLUMNS)
        assert phantom.pixels.dtype == np.uint16
        assert phantom.pixels.max() <= 4095
        assert 0.5 < phantom.spacing_mm < 1


def test_images_of_one_patient_show_one_patient_in_different_poses(phantoms):
    by_patient = {k: list(g) for k, g in itertools.groupby(phantoms, key=lambda p: p.chest.patient)}
    assert len(by_patient) == 12
    several = [images for images in by_patient.values() if len(images) > 1]
    assert several
    for images in several:
        assert len({(i.chest.sex, i.chest.age, i.chest.site.name) for i in images}) == 1
        assert not np.array_equal(images[0].pixels, images[1].pixels)


def test_every_nodule_has_a_mask_where_it_was_placed(phantoms):
    ill = [phantom for phantom in phantoms if phantom.nodules]
    assert 0 < len(ill) < len(phantoms)
    for phantom in ill:
        assert len(phantom.nodules) == len(phantom.masks) == len(phantom.visibility) <= 3
        for nodule, mask in zip(phantom.nodules, phantom.masks, strict=True):
            assert mask[round(nodule.row), round(nodule.column)]
            assert mask.sum() == pytest.approx(np.pi * nodule.radius_px**2, rel=0.3)


def test_a_nodule_brightens_its_place_and_nothing_far_from_it():
    chest = make_chest(3, SEED)
    with_nodule, without = make_phantom(chest, 1, 1, seed=SEED), make_phantom(chest, 1, 0, seed=SEED)
    mask = with_nodule.masks[0]
    change = with_nodule.pixels.astype(float) - without.pixels
    assert change[mask].mean() > 3 * np.abs(change[~mask].mean())
    assert change[mask].mean() > 40  # of 4,095 grey levels


def test_different_patients_are_no_near_duplicates_of_each_other(phantoms):
    prints = {p.chest.patient: fingerprint(to_uint8(p.pixels, "MONOCHROME2")) for p in phantoms}
    alike = [float(one @ other) for one, other in itertools.combinations(prints.values(), 2)]
    assert np.mean(np.array(alike) >= LEAST_CORRELATION) < 0.02
    assert max(alike) < 0.995


def test_patients_differ_in_sex_age_and_site():
    chests = [make_chest(number, SEED) for number in range(1, 60)]
    assert {chest.sex for chest in chests} == {"F", "M"}
    assert len({chest.site.scanner for chest in chests}) == 3
    assert min(chest.age for chest in chests) < 40 < 75 < max(chest.age for chest in chests)
