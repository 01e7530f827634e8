"""The order of the steps: file, field, bone, background, candidates, score, report."""

from __future__ import annotations

import dataclasses
import platform
import time
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.anatomy import background, bone, film_size, region_model, regions, zones
from calcidetect.anatomy.bone import BoneTables
from calcidetect.anatomy.pixel_features import film_planes
from calcidetect.anatomy.regions import Region
from calcidetect.anatomy.thorax import Thorax, find_thorax
from calcidetect.arrays import Column, FloatImage, LabelImage
from calcidetect.candidates import clusters, detect, dust_and_ink, extent, lines, measure, mimics, score, vessels
from calcidetect.candidates.blobs import film_blobs
from calcidetect.candidates.features import candidate_features
from calcidetect.candidates.label_regions import centres
from calcidetect.config import Config, GridSettings
from calcidetect.errors import ConfigError, FieldError
from calcidetect.field import exposure
from calcidetect.reading import readers
from calcidetect.reading.stored import COLOURED
from calcidetect.trees import BoostedTables
from calcidetect.turning import turned, turned_image
from calcidetect.types import (
    MARK,
    NOT_SEARCHED,
    TRACHEAL,
    TWO_LIMBS,
    Anatomy,
    Background,
    Candidate,
    Field,
    Grid,
    Radiograph,
    Report,
    Scan,
)

MAX_ENLARGEMENT = 3.0
"""Coarser films are enlarged to the working grid by no more than this: on pixels of over 1.2 mm is nothing to find."""

UNLIKE = "unlike_films"
"""Flag of a picture that looks like no film which the program knows."""

NO_BONE = "no_bone"
"""Flag of a picture on which no bone was found."""

SIDE_OVERRULED = "laterality_overruled"
"""Flag of a film of whose side the user says something else than its header."""

TURNED = "turned"
"""Flag of a chest film that lies on its side or upside down and was read as if it stood."""

LATERALITIES = ("R", "L", "B")

WIDTH_TOLERANCE = 0.05
"""A nominal pitch this near to the assumed one is not worth a second reduction."""


def scan(
    film: Radiograph | Path | str,
    *,
    config: Config = Config(),
    region: str = "auto",
    laterality: str = "",
    spacing_mm: float | None = None,
    min_score: float | None = None,
) -> Scan:
    """Scan one film for candidate soft-tissue calcification.

    Parameters
    ----------
    film
        A film as read by `load`, or the path of one.
    config
        Settings.
    region
        A name of `regions.NAMES`, or ``auto``: by the header and the picture. A picture that looks like no film, or
        shows no bone, then has no candidates; with a name it is searched all the same.
    laterality
        Side of the patient, ``R``, ``L`` or ``B``, which counts more than the header's; empty to take that.
    spacing_mm
        Pixel spacing, used only where the file has none. Ignored for a film already read.
    min_score
        Least score of a candidate in the report; None for the shipped operating point, 0 for every candidate.

    Returns
    -------
    Scan

    Raises
    ------
    ReadError
        When the file is no film that can be read.
    FieldError
        When no exposed field is found on it.
    ConfigError
        For an unknown region or side, a score that is none, or settings that can't be used.
    """
    started = time.perf_counter()
    score.check_min_score(min_score)
    radiograph = film if isinstance(film, Radiograph) else readers.load(film, spacing_mm=spacing_mm)
    radiograph = _with_side(radiograph, laterality) if laterality else radiograph
    given = None if region == "auto" else regions.get(region)
    seen = find_region(radiograph, config, given=given)
    upright, upright_field = seen.upright
    tables = score.tables_of(config.score.tables, seen.region.name)
    found = find(upright, upright_field, config=config)
    words = {UNLIKE, COLOURED} & {*seen.flags, *radiograph.flags}
    refused = given is None and bool(words or not found.anatomy.bone.any())
    found = (found.without_candidates() if refused else found).scored(tables)
    where, kinds = _named(found, upright, field=upright_field, region=seen.region)
    found = found.turned(-seen.turns)
    least = score.OPERATING_POINT if min_score is None else min_score
    candidates, labels = _kept(radiograph.pixels, seen.working, found, kinds, where.words, least=least, tables=tables)
    flags = radiograph.flags + seen.flags + seen.field.flags + (NO_BONE,) * (not found.anatomy.bone.any())
    flags += (NOT_SEARCHED,) * refused + (TWO_LIMBS,) * (where.limbs == 2)
    return Scan(
        radiograph=radiograph,
        working=seen.working,
        field=seen.field,
        anatomy=found.anatomy,
        background=found.background,
        labels=labels,
        report=Report(
            source=radiograph.source,
            grid=radiograph.grid,
            region=seen.region.name,
            laterality=radiograph.source.laterality,
            candidates=candidates,
            min_score=least,
            burden_mm2=measure.burden_mm2(candidates, radiograph.grid),
            bone_step=found.anatomy.bone_step,
            bone_confidence=found.anatomy.confidence,
            flags=tuple(dict.fromkeys(flags)),
            settings=config.flat(),
            settings_hash=config.hash,
            volatile=_provenance() | {"seconds": round(time.perf_counter() - started, 3)},
        ),
    )


