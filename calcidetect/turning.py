"""Films and what was learnt of them, turned by quarters: a chest film that lies on its side is read upright."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import numpy as np

from calcidetect.types import Anatomy, Background, Field, Grid, Radiograph

Record = TypeVar("Record", Radiograph, Field, Anatomy, Background)


def turned(record: Record, turns: int) -> Record:
    """Turn every image of a record, and its grid.

    Parameters
    ----------
    record
        Of a film whose pixels are square; images (rows, cols).
    turns
        Quarter turns counter-clockwise; negative ones go back.
    """
    if turns % 4 == 0:
        return record
    values = {each.name: getattr(record, each.name) for each in dataclasses.fields(record)}
    return dataclasses.replace(record, **{name: _turned(value, turns) for name, value in values.items()})


def turned_image(image: np.ndarray, turns: int) -> np.ndarray:
    """An image (rows, cols) after quarter turns counter-clockwise, contiguous."""
    return np.ascontiguousarray(np.rot90(image, turns))


def _turned(value: Any, turns: int) -> Any:
    if isinstance(value, np.ndarray):
        return turned_image(value, turns)
    if isinstance(value, Grid) and turns % 2:
        return dataclasses.replace(value, shape=value.shape[::-1], source_shape=value.source_shape[::-1])
    return value
