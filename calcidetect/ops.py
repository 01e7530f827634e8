"""Array operators in pixels: the one place that calls OpenCV, SciPy and scikit-image filters.

All take and return arrays of shape (rows, cols), never write into their arguments, and know nothing of films.
Distances and sizes are in pixels of the array given.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from calcidetect.arrays import FloatImage, LabelImage, Mask

cv2.setNumThreads(1)  # one film, one core: a batch scales with processes


def resize_area(image: FloatImage, shape: tuple[int, int]) -> FloatImage:
    """Reduce to `shape` by area averages; enlarge bilinearly."""
    interpolation = cv2.INTER_AREA if shape[0] <= image.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(image, shape[::-1], interpolation=interpolation)


def resize_linear(image: FloatImage, shape: tuple[int, int]) -> FloatImage:
    """Resize by linear interpolation, for maps that are to be enlarged."""
    return cv2.resize(image, shape[::-1], interpolation=cv2.INTER_LINEAR)


def resize_mask(mask: Mask, shape: tuple[int, int], *, share: float = 0.5) -> Mask:
    """Resize a mask; a pixel is set where at least `share` of it was set."""
    return resize_area(mask.astype(np.float32), shape) >= share


def gaussian(image: FloatImage, sigma: float) -> FloatImage:
    """Gaussian blur with mirrored borders; `sigma` in pixels."""
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)


def masked_gaussian(image: FloatImage, mask: Mask, sigma: float) -> FloatImage:
    """Gaussian mean over the pixels of `mask` only; far from any, the nearest such mean's value fades to 0/0 -> 0."""
    weight: FloatImage = mask.astype(np.float32)
    mean = gaussian(image * weight, sigma) / np.maximum(gaussian(weight, sigma), np.float32(1e-6))
    return mean.astype(np.float32, copy=False)


