"""From a seed to a film: patient, deposits, exposure, tone, marker and collimator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import FloatImage, LabelImage, Mask
from calcidetect.phantom.lumps import MIN_TISSUE_MM, Deposit, Lump, place_lumps, record_truth, relative_attenuation
from calcidetect.phantom.scenes import KINDS, Scene
from calcidetect.phantom.shapes import Canvas, add_up, bone_mask
from calcidetect.phantom.stamps import letter, shutter
from calcidetect.simulation.physics import BEAMS, attenuate, expose

DOSE_UGY = (2.0, 5.0)
"""Clinical detector doses."""
OPEN = 0.5
"""Coverage by the collimator below which a pixel counts as exposed."""
FULL_SCALE = 4095
BLACK, WHITE = 150.0, 3500.0
"""12-bit signal of the film's 1st and 99.8th percentile; the rest is head room for lead."""
LEAD = 3900.0
RANGE_SIGMA_MM = 14.0
"""Structure coarser than this is compressed, as range compression on presentation films does."""
EDGE_SIGMA_MM = 2.5
EDGE_GAIN = (0.2, 0.5)
"""Structure finer than `EDGE_SIGMA_MM` is lifted by a gain drawn from this range."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Phantom:
    """A synthetic film and its truth. Arrays are read-only.

    Attributes
    ----------
    pixels
        uint16 (rows, cols), 12 bits: log-type signal after a presentation tone curve, bigger = more attenuation.
    spacing_mm
        Pixel pitch in the detector plane.
    kind, seed
        What was asked for.
    bone
        bool (rows, cols): projected bone, exact, sesamoids included.
    deposits
        Calcifications, then mimics.
    truth_labels
        int32 (rows, cols): 0 = nothing, k = the deposit with id k.
    """

    pixels: npt.NDArray[np.uint16]
    spacing_mm: float
    kind: str
    seed: int
    bone: Mask
    deposits: tuple[Deposit, ...]
    truth_labels: LabelImage

    def __post_init__(self) -> None:
        for array in (self.pixels, self.bone, self.truth_labels):
            array.flags.writeable = False


def make_phantom(kind: str, *, seed: int, spacing_mm: float | None = None, deposits: bool = True) -> Phantom:
    """Make a synthetic film; the same arguments give the same film.

    Parameters
    ----------
    kind
        ``chest`` (both shoulders on a PA chest film), ``shoulder`` (right, AP) or ``wrists`` (both hands on one film).
    seed
        Decides size, pose, thickness, density, tone and deposits.
    spacing_mm
        Pixel pitch in mm; without it 0.2 for the chest, 0.16 for the shoulder and 0.15 for the wrists.
    deposits
        Put calcifications in; mimics such as sesamoids are there in any case.

    Returns
    -------
    Phantom
        Film, bone mask and truth.

    Raises
    ------
    ValueError
        For an unknown kind or a spacing outside 0.05 to 2 mm.

    Examples
    --------
    >>> film = make_phantom("wrists", seed=3, spacing_mm=1.0, deposits=False)
    >>> {deposit.label for deposit in film.deposits}
    {'sesamoid'}
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if spacing_mm is not None and not 0.05 <= spacing_mm <= 2:
        raise ValueError(f"spacing_mm must lie in 0.05..2, got {spacing_mm}")
    recipe, beam = KINDS[kind], BEAMS[kind]
    patient_rng, deposit_rng, film_rng = np.random.default_rng([seed, len(kind)]).spawn(3)
    canvas = recipe.canvas(spacing_mm)
    scene = recipe.build(canvas, patient_rng)
    leaves = shutter(canvas, tuple(film_rng.uniform(0, 6, 4)), turn=film_rng.normal(0, 0.004))
    bone = bone_mask(scene.bones, canvas) & (leaves < OPEN)
    extra = relative_attenuation(scene.bones, canvas, beam)
    bone_step = float(np.median(extra[bone & (extra > 0)]))
    lumps = []
    if deposits:
        lumps = place_lumps(
            canvas,
            sites=scene.sites,
            count=int(deposit_rng.integers(scene.count[0], scene.count[1], endpoint=True)),
            allowed=(scene.soft["muscle"] + scene.soft["fat"] > MIN_TISSUE_MM) & (leaves < OPEN),
            bone=bone,
            mineral_mm=bone_step / (beam.attenuation("apatite") - beam.attenuation("muscle")),
            contrast=recipe.contrast_bone,
            rng=deposit_rng,
        )
    signal = expose(
        attenuate(_thickness(canvas, scene, lumps), beam),
        beam=beam,
        spacing_mm=canvas.spacing_mm,
        dose_ugy=film_rng.uniform(*DOSE_UGY),
        rng=film_rng,
    )
    tone = _tone(signal, canvas.spacing_mm, compression=film_rng.uniform(*recipe.range_compression), rng=film_rng)
    records, labels = record_truth([*lumps, *scene.mimics], canvas, beam=beam, bone_step=bone_step)
    return Phantom(
        pixels=_quantise(_lay_on(tone, canvas, scene.marker, leaves, rng=film_rng)),
        spacing_mm=canvas.spacing_mm,
        kind=kind,
        seed=seed,
        bone=bone,
        deposits=records,
        truth_labels=labels,
    )


def _thickness(canvas: Canvas, scene: Scene, lumps: Sequence[Lump]) -> dict[str, FloatImage]:
    """Sum soft tissue, bones and lumps; a mimic that is itself a bone counts once."""
    bones = {id(bone) for bone in scene.bones}
    loose = [patch for lump in (*lumps, *scene.mimics) for patch in lump.patches if id(patch) not in bones]
    hard = add_up([*scene.bones, *loose], canvas)
    return {
        material: layer + scene.soft[material] if material in scene.soft else layer for material, layer in hard.items()
    }


def _tone(signal: FloatImage, spacing_mm: float, *, compression: float, rng: np.random.Generator) -> FloatImage:
    """Presentation tone, in 12-bit units: coarse structure compressed by a share, fine structure lifted a little."""
    gain = np.float32(rng.uniform(*EDGE_GAIN))
    tone = signal - np.float32(compression) * ops.smooth(signal, RANGE_SIGMA_MM / spacing_mm)
    tone += gain * (signal - ops.smooth(signal, EDGE_SIGMA_MM / spacing_mm))
    low, high = np.percentile(tone[::4, ::4], [1, 99.8])
    toned: FloatImage = BLACK + (WHITE - BLACK) * (tone - low) / (high - low)
    return toned


def _lay_on(
    film: FloatImage,
    canvas: Canvas,
    marker: tuple[str, tuple[float, float]],
    leaves: FloatImage,
    *,
    rng: np.random.Generator,
) -> FloatImage:
    """Lay lead letter and collimator over a film whose tone is set, so that they don't steer it."""
    name, at = marker
    lead = letter(canvas, name, np.asarray(at) + rng.normal(0, 3, 2))
    for coverage, level in ((lead, LEAD), (leaves, rng.uniform(3600, 4000))):
        grain = rng.normal(0, 6, film.shape).astype(np.float32)
        film = film * (1 - coverage) + coverage * (np.float32(level) + grain)
    return film


def _quantise(film: FloatImage) -> npt.NDArray[np.uint16]:
    return np.clip(np.round(film), 0, FULL_SCALE).astype(np.uint16)
