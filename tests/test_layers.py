"""The layer table of the design, held by reading the imports of every module."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import calcidetect

PACKAGE = Path(calcidetect.__file__).parent

# From the ground up; a module imports from sets listed before its own, never from its own or a later one.
LAYERS = (
    # 0: knows nothing of films
    {"errors", "arrays"},
    {"ops", "reading.streams"},
    {"reading.codecs"},
    # 1: records and settings
    {"types", "config"},
    {"formats", "turning"},
    # 2: parts that steps share, then the steps, none of which imports another
    {
        "field.borders",
        "simulation.deposits",
        "reading.dicom_spacing",
        "candidates.label_regions",
        "field.markers",
        "simulation.physics",
        "drawing.plane",
        "reading.polarity",
        "anatomy.region_model",
        "reading.stored",
        "trees",
        "anatomy.joint_frame",
    },
    {
        "reading.dicom_reader",
        "reading.picture_reader",
        "anatomy.pixel_features",
        "candidates.places",
        "candidates.blobs",
        "candidates.looks",
    },
    {"candidates.surroundings"}
    | {
        "anatomy.elbow_frame",
        "anatomy.foot_frame",
        "anatomy.hand_frame",
        "anatomy.hip_frame",
        "anatomy.film_size",
        "anatomy.knee_frame",
        "anatomy.shoulder_frame",
        "anatomy.thorax",
        "candidates.dust_and_ink",
        "candidates.extent",
        "candidates.vessels",
        "candidates.lines",
    },  # where is what in a region
    {"candidates.promise", "candidates.harmonics"},
    {
        "reading.readers",
        "field.exposure",
        "anatomy.bone",
        "anatomy.background",
        "candidates.detect",
        "candidates.features",
        "candidates.measure",
        "candidates.score",
        "anatomy.regions",
    }
    | {"phantom", "simulation.simulate", "evaluate"},
    {"candidates.clusters", "candidates.mimics", "anatomy.zones"},  # what is at a place, after it was measured
    # 3 to 7
    {"pipeline"},
    {"drawing.strokes"},
    {"drawing.scene", "drawing.shapes"},
    {"drawing.arrows", "drawing.lettering"},
    {"drawing.layout", "drawing.view", "drawing.captions"},
    {"drawing.page"},
    {"drawing.overlay"},
    {"dicom_out"},  # its secondary capture is the overlay
    {"batch.names", "batch.worker"},  # of files, and a process: they know nothing of films
    {"writers", "simulation.annotations", "batch.inputs"},
    {"drawing.figure", "notebook"},
    {"batch.results", "batch.workers"},
    {"batch.cluster"},
    {"batch.coco", "batch.gallery", "batch.stats", "batch.stored_results"},
    {"batch.journal"},
    {"batch.run_files"},
    {"batch.film_task"},
    {"batch.run"},
    {"batch.dry_run", "node", "dicomweb", "review"},  # all four hand films to the batch, or ask it what it would do
    {"evaluation", "simulation.simulations"},  # the one reads what the batch wrote, the other names files as it does
    {"refit"},  # learns from what both know
    {"arguments"},
    {"cli"},
    # the package itself, which offers the public names
    {"__init__", "__main__"},
)
GROUPS = {"reading", "field", "anatomy", "candidates", "simulation", "drawing", "batch"}
LAYER_OF = {module: layer for layer, modules in enumerate(LAYERS) for module in modules}

# Modules that may import image libraries themselves; everything else asks `ops`.
FILTERING = {"ops", "drawing.overlay", "writers"}


def _files():
    return sorted(PACKAGE.rglob("*.py"))


def _in_table(dotted):
    """The entry of the table that a dotted name belongs to, itself or a package it is part of; None without."""
    parts = dotted.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in LAYER_OF), None)


def _module(path):
    """Entry in the table of a module; of a package that only groups modules, its own name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    dotted = ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)
    return _in_table(dotted) or dotted