def smooth(image: FloatImage, sigma: float) -> FloatImage:
    """Gaussian blur; wide ones are computed on a reduced copy (within 1 % of the range of the exact result)."""
    factor = int(sigma // 3)
    if factor < 2 or min(image.shape) < 4 * factor:
        return gaussian(image, sigma)
    small = cv2.resize(image, (image.shape[1] // factor, image.shape[0] // factor), interpolation=cv2.INTER_AREA)
    return cv2.resize(gaussian(small, sigma / factor), image.shape[::-1], interpolation=cv2.INTER_LINEAR)


def minimum(image: FloatImage, size: int) -> FloatImage:
    """Lowest value over a square of odd `size`."""
    return cv2.erode(image, np.ones((size, size), np.uint8))


def maximum(image: FloatImage, size: int) -> FloatImage:
    """Highest value over a square of odd `size`."""
    return cv2.dilate(image, np.ones((size, size), np.uint8))


def gradient(image: FloatImage) -> tuple[FloatImage, FloatImage]:
    """Slope per pixel along rows and along columns (Sobel)."""
    down = cv2.Sobel(image, cv2.CV_32F, 0, 1, scale=1 / 8, borderType=cv2.BORDER_REFLECT)
    across = cv2.Sobel(image, cv2.CV_32F, 1, 0, scale=1 / 8, borderType=cv2.BORDER_REFLECT)
    return down, across


def steepness(image: FloatImage) -> FloatImage:
    """Length of the slope per pixel."""
    down, across = gradient(image)
    return cv2.magnitude(down, across)


def hessian_eigenvalues(image: FloatImage, sigma: float) -> tuple[FloatImage, FloatImage]:
    """Larger and smaller eigenvalue of the second derivatives of an image blurred by `sigma`, times sigma squared."""
    border = cv2.BORDER_REFLECT
    rows = cv2.Sobel(image, cv2.CV_32F, 0, 2, scale=sigma**2 / 4, borderType=border)
    cols = cv2.Sobel(image, cv2.CV_32F, 2, 0, scale=sigma**2 / 4, borderType=border)
    mixed = cv2.Sobel(image, cv2.CV_32F, 1, 1, scale=sigma**2 / 4, borderType=border)
    mean, half = (rows + cols) / 2, np.hypot((rows - cols) / 2, mixed)
    return mean + half, mean - half


def coherence(down: FloatImage, across: FloatImage, sigma: float) -> FloatImage:
    """How much slopes within `sigma` share one direction: 0 = none, 1 = all (from the structure tensor)."""
    rows, cols, mixed = (smooth(product, sigma) for product in (down * down, across * across, down * across))
    return np.hypot(rows - cols, 2 * mixed) / (rows + cols + 1e-9)


def shifted_around(image: FloatImage, distance: float) -> FloatImage:
    """The image as seen from every pixel `distance` pixels off in eight directions; float32 (8, rows, cols)."""
    rows, cols = image.shape
    padding = int(np.ceil(distance))
    padded = cv2.copyMakeBorder(image, padding, padding, padding, padding, cv2.BORDER_REPLICATE)
    angles = np.arange(8) * np.pi / 4
    starts = np.round(padding + distance * np.stack([np.sin(angles), np.cos(angles)], axis=1)).astype(int)
    return np.stack([padded[top : top + rows, left : left + cols] for top, left in starts])


def _disc(radius: int) -> npt.NDArray[np.uint8]:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)


def dilate(mask: Mask, radius: int) -> Mask:
    """Widen a mask by `radius` pixels, with a disc."""
    return cv2.dilate(mask.astype(np.uint8), _disc(radius)).astype(bool) if radius > 0 else mask.copy()


def erode(mask: Mask, radius: int) -> Mask:
    """Narrow a mask by `radius` pixels, with a disc; the array's edge does not erode."""
    return cv2.erode(mask.astype(np.uint8), _disc(radius)).astype(bool) if radius > 0 else mask.copy()


def distance(mask: Mask) -> FloatImage:
    """Distance of each pixel to the nearest True pixel of `mask`, 0 inside; the array's diagonal where none is."""
    if not mask.any():
        return np.full(mask.shape, np.hypot(*mask.shape), np.float32)
    far = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.round(far, 3)  # its last bits differ from call to call


def fill_polygon(shape: tuple[int, int], corners: npt.ArrayLike) -> Mask:
    """Pixels inside the closed polygon with `corners` ``(row, col)``, shape (n, 2), rounded to 1/16 pixel."""
    points = np.round(np.asarray(corners, float)[:, ::-1] * 16).astype(np.int32)
    canvas = np.zeros(shape, np.uint8)
    cv2.fillPoly(canvas, [points.reshape(-1, 1, 2)], 1, shift=4)
    return canvas.astype(bool)


def components(mask: Mask) -> tuple[LabelImage, npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Label 8-connected components.

    Returns
    -------
    labels : int32 (rows, cols)
        0 = outside, 1 … n.
    boxes : int32 (n, 5)
        ``x0, y0, width, height, area`` of each.
    centres : float64 (n, 2)
        ``(row, col)`` of each centroid.
    """
    _, labels, stats, centroids = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return labels, stats[1:], centroids[1:, ::-1]


def convex_hull(mask: Mask) -> Mask:
    """Pixels inside the convex hull of a mask."""
    rows, cols = np.nonzero(mask)
    if len(rows) == 0:
        return mask.copy()
    hull = cv2.convexHull(np.stack([cols, rows], axis=1).astype(np.int32)).reshape(-1, 2)
    return fill_polygon(mask.shape, hull[:, ::-1])


def fill_holes(mask: Mask, max_area: float) -> Mask:
    """Fill enclosed holes of at most `max_area` pixels."""
    labels, boxes, _ = components(~mask)
    small = np.concatenate([[False], boxes[:, 4] <= max_area])
    at_edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    small[at_edge] = False
    return mask | small[labels]


@lru_cache(maxsize=64)
def _far(half: int) -> FloatImage:
    """Distance from the centre of a square of 2 `half` + 1 pixels."""
    axis = np.arange(-half, half + 1, dtype=np.float32)
    return np.hypot(axis[:, None], axis[None])


def grow_to_half_height(
    image: FloatImage, seed: tuple[int, int], *, radius: float, reach: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Pixels joined to `seed` that lie above half of its height over its surroundings.

    The height is the greatest value within half a `radius` minus the median of a ring at 1.6 to 2.4 radii; no pixel
    farther than `reach` is taken. Returns rows and columns, the seed always among them.
    """
    row, col = int(seed[0]), int(seed[1])
    half = int(np.ceil(max(reach, 2.4 * radius))) + 1
    top, left = max(0, row - half), max(0, col - half)
    window = image[top : row + half + 1, left : col + half + 1]
    first_row, first_col = top - row + half, left - col + half
    far = _far(half)[first_row : first_row + window.shape[0], first_col : first_col + window.shape[1]]
    ring = window[(far >= 1.6 * radius) & (far <= 2.4 * radius)]
    surroundings = np.partition(ring, ring.size // 2)[ring.size // 2] if ring.size else window.min()
    peak = window[far <= max(1.0, radius / 2)].max()
    inside = (window > (peak + surroundings) / 2) & (far <= reach)
    inside[row - top, col - left] = True
    labels = cv2.connectedComponents(inside.astype(np.uint8), connectivity=4, ltype=cv2.CV_16U)[1]
    rows, cols = np.nonzero(labels == labels[row - top, col - left])
    return rows + top, cols + left


def sample(image: FloatImage, rows: FloatImage, cols: FloatImage) -> FloatImage:
    """Linear interpolation at float32 `rows` and `cols` of equal shape (n, m); the border's value outside."""
    if len(rows) == 0:
        return np.zeros(rows.shape, np.float32)
    parts = [  # remap takes at most 32767 rows
        cv2.remap(image, cols[i : i + 30_000], rows[i : i + 30_000], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for i in range(0, len(rows), 30_000)
    ]
    return np.concatenate(parts).reshape(rows.shape)


def compact(labels: LabelImage) -> LabelImage:
    """Renumber labels 1 … n without gaps, keeping their order."""
    present = np.bincount(labels.ravel()) > 0
    present[0] = False
    return np.where(present, np.cumsum(present), 0).astype(np.int32)[labels]


def rim(labels: LabelImage) -> Mask:
    """Labelled pixels that have a 4-neighbour of another label."""
    padded = np.pad(labels, 1, mode="edge")
    centre = padded[1:-1, 1:-1]
    differs = np.zeros(labels.shape, bool)
    for neighbour in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
        differs |= neighbour != centre
    return differs & (labels > 0)


def label_boxes(labels: LabelImage) -> list[tuple[slice, slice]]:
    """Bounding slices of labels 1 … n, none of which may be missing."""
    return ndimage.find_objects(labels)


def contour(mask: Mask) -> npt.NDArray[np.float64]:
    """Outer outline of the largest part of a mask, ``(row, col)`` pixel centres, shape (n, 2)."""
    outlines, _ = cv2.findContours(np.pad(mask, 1).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    longest = max(outlines, key=cv2.contourArea)
    return longest.reshape(-1, 2)[:, ::-1] - 1.0


def pairs_within(points: npt.NDArray[np.float64], reach: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Index pairs (both ways round, no point with itself) of points, shape (n, 2), at most `reach` apart."""
    pairs = cKDTree(points).query_pairs(reach, output_type="ndarray")
    return np.concatenate([pairs[:, 0], pairs[:, 1]]), np.concatenate([pairs[:, 1], pairs[:, 0]])
