"""Synthetic DICOM films for tests."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from calcidetect.types import Grid, Radiograph, Source


def limb(shape=(96, 64), *, bits=12):
    """A bright bone in grey soft tissue with dark air beside it, uint16 (rows, cols) of `bits` bits."""
    rows, cols = np.indices(shape) / np.reshape(shape, (2, 1, 1))
    soft = np.sqrt(np.clip(1 - ((cols - 0.5) / 0.4) ** 2, 0, None))
    bone = np.sqrt(np.clip(1 - ((cols - 0.5) / 0.12) ** 2, 0, None))
    texture = 0.01 * np.random.default_rng(0).standard_normal(shape)
    film = 0.08 + 0.3 * soft + 0.5 * bone + 0.05 * rows + texture
    return np.round(np.clip(film, 0, 1) * (2**bits - 1)).astype(np.uint16)


def make_dataset(pixels, *, syntax=ExplicitVRLittleEndian, frame=None, **tags):
    """Build a CR film of `pixels`; `frame` is its compressed stream, `tags` are set last, None deletes."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = ComputedRadiographyImageStorage, "1.2.3.4", "CR"
    dataset.PatientName, dataset.PatientID = "Secret^Name", "SECRET"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 2 else pixels.shape[2]
    dataset.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored = dataset.BitsAllocated
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.HighBit = dataset.BitsStored - 1
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    dataset.PixelData = encapsulate([frame]) if frame else pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    dataset["PixelData"].VR = "OB" if frame else "OW"
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    if "HighBit" in dataset and "BitsStored" in dataset:
        dataset.HighBit = dataset.BitsStored - 1
    return dataset


def dicom_bytes(pixels, *, preamble=True, **options):
    """Bytes of a DICOM file of `pixels`; options as for `make_dataset`."""
    dataset = make_dataset(pixels, **options)
    buffer = io.BytesIO()
    syntax = dataset.file_meta.TransferSyntaxUID
    if preamble:
        dataset.save_as(buffer, enforce_file_format=True)
    else:
        del dataset.file_meta
        dataset.save_as(
            buffer, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True, enforce_file_format=False
        )
    return buffer.getvalue()


def write_dicom(path, pixels, **options):
    """Write a DICOM file of `pixels` and return its path; options as for `dicom_bytes`."""
    path = Path(path)
    path.write_bytes(dicom_bytes(pixels, **options))
    return path


def radiograph_of(pixels, spacing_mm):
    """A film in memory, as if read from a file that states its spacing or None."""
    shape = pixels.shape
    return Radiograph(
        pixels=pixels.astype(np.float32),
        valid=np.ones(shape, bool),
        grid=Grid(
            shape=shape,
            source_shape=shape,
            spacing_mm=spacing_mm,
            spacing_source="given" if spacing_mm else "none",
            nominal_mm=spacing_mm or 300 / max(shape),
        ),
        source=Source(path="phantom", pixel_hash="0" * 64),
    )
