"""Every notebook runs from top to bottom in a kernel, as a reader would run it."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_BYTES = 300_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path):
    notebook = nbformat.read(path, as_version=4)
    saved = [sorted(set(output_kinds(cell))) for cell in notebook.cells]
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(FOLDER)}}).execute()
    assert [sorted(set(output_kinds(cell))) for cell in notebook.cells] == saved


def output_kinds(cell):
    """What a cell shows: MIME types, or a stream's name; complaints on stderr differ between machines."""
    for output in cell.get("outputs", ()):
        yield from output.get("data", {output.get("name"): None}) if output.get("name") != "stderr" else ()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_saved_small_with_what_it_shows(path):
    assert path.stat().st_size < MOST_BYTES
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    shown = {kind for cell in code for kind in output_kinds(cell)}
    assert "image/png" in shown
    assert all(cell.execution_count for cell in code)


def test_there_are_three_notebooks_at_most():
    assert [path.stem for path in NOTEBOOKS] == ["figure1", "first_look", "tune"]