def _imports(path):
    """Full dotted names of everything a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _own_imports(path):
    for name in _imports(path):
        package, _, rest = name.partition(".")
        if package == "calcidetect" and rest != "__version__":
            yield _in_table(rest) or "__init__"


def _calls(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def test_every_module_has_a_layer():
    assert {_module(path) for path in _files()} - set(LAYER_OF) <= GROUPS


def test_packages_that_group_modules_hold_nothing_themselves():
    for group in GROUPS:
        (docstring,) = ast.parse((PACKAGE / group / "__init__.py").read_text(encoding="utf-8")).body
        assert isinstance(docstring, ast.Expr)


@pytest.mark.parametrize(
    "path",
    [path for path in _files() if _module(path) not in GROUPS],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_imports_go_to_lower_layers(path):
    here = _module(path)
    lower = {module for module, layer in LAYER_OF.items() if layer < LAYER_OF[here]}
    assert set(_own_imports(path)) - {here} <= lower


def test_filters_of_image_libraries_are_called_by_ops_alone():
    callers = {
        _module(path)
        for path in _files()
        for name in _imports(path)
        if name.startswith(("cv2", "skimage", "scipy.ndimage", "scipy.signal"))
    }
    assert callers <= FILTERING


def test_modules_are_loaded_by_name_for_notebooks_workers_and_public_names_alone():
    loaders = {_module(path) for path in _files() for call in _calls(path) if call.endswith("import_module")}
    assert loaders == {"__init__", "types", "batch.worker"}
    by_name = ast.walk(ast.parse((PACKAGE / "types.py").read_text(encoding="utf-8")))
    names = [node.value for node in by_name if isinstance(node, ast.Constant) and str(node.value).startswith("calcid")]
    assert names == ["calcidetect.notebook"]


def test_highdicom_has_one_importer():
    assert {_module(path) for path in _files() for name in _imports(path) if name.startswith("highdicom")} <= {
        "dicom_out"
    }


def test_only_the_command_prints_and_exits():
    callers = {_module(path) for path in _files() for call in _calls(path) if call in {"print", "sys.exit", "exit"}}
    assert callers <= {"cli", "__main__"}


def test_only_the_batch_and_its_workers_catch_everything():
    catchers = {
        _module(path)
        for path in _files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler) and (node.type is None or ast.unparse(node.type) == "Exception")
    }
    # They make a row of it, tell which row it would be, and carry it to its caller.
    assert catchers <= {"batch.film_task", "batch.dry_run", "batch.worker", "batch.workers"}


def test_dask_has_one_importer():
    assert {_module(path) for path in _files() for name in _imports(path) if name.startswith("distributed")} == {
        "batch.cluster"
    }


def _loaded_after(statement):
    """Top-level modules that a new Python has loaded after one statement."""
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}}, file=sys.stderr)"
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import calcidetect",
        "from calcidetect import Config",
        "from calcidetect.cli import main\ntry: main(['scan', '--help'])\nexcept SystemExit: pass",
        "from calcidetect.cli import main\nmain(['settings'])",
    ],
)
def test_what_needs_no_film_loads_no_heavy_library(statement):
    heavy = {"numpy", "cv2", "scipy", "skimage", "matplotlib", "pydicom", "imagecodecs", "highdicom", "tqdm"}
    loaded = _loaded_after(statement)
    assert "calcidetect" in loaded
    assert not loaded & heavy


def test_scanning_loads_no_plotting_library():
    assert not _loaded_after("import calcidetect.drawing.figure, calcidetect.notebook") & {"matplotlib", "IPython"}
    assert not _loaded_after("import calcidetect.batch.run") & {
        "matplotlib",
        "highdicom",
        "dask",
        "distributed",
        "pyarrow",
        "roifile",
    }


PICTURE_SCAN = """
import os, calcidetect, cv2, numpy as np
from calcidetect.batch.workers import Here  # in this process: what a worker loads can't be seen from outside
os.chdir({folder!r})
pixels = np.full((64, 64), 20, np.uint8)
pixels[16:, 16:48] = 120 + np.arange(32, dtype=np.uint8)
cv2.imwrite("film.png", pixels)
(result,) = calcidetect.scan_many("film.png", "out", spacing_mm=1.0, formats={formats!r}, executor=Here())
assert result.ok, result.film["error"]
"""


@pytest.mark.parametrize(("formats", "drawing"), [((), set()), (("png",), {"matplotlib", "PIL"})])
def test_scanning_a_picture_loads_no_dicom_and_no_other_heavy_library(tmp_path, formats, drawing):
    heavy = {"pydicom", "PIL", "requests", "tifffile", "scipy", "skimage", "matplotlib", "highdicom", "pyarrow"}
    loaded = _loaded_after(PICTURE_SCAN.format(folder=str(tmp_path), formats=formats))
    assert {"cv2", "imagecodecs"} <= loaded
    assert loaded & heavy == drawing


def test_public_names_are_the_eight_of_the_design():
    names = {"scan", "scan_many", "load", "write", "Config", "Radiograph", "Candidate", "Report"}
    assert set(calcidetect.__all__) == names
    assert names <= set(dir(calcidetect))


@pytest.mark.parametrize("name", calcidetect.__all__)
def test_public_name_can_be_imported(name):
    assert getattr(calcidetect, name).__name__ == name


def test_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'diagnose'"):
        calcidetect.diagnose  # noqa: B018
