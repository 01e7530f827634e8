"""What a page asks for, understood: a decision out of the JSON that it sends, or a sentence on why it is none."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from calcidetect.batch.names import as_utf8
from calcidetect.errors import CalcidetectError
from calcidetect.review.marks import ACTIONS, ON_MARKS, REDO, UNDO, FilmState, Mark, kept
from calcidetect.types import LABELS, MARK, Candidate

MOST_CORNERS = 2000
"""Of an outline that a reader draws."""

LONGEST_TEXT = 2000
"""Characters of a comment."""

ARROW_MM = 3.0
"""Side of the box around the point that a drawn arrow shows; the least that `evaluate` gives to any box."""

_FAR_PX = 1e9  # beyond any film
_ARROW_PX = 15  # the same without spacing: 3 mm on a film of 0.2 mm pixels


class Refused(CalcidetectError):
    """What a page asked for makes no sense."""


class Film(NamedTuple):
    """What a decision must fit: size of the film in its own pixels, and their pitch."""

    rows: int
    cols: int
    spacing_mm: float | None


def understood(asked: Any, state: FilmState, *, film: Film) -> tuple[str, dict[str, Any]]:
    """Turn what a page sends into the action and the content of a `Decision`.

    Parameters
    ----------
    asked
        ``action``, and what it takes: ``mark`` (its id), ``label``, ``row`` and ``col``, ``contour`` (``[x, y]``
        corners), ``text``, ``reviewed``. Places in source pixels, pixel centres at integers.
    state
        Of the film.
    film
        Its size.

    Raises
    ------
    Refused
        When it makes no sense.
    """
    if not isinstance(asked, dict) or asked.get("action") not in ACTIONS:
        raise Refused(f"A decision is a JSON object with an action, one of {', '.join(ACTIONS)}.")
    action = asked["action"]
    if action in ON_MARKS or (action == "comment" and asked.get("mark") is not None):
        mark = _mark(asked, state)
        return action, _about(mark) | _on_mark(asked, mark, film)
    return action, _on_film(asked, state, film)


def _on_mark(asked: Mapping[str, Any], mark: Mark, film: Film) -> dict[str, Any]:
    match asked["action"]:
        case "relabel":
            return {"label": _label(asked)}
        case "move":
            row, col = _place(asked, film)
            return {"row": row, "col": col}
        case "comment":
            return {"text": _text(asked)}
        case "remove" if not mark.drawn:
            raise Refused("Only a mark that a reader drew can be removed; reject this one instead.")
        case _:
            return {}


def _on_film(asked: Mapping[str, Any], state: FilmState, film: Film) -> dict[str, Any]:
    match asked["action"]:
        case "draw_arrow":
            return {"candidate": kept(_arrow(asked, film))}
        case "draw_outline":
            return {"candidate": kept(_outline(asked, film))}
        case "comment":
            return {"text": _text(asked)}
        case "reviewed":
            done = asked.get("reviewed", True)
            if not isinstance(done, bool):
                raise Refused("A film is reviewed or it is not: true or false.")
            return {"reviewed": done}
        case action if action == UNDO and not state.undoable:
            raise Refused("There is nothing to undo on this film.")
        case action if action == REDO and not state.redoable:
            raise Refused("There is nothing to do again on this film.")
    return {}


def _about(mark: Mark) -> dict[str, Any]:
    """The mark by its id, and by its place where it stems from a scan: another one may number it anew."""
    return {"mark": mark.id} if mark.drawn else {"mark": mark.id, "candidate": kept(mark.original)}


def _mark(asked: Mapping[str, Any], state: FilmState) -> Mark:
    mark = state.mark(asked.get("mark"))
    if mark is None:
        raise Refused(f"The film has no mark {asked.get('mark')!r:.40}; load it again.")
    return mark


def _label(asked: Mapping[str, Any]) -> str:
    label = asked.get("label", MARK)
    if label not in LABELS:
        raise Refused(f"There is no label {label!r:.40}; choose one of {', '.join(LABELS)}.")
    return str(label)


def _text(asked: Mapping[str, Any]) -> str:
    text = asked.get("text")
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise Refused(f"A comment is a text of at most {LONGEST_TEXT} characters.")
    return as_utf8(text).strip()


def _place(asked: Mapping[str, Any], film: Film) -> tuple[float, float]:
    row, col = (_number(asked.get(name)) for name in ("row", "col"))
    if not (-0.5 <= row <= film.rows - 0.5 and -0.5 <= col <= film.cols - 0.5):
        raise Refused(f"Row {row:g}, column {col:g} lies outside the film of {film.rows} x {film.cols} pixels.")
    return row, col


def _number(value: Any) -> float:
    """A number that can be a place; JSON may hold NaN, and whole numbers of any length."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _FAR_PX:
        raise Refused("A place on the film is two numbers, row and column, not what was sent.")
    return float(value)


