"""Which links between characters hold words together, by what else is in the word."""

import numpy as np

from run_utils import MIN_AREA, find_components, group_runs
from spacing_utils import restore_even_links

STRONG_LINK = 0.9  # quantile of the affinity in a component that its weak links are measured by
EVEN_LINK = 0.3  # share of the strong affinity that links evenly spaced letters


def drop_weak_links(
    textmap: np.ndarray,
    linkmap: np.ndarray,
    is_text: np.ndarray,
    is_link: np.ndarray,
    candidates: np.ndarray,
    share: float,
) -> None:
    """Take those of the candidates out of is_link, in place, that are weak for what they join.

    Between words the network sees some affinity too, the more the surer it is of the words: in a
    clear line it may exceed what joins the letters of a faint word, and no one threshold fits both.
    A link stays that is above `share` of the strong affinity (STRONG_LINK) of its own component,
    or above EVEN_LINK of it where the letters stand no farther apart than others of the word.
    """
    number, labels = find_components(is_text | is_link)
    at = np.flatnonzero(candidates)
    if len(at) == 0:
        return
    owners, levels = labels.ravel()[at].astype(np.int64), linkmap.ravel()[at]
    if levels.dtype != np.uint8:
        levels = (levels.clip(0, 1) * 255).astype(np.uint8)
    ranked = np.sort(owners * 256 + levels)
    starts = np.flatnonzero(np.diff(ranked >> 8, prepend=-1))
    last = np.diff(starts, append=len(ranked)) - 1
    strong = np.zeros(number)
    strong[ranked[starts] >> 8] = ranked[starts + (STRONG_LINK * last).astype(int)] & 255
    strong = strong[owners]
    is_strong = levels > share * strong
    is_link.ravel()[at] = is_strong
    weak = at[~is_strong & (levels > EVEN_LINK * strong)]
    if len(weak):
        _keep_even_links(textmap, is_text, is_link, weak)


def _keep_even_links(
    textmap: np.ndarray, is_text: np.ndarray, is_link: np.ndarray, weak: np.ndarray
) -> None:
    """Put those of the weak links, places in the flat map, into is_link that join evenly spaced
    letters."""
    loose = is_link.copy()
    loose.ravel()[weak] = True
    number, wholes = find_components(is_text | loose)
    _, labels = find_components(is_text | is_link)
    _, pieces, _ = group_runs(is_text, labels)
    pieces = pieces.take(np.flatnonzero(pieces.areas() >= MIN_AREA))
    parents = wholes[pieces.rows[pieces.starts], pieces.first[pieces.starts]]
    bounds = pieces.bounds()
    windows = []
    for whole in np.flatnonzero(np.bincount(parents, minlength=number) > 1):
        inside = bounds[parents == whole]
        (x0, y0), (x1, y1) = inside[:, :2].min(axis=0), inside[:, 2:].max(axis=0)
        windows.append((whole, np.s_[y0 : y1 + 1, x0 : x1 + 1]))
    restore_even_links(textmap, is_text, is_link, loose, labels, wholes, windows)
