"""Fit boosted decision tables with CatBoost and write them as the JSON that `calcidetect.trees` reads."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from catboost import CatBoostClassifier, CatBoostRegressor

Model = CatBoostClassifier | CatBoostRegressor

COMMON = {
    "l2_leaf_reg": 5,
    "rsm": 0.4,
    "bootstrap_type": "Bernoulli",
    "subsample": 0.7,
    "random_seed": 0,
    "thread_count": 2,
    "verbose": 0,
    "allow_writing_files": False,
}
"""What all fits have in common."""

NEVER = 3.0e38
"""Threshold of a question that is always answered no: pads tables that are less deep than the deepest."""


def fit(
    features: np.ndarray,
    truth: np.ndarray,
    weight: np.ndarray,
    *,
    rounds: int,
    depth: int,
    rate: float = 0.08,
    baseline: np.ndarray | None = None,
):
    """Fit `rounds` tables of `depth` questions; each table may choose from two fifths of the features.

    What they say is added to the log-odds `baseline`, which isn't part of the model.
    """
    model = CatBoostClassifier(iterations=rounds, depth=depth, learning_rate=rate, **COMMON)
    return model.fit(features, truth, sample_weight=weight, baseline=baseline)


def fit_value(features: np.ndarray, truth: np.ndarray, weight: np.ndarray, *, rounds: int, depth: int, rate: float):
    """Fit tables as `fit` does, whose sum is a value, by least squares."""
    model = CatBoostRegressor(iterations=rounds, depth=depth, learning_rate=rate, **COMMON)
    return model.fit(features, truth, sample_weight=weight)


def tables_json(model: Model, names: list[str], slope: float = 1.0, offset: float = 0.0) -> str:
    """The model as JSON, its log-odds times `slope` plus `offset`; features that no table asks of are left out."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        content = json.loads(path.read_text())
    scale, bias = content["scale_and_bias"]
    if scale != 1:
        raise ValueError(f"expected a scale of 1, got {scale}")
    trees = [tree | {"splits": tree["splits"] or []} for tree in content["oblivious_trees"]]  # null where none helps
    depth = max(len(tree["splits"]) for tree in trees)
    used = sorted({split["float_feature_index"] for tree in trees for split in tree["splits"]})
    tables = [_padded(tree, depth, used) for tree in trees]
    return json.dumps(
        {
            "names": [names[index] for index in used],
            "feature": [table[0] for table in tables],
            "threshold": [table[1] for table in tables],
            "leaf": [[round(slope * value, 5) for value in table[2]] for table in tables],
            "bias": slope * float(np.ravel(bias)[0]) + offset,
        },
        separators=(",", ":"),
    )


def _padded(tree: dict, depth: int, used: list[int]) -> tuple[list[int], list[float], list[float]]:
    features = [used.index(split["float_feature_index"]) for split in tree["splits"]]
    thresholds = [float(f"{np.float32(split['border']):.9g}") for split in tree["splits"]]
    leaves = tree["leaf_values"]
    missing = depth - len(features)
    return features + [0] * missing, thresholds + [NEVER] * missing, leaves * 2**missing