def _arrow(asked: Mapping[str, Any], film: Film) -> Candidate:
    row, col = _place(asked, film)
    half = (ARROW_MM / film.spacing_mm if film.spacing_mm else _ARROW_PX) / 2
    low = [max(0, math.floor(centre - half + 0.5)) for centre in (row, col)]
    high = [
        min(size, max(math.ceil(centre + half + 0.5), start + 1))
        for centre, size, start in zip((row, col), (film.rows, film.cols), low, strict=True)
    ]
    return _drawn(asked, row=row, col=col, box=(low[1], low[0], high[1], high[0]))


def _outline(asked: Mapping[str, Any], film: Film) -> Candidate:
    corners = np.array(_corners(asked.get("contour"), film))
    (row, col), area = _centre_and_area(corners)
    (y0, x0), (y1, x1) = np.floor(corners.min(axis=0) + 0.5), np.ceil(corners.max(axis=0) + 0.5)
    box = max(0, int(x0)), max(0, int(y0)), min(film.cols, int(x1)), min(film.rows, int(y1))
    drawn = _drawn(asked, row=row, col=col, box=box)
    area_mm2 = area * film.spacing_mm**2 if film.spacing_mm else None
    return dataclasses.replace(
        drawn,
        area_px=area,
        area_mm2=area_mm2,
        diameter_mm=2 * math.sqrt(area_mm2 / math.pi) if area_mm2 else None,
        contour=tuple((float(r), float(c)) for r, c in corners),
    )


def _corners(contour: Any, film: Film) -> list[tuple[float, float]]:
    """Corners ``(row, col)`` of ``[x, y]`` ones."""
    if not isinstance(contour, Sequence) or isinstance(contour, str) or not 3 <= len(contour) <= MOST_CORNERS:
        raise Refused(f"An outline is a list of 3 to {MOST_CORNERS} corners [x, y].")
    if any(not isinstance(corner, list) or len(corner) != 2 for corner in contour):
        raise Refused("Each corner of an outline is a pair [x, y].")
    return [_place({"row": y, "col": x}, film) for x, y in contour]


def _centre_and_area(corners: np.ndarray) -> tuple[tuple[float, float], float]:
    """Centre of mass and area in square pixels of a polygon; an outline without area is refused."""
    middle = corners.mean(axis=0)
    y, x = (corners - middle).T
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    twice = float(cross.sum())
    if abs(twice) < 1.0:
        raise Refused("The outline encloses less than half a pixel; draw it larger.")
    col, row = (float((cross * (side + np.roll(side, -1))).sum() / (3 * twice)) for side in (x, y))
    inside = np.clip(
        middle + np.array([row, col]), corners.min(axis=0), corners.max(axis=0)
    )  # of one that crosses itself
    return (float(inside[0]), float(inside[1])), abs(twice) / 2


def _drawn(asked: Mapping[str, Any], *, row: float, col: float, box: tuple[int, int, int, int]) -> Candidate:
    x0, y0, x1, y1 = box
    nothing = float("nan")
    return Candidate(
        id=0,
        score=0.0,
        label=_label(asked),
        zone="",
        x0=x0,
        y0=y0,
        x1=x1,
        y1=y1,
        row=row,
        col=col,
        area_px=0.0,
        area_mm2=None,
        diameter_mm=None,
        contrast_noise=nothing,
        contrast_bone=nothing,
        bone_distance_mm=None,
    )
