"""What a detector finds in an image, and that for other programs: JSON, ICDAR, COCO, a picture."""

from dataclasses import dataclass, field

import numpy as np

from textdet.common.pictures import draw_found
from textdet.data.annotation import rounded
from textdet.data.formats.shapes import coco_shape, icdar_corners


@dataclass
class FoundWord:
    """One word in an image, in the image's continuous pixel coordinates.

    Params:
        quad: (4, 2) float32, clockwise from the corner with the smallest x + y.
        polygon: (k, 2) float32 around a curved word, clockwise; None where the quad serves.
        score: 0..1, the word's highest character value.
        characters: (n, 4, 2) float32, in reading direction; None when not asked for.
    """

    quad: np.ndarray
    polygon: np.ndarray | None
    score: float
    characters: np.ndarray | None = None

    @property
    def outline(self) -> np.ndarray:
        """The polygon where there is one, else the quad."""
        return self.quad if self.polygon is None else self.polygon

    def to_json(self) -> dict:
        """The word as detect.py writes it, px rounded to hundredths."""
        record = {
            "quad": rounded(self.quad),
            "polygon": None if self.polygon is None else rounded(self.polygon),
            "score": round(self.score, 3),
        }
        if self.characters is not None:
            record["characters"] = rounded(self.characters)
        return record


@dataclass
class Maps:
    """What the network makes of one image.

    Params:
        values: (2, h, w), character then affinity, see TextDetector.predict.
        width, height: px of the image.
        image: (height, width, 3) uint8 RGB, that image; None where it is not kept.
    """

    values: np.ndarray
    width: int
    height: int
    image: np.ndarray | None = field(default=None, repr=False)


@dataclass
class Result:
    """What was found in one image.

    Params:
        width, height: px of the image.
        words: in reading order.
        lines: the words' positions in `words`, one list per line of text.
        maps: (2, h, w) uint8, 0..255 for 0..1, character then affinity, as words were looked for
            in them (see TextDetector.predict).
        image: (height, width, 3) uint8 RGB, that image; None where it is not kept.
    """

    width: int
    height: int
    words: list[FoundWord]
    lines: list[list[int]]
    maps: np.ndarray
    image: np.ndarray | None = field(default=None, repr=False)

    def to_json(self) -> dict:
        """Size, words and lines, as in the JSON that detect.py writes; see there."""
        return {
            "size": [self.width, self.height],
            "words": [word.to_json() for word in self.words],
            "lines": self.lines,
        }

    def to_icdar(self) -> str:
        """The words' quads as ICDAR 2015 wants them: x1,y1,x2,y2,x3,y3,x4,y4 a line, whole px."""
        return "".join(f"{icdar_corners(word.quad)}\n" for word in self.words)

    def to_coco(self, image_id: int = 1, category_id: int = 1) -> list[dict]:
        """The words as COCO's results, which pycocotools' loadRes takes.

        Params:
            image_id, category_id: numbers that the ground truth gives the image and the text.

        Returns:
            one record per word: both numbers, its box [left, top, width, height] and its outline,
            px, and its score.
        """
        ids = {"image_id": image_id, "category_id": category_id}
        return [
            {**ids, **coco_shape(word.outline), "score": round(word.score, 3)}
            for word in self.words
        ]

    def draw(self) -> np.ndarray:
        """The image with the words outlined green, their characters blue.

        Returns:
            (height, width, 3) uint8 RGB.

        Raises:
            ValueError: the image was not kept.
        """
        if self.image is None:
            raise ValueError("this result does not hold its image")
        return draw_found(self.image, self)
