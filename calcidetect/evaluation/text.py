"""An evaluation as a table of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_TITLE_WIDTH = 24


def table(result: dict[str, Any]) -> str:
    """The figures of an evaluation as lines of text."""
    return "\n".join([*_heading(result), "", *_froc(result["froc"]), "", *_others(result), *_bone(result["bone"])])


def _heading(result: dict[str, Any]) -> Iterator[str]:
    yield f"{result['films']} films with {result['deposits']} deposits; {result['lesion_free_films']} films have none"
    yield from (f"Note: {line}" for line in result["warnings"])


def _froc(froc: dict[str, dict[str, dict[str, Any]]]) -> Iterator[str]:
    yield f"{'Sensitivity at':{_TITLE_WIDTH}} deposits   1/8   1/4   1/2     1     2     4     8   mean (95 %)"
    for title, kinds in froc.items():
        for name, line in kinds.items():
            at = "".join(f"{_number(item['value']):>6}" for item in line["at"])
            label = name if title == "all" else f"{title} {name}"
            yield f"{label:{_TITLE_WIDTH}} {line['deposits']:8}{at}   {_with_interval(line['mean'])}"
    yield "false marks a film; easy: at least 3 mm and half a bone step"


def _others(result: dict[str, Any]) -> Iterator[str]:
    point, generator, area = result["operating_point"], result["generator"], result["area_error"]
    yield f"At the operating point (score {point['least_score']} or more):"
    yield _line("  deposits found", point["sensitivity"])
    yield _line("  easy deposits found", point["sensitivity_easy"])
    yield _line("  false marks a film", point["false_marks"])
    yield _line("  on lesion-free films", point["false_marks_lesion_free"])
    median, low, high = (_number(area[name]) for name in ("median", "lower_quartile", "upper_quartile"))
    yield f"{'  area error':{_TITLE_WIDTH}} {median} (quartiles {low}, {high}) of {area['deposits']} deposits found"
    yield _line("wAFROC area", result["wafroc"]) + f", false marks of {result['wafroc']['false_marks_of']}"
    yield f"Deposits with a candidate, of {generator['candidates_a_film']:.0f} a film:"
    yield _line("  all", generator["all"])
    yield _line("  >= 2 mm, >= 0.5 steps", generator["clear"])


def _bone(bone: dict[str, Any]) -> Iterator[str]:
    if not bone["regions"]:
        return
    yield ""
    yield f"{'Bone':{_TITLE_WIDTH}} masks   Dice  edge mm  95 % mm   bone points right  soft points right"
    for name, line in bone["regions"].items():
        distances = "".join(f"{_number(line[key]):>9}" for key in ("mean_mm", "hausdorff95_mm"))
        points = "".join(
            f"{_number(line[f'{kind}_right']):>12} of {line[kind]:<4}" for kind in ("bone_points", "soft_points")
        )
        yield f"{name:{_TITLE_WIDTH}} {line['masks']:5}{_number(line['dice']):>7}{distances}{points}"


def _line(title: str, item: dict[str, Any]) -> str:
    return f"{title:{_TITLE_WIDTH}} {_with_interval(item)}"


def _with_interval(item: dict[str, Any]) -> str:
    return f"{_number(item['value'])} ({_number(item['low'])} to {_number(item['high'])})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
