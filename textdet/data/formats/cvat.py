"""CVAT: annotations.xml, exported as "CVAT for images 1.1".

    <annotations><version>1.1</version><image id="0" name="a.jpg" width="640" height="480">
      <box label="text" xtl="1" ytl="2" xbr="30" ybr="20" rotation="3.5" ...>
        <attribute name="transcription">on</attribute></box>
      <polygon label="text" points="1.00,2.00;30.00,2.50;29.00,20.00" ...> ... </polygon></image>

A box is turned clockwise about its centre. The transcription is an attribute of one of the names in
TEXTS. A label like "ignore", an attribute of that name that is set, or the transcription ### means
don't-care. CVAT's COCO files, where the attributes stand under "attributes", are read as coco.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from textdet.common.errors import DataError
from textdet.common.files import write_atomically, write_json
from textdet.data.annotation import Sample, Word, flag_of, points_of, rounded
from textdet.data.formats.common import Items, find_one, images_by_name
from textdet.data.formats.listed import Entry, Layout, read_listed, size_of, with_unlabelled
from textdet.data.formats.shapes import bounds, is_ignored, is_upright, turned_box

ANNOTATIONS_FILE, LABELS_FILE = "annotations.xml", "labels.json"
XML_ERRORS = (ET.ParseError, LookupError, ValueError)  # an unknown encoding is a LookupError
NOT_IN_XML = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
TEXTS = ("transcription", "text", "utf8_string", "value", "word")  # the surest first
# Of the label "text": each with its kind of input and its default.
ATTRIBUTES = (("transcription", "text", ""), ("ignore", "checkbox", "false"))


def read_cvat(source: Path) -> Items:
    """Tasks and projects annotated in CVAT. Of a file that is cut short the images before that are
    read.

    Raises:
        DataError: when there is no such file, or all of them are damaged.
    """
    return with_unlabelled(source, _read(source))


def _read(source: Path) -> Items:
    images, layout = images_by_name(source), Layout(_entry, _outline, _text)
    found, refused = 0, []
    for path in filter(looks_like, find_one(source, "*.xml")):
        try:
            yield from read_listed(images, path, _images(path), layout)
            found += 1
        except DataError as error:
            refused.append(error)
    if not found:
        none = DataError(f"{source}: no .xml in it is CVAT's; export as CVAT for images 1.1")
        raise refused[0] if refused else none
    yield from map(str, refused)


def looks_like(path: Path) -> bool:
    """Whether a file is one of CVAT's, by its first tag."""
    try:
        return next(ET.iterparse(path, ["start"]))[1].tag == "annotations"
    except (OSError, StopIteration, *XML_ERRORS):
        return False


def _images(path: Path) -> Iterator[ET.Element]:
    """The images one after the other, so that a large file need not fit the memory."""
    try:
        for _, element in ET.iterparse(path):
            if element.tag == "track":
                raise DataError("tracks of a video; export as CVAT for images 1.1")
            if element.tag == "image":
                yield element
                element.clear()
    except XML_ERRORS as error:
        raise DataError(f"{path}: cannot be read ({error})") from None


def _entry(image: ET.Element) -> Entry:
    shapes = [shape for shape in image if shape.tag != "tag"]  # of the image as a whole
    size = size_of(image.get("width"), image.get("height"))
    return Entry(image.attrib["name"], shapes, size, image.get("subset", ""))


def _outline(shape: ET.Element) -> np.ndarray:
    if shape.tag == "polygon":
        return points_of([point.split(",") for point in shape.attrib["points"].split(";")])
    if shape.tag != "box":
        raise ValueError(f"a {shape.tag} is not the outline of a word")
    box = [float(shape.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr")]
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    return turned_box(box, float(shape.get("rotation") or 0), centre)


def _text(shape: ET.Element) -> tuple[str, bool]:
    values = {a.get("name", ""): a.text or "" for a in shape.iter("attribute")}
    return text_of_attributes(values, shape.get("label", ""))


def text_of_attributes(values: dict[str, object], label: str = "") -> tuple[str, bool]:
    """The transcription and whether the word is don't-care.

    Params:
        values: of the attributes by their names.
        label: the shape's.
    """
    known = {name.lower(): value for name, value in values.items()}
    text = next((str(known[name] or "") for name in TEXTS if name in known), "")
    marks = [name for name, value in known.items() if is_ignored("", [name]) and flag_of(value)]
    return text, is_ignored(text, [label, *marks])


def write_cvat(folder: Path, samples: list[Sample]) -> None:
    """Write annotations.xml to upload to a task, and the labels that the task needs.

    Params:
        folder: with the images in images/, which the task is made of.
        samples: these.

    Raises:
        OSError: when the disk refuses.
    """
    root = ET.Element("annotations")
    ET.SubElement(root, "version").text = "1.1"
    _add_meta(root, len(samples))
    for number, sample in enumerate(samples):
        size = {"width": str(sample.width), "height": str(sample.height)}
        name = sample.image_path.name
        image = ET.SubElement(root, "image", {"id": str(number), "name": name, **size})
        for word in sample.words:
            _add_shape(image, word)
    ET.indent(root)
    write_atomically(folder / ANNOTATIONS_FILE, ET.tostring(root, "utf-8", xml_declaration=True))
    attributes = [
        {"name": name, "input_type": kind, "mutable": False, "values": [value]}
        for name, kind, value in ATTRIBUTES
    ]
    write_json(folder / LABELS_FILE, [{"name": "text", "attributes": attributes}])


def _add_meta(root: ET.Element, size: int) -> None:
    """Describe the task and its label, which readers of such files look for."""
    task = ET.SubElement(ET.SubElement(root, "meta"), "task")
    ET.SubElement(task, "size").text = str(size)
    ET.SubElement(task, "mode").text = "annotation"
    label = ET.SubElement(ET.SubElement(task, "labels"), "label")
    ET.SubElement(label, "name").text = "text"
    attributes = ET.SubElement(label, "attributes")
    for name, kind, value in ATTRIBUTES:
        attribute = ET.SubElement(attributes, "attribute")
        values = {"name": name, "mutable": "False", "input_type": kind}
        for key, text in {**values, "default_value": value, "values": value}.items():
            ET.SubElement(attribute, key).text = text


def _add_shape(image: ET.Element, word: Word) -> None:
    if is_upright(word.polygon):
        sides = zip(("xtl", "ytl", "xbr", "ybr"), bounds(word.polygon), strict=True)
        tag, place = "box", {name: f"{side:.2f}" for name, side in sides}
    else:
        points = ";".join(f"{x:.2f},{y:.2f}" for x, y in rounded(word.polygon))
        tag, place = "polygon", {"points": points}
    usual = {"label": "text", "source": "manual", "occluded": "0", "z_order": "0"}
    shape = ET.SubElement(image, tag, {**usual, **place})
    values = {"transcription": NOT_IN_XML.sub("", word.text), "ignore": str(word.ignore).lower()}
    for name, value in values.items():
        ET.SubElement(shape, "attribute", {"name": name}).text = value
