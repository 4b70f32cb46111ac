import numpy as np
import pytest
from PIL import Image

from core.demo.phantom_files import write_masks, write_phantom
from core.demo.phantoms import make_phantoms
from core.images.decoding import decode


@pytest.fixture(scope="module")
def phantom():
    return next(phantom for phantom in make_phantoms(10, seed=4) if phantom.nodules)


def test_a_phantom_is_an_ordinary_dicom_radiograph(phantom, settings, tmp_path):
    image = decode(write_phantom(phantom, tmp_path), settings, b"secret")
    assert np.array_equal(image.pixels, phantom.pixels)
    assert (image.modality, image.view, image.photometric) == ("DX", "PA", "MONOCHROME2")
    assert image.spacing_mm == pytest.approx((phantom.spacing_mm,) * 2, abs=1e-4)
    assert image.spacing_at == "detector"
    assert image.windows[0].width == 4096
    assert image.patient
    assert phantom.chest.sex in image.attributes.values()


def test_the_same_phantom_gives_the_same_bytes(phantom, tmp_path):
    first = write_phantom(phantom, tmp_path / "a").read_bytes()
    assert write_phantom(phantom, tmp_path / "b").read_bytes() == first


def test_masks_are_written_beside_the_image(phantom, tmp_path):
    paths = write_masks(phantom, tmp_path)
    assert len(paths) == len(phantom.masks)
    assert np.array_equal(np.asarray(Image.open(paths[0])) == 255, phantom.masks[0])
