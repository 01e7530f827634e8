"""Films with annotations, and the variations of gain, latitude, sharpness and scale that fits put them through.

The annotation format is a JSON list of records with ``film``, ``region``, ``mm_px`` and, where known, polygons
``soft``, points ``bone_points`` and ``soft_points``, pairs ``step_pairs`` and boxes ``real`` and ``ignore``; all [x, y]
in the film's own matrix. A film without polygons is a background: it joins every fit, and no figure is told of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import zlib
from pathlib import Path

import cv2
import numpy as np

from calcidetect import pipeline
from calcidetect.config import Config
from calcidetect.field import exposure
from calcidetect.phantom import Phantom, make_phantom
from calcidetect.reading import readers
from calcidetect.simulation.annotations import annotated_step, polygon_mask
from calcidetect.types import Field, Grid, Radiograph, Source

FOLDS = 5
PHANTOM_MM = 0.25
PHANTOM_SEED = 1000
"""Phantoms with seeds from here on are for fitting; tests and sample images use smaller ones."""

DUST_SHARE, SPECKS, HAIRS = 0.2, (3, 40), 3
JPEG_SHARE, JPEG_QUALITY = 0.2, (55, 92)
"""Of the copies of a film: those with so many specks of dust and hairs, and those that went through JPEG."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnnotatedFilm:
    """One record of the annotation file; points are (n, 2) arrays of [x, y]."""

    name: str
    path: Path
    region: str
    mm_px: float
    soft: list
    bone_points: np.ndarray
    soft_points: np.ndarray
    step_pairs: np.ndarray
    real: list
    ignore: list

    @property
    def fold(self) -> int:
        """Which of the `FOLDS` leaves this film out."""
        return fold_of(self.name)


def fold_of(name: str) -> int:
    """Which of the `FOLDS` leaves a film, or all of a case, out: by its name, so that every script agrees."""
    return zlib.crc32(name.encode()) % FOLDS


def fit_parser(description: str, *, phantoms: int, masks: bool = True) -> argparse.ArgumentParser:
    """The arguments that the fitting scripts share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", type=Path)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--masks", type=Path, required=masks)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--phantoms", type=int, default=phantoms)
    parser.add_argument("--jobs", type=int, default=2)
    return parser


def read_annotations(films: Path, annotations: Path) -> list[AnnotatedFilm]:
    """Every annotated film that lies in the folder, in the order of the file."""
    return [
        AnnotatedFilm(
            name=item["film"],
            path=films / item["film"],
            region=item["region"],
            mm_px=item["mm_px"],
            soft=item.get("soft", []),
            bone_points=np.array(item.get("bone_points", ()), int).reshape(-1, 2),
            soft_points=np.array(item.get("soft_points", ()), int).reshape(-1, 2),
            step_pairs=np.array(item.get("step_pairs", ()), int).reshape(-1, 2, 2),
            real=[entry["box"] for entry in item.get("real", ())],
            ignore=[entry["box"] for entry in item.get("ignore", ())],
        )
        for item in json.loads(annotations.read_text())
        if (films / item["film"]).exists()
    ]


def load_film(film: AnnotatedFilm) -> Radiograph:
    """The film at its annotated pitch, which for most is an estimate from anatomy."""
    radiograph = readers.load(film.path)
    return with_pitch(radiograph, film.mm_px)


def phantom_film(kind: str, seed: int) -> tuple[Radiograph, Phantom]:
    """A synthetic film, read as if from a file that states its spacing, and its truth."""
    phantom = make_phantom(kind, seed=seed, spacing_mm=PHANTOM_MM)
    shape = phantom.pixels.shape
    grid = Grid(
        shape=shape,
        source_shape=shape,
        spacing_mm=phantom.spacing_mm,
        spacing_source="given",
        nominal_mm=phantom.spacing_mm,
    )
    radiograph = Radiograph(
        pixels=phantom.pixels.astype(np.float32),
        valid=np.ones(shape, bool),
        grid=grid,
        source=Source(path=f"{kind} {seed}", pixel_hash=""),
    )
    return radiograph, phantom


def with_pitch(radiograph: Radiograph, mm: float) -> Radiograph:
    grid = dataclasses.replace(radiograph.grid, spacing_mm=mm, spacing_source="given", nominal_mm=mm)
    return dataclasses.replace(radiograph, grid=grid)


def with_pixels(radiograph: Radiograph, pixels: np.ndarray) -> Radiograph:
    return dataclasses.replace(radiograph, pixels=pixels.astype(np.float32))


def soft_mask(film: AnnotatedFilm, shape: tuple[int, int]) -> np.ndarray:
    """bool (rows, cols): soft tissue sure to be free of bone, text and metal."""
    return polygon_mask(shape, [np.array(outline)[:, ::-1] for outline in film.soft])


def bone_contrast(film: AnnotatedFilm, pixels: np.ndarray) -> float:
    """The film's bone step by its annotated pairs of bone and soft tissue beside it."""
    return annotated_step(pixels, film.step_pairs[..., ::-1], pixel_mm=film.mm_px)


