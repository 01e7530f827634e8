"""Where everything goes on a film: arrows, then letters, then notice and scale bar. Nothing is drawn here.

The same candidates give the same layout, always: no randomness, ties go to what comes first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calcidetect.arrays import FloatImage, Mask
from calcidetect.drawing.arrows import place_arrows
from calcidetect.drawing.lettering import place_letters, place_notice, place_scale
from calcidetect.drawing.scene import Ground, box_of, outline_of
from calcidetect.drawing.strokes import Box, Layout, LayoutStyle, arrow_box, style_for
from calcidetect.types import MARK, Candidate


def lay_out(
    candidates: Sequence[Candidate],
    *,
    shape: tuple[int, int],
    obstacles: FloatImage | Mask | None = None,
    style: LayoutStyle | None = None,
    taken: Sequence[Box] = (),
    notice: str = "",
    scale: tuple[float, str] | None = None,
) -> Layout:
    """Place an arrow for each deposit or group, letters for labelled kinds, the notice and the scale bar.

    Parameters
    ----------
    candidates
        With boxes and contours in pixels of the film. ``calcification`` gets arrows, the labels in `style.letters`
        get letters, the rest is only kept clear of.
    shape
        Rows and columns of the film.
    obstacles
        bool or float >= 0, on any grid that spans the whole film: where marks had better not lie; 1 = bone.
    style
        Sizes; `style_for` of `shape` by default.
    taken
        Boxes to be kept clear of, such as that of a panel's letter.
    notice
        Small print along the lower or upper edge; none when empty.
    scale
        Length in pixels and text of the scale bar, as `lettering.scale_length` gives it.

    Returns
    -------
    Layout
        Arrows by the first candidate they point at; everything lies within the film.

    Examples
    --------
    >>> layout = lay_out((), shape=(400, 300), notice="not for diagnosis")
    >>> layout.arrows, layout.notice.text
    ((), 'not for diagnosis')
    """
    style = style or style_for(shape)
    ground = Ground(shape, np.zeros((1, 1)) if obstacles is None else obstacles)
    marks = [c for c in candidates if c.label == MARK]
    solid = [*(box.corners for box in taken), *(outline_of(c) for c in candidates if c.label != MARK)]
    arrows = place_arrows(marks, taken=solid, ground=ground, style=style)
    busy = [*taken, *map(box_of, candidates), *(arrow_box(arrow, style) for arrow in arrows)]
    letters = place_letters(candidates, busy=busy, ground=ground, style=style)
    busy += [letter.box for letter in letters]
    print_ = place_notice(notice, busy=busy, ground=ground, style=style) if notice else None
    busy += [print_.box] if print_ else []
    bar = place_scale(*scale, busy=busy, ground=ground, style=style) if scale else None
    return Layout(arrows=arrows, letters=letters, notice=print_, scale=bar)
