"""The characters in a profile along a word: its peaks, and the valleys between them."""

import numpy as np

FOREGROUND = 0.35  # 0..1, a character's peak reaches it (the paper's .75 is for the best maps)
PROMINENCE = 0.1  # a valley between two characters is lower than both peaks by this share


def basins(profile: np.ndarray, count: int | None = None) -> tuple[list[int], list[int]]:
    """Places of the peaks that are characters, and of the valleys between them.

    profile: (W,), 0..1, the highest character value at each place along a word. count: the number
    of characters where it is known; None to find it. There is always at least one peak.
    """
    # A plateau counts once, at its middle.
    starts = np.flatnonzero(np.diff(profile, prepend=np.nan))
    middles = (starts + np.append(starts[1:], len(profile)) - 1) // 2
    level = np.concatenate([[-1.0], profile[starts], [-1.0]])
    rising = np.diff(level) > 0
    peaks = middles[rising[:-1] & ~rising[1:]].tolist()
    peaks = [peak for peak in peaks if profile[peak] >= FOREGROUND] or [int(profile.argmax())]
    valleys = [a + int(profile[a : b + 1].argmin()) for a, b in zip(peaks, peaks[1:], strict=False)]
    while valleys:
        depths = [
            1 - profile[valley] / max(min(profile[peaks[i]], profile[peaks[i + 1]]), 1e-9)
            for i, valley in enumerate(valleys)
        ]
        faintest = int(np.argmin(depths))
        if len(peaks) <= count if count else depths[faintest] >= PROMINENCE:
            break
        lower = faintest + (profile[peaks[faintest]] > profile[peaks[faintest + 1]])
        del peaks[lower], valleys[faintest]
    return peaks, valleys
