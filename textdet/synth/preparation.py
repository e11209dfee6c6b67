"""Before a run: its settings from what a person asked for; its fonts, words and photographs found,
checked and fingerprinted."""

import json
import os
import string
from collections.abc import Iterable, Sequence
from pathlib import Path

from textdet.common.cli import progress_bar
from textdet.common.errors import DataError
from textdet.common.files import glob_below
from textdet.common.fingerprints import file_digest, fingerprint
from textdet.common.images import name_other_pictures
from textdet.synth.augment import make_pipelines
from textdet.synth.backgrounds import check_backgrounds, list_backgrounds
from textdet.synth.content import Vocabulary, load_vocabularies, only_words
from textdet.synth.fonts import Font, load_fonts
from textdet.synth.resources import fonts_by_language, name_undrawn
from textdet.synth.settings import PRESETS, GeneratorSettings, parse_assignment, read_settings

# --- Settings --------------------------------------------------------------------------------


def choose_settings(
    preset: str | None = None,
    file: Path | None = None,
    only_listed: bool = False,
    assignments: Iterable[str] = (),
) -> GeneratorSettings:
    """The defaults, changed by each of these, one after the other.

    Params:
        preset: one of PRESETS.
        file: TOML, see read_settings.
        only_listed: whether to draw only what stands in the list of words.
        assignments: lines NAME=VALUE, see parse_assignment.

    Raises:
        DataError: a file cannot be read, or a name or value is wrong.
    """
    files = [PRESETS[preset]] if preset else []
    files += [file] if file else []
    settings = GeneratorSettings()
    for path in files:
        settings = _apply(settings, str(path), read_settings(path))
    if only_listed:
        settings = only_words(settings)
    for text in assignments:
        settings = _apply(settings, f"--set {text}", parse_assignment(text))
    return settings


def _apply(settings: GeneratorSettings, source: str, changes: dict) -> GeneratorSettings:
    """The settings with changes. Raises DataError, naming their source, when they are wrong."""
    try:
        return settings.changed(**changes)
    except DataError as error:
        raise DataError(f"{source}: {error}") from None


# --- Files -----------------------------------------------------------------------------------


def find_materials(
    settings: GeneratorSettings,
    backgrounds: Path,
    fonts: Path,
    words: Path,
    size: int,
    apart_from: Path | None = None,
) -> tuple[tuple[tuple[Path, ...], tuple[Path, ...], Path], list[str]]:
    """Find and check fonts, photographs and words.

    Params:
        backgrounds, fonts: folders.
        words: a folder of lists, or one list.
        size: px, side of the images to be made.
        apart_from: a folder of which no photograph is taken, where a run writes its own images.

    Returns:
        the photographs, the fonts and the words that can be used, all by their whole paths, as
        generate_utils.Job takes them; and a line for each file that is left out.

    Raises:
        DataError: a setting is refused, or no font, photograph or word is usable.
    """
    make_pipelines(settings)  # refuses what albumentations refuses
    vocabularies = load_vocabularies(words, settings.languages())
    opened, problems = load_fonts(fonts)
    letters = {
        letter for vocabulary in vocabularies for word in vocabulary.words for letter in word
    }
    letters |= set(string.digits + string.punctuation)
    faults = {font.path: fault for font in opened if (fault := _fault_of(font, letters))}
    problems += [f"{path}: {fault}" for path, fault in sorted(faults.items())]
    sound = [font for font in opened if font.path not in faults]
    if not sound:
        raise DataError(f"no sound font in {fonts}; {problems[0]}")
    matches = fonts_by_language(vocabularies, sound)
    used = list(dict.fromkeys(font.path for group in matches.values() for font in group))
    problems += [
        f"{path}: lacks letters of {words}"
        for path in dict.fromkeys(font.path for font in sound)
        if path not in used
    ]
    problems += [f"no font in {fonts} speaks {k}" for k, v in matches.items() if not v]
    if not words.is_dir():
        able = matches[vocabularies[0].language]
        problems += _undrawn_lines(words, vocabularies[0], able, settings.MIN_FONT_SIZE, size)
    photographs = list_backgrounds(backgrounds, apart_from)
    problems += name_other_pictures(glob_below(backgrounds))
    with progress_bar(photographs, desc="checking", unit="photo") as bar:
        usable, bad_backgrounds = check_backgrounds(bar, settings.BACKGROUND_SIDE)
    found = (
        tuple(path.absolute() for path in usable),
        tuple(path.absolute() for path in sorted(used)),
        words.absolute(),
    )
    return found, problems + bad_backgrounds


def _undrawn_lines(
    path: Path, vocabulary: Vocabulary, fonts: list[Font], em: float, size: int
) -> list[str]:
    """Lines about the words of a person's own list that no image will show.

    path: of the list; the others as name_undrawn takes them.
    """
    lacking, long = name_undrawn(vocabulary, fonts, em, size)
    reasons = (
        (lacking, "no font has all their characters"),
        (long, f"too long for images of {size} px, however small"),
    )
    return [
        f"{len(words)} words of {path}, {reason}: {', '.join(w[:40] for w in words[:5])}"
        for words, reason in reasons
        if words
    ]


def _fault_of(font: Font, letters: set[str]) -> str | None:
    """Why a font cannot be used although it opens; None where it can: a damaged file, or one that
    has the same box for all letters of a script, as systems keep for those that no font has.

    The font's size is set to 32 px. letters: those to try; ones that it lacks do no harm.
    """
    text, signs = "".join(sorted(letters)), {}
    try:
        font.set_size(32)
        for glyph in font.shape(text):
            font.bitmap(glyph.index)
            letter = text[glyph.cluster].casefold()  # capitals alone may serve for both
            if glyph.index and letter.isalpha() and font.extent(glyph.index):
                signs[letter] = glyph.index
    except Exception:  # FreeType raises a kind of its own
        return "a damaged font"
    return "one sign for many letters" if 2 * len(set(signs.values())) < len(signs) else None


# --- A record of both ------------------------------------------------------------------------


def describe(
    settings: GeneratorSettings, backgrounds: Sequence[Path], fonts: Sequence[Path], words: Path
) -> dict:
    """What decides, beside seed and size, what images look like.

    Params:
        backgrounds, fonts, words: as find_materials gives them.

    Returns:
        the settings that differ from the defaults, and fingerprints of the files, of the defaults
        and of the code; all of it JSON's types.
    """
    lists = sorted(words.glob("*.txt")) if words.is_dir() else [words]
    root = Path(__file__).resolve().parents[2]
    modules = sorted((root / "textdet" / "synth").glob("*.py"))
    others = "generate_utils.py", "textdet/data/heatmaps.py", "textdet/common/bidi.py"
    code = [*(root / name for name in others), *modules]
    return {
        "backgrounds": _digest(backgrounds),
        "fonts": _digest(fonts),
        "words": _digest(lists),
        "settings": json.loads(json.dumps(settings.differences())),
        "defaults": fingerprint([json.dumps(vars(GeneratorSettings()))]),
        "code": _digest(code),
    }


def _digest(paths: Sequence[Path]) -> str:
    return fingerprint(part for p in paths for part in (os.fsencode(p.name), b"\0", file_digest(p)))
