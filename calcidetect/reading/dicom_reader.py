"""Films as DICOM files: CR, DX and their kin, in every transfer syntax that these come in.

Polarity is decided once, by Photometric Interpretation and Presentation LUT Shape together (PS3.3 C.8.11.3). INVERSE
is how a MONOCHROME1 film says that it *is* MONOCHROME1, and no second inversion. A film is turned over when either
says so, and flagged where they contradict each other. The other reading, shape before photometric, shows Fuji films
inverted (dcm4chee-arc-light issue 3155).
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from calcidetect.arrays import Mask
from calcidetect.errors import UnreadableFile, UnsupportedFilm
from calcidetect.reading import codecs
from calcidetect.reading.dicom_spacing import find_aspect, find_pitch
from calcidetect.reading.stored import COLOURED, StoredFilm, is_coloured, to_grey
from calcidetect.reading.streams import DAMAGE, MAX_PIXELS, PREAMBLE_LENGTH, check_pixel_count
from calcidetect.types import Source, Tone

Pixels = npt.NDArray[Any]

# Projection radiographs and pictures of them; an empty modality is given the benefit of the doubt.
_FILM_MODALITIES = {"", "CR", "DR", "DX", "IO", "MG", "OT", "PX", "RF", "RG", "SC", "XA"}
_OTHER_MODALITIES = {
    "CT": "a CT slice",
    "KO": "a list of key images",
    "MR": "an MR slice",
    "NM": "a nuclear medicine image",
    "PR": "a presentation state",
    "PT": "a PET slice",
    "SEG": "a segmentation",
    "SR": "a structured report",
    "US": "an ultrasound image",
}
_TONES: dict[str, Tone] = {"LOG": "log", "LIN": "linear", "DISP": "display"}
_LATERALITIES = {"R", "L", "B"}
_AGE = re.compile(r"(\d{1,3})([DWMY])")
_UNITS_A_YEAR = {"D": 365.25, "W": 52.2, "M": 12, "Y": 1}
MAX_AGE_YEARS = 125  # nobody is older; headers hold 999Y for unknown
_DAMAGE = (*DAMAGE, InvalidDicomError, BytesLengthException)
_PIXEL_ELEMENTS = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
)
OWN_MODEL = "calcidetect"
"""Manufacturer's Model Name in everything that this program writes as DICOM."""

_META_START = PREAMBLE_LENGTH + 4 + 12  # "DICM", then the element that holds the length of the rest
_META_SEARCH = 2048  # bytes, more than any meta header takes before its transfer syntax
_MAX_INFLATED_BYTES = 8 * MAX_PIXELS
_TEXT_LENGTH = 64


