"""Body regions: one TOML file each, with the names a header may give and what is usual there; header or picture."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from calcidetect.anatomy.region_model import Look
from calcidetect.errors import ConfigError
from calcidetect.types import Source

NAMES = ("chest", "shoulder", "hand", "wrist", "elbow", "knee", "foot", "hip", "other")
"""Every region that ``--region`` takes beside ``auto``."""

MIN_CHANCE = 0.4
"""Least probability at which the picture's best region is taken; on 671 films left out 88 % are right so and 6 % are
given another region's name; 86 and 4 % at 0.5."""

SURE_CHANCE = 0.98
ABSURD_CHANCE = 0.01
"""The picture overrules a header when it is so sure of another region and gives all that the header may mean so little:
never on 671 films left out, had their headers been right; once at 0.95."""

OVERRULED = "region_overruled"
"""Flag of a film whose header names another region than its picture shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mimic:
    """What is often there and is no deposit.

    Attributes
    ----------
    label
        One of `types.LABELS`.
    areas
        Areas of `zones` where it lies.
    bounds
        Least and greatest value of features of `candidate_features`, or of the ``score``, that it shows.
    max_age_years
        Patients older than this have none; None for any age.
    """

    label: str
    areas: tuple[str, ...]
    bounds: Mapping[str, tuple[float, float]]
    max_age_years: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A body region and what is usual there.

    Attributes
    ----------
    name
        One of `NAMES`.
    body_parts
        Words of DICOM Body Part Examined that name it, in capitals.
    field_width_mm
        Usual longer side of the exposed field; sizes operators where spacing is unknown.
    looks
        Looks of `region_model` that a film of this region may have.
    mimics
        What is usual there and no deposit; the first that fits names a candidate.
    """

    name: str
    body_parts: tuple[str, ...]
    field_width_mm: float
    looks: tuple[str, ...]
    mimics: tuple[Mimic, ...] = ()


@cache
def get(name: str) -> Region:
    """Read a region's file.

    Raises
    ------
    ConfigError
        For a name that is none of `NAMES`.
    """
    if name not in NAMES:
        raise ConfigError(f"There is no region {name!r}; choose auto, {', '.join(NAMES)}.")
    text = resources.files("calcidetect").joinpath("data", "regions", f"{name}.toml").read_text(encoding="utf-8")
    content = tomllib.loads(text)
    return Region(
        name=name,
        body_parts=tuple(content["body_parts"]),
        field_width_mm=content["field_width_mm"],
        looks=tuple(content["looks"]),
        mimics=tuple(_mimic(entry) for entry in content.get("mimics", ())),
    )


def _mimic(entry: Mapping[str, Any]) -> Mimic:
    bounds = {name: (float(low), float(high)) for name, (low, high) in entry.get("bounds", {}).items()}
    oldest = entry.get("max_age_years")
    return Mimic(label=entry["label"], areas=tuple(entry["areas"]), bounds=bounds, max_age_years=oldest)


def recognise(source: Source) -> Region:
    """Region by the film's header; ``other`` where it says nothing known."""
    said = source.body_part.upper().strip()
    known = (get(name) for name in NAMES)
    return next(
        (region for region in known if said and any(said.startswith(p) for p in region.body_parts)), get("other")
    )


def decide(said: Region, look: Look) -> tuple[Region, tuple[str, ...]]:
    """Region by header and picture.

    The header counts where it says something, unless the picture is very sure of something else; without a header the
    picture counts where it is sure enough.

    Parameters
    ----------
    said
        What `recognise` made of the header; ``other`` where it says nothing.
    look
        What the picture looks like.

    Returns
    -------
    region, flags
        `OVERRULED` among the flags where the picture won.
    """
    best = max(look.chances, key=lambda name: look.chances[name])
    chance = look.chances[best]
    seen = get(best if best in NAMES and chance >= MIN_CHANCE else "other")
    if said.name == "other":
        return seen, ()
    absurd = chance >= SURE_CHANCE and _likeness(said, look) <= ABSURD_CHANCE
    return (seen, (OVERRULED,)) if absurd else (said, ())


def field_width_mm(region: Region, look: Look) -> float:
    """Longer side of the exposed field in mm: by the picture, where it looks like the region; else what is usual."""
    if region.name == "other" or _likeness(region, look) >= MIN_CHANCE:
        return look.field_mm
    return region.field_width_mm


def _likeness(region: Region, look: Look) -> float:
    return sum(look.chances.get(name, 0.0) for name in region.looks)
