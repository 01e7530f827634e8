"""What is drawn on a film or lies on it: text, letters, marker plates, rotated frames, metal.

Works on `unit` films: float32 (rows, cols), the film's own range stretched to 0 … 1, bright = more attenuation.
Hardness is the slope of an edge per pixel: drawn strokes and metal rise within one or two pixels, bone over several.
When unsure, a part of the body stays body: a deposit taken for a marker is lost for good.
"""

from __future__ import annotations

import numpy as np

from calcidetect import ops
from calcidetect.arrays import FloatImage, LabelImage, Mask
from calcidetect.config import ExposureSettings

KINDS = ("text", "marker", "frame", "metal", "air")
LEVELS = (0.97, 0.85, 0.7)  # of the film's range, at which hard structures are cut out
MAX_HARD_SHARE = 0.1  # of the film: the largest hard structure
MIN_MAIN_SHARE = 0.1  # of the largest part of the body: what an anatomical part has, at least
HARD_ISLAND = 0.2  # of its own contrast, per px; 90th percentile of slope. Markers on 47 films: 0.22 to 0.6
FAINT = 0.15  # of the film's range above air: the contrast below which a soft-edged island is uneven air
MIN_CONTRAST = 0.04  # of the film's range above air, of the faintest watermark
FRAME_MM = 8.0  # how far inside its hull a frame may lie
DRAWN_HARDNESS = 0.3  # of the film's range per px: no bone is as hard, however small
COMPANION_HARDNESS = 0.18  # of the film's range per px, of strokes beside a sure one: the other letters of a word
COMPANION_MM = 8.0
FRAME_SIDE = 0.3  # of the film's sides, spanned by a frame
MAX_FRAME_FILL = 0.25  # of its bounding rectangle
MAX_SAMPLES = 100_000  # that the level of air is the median of
MAX_STROKE_MM2 = 15.0  # area of a letter's stroke over the body; larger hard structures there are metal
INK_HARDNESS = 0.37  # of its own contrast, per px, on average along the rim of a letter drawn into the picture, …
INK_CONTRAST = 0.2  # … which is so much brighter than what lies around it, of the film's range, …
INK_EVENNESS = 0.7  # of that, on its brightest side: a cortex has bone on one side, …
INK_GRAIN = 0.012  # … shows less grain inside: standard deviation, of the film's range, …
INK_INNER_PX = 12  # … over at least so many pixels away from the rim, …
INK_FILL = 0.75  # … and fills less of its hull: letters 0.4 to 0.72. Of 950 deposits put in, half clipped, none did all
LIKELY, SURE, INK = 1, 2, 4  # how sure it is that a structure is drawn: bits of one image, written once for each level


