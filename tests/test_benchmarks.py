import json
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from limbs import PIXEL_MM, SHAPE, limb_pixels

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
LEFT = [[34, 4], [76, 4], [76, 295], [34, 295]]  # soft tissue on the left of the limb's bone
PAIRS = [[[100, row], [60, row]] for row in (60, 150, 240)]


def run(script, *arguments):
    command = [sys.executable, BENCHMARKS / script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_speed_benchmark_still_runs(tmp_path):
    out = tmp_path / "speed.json"
    finished = run("speed.py", "--quick", "--out", out)
    assert finished.returncode == 0, finished.stderr
    assert "whole scan" in finished.stdout
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert figures["references"]["JPEG 2000 decoding"] > 0
    assert figures["sizes"][0]["film_mb"] == pytest.approx(2.0, rel=0.01)
    assert set(figures["start_up"]) == {
        "python alone",
        "calcidetect --help",
        "imports of a scan",
        "with those of DICOM",
    }


def test_the_batch_benchmark_still_runs(tmp_path):
    out = tmp_path / "batch.json"
    finished = run("batch.py", "--quick", "--part", "long", "--part", "resume", "--out", out)
    assert finished.returncode == 0, finished.stderr
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert figures["long"]["kept_by_the_kill"] >= 10
    assert figures["long"]["redone"] == 0
    result = figures["long"]["result"]
    assert (result["rows"], result["pictures"], result["duplicates"], result["failed"]) == (20, 20, 0, 0)
    assert result["each_film_once_in_order"]
    assert result["candidates_agree"]
    assert figures["resume"]["rows"] == 100


def test_the_accuracy_benchmark_still_runs(tmp_path):
    finished = run("accuracy.py", "--quick", "--out", tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert "blob_dog" in finished.stdout
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"accuracy.json", "phantoms", "phantoms_froc.png"}, "and no scratch"
    text = (tmp_path / "accuracy.json").read_text(encoding="utf-8")
    phantoms = json.loads(text)["phantoms"]
    means = {name: figures["froc"]["all"]["all"]["mean"]["value"] for name, figures in phantoms.items()}
    assert means["calcidetect"] > max(means["top-hat"], means["blob_dog"])
    assert phantoms["calcidetect"]["bone"]["all"]["masks"] == 3
    assert str(tmp_path) not in text


@pytest.fixture
def annotated(tmp_path):
    """A limb in a folder below the films' own, of the same name as one without polygons; and a mask of the first."""
    pixels, bone = limb_pixels()
    png = imagecodecs.png_encode(np.clip(pixels * 6, 0, 255).astype(np.uint8))
    for name in ("films/left/limb.png", "films/right/limb.png", "masks/left/limb.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(png)
    (tmp_path / "masks/left/limb.png").write_bytes(imagecodecs.png_encode(bone.astype(np.uint8) * 255))
    common = {"region": "hand", "mm_px": PIXEL_MM, "step_pairs": PAIRS, "bone_points": [[100, 50]]}
    notes = [
        {"film": "left/limb.png", "soft": [LEFT]} | common,
        {"film": "right/limb.png"} | common,
        {"film": "gone.png"} | common,
    ]
    (tmp_path / "notes.json").write_text(json.dumps(notes), encoding="utf-8")
    return tmp_path


def test_films_in_folders_become_material_with_truth_and_masks(annotated, script, capsys):
    material = script("material").annotated_films(
        annotated / "films", annotated / "notes.json", annotated / "masks", annotated / "scratch", copies=2, seed=1
    )
    records = json.loads(material.truth.read_text(encoding="utf-8"))["films"]
    names = ["left_limb_1.png", "left_limb_2.png", "left_limb_clean.png", "right_limb_clean.png"]
    assert [record["film"] for record in records] == names
    assert [film.path.name for film in material.films] == names
    assert all(film.path.is_file() and film.spacing_mm == PIXEL_MM for film in material.films)
    assert [bool(record.get("deposits")) for record in records] == [True, True, False, False]
    assert ["bone_points" in record for record in records] == [False, False, True, True]
    assert [path.name for path in material.masks.iterdir()] == ["left_limb_clean.png"]
    assert material.lesioned == 2
    assert "1 films of notes.json" in capsys.readouterr().err


def test_every_variation_leads_places_back_to_the_film(script):
    pixels = np.zeros(SHAPE, np.float32)
    pixels[80:84, 30:34] = 1
    for name, variation in script("robustness").VARIATIONS.items():
        before, changed = (np.abs(image - np.median(image)) for image in (pixels, variation.change(pixels)))
        place = np.argwhere(changed > 0.4 * changed.max()).mean(axis=0)[None]
        back = variation.back(place, SHAPE)
        assert back == pytest.approx(np.argwhere(before > 0.5).mean(axis=0)[None], abs=0.01), name


def test_marks_of_two_films_are_compared_by_distance(script):
    before, after = np.array([[10.0, 10.0], [50.0, 50.0]]), np.array([[11.0, 10.0], [90.0, 20.0], [10.0, 9.0]])
    compared = script("robustness")._compared
    assert compared(before, after, 2.0) == (2, 1, 1)
    assert compared(before, np.empty((0, 2)), 2.0) == (2, 0, 0)
    assert compared(np.empty((0, 2)), after, 2.0) == (0, 0, 3)
