"""What the command ``calcidetect`` takes: its commands and their options, told by ``--help``.

Nothing is imported that ``--help`` would have to wait for.
"""

from __future__ import annotations

import argparse
from typing import Any

from calcidetect import __version__

NOTICE = "Candidates for a human reader; not for diagnosis."
KINDS = ("chest", "shoulder", "wrists")  # of `calcidetect.phantom`, which is too heavy to ask for them

_FORMATS_HELP = (
    "png (film with arrows), bone, calc (masks), json (report), slicer, imagej, labelme (outlines for these programs); "
    "sr, sc, seg, gsps (DICOM); coco, parquet (one for all films); none for the tables alone"
)
_SOFT_HELP = (
    "JSON with polygons of soft tissue: a list of {film, soft} or {film: [polygons]}; without it, the body more than "
    "2 mm from what the program takes for bone (on chest films this holds the lungs: give polygons)"
)
_TRUTH_HELP = "truth.json of simulate, annotations, or decisions.sqlite of review"
_RESUME_HELP = (
    "go on where an earlier run into DIR stopped; films that changed since are scanned again (told by size, times "
    "and, where only times differ, SHA-256 of the file)"
)
_READER_HELP = "name under which decisions are recorded (default: that of the account)"
_CROP_HELP = "show the exposed field without shutters and frames (the default), or the whole film"


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command; what it reads holds the name of the command in ``command``."""
    parser = argparse.ArgumentParser(
        prog="calcidetect",
        description="Mark candidate soft-tissue calcification on plain radiographs. " + NOTICE,
    )
    parser.add_argument("--version", action="version", version=f"calcidetect {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    _add_scan(commands)
    _add_figure(commands)
    _add_inspect(commands)
    _add_phantom(commands)
    _add_evaluate(commands)
    _add_simulate(commands)
    _add_settings(commands)
    _add_node(commands)
    _add_review(commands)
    _add_fit(commands)
    return parser


def _add_scan(commands: Any) -> None:
    parser = commands.add_parser("scan", help="scan films; write tables and pictures", description=NOTICE)
    parser.add_argument(
        "paths",
        nargs="+",
        type=_path,
        metavar="PATH",
        help="films, folders, DICOMDIR files, patterns, CSV manifests (path, spacing, laterality, region, patient), "
        "dicomweb:https://…/studies/UID",
    )
    parser.add_argument("--out", type=_path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="worker processes (1)")
    parser.add_argument("--resume", action="store_true", help=_RESUME_HELP)
    parser.add_argument("--format", default="png", metavar="LIST", help=f"comma-separated: {_FORMATS_HELP} (png)")
    _add_scan_options(parser)
    parser.add_argument("--root", type=_path, metavar="DIR", help="name films relative to this folder")
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds that a film may take (300)")
    parser.add_argument("--dask", metavar="ADDRESS", help="scan on the workers of a dask scheduler, tcp://host:port")
    parser.add_argument("--keep-identifiers", action="store_true", help="write the films' patients too")
    parser.add_argument("--stats", action="store_true", help="print a summary of all films")
    parser.add_argument("--dry-run", action="store_true", help="read the films, tell what would be done, write nothing")
    parser.add_argument(
        "--make-study", action="store_true", help="let the format sc make a study for films that are not DICOM"
    )
    parser.add_argument(
        "--send-back", action="store_true", help="store DICOM results of dicomweb: films where these came from"
    )


def _add_scan_options(parser: argparse.ArgumentParser) -> None:
    """Add what decides how a film is scanned."""
    parser.add_argument("--spacing", type=float, metavar="MM", help="pixel pitch of films that state none")
    _add_recipe(parser)


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add the same for films that state their spacing themselves."""
    parser.add_argument("--region", default="auto", metavar="NAME", help="body region of every film (auto)")
    parser.add_argument(
        "--min-score", type=float, metavar="S", help="lowest score that is reported, 0 to 1 (shipped operating point)"
    )
    parser.add_argument("--config", type=_path, metavar="FILE", help="settings in TOML")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting; may be repeated"
    )


def _add_figure(commands: Any) -> None:
    parser = commands.add_parser(
        "figure",
        help="draw films as the lettered panels of one figure",
        description="Draw films side by side, as a case report prints them. " + NOTICE,
    )
    parser.add_argument(
        "paths", nargs="+", type=_path, metavar="PATH", help="films in the order of the panels, or folders of them"
    )
    parser.add_argument(
        "--out", type=_path, required=True, metavar="FILE", help="the figure: a .png, .svg or .pdf file"
    )
    parser.add_argument("--columns", type=_natural, metavar="N", help="panels in a row (3 at most, then a square)")
    parser.add_argument("--height", type=float, default=80.0, metavar="MM", help="height of each panel in print (80)")
    parser.add_argument("--dpi", type=_natural, default=300, metavar="N", help="pixels per inch of print (300)")
    parser.add_argument("--captions", action="store_true", help="say below each panel what it shows")
    parser.add_argument("--crop", action=argparse.BooleanOptionalAction, default=True, help=_CROP_HELP)
    _add_scan_options(parser)


def _add_inspect(commands: Any) -> None:
    parser = commands.add_parser("inspect", help="print what the reader understands of films")
    parser.add_argument("paths", nargs="+", type=_path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="print one JSON list instead of text")


