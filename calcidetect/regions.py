"""Body regions: one TOML file each, with the names a header may give and what is usual there."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from calcidetect.errors import ConfigError
from calcidetect.types import Source

NAMES = ("chest", "shoulder", "hand", "wrist", "elbow", "knee", "foot", "hip", "other")


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
    """

    name: str
    body_parts: tuple[str, ...]
    field_width_mm: float


def names() -> tuple[str, ...]:
    """Every region that ``--region`` takes beside ``auto``."""
    return NAMES


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
    return Region(name=name, body_parts=tuple(content["body_parts"]), field_width_mm=content["field_width_mm"])


def recognise(source: Source) -> Region:
    """Region by the film's header; ``other`` where it says nothing known."""
    said = source.body_part.upper().strip()
    known = (get(name) for name in NAMES)
    return next(
        (region for region in known if said and any(said.startswith(p) for p in region.body_parts)), get("other")
    )
