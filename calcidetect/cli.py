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
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from calcidetect.arguments import KINDS, NOTICE, make_parser
from calcidetect.config import Config, load_config, parse_assignments
from calcidetect.errors import CalcidetectError, ConfigError, OutputError, PacsError

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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 all done, 1 some of it failed, 2 usage, 130 stopped."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller; what is said there goes nowhere
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - to the end of the process
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a film's name may hold what the terminal can't show
    args = make_parser().parse_args(argv)
    try:
        return _COMMANDS[args.command](args)
    except CalcidetectError as error:
        _complain(f"calcidetect: {error}")
        return EXIT_SOME_FAILED if isinstance(error, PacsError) else EXIT_USAGE
    except KeyboardInterrupt:
        _complain("calcidetect: interrupted.")
        return EXIT_INTERRUPTED


def _scan(args: argparse.Namespace) -> int:
    way = {"root": args.root, "jobs": args.jobs, "time_out_s": args.timeout, "resume": args.resume}
    return _dry_run(args, way) if args.dry_run else _scan_films(args, way)


def _scan_recipe(args: argparse.Namespace) -> Recipe:
    from calcidetect.batch.film_task import Recipe

    config = _config(args)
    if args.make_study and "sc" not in _formats(args.format):
        raise ConfigError("--make-study is for the format sc; add it to --format, or leave --make-study out.")
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
            dicomweb.check_paths(args.paths)
        fetched = dicomweb.fetch_films(args.paths, args.out)
        with _progress() as progress:
            results = scan_films(fetched.paths, args.out, recipe=recipe, **way, executor=executor, progress=progress)
    done = [(result.ok, len(result.candidates), bool(result.film["error"])) for result in results]
    scanned, candidates, troubled = (sum(numbers) for numbers in zip(*done, strict=True)) if done else (0, 0, 0)
    if args.stats:
        from calcidetect.batch.stats import summary

        _say("\n".join(summary(results)))
    _say(f"{scanned} of {len(done)} films scanned, {candidates} candidates; results in {args.out}")
    if args.send_back:
        _say(f"{dicomweb.send_back(fetched, results, out=args.out, root=args.root)} DICOM results sent back")
    _say(NOTICE)
    return EXIT_SOME_FAILED if troubled else EXIT_OK


def _dry_run(args: argparse.Namespace, way: dict[str, Any]) -> int:
    from calcidetect import dicomweb
    from calcidetect.batch.dry_run import look_at_many

    if args.send_back:
        dicomweb.check_formats(_formats(args.format))
        dicomweb.check_paths(args.paths)
    scheme = dicomweb.SCHEME
    if any(path.startswith(scheme) for path in args.paths):
        raise ConfigError(f"Films behind {scheme} can't be looked at without fetching them; leave --dry-run out.")
    with _bar() as advance:
        looks = look_at_many(args.paths, args.out, recipe=_scan_recipe(args), **way, progress=advance)
    for look in looks:
        named = look.note if look.note.startswith(look.film) else f"{look.film}: {look.note}".removesuffix(": ")
        _say(f"{look.fate:<10}  {_one_line(named)}")
    counts = {fate: sum(look.fate == fate for look in looks) for fate in ("scan", "done", "unreadable")}
    _say(", ".join(f"{count} {fate}" for fate, count in counts.items()) + "; nothing was written")
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
    words = tuple(word.strip() for word in text.split(","))
    if words == ("none",):
        return ()
    if "none" in words:
        raise ConfigError(f"The format none stands alone, got {text!r}; leave it or the others out.")
    return words


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on a terminal, a line for each film elsewhere."""
    if not sys.stderr.isatty():
        yield lambda result, done, total: _complain(f"[{done}/{total}] {_outcome(result)}")
        return
    from tqdm import tqdm

    with _bar() as advance:

        def show(result: FilmResult, done: int, total: int) -> None:
            with _unheard():
                if result.film["error"] or _was_not_searched(result):
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
        with _unheard():
            if bar is None:
                bar = tqdm(total=total, initial=done - 1, unit="film", dynamic_ncols=True, disable=None)
            bar.update(done - bar.n)

    try:
        yield advance
    finally:
        with _unheard():
            if bar is not None:
                bar.close()


_REFUSED = "not_searched"  # `types.NOT_SEARCHED`, which takes NumPy
_WHY_REFUSED = {
    "coloured": "It has many colours",
    "unlike_films": "It looks like no film that the program knows",
}
"""What is said of a picture for its flag; of others without bone, that none was found."""


def _outcome(result: FilmResult) -> str:
    name = _one_line(result.film["film"])
    if not result.ok:
        return f"{name}: failed. {result.film['error']}"
    remedy = _remedy("scan", result.film["flags"].split(";"))
    return _and_told(f"{name}: {len(result.candidates)} candidates", remedy, result.film["error"])


def _and_told(what: str, *sentences: str) -> str:
    """What was done, and sentences on it; empty ones say nothing."""
    told = " ".join(filter(None, sentences))
    return f"{what}. {told}" if told else what


def _remedy(command: str, flags: Collection[str]) -> str:
    """Why a picture was not searched, and what to do, or nothing."""
    if _REFUSED not in flags:
        return ""
    trouble = next((words for flag, words in _WHY_REFUSED.items() if flag in flags), "No bone was found on it")
    return f"{trouble}, so it was not searched; if it is a film, name what it shows: calcidetect {command} --region."


def _was_not_searched(result: FilmResult) -> bool:
    return _REFUSED in result.film["flags"].split(";")


def _figure(args: argparse.Namespace) -> int:
    config = _config(args)
    from calcidetect.candidates.score import check_min_score
    from calcidetect.drawing.figure import check_order, draw_figure, write_figure
    from calcidetect.reading.readers import check_spacing

    check_spacing(args.spacing)
    check_min_score(args.min_score)
    films = check_order(args.paths, out=args.out)
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
    _say(f"{len(films) - len(missing)} of {len(films)} films drawn; figure in {args.out}")
    _say(NOTICE)
    return EXIT_SOME_FAILED if missing else EXIT_OK


def _scanned(
    films: Sequence[str], args: argparse.Namespace, config: Config, *, missing: list[str]
) -> Iterator[Scan | None]:
    """Scan film after film; None and a complaint for one that can't be, which `missing` then names."""
    from calcidetect.errors import FieldError, ReadError
    from calcidetect.pipeline import scan

    for number, film in enumerate(films, start=1):
        try:
            done = scan(film, config=config, region=args.region, spacing_mm=args.spacing, min_score=args.min_score)
        except (ReadError, FieldError) as error:
            missing.append(film)
            _complain(f"calcidetect: {error} Its panel is left out.")
            yield None
        else:
            remedy = _remedy("figure", done.report.flags)
            _complain(_and_told(f"[{number}/{len(films)}] {film}", remedy))
            yield done


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
        _say(json.dumps(facts, indent=2))
    else:
        _say("\n\n".join(_as_text(item) for item in facts if "error" not in item))
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

    for path in write_samples(args.out, kinds=args.kind or KINDS, seed=args.seed, count=args.count):
        _say(str(path))
    return EXIT_OK


