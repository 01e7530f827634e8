import io
import json
import zipfile

import numpy as np
import pytest
import roifile
from pyarrow import parquet
from small_scans import COLS, ROWS, small_candidate, small_scan

from calcidetect import writers
from calcidetect.batch import coco
from calcidetect.batch.results import FilmResult
from calcidetect.batch.run_files import write_run_files
from calcidetect.formats.shapes import polygon_from_centre, polygon_from_corner
from calcidetect.types import LABELS

# The small candidate covers rows 10 to 15 and columns 20 to 27: its outline goes through the centres of these.
FROM_CENTRE = [(20, 10), (27, 10), (27, 15), (20, 15)]
FROM_CORNER = [(20.5, 10.5), (27.5, 10.5), (27.5, 15.5), (20.5, 15.5)]


def written(tmp_path, form, **how):
    (path,) = writers.write(small_scan(**how), tmp_path, formats=[form])
    return path


def test_outlines_count_from_the_centre_or_the_corner_of_the_first_pixel():
    assert polygon_from_centre(small_candidate()) == tuple(FROM_CENTRE)
    assert polygon_from_corner(small_candidate()) == tuple(FROM_CORNER)


@pytest.mark.parametrize("contour", [(), ((10.0, 20.0),), ((10.0, 20.0), (10.0, 27.0), (10.0, 20.0))])
def test_outline_without_an_area_is_its_box(contour):
    assert polygon_from_corner(small_candidate(contour=contour)) == ((20, 10), (28, 10), (28, 16), (20, 16))


def test_labelme_file_has_its_polygons_on_a_picture_beside_it(tmp_path):
    content = json.loads(written(tmp_path, "labelme", path="some/folder/film.png").read_text())
    assert (content["imagePath"], content["imageHeight"], content["imageWidth"]) == ("film.png", ROWS, COLS)
    assert [shape["label"] for shape in content["shapes"]] == ["calcification", "tracheal"]
    assert content["shapes"][0]["points"] == [list(point) for point in FROM_CORNER]
    assert content["shapes"][0]["shape_type"] == "polygon"


def test_imagej_reads_the_regions(tmp_path):
    path = written(tmp_path, "imagej")
    rois = roifile.roiread(path)
    assert [roi.name for roi in rois] == ["0001 calcification 0.81", "0002 tracheal 0.81"]
    assert rois[0].roitype == roifile.ROI_TYPE.POLYGON
    np.testing.assert_allclose(rois[0].coordinates(), FROM_CORNER)


def test_imagej_file_of_a_film_without_candidates_is_an_empty_archive(tmp_path):
    assert zipfile.ZipFile(written(tmp_path, "imagej", candidates=())).namelist() == []


def test_equal_scans_give_equal_imagej_files(tmp_path):
    assert written(tmp_path, "imagej").read_bytes() == written(tmp_path, "imagej").read_bytes()


def test_slicer_curves_are_in_pixels_where_the_file_states_no_spacing(tmp_path):
    markups = json.loads(written(tmp_path, "slicer").read_text())["markups"]  # the small scan's spacing was given
    assert [curve["name"] for curve in markups] == ["calcification 1", "tracheal 2"]
    assert {curve["type"] for curve in markups} == {"ClosedCurve"}
    assert {curve["coordinateSystem"] for curve in markups} == {"LPS"}
    positions = [point["position"] for point in markups[0]["controlPoints"]]
    assert positions == [[x, y, 0.0] for x, y in FROM_CENTRE]


def result_of(name, candidates):
    scan = small_scan(f"{name}.png", candidates)
    film = writers.film_row(scan.report, film=f"{name}.png", seconds=1)
    rows = tuple(writers.candidate_row(candidate, film=f"{name}.png") for candidate in candidates)
    outlines = tuple(tuple(np.ravel(polygon_from_corner(candidate)).tolist()) for candidate in candidates)
    return FilmResult(film=film, candidates=rows, name=name, outlines=outlines)


@pytest.fixture
def results():
    failed = FilmResult(film=writers.failed_row("torn.png", error="It is torn.", seconds=0))
    two = (small_candidate(), small_candidate(id=2, label="tracheal"))
    return [result_of("none", ()), failed, result_of("two", two), result_of("one", two[:1])]


def test_coco_file_counts_images_and_annotations(results):
    content = json.loads(b"".join(coco.pieces(results)))
    assert [category["name"] for category in content["categories"]] == list(LABELS)
    assert [(image["id"], image["file_name"]) for image in content["images"]] == [
        (1, "none.png"),
        (2, "two.png"),
        (3, "one.png"),
    ]
    assert {(image["height"], image["width"]) for image in content["images"]} == {(ROWS, COLS)}
    assert [(item["id"], item["image_id"], item["category_id"]) for item in content["annotations"]] == [
        (1, 2, 1),
        (2, 2, 2),
        (3, 3, 1),
    ]
    first = content["annotations"][0]
    assert first["segmentation"] == [[20.5, 10.5, 27.5, 10.5, 27.5, 15.5, 20.5, 15.5]]
    assert (first["bbox"], first["area"], first["iscrowd"]) == ([20, 10, 8, 6], 48, 0)


def test_coco_file_of_no_films_is_json():
    content = json.loads(b"".join(coco.pieces([])))
    assert (content["images"], content["annotations"]) == ([], [])


def test_parquet_holds_the_tables_with_numbers_as_numbers(results, tmp_path):
    write_run_files(tmp_path, results, formats=["parquet"], identified=False)
    films = parquet.read_table(tmp_path / "films.parquet").to_pylist()
    assert list(films[0]) == list(writers.FILM_COLUMNS)
    assert [film["film"] for film in films] == ["none.png", "torn.png", "two.png", "one.png"]
    assert (films[2]["rows"], films[2]["burden_mm2"], films[2]["status"]) == (ROWS, 12.0, "ok")
    assert (films[1]["rows"], films[1]["error"]) == (None, "It is torn.")
    candidates = parquet.read_table(tmp_path / "candidates.parquet").to_pylist()
    assert [(row["film"], row["id"], row["score"]) for row in candidates][1:] == [
        ("two.png", 2, 0.8123),
        ("one.png", 1, 0.8123),
    ]


def test_parquet_of_no_films_has_its_columns(tmp_path):
    write_run_files(tmp_path, [], formats=["parquet"], identified=False)
    assert parquet.read_table(tmp_path / "candidates.parquet").column_names == list(writers.CANDIDATE_COLUMNS)


def test_thumbnail_is_a_small_jpeg_of_the_film():
    data = writers.thumbnail(small_scan())
    assert data[:2] == b"\xff\xd8"
    assert len(data) < 4000
    assert io.BytesIO(data).getbuffer().nbytes == len(data)
