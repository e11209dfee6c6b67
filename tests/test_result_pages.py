"""Reading, drawing and writing beside the network: the same results, in order, within bounds."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from conftest import contents
from PIL import Image
from test_detect import BrightnessDetector, picture

from textdet.common.errors import DataError
from textdet.common.image_inputs import find_pages, read_page
from textdet.common.images import MAX_PIXELS
from textdet.common.workers import available_cores
from textdet.network import result_pages
from textdet.network.result_files import write_result
from textdet.network.result_pages import WINDOW, Written, write_pages

SIZES = [(640, 450), (300, 300), (90, 60), (640, 450), (900, 700), (300, 300), (640, 440)]


class Detector(BrightnessDetector):
    """With a name for its model; the memory is too small for more than `most` images."""

    def __init__(self, batch_size=1, most=99, **options):
        super().__init__(batch_size=batch_size, **options)
        self.model_dir, self.most = Path("stand-in"), most

    def run(self, batch):
        if len(batch) > self.most:
            raise DataError("the memory is too small")
        return super().run(batch)


@pytest.fixture
def images(tmp_path):
    """Images of several sizes, two of them damaged, one with several pages."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i, (width, height) in enumerate(SIZES * 2):
        pixels = picture(width, height, (10 + i, 16, 60, 40), (10, 50, 50 + i, 58))
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    for i in (3, 8):
        path = folder / f"{i:02}.png"
        path.write_bytes(path.read_bytes()[:-60])
    pages = [Image.fromarray(picture(w, 200, (20, 20, 90, 50))) for w in (200, 220)]
    pages[0].save(folder / "scan.tif", save_all=True, append_images=pages[1:])
    return folder


def named(folder, output):
    output.mkdir()
    problems = []
    pages = find_pages(sorted(folder.iterdir()), problems)
    assert not problems
    return [(i, page, output / f"{i:02}") for i, page in enumerate(pages)]


@pytest.mark.parametrize(
    ("batch_size", "most", "tiles"),
    [(1, 99, False), (3, 99, False), (3, 2, False), (1, 99, True), (3, 99, True)],
)
def test_files_are_those_of_one_image_at_a_time(images, batch_size, most, tiles, tmp_path):
    alone = Detector(tiles=tiles)
    for number, page, base in named(images, tmp_path / "alone"):
        if number not in (3, 8):
            image = read_page(page)
            write_result(base, page, image, alone(image), alone, True)

    detector = Detector(batch_size, most, tiles=tiles)
    found = list(write_pages(detector, named(images, tmp_path / "together"), True))
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")
    assert len(found) == 16 and len(contents(tmp_path / "alone")) == 14 * 4
    for number, one in enumerate(found):
        if number in (3, 8):
            assert f"{number:02}.png: not a readable image" in one
            continue
        record = json.loads((tmp_path / "alone" / f"{number:02}.json").read_text())
        width, height = record["size"]
        words, scale = len(record["words"]), alone.scale(width, height)
        assert one == Written(number, one.page, f"{number:02}", words, scale)
        assert one.words > 0 and Path(one.page.split(",")[0]).samefile(record["file"])
    assert found[-1].page.endswith("scan.tif, page 2")
    assert sum(shape[0] for shape in detector.inputs) == len(alone.inputs)


def test_images_of_one_padded_size_go_together(images, tmp_path):
    detector = Detector(batch_size=3)
    assert len(list(write_pages(detector, named(images, tmp_path / "out"), False))) == 16
    numbers = sorted((shape[0], shape[2]) for shape in detector.inputs)
    # Small images are enlarged 1.5 times. Of the width 640 some are 448, 480 and 512 px high.
    assert numbers == [(1, 320), (1, 352), (2, 160), (2, 640), (2, 640), (3, 480), (3, 640)]


def test_an_image_that_is_too_large_for_the_memory_is_named(images, tmp_path):
    class Small(Detector):
        def run(self, batch):
            if batch.shape[2] > 600:
                raise DataError("the memory is too small")
            return super().run(batch)

    found = list(write_pages(Small(batch_size=2), named(images, tmp_path / "out"), False))
    large = [i for i, (width, _) in enumerate(SIZES * 2) if width > 600 and i not in (3, 8)]
    for number in large:
        assert found[number].endswith(f"{number:02}.png: the memory is too small")
    assert sum(isinstance(one, Written) for one in found) == 14 - len(large)


@pytest.mark.parametrize(
    ("batch_size", "pixels", "most"),
    [(1, 0, None), (2, 0, None), (2, MAX_PIXELS, 1), (1, MAX_PIXELS // 2, 2)],
)
def test_few_images_are_in_memory(batch_size, pixels, most, tmp_path, monkeypatch):
    threads = min(result_pages.MAX_THREADS, available_cores())
    most = most or WINDOW * batch_size + result_pages.IMAGES_A_THREAD * threads
    sizes = [(300, 200)] + [(60, 200)] * 50  # the first one finds no second of its size
    images = [picture(*size, (10, 10, 50, 30)) for size in sizes]
    read, written, held = [], [], []

    def read_one(page):
        read.append(page)
        held.append(len(read) - len(written))
        return images[page.number]

    monkeypatch.setattr(result_pages, "read_page", read_one)
    monkeypatch.setattr(result_pages, "write_result", lambda *args: written.append(args[1]))
    pages = [result_pages.Page(tmp_path, number, pixels=pixels) for number in range(len(images))]
    named = ((page.number, page, tmp_path / f"{page.number}") for page in pages)
    found = write_pages(Detector(batch_size), named, False)
    assert [one.number for one in found] == list(range(len(images)))
    assert max(held) <= most and len(written) == len(images)


def test_what_cannot_be_written_ends_it(images, tmp_path):
    pages = named(images, tmp_path / "out")
    (tmp_path / "out").rmdir()
    with pytest.raises(OSError, match="00"):
        list(write_pages(Detector(), pages, False))


def test_what_was_begun_is_finished_when_it_is_ended(images, tmp_path):
    pages, detector = named(images, tmp_path / "out"), Detector()
    with closing(write_pages(detector, pages, False)) as found:
        next(found)
    names = {path.stem for path in (tmp_path / "out").iterdir()}
    assert len(detector.inputs) < 16  # it has not gone on to the end
    assert len(contents(tmp_path / "out")) == 3 * len(names)
