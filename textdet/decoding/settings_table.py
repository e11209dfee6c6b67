"""The table of the detection settings in the documentation, made from their declarations.

    python -m textdet.decoding.settings_table docs/tuning.md

rewrites it between the page's two marks.
"""

import re
import sys
from dataclasses import asdict
from pathlib import Path

from textdet.decoding.settings import DEFAULTS, SETTINGS

BEGIN, END = "<!-- settings -->", "<!-- /settings -->"
HEAD = ("setting", "range", "default", "meaning", "when to change it")


def settings_table() -> str:
    """The Markdown table, one row per setting, ended by a newline."""
    defaults = asdict(DEFAULTS)
    rows = [HEAD, ["---"] * len(HEAD)]
    for name, declared in SETTINGS.items():
        default = defaults[name] if declared.choices else f"{defaults[name]:g}"
        rows.append((f"`{name}`", declared.range, default, declared.help, declared.advice))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def insert_table(page: str) -> str:
    """Put the table between a page's marks, in the place of what is there.

    Params:
        page: its text.

    Returns:
        The text with the table of today's settings.

    Raises:
        ValueError: the marks are missing.
    """
    if not re.search(f"{BEGIN}.*{END}", page, re.DOTALL):
        raise ValueError(f"no {BEGIN} and {END} in it")
    before, rest = page.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{settings_table()}{END}{rest.split(END, 1)[1]}"


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(insert_table(path.read_text(encoding="utf-8")), encoding="utf-8")
