"""Films with deposits put into them, written with their truth: material to fit and to examine a detector with.

A folder of simulations holds a 16-bit PNG for each film, ``<name>.truth.png`` (16-bit, 0 none, k = deposit k) and
``truth.json``. The physics is that of `calcidetect.simulation.simulate`.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt

from calcidetect import ops, pipeline
from calcidetect.anatomy import bone, regions
from calcidetect.anatomy.pixel_features import film_planes
from calcidetect.arrays import FloatImage, LabelImage, Mask
from calcidetect.batch.names import output_names
from calcidetect.config import Config
from calcidetect.errors import CalcidetectError, ConfigError, OutputError
from calcidetect.reading import readers
from calcidetect.reading.polarity import INVERTED_FROM, inversion_log_odds
from calcidetect.simulation.annotations import Annotation, Box, annotated_step, polygon_mask
from calcidetect.simulation.simulate import Deposit, dark_level, insert_deposits, linear_signal, log_signal
from calcidetect.turning import turned
from calcidetect.types import Anatomy, Radiograph
from calcidetect.writers import make_folder, write_bytes

TRUTH_FILE = "truth.json"
MASK_ENDING = ".truth"
CLEAN_ENDING = "_clean"
TRUTH_VERSION = 1
FULL_SCALE = 65535
PNG_LEVEL = 4

MOST_DEPOSITS = 500
"""In a film: four hundred fit into a large chest film, and each takes tens of tries."""

BONE_GAP_MM = 2.0
"""Where the program looks for soft tissue itself, it keeps this far from its bone mask."""
SKIN_GAP_MM = 1.0
"""And this far from air and from the edge of the field."""

StrPath = str | os.PathLike[str]
Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is done to each film.

    Attributes
    ----------
    seed
        0 or more. A film's own pixels and this decide its deposits, whatever films stand beside it.
    copies
        Films with deposits for each film.
    count
        Least and greatest number of deposits in each copy.
    clean
        Write each film untouched as well.
    spacing_mm
        Pixel pitch of films that state none and are not annotated with one.
    """

    seed: int
    copies: int = 1
    count: tuple[int, int] = (2, 5)
    clean: bool = False
    spacing_mm: float | None = None

    def __post_init__(self) -> None:
        if self.copies < 1:
            raise ConfigError(f"The number of copies must be 1 or more, got {self.copies}.")
        low, high = self.count
        if high > MOST_DEPOSITS:
            raise ConfigError(f"A film takes {MOST_DEPOSITS} deposits at most, got {high}; ask for fewer with --count.")
        if not 1 <= low <= high:
            raise ConfigError(f"The count of deposits must be two numbers, 1 <= LOW <= HIGH, got {low} {high}.")
        readers.check_spacing(self.spacing_mm)

    @property
    def copy_endings(self) -> tuple[str, ...]:
        """What the name of each copy with deposits has behind that of its film."""
        return ("",) if self.copies == 1 else tuple(f"_{number}" for number in range(1, self.copies + 1))

    @property
    def endings(self) -> tuple[str, ...]:
        """The same of every picture that is made of a film: copies, the untouched one, and the mask of each."""
        films = (*self.copy_endings, *(CLEAN_ENDING,) * self.clean)
        return (*films, *(f"{film}{MASK_ENDING}" for film in films))


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What became of one film: its records in ``truth.json``, and what went wrong or is worth saying."""

    source: str
    records: tuple[Record, ...] = ()
    error: str = ""
    remarks: tuple[str, ...] = ()


def simulate_films(
    paths: Iterable[StrPath],
    out: StrPath,
    *,
    recipe: Recipe,
    soft: Mapping[str, Annotation] | None = None,
    progress: Callable[[Simulated], None] | None = None,
) -> tuple[Simulated, ...]:
    """Put deposits into films and write them with their truth.

    Parameters
    ----------
    paths
        Films, folders and DICOMDIR files.
    out
        Folder for the results, made when missing; not one that films are read from.
    recipe
        What is done to each film.
    soft
        Annotations by file name (`calcidetect.simulation.annotations.read_annotations`); deposits go into
        their soft tissue.
        None: into what the program itself takes for soft tissue, see `own_soft_tissue`.
    progress
        Called after each film.

    Returns
    -------
    tuple of Simulated
        One for each film, in order.

    Raises
    ------
    ConfigError
        When `out` is a folder that films are read from.
    ReadError
        When a folder holds no films.
    OutputError
        When the folder can't be made or a file can't be written.
    """
    given, folder = [Path(path) for path in paths], Path(out)
    _refuse_input_folder(folder, given)
    films = [os.fspath(film) for film in readers.find_films(given)]
    make_folder(folder)
    names, done = output_names(films, endings=recipe.endings), []
    for film in films:
        done.append(_simulated(film, folder / names[film], recipe, soft))
        if progress:
            progress(done[-1])
    truth = {
        "version": TRUTH_VERSION,
        "seed": recipe.seed,
        "films": [record for item in done for record in item.records],
    }
    write_bytes(folder / TRUTH_FILE, (json.dumps(truth, indent=1) + "\n").encode("utf-8"))
    return tuple(done)


def _refuse_input_folder(out: Path, paths: Sequence[Path]) -> None:
    """A second run would take the results of the first for films."""
    target = out.resolve()
    for path in paths:
        source = path.resolve()
        if target == source or (os.path.isdir(source) and source in target.parents) or target == source.parent:
            raise ConfigError(f"The films in {path} are read from {out} too; choose a folder apart for the results.")


def _simulated(film: str, target: Path, recipe: Recipe, soft: Mapping[str, Annotation] | None) -> Simulated:
    try:
        scene = _scene(film, recipe, soft)
        copies = [_write_copy(scene, target, recipe, copy) for copy in range(recipe.copies)]
        clean = [_write_clean(scene, target)] if recipe.clean else []
    except OutputError:
        raise
    except CalcidetectError as error:
        return Simulated(source=film, error=str(error))
    return Simulated(source=film, records=(*copies, *clean), remarks=_remarks(scene, copies, recipe))


def _remarks(scene: _Scene, copies: Sequence[Record], recipe: Recipe) -> tuple[str, ...]:
    name = scene.radiograph.source.path
    least = recipe.count[0]
    remarks = [
        f"{name}: {least} deposits or more were wanted in {record['film']}, it had room for {len(record['deposits'])}."
        for record in copies
        if len(record["deposits"]) < least
    ]
    if scene.mm_basis == "nominal":
        remarks.append(f"{name} has no pixel spacing; sizes rest on a pitch of {scene.mm_px:.3g} mm, which is assumed.")
    if inversion_log_odds(scene.radiograph.pixels) >= INVERTED_FROM:
        remarks.append(f"{name}: as a PNG it may be read with its polarity turned over.")
    return tuple(remarks)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scene:
    """A film made ready: a signal that deposits add to, and where they may lie; `dark` when linear in exposure."""

    radiograph: Radiograph
    signal: FloatImage
    dark: float | None
    region: str
    mm_px: float
    mm_basis: str
    bone_step: float
    allowed: Mask
    real: tuple[Box, ...]
    ignore: tuple[Box, ...]


def _scene(film: str, recipe: Recipe, soft: Mapping[str, Annotation] | None) -> _Scene:
    note = _note(film, soft)
    radiograph = readers.load(film, spacing_mm=recipe.spacing_mm)
    basis = "nominal" if radiograph.grid.spacing_mm is None else radiograph.grid.spacing_source
    if note.mm_px is not None:
        basis = "annotation"
        grid = dataclasses.replace(
            radiograph.grid, spacing_mm=note.mm_px, spacing_source="given", nominal_mm=note.mm_px
        )
        radiograph = dataclasses.replace(radiograph, grid=grid)
    region = note.region or regions.recognise(radiograph.source).name
    dark = dark_level(radiograph.pixels, bits=radiograph.source.bits) if radiograph.tone == "linear" else None
    signal = radiograph.pixels if dark is None else log_signal(radiograph.pixels, dark)
    real, ignore = (_boxes_on(radiograph, boxes) for boxes in (note.real, note.ignore))
    ready = dataclasses.replace(radiograph, pixels=signal)
    mm_px, step, allowed = _annotated(ready, note) if len(note.step_pairs) and note.soft else _measured(ready, note)
    return _Scene(
        radiograph=radiograph,
        signal=signal,
        dark=dark,
        region=region,
        mm_px=mm_px,
        mm_basis=basis,
        bone_step=step,
        allowed=allowed & radiograph.valid & ~_box_mask(signal.shape, real + ignore),
        real=real,
        ignore=ignore,
    )


def _note(film: str, soft: Mapping[str, Annotation] | None) -> Annotation:
    name = Path(film).name
    if soft is None:
        return Annotation(film=name, step_pairs=np.empty((0, 2, 2)))
    if name not in soft or not soft[name].soft:
        raise ConfigError(f"{film} has no polygons of soft tissue; add them for {name!r}, or leave the option out.")
    return soft[name]


def _annotated(radiograph: Radiograph, note: Annotation) -> tuple[float, float, Mask]:
    """Pitch, bone step and soft tissue by the annotation alone: nothing needs to be found on the film."""
    pitch = radiograph.grid.nominal_mm
    pairs = radiograph.grid.from_source(note.step_pairs)
    step = annotated_step(radiograph.pixels, pairs, pixel_mm=pitch)
    if not step > 0:
        raise ConfigError(
            f"{radiograph.source.path}: by its step_pairs bone is no brighter than soft tissue; correct them."
        )
    return pitch, step, _polygons(radiograph, note)


def _measured(radiograph: Radiograph, note: Annotation) -> tuple[float, float, Mask]:
    """Pitch, bone step and, without polygons, soft tissue as the program finds them."""
    config = Config()
    seen = pipeline.find_region(radiograph, config)
    upright, field = seen.upright
    planes = film_planes(upright, field, pixel_mm=config.bone.pixel_mm)
    anatomy = turned(bone.segment_bone(upright, field, planes=planes, settings=config.bone), -seen.turns)
    working = seen.working
    pitch = working.grid.nominal_mm * working.grid.shape[0] / radiograph.grid.shape[0]
    if note.soft:
        return pitch, anatomy.bone_step, _polygons(radiograph, note)
    soft = own_soft_tissue(anatomy, pixel_mm=working.grid.nominal_mm)
    return pitch, anatomy.bone_step, ops.resize_mask(soft, radiograph.grid.shape, share=0.99)


def own_soft_tissue(anatomy: Anatomy, *, pixel_mm: float) -> Mask:
    """Body at least `BONE_GAP_MM` from bone and `SKIN_GAP_MM` from air, bool (rows, cols); on chest films, lung too."""
    far_from_bone = anatomy.bone_distance_px * pixel_mm > BONE_GAP_MM
    return anatomy.body & far_from_bone & (anatomy.skin_distance_px * pixel_mm > SKIN_GAP_MM)


def _polygons(radiograph: Radiograph, note: Annotation) -> Mask:
    return polygon_mask(radiograph.grid.shape, [radiograph.grid.from_source(corners) for corners in note.soft])


def _boxes_on(radiograph: Radiograph, boxes: Sequence[Box]) -> tuple[Box, ...]:
    """Boxes of the file's matrix on the film's grid, which differs where pixels are oblong."""
    down, across = radiograph.grid.step
    return tuple(
        (round(x0 / across), round(y0 / down), round(x1 / across), round(y1 / down)) for x0, y0, x1, y1 in boxes
    )


def _box_mask(shape: tuple[int, int], boxes: Sequence[Box]) -> Mask:
    mask = np.zeros(shape, bool)
    for x0, y0, x1, y1 in boxes:
        mask[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = True
    return mask


def _write_copy(scene: _Scene, target: Path, recipe: Recipe, copy: int) -> Record:
    rng = np.random.default_rng([recipe.seed, copy, *bytes.fromhex(scene.radiograph.source.pixel_hash)])
    low, high = recipe.count
    signal, truth, deposits = insert_deposits(
        scene.signal,
        scene.allowed,
        count=int(rng.integers(low, high, endpoint=True)),
        bone_step=scene.bone_step,
        pixel_mm=scene.mm_px,
        rng=rng,
    )
    pixels = signal if scene.dark is None else linear_signal(signal, scene.dark)
    name = f"{target.name}{recipe.copy_endings[copy]}"
    return _write(scene, target.with_name(name), pixels, truth, deposits)


def _write_clean(scene: _Scene, target: Path) -> Record:
    pixels = scene.radiograph.pixels
    return _write(scene, target.with_name(f"{target.name}{CLEAN_ENDING}"), pixels, np.zeros(pixels.shape, np.int32), ())


def _write(scene: _Scene, target: Path, pixels: FloatImage, truth: LabelImage, deposits: Sequence[Deposit]) -> Record:
    gain, offset = _scale(scene.radiograph)
    film, mask = target.with_name(f"{target.name}.png"), target.with_name(f"{target.name}{MASK_ENDING}.png")
    write_bytes(film, _png(np.clip(np.round((pixels - np.float32(offset)) * gain), 0, FULL_SCALE)))
    write_bytes(mask, _png(truth))
    return {
        "film": film.name,
        "source": Path(scene.radiograph.source.path).name,
        "region": scene.region,
        "mm_px": round(scene.mm_px, 6),
        "mm_px_basis": scene.mm_basis,
        "bone_step": scene.bone_step,
        "scale": {"gain": gain, "offset": offset},
        "mask": mask.name,
        "deposits": [_rounded(dataclasses.asdict(deposit)) for deposit in deposits],
        "ignore": [list(box) for box in scene.ignore],
        "real": [list(box) for box in scene.real],
    }


def _scale(radiograph: Radiograph) -> tuple[float, float]:
    """Gain and offset from signal to stored values: the same for a film with and without deposits.

    The whole range of the source's bits becomes that of the PNG, so that 8 bits are times 257 and 16 bits stay; films
    that a modality table took out of that range are stretched from their own least to their own greatest value.
    """
    low, high, full = float(radiograph.pixels.min()), float(radiograph.pixels.max()), 2.0**radiograph.source.bits - 1
    if low >= 0 and high <= full:
        return FULL_SCALE / full, 0.0
    return FULL_SCALE / max(high - low, 1e-6), low


def _png(values: npt.NDArray[Any]) -> bytes:
    return bytes(imagecodecs.png_encode(values.astype(np.uint16), level=PNG_LEVEL))


def _rounded(values: Record) -> Record:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()}
