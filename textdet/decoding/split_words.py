"""Which links between characters hold words together, by what else is in the word."""

import numpy as np

from textdet.decoding.run_lengths import MIN_AREA, find_components, group_runs
from textdet.decoding.spacing import even_gaps

STRONG_LINK = 0.9  # quantile of the affinity in a component that its weak links are measured by
EVEN_LINK = 0.3  # share of the strong affinity that links evenly spaced letters


def join_linked(
    textmap: np.ndarray,
    linkmap: np.ndarray,
    is_text: np.ndarray,
    is_link: np.ndarray,
    candidates: np.ndarray,
    share: float,
) -> tuple[int, np.ndarray]:
    """The components of text and links, without links that are weak for what they join.

    Between words the network sees some affinity too, the more the surer it is of the words: in a
    clear line it may exceed what joins the letters of a faint word, and no one threshold fits both.
    A link stays that is above `share` of the strong affinity (STRONG_LINK) of its own component,
    or above EVEN_LINK of it where the letters stand no farther apart than others of the word.

    Params:
        textmap, linkmap: (H, W), uint8, 0..255, or float, 0..1.
        is_text, is_link: bool (H, W); weak links are taken out of is_link, in place.
        candidates: bool (H, W), the links that may be taken out.
        share: 0..1.

    Returns:
        number: of labels, 0 included; some may be of no pixel.
        labels: int32 (H, W), the component of each pixel.
    """
    number, wholes = find_components(is_text | is_link)
    at = np.flatnonzero(candidates)
    if len(at) == 0:
        return number, wholes
    owners, levels = wholes.ravel()[at].astype(np.int64), linkmap.ravel()[at]
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
    number, labels = find_components(is_text | is_link)
    if len(weak):
        _join_even(textmap, is_text, is_link, weak, wholes, labels)
    return number, labels


def _join_even(textmap, is_text, is_link, weak, wholes, labels) -> None:
    """Join pieces of words whose letters stand evenly: their links come back, and they get one
    label, in place. weak: the places of weak links in the flat map."""
    is_loose = is_text | is_link
    is_loose.ravel()[weak] = True
    _, pieces, _ = group_runs(is_text, labels)
    pieces = pieces.take(np.flatnonzero(pieces.areas() >= MIN_AREA))
    rows, columns, bounds = pieces.rows[pieces.starts], pieces.first[pieces.starts], pieces.bounds()
    owners = wholes[rows, columns]
    for whole in np.flatnonzero(np.bincount(owners) > 1):
        own = np.flatnonzero(owners == whole)
        (x0, y0), (x1, y1) = bounds[own, :2].min(axis=0), bounds[own, 2:].max(axis=0)
        window = np.s_[y0 : y1 + 1, x0 : x1 + 1]
        _, parts = find_components(is_loose[window] & (wholes[window] == whole))
        for part in np.flatnonzero(np.bincount(parts[rows[own] - y0, columns[own] - x0]) > 1):
            inside = parts == part
            along, gaps = even_gaps(textmap[window], is_text[window] & inside, labels[window])
            if not gaps:
                continue
            y, x = np.nonzero(inside)
            places = np.stack([x, y], axis=1) @ along
            for start, end in gaps:
                between = (places >= start) & (places <= end)
                is_link[window][y[between], x[between]] = True
            joined = find_components(inside & (is_text[window] | is_link[window]))[1][y, x]
            names = np.zeros(joined.max() + 1, labels.dtype)
            np.maximum.at(names, joined, labels[window][y, x])
            names[0] = 0  # links that are still out
            labels[window][y, x] = names[joined]