def _named(
    found: Findings, upright: Radiograph, *, field: Field, region: Region
) -> tuple[zones.Zones, npt.NDArray[np.str_]]:
    """Where the candidates of an upright film lie, and what kind each is."""
    points, anatomy = centres(found.labels), found.anatomy
    where = zones.find_zones(points, upright, field=field, anatomy=anatomy, region=region.name, thorax=found.thorax)
    kinds = mimics.label_kinds(
        points,
        found.features,
        radiograph=upright,
        field=field,
        anatomy=anatomy,
        region=region,
        areas=where.areas,
    )
    return where, kinds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A film on the working grid, before anything is looked for on it.

    `working` and its exposed `field` lie as the film does; `flags` are words on trouble with its `region`; `turns` is
    how many quarter turns counter-clockwise bring a chest film upright, 0 for others.
    """

    working: Radiograph
    field: Field
    region: Region
    flags: tuple[str, ...]
    turns: int

    @property
    def upright(self) -> tuple[Radiograph, Field]:
        """Working film and field as they are looked at."""
        return turned(self.working, self.turns), turned(self.field, self.turns)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """What is learnt of a film before anything is judged, on its working grid.

    `labels` are the candidates 1 … n, `features` what `candidate_features` measured of them; `thorax` None where no two
    lungs are seen.
    """

    anatomy: Anatomy
    background: Background
    labels: LabelImage
    features: dict[str, npt.NDArray[np.float32]]
    thorax: Thorax | None

    def scored(self, tables: BoostedTables) -> Findings:
        """The same with the ``score`` of each candidate among the features."""
        return dataclasses.replace(self, features=self.features | {"score": score.scores(self.features, tables)})

    def turned(self, turns: int) -> Findings:
        """The same after quarter turns counter-clockwise, without the thorax, which only an upright film has."""
        if turns % 4 == 0:
            return self
        return dataclasses.replace(
            self,
            anatomy=turned(self.anatomy, turns),
            background=turned(self.background, turns),
            labels=turned_image(self.labels, turns),
            thorax=None,
        )

    def without_candidates(self) -> Findings:
        """The same without bone and candidates: of a picture that is no radiograph they would be nonsense."""
        return dataclasses.replace(
            self,
            anatomy=bone.without_bone(self.anatomy),
            labels=np.zeros_like(self.labels),
            features={name: column[:0] for name, column in self.features.items()},
        )


def find(working: Radiograph, field: Field, *, config: Config, tables: BoneTables | None = None) -> Findings:
    """Find bone, soft tissue and every candidate.

    Parameters
    ----------
    working, field
        The upright film on the working grid, and its exposed field.
    config
        Settings.
    tables
        What tells bone from soft tissue; None for the shipped ones.
    """
    planes = film_planes(working, field, pixel_mm=config.bone.pixel_mm)
    anatomy = bone.segment_bone(working, field, planes=planes, settings=config.bone, tables=tables)
    tissue = background.estimate_background(working, anatomy, settings=config.background)
    blobs = film_blobs(working, anatomy, settings=config.detect)
    labels = detect.find_candidates(working, anatomy, blobs=blobs, settings=config.detect)
    thorax = find_thorax(anatomy, pixel_mm=working.grid.nominal_mm)
    features = candidate_features(
        labels,
        radiograph=working,
        field=field,
        planes=planes,
        anatomy=anatomy,
        background=tissue,
        blobs=blobs,
        thorax=thorax,
    )
    return Findings(anatomy=anatomy, background=tissue, labels=labels, features=features, thorax=thorax)


def find_region(radiograph: Radiograph, config: Config, *, given: Region | None = None) -> Prepared:
    """Bring a film to the working grid, find its exposed field, and the body region that it shows.

    Where the file has no spacing, the field is found once more at the pitch that the looks of the picture suggest, and
    again at that which the size of its structures does.

    Parameters
    ----------
    radiograph
        The film as read.
    config
        Settings.
    given
        The region, where the user names it.

    Returns
    -------
    Prepared

    Raises
    ------
    FieldError
        When no exposed field is found; names the film.
    """
    try:
        working, field = first_field(radiograph, config, field_width_mm=config.grid.field_width_mm)
        look = region_model.look_at(working, field)
        place, flags = regions.decide(regions.recognise(radiograph.source), look) if given is None else (given, ())
        turns = look.turns if place.name == region_model.CHEST else 0
        flags += (UNLIKE,) * look.strange + (TURNED,) * (turns > 0)
        width_mm = regions.field_width_mm(place, look)
        working, field = _resized_field(radiograph, config, working, field, field_width_mm=width_mm)
        if radiograph.grid.spacing_mm is None:
            width_mm = film_size.judge_side_mm(turned(working, turns), turned(field, turns), look=look)
            working, field = _resized_field(radiograph, config, working, field, field_width_mm=width_mm)
        return Prepared(working=working, field=field, region=place, flags=flags, turns=turns)
    except FieldError as error:
        raise FieldError(f"{radiograph.source.path}: {error}") from error


def first_field(radiograph: Radiograph, config: Config, *, field_width_mm: float) -> tuple[Radiograph, Field]:
    """Working film and field; where spacing is unknown, as if the whole film were exposed."""
    if radiograph.grid.spacing_mm is None:
        radiograph = _with_nominal(radiograph, field_width_mm / max(radiograph.grid.shape))
    working = to_working_grid(radiograph, config.grid)
    return working, exposure.find_field(working, config.exposure)


def _resized_field(
    radiograph: Radiograph, config: Config, working: Radiograph, field: Field, *, field_width_mm: float
) -> tuple[Radiograph, Field]:
    """Working film and field once more, at the pitch by which the field's longer side is `field_width_mm`."""
    nominal_mm = field_width_mm / film_size.longer_side(field)
    known = radiograph.grid.spacing_mm is not None
    if known or abs(nominal_mm / working.grid.nominal_mm - 1) < WIDTH_TOLERANCE:
        return working, field
    radiograph = _with_nominal(radiograph, nominal_mm * working.grid.shape[0] / radiograph.grid.shape[0])
    working = to_working_grid(radiograph, config.grid)
    return working, exposure.find_field(working, config.exposure)


