"""Things that are not text but look a little like it: strokes, rows and grids of strong contrast.

They are drawn before the text, never over it. A function with @distractor draws one of them into an
image (size, size, 3) uint8 RGB, in place; a share of its name in DISTRACTOR_SHARES has it chosen.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from textdet.synth.pictograms import draw_pictogram
from textdet.synth.settings import GeneratorSettings
from textdet.synth.shares import sample_kind


@dataclass(frozen=True)
class Patch:
    """About where a distractor goes, and its two colours.

    Params:
        x, y: px of the image, its upper left corner, which may lie outside the image.
        w, h: px, its width and height.
        first, second: RGB, 0..255, one dark and one light.
    """

    x: int
    y: int
    w: int
    h: int
    first: tuple[int, int, int]
    second: tuple[int, int, int]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """x, y, width and height, px."""
        return self.x, self.y, self.w, self.h

    def region(self, image: np.ndarray, times: int = 1) -> np.ndarray:
        """The part of an image that starts at the corner, or at the border if that is beyond it.

        Params:
            image: (size, size, 3).
            times: how many times the patch's width and height it is to measure.

        Returns:
            a view, (height, width, 3), smaller or empty where the image ends.
        """
        x, y = max(self.x, 0), max(self.y, 0)
        return image[y : y + times * self.h, x : x + times * self.w]


# What draws one: from a random generator, into an image (size, size, 3) uint8 RGB, at a patch.
Distractor = Callable[[np.random.Generator, np.ndarray, Patch], None]
DISTRACTORS: dict[str, Distractor] = {}


def distractor(draw: Distractor) -> Distractor:
    """Enter a function draw_KIND in DISTRACTORS."""
    DISTRACTORS[draw.__name__.removeprefix("draw_")] = draw
    return draw


def draw_distractors(
    rng: np.random.Generator, settings: GeneratorSettings, image: np.ndarray, count: int
) -> None:
    """Draw `count` random ones anywhere in an image.

    Params:
        image: (size, size, 3) uint8 RGB, drawn into in place.
    """
    for _ in range(count):
        patch = _sample_patch(rng, image.shape[0])
        DISTRACTORS[sample_kind(rng, settings.DISTRACTOR_SHARES)](rng, image, patch)


def _sample_patch(rng: np.random.Generator, size: int) -> Patch:
    """size: px, side of the image. Muted colours, one dark and one light, in either order."""
    x, y = (int(v) for v in rng.integers(-size // 8, size, 2))
    w, h = (int(v) for v in np.exp(rng.uniform(np.log(12), np.log(size * 0.7), 2)))
    dark = rng.uniform(0, 110) + rng.normal(0, 18, 3)
    light = rng.uniform(130, 255) + rng.normal(0, 18, 3)
    pair = [tuple(int(v) for v in colour.clip(0, 255)) for colour in (dark, light)]
    return Patch(x, y, w, h, *(pair if rng.random() < 0.5 else reversed(pair)))


@distractor
def draw_lines(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """One to four straight strokes within the patch."""
    x, y, w, h = patch.box
    for _ in range(rng.integers(1, 5)):
        a, b = rng.uniform((x, y), (x + w, y + h), (2, 2)).astype(int).tolist()
        cv2.line(image, a, b, patch.first, int(rng.integers(1, 6)), cv2.LINE_AA)


@distractor
def draw_box(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """A filled rectangle with a border of the other colour."""
    x, y, w, h = patch.box
    first, second = patch.first, patch.second
    cv2.rectangle(image, (x, y), (x + w, y + h), first, -1)
    cv2.rectangle(image, (x, y), (x + w, y + h), second, int(rng.integers(1, 6)))


@distractor
def draw_disc(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """A disc, a ring, a traffic sign without writing or a wheel with spokes."""
    x, y, w, h = patch.box
    first, second = patch.first, patch.second
    radius = max(3, min(w, h) // 2)
    cv2.circle(image, (x, y), radius, first, -1, cv2.LINE_AA)
    cv2.circle(image, (x, y), radius, second, max(1, radius // 6), cv2.LINE_AA)
    if rng.random() < 0.5:
        for angle in np.arange(rng.integers(3, 9)) * np.pi / rng.integers(3, 6):
            end = np.array([np.cos(angle), np.sin(angle)]) * radius + (x, y)
            cv2.line(image, (x, y), end.astype(int).tolist(), second, max(1, radius // 9))


@distractor
def draw_fence(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """Upright or lying bars: a fence, a radiator, a bar code, stripes."""
    x, y, w, h = patch.box
    step, upright = int(rng.integers(4, 30)), rng.random() < 0.7
    for k in range(0, w if upright else h, step):
        bar = max(1, int(step * rng.uniform(0.15, 0.7)))
        if upright:
            cv2.rectangle(image, (x + k, y), (x + k + bar - 1, y + h), patch.first, -1)
        else:
            cv2.rectangle(image, (x, y + k), (x + w, y + k + bar - 1), patch.first, -1)
    if rng.random() < 0.4:
        cv2.rectangle(image, (x, y), (x + w, y + h), patch.first, max(1, step // 5))


@distractor
def draw_windows(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """Panes in rows, with frames and bars."""
    x, y, w, h = patch.box
    first, second = patch.first, patch.second
    pane = int(rng.integers(8, 60))
    gap = max(2, int(pane * rng.uniform(0.1, 0.8)))
    tall = int(pane * rng.uniform(0.7, 2))
    for j in range(y, y + h, tall + gap):
        for i in range(x, x + w, pane + gap):
            cv2.rectangle(image, (i, j), (i + pane, j + tall), first, -1)
            cv2.rectangle(image, (i, j), (i + pane, j + tall), second, max(1, pane // 12))
            cv2.line(image, (i + pane // 2, j), (i + pane // 2, j + tall), second)
            cv2.line(image, (i, j + tall // 2), (i + pane, j + tall // 2), second)


@distractor
def draw_bricks(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """A wall: courses of bricks, each shifted by half a brick."""
    x, y, w, h = patch.box
    first, second = patch.first, patch.second
    cv2.rectangle(image, (x, y), (x + w, y + h), first, -1)
    high = int(rng.integers(5, 24))
    for row, j in enumerate(range(y, y + h, high)):
        cv2.line(image, (x, j), (x + w, j), second)
        for i in range(x + (row % 2) * high, x + w, 2 * high):
            cv2.line(image, (i, j), (i, min(j + high, y + h)), second)


@distractor
def draw_foliage(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """Leaves against the sky, flowers, gravel: specks in a patch with a rough rim."""
    first, second = patch.first, patch.second
    region = patch.region(image, 2)
    if min(region.shape[:2]) < 8:
        return
    fine, coarse = (_noise(rng, region.shape[:2], grain) for grain in (rng.integers(1, 5), 12))
    rim = np.linspace(-1, 1, region.shape[0])[:, None] ** 2
    rim = rim + np.linspace(-1, 1, region.shape[1]) ** 2
    within = rim + 0.3 * coarse < 0.8
    light = within & (fine + 0.8 * coarse > rng.uniform(0, 1.8))
    shade = rng.uniform(5, 30) * _noise(rng, region.shape[:2], 3)[..., None]
    for mask, colour in ((within, first), (light, second)):
        region[mask] = (np.float32(colour) + shade)[mask].clip(0, 255)


def _noise(rng: np.random.Generator, shape: tuple[int, int], grain: int) -> np.ndarray:
    """(h, w) float32 smooth noise of about unit deviation, its specks about `grain` px large."""
    small = rng.standard_normal((shape[0] // grain + 2, shape[1] // grain + 2), np.float32)
    return cv2.resize(small, shape[::-1], interpolation=cv2.INTER_CUBIC)


@distractor
def draw_arrow(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """An arrow across the patch, from its upper left corner to its lower right one."""
    x, y, w, h = patch.box
    thick = max(2, min(w, h) // 8)
    cv2.arrowedLine(image, (x, y), (x + w, y + h), patch.first, thick, cv2.LINE_AA, 0, 0.3)


@distractor
def draw_row(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """Small equal shapes in a row: lamps, rivets, chairs, people far away."""
    x, y, w, h = patch.box
    side = int(rng.integers(3, 26))
    step = side + int(rng.integers(2, 2 + side))
    kind = rng.integers(3)
    for i in range(x, x + w, step):
        j = y + int(rng.integers(0, 3))
        if kind == 0:
            cv2.circle(image, (i, j), side // 2, patch.first, -1, cv2.LINE_AA)
        elif kind == 1:
            cv2.rectangle(image, (i, j), (i + side, j + side), patch.first, -1)
        else:
            cv2.ellipse(
                image, (i, j), (side // 3 + 1, side), 0, 0, 360, patch.first, -1, cv2.LINE_AA
            )


@distractor
def draw_hatching(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """Slanted strokes, sometimes in both directions."""
    x, y, w, h = patch.box
    step, slant = int(rng.integers(4, 20)), int(rng.integers(-h, h + 1))
    for k in range(0, w, step):
        cv2.line(image, (x + k, y), (x + k + slant, y + h), patch.first, 1, cv2.LINE_AA)
        if w % 2:
            cv2.line(image, (x + k + slant, y), (x + k, y + h), patch.first, 1, cv2.LINE_AA)


@distractor
def draw_bar_code(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """Upright bars of four widths on a light field."""
    x, y, w, h = patch.box
    first, second = patch.first, patch.second
    unit, end = max(1, w // 90), x + w
    cv2.rectangle(image, (x - 4 * unit, y - 2), (x + w + 4 * unit, y + h + 2), second, -1)
    while x < end:
        bar, gap = (int(v) * unit for v in rng.integers(1, 5, 2))
        cv2.rectangle(image, (x, y), (x + bar - 1, y + h), first, -1)
        x += bar + gap


@distractor
def draw_qr_code(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """Square modules at random, with three finder squares."""
    x, y, w, h = patch.box
    first, second = patch.first, patch.second
    count = int(rng.integers(17, 34))
    module = max(1, min(w, h) // count)
    cells = rng.random((count, count)) < 0.5
    ring = np.ones((7, 7), bool)
    ring[1:6, 1:6] = False
    ring[2:5, 2:5] = True
    for j, i in ((0, 0), (0, count - 7), (count - 7, 0)):
        cells[max(j - 1, 0) : j + 8, max(i - 1, 0) : i + 8] = False
        cells[j : j + 7, i : i + 7] = ring
    cells = np.pad(cells, 2)
    picture = np.where(cells[..., None], np.uint8(first), np.uint8(second))
    _paste(image, picture.repeat(module, 0).repeat(module, 1), x, y)


@distractor
def draw_icon(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """A pictogram on a plate, mirrored left to right like most of them: a few discs and bars."""
    x, y, w, h = patch.box
    first, second = patch.first, patch.second
    side = max(12, min(w, h, 120))
    grid = np.zeros((16, 8), np.uint8)
    for _ in range(rng.integers(3, 7)):
        a, b = rng.integers(1, 15, 2)
        across, down = (int(v) for v in rng.integers(1, 6, 2))
        if rng.random() < 0.5:
            cv2.circle(grid, (8 - across // 2, int(a)), max(1, down // 2), 1, -1)
        else:
            cv2.rectangle(grid, (8 - across, int(min(a, b))), (7, int(min(a, b)) + down), 1, -1)
    mask = np.hstack([grid, grid[:, ::-1]]) * np.uint8(255)
    mask = cv2.resize(mask, (side, side), interpolation=cv2.INTER_LINEAR)
    mask[mask < 128] = 0
    picture = np.where(mask[..., None] > 0, np.uint8(second), np.uint8(first))
    _paste(image, picture, x, y)


@distractor
def draw_grid(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """Squared paper, a net, tiles with joints."""
    x, y, w, h = patch.box
    first, second = patch.first, patch.second
    step, thick = int(rng.integers(5, 40)), int(rng.integers(1, 4))
    if rng.random() < 0.5:
        cv2.rectangle(image, (x, y), (x + w, y + h), second, -1)
    for i in range(x, x + w + 1, step):
        cv2.line(image, (i, y), (i, y + h), first, thick)
    for j in range(y, y + h + 1, step):
        cv2.line(image, (x, j), (x + w, j), first, thick)


@distractor
def draw_lamps(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """Lights with their glow, often in the dark: street lamps, spots, tubes, panels."""
    region = patch.region(image)
    if min(region.shape[:2]) < 8:
        return
    if rng.random() < 0.7:
        dark = image if rng.random() < 0.5 else region
        dark[:] = cv2.multiply(dark, 255 - _soft(rng, dark, 130, 200), scale=1 / 255)
    light = np.zeros(region.shape, np.uint8)
    radius, row = int(np.exp(rng.uniform(0, np.log(14)))), rng.random() < 0.5
    aspect = float(np.exp(rng.uniform(0, 2))) if rng.random() < 0.4 else 1.0
    colour = tuple(int(v) for v in rng.normal((250, 235, 200), (5, 15, 30)).clip(120, 255))
    level, shape = int(rng.integers(0, region.shape[0])), rng.random()
    for _ in range(rng.integers(2, 14)):
        j = level if row else int(rng.integers(0, region.shape[0]))
        i, across = int(rng.integers(0, region.shape[1])), int(radius * aspect)
        # As far from the region's border as its glow reaches, where there is room.
        i, j = (
            min(max(at, 5 * r), max(side - 5 * r, 0))
            for at, r, side in ((i, across, region.shape[1]), (j, radius, region.shape[0]))
        )
        if shape < 0.7:
            cv2.ellipse(light, (i, j), (across, radius), 0, 0, 360, colour, -1, cv2.LINE_AA)
        else:
            corner = (i + 2 * across, j + radius)
            cv2.rectangle(light, (i, j), corner, colour, -1)
    glow = cv2.blur(cv2.blur(light, (4 * radius + 1,) * 2), (4 * radius + 1,) * 2)
    region[:] = cv2.add(region, cv2.max(light, cv2.add(glow, glow)))


def _soft(rng: np.random.Generator, region: np.ndarray, low: int, high: int) -> np.ndarray:
    """(h, w, 3) uint8 of one level, which fades to 0 at the region's border."""
    height, width = region.shape[:2]
    small = np.zeros((16, 16), np.uint8)
    small[3:13, 3:13] = rng.integers(low, high)
    small = cv2.blur(small, (7, 7))
    mask = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.merge([mask] * 3)


