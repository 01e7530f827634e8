"""A summary of a batch, in lines of text."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from calcidetect.batch.results import DUPLICATE, FilmResult
from calcidetect.types import MARK

_MAX_SHOWN = 10  # kinds of trouble, the most frequent ones


@dataclass(slots=True)
class _Region:
    films: int = 0
    with_marks: int = 0
    marks: int = 0
    burden_mm2: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Tally:
    regions: dict[str, _Region] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    patients: set[str] = field(default_factory=set)
    labels: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)


def summary(results: Iterable[FilmResult]) -> tuple[str, ...]:
    """Count films, marks and trouble.

    Parameters
    ----------
    results
        Of all films; gone through once.

    Returns
    -------
    tuple of str
        Lines, without ends.
    """
    tally = _Tally()
    for result in results:
        _count(tally, result)
    return (*_totals(tally), *_table(tally.regions), *_counts(tally))


def _count(tally: _Tally, result: FilmResult) -> None:
    film = result.film
    tally.patients |= {result.patient} - {""}
    tally.flags.update(filter(None, film["flags"].split(";")))
    tally.labels.update(row["label"] for row in result.candidates)
    if not result.ok:
        tally.errors[_kind_of_error(result)] += 1
        return
    tally.seconds.append(float(film["seconds"] or 0))
    region = tally.regions.setdefault(film["region"], _Region())
    marks = sum(row["label"] == MARK for row in result.candidates)
    region.films += 1
    region.with_marks += marks > 0
    region.marks += marks
    if film["burden_mm2"] and marks:
        region.burden_mm2.append(float(film["burden_mm2"]))


def _kind_of_error(result: FilmResult) -> str:
    """The complaint without the film's name, so that equal ones are counted together."""
    return result.film["error"].replace(result.film["film"], "").strip(" :") or "no reason given"


def _totals(tally: _Tally) -> Iterator[str]:
    scanned = sum(region.films for region in tally.regions.values())
    with_marks = sum(region.with_marks for region in tally.regions.values())
    duplicates = tally.flags[DUPLICATE]
    yield f"{scanned} films scanned, {tally.errors.total()} failed, {with_marks} with marks, {duplicates} duplicates"
    if tally.patients:
        yield f"{len(tally.patients)} patients"
    if tally.seconds:
        yield f"{sum(tally.seconds):.0f} s of work, {statistics.median(tally.seconds):.2f} s for the median film"


def _table(regions: Mapping[str, _Region]) -> Iterator[str]:
    if regions:
        yield f"{'region':<12}{'films':>8}{'with marks':>12}{'marks':>8}{'median burden mm2':>20}"
    for name, region in sorted(regions.items(), key=lambda item: -item[1].films):
        burden = f"{statistics.median(region.burden_mm2):.1f}" if region.burden_mm2 else "-"
        yield f"{name:<12}{region.films:>8}{region.with_marks:>12}{region.marks:>8}{burden:>20}"


def _counts(tally: _Tally) -> Iterator[str]:
    for title, counts in (("labels", tally.labels), ("flags", tally.flags), ("errors", tally.errors)):
        if counts:
            yield f"{title}:"
            yield from (f"{count:>8}  {name}" for name, count in counts.most_common(_MAX_SHOWN))
        if others := counts.most_common()[_MAX_SHOWN:]:
            yield f"{sum(count for _, count in others):>8}  of {len(others)} other kinds"
