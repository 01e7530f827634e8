"""Films with known truth, made ready to be scanned and judged: annotated films with deposits put in, and phantoms."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from detectors import GivenFilm

from calcidetect.phantom import KINDS
from calcidetect.phantom.samples import write_samples
from calcidetect.simulation.annotations import read_annotations
from calcidetect.simulation.simulations import Recipe, Simulated, simulate_films
from calcidetect.types import MARK

Record = dict[str, Any]
POINTS = ("bone_points", "soft_points")


@dataclass(frozen=True, kw_only=True)
class Material:
    """Films, those with deposits put in first, the file that tells what is on them, and a folder of bone masks."""

    films: tuple[GivenFilm, ...]
    lesioned: int
    truth: Path
    masks: Path


def annotated_films(
    films: Path, annotations: Path, masks: Path | None, scratch: Path, *, copies: int, seed: int
) -> Material:
    """Put deposits into the soft tissue of annotated films; each film is there untouched too.

    Bone is judged on the untouched films alone, so that none counts more than once. Films without polygons of soft
    tissue get no deposits. Everything is written below `scratch`.

    Parameters
    ----------
    films
        Folder; the names in the annotations may hold folders below it.
    annotations
        JSON, see `annotated.py`.
    masks
        Folder of ``NAME.png``, NAME as in the annotations, with its folders or without, less its suffix.
    scratch
        A folder to be made.
    copies, seed
        See `calcidetect.simulation.simulations.Recipe`.
    """
    items = {_flat(item["film"]): item for item in _present(films, annotations)}
    soft = {name: item for name, item in items.items() if item.get("soft")}
    paths = _copied(films, soft, scratch / "originals", suffix="")
    notes = scratch / "annotations.json"
    notes.write_text(json.dumps([item | {"film": name} for name, item in soft.items()]), encoding="utf-8")
    recipe, folder = Recipe(seed=seed, copies=copies, clean=True), scratch / "simulated"
    done = simulate_films(paths, folder, recipe=recipe, soft=read_annotations(notes), progress=_tell) if soft else ()
    lesioned = [record for film in done for record in film.records[:-1]]
    untouched = [film.records[-1] for film in done if film.records]
    bare = {name: item for name, item in items.items() if name not in soft and item.get("mm_px")}
    more = _copied(films, bare, folder, suffix="_clean")
    untouched += [
        item | {"film": path.name, "source": name} for path, (name, item) in zip(more, bare.items(), strict=True)
    ]
    known = [_with_bone(record, items[record["source"]], masks, scratch / "masks") for record in untouched]
    return _material([*lesioned, *known], folder, scratch, lesioned=len(lesioned))


def _present(films: Path, annotations: Path) -> list[Record]:
    """Records whose film is there; says of which it is not."""
    records = json.loads(annotations.read_text(encoding="utf-8"))
    there = [record for record in records if (films / record["film"]).is_file()]
    if not there:
        raise SystemExit(f"{films} holds none of the films of {annotations}; check both.")
    if len(there) < len(records):
        print(f"{len(records) - len(there)} films of {annotations.name} are not in {films}.", file=sys.stderr)
    return there


def _flat(name: str) -> str:
    """A name without folders, as the package knows films, that no film of another folder has."""
    return "_".join(PurePosixPath(name).parts)


def _copied(films: Path, items: dict[str, Record], folder: Path, *, suffix: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{Path(name).stem}{suffix}{Path(name).suffix}" for name in items]
    for path, item in zip(paths, items.values(), strict=True):
        shutil.copyfile(films / item["film"], path)
    return paths


def _tell(film: Simulated) -> None:
    for text in (film.error, *film.remarks):
        if text:
            print(f"{Path(film.source).name}: {text.replace(film.source, 'it')}", file=sys.stderr)


def _with_bone(record: Record, item: Record, masks: Path | None, folder: Path) -> Record:
    """The record with the film's labelled points; its mask is copied to where the evaluation looks for it."""
    folder.mkdir(parents=True, exist_ok=True)
    name = PurePosixPath(item["film"]).with_suffix(".png")
    places = [] if masks is None else [masks / name, masks / name.name]
    for place in [place for place in places if place.is_file()][:1]:
        shutil.copyfile(place, folder / f"{Path(record['film']).stem}.png")
    return record | {key: item[key] for key in POINTS if key in item}


def _material(records: Sequence[Record], folder: Path, scratch: Path, *, lesioned: int) -> Material:
    truth = scratch / "truth.json"
    truth.write_text(json.dumps({"films": records}), encoding="utf-8")
    films = tuple(GivenFilm(path=folder / record["film"], spacing_mm=_stated(record)) for record in records)
    return Material(films=films, lesioned=lesioned, truth=truth, masks=scratch / "masks")


def _stated(record: Record) -> float | None:
    """The film's pitch, where anything but an assumption is known of it."""
    return None if record.get("mm_px_basis") == "nominal" else record["mm_px"]


def phantom_films(scratch: Path, *, count: int, seed: int) -> Material:
    """Write `count` synthetic films of each kind with their truth and exact bone masks below `scratch`."""
    folder, masks = scratch / "films", scratch / "masks"
    paths = write_samples(folder, kinds=KINDS, seed=seed, count=count, bone_masks=True)
    masks.mkdir()
    for path in paths:
        shutil.move(path.with_name(f"{path.stem}.bone.png"), masks / f"{path.stem}.png")
    records = [_phantom_record(json.loads(path.with_suffix(".truth.json").read_text("utf-8"))) for path in paths]
    return _material(records, folder, scratch, lesioned=len(records))


def _phantom_record(truth: Record) -> Record:
    """A phantom's truth as the evaluation reads it; mimics are neither right nor wrong."""
    mm = truth["spacing_mm"]
    deposits = [item for item in truth["deposits"] if item["label"] == MARK]
    return {
        "film": truth["film"],
        "region": truth["kind"],
        "mm_px": mm,
        "deposits": list(_phantom_deposits(deposits, mm)),
        "ignore": [_box(item) for item in truth["deposits"] if item["label"] != MARK],
    }


def _phantom_deposits(deposits: Sequence[Record], mm: float) -> Iterator[Record]:
    """With the longer side of its box for a diameter, about its greatest extent."""
    for item in deposits:
        x0, y0, x1, y1 = box = _box(item)
        known = {"box": box, "diameter_mm": max(x1 - x0, y1 - y0) * mm, "contrast": item["contrast_bone"]}
        yield {key: item[key] for key in ("id", "morphology", "area_px", "row", "col")} | known


def _box(item: Record) -> list[int]:
    return [item[side] for side in ("x0", "y0", "x1", "y1")]