def find_markers(
    unit: FloatImage, body: Mask, *, air: Mask, pixel_mm: float, settings: ExposureSettings
) -> dict[str, Mask]:
    """Find what looks like body but is none.

    Parameters
    ----------
    unit
        float32 (rows, cols), the film in its own range, 0 to 1.
    body, air
        bool (rows, cols): parts of the exposed field.
    pixel_mm
        Nominal pixel pitch.
    settings
        Of the exposed field.

    Returns
    -------
    dict
        ``text``, ``marker``, ``frame``, ``metal``, and ``air`` for soft-edged remains of air: bool (rows, cols) each.
    """
    slope = ops.steepness(unit)
    levels = unit[air]
    above_air = unit - np.float32(np.median(levels[:: 1 + levels.size // MAX_SAMPLES]) if levels.size else 0)
    islands = _islands(above_air, slope, body, pixel_mm=pixel_mm, settings=settings)
    main = body & ~np.logical_or.reduce(list(islands.values()))
    hard = _hard_structures(unit, slope, main, pixel_mm=pixel_mm, settings=settings)
    return {kind: islands[kind] | hard[kind] for kind in islands}


def _hard_structures(
    unit: FloatImage, slope: FloatImage, body: Mask, *, pixel_mm: float, settings: ExposureSettings
) -> dict[str, Mask]:
    """Find structures on the body with hard edges all around, by kind."""
    seen = np.zeros(unit.shape, np.uint8)
    least, letter = settings.min_metal_mm2 / pixel_mm**2, settings.max_letter_mm / pixel_mm
    for level in LEVELS:
        labels, hardness, boxes = _bright_parts(slope, body & (unit >= level))
        drawn, metal = hardness >= DRAWN_HARDNESS, (hardness >= settings.min_hardness) & (boxes[:, 4] >= least)
        code = LIKELY * (hardness >= COMPANION_HARDNESS) + SURE * (drawn | metal)
        if len(boxes) > 1:
            code += INK * _are_ink(unit, labels, boxes, hardness, longest_px=letter)
        if code.any():
            seen |= code.astype(np.uint8)[labels]
    sure, ink = seen >= SURE, seen >= INK
    if not sure.any():
        return {kind: np.zeros(unit.shape, bool) for kind in KINDS}
    hard = sure | ((seen > 0) & (ops.distance(sure) <= COMPANION_MM / pixel_mm))
    labels, boxes, _ = ops.components(ops.dilate(hard, 2) & body)
    areas = np.bincount(labels[hard], minlength=len(boxes) + 1)[1:] * pixel_mm**2
    frames = _are_frames(boxes, unit.shape)
    strokes = (areas <= MAX_STROKE_MM2) | (np.bincount(labels[ink], minlength=len(boxes) + 1)[1:] > 0)
    kinds = _by_kind(labels, text=~frames & strokes, metal=~frames & ~strokes, frame=frames)
    if frames.any():  # bone may hang on to it
        kinds["frame"] &= ops.distance(~ops.convex_hull(kinds["frame"])) <= FRAME_MM / pixel_mm
    return kinds


def _by_kind(labels: LabelImage, **chosen: Mask) -> dict[str, Mask]:
    """Turn, for each kind, the choice among labels 1 … n into a mask."""
    code = np.zeros(labels.max() + 1, np.uint8)
    for number, kind in enumerate(KINDS, start=1):
        if kind in chosen:
            code[1:][chosen[kind]] = number
    codes = code[labels] if code.any() else np.zeros(labels.shape, np.uint8)
    return {kind: codes == number for number, kind in enumerate(KINDS, start=1)}


def _bright_parts(slope: FloatImage, bright: Mask) -> tuple[LabelImage, np.ndarray, np.ndarray]:
    """Label the parts of `bright`; mean slope at each one's outer rim, 0 for specks and the largest, and its box.

    Entry 0 of both stands for all that is not bright.
    """
    rim = np.flatnonzero(ops.dilate(bright, 1) & ~bright)
    steep = slope.ravel()[rim]
    if not (steep >= INK_HARDNESS * INK_CONTRAST).any():
        return np.zeros(bright.shape, np.int32), np.zeros(1), np.zeros((1, 5), np.int32)
    labels, boxes, _ = ops.components(bright)
    boxes = np.vstack([np.zeros((1, 5), np.int32), boxes])
    owner = ops.maximum(labels.astype(np.float32), 3).ravel()[rim].astype(np.int32)
    count = np.bincount(owner, minlength=len(boxes))
    hardness = np.bincount(owner, steep, len(boxes)) / np.maximum(count, 1)
    hardness[(boxes[:, 4] < 3) | (boxes[:, 4] > MAX_HARD_SHARE * slope.size)] = 0
    return labels, hardness, boxes


def _are_ink(
    unit: FloatImage, labels: LabelImage, boxes: np.ndarray, hardness: np.ndarray, *, longest_px: float
) -> Mask:
    """Which labelled parts are letters drawn into the picture: of one grey, hard for their contrast, no lump."""
    ink = np.zeros(len(boxes), bool)
    small = (boxes[:, 2:4].max(axis=1) <= longest_px) & (boxes[:, 4] >= INK_INNER_PX)
    for label in np.flatnonzero(small & (hardness >= INK_HARDNESS * INK_CONTRAST)):
        x0, y0, width, height, _ = boxes[label]
        window = np.s_[max(0, y0 - 3) : y0 + height + 3, max(0, x0 - 3) : x0 + width + 3]
        ink[label] = _is_ink(unit[window], labels[window] == label, hardness[label])
    return ink


def _is_ink(unit: FloatImage, part: Mask, hardness: float) -> bool:
    inside, around = unit[ops.erode(part, 1)], unit[ops.dilate(part, 3) & ~ops.dilate(part, 2)]
    if inside.size < INK_INNER_PX or not around.size or inside.std() > INK_GRAIN:
        return False
    middle, brightest = np.percentile(around, (50, 95))
    contrast, least = np.median(inside) - middle, np.median(inside) - brightest
    hard = hardness >= INK_HARDNESS * contrast and contrast >= INK_CONTRAST and least >= INK_EVENNESS * contrast
    return bool(hard and part.sum() <= INK_FILL * ops.convex_hull(part).sum())


def _are_frames(boxes: np.ndarray, shape: tuple[int, int]) -> Mask:
    wide = (boxes[:, 2] >= FRAME_SIDE * shape[1]) & (boxes[:, 3] >= FRAME_SIDE * shape[0])
    frames: Mask = wide & (boxes[:, 4] <= MAX_FRAME_FILL * boxes[:, 2] * boxes[:, 3])
    return frames


def _islands(
    above_air: FloatImage, slope: FloatImage, body: Mask, *, pixel_mm: float, settings: ExposureSettings
) -> dict[str, Mask]:
    """Find what is not joined to the body's main parts, by kind."""
    labels, boxes, _ = ops.components(body)
    areas = boxes[:, 4] * pixel_mm**2
    small = areas < MIN_MAIN_SHARE * areas.max(initial=0)
    contrast, steep = _island_edges(labels, boxes, above_air, slope, np.flatnonzero(small) + 1)
    hard = small & (steep >= HARD_ISLAND * contrast) & (contrast >= MIN_CONTRAST)
    frames = small & _are_frames(boxes, body.shape)
    letters = np.maximum(boxes[:, 2], boxes[:, 3]) * pixel_mm <= settings.max_letter_mm
    remains = small & ~hard & ~frames & ((areas < settings.min_gap_mm2) | (contrast <= FAINT))
    return _by_kind(labels, frame=frames, text=hard & letters & ~frames, marker=hard & ~letters & ~frames, air=remains)


def _island_edges(
    labels: LabelImage, boxes: np.ndarray, above_air: FloatImage, slope: FloatImage, islands: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Contrast (95th percentile) and slope (90th) of the labelled `islands`; of all others, zero and zero."""
    contrast, steep = np.zeros(len(boxes)), np.zeros(len(boxes))
    for label in islands:
        x0, y0, width, height, _ = boxes[label - 1]
        window = np.s_[y0 : y0 + height, x0 : x0 + width]
        own = labels[window] == label
        contrast[label - 1] = max(np.percentile(above_air[window][own], 95), 0.01)
        steep[label - 1] = np.percentile(slope[window][own], 90)
    return contrast, steep
