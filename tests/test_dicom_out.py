"""DICOM results: valid, readable by others, and true to the hundredth of a pixel."""

import dataclasses
import shutil
import subprocess
import warnings

import cv2
import numpy as np
import pydicom
import pytest
from pacs_films import CR, DX, film_dataset, scan_of, small_film, write_film
from pydicom.sr import _concepts_dict as tables
from small_scans import COLS, ROWS, small_candidate
from validator import complaints

from calcidetect import dicom_out, ops, writers
from calcidetect.config import Config
from calcidetect.drawing.overlay import draw_scan, lay_out_scan
from calcidetect.errors import ConfigError, NotForDicom, OutputError, UnsupportedFilm
from calcidetect.reading import readers
from calcidetect.reading.stored import to_grey
from calcidetect.types import Grid

hd = pytest.importorskip("highdicom")
codes = pytest.importorskip("calcidetect.dicom_out.codes")
sr = pytest.importorskip("calcidetect.dicom_out.sr")

ALL = dicom_out.KINDS
# Where pip puts it is not on the path of a Python that is called by its full name.


def write(tmp_path, kind, *, scan=None, **options):
    """Write one result of a film and return it as it is read back."""
    scan = scan or scan_of(write_film(tmp_path, **options), spacing_mm=options.get("spacing_mm"))
    (path,) = writers.write(scan, tmp_path, formats=[kind])
    return pydicom.dcmread(path)


def with_settings(scan, **changes):
    config = Config().replace({f"dicom.{name}": value for name, value in changes.items()})
    report = dataclasses.replace(scan.report, settings=config.flat(), settings_hash=config.hash)
    return dataclasses.replace(scan, report=report)


def groups_of(tmp_path):
    return hd.sr.srread(tmp_path / "film.sr.dcm").content.get_planar_roi_measurement_groups()


def points_of(tmp_path):
    """Points ``(column, row)`` of a report, in its order."""
    report = pydicom.dcmread(tmp_path / "film.sr.dcm")
    found = []
    report.walk(lambda level, element: found.append(level) if level.get("GraphicType") == "POINT" else None)
    return [tuple(level.GraphicData) for level in {id(level): level for level in found}.values()]


# --- valid ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sop_class", [CR, DX], ids=["cr", "dx"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("spacing_mm", [0.5, None], ids=["spacing", "no_spacing"])
def test_validator_finds_no_error_and_readers_read_what_was_written(tmp_path, sop_class, photometric, spacing_mm):
    path = write_film(tmp_path, sop_class=sop_class, photometric=photometric, spacing_mm=spacing_mm)
    scan = scan_of(path, spacing_mm=spacing_mm)
    for result in writers.write(scan, tmp_path, formats=ALL):
        assert not complaints(result, ("Error", "Warning")), result.name
        assert pydicom.dcmread(result).PatientName == "Müller^Jörg"
    assert len(groups_of(tmp_path)) == 3  # film, mark, tracheal ring
    assert hd.seg.segread(tmp_path / "film.seg.dcm").number_of_segments == 2


@pytest.mark.parametrize("body_part", ["CHEST", "HAND", None])
def test_film_without_a_side_gives_valid_results(tmp_path, body_part):
    path = write_film(tmp_path, sop_class=CR, Laterality=None, BodyPartExamined=body_part)
    for result in writers.write(scan_of(path), tmp_path, formats=ALL):
        assert not complaints(result, "Error"), result.name


@pytest.mark.parametrize(
    "name", [name for name, value in vars(codes).items() if isinstance(value, pydicom.sr.coding.Code)]
)
def test_codes_mean_what_the_tables_of_dicom_say(name):
    code = getattr(codes, name)
    scheme = tables.concepts[code.scheme_designator]
    meanings = [entry[code.value][0].casefold() for entry in scheme.values() if code.value in entry]
    assert code.scheme_designator == "UCUM" or code.meaning.casefold() in meanings


