"""The command ``calcidetect``: the one module that prints and exits.

Results go to stdout or into files, progress and complaints to stderr. Image libraries are imported by the command that
needs them, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcidetect import __version__
from calcidetect.config import Config, load_config, parse_assignments
from calcidetect.errors import CalcidetectError, ConfigError, PacsError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from calcidetect.batch.film_task import Recipe
    from calcidetect.batch.results import FilmResult, Progress
    from calcidetect.review.run_folder import RunFolder
    from calcidetect.types import Scan

EXIT_OK = 0
EXIT_SOME_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # as shells report a program that was stopped by Ctrl-C

_FORMATS_HELP = (
    "png (film with arrows), bone, calc (masks), json (report), slicer, imagej, labelme (outlines for these programs); "
    "sr, sc, seg, gsps (DICOM); coco, parquet (one for all films); none for the tables alone"
)
_KINDS = ("chest", "shoulder", "wrists")  # of `calcidetect.phantom`, which is too heavy to ask for them
_SOFT_HELP = (
    "JSON with polygons of soft tissue: a list of {film, soft} or {film: [polygons]}; without it, the body more than "
    "2 mm from what the program takes for bone (on chest films this holds the lungs: give polygons)"
)
_TRUTH_HELP = "truth.json of simulate, annotations, or decisions.sqlite of review"
_RESUME_HELP = (
    "go on where an earlier run into DIR stopped; films that changed since are scanned again (told by size, times "
    "and, where only times differ, SHA-256 of the file)"
)
_CROP_HELP = "show the exposed field without shutters and frames (the default), or the whole film"
_NOTICE = "Candidates for a human reader; not for diagnosis."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 all inputs done, 1 some failed, 2 usage."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a film's name may hold what the terminal can't show
    args = _parser().parse_args(argv)
    try:
        status: int = args.run(args)
        sys.stdout.flush()
    except CalcidetectError as error:
        _complain(f"calcidetect: {error}")
        return EXIT_SOME_FAILED if isinstance(error, PacsError) else EXIT_USAGE
    except KeyboardInterrupt:
        _complain("calcidetect: interrupted.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="calcidetect",
        description="Mark candidate soft-tissue calcification on plain radiographs. " + _NOTICE,
    )
    parser.add_argument("--version", action="version", version=f"calcidetect {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
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
    parser = commands.add_parser("scan", help="scan films; write tables and pictures", description=_NOTICE)
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="films, folders, DICOMDIR files, patterns, CSV manifests (path, spacing, laterality, region, patient), "
        "dicomweb:https://…/studies/UID",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="worker processes (1)")
    parser.add_argument("--resume", action="store_true", help=_RESUME_HELP)
    parser.add_argument("--format", default="png", metavar="LIST", help=f"comma-separated: {_FORMATS_HELP} (png)")
    _add_scan_options(parser)
    parser.add_argument("--root", metavar="DIR", help="name films relative to this folder")
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds that a film may take (300)")
    parser.add_argument("--dask", metavar="ADDRESS", help="scan on the workers of a dask scheduler, tcp://host:port")
    parser.add_argument("--keep-identifiers", action="store_true", help="write the films' patients too")
    parser.add_argument("--stats", action="store_true", help="print a summary of all films")
    parser.add_argument("--dry-run", action="store_true", help="read the films, tell what would be done, write nothing")
    parser.add_argument(
        "--make-study", action="store_true", help="let the format sc make a study for films that are no DICOM"
    )
    parser.add_argument(
        "--send-back", action="store_true", help="store DICOM results of dicomweb: films where these came from"
    )
    parser.set_defaults(run=_scan)


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
    parser.add_argument("--config", metavar="FILE", help="settings in TOML")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting; may be repeated"
    )


def _add_figure(commands: Any) -> None:
    parser = commands.add_parser(
        "figure",
        help="draw films as the lettered panels of one figure",
        description="Draw films side by side, as a case report prints them. " + _NOTICE,
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="films in the order of the panels, or folders of them")
    parser.add_argument("--out", required=True, metavar="FILE", help="the figure: a .png, .svg or .pdf file")
    parser.add_argument("--columns", type=_natural, metavar="N", help="panels in a row (3 at most, then a square)")
    parser.add_argument("--height", type=float, default=80.0, metavar="MM", help="height of each panel in print (80)")
    parser.add_argument("--dpi", type=_natural, default=300, metavar="N", help="pixels per inch of print (300)")
    parser.add_argument("--captions", action="store_true", help="say below each panel what it shows")
    parser.add_argument("--crop", action=argparse.BooleanOptionalAction, default=True, help=_CROP_HELP)
    _add_scan_options(parser)
    parser.set_defaults(run=_figure)


def _add_inspect(commands: Any) -> None:
    parser = commands.add_parser("inspect", help="print what the reader understands of films")
    parser.add_argument("paths", nargs="+", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="print one JSON list instead of text")
    parser.set_defaults(run=_inspect)


def _add_phantom(commands: Any) -> None:
    parser = commands.add_parser("phantom", help="write synthetic films with known deposits")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for films and their truth")
    parser.add_argument("--kind", action="append", choices=_KINDS, help="kind of film; may be repeated (all kinds)")
    parser.add_argument("--seed", type=_natural, default=0, metavar="N", help="of the first film of each kind (0)")
    parser.add_argument("--count", type=_natural, default=1, metavar="N", help="films of each kind (1)")
    parser.set_defaults(run=_phantom)


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser("evaluate", help="judge results against what is known of the films")
    parser.add_argument("results", metavar="DIR", help="folder that scan wrote, with --min-score 0")
    parser.add_argument(
        "--truth",
        required=True,
        metavar="FILE",
        help=_TRUTH_HELP,
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for numbers and pictures")
    parser.add_argument("--masks", metavar="DIR", help="folder of bone masks NAME.png")
    parser.add_argument("--seed", type=_natural, default=0, metavar="N", help="of the bootstrap (0)")
    parser.set_defaults(run=_evaluate)


def _add_simulate(commands: Any) -> None:
    parser = commands.add_parser(
        "simulate",
        help="put deposits into films, with truth",
        description="Put deposits of calcium into films and write them as PNG, with truth.json and masks.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="films, folders, DICOMDIR files")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for films and their truth")
    parser.add_argument("--seed", required=True, type=_natural, metavar="N", help="each film's deposits follow from it")
    parser.add_argument("--soft", metavar="FILE", help=_SOFT_HELP)
    parser.add_argument("--copies", type=_natural, default=1, metavar="K", help="simulated films for each film (1)")
    parser.add_argument(
        "--count", type=_natural, nargs=2, default=(2, 5), metavar=("LOW", "HIGH"), help="deposits in each (2 5)"
    )
    parser.add_argument("--clean", action="store_true", help="write each film untouched too, as a lesion-free one")
    parser.add_argument("--spacing", type=float, metavar="MM", help="pixel pitch of films that state none")
    parser.set_defaults(run=_simulate)


def _add_settings(commands: Any) -> None:
    parser = commands.add_parser("settings", help="list every setting with its default, bounds, unit and meaning")
    parser.set_defaults(run=_settings)


def _add_node(commands: Any) -> None:
    parser = commands.add_parser(
        "node",
        help="take films by DICOM, send results back",
        description="Take CR and DX films by C-STORE, analyse them, send results to a PACS. Stops on Ctrl-C. "
        + _NOTICE,
    )
    parser.add_argument("--spool", required=True, metavar="DIR", help="folder for films and results under way")
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
    parser.set_defaults(run=_node)


def _add_review(commands: Any) -> None:
    parser = commands.add_parser(
        "review",
        help="open a page to accept, reject and draw marks",
        description="Open a page in the browser, served by this machine alone, to decide on the marks of a run. Stops "
        "on Ctrl-C. " + _NOTICE,
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a folder that scan wrote; or films, scanned first")
    parser.add_argument("--out", metavar="DIR", help="folder that films are scanned into (review-results)")
    parser.add_argument("--reader", metavar="NAME", help="whom decisions are kept under (the name of the account)")
    parser.add_argument("--root", metavar="DIR", help="folder that films are named relative to")
    parser.add_argument("--port", type=_natural, default=0, metavar="N", help="port to listen on (any free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the page's address, and open no browser")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="worker processes of a scan (1)")
    parser.add_argument("--export", choices=("csv", "json", "coco", "sr"), help="write the decisions, open no page")
    parser.add_argument("--to", metavar="PATH", help="file or folder of the export")
    parser.set_defaults(run=_review)


def _add_fit(commands: Any) -> None:
    parser = commands.add_parser(
        "fit",
        help="fit the scorer anew on readers' decisions",
        description="Fit the scorer's tables anew on the films that readers have reviewed; print figures on films held "
        "out, before and after. Use the result with --set score.tables=FILE.",
    )
    parser.add_argument("results", nargs="+", metavar="DIR", help="folders with decisions of calcidetect review")
    parser.add_argument("--out", required=True, metavar="FILE", help="JSON file for the tables")
    parser.add_argument("--root", metavar="DIR", help="folder that films are named relative to")
    parser.set_defaults(run=_fit)


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 up")
    return int(text)


def _scan(args: argparse.Namespace) -> int:
    way = {"root": args.root, "jobs": args.jobs, "time_out_s": args.timeout, "resume": args.resume}
    return _dry_run(args, way) if args.dry_run else _scan_films(args, way)


def _scan_recipe(args: argparse.Namespace) -> Recipe:
    from calcidetect.batch.film_task import Recipe

    config = _config(args)
    return Recipe(
        config=config.replace({"dicom.make_study": 1}) if args.make_study else config,
        region=args.region,
        spacing_mm=args.spacing,
        min_score=args.min_score,
        formats=_formats(args.format),
        keep_identifiers=args.keep_identifiers,
    )


def _scan_films(args: argparse.Namespace, way: dict[str, Any]) -> int:
    with _stoppable(), _executor(args) as executor:
        from calcidetect import dicomweb
        from calcidetect.batch.run import scan_films

        recipe = _scan_recipe(args)
        if args.send_back:
            dicomweb.check_formats(recipe.formats)
        fetched = dicomweb.fetch_films(args.paths, args.out)
        with _progress() as progress:
            results = scan_films(fetched.paths, args.out, recipe, **way, executor=executor, progress=progress)
    done = [(result.ok, len(result.candidates)) for result in results]
    scanned, candidates = (sum(numbers) for numbers in zip(*done, strict=True)) if done else (0, 0)
    if args.stats:
        from calcidetect.batch.stats import summary

        print("\n".join(summary(results)))
    print(f"{scanned} of {len(done)} films scanned, {candidates} candidates; results in {args.out}")
    if args.send_back:
        print(f"{dicomweb.send_back(fetched, results, args.out, root=args.root)} DICOM results sent back")
    print(_NOTICE)
    return EXIT_OK if scanned == len(done) else EXIT_SOME_FAILED


def _dry_run(args: argparse.Namespace, way: dict[str, Any]) -> int:
    from calcidetect.batch.dry_run import look_at_many
    from calcidetect.dicomweb import SCHEME

    if any(path.startswith(SCHEME) for path in args.paths):
        raise ConfigError(f"Films behind {SCHEME} can't be looked at without fetching them; leave --dry-run out.")
    with _bar() as advance:
        looks = look_at_many(args.paths, args.out, _scan_recipe(args), **way, progress=advance)
    for look in looks:
        named = look.note if look.note.startswith(look.film) else f"{look.film}: {look.note}".removesuffix(": ")
        print(f"{look.fate:<10}  {_one_line(named)}")
    counts = {fate: sum(look.fate == fate for look in looks) for fate in ("scan", "done", "unreadable")}
    print(", ".join(f"{count} {fate}" for fate, count in counts.items()) + "; nothing was written")
    return EXIT_SOME_FAILED if counts["unreadable"] else EXIT_OK


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Take a polite request to end, such as a cluster's, as Ctrl-C: what is done is written first."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _executor(args: argparse.Namespace) -> Iterator[Executor]:
    """The cluster that was asked for, or processes of this machine, of which the first starts at once."""
    if args.dask:
        from calcidetect.batch.cluster import dask_executor

        with dask_executor(args.dask, time_out_s=args.timeout) as executor:
            yield executor
        return
    from calcidetect.batch import workers

    # A worker imports what this process imports: side by side, they take hardly longer than one.
    with workers.worker_processes(args.jobs, args.timeout, ahead="calcidetect.batch.film_task") as executor:
        yield executor


def _config(args: argparse.Namespace) -> Config:
    config = load_config(args.config) if args.config else Config()
    return config.replace(parse_assignments(args.set))


def _formats(text: str) -> tuple[str, ...]:
    return () if text == "none" else tuple(word.strip() for word in text.split(","))


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on a terminal, a line for each film elsewhere."""
    if not sys.stderr.isatty():
        yield lambda result, done, total: _complain(f"[{done}/{total}] {_outcome(result)}")
        return
    from tqdm import tqdm

    with _bar() as advance:

        def show(result: FilmResult, done: int, total: int) -> None:
            if not result.ok:
                tqdm.write(_outcome(result), file=sys.stderr)
            advance(done, total)

        yield show


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """A bar with rate and time left on a terminal, nothing elsewhere. What a resumed run has kept is no speed."""
    from tqdm import tqdm

    bar: tqdm[Any] | None = None

    def advance(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=total, initial=done - 1, unit="film", dynamic_ncols=True, disable=None)
        bar.update(done - bar.n)

    try:
        yield advance
    finally:
        if bar is not None:
            bar.close()


