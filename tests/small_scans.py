"""Scans of a few pixels, made by hand, for tests of what comes after the pipeline."""

import contextlib
import dataclasses

import numpy as np

from calcidetect.batch.workers import Here
from calcidetect.config import Config
from calcidetect.types import Anatomy, Background, Candidate, Field, Grid, Radiograph, Report, Scan, Source

ROWS, COLS = 60, 40


def small_candidate(**changes):
    values = {
        "id": 1,
        "score": 0.81234567,
        "label": "calcification",
        "zone": "left, lateral",
        "x0": 20,
        "y0": 10,
        "x1": 28,
        "y1": 16,
        "row": 12.5,
        "col": 23.5,
        "area_px": 48.0,
        "area_mm2": 12.0,
        "diameter_mm": 3.9088,
        "contrast_noise": 6.25,
        "contrast_bone": 0.5,
        "bone_distance_mm": 2.0,
        "contour": ((10.0, 20.0), (10.0, 27.0), (15.0, 27.0), (15.0, 20.0), (10.0, 20.0)),
        "features": {"solidity": np.float32(1.0), "entropy": float("nan")},
        "flags": ("touches_bone", "at_field_edge"),
    }
    return Candidate(**values | changes)


def small_scan(path="film.png", candidates=None, spacing_mm=0.5):
    """Return a 60 x 40 film, worked on at half its resolution; bone on its left, one deposit, one trachea ring."""
    candidates = (small_candidate(), small_candidate(id=2, label="tracheal")) if candidates is None else candidates
    film = _radiograph(path, (ROWS, COLS), spacing_mm)
    working = _radiograph(path, (ROWS // 2, COLS // 2), spacing_mm and 2 * spacing_mm)
    labels = np.zeros(working.grid.shape, np.int32)
    labels[5:8, 10:14] = 1
    labels[20:22, 10:14] = 2
    report = Report(
        source=film.source,
        grid=film.grid,
        region="shoulder",
        laterality="L",
        candidates=candidates,
        min_score=0.5,
        burden_mm2=12.0 if spacing_mm else None,
        bone_step=1.0,
        bone_confidence=0.9,
        flags=("text", "marker"),
        settings=Config().flat(),
        settings_hash=Config().hash,
        volatile={"seconds": 0.1},
    )
    zeros = np.zeros(working.grid.shape, np.float32)
    bone = np.zeros(working.grid.shape, bool)
    bone[:, :5] = True
    everywhere = np.ones_like(bone)
    return Scan(
        radiograph=film,
        working=working,
        field=Field(mask=everywhere, air=~everywhere, metal=~everywhere),
        anatomy=Anatomy(
            bone=bone,
            bone_probability=bone.astype(np.float32),
            lung_probability=np.zeros(bone.shape, np.float32),
            body=everywhere,
            bone_distance_px=zeros,
            skin_distance_px=zeros,
            bone_step=1.0,
            confidence=0.9,
        ),
        background=Background(level=zeros, noise=zeros + 1, usable=everywhere),
        labels=labels,
        report=report,
    )


def in_this_process(*limits, **more):
    """Take the place of `worker_processes`, so that films are scanned where a test has planted its pipeline."""
    return contextlib.nullcontext(Here())


def without_spacing(candidate):
    return dataclasses.replace(candidate, area_mm2=None, diameter_mm=None, bone_distance_mm=None)


def _radiograph(path, shape, spacing_mm):
    grid = Grid(
        shape=shape,
        source_shape=(ROWS, COLS),
        spacing_mm=spacing_mm,
        spacing_source="given" if spacing_mm else "none",
        nominal_mm=spacing_mm or 0.5,
    )
    pixels = np.linspace(0, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape)
    return Radiograph(
        pixels=pixels, valid=np.ones(shape, bool), grid=grid, source=Source(path=str(path), pixel_hash="0" * 64)
    )