def read_dicom(data: bytes, path: str) -> StoredFilm:
    """Read a film from the bytes of a DICOM file.

    Parameters
    ----------
    data
        The whole file.
    path
        Where it came from, for the record.

    Raises
    ------
    UnreadableFile
        When the file is damaged or cut short.
    UnsupportedFilm
        When it is something other than one plain radiograph.
    """
    dataset, notes = _parse(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the header's are in `notes`; those on the pixels are errors or harmless
            _check_kind(dataset)
            return _stored_film(dataset, _decode(dataset), path=path, flags=notes)
    except _DAMAGE as error:
        raise UnreadableFile(f"is damaged: {_first_line(error)}; fetch the file again.") from error


def read_header(data: bytes) -> pydicom.Dataset:
    """Read all of a DICOM file but its pixels; patient and study are in it.

    Raises
    ------
    UnreadableFile
        When it is damaged.
    """
    dataset, _ = _parse(data)
    if "PixelData" in dataset:
        del dataset.PixelData
    return dataset


def is_own_result(dataset: pydicom.Dataset) -> bool:
    """Whether this program has made it: no film, whatever it looks like."""
    return _text(dataset, "ManufacturerModelName") == OWN_MODEL


def listed_files(data: bytes) -> list[tuple[str, ...]]:
    """Paths, part by part and relative to its own folder, of the images that a DICOMDIR lists.

    Raises
    ------
    UnreadableFile
        When it is damaged.
    """
    dataset, _ = _parse(data)
    records = dataset.get("DirectoryRecordSequence") or ()
    names = [record.get("ReferencedFileID") for record in records if _text(record, "DirectoryRecordType") == "IMAGE"]
    return [(name,) if isinstance(name, str) else tuple(map(str, name)) for name in names if name]


def read_patient(data: bytes) -> str:
    """Patient ID in the header of a DICOM file; empty where absent.

    Raises
    ------
    UnreadableFile
        When it is damaged.
    """
    return _text(_parse(data)[0], "PatientID")


def _parse(data: bytes) -> tuple[pydicom.Dataset, tuple[str, ...]]:
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            _check_inflated_size(data)
            dataset = pydicom.dcmread(io.BytesIO(data), force=True)
            dataset.walk(_touch)  # values are parsed on first use; do it here, where warnings are caught
    except _DAMAGE as error:
        raise UnreadableFile(f"is damaged or cut short ({_first_line(error)}); fetch the file again.") from error
    return dataset, ("header_warnings",) if caught else ()


def _touch(dataset: pydicom.Dataset, element: pydicom.DataElement) -> None:
    """Visit an element; `Dataset.walk` has parsed it by now."""


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip().removeprefix(f"{codecs.PLUGIN}: ").rstrip(".")[:200]


def _check_inflated_size(data: bytes) -> None:
    """Refuse a deflated file that would inflate to more than any film, without keeping what comes out."""
    if DeflatedExplicitVRLittleEndian.encode() not in data[:_META_SEARCH]:
        return
    (meta_length,) = struct.unpack_from("<I", data, _META_START - 4)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    rest, size = data[_META_START + meta_length :], 0
    while rest and not inflater.eof:
        size += len(inflater.decompress(rest, 1 << 20))
        rest = inflater.unconsumed_tail
        if size > _MAX_INFLATED_BYTES:
            raise UnsupportedFilm(f"inflates to more than {_MAX_INFLATED_BYTES >> 20} MB; no film is that large.")


def _check_kind(dataset: pydicom.Dataset) -> None:
    """Refuse what is no single plain radiograph."""
    if is_own_result(dataset):
        raise UnsupportedFilm("is a result of calcidetect, no film; give the film that it was made of.")
    modality = _text(dataset, "Modality")
    if modality not in _FILM_MODALITIES:
        kind = _OTHER_MODALITIES.get(modality, f"an object of modality {modality}")
        raise UnsupportedFilm(f"is {kind}, not a plain radiograph; give a CR, DX or similar film.")
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise UnsupportedFilm("holds floating-point pixels, as maps do and films don't; export the film itself.")
    if "PixelData" not in dataset:
        if "SOPClassUID" not in dataset and "Rows" not in dataset:
            raise UnreadableFile("is no DICOM file, or its header is cut short; fetch the file again.")
        name = UID(_text(dataset, "SOPClassUID")).name or "DICOM file"
        raise UnsupportedFilm(f"has no pixels ({name}); give an image, and if it should be one, fetch it again.")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames != 1:
        raise UnsupportedFilm(f"holds {frames} frames; export the one that is the film as a single image.")
    if missing := [name for name in _PIXEL_ELEMENTS if dataset.get(name) is None]:
        raise UnreadableFile(f"has pixels but no {missing[0]}; its header is damaged, fetch the file again.")
    if dataset.BitsAllocated not in (8, 16):
        raise UnsupportedFilm(f"stores {dataset.BitsAllocated} bits a pixel; export the film with 8 or 16.")
    check_pixel_count(dataset.Rows, dataset.Columns)


def _decode(dataset: pydicom.Dataset) -> Pixels:
    """Decode to stored values: (rows, cols), or (rows, cols, 3) in RGB."""
    codecs.register()
    syntax = _transfer_syntax(dataset)
    if not syntax.is_encapsulated:
        _check_length(dataset)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise UnsupportedFilm(f"is compressed as {syntax.name}, which is no still image; export it again.") from error
    plugin = codecs.PLUGIN if syntax.is_encapsulated else ""
    try:
        spare = 0 if syntax.is_encapsulated else _spare_low_bits(dataset)
        bits = dataset.BitsStored + spare
        pixels, _ = decoder.as_array(dataset, index=0, decoding_plugin=plugin, bits_stored=bits, high_bit=bits - 1)
        pixels = pixels >> spare if spare else pixels
        return apply_color_lut(pixels, dataset) if _photometric(dataset) == "PALETTE COLOR" else pixels
    except _DAMAGE as error:
        raise UnreadableFile(
            f"has pixel data ({syntax.name}) that is damaged or cut short ({_first_line(error)}); fetch the file again."
        ) from error


def _spare_low_bits(dataset: pydicom.Dataset) -> int:
    """Bits below those of a value, where it stands at the high end of its word: retired, yet old systems write it."""
    high = dataset.get("HighBit")
    spare = high + 1 - dataset.BitsStored if isinstance(high, int) and high < dataset.BitsAllocated else 0
    return max(0, int(spare))


def _transfer_syntax(dataset: pydicom.Dataset) -> UID:
    meta = getattr(dataset, "file_meta", {})
    if "TransferSyntaxUID" not in meta:
        implicit, little = dataset.original_encoding
        guess = (
            pydicom.uid.ImplicitVRLittleEndian
            if implicit
            else (pydicom.uid.ExplicitVRLittleEndian if little else pydicom.uid.ExplicitVRBigEndian)
        )
        dataset.file_meta.TransferSyntaxUID = guess
    return dataset.file_meta.TransferSyntaxUID


def _check_length(dataset: pydicom.Dataset) -> None:
    """Refuse uncompressed pixel data that is cut short; pydicom would say so too, less plainly."""
    values = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel
    if _photometric(dataset) == "YBR_FULL_422":
        values = values * 2 // 3
    expected, found = values * dataset.BitsAllocated // 8, len(dataset.PixelData)
    if found < expected:
        raise UnreadableFile(
            f"is cut short: {dataset.Rows} x {dataset.Columns} pixels need {expected} bytes and {found} are there; "
            "fetch the file again."
        )


def _stored_film(dataset: pydicom.Dataset, stored: Pixels, *, path: str, flags: tuple[str, ...]) -> StoredFilm:
    grey = stored if stored.ndim == 2 else to_grey(stored)
    values, span, lut_flags = _apply_modality_lut(grey, dataset)
    inverted, polarity, polarity_flags = _polarity(dataset)
    pitch, pitch_source, pitch_flags = find_pitch(dataset)
    return StoredFilm(
        pixels=values,
        span=span,
        valid=_not_padding(grey, dataset),
        inverted=inverted,
        polarity=polarity,
        tone=_TONES.get(_text(dataset, "PixelIntensityRelationship"), "unknown"),
        pitch_mm=pitch,
        pitch_source=pitch_source,
        aspect=find_aspect(dataset, pitch),
        source=_source(dataset, stored, path),
        age_years=_age_years(dataset),
        facts=_facts(dataset, stored),
        flags=(*flags, *lut_flags, *polarity_flags, *pitch_flags, *(COLOURED,) * is_coloured(stored)),
    )


def _stored_span(dataset: pydicom.Dataset) -> npt.NDArray[np.float32]:
    bits = int(dataset.BitsStored)
    low = -(2 ** (bits - 1)) if dataset.PixelRepresentation else 0
    return np.array([low, low + 2**bits - 1], np.float32)


def _apply_modality_lut(
    grey: Pixels, dataset: pydicom.Dataset
) -> tuple[npt.NDArray[np.float32], tuple[float, float], tuple[str, ...]]:
    """Turn stored values to the modality's: values, the span they can take, flags.

    Not pydicom's own: that fails on tables of 10 to 15 bits and takes 8 bytes a pixel.
    """
    span = _stored_span(dataset)
    if dataset.get("ModalityLUTSequence"):
        table, first = _modality_table(dataset)
        index = np.clip(grey.astype(np.int32) - first, 0, len(table) - 1)
        return table[index], (float(table.min()), float(table.max())), ()
    slope, intercept = (
        _number(dataset, name, default) for name, default in (("RescaleSlope", 1), ("RescaleIntercept", 0))
    )
    if not (np.isfinite([slope, intercept]).all() and slope != 0):
        return grey.astype(np.float32), tuple(span), ("bad_rescale",)
    low, high = sorted((span * slope + intercept).tolist())
    values = grey.astype(np.float32)
    values *= np.float32(slope)
    values += np.float32(intercept)
    return values, (low, high), ()


def _modality_table(dataset: pydicom.Dataset) -> tuple[npt.NDArray[np.float32], int]:
    item = dataset.ModalityLUTSequence[0]
    if "LUTDescriptor" not in item or "LUTData" not in item:
        raise UnreadableFile("has an empty modality LUT, which tells nothing of its values; export the film again.")
    size, first, _ = (int(value) for value in item.LUTDescriptor)
    data = item.LUTData
    if isinstance(data, bytes):
        data = np.frombuffer(data, "<u2" if dataset.original_encoding[1] else ">u2")
    return np.asarray(data, np.float32)[: size or 2**16], first


def _not_padding(grey: Pixels, dataset: pydicom.Dataset) -> Mask:
    padding = dataset.get("PixelPaddingValue")
    if not isinstance(padding, int):
        return np.ones(grey.shape, bool)
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((padding, limit if isinstance(limit, int) else padding))
    return np.asarray((grey < low) | (grey > high))


def _polarity(dataset: pydicom.Dataset) -> tuple[bool | None, str, tuple[str, ...]]:
    """Whether bigger means less attenuation, what decided that, and flags on contradictions."""
    photometric, shape = _photometric(dataset), _text(dataset, "PresentationLUTShape")
    if not photometric.startswith("MONOCHROME"):
        return None, "picture", ()
    white_is_low, inverse = photometric == "MONOCHROME1", shape == "INVERSE"
    contradicted = bool(shape) and white_is_low != inverse
    # Sign 1: bigger stored values met more radiation, hence less attenuation, as on a MONOCHROME1 film.
    sign = dataset.get("PixelIntensityRelationshipSign")
    flags: tuple[str, ...] = ("polarity_contradicted",) if contradicted else ()
    if sign in (1, -1) and (sign == 1) != (white_is_low or inverse):
        flags += ("intensity_sign_contradicted",)
    return white_is_low or inverse, "presentation_lut" if inverse and not white_is_low else "photometric", flags


def _source(dataset: pydicom.Dataset, stored: Pixels, path: str) -> Source:
    stored = np.ascontiguousarray(stored)
    digest = hashlib.sha256(repr(stored.shape).encode() + stored.astype(stored.dtype.newbyteorder("<")).tobytes())
    laterality = _text(dataset, "ImageLaterality") or _text(dataset, "Laterality")
    return Source(
        path=path,
        pixel_hash=digest.hexdigest(),
        sop_uid=_text(dataset, "SOPInstanceUID"),
        modality=_text(dataset, "Modality"),
        body_part=_text(dataset, "BodyPartExamined") or _meaning(dataset, "AnatomicRegionSequence"),
        laterality=laterality if laterality in _LATERALITIES else "",
        view=_text(dataset, "ViewPosition") or _meaning(dataset, "ViewCodeSequence"),
        bits=int(dataset.BitsStored),
    )


def _age_years(dataset: pydicom.Dataset) -> float | None:
    """Patient's age, if the header states one that a person can have; the birth date is not looked at."""
    age = _AGE.fullmatch(_text(dataset, "PatientAge"))
    years = int(age[1]) / _UNITS_A_YEAR[age[2]] if age else None
    return years if years is not None and years <= MAX_AGE_YEARS else None


def _facts(dataset: pydicom.Dataset, stored: Pixels) -> dict[str, Any]:
    return {
        "format": "DICOM",
        "transfer_syntax": _transfer_syntax(dataset).name,
        "sop_class": UID(_text(dataset, "SOPClassUID")).name,
        "photometric": _photometric(dataset),
        "presentation_lut_shape": _text(dataset, "PresentationLUTShape"),
        "stored_type": stored.dtype.name,
        "samples": 1 if stored.ndim == 2 else stored.shape[2],
    }


def _photometric(dataset: pydicom.Dataset) -> str:
    return _text(dataset, "PhotometricInterpretation")


def _text(dataset: pydicom.Dataset, keyword: str) -> str:
    """First value of an element as printable text, empty where absent."""
    value = dataset.get(keyword)
    if isinstance(value, pydicom.multival.MultiValue):
        value = value[0] if value else ""
    return "".join(c for c in str(value or "") if c.isprintable()).strip()[:_TEXT_LENGTH]


def _number(dataset: pydicom.Dataset, keyword: str, default: float) -> float:
    value = dataset.get(keyword)
    return default if value is None or value == "" else float(value)


def _meaning(dataset: pydicom.Dataset, keyword: str) -> str:
    items = dataset.get(keyword)
    return _text(items[0], "CodeMeaning") if items else ""