def _outcome(result: FilmResult) -> str:
    name = _one_line(result.film["film"])
    return f"{name}: {len(result.candidates)} candidates" if result.ok else f"{name}: failed. {result.film['error']}"


def _figure(args: argparse.Namespace) -> int:
    config = _config(args)
    from calcidetect.drawing.figure import check_order, draw_figure, write_figure

    films = check_order(args.paths, out=args.out)
    if args.min_score is not None and not 0 <= args.min_score <= 1:
        raise ConfigError(f"The lowest score must lie between 0 and 1, got {args.min_score}.")
    missing: list[str] = []
    scans = _scanned(films, args, config, missing=missing)
    how = {"columns": args.columns, "height_mm": args.height, "dpi": args.dpi}
    try:
        page = draw_figure(scans, captions=args.captions, crop=args.crop, **how)
    except ConfigError:
        if len(missing) < len(films):
            raise
        _complain("calcidetect: no film could be scanned, so there is no figure.")
        return EXIT_SOME_FAILED
    write_figure(page, args.out)
    print(f"{len(films) - len(missing)} of {len(films)} films drawn; figure in {args.out}")
    print(_NOTICE)
    return EXIT_SOME_FAILED if missing else EXIT_OK


def _scanned(
    films: Sequence[str], args: argparse.Namespace, config: Config, *, missing: list[str]
) -> Iterator[Scan | None]:
    """Scan film after film; None and a complaint for one that can't be, which `missing` then names."""
    from calcidetect.errors import FieldError, ReadError
    from calcidetect.pipeline import scan

    for number, film in enumerate(films, start=1):
        try:
            yield scan(film, config=config, region=args.region, spacing_mm=args.spacing, min_score=args.min_score)
        except (ReadError, FieldError) as error:
            missing.append(film)
            _complain(f"calcidetect: {error} Its panel is left out.")
            yield None
        else:
            _complain(f"[{number}/{len(films)}] {film}")


