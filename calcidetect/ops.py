"""Array operators in pixels: the one place that filters images, by OpenCV.

None writes into its arguments or knows of films. Images are (rows, cols) where nothing else is said.
Distances and sizes are in pixels of the array given.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from calcidetect.arrays import FloatImage, LabelImage, Mask

cv2.setNumThreads(1)  # one film, one core: a batch scales with processes


LEAST_SIGMA = 3.0
"""In pixels: a blur is computed on an image halved as long as its sigma stays this wide."""


def resize_area(image: FloatImage, shape: tuple[int, int]) -> FloatImage:
    """Reduce to `shape` by area averages; enlarge bilinearly.

    What is reduced to less than half is halved first, which takes a third of the time.
    """
    while all(side % 2 == 0 and side >= 2 * wanted for side, wanted in zip(image.shape, shape, strict=False)):
        image = halve(image)
    less = (min(shape[0], image.shape[0]), min(shape[1], image.shape[1]))
    reduced = cv2.resize(image, less[::-1], interpolation=cv2.INTER_AREA)
    return reduced if less == tuple(shape) else cv2.resize(reduced, shape[::-1], interpolation=cv2.INTER_LINEAR)


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
    """Gaussian mean over the pixels of `mask` only; falls to 0 where none is near."""
    weight = mask.astype(np.float32)
    total, share = (smooth(plane, sigma) for plane in (image * weight, weight))
    return (total / np.maximum(share, np.float32(1e-6))).astype(np.float32, copy=False)


def smooth(image: FloatImage, sigma: float) -> FloatImage:
    """Gaussian blur; wide ones are computed on a reduced copy (within 1 % of the range of the exact result)."""
    return enlarge(*smooth_small(image, sigma), image.shape)


def smooth_small(image: FloatImage, sigma: float) -> tuple[FloatImage, int]:
    """Gaussian blur left at the reduced size at which it is computed, and how often it was halved, as a factor.

    It is halved as long as its sigma stays `LEAST_SIGMA` pixels or more.
    """
    factor = 1
    while sigma >= 2 * LEAST_SIGMA and min(image.shape) >= 8:
        image, sigma, factor = halve(image), sigma / 2, 2 * factor
    return gaussian(image, sigma), factor


def halve(image: FloatImage) -> FloatImage:
    """Means of 2 x 2 pixels; a last odd row or column is left out (which makes it ten times as fast)."""
    rows, cols = image.shape[0] // 2, image.shape[1] // 2
    return cv2.resize(image[: 2 * rows, : 2 * cols], (cols, rows), interpolation=cv2.INTER_AREA)


def halve_mask(mask: Mask) -> Mask:
    """`halve` of a mask; a pixel is set where at least two of its four were."""
    return cast(Mask, halve(mask.view(np.uint8)).view(bool))  # the mean of two 0 and two 1 is rounded up


def enlarge(small: FloatImage, factor: int, shape: tuple[int, int]) -> FloatImage:
    """The way back from an image halved to a `factor`-th: linearly, to `shape`; left-out rows repeat the last."""
    if factor == 1:
        return small
    rows, cols = small.shape[0] * factor, small.shape[1] * factor
    wide = cv2.resize(small, (cols, rows), interpolation=cv2.INTER_LINEAR)
    down, across = shape[0] - rows, shape[1] - cols
    return cv2.copyMakeBorder(wide, 0, down, 0, across, cv2.BORDER_REPLICATE) if down or across else wide


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
    return cv2.magnitude(*gradient(image))


def hessian_eigenvalues(image: FloatImage, sigma: float) -> tuple[FloatImage, FloatImage]:
    """Larger and smaller eigenvalue of the second derivatives of an image blurred by `sigma`, times sigma squared."""
    rows, cols, mixed = (
        cv2.Sobel(image, cv2.CV_32F, across, down, scale=sigma**2 / 4, borderType=cv2.BORDER_REFLECT)
        for across, down in ((0, 2), (2, 0), (1, 1))
    )
    mean, half = (rows + cols) / 2, cv2.magnitude((rows - cols) / 2, mixed)
    return mean + half, mean - half


def coherence(down: FloatImage, across: FloatImage, sigma: float) -> FloatImage:
    """How much slopes within `sigma` share one direction: 0 = none, 1 = all (from the structure tensor)."""
    rows, cols, mixed = (smooth(product, sigma) for product in (down * down, across * across, down * across))
    return cv2.magnitude(rows - cols, 2 * mixed) / (rows + cols + np.float32(1e-9))


def shifted_around(image: FloatImage, distance: float) -> list[FloatImage]:
    """The image as seen from every pixel `distance` pixels off in eight directions."""
    rows, cols = image.shape
    padding = int(np.ceil(distance))
    padded = cv2.copyMakeBorder(image, padding, padding, padding, padding, cv2.BORDER_REPLICATE)
    angles = np.arange(8) * np.pi / 4
    starts = np.round(padding + distance * np.stack([np.sin(angles), np.cos(angles)], axis=1)).astype(int)
    return [padded[top : top + rows, left : left + cols] for top, left in starts]


def _disc(radius: int) -> npt.NDArray[np.uint8]:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)


def dilate(mask: Mask, radius: int) -> Mask:
    """Widen a mask by `radius` pixels, with a disc."""
    return cv2.dilate(mask.astype(np.uint8), _disc(radius)).astype(bool) if radius > 0 else mask.copy()


def erode(mask: Mask, radius: int) -> Mask:
    """Narrow a mask by `radius` pixels, with a disc; the array's edge does not erode."""
    return cv2.erode(mask.astype(np.uint8), _disc(radius)).astype(bool) if radius > 0 else mask.copy()


