"""What the speed of a scan is compared with: decoding, plain scikit-image, a blob finder, a network."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import imagecodecs
import numpy as np
from scipy import ndimage
from skimage import feature, filters, measure, morphology, transform

from calcidetect.types import Radiograph

WORKING_MM, COARSE_MM = 0.4, 0.8
SCALES_MM = (0.8, 1.6, 3.2, 6.4, 12.8, 25.6)
SQUARES_MM = (4.0, 9.0, 20.0, 40.0)
BLOB_SIGMAS_PX = 1.06 * 2 ** (np.arange(12) / 2)
PEAK_STEP = 0.02  # of the film's range
NETWORK_SIDE = 224  # px


def jpeg2000_decoder(pixels: np.ndarray) -> Callable[[], np.ndarray]:
    """Decode the film from lossless JPEG 2000."""
    encoded = imagecodecs.jpeg2k_encode(pixels.astype(np.uint16), level=0, reversible=True)
    return lambda: imagecodecs.jpeg2k_decode(encoded)


def plain_filters(film: Radiograph) -> int:
    """The main filters of a scan as one would write them with scikit-image: how many places stand out.

    Bone's feature planes on its grid, blobs of all sizes, their places and what is measured of these; no classifier.
    """
    pixel_mm = film.grid.nominal_mm
    range_of_film = np.percentile(film.pixels, (2, 98))
    unit = ((film.pixels - range_of_film[0]) / np.ptp(range_of_film)).astype(np.float32)
    working, coarse = (
        transform.resize(unit, [round(side * pixel_mm / mm) for side in unit.shape], anti_aliasing=True)
        for mm in (WORKING_MM, COARSE_MM)
    )
    _bone_planes(coarse)
    blurred = [filters.gaussian(working, sigma) for sigma in BLOB_SIGMAS_PX]
    found = 0
    for fine, wide, sigma in zip(blurred, blurred[1:], BLOB_SIGMAS_PX, strict=False):
        response = fine - wide
        peaks = feature.peak_local_max(response, min_distance=max(1, round(sigma)), threshold_abs=PEAK_STEP)
        labels = measure.label(response > PEAK_STEP)
        measure.regionprops_table(
            labels, working, properties=("area", "bbox", "intensity_mean", "axis_major_length", "axis_minor_length")
        )
        found += len(peaks)
    return found


def _bone_planes(image: np.ndarray) -> None:
    for scale in SCALES_MM:
        sigma = scale / COARSE_MM
        filters.gaussian(image, sigma)
        if scale <= SCALES_MM[3]:
            feature.hessian_matrix_eigvals(feature.hessian_matrix(image, sigma, use_gaussian_derivatives=False))
            feature.structure_tensor(image, sigma)
    for size_mm in SQUARES_MM:
        square = np.ones((round(size_mm / COARSE_MM) | 1,) * 2)
        morphology.white_tophat(image, square)
        morphology.black_tophat(image, square)
    ndimage.distance_transform_edt(image > filters.threshold_otsu(image))


def blob_dog_of(working: Radiograph) -> np.ndarray:
    """`skimage.feature.blob_dog` on the working grid, at the sizes of a scan."""
    low, high = np.percentile(working.pixels, (1, 99))
    image = (working.pixels - low) / (high - low)
    return feature.blob_dog(
        image, min_sigma=BLOB_SIGMAS_PX[0], max_sigma=BLOB_SIGMAS_PX[-2], sigma_ratio=2**0.5, threshold=PEAK_STEP
    )


def xray_network(pixels: np.ndarray) -> Callable[[], object] | None:
    """One pass of torchxrayvision's DenseNet on the CPU, weights as drawn, reduction of the film included; None
    where it is not installed.
    """
    try:
        torch, torchxrayvision = (importlib.import_module(name) for name in ("torch", "torchxrayvision"))
    except ImportError:
        return None
    torch.set_num_threads(1)
    model = torchxrayvision.models.DenseNet(weights=None, num_classes=18, in_channels=1).eval()

    def call() -> object:
        small = transform.resize(pixels, (NETWORK_SIDE, NETWORK_SIDE)).astype(np.float32)
        with torch.no_grad():
            return model(torch.from_numpy(small[None, None]))

    return call
