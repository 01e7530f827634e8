"""How tissue, bone and mineral weaken an X-ray beam, and what the detector makes of it.

One effective energy per body region: materials add in the exponent, scatter is a smooth share of the primary.
Beam spectra were computed with SpekPy and xraydb for a CsI detector (0.16 g/cm2) behind the stated soft tissue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from calcidetect import ops
from calcidetect.arrays import FloatImage, Mask

DENSITY_G_CM3 = {"muscle": 1.06, "fat": 0.95, "bone": 1.92, "apatite": 3.16}
"""ICRU-44 soft tissue, adipose and cortical bone; hydroxyapatite by its crystal density."""

DETECTOR_BLUR_MM = 0.17
"""Gaussian sigma of detector and focal spot: MTF 0.5 near 1.1 /mm, a little below the 1.29 /mm of CsI plates alone
(Marshall 2011, Phys Med Biol 56:4)."""

NOISE_MM_AT_2_5_UGY = 0.0047
"""Relative quantum noise times pixel pitch in mm at 2.5 uGy and DQE 0.6, by IEC 62220-1 fluence: 4.7 % at 0.1 mm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beam:
    """An exposure at its effective energy.

    Attributes
    ----------
    mass_attenuation
        cm2/g of each material of `DENSITY_G_CM3`.
    scatter_ratio
        Scatter over primary behind the body, after the grid if there is one.
    scatter_blur_mm
        Gaussian sigma of the scatter's smoothness.
    """

    name: str
    mass_attenuation: Mapping[str, float]
    scatter_ratio: float
    scatter_blur_mm: float

    def attenuation(self, material: str) -> float:
        """Linear attenuation of `material`, per mm."""
        return self.mass_attenuation[material] * DENSITY_G_CM3[material] / 10


BEAMS = {
    "wrists": Beam(
        name="50 kVp, 2.5 mm Al, behind 3 cm",
        mass_attenuation={"muscle": 0.322, "fat": 0.263, "bone": 0.987, "apatite": 1.525},
        scatter_ratio=0.4,
        scatter_blur_mm=10.0,
    ),
    "shoulder": Beam(
        name="75 kVp, 3 mm Al, behind 12 cm, grid",
        mass_attenuation={"muscle": 0.233, "fat": 0.216, "bone": 0.469, "apatite": 0.663},
        scatter_ratio=0.6,
        scatter_blur_mm=25.0,
    ),
    "chest": Beam(
        name="120 kVp, 3 mm Al, behind 12 to 18 cm, grid",
        mass_attenuation={"muscle": 0.206, "fat": 0.193, "bone": 0.335, "apatite": 0.442},
        scatter_ratio=0.6,
        scatter_blur_mm=30.0,
    ),
}
"""Effective beams by kind of film; fat interpolated at the mean detected energy. The scatter ratios are assumptions."""


def attenuate(thickness_mm: Mapping[str, FloatImage], beam: Beam) -> FloatImage:
    """Sum attenuation times thickness over materials: minus the logarithm of the primary's share.

    Parameters
    ----------
    thickness_mm
        float32 (rows, cols) in mm for each material of `DENSITY_G_CM3`.
    beam
        The exposure.

    Returns
    -------
    float32 (rows, cols)
        Attenuation exponent, >= 0.
    """
    total = np.zeros(next(iter(thickness_mm.values())).shape, np.float32)
    for material, layer in thickness_mm.items():
        total += np.float32(beam.attenuation(material)) * layer
    return np.maximum(total, 0)


def add_scatter(primary: FloatImage, body: Mask, *, beam: Beam, spacing_mm: float) -> FloatImage:
    """Add the scatter that `body` sends to the detector: a blurred copy of the primary behind it."""
    smooth = ops.smooth(np.where(body, primary, np.float32(0)), beam.scatter_blur_mm / spacing_mm)
    return primary + np.float32(beam.scatter_ratio) * smooth


def expose(
    attenuation: FloatImage, *, beam: Beam, spacing_mm: float, dose_ugy: float, rng: np.random.Generator
) -> FloatImage:
    """Expose a film: primary, scatter, detector blur and quantum noise.

    Parameters
    ----------
    attenuation
        float32 (rows, cols), see `attenuate`.
    beam
        The exposure.
    spacing_mm
        Pixel pitch in mm.
    dose_ugy
        Detector dose behind the median of the body, in uGy.
    rng
        Source of the quantum noise.

    Returns
    -------
    float32 (rows, cols)
        Signal in units of attenuation: minus the logarithm of exposure over the open beam's. Bigger = more attenuation.
    """
    body = attenuation > 0.02
    total = add_scatter(np.exp(-attenuation), body, beam=beam, spacing_mm=spacing_mm)
    blur_px = DETECTOR_BLUR_MM / spacing_mm
    total = ops.gaussian(total, blur_px)
    reference = float(np.median(total[body])) if body.any() else 1.0
    noise = _quantum_noise(total.shape, blur_px=blur_px, rng=rng)
    relative = NOISE_MM_AT_2_5_UGY / spacing_mm * np.sqrt(2.5 / dose_ugy * reference / total)
    signal: FloatImage = -np.log(np.maximum(total * (1 + relative * noise), 1e-6))
    return signal.astype(np.float32)


def _quantum_noise(shape: tuple[int, int], *, blur_px: float, rng: np.random.Generator) -> FloatImage:
    """White noise passed through the detector, renormalised to the per-pixel sigma that DQE figures state."""
    noise = ops.gaussian(rng.standard_normal(shape, dtype=np.float32), 0.6 * blur_px)
    return noise / max(float(noise.std()), 1e-6)
