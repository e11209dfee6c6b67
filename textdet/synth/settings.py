"""The generator's settings: one frozen value, made from static/constants.py and passed down."""

import ast
import codecs
import difflib
import functools
import io
import json
import math
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from static import constants
from textdet.common.errors import DataError
from textdet.synth.shares import Shares

SECTIONS = ("Scene", "Text", "Geometry", "Ink", "Pages", "Backgrounds", "Camera")
# Tables that may have other names than their defaults: there is a list of words of each.
OPEN_TABLES = ("LANGUAGE_SHARES",)
NUMBER = r"(-?\d+(?:\.\d+)?)"
LIMITS = re.compile(rf"(?<![\w.-]){NUMBER}\.\.{NUMBER}|at least {NUMBER}")  # in a comment
HEADING = re.compile(r"# --- (\w+)")
UTF16 = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE
PRESETS = {path.stem: path for path in sorted(constants.PRESETS.glob("*.toml"))}


@dataclass(frozen=True)
class Setting:
    """One setting as static/constants.py declares it.

    Params:
        section: one of SECTIONS.
        default: a number, a (low, high) range, a tuple of choices or a table of shares.
        comment: its unit and meaning.
        notes: those of a table's kinds.
        lowest, highest: limits of each of its numbers.
    """

    name: str
    section: str
    default: Any
    comment: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    lowest: float = 0.0
    highest: float = math.inf


class GeneratorSettings:
    """All settings of the generator, each an attribute with its name in static/constants.py.

    Frozen, hashable, and equal when all values are; several can live in one process.

    Params:
        changes: values by name, as in changed(); the others are the defaults.

    Raises:
        DataError: as changed().
    """

    def __init__(self, /, **changes: Any):
        """The defaults with some changes."""
        defaults = {setting.name: setting.default for setting in declared_settings().values()}
        self.__dict__.update(_changed_values(defaults, changes))

    def changed(self, /, **changes: Any) -> "GeneratorSettings":
        """The same with other values of some settings.

        Params:
            changes: values by name. Kinds that a table of shares does not name keep their share.

        Raises:
            DataError: there is no such name, or a value is of another kind or out of range.
        """
        other = object.__new__(GeneratorSettings)
        other.__dict__.update(_changed_values(self.__dict__, changes))
        return other

    def differences(self) -> dict[str, Any]:
        """The settings that differ from the defaults, by name, in the order of constants.py."""
        settings = declared_settings()
        return {k: v for k, v in self.__dict__.items() if v != settings[k].default}

    def languages(self) -> tuple[str, ...]:
        """The languages of the text, by the names of their lists of words."""
        return tuple(name for name, share in self.LANGUAGE_SHARES.items() if share)

    def __setattr__(self, name: str, value: Any):
        raise AttributeError(f"settings are frozen: changed({name}=...) makes others")

    def __delattr__(self, name: str):
        raise AttributeError("settings are frozen")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GeneratorSettings) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__.values()))

    def __repr__(self) -> str:
        changes = ", ".join(f"{name}={value!r}" for name, value in self.differences().items())
        return f"GeneratorSettings({changes})"


# --- What static/constants.py declares -------------------------------------------------------


@functools.cache
def declared_settings() -> dict[str, Setting]:
    """The settings in the sections of static/constants.py that are the generator's, by name.

    Read from its source, so that name, default, unit, meaning and limits stand in one place.
    Limits: what the comment gives as 1..100 or as "at least 1"; else 0..1 for probabilities and
    shares, and no negative numbers where the default has none.

    Raises:
        DataError: a default is out of its limits.
    """
    source = Path(constants.__file__).read_text(encoding="utf-8")
    comments = _comments_of(source)
    headings = {line: m[1] for line, text in comments.items() if (m := HEADING.match(text))}
    settings = {}
    for node in ast.parse(source).body:
        above = max((line for line in headings if line < node.lineno), default=None)
        if isinstance(node, ast.Assign) and headings.get(above) in SECTIONS:
            for setting in _settings_of(node, headings[above], comments):
                settings[setting.name] = setting
    return settings


def _comments_of(source: str) -> dict[int, str]:
    """The comments by line."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}


def _settings_of(node: ast.Assign, section: str, comments: dict[int, str]) -> Iterator[Setting]:
    """The settings that one statement declares: NAME = value, or several names at once."""

    def said(first: int, last: int) -> str:
        lines = (comments.get(line, "") for line in range(first, last + 1))
        return " ".join(text.lstrip("# ") for text in lines if text)

    is_table, notes = isinstance(node.value, ast.Dict), {}
    comment = said(node.lineno, node.lineno if is_table else node.end_lineno)
    if is_table and node.end_lineno > node.lineno:
        notes = {key.value: said(key.lineno, key.lineno) for key in node.value.keys}
    for target in ast.walk(node.targets[0]):
        if isinstance(target, ast.Name):
            default = getattr(constants, target.id)
            default = Shares(default) if is_table else default
            limits = _limits(target.id, default, comment)
            setting = Setting(target.id, section, default, comment, notes, *limits)
            try:
                yield replace(setting, default=_checked(setting, default, default))
            except DataError as error:
                raise DataError(f"static/constants.py: {error}") from None


def _limits(name: str, default: Any, comment: str) -> tuple[float, float]:
    if said := LIMITS.search(comment):
        return float(said[1] or said[3]), float(said[2] or math.inf)
    if name.endswith(("_PROBABILITY", "_SHARE")):
        return 0.0, 1.0
    return (0.0 if min(_numbers(default)) >= 0 else -math.inf), math.inf


def _numbers(value: Any) -> list[float]:
    """All numbers in a value."""
    if isinstance(value, Mapping):
        value = tuple(value.values())
    return [n for part in value for n in _numbers(part)] if isinstance(value, tuple) else [value]


# --- Checks ----------------------------------------------------------------------------------


def _changed_values(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    settings, values = declared_settings(), dict(values)
    for name, value in changes.items():
        if name not in settings:
            raise DataError(f"there is no setting {name}{_nearest(name.upper(), settings)}")
        values[name] = _checked(settings[name], value, values[name])
    return values


def _nearest(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), 1)
    return f"; the nearest is {near[0]}" if near else ""


def _checked(setting: Setting, value: Any, before: Any) -> Any:
    """The value in the form of the setting's default. before: what it takes the place of."""
    if isinstance(setting.default, Shares):
        return _checked_shares(setting, value, before)
    if isinstance(setting.default, tuple):
        return _checked_tuple(setting, value)
    return _checked_number(setting, value, setting.default)


