"""Array operators in pixels: the one place that calls OpenCV, SciPy and scikit-image filters.

All take and return arrays of shape (rows, cols), never write into their arguments, and know nothing of films.
Distances and sizes are in pixels of the array given.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from calcidetect.arrays import FloatImage, LabelImage, Mask

cv2.setNumThreads(1)  # one film, one core: a batch scales with processes


def resize_area(image: FloatImage, shape: tuple[int, int]) -> FloatImage:
    """Reduce to `shape` by area averages; enlarge bilinearly."""
    interpolation = cv2.INTER_AREA if shape[0] <= image.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(image, shape[::-1], interpolation=interpolation)


def resize_mask(mask: Mask, shape: tuple[int, int], *, share: float = 0.5) -> Mask:
    """Resize a mask; a pixel is set where at least `share` of it was set."""
    return resize_area(mask.astype(np.float32), shape) >= share


def gaussian(image: FloatImage, sigma: float) -> FloatImage:
    """Gaussian blur with mirrored borders; `sigma` in pixels."""
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)


def masked_gaussian(image: FloatImage, mask: Mask, sigma: float) -> FloatImage:
    """Gaussian mean over the pixels of `mask` only; far from any, the nearest such mean's value fades to 0/0 -> 0."""
    weight = mask.astype(np.float32)
    return gaussian(image * weight, sigma) / np.maximum(gaussian(weight, sigma), 1e-6)


def box_mean(image: FloatImage, size: int) -> FloatImage:
    """Mean over a `size` x `size` square."""
    return cv2.blur(image, (size, size), borderType=cv2.BORDER_REFLECT)


def opening(image: FloatImage, size: int) -> FloatImage:
    """Grey opening with a square of odd `size`."""
    return cv2.morphologyEx(image, cv2.MORPH_OPEN, np.ones((size, size), np.uint8))


def closing(image: FloatImage, size: int) -> FloatImage:
    """Grey closing with a square of odd `size`."""
    return cv2.morphologyEx(image, cv2.MORPH_CLOSE, np.ones((size, size), np.uint8))


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
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


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