def _evaluate(args: argparse.Namespace) -> int:
    from calcidetect.evaluation import evaluate_results, table

    _say(table(evaluate_results(args.results, args.truth, out=args.out, masks=args.masks, seed=args.seed)))
    _say(f"Numbers and pictures in {args.out}")
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
    _say(f"{len(done)} of {len(films)} films simulated, {deposits} deposits; results in {args.out}")
    return EXIT_OK if len(done) == len(films) else EXIT_SOME_FAILED


def _node(args: argparse.Namespace) -> int:
    from calcidetect.node import spool

    root = Path(args.spool)
    if args.status:
        _say(_as_text(spool.status(root)))
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
    _say("\n".join(trial.lines))
    _say(f"tables in {args.out}; use them with --set score.tables={args.out}")
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

    for path in write_export(args.export, folder, decisions=DecisionStore(folder.folder), to=Path(args.to)):
        _say(str(path))
    return EXIT_OK


def _serve(folder: RunFolder, args: argparse.Namespace) -> int:
    import webbrowser

    from calcidetect.review.server import serve

    def opened(address: str) -> None:
        _say(f"Films and decisions in {folder.folder}. {NOTICE}\n{address}")
        if not args.no_browser:
            webbrowser.open(address)

    with _ended_by_signals() as stop:
        serve(folder, reader=_reader(args.reader), port=args.port, stop=stop, opened=opened)
    return EXIT_OK


def _reader(given: str | None) -> str:
    """Name under which decisions are recorded."""
    import getpass

    if given is not None and not given.strip():
        raise ConfigError("The reader's name is empty; give one as --reader NAME.")
    try:
        return given.strip() if given else getpass.getuser()
    except (OSError, KeyError) as error:
        raise ConfigError("This account has no name; give one as --reader NAME.") from error


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C or a service manager's SIGTERM sets.

    A thread sets it: the signal may come while the main one, which handles it, holds the event's lock in `wait`.
    """
    stop = threading.Event()

    def end(*_: object) -> None:
        threading.Thread(target=stop.set).start()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
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
            _say(f"{section.name}.{item.name} = {item.default}  ({bounds}{about['unit']})")
            _say(f"    {about['help']}")
    return EXIT_OK


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _say(text: str) -> None:
    """Print a result. When the reader of a pipe, such as head, has seen enough, the work and its status go on."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _silence(sys.stdout)
    except OSError as error:
        _silence(sys.stdout)
        raise OutputError(f"The output can't be written: {error.strerror}; send it elsewhere.") from error


def _complain(text: str) -> None:
    with _unheard():
        print(_one_line(text), file=sys.stderr, flush=True)


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Go on when progress and complaints can't be told to anybody."""
    try:
        yield
    except OSError:
        _silence(sys.stderr)


def _silence(stream: TextIO) -> None:
    """Let what is left for a stream, and what follows, go nowhere: else Python's own end fails of it."""
    with contextlib.suppress(OSError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "scan": _scan,
    "figure": _figure,
    "inspect": _inspect,
    "phantom": _phantom,
    "evaluate": _evaluate,
    "simulate": _simulate,
    "settings": _settings,
    "node": _node,
    "review": _review,
    "fit": _fit,
}