def working_mm(grid: Grid, settings: GridSettings) -> float:
    """Pitch of the working grid: coarser for large films, where anatomy limits what is seen and pixels cost most."""
    longest_mm = max(grid.shape) * grid.nominal_mm
    wanted = longest_mm / (settings.longest_px * settings.working_mm)
    return settings.working_mm * min(max(1.0, wanted), settings.coarsening)


def to_working_grid(radiograph: Radiograph, settings: GridSettings) -> Radiograph:
    """Resample a film to square pixels of `working_mm`, by area averages or, for coarser films, linearly."""
    grid, pixel_mm = radiograph.grid, working_mm(radiograph.grid, settings)
    factor = min(grid.nominal_mm / pixel_mm, MAX_ENLARGEMENT)
    shape = (max(1, round(grid.shape[0] * factor)), max(1, round(grid.shape[1] * factor)))
    step = grid.shape[0] / shape[0]
    reduced = Grid(
        shape=shape,
        source_shape=grid.source_shape,
        spacing_mm=None if grid.spacing_mm is None else grid.spacing_mm * step,
        spacing_source=grid.spacing_source,
        nominal_mm=grid.nominal_mm * step,
    )
    whole = radiograph.valid.all()  # as it mostly is
    valid = np.ones(shape, bool) if whole else ops.resize_mask(radiograph.valid, shape, share=0.99)
    return dataclasses.replace(radiograph, pixels=ops.resize_area(radiograph.pixels, shape), valid=valid, grid=reduced)


