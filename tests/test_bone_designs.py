import numpy as np
import pytest

from calcidetect import ops, pipeline
from calcidetect.config import Config

CLEARLY = {"edge pairs": 0.05}
"""By how much the mean share of bone and of soft tissue that is right must beat chance; 0.3 elsewhere."""


@pytest.fixture(scope="module")
def phantoms():
    return {}


@pytest.fixture
def wrists(script, phantoms):
    """Wrists on the working grid, their field, and their bone as annotated masks have it; made once."""
    if not phantoms:
        annotated = script("annotated")
        film, phantom = annotated.phantom_film("wrists", 3)
        seen = pipeline.find_region(film, Config())
        working, field = seen.working, seen.field
        phantoms["wrists"] = working, field, 1 + ops.resize_mask(phantom.bone, working.grid.shape).astype(np.uint8)
    return phantoms["wrists"]


def test_every_design_finds_bone_of_a_phantom_better_than_chance(script, wrists):
    working, field, truth = wrists
    for name, design in script("bone_rivals").DESIGNS.items():
        found = design(working, field)
        assert found.dtype == bool
        assert not (found & ~field.body).any()
        right = found[field.body & (truth == 2)].mean(), 1 - found[field.body & (truth == 1)].mean()
        assert np.mean(right) > 0.5 + CLEARLY.get(name, 0.3), (name, right)


def test_a_bone_between_two_edges_is_found_and_a_single_edge_is_not(script):
    rivals = script("bone_rivals")
    level = np.zeros((80, 120), np.float32)
    level[:, 20:28] = 1  # 13 mm wide
    level[:, 90:] = 1  # a step that nothing ends
    film = rivals.Reduced(level=level, above=level, body=np.ones(level.shape, bool))
    found = rivals.edge_pairs(film)
    assert found[40, 20:28].all()
    assert not found[40, 45:].any()


def test_bright_parts_leave_out_what_covers_much_of_the_body(script):
    rivals = script("bone_rivals")
    level = np.zeros((80, 120), np.float32)
    level[:, 60:] = 1
    level[30:40, 20:30] = 1
    level[30:40, 80:90] = 2
    film = rivals.Reduced(level=level, above=level, body=np.ones(level.shape, bool))
    found = rivals.bright_parts(film)
    assert found[35, 25]
    assert found[35, 85]
    assert not found[10, 100]


def test_points_and_masks_are_judged_in_the_films_own_matrix(script, wrists, monkeypatch):
    designs = script("bone_designs")
    film, phantom = script("annotated").phantom_film("wrists", 3)
    everything = {"all": lambda working, field: field.body, "none": lambda working, field: np.zeros_like(field.body)}
    monkeypatch.setattr(designs, "DESIGNS", everything)
    bone, soft = (np.argwhere(mask)[::5000, ::-1] for mask in (phantom.bone, ~phantom.bone))
    case = designs.Case(part="films", region="wrist", film=film, mask=phantom.bone, bone_points=bone, soft_points=soft)
    done = designs.judged(case)
    right, there = done["all"][0].bone_points
    assert there == len(bone)
    assert right >= 0.9 * there
    assert done["none"][0].bone_points == (0, there)
    assert done["none"][0].soft_points == (len(soft), len(soft))
    assert done["none"][0].dice == 0
    result = designs.figures({name: {"films": [line[0]]} for name, line in done.items()}, {"all": [1.0], "none": [3.0]})
    assert result["none"]["seconds"] == 3
    assert result["none"]["films"]["wrist"]["soft_points_right"] == 1
    text = designs.table(result)
    assert "wrist" in text
    assert [line.split()[0] for line in text.splitlines()[1:3]] == ["all", "none"]
    assert len(designs.picture(case, done)) == 3