def _inspect(args: argparse.Namespace) -> int:
    from calcidetect.reading.readers import describe

    facts: list[dict[str, Any]] = []
    for path in args.paths:
        try:
            facts.append(describe(path))
        except CalcidetectError as error:
            facts.append({"film": path, "error": str(error)})
    failed = [item for item in facts if "error" in item]
    if args.json:
        print(json.dumps(facts, indent=2))
    else:
        print("\n\n".join(_as_text(item) for item in facts if "error" not in item))
        for item in failed:
            _complain(f"calcidetect: {item['error']}")
    return EXIT_SOME_FAILED if failed else EXIT_OK


def _as_text(facts: dict[str, Any]) -> str:
    width = max(len(name) for name in facts)
    return "\n".join(f"{name:<{width}}  {_shown(value)}" for name, value in facts.items())


def _shown(value: Any) -> str:
    return "-" if value in (None, "") else _one_line(str(value))


def _phantom(args: argparse.Namespace) -> int:
    from calcidetect.phantom.samples import write_samples

    for path in write_samples(args.out, kinds=args.kind or _KINDS, seed=args.seed, count=args.count):
        print(path)
    return EXIT_OK


def _evaluate(args: argparse.Namespace) -> int:
    from calcidetect.evaluation import evaluate_results, table

    print(table(evaluate_results(args.results, args.truth, args.out, masks=args.masks, seed=args.seed)))
    print(f"Numbers and pictures in {args.out}")
    return EXIT_OK


