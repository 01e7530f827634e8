"""The joint of a limb on its film: where it lies, which way its bones leave it, and to which side it is bent.

The joint is where bone is thickest. The directions in which bone leaves it fall into two sheaves; where these stand at
an angle the limb is bent, and the inner side of the bend is the flexor side of elbow and knee, and the front of an
ankle. A straight limb tells no such sides. Measured on bone, as the skin's outline is cut by the film.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import Mask, Points

RING_MM = (40.0, 75.0)
"""Bones that leave a joint are looked at between these distances from it."""

MIN_CROSSING = 0.5
"""A bone leaves the joint if it spans at least this share of that ring."""

MIN_GAP = 30.0
"""Degrees free of bone between the two sheaves, on either side."""

EDGE_MM = 30.0
"""A joint lies at least this far inside the picture: what is thick at its very edge is another joint, or no bone."""

STRAIGHT = 160.0
"""Degrees between the sheaves from which on a limb is straight: 107 to 155 on eight bent ones, 167 to 178 on ten
straight ones; three bent ones measured more than 160, as the joint was sought at another place."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sheaf:
    """Bones that leave a joint together: their mean unit direction ``(row, col)``, and how many they are."""

    way: Points
    bones: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointFrame:
    """A joint's place and directions, in pixels.

    Attributes
    ----------
    centre
        ``(row, col)`` of the joint.
    upper, lower
        The sheaf that leaves it upwards on the picture, and the other.
    inner
        Unit vector into the bend; zero where the limb is straight.
    pixel_mm
        Pitch of the grid.
    """

    centre: Points
    upper: Sheaf
    lower: Sheaf
    inner: Points
    pixel_mm: float

    @property
    def bent(self) -> bool:
        """Whether the limb is bent enough to tell its inner side."""
        return bool(self.inner.any())

    def below(self, points: Points) -> npt.NDArray[np.bool_]:
        """Whether points lie nearer to the lower sheaf than to the upper one, (n,)."""
        from_centre = points - self.centre
        return np.asarray(from_centre @ self.lower.way > from_centre @ self.upper.way)

    def inward_mm(self, points: Points) -> Points:
        """How far points lie from the joint towards the inside of its bend, in mm, (n,); 0 where it is straight."""
        return np.asarray((points - self.centre) @ self.inner * self.pixel_mm)

    def far_mm(self, points: Points) -> Points:
        """Distance of points from the joint in mm, (n,)."""
        return np.asarray(np.hypot(*(points - self.centre).T) * self.pixel_mm)


def find_joint(limb: Mask, bone: Mask, *, pixel_mm: float) -> JointFrame | None:
    """Find the joint of one limb.

    Parameters
    ----------
    limb, bone
        bool (rows, cols): the limb, and where bone is.
    pixel_mm
        Pitch of the grid in mm.

    Returns
    -------
    JointFrame or None
        In pixels of the same grid; None where bone does not leave its thickest place in two directions.
    """
    inset = np.where(limb & _inside(limb.shape, EDGE_MM / pixel_mm), ops.distance(~(bone & limb)), 0)
    centre = np.array(np.unravel_index(int(inset.argmax()), inset.shape), float)
    ways, number = _bones_around(bone & limb, centre, pixel_mm)
    parted = _in_two(ways)
    if parted is None:
        return None
    sheaves = [Sheaf(way=_mean_way(ways[part]), bones=len(np.unique(number[part]))) for part in (parted, ~parted)]
    upper, lower = sorted(sheaves, key=lambda sheaf: float(sheaf.way[0]))
    return JointFrame(centre=centre, upper=upper, lower=lower, inner=_inner(upper.way, lower.way), pixel_mm=pixel_mm)


def _inside(shape: tuple[int, int], margin: float) -> Mask:
    """Pixels at least `margin` from the edge of a picture, and its middle in any case."""
    down, across = (np.minimum(np.arange(size), size - 1 - np.arange(size)) for size in shape)
    down, across = (from_edge >= min(margin, from_edge.max()) for from_edge in (down, across))
    return np.asarray(down[:, None] & across)


def _bones_around(bone: Mask, centre: Points, pixel_mm: float) -> tuple[Points, npt.NDArray[np.intp]]:
    """Unit vectors from a joint to the pixels of all bones that cross the ring around it, and which bone each is of."""
    rows, cols = np.indices(bone.shape)
    far = np.hypot(rows - centre[0], cols - centre[1]) * pixel_mm
    nearest, farthest = RING_MM
    labels, boxes, _ = ops.components(bone & (far > nearest) & (far < farthest))
    spans = [np.ptp(far[labels == number]) for number in range(1, len(boxes) + 1)]
    long = np.array([False, *(span >= MIN_CROSSING * (farthest - nearest) for span in spans)])
    places = np.argwhere(long[labels])
    ways = (places - centre) / np.maximum(np.hypot(*(places - centre).T), 1)[:, None]
    return ways, labels[tuple(places.T)].astype(np.intp)


def _in_two(ways: Points) -> npt.NDArray[np.bool_] | None:
    """Which directions belong to the first of two sheaves, parted by the two widest gaps; None without."""
    if len(ways) < 2:
        return None
    angle = np.degrees(np.arctan2(*ways.T))
    order = np.argsort(angle)
    gaps = np.diff(np.append(angle[order], angle[order[0]] + 360))
    second, first = np.argsort(gaps)[-2:]
    if gaps[second] < MIN_GAP:
        return None
    inside = np.zeros(len(ways), bool)
    inside[order[min(first, second) + 1 : max(first, second) + 1]] = True
    return inside


def _mean_way(ways: Points) -> Points:
    mean = ways.mean(axis=0)
    return np.asarray(mean / max(float(np.hypot(*mean)), 1e-6))


def _inner(first: Points, second: Points) -> Points:
    """Unit vector half-way between two directions; zero where they are nearly opposite."""
    if first @ second < np.cos(np.radians(STRAIGHT)):
        return np.zeros(2)
    return _mean_way(np.stack([first, second]))
