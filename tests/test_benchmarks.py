import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_the_speed_benchmark_still_runs(tmp_path):
    out = tmp_path / "speed.json"
    command = [sys.executable, BENCHMARKS / "speed.py", "--quick", "--out", out]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "whole scan" in finished.stdout
    assert out.exists()
