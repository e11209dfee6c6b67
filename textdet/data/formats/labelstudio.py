"""Label Studio: one JSON file with all tasks, exported as JSON or as JSON-MIN.

    [{"data": {"ocr": "/data/upload/1/0a1b2c3d-a.jpg"}, "annotations": [{"result": [
       {"id": "x", "type": "rectangle", "original_width": 640, "original_height": 480,
        "value": {"x": 1.5, "y": 2, "width": 5, "height": 4, "rotation": 0}},
       {"id": "x", "type": "textarea", ..., "value": {..., "text": ["on"]}}]}]}]

Numbers are percent of the image's width and height; a box is turned clockwise about its top left
corner. Results of one id belong to one region: a box or a polygon, its labels, its transcription.
JSON-MIN has the same values, a list for each tag: {"bbox": [...], "transcription": [...]}, without
ids. A label like "ignore", or the transcription ###, means don't-care. Of several annotations of a
task the ground truth counts, else the one that was changed last. Predictions that nobody has
corrected are not labels.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import numpy as np

from textdet.common.errors import DataError
from textdet.common.files import write_atomically, write_json
from textdet.common.images import is_image
from textdet.data.annotation import Sample, Word, points_of
from textdet.data.formats.common import Items, composed, images_by_name
from textdet.data.formats.listed import Entry, Images, Layout, read_json_files, size_of
from textdet.data.formats.shapes import bounds, is_ignored, is_upright, turned_box

TASKS, CONFIG = "tasks.json", "labeling_config.xml"
LOCAL_FILES = "/data/local-files/?d="  # before a path below LOCAL_FILES_DOCUMENT_ROOT
UPLOADED = re.compile(r"\A[0-9a-f]{8}-")  # before the names of files that were uploaded
SHAPES = {"x", "points", "rle"}  # one of them is in the value of a result of a region
TEXT_TAGS = re.compile("text|transcri", re.IGNORECASE)  # names of tags with transcriptions
# As in Label Studio's own template for OCR.
LABELING_CONFIG = """<View>
  <Image name="image" value="$ocr"/>
  <Labels name="label" toName="image">
    <Label value="Text" background="green"/>
    <Label value="Ignore" background="gray"/>
  </Labels>
  <Rectangle name="bbox" toName="image" strokeWidth="3"/>
  <Polygon name="poly" toName="image" strokeWidth="3"/>
  <TextArea name="transcription" toName="image" editable="true" perRegion="true" required="false"
            maxSubmissions="1" rows="1" placeholder="Recognized text" displayMode="region-list"/>
