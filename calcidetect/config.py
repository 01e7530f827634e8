"""Every setting: its default, bounds, unit and meaning; read from TOML or ``key=value``; hashed.

A setting is addressed as ``section.name``, e.g. ``detect.min_diameter_mm``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calcidetect.errors import ConfigError

_PIN_LENGTH = 12  # hexadecimal digits, as of `Config.hash`
_PINNED = re.compile(rf"@[0-9a-f]{{{_PIN_LENGTH}}}$")


def _setting(default: Any, *, low: float, high: float, unit: str, help: str) -> Any:
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "unit": unit, "help": help})


def _check(record: Any) -> None:
    for item in dataclasses.fields(record):
        value = getattr(record, item.name)
        low, high = item.metadata["low"], item.metadata["high"]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ConfigError(
                f"{item.name} must be a number from {low} to {high} {item.metadata['unit']}, got {value!r}."
            )


def _check_order(record: Any, least: str, most: str) -> None:
    low, high = getattr(record, least), getattr(record, most)
    if low > high:
        raise ConfigError(f"{least} is {low} and {most} {high}; set {least} to no more than {most}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class GridSettings:
    """Resolution of the work."""

    working_mm: float = _setting(
        0.4,
        low=0.1,
        high=2.0,
        unit="mm",
        help="pixel pitch of the working grid; finer films are reduced to it, coarser ones enlarged",
    )
    longest_px: int = _setting(
        900,
        low=100,
        high=100_000,
        unit="",
        help="pixels of its longer side beyond which the working grid is coarsened",
    )
    coarsening: float = _setting(
        1.175, low=1.0, high=10.0, unit="", help="largest factor by which a large film's grid is coarsened"
    )
    field_width_mm: float = _setting(
        300.0, low=20.0, high=600.0, unit="mm", help="assumed longer side of the exposed field where spacing is unknown"
    )

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoneSettings:
    """Bone segmentation."""

    pixel_mm: float = _setting(
        1.6, low=0.8, high=3.0, unit="mm", help="pixel pitch on which bone probability is computed; the tables fit 1.6"
    )
    smoothing_mm: float = _setting(
        0.6, low=0.0, high=5.0, unit="mm", help="Gaussian sigma that evens the bone probability out"
    )
    threshold: float = _setting(0.5, low=0.0, high=1.0, unit="", help="bone probability that counts as bone")
    sure: float = _setting(0.8, low=0.0, high=1.0, unit="", help="bone probability that each bone must reach somewhere")
    min_area_mm2: float = _setting(25.0, low=0.0, high=1e4, unit="mm2", help="smaller regions are no bone")
    max_hole_mm2: float = _setting(15.0, low=0.0, high=1e4, unit="mm2", help="smaller holes in bone are filled")

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundSettings:
    """Soft-tissue level and noise."""

    window_mm: float = _setting(
        5.0, low=1.0, high=50.0, unit="mm", help="Gaussian sigma of the window that soft-tissue level is learnt from"
    )
    smoothing_mm: float = _setting(0.5, low=0.0, high=5.0, unit="mm", help="Gaussian sigma that takes grain away first")
    bone_gap_mm: float = _setting(
        0.8, low=0.0, high=10.0, unit="mm", help="soft tissue nearer to bone than this is not learnt from"
    )

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSettings:
    """The candidate generator."""

    min_diameter_mm: float = _setting(1.2, low=0.5, high=20.0, unit="mm", help="smallest blob searched for")
    max_diameter_mm: float = _setting(34.0, low=2.0, high=100.0, unit="mm", help="largest blob searched for")
    min_snr: float = _setting(
        1.0, low=0.0, high=20.0, unit="sigmas", help="least blob response over the usual response nearby"
    )
    scale_slack: float = _setting(
        0.9, low=0.0, high=1.0, unit="", help="a blob is kept when its response reaches this share of the best scale's"
    )
    smoothing_mm: float = _setting(0.3, low=0.0, high=5.0, unit="mm", help="Gaussian sigma that takes grain away first")
    max_per_scale: int = _setting(2000, low=1, high=100_000, unit="", help="blobs of each size that are looked at")
    max_seeds: int = _setting(1200, low=1, high=100_000, unit="", help="blobs, most promising first, that are measured")

    def __post_init__(self) -> None:
        _check(self)
        _check_order(self, "min_diameter_mm", "max_diameter_mm")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureSettings:
    """The exposed field, air and what is neither air nor body."""

    min_share: float = _setting(0.01, low=0.0, high=1.0, unit="", help="least share of the film that is exposed body")
    smoothing_mm: float = _setting(
        0.3, low=0.0, high=5.0, unit="mm", help="Gaussian sigma that takes grain away before air is looked for"
    )
    air_window_mm: float = _setting(
        5.0, low=1.0, high=100.0, unit="mm", help="Gaussian sigma of the window that the level of air is learnt from"
    )
    skin_sigmas: float = _setting(
        4.0, low=1.0, high=20.0, unit="sigma", help="the skin line lies this far above the level of air"
    )
    min_skin_step: float = _setting(
        0.012, low=0.0, high=0.2, unit="of the film's range", help="the skin line lies at least this far above air"
    )
    max_skin_step: float = _setting(
        0.03, low=0.0, high=0.5, unit="of the film's range", help="the skin line lies at most this far above air"
    )
    min_gap_mm2: float = _setting(30.0, low=0.0, high=1e4, unit="mm2", help="smaller areas of air are taken for body")
    max_letter_mm: float = _setting(
        15.0, low=1.0, high=100.0, unit="mm", help="longest side of a letter beside the body; longer ones are plates"
    )
    min_metal_mm2: float = _setting(6.0, low=0.0, high=1e3, unit="mm2", help="smaller hard structures stay body")
    min_hardness: float = _setting(
        0.21, low=0.05, high=0.5, unit="of the film's range per pixel", help="least slope around metal and strokes"
    )

    def __post_init__(self) -> None:
        _check(self)
        _check_order(self, "min_skin_step", "max_skin_step")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSettings:
    """The scorer."""

    tables: str = dataclasses.field(
        default="",
        metadata={
            "unit": "a file that calcidetect fit wrote; empty: the shipped tables",
            "help": "tables that score candidates; their content is part of the setting, as PATH@HASH",
        },
    )

    def __post_init__(self) -> None:
        if not isinstance(self.tables, str):
            raise ConfigError(f"tables must be the path of a file, got {self.tables!r}.")
        if self.tables and not _PINNED.search(self.tables):
            object.__setattr__(self, "tables", pinned(self.tables))


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomSettings:
    """Results written as DICOM."""

    make_study: int = _setting(
        0, low=0, high=1, unit="", help="1 files the overlay of a film that is not DICOM (format sc) in a new study"
    )
    seg_geometry: int = _setting(
        1, low=0, high=1, unit="", help="1 gives segmentations a made-up plane in space, without which viewers fail"
    )

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings of a scan.

    Examples
    --------
    >>> Config().replace({"grid.working_mm": 0.5}).grid.working_mm
    0.5
    """

    grid: GridSettings = GridSettings()
    exposure: ExposureSettings = ExposureSettings()
    bone: BoneSettings = BoneSettings()
    background: BackgroundSettings = BackgroundSettings()
    detect: DetectSettings = DetectSettings()
    score: ScoreSettings = ScoreSettings()
    dicom: DicomSettings = DicomSettings()

    def replace(self, changes: Mapping[str, Any]) -> Config:
        """Return a copy with ``{"section.name": value}`` changed.

        Raises
        ------
        ConfigError
            For an unknown key, a value of the wrong type or out of bounds, or a least value above the greatest.
        """
        before = self.flat()
        changed: dict[str, dict[str, Any]] = {}
        for key, given in changes.items():
            section, _, name = key.partition(".")
            if key not in before:
                raise ConfigError(f"There is no setting {key!r}; 'calcidetect settings' lists them all.")
            changed.setdefault(section, {})[name] = _like(before[key], given, key=key)
        sections = {section: dataclasses.replace(getattr(self, section), **part) for section, part in changed.items()}
        return dataclasses.replace(self, **sections)

    def flat(self) -> dict[str, Any]:
        """Every setting as ``{"section.name": value}``."""
        return {
            f"{section.name}.{item.name}": getattr(getattr(self, section.name), item.name)
            for section in dataclasses.fields(self)
            for item in dataclasses.fields(getattr(self, section.name))
        }

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that change with any setting."""
        return hashlib.sha256(json.dumps(self.flat(), sort_keys=True).encode()).hexdigest()[:_PIN_LENGTH]


def _like(old: Any, given: Any, *, key: str) -> Any:
    """What was given as the type that a setting has; words are read, numbers are never cut."""
    kind = "a whole number" if isinstance(old, int) else "a number" if isinstance(old, float) else "text"
    try:
        value = type(old)(given)
    except (TypeError, ValueError, OverflowError) as error:  # the last of an int that is to be infinite
        raise ConfigError(f"{key} must be {kind}, got {given!r}.") from error
    if isinstance(given, bool) or (isinstance(given, float) and isinstance(old, int) and value != given):
        raise ConfigError(f"{key} must be {kind}, got {given!r}.")
    return value


def pinned(path: str) -> str:
    """Path of a file with the hash of its content behind it: ``PATH@HASH``.

    Raises
    ------
    ConfigError
        When it can't be read.
    """
    absolute = Path(path).absolute()
    try:
        digest = hashlib.sha256(absolute.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{path} can't be read as tables of the scorer: {error.strerror}; check the path.") from error
    return f"{absolute}@{digest[:_PIN_LENGTH]}"


def unpinned(setting: str) -> str:
    """The path of a ``PATH@HASH``, whose file still is the one it was.

    Raises
    ------
    ConfigError
        When it can't be read, or has changed.
    """
    path = _PINNED.sub("", setting)
    if pinned(path) != setting:
        raise ConfigError(f"{path} has changed since it was chosen; name it again to use it as it is now.")
    return path


def load_config(path: Path | str) -> Config:
    """Read settings from a TOML file of ``[section]`` tables.

    Raises
    ------
    ConfigError
        When the file is missing, is no TOML, or names an unknown or impossible setting.
    """
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} can't be read as TOML settings: {error}.") from error
    strays = [name for name, table in tables.items() if not isinstance(table, dict)]
    if strays:
        raise ConfigError(f"{path}: {strays[0]!r} stands outside a section; write it below e.g. [detect].")
    changes = {f"{section}.{name}": value for section, table in tables.items() for name, value in table.items()}
    return Config().replace(changes)


def parse_assignments(assignments: Iterable[str]) -> dict[str, str]:
    """Split ``section.name=value`` words, as given on the command line."""
    pairs = [word.partition("=") for word in assignments]
    if bad := [key for key, equals, _ in pairs if not equals]:
        raise ConfigError(f"{bad[0]!r} is no setting; write section.name=value.")
    return {key.strip(): value.strip() for key, _, value in pairs}