def _add_phantom(commands: Any) -> None:
    parser = commands.add_parser("phantom", help="write synthetic films with known deposits")
    parser.add_argument("--out", type=_path, required=True, metavar="DIR", help="folder for films and their truth")
    parser.add_argument("--kind", action="append", choices=KINDS, help="kind of film; may be repeated (all kinds)")
    parser.add_argument("--seed", type=_natural, default=0, metavar="N", help="of the first film of each kind (0)")
    parser.add_argument("--count", type=_natural, default=1, metavar="N", help="films of each kind (1)")


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser("evaluate", help="judge results against what is known of the films")
    parser.add_argument("results", type=_path, metavar="DIR", help="folder that scan wrote, with --min-score 0")
    parser.add_argument(
        "--truth",
        type=_path,
        required=True,
        metavar="FILE",
        help=_TRUTH_HELP,
    )
    parser.add_argument("--out", type=_path, required=True, metavar="DIR", help="folder for numbers and pictures")
    parser.add_argument("--masks", type=_path, metavar="DIR", help="folder of bone masks NAME.png")
    parser.add_argument("--seed", type=_natural, default=0, metavar="N", help="of the bootstrap (0)")


def _add_simulate(commands: Any) -> None:
    parser = commands.add_parser(
        "simulate",
        help="put deposits into films, with truth",
        description="Put deposits of calcium into films and write them as PNG, with truth.json and masks.",
    )
    parser.add_argument("paths", nargs="+", type=_path, metavar="PATH", help="films, folders, DICOMDIR files")
    parser.add_argument("--out", type=_path, required=True, metavar="DIR", help="folder for films and their truth")
    parser.add_argument("--seed", required=True, type=_natural, metavar="N", help="each film's deposits follow from it")
    parser.add_argument("--soft", type=_path, metavar="FILE", help=_SOFT_HELP)
    parser.add_argument("--copies", type=_natural, default=1, metavar="K", help="simulated films for each film (1)")
    parser.add_argument(
        "--count", type=_natural, nargs=2, default=(2, 5), metavar=("LOW", "HIGH"), help="deposits in each (2 5)"
    )
    parser.add_argument("--clean", action="store_true", help="write each film untouched too, as a lesion-free one")
    parser.add_argument("--spacing", type=float, metavar="MM", help="pixel pitch of films that state none")


def _add_settings(commands: Any) -> None:
    commands.add_parser("settings", help="list every setting with its default, bounds, unit and meaning")


def _add_node(commands: Any) -> None:
    parser = commands.add_parser(
        "node",
        help="take films by DICOM, send results back",
        description="Take CR and DX films by C-STORE, analyse them, send results to a PACS. Stops on Ctrl-C. " + NOTICE,
    )
    parser.add_argument(
        "--spool", type=_path, required=True, metavar="DIR", help="folder for films and results under way"
    )
    parser.add_argument("--status", action="store_true", help="print what this spool's node has done, and stop")
    parser.add_argument("--to", metavar="TITLE@HOST:PORT", help="the PACS that gets the results")
    parser.add_argument("--title", default="CALCIDETECT", metavar="AET", help="AE title of the node (CALCIDETECT)")
    parser.add_argument("--bind", default="127.0.0.1", metavar="HOST", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=_natural, default=11112, metavar="N", help="port to listen on (11112)")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="AET", help="AE title that may call; may be repeated (any)"
    )
    parser.add_argument("--format", default="sr,sc", metavar="LIST", help="of sr, sc, seg, gsps (sr,sc)")
    parser.add_argument("--retry", type=_natural, default=5, metavar="S", help="first pause after a failure (5 s)")
    _add_recipe(parser)


def _add_review(commands: Any) -> None:
    parser = commands.add_parser(
        "review",
        help="open a page to accept, reject and draw marks",
        description="Open a page in the browser, served by this machine alone, to decide on the marks of a run. Stops "
        "on Ctrl-C. " + NOTICE,
    )
    parser.add_argument(
        "paths", nargs="+", type=_path, metavar="PATH", help="a folder that scan wrote; or films, scanned first"
    )
    parser.add_argument("--out", type=_path, metavar="DIR", help="folder that films are scanned into (review-results)")
    parser.add_argument("--reader", metavar="NAME", help=_READER_HELP)
    parser.add_argument("--root", type=_path, metavar="DIR", help="folder that film names are relative to")
    parser.add_argument("--port", type=_natural, default=0, metavar="N", help="port to listen on (any free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the page's address, and open no browser")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="worker processes of a scan (1)")
    parser.add_argument("--export", choices=("csv", "json", "coco", "sr"), help="write the decisions, open no page")
    parser.add_argument("--to", type=_path, metavar="PATH", help="file or folder of the export")


def _add_fit(commands: Any) -> None:
    parser = commands.add_parser(
        "fit",
        help="fit the scorer anew on readers' decisions",
        description="Fit the scorer's tables anew on the films that readers have reviewed; print figures on films held "
        "out, before and after. Use the result with --set score.tables=FILE.",
    )
    parser.add_argument(
        "results", nargs="+", type=_path, metavar="DIR", help="folders with decisions of calcidetect review"
    )
    parser.add_argument("--out", type=_path, required=True, metavar="FILE", help="JSON file for the tables")
    parser.add_argument("--root", type=_path, metavar="DIR", help="folder that film names are relative to")


def _path(text: str) -> str:
    """A path that is named: an empty one, as of a shell's variable that is not set, would be the folder one is in."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty; give one, or . for the present folder")
    return text


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)
