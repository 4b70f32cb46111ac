"""Phantoms as files: DICOM for the images, PNG for the masks of their nodules."""

from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from core.demo.phantoms import Phantom


def phantom_name(phantom: Phantom) -> str:
    """The file's path below the folder: one folder per patient."""
    return f"{phantom.chest.patient}/image-{phantom.image}.dcm"


def write_phantom(phantom: Phantom, folder: Path) -> Path:
    """Write one image as DICOM; the answer is its path."""
    path = folder / phantom_name(phantom)
    path.parent.mkdir(parents=True, exist_ok=True)
    _dataset(phantom).save_as(path, enforce_file_format=True)
    return path


def write_masks(phantom: Phantom, folder: Path) -> list[Path]:
    """Write the mask of each nodule, 255 inside, under the image's name."""
    stem = (folder / phantom_name(phantom)).with_suffix("")
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, mask in enumerate(phantom.masks, start=1):
        paths.append(stem.with_name(f"{stem.name}.mask-{number}.png"))
        Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(paths[-1])
    return paths


def _dataset(phantom: Phantom) -> FileDataset:
    chest, pixels = phantom.chest, phantom.pixels
    # The same phantom always has the same identifiers, so that a second import finds the same files.
    study, series, image = (
        generate_uid(
            entropy_srcs=["readroom phantom", chest.patient, str(chest.vessel_seed), str(phantom.image), level]
        )
        for level in ("study", "series", "image")
    )
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = image
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, image
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "DX", "CHEST", "PA"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.PatientID, dataset.PatientName = chest.patient, f"Phantom^{chest.patient[-4:]}"
    dataset.PatientSex, dataset.PatientAge = chest.sex, f"{chest.age:03d}Y"
    dataset.Manufacturer, dataset.ManufacturerModelName = "Readroom (simulated)", chest.site.scanner
    dataset.InstitutionName = chest.site.name
    dataset.BurnedInAnnotation, dataset.InstanceNumber = "NO", phantom.image
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.ImagerPixelSpacing = [round(phantom.spacing_mm, 5)] * 2
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    dataset.PixelData = pixels.astype("<u2").tobytes()
    return dataset