def distance(mask: Mask, *, exact: bool = False) -> FloatImage:
    """Distance of each pixel to the nearest True pixel of `mask`, 0 inside; the array's diagonal where none is.

    By a 5 x 5 chamfer (Borgefors 1986, doi:10.1016/S0734-189X(86)80047-0), within 2 % of Euclid's; or `exact`, which
    takes six times as long.
    """
    if not mask.any():
        return np.full(mask.shape, np.hypot(*mask.shape), np.float32)
    kind = cv2.DIST_MASK_PRECISE if exact else cv2.DIST_MASK_5
    far = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, kind)
    return np.round(far, 3) if exact else far  # the last bits of exact ones differ from call to call


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
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return (labels, *_measured(mask, labels, count))


def _measured(mask: Mask, labels: LabelImage, count: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Boxes and centres of labels 1 … `count` - 1, from the runs of each row.

    OpenCV's own statistics take three times as long as its labels: they count every pixel of the background, too.
    """
    width = mask.shape[1] + 1  # a blank column ends the runs of each row
    row_by_row = np.zeros(mask.shape[0] * width + 1, bool)
    row_by_row[1:].reshape(-1, width)[:, :-1] = mask
    starts, ends = np.flatnonzero(row_by_row[1:] != row_by_row[:-1]).reshape(-1, 2).T
    rows, first = np.divmod(starts, width)
    length = ends - starts
    last, owner = first + length - 1, labels[rows, first]
    area = np.bincount(owner, length, count)[1:]
    sums = (np.bincount(owner, length * middle, count)[1:] for middle in (rows, (first + last) / 2))
    low, high = np.full((2, count), mask.shape[1], np.intp), np.zeros((2, count), np.intp)
    np.minimum.at(low[0], owner, first)
    np.maximum.at(high[0], owner, last)
    low[1, owner[::-1]], high[1, owner] = rows[::-1], rows  # of equal indices the last one counts
    boxes = np.stack([*low, *(high - low + 1)], axis=1)[1:]
    return np.column_stack([boxes, area]).astype(np.int32), np.stack([total / area for total in sums], axis=1)


def convex_hull(mask: Mask) -> Mask:
    """Pixels inside the convex hull of a mask."""
    rows = np.flatnonzero(mask.any(axis=1))
    if len(rows) == 0:
        return mask.copy()
    held = mask[rows]  # of each row, only its ends can be corners
    ends = np.concatenate([held.argmax(axis=1), mask.shape[1] - 1 - held[:, ::-1].argmax(axis=1)])
    hull = cv2.convexHull(np.stack([ends, np.tile(rows, 2)], axis=1).astype(np.int32)).reshape(-1, 2)
    return fill_polygon(mask.shape, hull[:, ::-1])


def bounding_box(mask: Mask) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """First row and column of a mask, and its height and width; the whole array where the mask is empty."""
    spans = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    if not len(spans[0]):
        return np.zeros(2), np.array(mask.shape, float)
    return np.array([span[0] for span in spans], float), np.array([np.ptp(span) + 1 for span in spans], float)


def fill_holes(mask: Mask, max_area: float) -> Mask:
    """Fill enclosed holes of at most `max_area` pixels."""
    labels, boxes, _ = components(~mask)
    small = np.concatenate([[False], boxes[:, 4] <= max_area])
    small[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = False
    return mask | small[labels] if small.any() else mask.copy()


RING_SAMPLES = 12
"""About how many pixels across the radius of a ring its median is taken over."""

NEAR_SAMPLES = 8
"""About how many pixels across the radius of a disc its greatest value is looked for at."""


@lru_cache(maxsize=64)
def _far(half: int) -> FloatImage:
    """Distance from the centre of a square of 2 `half` + 1 pixels."""
    axis = np.arange(-half, half + 1, dtype=np.float32)
    return np.hypot(axis[:, None], axis[None])


def half_heights(
    image: FloatImage, rows: npt.NDArray[np.intp], cols: npt.NDArray[np.intp], radius: float
) -> npt.NDArray[np.float32]:
    """Half-way from the surroundings of blobs of one `radius` to their tops, float32 (n,).

    The top is the greatest value within half a radius, the surroundings are the median of a ring at 1.6 to 2.4 radii.
    """
    tops = _values_around(image, rows, cols, low=0, high=max(1.0, radius / 2), samples=NEAR_SAMPLES).max(axis=1)
    ring = _values_around(image, rows, cols, low=1.6 * radius, high=2.4 * radius, samples=RING_SAMPLES)
    middle = ring.shape[1] // 2
    return (tops + np.partition(ring, middle, axis=1)[:, middle]) / 2


def _values_around(
    image: FloatImage,
    rows: npt.NDArray[np.intp],
    cols: npt.NDArray[np.intp],
    *,
    low: float,
    high: float,
    samples: int,
) -> FloatImage:
    """Values (n, m) of pixels `low` to `high` off each place; beyond the border, the border's."""
    half = int(np.ceil(high))
    step = 1 + half // samples
    axis = np.arange(-(half // step) * step, half + 1, step)
    far = np.hypot(axis[:, None], axis[None])
    down, across = (axis[index] for index in np.nonzero((far >= low) & (far <= high)))
    near_rows = np.clip(rows[:, None] + down, 0, image.shape[0] - 1)
    return image[near_rows, np.clip(cols[:, None] + across, 0, image.shape[1] - 1)]


def grow(
    image: FloatImage,
    rows: npt.NDArray[np.intp],
    cols: npt.NDArray[np.intp],
    *,
    levels: npt.NDArray[np.float32],
    reach: npt.NDArray[np.float64],
) -> list[npt.NDArray[np.intp]]:
    """Grow seeds over the pixels joined to them that reach a level.

    The neighbourhoods of many seeds of one reach are laid below one another and labelled as one image, which takes a
    third of the time of filling them one by one.

    Parameters
    ----------
    image
        float32 (rows, cols).
    rows, cols
        The n seeds' pixels.
    levels
        float32 (n,): what a pixel must reach; a darker seed asks for its own value.
    reach
        (n,): pixels farther than this from a seed are not its own.

    Returns
    -------
    list of int arrays
        Flat indices of each seed's pixels, the seed among them.
    """
    margin = int(np.ceil(reach.max(initial=0)))
    padded = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=-np.inf)
    grown = [np.empty(0, np.intp)] * len(rows)
    for far in np.unique(reach).tolist():
        half, own = int(np.ceil(far)), np.flatnonzero(reach == far)
        at_once = max(1, GROWN_AT_ONCE // (2 * half + 2) ** 2)
        for some in (own[start : start + at_once] for start in range(0, len(own), at_once)):
            top, left = rows[some] - half, cols[some] - half
            at, number = _grown(padded, top + margin, left + margin, levels=levels[some], reach=far)
            flat = (at[0] + top[number]) * image.shape[1] + at[1] + left[number]
            ends = np.cumsum(np.bincount(number, minlength=len(some))).tolist()
            for index, first, last in zip(some.tolist(), [0, *ends], ends, strict=False):
                grown[index] = flat[first:last]
    return grown


GROWN_AT_ONCE = 1 << 20
"""Pixels of neighbourhoods that are laid below one another."""


def _grown(
    padded: FloatImage,
    top: npt.NDArray[np.intp],
    left: npt.NDArray[np.intp],
    *,
    levels: npt.NDArray[np.float32],
    reach: float,
) -> tuple[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]], npt.NDArray[np.intp]]:
    """Rows and columns of what `grow` gives in each seed's square, from `top` and `left` on; the number of the seed."""
    half = int(np.ceil(reach))
    side = 2 * half + 1
    squares = np.lib.stride_tricks.sliding_window_view(padded, (side, side))[top, left]
    own = squares[:, half, half].copy()
    depth = np.maximum(own.astype(np.float64) - levels, 0).astype(np.float32)
    joined = np.zeros((len(top), side + 1, side), np.uint8)  # a blank row keeps them apart
    np.greater_equal(squares - own[:, None, None], -depth[:, None, None], out=joined[:, :side].view(bool))
    joined[:, :side] &= _far(half) <= reach
    _, labels = cv2.connectedComponents(joined.reshape(-1, side), connectivity=4)
    labels = labels.reshape(joined.shape)
    number, at = np.divmod(np.flatnonzero(labels == labels[:, half, half, None, None]), (side + 1) * side)
    return np.divmod(at, side), number


def sample(image: FloatImage, rows: FloatImage, cols: FloatImage) -> FloatImage:
    """Linear interpolation at float32 `rows` and `cols` of equal shape (n, m); the border's value outside."""
    shape = (*rows.shape, *image.shape[2:])
    if len(rows) == 0:
        return np.zeros(shape, np.float32)
    parts = [  # remap takes at most 32767 rows
        cv2.remap(image, cols[i : i + 30_000], rows[i : i + 30_000], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for i in range(0, len(rows), 30_000)
    ]
    return np.concatenate(parts).reshape(shape)


def sample_all(images: Sequence[FloatImage], rows: FloatImage, cols: FloatImage) -> list[FloatImage]:
    """`sample` each of many images of one size; four at a time, which takes half as long as one by one."""
    sampled: list[FloatImage] = []
    for start in range(0, len(images), 4):
        some = images[start : start + 4]
        values = sample(cv2.merge(some), rows, cols) if len(some) > 1 else sample(some[0], rows, cols)
        sampled += cv2.split(values.reshape(*rows.shape, len(some)))
    return [values.reshape(rows.shape) for values in sampled]


def sample_on(image: FloatImage, rows: FloatImage, cols: FloatImage, factor: tuple[float, float]) -> FloatImage:
    """`sample` an image whose pixels are `factor` (down, across) pixels wide of the grid that `rows` and `cols` are of.

    The first pixels' outer corners lie on one another.
    """
    return sample(image, *on_grid(rows, cols, factor))


def on_grid(rows: FloatImage, cols: FloatImage, factor: tuple[float, float]) -> tuple[FloatImage, FloatImage]:
    """Places of a grid whose pixels are `factor` (down, across) pixels wide, for `sample`."""
    if factor == (1, 1):
        return rows, cols
    return _rescaled(rows, factor[0]), _rescaled(cols, factor[1])


def _rescaled(index: FloatImage, factor: float) -> FloatImage:
    half = np.float32(0.5)
    return (index + half) / np.float32(factor) - half


def ranked(values: FloatImage) -> list[FloatImage]:
    """Least, second least … greatest of each row of (n, m), float32 (n,) each; m is a power of two.

    By odd-even merging (Batcher 1968, doi:10.1145/1468075.1468121) of whole columns: rows of 16 take a tenth of the
    time of `numpy.sort`.
    """
    return in_order(list(np.ascontiguousarray(values.T, np.float32)))


def in_order(images: Sequence[FloatImage]) -> list[FloatImage]:
    """Least, second least … greatest value of many images of one shape at each place; their number is a power of two.

    See `ranked`.
    """
    ordered = list(images)
    for low, high in _exchanges(len(ordered)):
        least = np.minimum(ordered[low], ordered[high])
        ordered[low], ordered[high] = least, np.maximum(ordered[low], ordered[high])
    return ordered


@lru_cache(maxsize=8)
def _exchanges(count: int) -> tuple[tuple[int, int], ...]:
    """Which pairs of `count` values, a power of two, are put in order one after the other."""
    pairs = []
    for block in (2 ** np.arange(1, count.bit_length())).tolist():
        step = block // 2
        while step:
            for low in range(step % (block // 2), count - step):
                turn = (low - step % (block // 2)) // step % 2
                if turn == 0 and low // block == (low + step) // block:
                    pairs.append((low, low + step))
            step //= 2
    return tuple(pairs)


def look_up(index: npt.NDArray[np.uint8], table: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Entries (n,) of a table of 256 by uint8 (n,) `index`."""
    return cv2.LUT(index, table).ravel()


def normal_sigma(residual: npt.NDArray[np.floating]) -> float:
    """Sigma of normal noise by the median size of its residuals, which outliers don't move; 0 without any."""
    return 1.4826 * float(np.median(np.abs(residual))) if residual.size else 0.0


def labelled(labels: LabelImage) -> npt.NDArray[np.intp]:
    """Flat indices of the pixels that have a label."""
    return np.flatnonzero(labels != 0)  # of numbers instead of a mask it takes three to eight times as long


def compact(labels: LabelImage) -> LabelImage:
    """Renumber labels 1 … n without gaps, keeping their order."""
    flat = labelled(labels)
    own = labels.ravel()[flat]
    present = np.bincount(own) > 0
    compacted = np.zeros_like(labels)
    compacted.ravel()[flat] = np.cumsum(present)[own]
    return compacted


def rim(labels: LabelImage) -> Mask:
    """Labelled pixels that have a 4-neighbour of another label."""
    padded = np.pad(labels, 1, mode="edge").ravel()
    flat, width = labelled(labels), labels.shape[1] + 2
    at = flat + 2 * (flat // labels.shape[1]) + width + 1
    differs = np.zeros(len(flat), bool)
    for step in (-width, width, -1, 1):
        differs |= padded[at + step] != padded[at]
    rim = np.zeros(labels.shape, bool)
    rim.ravel()[flat[differs]] = True
    return rim


def by_label(own: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
    """Order of numbers > 0 that puts equal ones side by side, each group in the order given."""
    few = own.max(initial=0) < 1 << 16  # of short numbers NumPy sorts the digits, in a fifth of the time
    return np.argsort(own.astype(np.uint16) if few else own, kind="stable")


def label_boxes(labels: LabelImage) -> list[tuple[slice, slice]]:
    """Bounding slices of labels 1 … n, none of which may be missing.

    As `scipy.ndimage.find_objects`, whose import alone takes longer than this function for a hundred films.
    """
    flat = labelled(labels)
    order = by_label(labels.ravel()[flat])
    starts = np.flatnonzero(np.diff(labels.ravel()[flat[order]], prepend=0))
    rows, cols = np.divmod(flat[order], labels.shape[1])
    sides = [side.reduceat(index, starts).tolist() for index in (rows, cols) for side in (np.minimum, np.maximum)]
    return [(slice(y0, y1 + 1), slice(x0, x1 + 1)) for y0, y1, x0, x1 in zip(*sides, strict=True)]


def contour(mask: Mask) -> npt.NDArray[np.float64]:
    """Outer outline of the largest part of a mask, ``(row, col)`` pixel centres, shape (n, 2)."""
    outlines, _ = cv2.findContours(np.pad(mask, 1).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    longest = max(outlines, key=cv2.contourArea)
    return longest.reshape(-1, 2)[:, ::-1] - 1.0


def brightest_paths(images: FloatImage) -> npt.NDArray[np.intp]:
    """Column per row of the path down each image with the greatest sum, which moves at most one column a row.

    Parameters
    ----------
    images
        float32 (n, rows, cols); -inf where no path may begin.

    Returns
    -------
    int (n, rows)
    """
    total, came_from = images[:, 0], []
    for row in np.moveaxis(images, 1, 0)[1:]:
        beside = np.pad(total, ((0, 0), (1, 1)), constant_values=-np.inf)
        before = np.stack([beside[:, :-2], total, beside[:, 2:]])
        came_from.append(np.arange(images.shape[2]) + before.argmax(axis=0) - 1)
        total = row + before.max(axis=0)
    path = [total.argmax(axis=1)]
    for origin in reversed(came_from):
        path.append(np.take_along_axis(origin, path[-1][:, None], axis=1)[:, 0])
    return np.stack(path[::-1], axis=1)


def pairs_within(points: npt.NDArray[np.float64], reach: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Index pairs (both ways round, no point with itself) of points, shape (n, 2), at most `reach` apart."""
    order = np.argsort(points[:, 0], kind="stable")
    rows = points[order, 0]
    following = np.searchsorted(rows, rows + reach, side="right") - np.arange(len(rows)) - 1
    first = np.repeat(np.arange(len(rows)), following)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(following) - following, following)
    first, second = order[first], order[second]
    down, across = (side[first] - side[second] for side in np.ascontiguousarray(points.T))
    near = down**2 + across**2 <= reach**2
    first, second = first[near], second[near]
    return np.concatenate([first, second]), np.concatenate([second, first])
