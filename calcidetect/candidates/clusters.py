"""Neighbouring granules are one mark: which candidates belong together.

A deposit often falls apart into granules, and one clumpy deposit answers at several sizes. What lies within `GAP_MM` of
one another is one; so are all calcified rings of the one trachea.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import Column, LabelImage
from calcidetect.candidates.score import OPERATING_POINT

GAP_MM = 2.0
"""Candidates whose edges are nearer than this are granules of one deposit; it is also the margin by which a mark may
miss a deposit (`evaluate.MARGIN_MM`). On 94 films with 324 deposits put in, 456 marks become 242 and deposits found 213
become 211: one lay 2 mm from another, one beside a false mark. At 3 mm 207 are left, at 4 mm 204."""

GLOW_CONTRAST, GLOW_AREA = 0.25, 4.0
"""What has less than this share of the contrast of its cluster's brightest part, and more than so many times its area,
is the glow of soft tissue around a deposit, not part of it. With it 141 films with 333 deposits put in have 0.82 of the
false marks, and 246 instead of 243 deposits are found."""

PARTNER_SCORE, PARTNER_CONTRAST = 0.2, 0.5
"""What is no mark by itself, but has this score and this share of the contrast of a mark's brightest part beside it,
is part of that mark. On 47 films with 151 deposits put in, 113 instead of 112 are found, marks cover 0.61 instead of
0.57 of the deposits' area (overlap 0.613 and 0.602), and no false one is added; with a score of 0.05 three deposits are
lost to neighbours. On 60 films that no fit saw, 0.54 instead of 0.50 of the area, overlap 0.548 and 0.524."""

GLOW = -1
"""What `leaders` says of such a candidate: nobody speaks for it."""

Indices = npt.NDArray[np.intp]


def leaders(
    labels: LabelImage, scores: Column, *, contrasts: Column, rings: npt.NDArray[np.bool_], pixel_mm: float
) -> npt.NDArray[np.intp]:
    """Say for each candidate which one speaks for it: the best of its cluster.

    Only candidates that score the shipped operating point or more are joined, and fainter granules beside them, so that
    a lower least score adds candidates and changes none. Rings of the trachea are one whatever they score, and join
    nothing else.

    Where a bright deposit lies on a faint band of soft tissue, the band is a candidate, too, and scores as high, for
    what it contains. It would stretch the mark, and move its middle off the deposit.

    Parameters
    ----------
    labels
        int32 (rows, cols): candidates 1 … n, none missing.
    scores
        Score of each, (n,).
    contrasts
        Mean contrast of each, (n,).
    rings
        bool (n,): which are rings of the trachea.
    pixel_mm
        Pitch of `labels`.

    Returns
    -------
    intp (n,)
        Index of the best candidate of the cluster; its own where it is alone; `GLOW` for the glow around a deposit.
    """
    leads = np.arange(len(scores))
    members, ring_members = np.flatnonzero((scores >= OPERATING_POINT) & ~rings), np.flatnonzero(rings)
    cluster = _clusters(labels, members, pixel_mm)
    glow = _are_glow(labels, cluster, members, contrasts)
    if glow.any():  # without it, a cluster may fall apart
        leads[members[glow]] = GLOW
        members = members[~glow]
        cluster = _clusters(labels, members, pixel_mm)
    leads[members] = _best(cluster, members, scores)
    leads[ring_members] = _best(np.zeros(len(ring_members), np.intp), ring_members, scores)
    weak = np.flatnonzero((scores >= PARTNER_SCORE) & (scores < OPERATING_POINT) & ~rings)
    partners, marks = _partners(labels, weak, members, scores, contrasts, pixel_mm=pixel_mm)
    leads[partners] = leads[marks]
    return leads


def _clusters(labels: LabelImage, members: Indices, pixel_mm: float) -> Indices:
    """Number of the cluster of each of `members`, indices of candidates."""
    if len(members) < 2:
        return np.zeros(len(members), np.intp)
    chosen = np.zeros(int(labels.max()) + 1, bool)
    chosen[members + 1] = True
    inside = chosen[labels]
    reached, _, _ = ops.components(ops.dilate(inside, round(GAP_MM / 2 / pixel_mm)))
    flat = np.flatnonzero(inside)
    cluster = np.zeros(len(chosen), np.intp)
    cluster[labels.ravel()[flat]] = reached.ravel()[flat]
    return cluster[members + 1]


def _partners(
    labels: LabelImage, weak: Indices, members: Indices, scores: Column, contrasts: Column, *, pixel_mm: float
) -> tuple[Indices, Indices]:
    """Which of `weak` lie beside some of `members` and are nearly as bright, and beside which: the best of these."""
    if not len(weak) or not len(members):
        return weak[:0], members[:0]
    cluster = _clusters(labels, np.concatenate([members, weak]), pixel_mm)
    own, theirs = cluster[: len(members)], cluster[len(members) :]
    best, brightest = (np.full(cluster.max() + 1, GLOW) for _ in range(2))
    best[own], brightest[own] = _best(own, members, scores), _best(own, members, contrasts)
    bright = contrasts[weak] >= PARTNER_CONTRAST * contrasts[brightest[theirs]]
    joined = np.flatnonzero((best[theirs] != GLOW) & bright)
    return weak[joined], best[theirs[joined]]


def _are_glow(labels: LabelImage, cluster: Indices, members: Indices, contrasts: Column) -> npt.NDArray[np.bool_]:
    """Which of `members` are much fainter and larger than the brightest of their cluster."""
    if len(members) < 2:
        return np.zeros(len(members), bool)
    brightest = _best(cluster, members, contrasts)
    area = _areas(labels, len(contrasts))
    faint: npt.NDArray[np.bool_] = contrasts[members] < GLOW_CONTRAST * contrasts[brightest]
    return faint & (area[members] > GLOW_AREA * area[brightest])


def _areas(labels: LabelImage, count: int) -> Indices:
    """Pixels of each label 1 … `count`."""
    return np.bincount(labels.ravel()[ops.labelled(labels)] - 1, minlength=count)


def _best(cluster: Indices, members: Indices, scores: Column) -> Indices:
    """For each of `members` the one of its cluster with the highest of `scores`; of equal ones the first."""
    order = np.lexsort((members, -scores[members]))
    _, first, which = np.unique(cluster[order], return_index=True, return_inverse=True)
    best = np.empty(len(members), np.intp)
    best[order] = members[order][first][which]
    return best


def merged(labels: LabelImage, leads: Indices) -> LabelImage:
    """The label image in which every candidate has the label of the one that speaks for it; 0 where nobody does."""
    return np.concatenate([[0], leads + 1]).astype(np.int32)[labels]


def merged_measures(
    labels: LabelImage, measures: dict[str, Column], *, leads: Indices
) -> dict[str, npt.NDArray[np.float64]]:
    """Contrasts of whole clusters, as means over their area, and their distance from bone, the least of their parts.

    Returns
    -------
    dict
        ``contrast_mean``, ``sigmas_mean`` and ``bone_distance_mm``, (n,); right at the index of each leader.
    """
    count = len(leads)
    area = _areas(labels, count).astype(float)
    parts = np.flatnonzero(leads != GLOW)
    leads, area = leads[parts], area[parts]
    whole = np.bincount(leads, area, count)
    distance = np.full(count, np.inf)
    np.minimum.at(distance, leads, measures["bone_distance_mm"][parts])
    contrasts = {
        name: np.bincount(leads, area * measures[name][parts], count) / np.maximum(whole, 1)
        for name in ("contrast_mean", "sigmas_mean")
    }
    return contrasts | {"bone_distance_mm": distance}
