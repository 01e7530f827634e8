"""What a reader has made of the candidates of one film: its marks, derived from all decisions in their order.

Nothing is ever changed or removed: undo and redo are decisions too. The same candidates and decisions give the same
marks, on any machine and at any time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from calcidetect.types import TRACHEAL, Candidate

State = Literal["undecided", "accepted", "rejected"]

UNDO, REDO = "undo", "redo"
ON_MARKS = ("accept", "reject", "relabel", "move", "reopen", "remove")
"""Actions on a mark that is there."""

DRAWING = ("draw_arrow", "draw_outline")
ACTIONS = (*ON_MARKS, *DRAWING, "comment", "reviewed", UNDO, REDO)
"""The closed set of what a reader can do."""

READER = "reader"
"""Origin of a mark that a reader drew."""

EARLIER = "earlier"
"""Origin of a mark that was decided on in an earlier scan, where this one has no such candidate."""

_KEPT = tuple(
    item.name for item in dataclasses.fields(Candidate) if item.name not in {"features", "reasons"}
)  # of a candidate, with a decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One row of the audit trail.

    Attributes
    ----------
    sequence
        1, 2, … over all films of a run.
    film
        SHA-256 of the film's pixels: decisions stay with the picture, whatever its name.
    reader, time
        Who, and when (UTC, ISO 8601).
    action
        One of `ACTIONS`.
    content
        What it takes to repeat it, as JSON knows it.
    """

    sequence: int
    film: str
    reader: str
    time: str
    action: str
    content: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A mark and what has been decided on it.

    Attributes
    ----------
    id
        The candidate's id; for others less the sequence number of the decision that made it, so below 0.
    origin
        The candidate's id, `READER` or `EARLIER`.
    state
        ``undecided``, ``accepted`` or ``rejected``.
    candidate
        Label, place, outline and measures as they are now. Contrasts of a drawn mark are not a number.
    original
        The candidate as the program reported it, or as the reader drew it.
    comment, reader, time
        Of the newest decision on it; empty without any.
    """

    id: int
    origin: int | str
    state: State
    candidate: Candidate
    original: Candidate
    comment: str = ""
    reader: str = ""
    time: str = ""

    @property
    def drawn(self) -> bool:
        """Whether a reader drew it."""
        return self.origin == READER


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmState:
    """All marks of a film, and what was decided on the film itself.

    Attributes
    ----------
    marks
        Candidates by falling score, then what was decided on in an earlier scan or drawn, in the order of decisions.
    weak
        Undecided candidates below the operating point: a decision makes marks of them.
    comment
        On the film.
    reviewed, reader, time
        Whether a reader is done with it, who said so and when.
    last
        Sequence number of the newest decision, 0 without any.
    undoable, redoable
        Numbers of decisions that can be taken back, and of those that can be made again.
    """

    marks: tuple[Mark, ...]
    weak: tuple[Mark, ...] = ()
    comment: str = ""
    reviewed: bool = False
    reader: str = ""
    time: str = ""
    last: int = 0
    undoable: int = 0
    redoable: int = 0

    def mark(self, number: Any) -> Mark | None:
        """The mark or weak candidate with this id, if there is one."""
        known = {mark.id: mark for mark in (*self.marks, *self.weak)}
        return known.get(number) if type(number) is int else None


def film_state(
    candidates: Sequence[Candidate], decisions: Iterable[Decision], *, least: float, shape: tuple[int, int]
) -> FilmState:
    """Derive the marks of a film.

    Parameters
    ----------
    candidates
        Of the film, as the run reports them.
    decisions
        On this film, oldest first.
    least
        Candidates that score less, and that nobody has decided on, are no marks.
    shape
        Rows and columns of the film, which no mark leaves.
    """
    trail = list(decisions)
    standing, undone = _standing(trail)
    marks = _Marks(candidates, shape)
    film: dict[str, Any] = {"last": trail[-1].sequence if trail else 0}
    for decision in standing:
        film |= _on_film(decision) if decision.content.get("mark") is None else {}
        marks.follow(decision)
    shown, weak = marks.parted(least)
    return FilmState(marks=shown, weak=weak, undoable=len(standing), redoable=undone, **film)


def _standing(trail: Sequence[Decision]) -> tuple[list[Decision], int]:
    """Decisions that hold after every undo and redo, and how many can be made again."""
    standing: list[Decision] = []
    undone: list[Decision] = []
    for decision in trail:
        if decision.action == UNDO:
            undone.append(standing.pop())
        elif decision.action == REDO:
            standing.append(undone.pop())
        else:
            standing.append(decision)
            undone.clear()
    return standing, len(undone)


def _on_film(decision: Decision) -> dict[str, Any]:
    if decision.action == "comment":
        return {"comment": decision.content["text"]}
    if decision.action == "reviewed":
        done = bool(decision.content["reviewed"])
        return {"reviewed": done, "reader": decision.reader, "time": decision.time}
    return {}


class _Marks:
    """The marks of a film while its decisions are followed."""

    def __init__(self, candidates: Sequence[Candidate], shape: tuple[int, int]) -> None:
        self._shape = shape
        self._marks = {item.id: _undecided(item, item.id, item.id) for item in candidates}
        self._by_place = {_place(item): item.id for item in candidates}
        self._touched: set[int] = set()

    def follow(self, decision: Decision) -> None:
        """Do what a decision says."""
        if decision.action in DRAWING:
            drawn = restored(decision.content["candidate"])
            self._put(dataclasses.replace(_undecided(drawn, -decision.sequence, READER), state="accepted"), decision)
        elif decision.content.get("mark") is not None:
            mark = self._named(decision)
            if decision.action == "remove":
                del self._marks[mark.id]
            else:
                self._put(_decided(mark, decision, self._shape), decision)

    def parted(self, least: float) -> tuple[tuple[Mark, ...], tuple[Mark, ...]]:
        """What reaches the operating point, the trachea and all that was decided on; then the others."""
        shown = {
            number: number in self._touched or mark.candidate.score >= least or mark.candidate.label == TRACHEAL
            for number, mark in self._marks.items()
        }
        strong, weak = (
            [mark for number, mark in self._marks.items() if shown[number] is want] for want in (True, False)
        )
        return tuple(strong), tuple(weak)

    def _named(self, decision: Decision) -> Mark:
        """The mark that a decision is about, by its place on the film: another scan may have numbered it anew.

        On a coarse film several share a place; then the number decides.
        """
        numbered = self._marks.get(decision.content["mark"])
        kept = decision.content.get("candidate")
        if kept is None:
            return self._marks[decision.content["mark"]]
        original = restored(kept)
        if numbered and _place(numbered.original) == _place(original):
            return numbered
        number = self._by_place.setdefault(_place(original), -decision.sequence)
        return self._marks.get(number) or _undecided(original, number, EARLIER)

    def _put(self, mark: Mark, decision: Decision) -> None:
        self._marks[mark.id] = dataclasses.replace(mark, reader=decision.reader, time=decision.time)
        self._touched.add(mark.id)


def _undecided(candidate: Candidate, number: int, origin: int | str) -> Mark:
    return Mark(id=number, origin=origin, state="undecided", candidate=candidate, original=candidate)


def _decided(mark: Mark, decision: Decision, shape: tuple[int, int]) -> Mark:
    """The mark after a decision; who gives it another label or place takes it to be there."""
    content, taken = decision.content, "accepted" if mark.state == "undecided" else mark.state
    match decision.action:
        case "accept":
            return dataclasses.replace(mark, state="accepted")
        case "reject":
            return dataclasses.replace(mark, state="rejected")
        case "reopen":
            return dataclasses.replace(mark, state="undecided", candidate=mark.original)
        case "relabel":
            named = dataclasses.replace(mark.candidate, label=content["label"])
            return dataclasses.replace(mark, state=taken, candidate=named)
        case "move":
            moved = moved_to(mark.original, row=content["row"], col=content["col"], shape=shape)  # it was not cut yet
            named = dataclasses.replace(moved, label=mark.candidate.label)
            return dataclasses.replace(mark, state=taken, candidate=named)
        case _:
            return dataclasses.replace(mark, comment=content["text"])


def moved_to(candidate: Candidate, *, row: float, col: float, shape: tuple[int, int]) -> Candidate:
    """The candidate with its centre elsewhere on a film of this shape; box and outline move along, cut at the edges."""
    down, right = row - candidate.row, col - candidate.col
    y0, y1 = _moved_side(candidate.y0, candidate.y1, round(down), shape[0])
    x0, x1 = _moved_side(candidate.x0, candidate.x1, round(right), shape[1])
    lowest, rightmost = shape[0] - 0.5, shape[1] - 0.5
    contour = ((min(max(r + down, -0.5), lowest), min(max(c + right, -0.5), rightmost)) for r, c in candidate.contour)
    return dataclasses.replace(candidate, row=row, col=col, x0=x0, x1=x1, y0=y0, y1=y1, contour=tuple(contour))


def _moved_side(low: int, high: int, by: int, size: int) -> tuple[int, int]:
    """Ends of a box along one axis, moved; at least one pixel stays on the film."""
    low = min(max(low + by, 0), size - 1)
    return low, max(low + 1, min(high + by, size))


def _place(candidate: Candidate) -> tuple[int, int, int, int]:
    return candidate.x0, candidate.y0, candidate.x1, candidate.y1


def kept(candidate: Candidate) -> dict[str, Any]:
    """A candidate as JSON knows it, to be kept with a decision; what is not a number becomes null."""
    values = {name: getattr(candidate, name) for name in _KEPT}
    return {name: None if value != value else value for name, value in values.items()}  # noqa: PLR0124


def restored(kept: Mapping[str, Any]) -> Candidate:
    """The candidate that was kept with a decision."""
    values = dict(kept) | {
        "contour": tuple((row, col) for row, col in kept["contour"]),
        "flags": tuple(kept["flags"]),
    }
    for name in ("contrast_noise", "contrast_bone"):
        values[name] = float("nan") if values[name] is None else values[name]
    return Candidate(**values)