def _simulate(args: argparse.Namespace) -> int:
    from calcidetect.simulation.annotations import read_annotations
    from calcidetect.simulation.simulations import Recipe, Simulated, simulate_films

    recipe = Recipe(
        seed=args.seed, copies=args.copies, count=tuple(args.count), clean=args.clean, spacing_mm=args.spacing
    )

    def tell(film: Simulated) -> None:
        for text in (film.error, *film.remarks):
            if text:
                _complain(f"calcidetect: {text}")

    soft = read_annotations(args.soft) if args.soft else None
    films = simulate_films(args.paths, args.out, recipe=recipe, soft=soft, progress=tell)
    done = [film for film in films if not film.error]
    deposits = sum(len(record["deposits"]) for film in done for record in film.records)
    print(f"{len(done)} of {len(films)} films simulated, {deposits} deposits; results in {args.out}")
    return EXIT_OK if len(done) == len(films) else EXIT_SOME_FAILED


def _node(args: argparse.Namespace) -> int:
    from calcidetect.node import spool

    root = Path(args.spool)
    if args.status:
        print(_as_text(spool.status(root)))
        return EXIT_OK
    if not args.to:
        raise ConfigError("A node needs a PACS to send results to; give it as --to TITLE@HOST:PORT.")
    from calcidetect.node import run_node
    from calcidetect.node.analyse import Recipe
    from calcidetect.node.peers import Listener, check_port, check_title, parse_peer

    recipe = Recipe(config=_config(args), region=args.region, min_score=args.min_score, formats=_formats(args.format))
    allowed = tuple(check_title(title) for title in args.allow)
    listener = Listener(check_title(args.title), args.bind, check_port(args.port), allowed)
    peer, retry_s = parse_peer(args.to), max(1, args.retry)
    with _ended_by_signals() as stop:
        run_node(root, peer, listener=listener, recipe=recipe, retry_s=retry_s, stop=stop, tell=_complain)
    return EXIT_OK