def _checked_shares(setting: Setting, value: Any, before: Shares) -> Shares:
    name = setting.name
    if not isinstance(value, Mapping):
        raise DataError(f"{name} must be a table of shares, not {value!r}")
    for kind in value:
        if kind not in before and name not in OPEN_TABLES:
            raise DataError(f"{name} has no {kind!r}{_nearest(kind, before)}")
    # Sorted, for what the same shares choose must not depend on the order of their names.
    shares = {k: _checked_number(setting, value[k], 1.0) for k in sorted(value)}
    shares = Shares(dict(before) | shares)
    if not sum(shares.values()):
        raise DataError(f"{name} needs a share above 0")
    return shares


def _checked_tuple(setting: Setting, value: Any) -> tuple:
    name, default = setting.name, setting.default
    if not isinstance(value, list | tuple) or not value:
        raise DataError(f"{name} must be a list like {_as_toml(default)}, not {value!r}")
    if isinstance(default[0], tuple):
        if not all(isinstance(v, list | tuple) and len(v) == len(default[0]) for v in value):
            raise DataError(f"{name} must hold lists of {len(default[0])} numbers, not {value!r}")
        return tuple(tuple(_checked_number(setting, n, default[0][0]) for n in v) for v in value)
    kind = next((n for n in default if isinstance(n, float)), default[0])
    numbers = tuple(_checked_number(setting, n, kind) for n in value)
    if len(default) == 2 and (len(numbers) != 2 or numbers[0] > numbers[1]):
        raise DataError(f"{name} must be two numbers, the lower one first, not {value!r}")
    return numbers


def _checked_number(setting: Setting, value: Any, kind: float) -> float:
    name = setting.name
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not abs(value) <= sys.float_info.max:  # nor is nan
        raise DataError(f"{name} takes numbers, not {value!r}")
    if isinstance(kind, int) and not isinstance(value, int):
        raise DataError(f"{name} takes whole numbers, not {value!r}")
    if not setting.lowest <= value <= setting.highest:
        limits = f"at least {setting.lowest:g}"
        if setting.highest < math.inf:
            limits = f"between {setting.lowest:g} and {setting.highest:g}"
        raise DataError(f"{name} must be {limits}, not {value!r}")
    return value if isinstance(kind, int) else float(value)


# --- TOML ------------------------------------------------------------------------------------


def read_settings(path: Path) -> dict[str, Any]:
    """The names and values in a TOML file; they are not checked.

    Params:
        path: of UTF-8, with or without a byte order mark, or of UTF-16 with one, which PowerShell
            makes of --show_settings > mine.toml.

    Raises:
        DataError: it cannot be read.
    """
    try:
        data = path.read_bytes()
        return tomllib.loads(data.decode("utf-16" if data.startswith(UTF16) else "utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:  # not UTF-8 or not TOML
        raise DataError(f"{path} is not TOML: {error}") from None


def parse_assignment(text: str) -> dict[str, Any]:
    """The name and value in a line NAME=VALUE or TABLE.KIND=VALUE; they are not checked.

    Params:
        text: the value as in TOML.

    Returns:
        {name: value}, or {table: {kind: value}}.

    Raises:
        DataError: it is no such line.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{text!r} is not NAME=VALUE with a value as in TOML: {error}") from None


def to_toml(settings: GeneratorSettings) -> str:
    """All settings with their comments, as a file that read_settings() takes."""
    lines, section = [], ""
    for setting in declared_settings().values():
        value = getattr(settings, setting.name)
        if setting.section != section:
            section = setting.section
            lines += ["", f"# --- {section} ---"]
        if isinstance(value, Shares):
            lines += [f"# {setting.name}: {setting.comment}"] if setting.comment else []
            for kind, share in value.items():
                key = kind if re.fullmatch(r"[\w-]+", kind, re.ASCII) else json.dumps(kind)
                lines.append(_line(f"{setting.name}.{key}", share, setting.notes.get(kind, "")))
        else:
            lines.append(_line(setting.name, value, setting.comment))
    return "\n".join(lines[1:]) + "\n"


def _line(name: str, value: Any, comment: str) -> str:
    return f"{name} = {_as_toml(value)}" + (f"  # {comment}" if comment else "")


def _as_toml(value: Any) -> str:
    """A number, or lists of numbers: JSON writes them as TOML does."""
    return json.dumps(value)
