"""Whole small files of every kind that an import reads, made here: what the fuzzing mutates. Always the same bytes."""

import gzip
import io
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import imagecodecs
import nibabel
import numpy as np
import pydicom
import tifffile
from PIL import Image, PngImagePlugin
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from bench.ct_corpus import header_bytes

SIDE = 16


@dataclass(frozen=True)
class Seed:
    """A file that is read without complaint; `suffix` is its usual ending."""

    name: str
    suffix: str
    content: bytes


def make_seeds() -> list[Seed]:
    """All kinds and most of their forms."""
    grey = _values()
    return [
        *(Seed(name, ".dcm", content) for name, content in _dicom(grey)),
        *(Seed(name, suffix, content) for name, suffix, content in _nifti()),
        *(Seed(name, ".nrrd", content) for name, content in _nrrd()),
        *(Seed(name, ".png", content) for name, content in _png()),
        *(Seed(name, ".tif", content) for name, content in _tiff()),
        Seed("jpeg", ".jpg", _saved(Image.fromarray((grey % 256).astype(np.uint8)), "JPEG")),
        *(Seed(name, ".zip", content) for name, content in _zips()),
    ]


def _values(*shape: int) -> np.ndarray:
    size = shape or (SIDE, SIDE)
    return np.random.default_rng(0).integers(0, 4096, size).astype("<u2")


def _saved(picture: Image.Image, kind: str, **how: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **how)
    return stream.getvalue()


# ---- DICOM


def _dicom(grey: np.ndarray) -> Iterator[tuple[str, bytes]]:
    plain = header_bytes(SIDE) + grey.astype("<i2").tobytes()
    yield "explicit little", plain
    yield "no preamble", plain[132:]
    for name, syntax in (("implicit", ImplicitVRLittleEndian), ("big endian", ExplicitVRBigEndian),
                         ("deflated", DeflatedExplicitVRLittleEndian)):  # fmt: skip
        dataset = _read(plain)
        if syntax == ExplicitVRBigEndian:
            list(dataset.iterall())  # what was not looked at would be written in the order of bytes it came in
            dataset["PixelData"].value = grey.astype(">i2").tobytes()
        yield name, _written(dataset, syntax)
    eight = (grey >> 4).astype(np.uint8)
    packed = {
        "jpeg 2000": (JPEG2000Lossless, imagecodecs.jpeg2k_encode(grey, level=0, codecformat="j2k"), 16),
        "jpeg-ls": (JPEGLSLossless, imagecodecs.jpegls_encode(grey), 16),
        "jpeg": (JPEGBaseline8Bit, imagecodecs.jpeg8_encode(eight), 8),
        "rle": (RLELossless, None, 16),
    }
    for name, (syntax, frame, bits) in packed.items():
        dataset = _of_bits(_read(plain), bits)
        if frame is None:
            dataset.PixelData = grey.tobytes()
            dataset.compress(RLELossless, generate_instance_uid=False)
            yield name, _written(dataset, syntax)
        else:
            dataset.PixelData = encapsulate([frame])
            dataset["PixelData"].is_undefined_length = True
            yield name, _written(dataset, syntax)
    cine = _of_bits(_read(plain), 8)
    cine.NumberOfFrames, cine.PixelData = 3, np.stack([eight] * 3).tobytes()
    yield "cine", _written(cine)
    colour = _of_bits(_read(plain), 8)
    colour.SamplesPerPixel, colour.PhotometricInterpretation, colour.PlanarConfiguration = 3, "RGB", 0
    colour.PixelData = np.stack([eight] * 3, axis=-1).tobytes()
    yield "colour", _written(colour)
    palette = _of_bits(_read(plain), 8)
    palette.PhotometricInterpretation, palette.PixelData = "PALETTE COLOR", eight.tobytes()
    for colour_of in range(3):  # PS3.3 C.7.6.3.1.5
        palette.add_new(0x00281101 + colour_of, "US", [256, 0, 16])
        palette.add_new(0x00281201 + colour_of, "OW", np.arange(256, dtype="<u2").tobytes())
    yield "palette", _written(palette)
    yield "modality table", _written(_with_table(_of_bits(_read(plain), 8), eight))


def _with_table(dataset: Dataset, values: np.ndarray) -> Dataset:
    table = Dataset()
    table.add_new(0x00283002, "US", [256, 0, 16])
    table.add_new(0x00283006, "OW", np.arange(256, dtype="<u2").tobytes())
    table.ModalityLUTType = "US"
    del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType
    dataset.ModalityLUTSequence, dataset.PixelData = [table], values.tobytes()
    return dataset


def _read(content: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(content))


def _of_bits(dataset: Dataset, bits: int) -> Dataset:
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
    return dataset