@distractor
def draw_canopy(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """Crowns of trees against a bright sky, over much of the image: leaves, gaps, twigs."""
    size = image.shape[0]
    grain = round(np.exp(rng.uniform(0, np.log(8))))
    leaves = _noise(rng, (size, size), grain) + _noise(rng, (size, size), 3 * grain)
    coarse = _noise(rng, (size, size), max(1, size // 6)) * 2
    above = np.linspace(1, -3, size, dtype=np.float32)[:, None] if rng.random() < 0.6 else 0
    density = coarse + (above + np.float32(rng.uniform(-1, 1)))
    tree = density + np.float32(0.5) * leaves > 0
    gaps = tree & (leaves + np.float32(0.5) * density < np.float32(rng.uniform(-1.6, -0.4)))
    green = [rng.uniform(10, 70), rng.uniform(30, 90), rng.uniform(5, 50)]
    sky = rng.uniform((170, 190, 200), (255, 255, 255))
    shade = leaves.clip(-1.5, 2)
    planes = [cv2.convertScaleAbs(shade, None, 0.3 * level, level) for level in green]
    cv2.copyTo(cv2.merge(planes), tree.view(np.uint8), image)
    image[gaps] = sky.astype(np.uint8)


@distractor
def draw_reflections(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """Lights smeared upwards and downwards, as on a polished floor, a wet road or a shop window."""
    region = patch.region(image, 2)
    height, width = region.shape[:2]
    if min(height, width) < 16:
        return
    spots = rng.random((max(2, height // 60), max(3, width // 8)), np.float32)
    spots = (spots - rng.uniform(0.5, 0.8)).clip(0, 1) * rng.uniform(1, 4)
    light = cv2.resize(spots, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    weight = _soft(rng, region, 200, 256)
    colour = rng.normal((235, 230, 215), 20).clip(120, 255)
    glow = (light[..., None] * colour).astype(np.uint8)
    region[:] = cv2.add(region, cv2.multiply(glow, weight, scale=1 / 255))


@distractor
def draw_shelves(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """Rows of boxes and bottles side by side, with plain labels."""
    x, y, w, h = patch.box
    row, end = int(rng.integers(16, 70)), y + h
    board = max(2, row // 10)
    while y + row < end:
        i = x
        while i < x + w:
            across, up = int(row * rng.uniform(0.2, 0.7)) + 3, int(row * rng.uniform(0.5, 0.9))
            colour = (rng.integers(0, 256, 3) // 2 + rng.integers(0, 128)).tolist()
            low = y + row - board
            cv2.rectangle(image, (i, low - up), (i + across, low), colour, -1)
            if rng.random() < 0.5:
                inset, middle = across // 6 + 1, low - up // 2
                label = (i + inset, middle - up // 6), (i + across - inset, middle + up // 6)
                cv2.rectangle(image, *label, rng.integers(0, 256, 3).tolist(), -1)
            i += across + int(rng.integers(1, 4))
        cv2.rectangle(image, (x, y + row - board), (x + w, y + row), patch.first, -1)
        y += row


@distractor
def draw_glints(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """Bright slanted bands, as on glass, metal and wet ground."""
    x, y, w, h = patch.box
    region = patch.region(image)
    if min(region.shape[:2]) < 8:
        return
    light, slant = np.zeros(region.shape[:2], np.uint8), int(rng.integers(-h, h + 1))
    for _ in range(rng.integers(1, 6)):
        start = int(rng.integers(-abs(slant), w))
        level = int(rng.integers(60, 256))
        cv2.line(light, (start, 0), (start + slant, h), level, int(rng.integers(1, 12)))
    light = cv2.blur(light, (int(rng.integers(1, 6)),) * 2)
    region[:] = cv2.add(region, cv2.merge([light] * 3))


@distractor
def draw_leaves(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """Twigs with leaves in front of what is there."""
    x, y, w, h = patch.box
    size = int(rng.integers(2, 9))
    for _ in range(rng.integers(1, 4)):
        a, b = rng.uniform((x, y), (x + w, y + h), (2, 2))
        cv2.line(image, a.astype(int).tolist(), b.astype(int).tolist(), patch.first, 1 + size // 4)
        for at in a + (b - a) * rng.random((int(rng.integers(6, 30)), 1)):
            axes, turn = (size, max(1, size // 2)), rng.uniform(0, 180)
            centre = (at + rng.normal(0, size, 2)).astype(int).tolist()
            cv2.ellipse(image, centre, axes, turn, 0, 360, patch.first, -1, cv2.LINE_AA)


@distractor
def draw_railing(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """Bars between two rails that run away from the camera, or the steps of an escalator."""
    x, y, w, h = patch.box
    near, ratio = rng.uniform(4, 30), rng.uniform(0.85, 1.0)
    end, lift = x + w, rng.uniform(0, 0.5) * h
    at, bar = float(x), near
    while at < end and bar > 1:
        done = (at - x) / w
        top, bottom = int(y + lift * done), int(y + h - lift * done)
        cv2.line(image, (int(at), top), (int(at), bottom), patch.first, max(1, int(bar / 3)))
        at, bar = at + bar, bar * ratio
    thick = max(1, int(near / 4))
    cv2.line(
        image, (x, y), (int(at), int(y + lift * (at - x) / w)), patch.first, thick, cv2.LINE_AA
    )
    last = (int(at), int(y + h - lift * (at - x) / w))
    cv2.line(image, (x, y + h), last, patch.first, thick, cv2.LINE_AA)


@distractor
def draw_zebra(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """A crossing seen from the kerb: slanted stripes that taper."""
    x, y, w, h = patch.box
    count, lean = int(rng.integers(3, 10)), rng.uniform(-0.5, 0.5) * w
    far, shrink = w / count, rng.uniform(0.4, 1)
    for k in range(count):
        low = np.array([k, k + 0.5]) * far + x
        top = x + w / 2 + (low - x - w / 2) * shrink + lean
        stripe = [(top[0], y), (top[1], y), (low[1], y + h), (low[0], y + h)]
        cv2.fillConvexPoly(image, np.int32(stripe), patch.second, cv2.LINE_AA)


@distractor
def draw_gravel(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """Pebbles of several greys, each with its shadow."""
    x, y, w, h = patch.box
    first, second = patch.first, patch.second
    size = int(rng.integers(2, 9))
    count = min(250, w * h // (4 * size * size) + 1)
    places = rng.uniform((x, y), (x + w, y + h), (count, 2)).astype(int)
    mix = rng.random((count, 1)) * (np.float32(second) - first) + first
    for at, colour, turn in zip(places.tolist(), mix, rng.uniform(0, 180, count), strict=True):
        axes = (size, int(rng.integers(size // 2 + 1, size + 1)))
        cv2.ellipse(image, (at[0] + 1, at[1] + 1), axes, turn, 0, 360, first, -1)
        cv2.ellipse(image, at, axes, turn, 0, 360, colour.tolist(), -1)


@distractor
def draw_holes(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """Staggered holes or studs, each with a lit rim: loudspeakers, perforated plates, rivets."""
    x, y, w, h = patch.box
    first, second = patch.first, patch.second
    radius = int(rng.integers(2, 12))
    step = max(2 * radius + 2, int(radius * rng.uniform(2.3, 5)))
    stagger = int(rng.integers(2)) * step // 2
    lit = np.rint(rng.uniform(-0.4, 0.4, 2) * radius).astype(int)
    for k, j in enumerate(range(y, y + h, step)):
        for i in range(x + k % 2 * stagger, x + w, step):
            cv2.circle(image, (i + int(lit[0]), j + int(lit[1])), radius, second, -1, cv2.LINE_AA)
            cv2.circle(image, (i, j), max(1, radius * 3 // 4), first, -1, cv2.LINE_AA)


@distractor
def draw_pictograms(rng: np.random.Generator, image: np.ndarray, patch: Patch) -> None:
    """A row of them: bare, on plates, on discs, or in the ring of a prohibition."""
    x, y, w, h = patch.box
    first, second = patch.first, patch.second
    size = max(14, min(w, h))
    radius, step = round(size * 0.72), round(size * rng.uniform(1.5, 2))
    count = 1 if rng.random() < 0.6 else int(rng.integers(2, 6))
    ground = rng.choice(["none", "none", "plate", "disc", "ring"])
    for i in range(x, x + count * step, step):
        if ground == "plate":
            cv2.rectangle(image, (i - radius, y - radius), (i + radius, y + radius), first, -1)
        elif ground in ("disc", "ring"):
            cv2.circle(image, (i, y), radius, first, -1, cv2.LINE_AA)
        _draw_coverage(image, draw_pictogram(rng, size), i, y, second)
        if ground == "ring":
            red = tuple(int(v) for v in rng.uniform((150, 0, 0), (230, 50, 50)))
            reach, thick = round(radius * 0.7), max(2, radius // 7)
            cv2.circle(image, (i, y), radius, red, thick, cv2.LINE_AA)
            cv2.line(image, (i - reach, y - reach), (i + reach, y + reach), red, thick, cv2.LINE_AA)


def _draw_coverage(image: np.ndarray, coverage: np.ndarray, x: int, y: int, colour: tuple) -> None:
    """Lay a colour on, with the coverage's middle at (x, y), as far as it is inside."""
    left, top = x - coverage.shape[1] // 2, y - coverage.shape[0] // 2
    coverage = coverage[max(-top, 0) :, max(-left, 0) :]
    region = image[max(top, 0) :, max(left, 0) :][: coverage.shape[0], : coverage.shape[1]]
    share = coverage[: region.shape[0], : region.shape[1], None] / np.float32(255)
    region[:] = np.round(region + share * (np.float32(colour) - region))


def _paste(image: np.ndarray, picture: np.ndarray, x: int, y: int) -> None:
    """Lay `picture` with its corner at (x, y), as far as it is inside."""
    picture = picture[max(-y, 0) :, max(-x, 0) :]
    region = image[max(y, 0) :, max(x, 0) :][: picture.shape[0], : picture.shape[1]]
    region[:] = picture[: region.shape[0], : region.shape[1]]