def _with_nominal(radiograph: Radiograph, nominal_mm: float) -> Radiograph:
    return dataclasses.replace(radiograph, grid=dataclasses.replace(radiograph.grid, nominal_mm=nominal_mm))


def _with_side(radiograph: Radiograph, side: str) -> Radiograph:
    """The film with the side that the user names."""
    if side not in LATERALITIES:
        raise ConfigError(f"There is no side {side!r}; choose {', '.join(LATERALITIES)}.")
    flags = (SIDE_OVERRULED,) * (radiograph.source.laterality not in ("", side))
    source = dataclasses.replace(radiograph.source, laterality=side)
    return dataclasses.replace(radiograph, source=source, flags=radiograph.flags + flags)


def _kept(
    film: FloatImage,
    working: Radiograph,
    found: Findings,
    kinds: npt.NDArray[np.str_],
    where: npt.NDArray[np.str_],
    *,
    least: float,
    tables: BoostedTables,
) -> tuple[tuple[Candidate, ...], LabelImage]:
    """Clusters and single candidates that score `least` or more, and the trachea, numbered by falling score."""
    if not len(kinds):
        return (), found.labels
    anatomy, features, rings = found.anatomy, found.features, kinds == TRACHEAL
    scores, contrasts = features["score"], features["contrast_mean"]
    leaders = clusters.leaders(found.labels, scores, contrasts=contrasts, rings=rings, pixel_mm=working.grid.nominal_mm)
    whole = clusters.merged_measures(found.labels, features, leads=leaders)
    labels = clusters.merged(found.labels, leaders)
    taken = labels > 0
    order, labels = _numbered(labels, scores, leaders, rings, least=min(least, score.OPERATING_POINT))
    sure = int((scores[order] >= score.OPERATING_POINT).sum())
    seen = _looked_at_again(film, working, anatomy, labels, kinds[order], sure=sure)
    labels = extent.full_extent(working, labels, anatomy=anatomy, taken=taken, count=sure)
    kept = (scores[order] >= least) | rings[order]  # only now: what is near a candidate tells what it is
    order, seen, labels = order[kept], seen[kept], np.append(0, kept.cumsum() * kept).astype(np.int32)[labels]
    chosen = {name: column[order] for name, column in features.items()}
    candidates = measure.measure(
        working,
        labels,
        features=chosen,
        kinds=seen.tolist(),
        zones=np.where(rings, "trachea", where)[order].tolist(),
        whole={name: column[order] for name, column in whole.items()},
        reasons=score.reasons(chosen, tables),
    )
    return candidates, labels


def _numbered(
    labels: LabelImage, scores: Column, leaders: npt.NDArray[np.intp], rings: npt.NDArray[np.bool_], *, least: float
) -> tuple[npt.NDArray[np.intp], LabelImage]:
    """Which candidates speak for themselves and are reported, by falling score, and labels of these in that order."""
    order = np.argsort(-scores, kind="stable")
    order = order[leaders[order] == order]
    order = order[(scores[order] >= least) | rings[order]]
    number = np.zeros(len(scores) + 1, np.int32)
    number[order + 1] = np.arange(1, len(order) + 1)
    return order, number[labels]


def _looked_at_again(
    film: FloatImage,
    working: Radiograph,
    anatomy: Anatomy,
    labels: LabelImage,
    kinds: npt.NDArray[np.str_],
    *,
    sure: int,
) -> npt.NDArray[np.str_]:
    """Kinds of candidates, by falling score, with those of dust, ink, long lines and calcified vessels.

    They are looked for among the `sure` ones that reach the operating point; below it specks and lines are chance.
    """
    pixel_mm = working.grid.nominal_mm
    clear = np.where(labels <= sure, labels, 0).astype(np.int32)
    named = kinds.copy()
    marked = kinds[:sure] == MARK
    drawn = dust_and_ink.lie_on_film(film, clear, pixel_mm=pixel_mm)
    drawn |= lines.lie_on_lines(working.pixels, anatomy.bone, labels=clear, pixel_mm=pixel_mm)
    named[:sure][marked & drawn] = "other"
    named[:sure][marked & vessels.are_vessels(clear, pixel_mm=pixel_mm)] = "vascular"
    return named


def _provenance() -> dict[str, str]:
    packages = ("calcidetect", "numpy", "opencv-python-headless", "scipy", "pydicom")
    return {"python": platform.python_version()} | {name: _version(name) for name in packages}


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
