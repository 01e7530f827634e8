"""Boosted decision tables: small fitted scorers, evaluated with NumPy alone.

A decision table (an oblivious tree) asks the same questions of every sample, one per level, and reads its answer from a
table; a sum of a hundred of them is a log-odds. Fitting is done by the scripts in ``benchmarks/``, which write the JSON
files in ``calcidetect/data``; `calcidetect.refit` moves the answers of the scorer's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from calcidetect import ops

CHUNK = 1 << 14
"""Samples scored at once, about; 16 k took the least time of 4 k to 64 k on 220,000 samples."""


MOST_QUESTIONS = 8
"""Of one table: its answers, a bit each, are held in a byte."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoostedTables:
    """A sum of decision tables.

    Attributes
    ----------
    names
        The features, in the order of the planes that `log_odds` takes.
    feature
        int (tables, depth): which feature each question asks of.
    threshold
        float32 (tables, depth): the answer is 1 where the feature exceeds this.
    leaf
        float32 (tables, 2 ** depth): log-odds by answer; the first question is the lowest bit.
    bias
        Log-odds before any table.
    """

    names: tuple[str, ...]
    feature: npt.NDArray[np.intp]
    threshold: npt.NDArray[np.float32]
    leaf: npt.NDArray[np.float32]
    bias: float

    def __post_init__(self) -> None:
        tables, depth = self.feature.shape
        if self.threshold.shape != (tables, depth) or self.leaf.shape != (tables, 2**depth):
            raise ValueError(f"tables of shapes {self.feature.shape}, {self.threshold.shape}, {self.leaf.shape} differ")
        if not 1 <= depth <= MOST_QUESTIONS:
            raise ValueError(f"a table asks 1 to {MOST_QUESTIONS} questions, these ask {depth}")
        if self.feature.size and not 0 <= self.feature.min() <= self.feature.max() < len(self.names):
            raise ValueError("a question asks of a feature that has no name")


@cache
def load_tables(name: str) -> BoostedTables:
    """Read the shipped tables ``calcidetect/data/<name>.json``."""
    return parse_tables(resources.files("calcidetect").joinpath("data", f"{name}.json").read_text(encoding="utf-8"))


def parse_tables(text: str) -> BoostedTables:
    """Read tables from the JSON that the fitting scripts write."""
    content = json.loads(text)
    return BoostedTables(
        names=tuple(content["names"]),
        feature=np.array(content["feature"], np.intp),
        threshold=np.array(content["threshold"], np.float32),
        leaf=np.array(content["leaf"], np.float32),
        bias=float(content["bias"]),
    )


def log_odds(tables: BoostedTables, planes: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Score samples.

    Parameters
    ----------
    tables
        The fitted tables.
    planes
        One float32 array of shape (n,) per name in `tables.names`.

    Returns
    -------
    float32 (n,)
        Log-odds; `probability` turns them into 0 to 1.
    """
    if len(planes) != len(tables.names):
        raise ValueError(f"expected {len(tables.names)} features, got {len(planes)}")
    result = np.full(len(planes[0]), tables.bias, np.float32)
    leaves = np.zeros((len(tables.leaf), 256), np.float32)
    leaves[:, : tables.leaf.shape[1]] = tables.leaf
    parts = max(round(len(result) / CHUNK), min(len(result), 1))
    for start, stop in pairwise(np.linspace(0, len(result), parts + 1).astype(int).tolist()):
        total = result[start:stop]
        for reached, leaf in zip(_reached(tables, [plane[start:stop] for plane in planes]), leaves, strict=True):
            total += ops.look_up(reached, leaf)
    return result


def _reached(tables: BoostedTables, planes: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.uint8]:
    """Which leaf of each table a sample reaches, uint8 (tables, n).

    All questions that ask of one feature are answered at once: there are ten times as many questions as features.
    """
    order = np.argsort(tables.feature, axis=None, kind="stable")
    limits, place = tables.threshold.ravel()[order, None], np.argsort(order).reshape(tables.feature.shape)
    ends = np.cumsum(np.bincount(tables.feature.ravel(), minlength=len(planes))).tolist()
    answers = np.empty((len(order), len(planes[0])), np.uint8)
    for plane, first, last in zip(planes, [0, *ends], ends, strict=False):
        np.greater(plane, limits[first:last], out=answers[first:last].view(bool))
    reached = answers[place[:, -1]]
    for question in place.T[-2::-1]:
        reached += reached
        reached |= answers[question]
    return reached


def contributions(
    tables: BoostedTables, planes: Sequence[npt.NDArray[np.float32]]
) -> tuple[npt.NDArray[np.float32], float]:
    """What each feature adds to the log-odds of each sample.

    A question is worth what its answer changes of the table's mean, given the answers before it (Saabas 2014); the
    worths of all questions of a feature are summed.

    Parameters
    ----------
    tables, planes
        As for `log_odds`.

    Returns
    -------
    contributions : float32 (n, features)
    base : float
        Log-odds before any answer; with a sample's contributions it adds up to its `log_odds`.
    """
    samples = np.arange(len(planes[0]))
    shape = (len(samples), len(tables.names))
    added = np.zeros(shape, np.float32)
    base = tables.bias + float(tables.leaf.mean(axis=1, dtype=np.float64).sum())
    count = len(tables.feature)
    rows, index = np.arange(count)[:, None], np.zeros((count, len(samples)), np.intp)
    known = tables.leaf.mean(axis=1, keepdims=True)
    for level, (feature, answer) in enumerate(zip(tables.feature.T, _answers(tables, planes), strict=True)):
        before = known[rows, index]
        index += answer << level
        known = tables.leaf.reshape(count, -1, 2 << level).mean(axis=1)
        worth, place = known[rows, index] - before, samples * shape[1] + feature[:, None]
        added += np.bincount(place.ravel(), worth.ravel(), added.size).reshape(shape).astype(np.float32)
    return added, base


def leaf_indices(tables: BoostedTables, planes: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.uint8]:
    """Which leaf of each table a sample reaches, uint8 (n, tables); arguments as for `log_odds`, without chunks."""
    return _reached(tables, planes).T


def _answers(tables: BoostedTables, planes: Sequence[npt.NDArray[np.float32]]) -> Iterator[npt.NDArray[np.intp]]:
    """Answers to the questions of each level, 0 or 1, (tables, n)."""
    values = np.stack(planes)
    for feature, threshold in zip(tables.feature.T, tables.threshold.T, strict=True):
        yield (values[feature] > threshold[:, None]).astype(np.intp)


def tables_json(tables: BoostedTables) -> str:
    """Tables as `parse_tables` reads them."""
    content = {
        "names": list(tables.names),
        "feature": tables.feature.tolist(),
        "threshold": [[float(f"{value:.9g}") for value in row] for row in tables.threshold.tolist()],
        "leaf": [[round(value, 6) for value in row] for row in tables.leaf.tolist()],
        "bias": tables.bias,
    }
    return json.dumps(content) + "\n"


def probability(log_odds: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Logistic function of log-odds; float32, 0 to 1."""
    return (1 / (1 + np.exp(-np.clip(log_odds, -30, 30)))).astype(np.float32)