def _fit(args: argparse.Namespace) -> int:
    from calcidetect.refit import refit_scores

    with _stoppable(), _bar() as advance:
        trial = refit_scores(args.results, args.out, root=args.root, progress=advance)
    print("\n".join(trial.lines))
    print(f"tables in {args.out}; use them with --set score.tables={args.out}")
    return EXIT_OK


def _review(args: argparse.Namespace) -> int:
    from calcidetect import review

    if bool(args.export) != bool(args.to):
        raise ConfigError("An export takes both: --export with what is wanted, and --to with a file or folder.")
    with _stoppable(), _progress() as progress:
        folder = review.opened_run(args.paths, out=args.out, root=args.root, jobs=args.jobs, progress=progress)
    return _export(folder, args) if args.export else _serve(folder, args)


def _export(folder: RunFolder, args: argparse.Namespace) -> int:
    from calcidetect.review.decisions import DecisionStore
    from calcidetect.review.exports import write_export

    for path in write_export(args.export, folder, DecisionStore(folder.folder), Path(args.to)):
        print(path)
    return EXIT_OK


def _serve(folder: RunFolder, args: argparse.Namespace) -> int:
    import webbrowser

    from calcidetect.review.server import serve

    def opened(address: str) -> None:
        print(f"Films and decisions in {folder.folder}. {_NOTICE}\n{address}", flush=True)
        if not args.no_browser:
            webbrowser.open(address)

    with _ended_by_signals() as stop:
        serve(folder, reader=_reader(args.reader), port=args.port, stop=stop, opened=opened)
    return EXIT_OK


def _reader(given: str | None) -> str:
    """Whom decisions are kept under."""
    import getpass

    if given is not None and not given.strip():
        raise ConfigError("The reader's name is empty; give one as --reader NAME.")
    try:
        return given.strip() if given else getpass.getuser()
    except (OSError, KeyError) as error:
        raise ConfigError("This account has no name; give one as --reader NAME.") from error


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C or a service manager's SIGTERM sets."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _settings(args: argparse.Namespace) -> int:
    for section in dataclasses.fields(Config):
        for item in dataclasses.fields(getattr(Config(), section.name)):
            about = item.metadata
            bounds = f"{about['low']} to {about['high']} " if "low" in about else ""
            print(f"{section.name}.{item.name} = {item.default}  ({bounds}{about['unit']})")
            print(f"    {about['help']}")
    return EXIT_OK


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _complain(text: str) -> None:
    print(_one_line(text), file=sys.stderr)