</View>
"""


@dataclass
class Region:
    """One region of an image.

    Params:
        value: its shape as Label Studio has it; None where none was given.
        texts, labels: what it was given.
        size: width and height of the image, px.
    """

    size: tuple[int, int]
    value: dict | None = None
    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    def add(self, value: dict) -> None:
        """Take what one result says about the region."""
        if SHAPES & value.keys():
            self.value = value
        self.texts += [str(text) for text in _list(value.get("text"))]
        self.labels += [
            str(name) for key in value if key.endswith("labels") for name in _list(value[key])
        ]


def read_labelstudio(source: Path) -> Items:
    """Tasks that people have annotated."""
    layout = Layout(partial(_entry, _names(images_by_name(source))), _outline, _text)
    return read_json_files(source, looks_like, _newest, layout)


def looks_like(data: Any) -> bool:
    """Whether a decoded file is an export of Label Studio."""
    first = data[0] if isinstance(data, list) and data else None
    if not isinstance(first, dict):
        return False
    return isinstance(first.get("data"), dict) or "annotation_id" in first


def _newest(tasks: list) -> list:
    """Without earlier annotations: JSON-MIN has a record for each annotation of a task."""
    kept = {}
    for number, task in enumerate(tasks):
        in_min = isinstance(task, dict) and "annotation_id" in task
        key = f"task {task.get('id')}" if in_min else number
        if key not in kept or str(task.get("updated_at")) >= str(kept[key].get("updated_at")):
            kept[key] = task
    return list(kept.values())


def _names(images: Images) -> dict[str, str]:
    """Of each image its name, without the ending, by that name and by the one that Label Studio
    gives an upload: its library (Django) takes out spaces and brackets."""
    stored = defaultdict(list)
    for name in images:
        stored[re.sub(r"[^-\w.]", "", name.lstrip().replace(" ", "_"))].append(name)
    return {key: names[0] for key, names in stored.items() if len(names) == 1} | {
        name: name for name in images
    }


def _entry(known: dict[str, str], task: dict) -> Entry:
    if isinstance(task.get("data"), dict):
        name, regions = _image_name(task["data"], known), _regions(_chosen(task))
    else:
        name, regions = _image_name(task, known), _regions_of_min(task)
    return Entry(name, regions, regions[0].size if regions else None)


def _image_name(data: dict, known: dict[str, str] | None = None) -> str:
    """The name of the file that was uploaded, or that lies in a storage, of the task's data.

    known: of the images that are there, see _names; an upload may have kept the name that it got.
    """
    known = known or {}
    for value in data.values():
        if not isinstance(value, str):
            continue
        url = urlsplit(value)
        path = parse_qs(url.query).get("d", [unquote(url.path)])[0].lstrip("/")
        if is_image(Path(path)):
            folder, _, name = path.rpartition("/")
            kept = composed(Path(name).stem) in known
            if "upload" not in folder.split("/") or kept:
                return path
            given = Path(UPLOADED.sub("", name, count=1))
            return known.get(composed(given.stem), given.stem) + given.suffix
    raise DataError("its data name no image file")


def _chosen(task: dict) -> list[dict]:
    """The results of the annotation that counts. Raises DataError when there is none."""
    done = [a for a in task.get("annotations") or [] if not a.get("was_cancelled")]
    if not done:
        raise DataError(f"{_image_name(task['data'])} is not annotated yet")
    best = max(done, key=lambda a: (bool(a.get("ground_truth")), str(a.get("updated_at"))))
    return best["result"]


def _regions(results: list[dict]) -> list[Region]:
    regions = {}
    for result in results:
        value = result.get("value") or {}
        if "original_width" not in result and not SHAPES & value.keys():
            continue  # of the whole image, not of a region
        if result.get("image_rotation"):
            raise DataError("the image was turned in Label Studio, which is not read")
        size = size_of(result["original_width"], result["original_height"])
        regions.setdefault(result["id"], Region(size)).add(value)
    return list(regions.values())


def _regions_of_min(task: dict) -> list[Region]:
    """The regions of a record of JSON-MIN: what has the same shape is the same region, and the
    transcriptions are in the order of a tag that all regions have. Raises DataError where that
    does not tell which belong together."""
    shapes, texts = [], []
    for tag, values in task.items():
        if TEXT_TAGS.search(tag):
            texts += _list(values)
        shapes.append([v for v in _list(values) if isinstance(v, dict) and "original_width" in v])
    regions = {}
    for value in (value for values in sorted(shapes, key=len, reverse=True) for value in values):
        shape = [value.get(key) for key in ("x", "y", "width", "height", "points", "rle")]
        size = size_of(value["original_width"], value["original_height"])
        regions.setdefault(str(shape), Region(size)).add(value)
    found = list(regions.values())
    plain = [text for text in texts if isinstance(text, str)]  # others have their region's shape
    bare = [region for region in found if not region.texts]
    if len(plain) != len(bare):
        bare = [region for region in bare if not is_ignored("", region.labels)]
    if plain and (len(plain) != len(bare) or len(found) > max(map(len, shapes))):
        raise DataError(
            f"{_image_name(task)}: {len(found)} boxes, {len(texts)} transcriptions: JSON-MIN does "
            "not say which belong together; export it as JSON"
        )
    for region, text in zip(bare, plain, strict=False):
        region.texts.append(text)
    return found


def _list(value: Any) -> list:
    return value if isinstance(value, list) else [] if value is None else [value]


def _outline(region: Region) -> np.ndarray:
    value, percent = region.value or {}, np.array(region.size) / 100
    if "points" in value:
        return points_of(value["points"]) * percent
    if not {"x", "y", "width", "height"} <= value.keys():
        raise ValueError("neither a box nor a polygon")
    (left, top), (width, height) = (
        points_of([value[key] for key in ("x", "y", "width", "height")]) * percent
    )
    box = (left, top, left + width, top + height)
    return turned_box(box, float(value.get("rotation") or 0), (left, top))


def _text(region: Region) -> tuple[str, bool]:
    text = " ".join(region.texts)
    return text, is_ignored(text, region.labels)


def write_labelstudio(folder: Path, samples: list[Sample], predicted: bool = False) -> None:
    """Write tasks to import, and the labeling configuration that they are for.

    Params:
        folder: with the images in images/; Label Studio is to serve it as its local files.
        samples: these.
        predicted: whether the words are a model's, for people to correct.

    Raises:
        OSError: when the disk refuses.
    """
    tasks = []
    for sample in samples:
        results = [
            result
            for number, word in enumerate(sample.words, 1)
            for result in _results(word, f"word{number}", sample)
        ]
        image = LOCAL_FILES + quote(sample.image_path.relative_to(folder).as_posix())
        if predicted:
            work = {"predictions": [{"model_version": "textdet", "result": results}]}
        else:
            work = {"annotations": [{"result": results}]}
        tasks.append({"data": {"ocr": image}, **work})
    write_json(folder / TASKS, tasks)
    write_atomically(folder / CONFIG, LABELING_CONFIG)


def _results(word: Word, region: str, sample: Sample) -> Iterator[dict]:
    """The region's shape, its label and its transcription."""
    percent = np.array([sample.width, sample.height]) / 100
    if is_upright(word.polygon):
        corners = np.reshape(bounds(word.polygon), (2, 2)) / percent
        sides = zip(("x", "y", "width", "height"), [*corners[0], *np.ptp(corners, 0)], strict=True)
        kind, shape = "rectangle", {name: float(side) for name, side in sides} | {"rotation": 0}
    else:
        points = (word.polygon.astype(np.float64) / percent).tolist()
        kind, shape = "polygon", {"points": points, "closed": True}
    same = {
        "id": region,
        "to_name": "image",
        "original_width": sample.width,
        "original_height": sample.height,
        "image_rotation": 0,
    }
    tag = "bbox" if kind == "rectangle" else "poly"
    label = "Ignore" if word.ignore else "Text"
    yield {**same, "type": kind, "from_name": tag, "value": shape}
    yield {**same, "type": "labels", "from_name": "label", "value": {**shape, "labels": [label]}}
    if word.text:
        text = {**shape, "text": [word.text]}
        yield {**same, "type": "textarea", "from_name": "transcription", "value": text}