def _written(dataset: Dataset, syntax: str = "") -> bytes:
    if syntax:
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        uid = dataset.file_meta.TransferSyntaxUID
        kind = {"implicit_vr": uid.is_implicit_VR, "little_endian": uid.is_little_endian}
        pydicom.dcmwrite(stream, dataset, force_encoding=True, **kind)
    return stream.getvalue()


# ---- NIfTI and NRRD


def _nifti() -> Iterator[tuple[str, str, bytes]]:
    values = _values(8, 7, 6).astype(np.int16)
    affine = np.diag([-0.8, 0.7, 2.0, 1.0])
    plain = nibabel.Nifti1Image(values, affine).to_bytes()
    yield "nifti", ".nii", plain
    yield "nifti packed", ".nii.gz", gzip.compress(plain, mtime=0)
    yield "nifti 2", ".nii", nibabel.Nifti2Image(values.astype(np.float32), affine).to_bytes()
    big = nibabel.Nifti1Image(values, affine, nibabel.Nifti1Header(endianness=">"))
    yield "nifti big endian", ".nii", big.to_bytes()
    yield "nifti of times", ".nii", nibabel.Nifti1Image(_values(6, 5, 4, 3).astype(np.int16), affine).to_bytes()


def _nrrd() -> Iterator[tuple[str, bytes]]:
    values = _values(6, 7, 8).tobytes()
    for encoding, packed in (("raw", values), ("gzip", gzip.compress(values, mtime=0))):
        head = (
            f"NRRD0004\ntype: uint16\ndimension: 3\nspace: left-posterior-superior\nsizes: 8 7 6\n"
            f"space directions: (0.8,0,0) (0,0.7,0) (0,0,2)\nendian: little\nencoding: {encoding}\n"
            f"space origin: (-3,-2,-1)\n\n"
        )
        yield f"nrrd {encoding}", head.encode() + packed


# ---- rasters


def _png() -> Iterator[tuple[str, bytes]]:
    grey = (_values() >> 4).astype(np.uint8)
    said = PngImagePlugin.PngInfo()
    said.add_text("Comment", "a word", zip=True)
    yield "png 8", _saved(Image.fromarray(grey), "PNG", pnginfo=said)
    yield "png 16", imagecodecs.png_encode(_values())
    yield "png colour 16", imagecodecs.png_encode(_values(SIDE, SIDE, 3))
    yield "png colour", _saved(Image.fromarray(np.stack([grey, grey // 2, grey // 3], axis=-1)), "PNG")
    yield "png palette", _saved(Image.fromarray(grey).convert("P"), "PNG")
    yield "png bilevel", _saved(Image.fromarray(grey > 100), "PNG")


def _tiff() -> Iterator[tuple[str, bytes]]:
    grey = _values()
    forms: Mapping[str, tuple[np.ndarray, dict[str, object]]] = {
        "tiff": (grey, {}),
        "tiff lzw": (grey, {"compression": "lzw", "predictor": True}),
        "tiff deflate": (grey, {"compression": "zlib"}),
        "tiff tiles": (_values(64, 48), {"tile": (16, 16)}),
        "tiff pages": (_values(3, SIDE, SIDE), {"photometric": "minisblack", "metadata": None}),
        "tiff imagej": (_values(3, SIDE, SIDE), {"imagej": True}),
        "tiff big": (grey.astype(np.float32), {"bigtiff": True}),
        "tiff big endian": (grey, {"byteorder": ">"}),
    }
    for name, (values, how) in forms.items():
        stream = io.BytesIO()
        tifffile.imwrite(stream, values, **{"datetime": False, "software": False, **how})
        yield name, stream.getvalue()


# ---- archives


def _zips() -> Iterator[tuple[str, bytes]]:
    picture = _saved(Image.fromarray((_values() >> 4).astype(np.uint8)), "PNG")
    slices = header_bytes(SIDE) + _values().astype("<i2").tobytes()
    members = {"a/one.png": picture, "a/two.dcm": slices, "b.png": picture}
    yield "zip stored", _zipped(members, zipfile.ZIP_STORED)
    yield "zip deflated", _zipped(members, zipfile.ZIP_DEFLATED)
    yield "zip bzip2", _zipped(members, zipfile.ZIP_BZIP2)
    yield "zip lzma", _zipped(members, zipfile.ZIP_LZMA)
    escaping = {"../outside.png": picture, "/outside-readroom.png": picture, "C:\\outside.png": picture}
    yield "zip that leads out", _zipped({**escaping, "in.png": picture}, zipfile.ZIP_DEFLATED)
    yield "zip in a zip", _zipped({"inner.zip": _zipped(members, zipfile.ZIP_STORED)}, zipfile.ZIP_DEFLATED)


def _zipped(members: Mapping[str, bytes], kind: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), content, kind)
    return stream.getvalue()
