"""What is drawn on a film as plain polygons: arrows, bars and lines of text.

White with a dark rim, so that they read on black air and on white bone. A picture fills them, a vector file keeps them;
both look the same.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from calcidetect.drawing.plane import Points
from calcidetect.drawing.strokes import Layout, LayoutStyle, Text, arrow_polygon

_LEAST_TEXT_RIM_PX = 0.9  # a thinner one leaves small print unread on white
_BOLD, _REGULAR = "DejaVuSans-Bold.ttf", "DejaVuSans.ttf"  # of those matplotlib ships, the ones read best at 8 px
_CAPITALS = 0.729  # height of their capitals, in units of the em
_BASELINE = 0.35  # of the capitals' height, between a line's lower edge and its baseline


class Shape(NamedTuple):
    """Polygons ``(row, col)``, filled by parity so that letters keep their holes, and the width of the rim around."""

    polygons: tuple[Points, ...]
    rim_px: float


def layout_shapes(layout: Layout, style: LayoutStyle) -> tuple[Shape, ...]:
    """Everything of a layout, in the order of drawing: small print first, arrows and letters above it."""
    thin = max(style.outline_px / 2, _LEAST_TEXT_RIM_PX)
    shapes = [Shape(text_polygons(layout.notice), thin)] if layout.notice else []
    if layout.scale:
        shapes.append(Shape((layout.scale.bar.corners,), thin))
        shapes.append(Shape(text_polygons(layout.scale.text), thin))
    shapes += [Shape((arrow_polygon(arrow, style),), style.outline_px) for arrow in layout.arrows]
    shapes += [Shape(text_polygons(letter), style.outline_px) for letter in layout.letters]
    return tuple(shapes)


def text_polygons(text: Text) -> tuple[Points, ...]:
    """A line of text centred in its box; a letter's box is as high as the letter, a line's has room below."""
    glyphs, width = line_of_text(text.text)
    box = text.box
    below = _BASELINE * text.size_px if box.row1 - box.row0 > 1.2 * text.size_px else 0.0
    left = (box.col0 + box.col1 - width * text.size_px) / 2
    return tuple(np.array([box.row1 - below, left]) + text.size_px * glyph for glyph in glyphs)


@lru_cache(maxsize=256)
def line_of_text(text: str, *, bold: bool = True) -> tuple[tuple[Points, ...], float]:
    """Outlines of `text` as polygons ``(row, col)`` from the baseline's start, and its width; capitals are 1 high.

    The font is one that matplotlib ships. Its outlines are read with matplotlib's FreeType binding alone: the font
    manager would search the machine for fonts on first use, which takes seconds.
    """
    import matplotlib  # noqa: PLC0415 - costs a quarter of a second, and not every run draws
    from matplotlib.ft2font import FT2Font  # noqa: PLC0415
    from matplotlib.path import Path as Outline  # noqa: PLC0415

    font = FT2Font(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / (_BOLD if bold else _REGULAR)))
    font.set_size(1000, 72)  # 1000 px to the em: outlines and advances in thousandths
    polygons, advance = [], 0.0
    for character in text:
        glyph = font.load_char(ord(character))
        vertices, codes = font.get_path()
        for corners in Outline(vertices, codes).to_polygons() if len(vertices) else ():
            x, y = np.asarray(corners, np.float64).T
            polygons.append(np.stack([-y, x + advance], axis=-1) / (1000 * _CAPITALS))
        advance += glyph.linearHoriAdvance / 65536
    return tuple(polygons), advance / (1000 * _CAPITALS)
