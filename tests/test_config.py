import dataclasses

import pytest

from calcidetect.config import Config, load_config, parse_assignments, unpinned
from calcidetect.errors import ConfigError


def test_every_setting_has_default_within_bounds_unit_and_help():
    for section in dataclasses.fields(Config):
        for item in dataclasses.fields(getattr(Config(), section.name)):
            if not isinstance(item.default, str):
                assert item.metadata["low"] <= item.default <= item.metadata["high"], item.name
            assert item.metadata["help"]
            assert "unit" in item.metadata


def test_replacing_leaves_the_original_alone():
    changed = Config().replace({"detect.min_diameter_mm": "2.5"})
    assert changed.detect.min_diameter_mm == 2.5
    assert Config().detect.min_diameter_mm != 2.5


def test_the_hash_changes_with_any_setting():
    assert Config().hash == Config().hash
    assert Config().hash != Config().replace({"bone.threshold": 0.4}).hash


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bone.nonsense": 1}, "no setting 'bone.nonsense'"),
        ({"nonsense": 1}, "no setting 'nonsense'"),
        ({"bone.threshold": "high"}, "must be a number"),
        ({"bone.threshold": 7}, "from 0.0 to 1.0"),
        ({"bone.threshold": True}, "must be a number"),
        ({"detect.max_seeds": 100.5}, "must be a whole number"),
        ({"detect.max_seeds": "100.5"}, "must be a whole number"),
        ({"grid.longest_px": float("inf")}, "must be a whole number"),
        ({"grid.longest_px": float("nan")}, "must be a whole number"),
        ({"bone.threshold": float("nan")}, "from 0.0 to 1.0"),
        ({"detect.min_diameter_mm": 12, "detect.max_diameter_mm": 5}, "min_diameter_mm is 12.0 and max_dia"),
        ({"exposure.min_skin_step": 0.1}, "set min_skin_step to no more than max_skin_step"),
    ],
)
def test_impossible_settings_say_what_is_possible(changes, message):
    with pytest.raises(ConfigError, match=message):
        Config().replace(changes)


def test_bounds_move_together():
    assert Config().replace({"detect.min_diameter_mm": 18, "detect.max_diameter_mm": 20}).detect.min_diameter_mm == 18
    assert Config().replace({"detect.max_diameter_mm": 3, "detect.min_diameter_mm": 2}).detect.max_diameter_mm == 3
    far = {"exposure.min_skin_step": 0.1, "exposure.max_skin_step": 0.2}
    assert Config().replace(far).exposure.min_skin_step == 0.1


def test_settings_come_from_toml(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[bone]\nthreshold = 0.4\n")
    assert load_config(path).bone.threshold == 0.4


@pytest.mark.parametrize("text", ["not toml", "threshold = 1", "[bone]\nthreshold = 9", "[bone.threshold]\nx = 1"])
def test_bad_toml_is_refused_in_words(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_config(path)


def test_a_missing_settings_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        load_config(tmp_path / "absent.toml")


def test_assignments_are_split_at_the_first_equals_sign():
    assert parse_assignments(["a.b=1", " c.d = 2=3 "]) == {"a.b": "1", "c.d": "2=3"}
    with pytest.raises(ConfigError, match="write section"):
        parse_assignments(["a.b"])


def test_tables_of_the_scorer_are_chosen_with_their_content(tmp_path):
    tables = tmp_path / "tables.json"
    tables.write_text("one")
    first = Config().replace({"score.tables": str(tables)})
    assert first == Config().replace(first.flat())  # as a journal gives it back
    tables.write_text("two")
    second = Config().replace({"score.tables": str(tables)})
    assert len({Config().hash, first.hash, second.hash}) == 3
    assert unpinned(second.score.tables) == str(tables)
    with pytest.raises(ConfigError, match="has changed since it was chosen"):
        unpinned(first.score.tables)


def test_tables_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"none.json can't be read as tables of the scorer: No such file"):
        Config().replace({"score.tables": str(tmp_path / "none.json")})
