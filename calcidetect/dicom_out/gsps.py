"""Arrows and letters as a grayscale softcopy presentation state, drawn by the viewer on the untouched film."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.multival import MultiValue

from calcidetect.dicom_out.common import CREATOR, DESCRIPTION, identity, to_image
from calcidetect.dicom_out.header import file_under, film_header, nameless, side
from calcidetect.drawing.overlay import lay_out_scan
from calcidetect.drawing.strokes import Arrow, LayoutStyle, Text, arrow_polygon
from calcidetect.errors import NotForDicom
from calcidetect.types import Grid, Scan

_WINDOW = ("WindowCenter", "WindowWidth")
_RESCALE = ("RescaleIntercept", "RescaleSlope")
_LAYER = "CALCIDETECT"

MOST_OBLONG = 1000
"""Aspect ratios of pixels are told by numbers up to about this."""

_YELLOW = hd.color.CIELabColor.from_rgb(255, 255, 0)


def presentation_state(scan: Scan) -> Dataset:
    """Put the arrows and letters of a scan into a presentation state.

    An arrow is the outline of what the overlay draws, as a filled polygon: compound graphics know arrows, but hardly
    a viewer knows these.

    Parameters
    ----------
    scan
        Of a DICOM film, whose file is still there.

    Raises
    ------
    NotForDicom
        When the film is no DICOM file, is gone, lacks what a PACS files by, or is stored in colours.
    """
    header = film_header(scan.report)
    if header.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        path = scan.report.source.path
        raise NotForDicom(f"{path} is stored in colours, and a gsps is made of grey films; leave this format out.")
    film = _sound(nameless(header))
    layout, style = lay_out_scan(scan)
    grid = scan.radiograph.grid
    layer = hd.pr.GraphicLayer(layer_name=_LAYER, order=1, description=DESCRIPTION, display_color=_YELLOW)
    annotation = hd.pr.GraphicAnnotation(
        referenced_images=[film],
        graphic_layer=layer,
        graphic_objects=[_arrow(arrow, style, grid) for arrow in layout.arrows],
        text_objects=[_text(text, grid) for text in (*layout.letters, layout.notice) if text],
    )
    state = hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=[film],
        content_label=_LAYER,
        content_description=DESCRIPTION,
        content_creator_name=CREATOR,
        graphic_layers=[layer],
        graphic_annotations=[annotation],
        presentation_lut_transformation=_polarity(header),
        device_serial_number="0",
        **identity(scan.report, "gsps"),
    )
    file_under(state, header)
    state.Laterality = side(scan.report, header) or None  # for paired body parts it must be there, even if empty
    down, across = scan.radiograph.grid.step
    ratio = Fraction(across / down).limit_denominator(MOST_OBLONG)
    for area in state.DisplayedAreaSelectionSequence:  # of how high a pixel is to how wide
        area.PresentationPixelAspectRatio = [ratio.numerator, ratio.denominator]
    return state


def _sound(film: Dataset) -> Dataset:
    """The film's header with one window, or one table of grey levels, at most, and without scales that are none.

    The state would take over what there is, and may hold one of either only.
    """
    centers, widths = (_numbers(film.get(keyword)) for keyword in _WINDOW)
    if not len(centers) == len(widths) > 0 or not np.isfinite([*centers, *widths]).all() or min(widths) <= 0:
        _leave_out(film, _WINDOW)
    else:
        film.WindowCenter, film.WindowWidth = centers[0], widths[0]
    _leave_out(film, ("WindowCenterWidthExplanation",))
    tables = list(film.get("VOILUTSequence") or [])
    if "WindowCenter" in film or not tables or not isinstance(tables[0].get("LUTData"), bytes):
        _leave_out(film, ("VOILUTSequence",))
    else:
        film.VOILUTSequence = tables[:1]
    if not np.isfinite([number for keyword in _RESCALE for number in _numbers(film.get(keyword))]).all():
        _leave_out(film, (*_RESCALE, "RescaleType"))
    return film


def _numbers(value: Any) -> list[float]:
    """The numbers of an element with none, one or several."""
    if value is None or value == "":
        return []
    return [float(number) for number in value] if isinstance(value, MultiValue) else [float(value)]


def _leave_out(film: Dataset, keywords: Sequence[str]) -> None:
    for keyword in keywords:
        if keyword in film:
            delattr(film, keyword)


def _polarity(header: Dataset) -> hd.PresentationLUTTransformation:
    """A presentation state replaces the film's own polarity: a MONOCHROME1 film must be told to be inverted."""
    inverse = header.PhotometricInterpretation == "MONOCHROME1" or header.get("PresentationLUTShape") == "INVERSE"
    return hd.PresentationLUTTransformation(presentation_lut_shape="INVERSE" if inverse else "IDENTITY")


def _arrow(arrow: Arrow, style: LayoutStyle, grid: Grid) -> hd.pr.GraphicObject:
    corners = _on_film(arrow_polygon(arrow, style), grid)
    return hd.pr.GraphicObject(
        graphic_type="POLYLINE",
        graphic_data=np.vstack([corners, corners[:1]]),
        units="PIXEL",
        is_filled=True,
    )


def _text(text: Text, grid: Grid) -> hd.pr.TextObject:
    box = text.box
    (left, top), (right, bottom) = _on_film([(box.row0, box.col0), (box.row1, box.col1)], grid)
    return hd.pr.TextObject(text_value=text.text, units="PIXEL", bounding_box=(left, top, right, bottom))


def _on_film(points: npt.ArrayLike, grid: Grid) -> npt.NDArray[np.float64]:
    """``(row, col)`` of the square grid to DICOM's ``(column, row)`` of the film's own matrix, kept on the film."""
    return np.clip(to_image(grid.to_source(points)), 0, grid.source_shape[::-1])