def vary(radiograph: Radiograph, rng: np.random.Generator, *, pitch_error: float = 0.2) -> Radiograph:
    """The film as another system might show it: gamma 0.7 to 1.4, sharpening or smoothing, noise, another pitch."""
    low, high = np.percentile(radiograph.pixels, [0.2, 99.8])
    pixels = np.clip((radiograph.pixels - low) / max(high - low, 1e-6), -0.2, 1.3)
    pixels = np.sign(pixels) * np.abs(pixels) ** np.exp(rng.uniform(-0.35, 0.35))
    if rng.random() < 0.3:
        sharpness, sigma = 0.6 * rng.uniform(-0.5, 1), rng.uniform(2, 12)
        pixels = pixels + sharpness * (pixels - cv2.GaussianBlur(pixels, (0, 0), sigma))
    if rng.random() < 0.3:
        pixels = pixels + rng.normal(0, rng.uniform(0.002, 0.015), pixels.shape)
    pitch = radiograph.grid.nominal_mm * np.exp(rng.normal(0, pitch_error))
    return with_pitch(with_pixels(radiograph, pixels), pitch)


def worn(radiograph: Radiograph, rng: np.random.Generator) -> Radiograph:
    """The film as a scanner or a website might leave it: dust and hair, `DUST_SHARE`; JPEG blocks, `JPEG_SHARE`.

    Dust is what no deposit is: one or two pixels wide with edges as sharp as the matrix.
    """
    low, high = np.percentile(radiograph.pixels, [0.2, 99.8])
    pixels = ((radiograph.pixels - low) / max(high - low, 1e-6)).astype(np.float32)
    if rng.random() < DUST_SHARE:
        pixels = pixels + _dust(pixels.shape, rng)
    if rng.random() < JPEG_SHARE:
        grey = np.clip(255 * pixels, 0, 255).astype(np.uint8)
        _, coded = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*JPEG_QUALITY))])
        pixels = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
    return with_pixels(radiograph, pixels)


def _dust(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Specks and hairs in shares of a film's range, float32 of `shape`."""
    dust = np.zeros(shape, np.float32)
    for _ in range(int(rng.integers(*SPECKS))):
        centre = rng.uniform(0, shape[1]), rng.uniform(0, shape[0])
        radius, bright = rng.uniform(0.3, 1.2), float(rng.uniform(0.08, 0.5))
        cv2.circle(dust, _fixed(centre), round(radius * 16), bright, cv2.FILLED, cv2.LINE_8, shift=4)
    for _ in range(int(rng.integers(0, HAIRS))):
        steps = np.cumsum(rng.normal(0, 3, (8, 2)) + rng.normal(0, 4, 2), axis=0)
        line = np.round(16 * (steps + rng.uniform(0, 1, 2) * shape[::-1])).astype(np.int32)
        cv2.polylines(dust, [line], False, float(rng.uniform(0.05, 0.3)), 1, cv2.LINE_8, shift=4)
    return dust


def _fixed(point: tuple[float, float]) -> tuple[int, int]:
    return round(16 * point[0]), round(16 * point[1])


def working_film(radiograph: Radiograph, config: Config) -> tuple[Radiograph, Field]:
    working = pipeline.to_working_grid(radiograph, config.grid)
    return working, exposure.find_field(working, config.exposure)
