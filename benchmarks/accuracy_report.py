"""The figures of `accuracy.py` as a table of text, and the curves of all detectors as one picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_TITLE_WIDTH = 22
COLORS = {"calcidetect": "tab:blue", "pitch unknown": "tab:cyan", "top-hat": "tab:orange", "blob_dog": "tab:red"}
TICKS = {1 / 8: "1/8", 1 / 4: "1/4", 1 / 2: "1/2", 1: "1", 2: "2", 4: "4", 8: "8", 16: "16"}


def table(result: Mapping[str, Any]) -> str:
    """Lines of text: each part's detectors side by side, then regions, bone, CT and variations."""
    program = f"calcidetect {result['version']}, settings {result['settings_hash']}, seed {result['seed']}"
    lines = [program + (f", films of {result['annotations']}" if result["annotations"] else "")]
    for part in ("films", "phantoms"):
        if part in result:
            lines += ["", *_part(part, result[part])]
    if "ct" in result:
        lines += ["", *_ct(result["ct"])]
    if "robustness" in result:
        lines += ["", *_robustness(result["robustness"])]
    return "\n".join(lines)


def _part(title: str, detectors: Mapping[str, Any]) -> Iterator[str]:
    program = detectors["calcidetect"]
    counts = [program[key] for key in ("films", "lesion_free_films", "deposits")]
    yield "{}: {} films, {} of them without deposits; {} deposits".format(title, *counts)
    yield _row("Deposits found at", "mean", "easy", "1/8", "1/4", "1/2", "1", "2", "4", "8", "any", "wAFROC")
    for name, figures in detectors.items():
        froc = figures["froc"]["all"]
        at = [item["value"] for item in froc["all"]["at"]]
        means = [froc[kind]["mean"]["value"] for kind in ("all", "easy")]
        yield _row(name, *means, *at, figures["generator"]["all"]["value"], figures["wafroc"]["value"])
    yield "  false marks a film; easy: at least 3 mm and half a bone step; any: any candidate at all"
    yield from (_operating_point(name, line["operating_point"]) for name, line in detectors.items() if "bone" in line)
    yield from _regions(program)


def _operating_point(name: str, point: Mapping[str, Any]) -> str:
    found, easy, false, free = (
        _number(point[key]["value"])
        for key in ("sensitivity", "sensitivity_easy", "false_marks", "false_marks_lesion_free")
    )
    return (
        f"  {name} at score {point['least_score']}: {found} found, {easy} of the easy ones; "
        f"{false} false marks a film, {free} without deposits"
    )


def _regions(program: Mapping[str, Any]) -> Iterator[str]:
    yield _row("Region", "films", "depos.", "mean", "1/4", "false", "free", "Dice", "edge", "bone", "soft")
    bone = program["bone"]
    for name, line in program["froc"]["region"].items():
        quarter = next(item["value"] for item in line["at"] if item["false_marks"] == 1 / 4)
        false = [line[key]["value"] for key in ("false_marks", "false_marks_lesion_free")]
        agreement = _agreement(bone.get(name, {}))
        yield _row(name, str(line["films"]), str(line["deposits"]), line["mean"]["value"], quarter, *false, *agreement)
    yield _row("all", "", "", "", "", "", "", *_agreement(bone.get("all", {})))
    yield "  false, free: false marks a film at the operating point, on all and on films without deposits;"
    yield "  of bone: Dice, mean distance of edges (mm), labelled points of bone and of soft tissue that are right"


def _agreement(line: Mapping[str, Any]) -> list[float | None]:
    return [line.get(key) for key in ("dice", "mean_mm", "bone_points_right", "soft_points_right")]


def _ct(figures: Mapping[str, Any]) -> Iterator[str]:
    highest = _number(figures["highest_false_score"])
    yield f"Chest CT projected: {figures['false_marks']} false marks, highest score {highest}"
    yield f"  all bone: Dice {_number(figures['dice'])}, edges {_number(figures['mean_mm'])} mm apart on average, " + (
        f"{_number(figures['precision'])} of what is found is bone"
    )
    yield "  found of " + ", ".join(f"{name} {_number(share)}" for name, share in figures["recall"].items())


def _robustness(figures: Mapping[str, Any]) -> Iterator[str]:
    variations = figures["variations"]
    marks = next(iter(variations.values()))["marks"]
    yield f"{figures['films']} films with {marks} marks come in another way; marks within 2 mm of where they were:"
    yield _row("", "kept", "new")
    yield from (_row(name, line["kept"], line["new"]) for name, line in variations.items())
    yield "  kept: share of the marks; new: other marks a film"


def _row(title: str, *cells: str | float | None) -> str:
    return (
        f"{title:{_TITLE_WIDTH}}" + "".join(f"{c if isinstance(c, str) else _number(c):>7}" for c in cells)
    ).rstrip()


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def draw_curves(curves: Mapping[str, Mapping[str, Sequence[float]]], path: Path) -> None:
    """Draw the FROC of each trial by its name, the program's with its 95 % band."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy, and only drawing needs it

    figure = Figure(figsize=(6.4, 4.8), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for name, curve in curves.items():
        axes.plot(curve["false_marks"], curve["sensitivity"], drawstyle="steps-post", color=COLORS[name], label=name)
    band = curves["calcidetect"]
    axes.fill_between(band["false_marks"], band["low"], band["high"], step="post", color="tab:blue", alpha=0.2, lw=0)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(TICKS), list(TICKS.values()))
    axes.set(xlim=(1 / 32, 16), ylim=(-0.01, 1.01), xlabel="false marks a film", ylabel="deposits found")
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize="small")
    figure.savefig(path)