# --- filed in the film's study ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
def test_result_belongs_to_the_patient_and_study_of_the_film(tmp_path, kind):
    film, result = small_film(), write(tmp_path, kind)
    for keyword in ("PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "StudyInstanceUID", "StudyID"):
        assert result[keyword].value == film[keyword].value
    for keyword in ("AccessionNumber", "StudyDate", "StudyDescription", "ReferringPhysicianName"):
        assert result[keyword].value == film[keyword].value
    assert result.SeriesInstanceUID != film.SeriesInstanceUID
    assert 901 <= result.SeriesNumber <= 904
    assert "unverified" in result.SeriesDescription
    assert "NOT FOR DIAGNOSIS" in result.SeriesDescription
    assert (result.Manufacturer, result.ManufacturerModelName) == ("calcidetect", "calcidetect")


def test_every_kind_has_its_own_series_that_a_rerun_keeps(tmp_path):
    scan = scan_of(write_film(tmp_path))
    first = [write(tmp_path, kind, scan=scan) for kind in ALL]
    again = [write(tmp_path, kind, scan=scan) for kind in ALL]
    assert [item.SOPInstanceUID for item in first] == [item.SOPInstanceUID for item in again]
    assert [item.SeriesInstanceUID for item in first] == [item.SeriesInstanceUID for item in again]
    assert len({uid for item in first for uid in (item.SOPInstanceUID, item.SeriesInstanceUID)}) == 2 * len(ALL)


def test_other_film_settings_or_operating_point_give_other_uids(tmp_path):
    scan = scan_of(write_film(tmp_path))
    other_point = dataclasses.replace(scan, report=dataclasses.replace(scan.report, min_score=0.1))
    other_settings = with_settings(scan, seg_geometry=0)
    other_film = scan_of(write_film(tmp_path, uid="1.2.826.0.1.9"), uid="1.2.826.0.1.9")
    assert write(tmp_path, "sr", scan=other_film)
    write_film(tmp_path)
    uids = {write(tmp_path, "sr", scan=item).SOPInstanceUID for item in (scan, other_point, other_settings)}
    assert len(uids) == 3
    assert all(pydicom.uid.UID(uid).is_valid for uid in uids)


# --- structured report ------------------------------------------------------------------------------------------------


def test_report_is_complete_preliminary_and_unverified(tmp_path):
    report = write(tmp_path, "sr")
    assert report.SOPClassUID.name == "Comprehensive 3D SR Storage"
    assert (report.CompletionFlag, report.PreliminaryFlag, report.VerificationFlag) == (
        "COMPLETE",
        "PRELIMINARY",
        "UNVERIFIED",
    )
    (evidence,) = hd.sr.srread(tmp_path / "film.sr.dcm").get_evidence()
    assert evidence[2] == small_film().SOPInstanceUID


@pytest.mark.parametrize("place", [(0, 0), (17, 31), (ROWS - 1, COLS - 1), (12.34, 5.67)])
def test_dot_keeps_its_place_to_a_hundredth_of_a_pixel(tmp_path, place):
    row, col = place
    x0, y0 = int(col), int(row)
    dot = small_candidate(row=row, col=col, x0=x0, y0=y0, x1=x0 + 1, y1=y0 + 1, contour=(place,))
    write(tmp_path, "sr", scan=scan_of(write_film(tmp_path), candidates=(dot,)))
    assert points_of(tmp_path) == [pytest.approx((col + 0.5, row + 0.5), abs=0.01)]
    outline = groups_of(tmp_path)[1].roi.value  # a point has no outline: its pixel's border stands for it
    assert outline.min(0) == pytest.approx((x0, y0), abs=0.01)
    assert outline.max(0) == pytest.approx((x0 + 1, y0 + 1), abs=0.01)


def test_outline_and_measures_of_a_mark_are_read_back_as_written(tmp_path):
    scan = scan_of(write_film(tmp_path, spacing_mm=0.5))
    write(tmp_path, "sr", scan=scan)
    _, mark, ring = groups_of(tmp_path)
    candidate = scan.report.candidates[0]
    np.testing.assert_allclose(mark.roi.value, np.array(candidate.contour)[:, ::-1] + 0.5, atol=0.01)
    measures = {m.name.meaning: (m.value, m.unit.value) for m in mark.get_measurements()}
    assert measures["Area"] == (12.0, "mm2")
    assert measures["Signal to noise"] == (6.25, "1")
    # Corner to corner 5 rows and 7 columns of 0.5 mm, and one working pixel of 1 mm.
    assert measures["Long axis"] == (pytest.approx(0.5 * np.hypot(5, 7) + 1, rel=1e-3), "mm")
    assert mark.finding_type.value == "18115005"
    assert [site.value.value for site in mark.finding_sites] == ["87784001", "16982005"]
    assert mark.tracking_uid != ring.tracking_uid
    assert ring.finding_sites[0].value.value == "44567001"


def test_labelled_kind_gets_one_box_around_all_of_it(tmp_path):
    rings = [
        small_candidate(id=n, label="tracheal", x0=x, y0=y, x1=x + 3, y1=y + 2)
        for n, (x, y) in enumerate([(20, 5), (10, 30), (12, 8)], start=1)
    ]
    write(tmp_path, "sr", scan=scan_of(write_film(tmp_path), candidates=tuple(rings)))
    _, trachea = groups_of(tmp_path)
    assert trachea.roi.value.tolist() == [[10, 5], [23, 5], [23, 32], [10, 32], [10, 5]]
    assert [(m.name.meaning, m.value) for m in trachea.get_measurements()] == [("Number of calcifications", 3)]


def test_long_axis_of_a_film_with_oblong_pixels_is_taken_on_square_ones():
    grid = Grid(shape=(100, 50), source_shape=(50, 50), spacing_mm=1.0, spacing_source="given", nominal_mm=1.0)
    line = small_candidate(contour=((10.0, 10.0), (20.0, 10.0)))  # 10 rows of the file are 20 of the square grid
    assert sr.long_axis(line, grid, rim_px=1.0) == pytest.approx(21)


def test_each_mark_gets_one_arrow_and_labelled_kinds_none(tmp_path):
    write(tmp_path, "sr")
    assert points_of(tmp_path) == [(24.0, 13.0)]
    places = hd.sr.srread(tmp_path / "film.sr.dcm").content.get_image_measurement_groups()
    ((certainty,),) = (place.get_measurements() for place in places)
    assert certainty.name.meaning == "Certainty of Finding"
    assert certainty.value == pytest.approx(81.2346, abs=1e-3)


def test_report_of_a_film_without_spacing_states_no_millimetre(tmp_path):
    mark = small_candidate(area_mm2=None, diameter_mm=None, bone_distance_mm=None)
    write(tmp_path, "sr", scan=scan_of(write_film(tmp_path), spacing_mm=None, candidates=(mark,)))
    units = {m.name.meaning: m.unit.value for m in groups_of(tmp_path)[1].get_measurements()}
    assert (units["Area"], units["Long axis"]) == ("{pixels}", "{pixels}")
    assert "mm" not in {m.unit.value for group in groups_of(tmp_path) for m in group.get_measurements()}


def test_film_without_marks_has_a_report_that_counts_none(tmp_path):
    write(tmp_path, "sr", scan=scan_of(write_film(tmp_path), candidates=()))
    (film,) = groups_of(tmp_path)
    assert film.get_measurements()[0].value == 0
    assert film.roi.value.max(0).tolist() == [COLS, ROWS]
    assert b"No mark does not mean no calcification" in (tmp_path / "film.sr.dcm").read_bytes()


def test_kinds_without_a_code_of_their_own_are_left_out(tmp_path):
    metal = small_candidate(label="metal")
    write(tmp_path, "sr", scan=scan_of(write_film(tmp_path), candidates=(metal,)))
    assert len(groups_of(tmp_path)) == 1


# --- secondary capture ------------------------------------------------------------------------------------------------


def test_capture_shows_the_overlay_and_says_what_it_is(tmp_path):
    scan = scan_of(write_film(tmp_path))
    capture = write(tmp_path, "sc", scan=scan)
    assert np.abs(to_grey(capture.pixel_array) - to_grey(draw_scan(scan))).mean() < 6  # JPEG rounds sharp edges off
    assert capture.PhotometricInterpretation == "YBR_FULL_422"
    assert capture.file_meta.TransferSyntaxUID.name.startswith("JPEG Baseline")
    assert list(capture.ImageType) == ["DERIVED", "SECONDARY"]
    assert (capture.BurnedInAnnotation, capture.LossyImageCompression, capture.Laterality) == ("YES", "01", "R")
    assert capture.SourceImageSequence[0].ReferencedSOPInstanceUID == small_film().SOPInstanceUID
    assert list(capture.PixelSpacing) == [0.5, 0.5]


def test_spacing_at_the_detector_is_not_passed_on_as_the_patients(tmp_path):
    scan = scan_of(write_film(tmp_path))
    grid = dataclasses.replace(scan.report.grid, spacing_source="detector")
    scan = dataclasses.replace(scan, report=dataclasses.replace(scan.report, grid=grid))
    assert "PixelSpacing" not in write(tmp_path, "sc", scan=scan)


# --- segmentation -----------------------------------------------------------------------------------------------------


def test_segments_are_the_masks_of_bone_and_marks_in_the_films_matrix(tmp_path):
    scan = scan_of(write_film(tmp_path))
    result = write(tmp_path, "seg", scan=scan)
    bone, marks = result.pixel_array
    assert result.SegmentationType == "BINARY"
    np.testing.assert_array_equal(bone, ops.resize_mask(scan.anatomy.bone, (ROWS, COLS)))
    np.testing.assert_array_equal(marks, ops.resize_mask(scan.labels == 1, (ROWS, COLS)))
    assert [segment.SegmentLabel for segment in result.SegmentSequence] == [
        "Bone (unverified)",
        "Calcification (unverified)",
    ]
    assert list(result.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing) == [0.5, 0.5]


def test_film_without_bone_and_marks_has_two_empty_segments(tmp_path):
    scan = scan_of(write_film(tmp_path), candidates=())
    anatomy = dataclasses.replace(scan.anatomy, bone=np.zeros_like(scan.anatomy.bone))
    result = write(tmp_path, "seg", scan=dataclasses.replace(scan, anatomy=anatomy))
    assert result.NumberOfFrames == 2
    assert not result.pixel_array.any()


def test_made_up_plane_can_be_left_out(tmp_path):
    scan = scan_of(write_film(tmp_path))
    shared = write(tmp_path, "seg", scan=scan).SharedFunctionalGroupsSequence[0]
    assert list(shared.PlaneOrientationSequence[0].ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
    bare = write(tmp_path, "seg", scan=with_settings(scan, seg_geometry=0))
    assert "PlaneOrientationSequence" not in bare.SharedFunctionalGroupsSequence[0]
    assert "FrameOfReferenceUID" not in bare


def test_spacing_of_zero_in_the_header_is_not_copied(tmp_path):
    path = write_film(tmp_path, sop_class=CR, PixelSpacing=[0, 0])
    result = write(tmp_path, "seg", scan=scan_of(path, spacing_mm=None))
    assert "PixelSpacing" not in str(result.SharedFunctionalGroupsSequence[0])


CHARACTER_SETS = [["", "ISO 2022 IR 87"], ["", "ISO 2022 IR 149"], "ISO 2022 IR 87", ""]


@pytest.mark.parametrize("sets", CHARACTER_SETS, ids=["japanese", "korean", "japanese_alone", "empty"])
@pytest.mark.parametrize("kind", ALL)
def test_results_are_filed_under_names_in_other_scripts(tmp_path, sets, kind):
    name = "Yamada^Tarou=山田^太郎" if "ISO 2022 IR 87" in sets else "Hong^Gildong"
    film = small_film(SpecificCharacterSet=["", sets] if sets == "ISO 2022 IR 87" else sets, PatientName=name)
    film.save_as(tmp_path / "film.dcm", enforce_file_format=True)
    if sets == "ISO 2022 IR 87":  # against the standard, so not with pydicom
        written = (tmp_path / "film.dcm").read_bytes()
        (tmp_path / "film.dcm").write_bytes(written.replace(b"\\ISO 2022 IR 87 ", b"ISO 2022 IR 87  "))
        assert pydicom.dcmread(tmp_path / "film.dcm").SpecificCharacterSet == sets
    assert write(tmp_path, kind, scan=scan_of(tmp_path / "film.dcm")).PatientName == name


# --- presentation state -----------------------------------------------------------------------------------------------


def test_arrow_of_the_state_points_where_the_overlays_does(tmp_path):
    scan = scan_of(write_film(tmp_path))
    state = write(tmp_path, "gsps", scan=scan)
    layout, _ = lay_out_scan(scan)
    (arrow,) = state.GraphicAnnotationSequence[0].GraphicObjectSequence
    corners = np.reshape(arrow.GraphicData, (-1, 2))
    assert (arrow.GraphicType, arrow.GraphicFilled) == ("POLYLINE", "Y")
    tip = np.array(layout.arrows[0].tip)[::-1] + 0.5
    assert np.linalg.norm(corners - tip, axis=1).min() < 0.01
    assert (corners >= 0).all()
    assert (corners <= (COLS, ROWS)).all()
    texts = [item.UnformattedTextValue for item in state.GraphicAnnotationSequence[0].TextObjectSequence]
    assert "T" in texts
    assert any("not for diagnosis" in text for text in texts)


@pytest.mark.parametrize(
    "tags",
    [
        {"WindowWidth": 0},
        {"WindowWidth": None},
        {"WindowWidth": "nan"},
        {"WindowCenter": [1, 2]},
        {"RescaleSlope": "nan"},
    ],
    ids=str,
)
def test_state_leaves_out_a_window_or_scale_that_is_none(tmp_path, tags):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state = write(tmp_path, "gsps", sop_class=DX, **tags)
    assert ("SoftcopyVOILUTSequence" in state) == ("RescaleSlope" in tags)


def test_state_takes_the_window_of_a_film_that_has_a_table_of_grey_levels_as_well(tmp_path):
    table = pydicom.Dataset()
    table.LUTDescriptor, table.LUTExplanation = [4, 0, 16], "normal"
    table.add_new("LUTData", "OW", np.arange(4, dtype="<u2").tobytes())
    tags = {"WindowCenter": 2000, "WindowWidth": 3000, "VOILUTSequence": [table]}
    (item,) = write(tmp_path, "gsps", sop_class=DX, **tags).SoftcopyVOILUTSequence
    assert (item.WindowCenter, item.WindowWidth) == (2000, 3000)


def test_state_leaves_out_explanations_that_belong_to_no_window(tmp_path):
    tags = {"WindowCenter": 2000, "WindowWidth": 3000, "WindowCenterWidthExplanation": ["normal", "harder"]}
    (item,) = write(tmp_path, "gsps", sop_class=DX, **tags).SoftcopyVOILUTSequence
    assert (item.WindowCenter, "WindowCenterWidthExplanation" in item) == (2000, False)


@pytest.mark.parametrize("photometric", ["RGB", "PALETTE COLOR"])
def test_no_state_is_made_of_a_film_in_colours(tmp_path, photometric):
    with pytest.raises(NotForDicom, match=r"film\.dcm is stored in colours, and a gsps is made of grey films"):
        write(tmp_path, "gsps", sop_class=DX, PhotometricInterpretation=photometric)


def test_state_takes_the_first_of_several_windows(tmp_path):
    tags = {"WindowCenter": [2048, 1000], "WindowWidth": [4096, 800]}
    (item,) = write(tmp_path, "gsps", sop_class=DX, **tags).SoftcopyVOILUTSequence
    assert (item.WindowCenter, item.WindowWidth) == (2048, 4096)


@pytest.mark.parametrize("tables", [[], ["numbers"]])
def test_state_leaves_out_tables_of_grey_levels_that_are_none(tmp_path, tables):
    item = pydicom.Dataset()
    item.LUTDescriptor = [4, 0, 16]
    item.add_new("LUTData", "US", [0, 1, 2, 3])
    tags = {"WindowCenter": None, "WindowWidth": None, "VOILUTSequence": [item] * len(tables)}
    assert "SoftcopyVOILUTSequence" not in write(tmp_path, "gsps", sop_class=DX, **tags)


@pytest.mark.parametrize("kind", ["sr", "sc", "gsps"])
def test_the_side_that_the_user_names_is_in_all_results(tmp_path, kind):
    scan = scan_of(write_film(tmp_path, sop_class=CR))
    scan = dataclasses.replace(scan, report=dataclasses.replace(scan.report, laterality="L"))
    text = str(write(tmp_path, kind, scan=scan))
    assert ("Left" in text) if kind == "sr" else ("(0020,0060) Laterality                          CS: 'L'" in text)


def test_state_shows_oblong_pixels_as_they_are(tmp_path):
    scan = scan_of(write_film(tmp_path, sop_class=CR))
    grid = dataclasses.replace(scan.radiograph.grid, source_shape=(ROWS, COLS // 2))
    oblong = dataclasses.replace(scan.radiograph, grid=grid)
    (area,) = write(tmp_path, "gsps", scan=dataclasses.replace(scan, radiograph=oblong)).DisplayedAreaSelectionSequence
    assert area.PresentationPixelAspectRatio == [1, 2]


@pytest.mark.parametrize(("photometric", "shape"), [("MONOCHROME1", "INVERSE"), ("MONOCHROME2", "IDENTITY")])
@pytest.mark.parametrize("sop_class", [CR, DX], ids=["cr", "dx"])
def test_state_keeps_the_polarity_of_the_film(tmp_path, photometric, shape, sop_class):
    state = write(tmp_path, "gsps", photometric=photometric, sop_class=sop_class)
    assert state.PresentationLUTShape == shape
    assert state.Laterality == "R"


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_viewer_shows_the_film_alike_with_and_without_the_state(tmp_path, photometric):
    if not shutil.which("dcmp2pgm"):
        pytest.skip("dcmp2pgm is not here; it is in Debian's package dcmtk")
    write(tmp_path, "gsps", photometric=photometric)
    plain, stated = tmp_path / "plain.pgm", tmp_path / "stated.pgm"
    subprocess.run(["dcmp2pgm", tmp_path / "film.dcm", plain], check=True, capture_output=True)
    command = ["dcmp2pgm", "-p", tmp_path / "film.gsps.dcm", tmp_path / "film.dcm", stated]
    subprocess.run(command, check=True, capture_output=True)
    one, other = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (plain, stated))
    assert one[0, 0] != one[0, -1]
    np.testing.assert_array_equal(one, other)


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
def test_picture_that_is_no_dicom_is_refused_with_the_remedy(tmp_path, kind):
    (tmp_path / "film.png").write_bytes(b"\x89PNG and so on")
    scan = scan_of(tmp_path / "film.png", uid="")
    with pytest.raises(OutputError, match=r"film\.png is no DICOM file.*--make-study"):
        writers.write(scan, tmp_path, formats=[kind])
    assert [path.name for path in tmp_path.iterdir()] == ["film.png"]


@pytest.mark.parametrize("side", ["R", "B", ""])
def test_picture_gets_a_study_of_its_own_when_asked_for(tmp_path, side):
    scan = with_settings(scan_of(tmp_path / "film.png", uid=""), make_study=1)
    scan = dataclasses.replace(scan, report=dataclasses.replace(scan.report, laterality=side))
    capture = write(tmp_path, "sc", scan=scan)
    assert capture.PatientID.startswith("picture-")
    assert "SourceImageSequence" not in capture
    assert capture.StudyInstanceUID == write(tmp_path, "sc", scan=scan).StudyInstanceUID
    assert not complaints(tmp_path / "film.sc.dcm", "Error")


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize(("value", "said"), [(None, "has no"), ("not a uid", "has the")])
def test_film_without_a_usable_uid_is_refused_by_its_name(tmp_path, keyword, value, said):
    film = small_film()
    if value is None:
        delattr(film, keyword)
    else:
        film[keyword] = pydicom.DataElement(keyword, "UI", value, validation_mode=pydicom.config.IGNORE)
    film.save_as(tmp_path / "film.dcm", enforce_file_format=True)
    with pytest.raises(OutputError, match=rf"film\.dcm {said} {keyword}|film\.dcm {said} {keyword} 'not a uid'"):
        write(tmp_path, "sr", scan=scan_of(tmp_path / "film.dcm"))


def test_film_that_was_replaced_since_the_scan_is_refused(tmp_path):
    with pytest.raises(OutputError, match="another film than the one that was scanned"):
        write(tmp_path, "sr", scan=scan_of(write_film(tmp_path, uid="1.2.3.4")))


def test_film_that_is_gone_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"gone\.dcm can't be opened"):
        write(tmp_path, "sr", scan=scan_of(tmp_path / "gone.dcm"))


def test_film_of_another_class_is_refused(tmp_path):
    path = write_film(tmp_path, SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    with pytest.raises(OutputError, match="CT Image Storage"):
        write(tmp_path, "sr", scan=scan_of(path))


@pytest.mark.parametrize("kind", ALL)
def test_odd_patient_data_is_taken_over_as_it_stands(tmp_path, kind):
    film = small_film(PatientID=None, PatientBirthDate=None, AccessionNumber=None, StudyTime=None)
    odd = {"PatientName": "just a name=x=y", "PatientSex": "unknown", "StudyDate": "2026.11.01", "PatientAge": "66"}
    for keyword, value in odd.items():
        vr = pydicom.datadict.dictionary_VR(keyword)
        film[keyword] = pydicom.DataElement(keyword, vr, value, validation_mode=pydicom.config.IGNORE)
    film.save_as(tmp_path / "film.dcm", enforce_file_format=True)
    with pydicom.config.disable_value_validation():
        result = write(tmp_path, kind, scan=scan_of(tmp_path / "film.dcm"))
        assert {keyword: str(result[keyword].value) for keyword in odd} == odd
        assert not result.PatientID


def test_missing_package_is_said_before_anything_is_scanned(monkeypatch):
    monkeypatch.setattr(writers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"sr needs highdicom.*pip install 'calcidetect\[dicom\]'"):
        writers.check_formats(["png", "sr"])


def test_what_highdicom_refuses_is_an_error_on_that_film(tmp_path, monkeypatch):
    def refuse(scan):
        raise ValueError("no good")

    monkeypatch.setattr(sr, "structured_report", refuse)
    with pytest.raises(OutputError, match=r"film\.dcm has a header of which no sr can be made \(no good\)"):
        write(tmp_path, "sr")


def test_own_results_are_no_films(tmp_path):
    write(tmp_path, "sc")
    with pytest.raises(UnsupportedFilm, match="is a result of calcidetect"):
        readers.load(tmp_path / "film.sc.dcm")
    assert [path.name for path in readers.find_films([tmp_path])] == ["film.dcm"]


def test_film_dataset_of_the_tests_is_valid(tmp_path):
    film_dataset(np.zeros((4, 4), np.uint16), spacing_mm=0.2).save_as(tmp_path / "x.dcm", enforce_file_format=True)
    assert not complaints(tmp_path / "x.dcm", "Error")
