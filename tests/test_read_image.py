"""The image reader: every kind of sound file, and a thousand damaged ones."""

import io
import struct
import sys
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import psutil
import pytest
from conftest import run_well
from PIL import Image
from PIL.TiffImagePlugin import AppendingTiffWriter

from textdet.common.errors import DataError
from textdet.common.images import (
    IMAGE_SUFFIXES,
    MAX_PIXELS,
    _opened,
    find_frames,
    image_size,
    name_further_frames,
    name_other_pictures,
    read_image,
)
from textdet.data.annotation import Sample
from textdet.data.formats.common import Item
from textdet.data.formats.registry import read_dataset, sample_of
from textdet.data.triplets import check_triplet, read_sample_image

SIDE = 24
RAMP = np.add.outer(np.arange(SIDE) * 6, np.arange(SIDE) * 4).astype(np.uint8)  # 0..230
COLOURS = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=2)
HUGE_BMP = b"BM" + struct.pack("<IHHI", 60, 0, 0, 54)
HUGE_BMP += struct.pack("<IiiHHIIiiII", 40, 50_000, 50_000, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(100)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(data):
    return read_image(io.BytesIO(data))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "JPEG2000"])
def test_formats_without_loss(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    image = decoded(encoded(Image.fromarray(COLOURS), kind, **options))
    assert image.dtype == np.uint8 and image.flags.writeable
    np.testing.assert_array_equal(image, COLOURS)


@pytest.mark.parametrize(
    ("least", "shape"), [(400, (300, 400)), (150, (150, 200)), (99, (75, 100))]
)
def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size(least, shape):
    rows, columns = np.mgrid[:300, :400]
    image = np.stack([rows * 0.8, columns * 0.6, rows * 0.3 + 90], 2).astype(np.uint8)
    file = io.BytesIO(encoded(Image.fromarray(image), "JPEG", quality=95))
    small = read_image(file, least=least)
    assert small.shape == (*shape, 3)
    step = 300 // shape[0]
    means = image.reshape(shape[0], step, shape[1], step, 3).mean((1, 3))
    assert np.abs(small - means).max() < 6


def test_grey_two_level_and_palette():
    grey = np.repeat(RAMP[..., None], 3, axis=2)
    np.testing.assert_array_equal(decoded(encoded(Image.fromarray(RAMP), "PNG")), grey)
    two = decoded(encoded(Image.fromarray(RAMP > 99), "PNG"))
    np.testing.assert_array_equal(two, np.repeat((RAMP > 99)[..., None] * 255, 3, axis=2))
    palette = Image.fromarray(COLOURS // 64 * 64).quantize(64)
    for kind in ("PNG", "GIF"):
        found = decoded(encoded(palette, kind))
        np.testing.assert_array_equal(found, np.asarray(palette.convert("RGB")))


def test_alpha_lies_over_white():
    alpha = np.full((SIDE, SIDE), 255, np.uint8)
    alpha[:8], alpha[8:16] = 0, 51
    for image in (np.dstack([COLOURS, alpha]), np.dstack([RAMP, alpha])):
        found = decoded(encoded(Image.fromarray(image), "PNG")).astype(float)
        solid = image[..., :-1].astype(float)
        np.testing.assert_array_equal(found[:8], 255)
        np.testing.assert_allclose(
            found[8:16], 255 * 0.8 + 0.2 * solid[8:16] + found[8:16] * 0, atol=1
        )
        np.testing.assert_array_equal(found[16:], solid[16:] + found[16:] * 0)
    palette = Image.fromarray(RAMP).quantize(16)
    transparent = palette.getpixel((0, 0))
    found = decoded(encoded(palette, "PNG", transparency=transparent))
    np.testing.assert_array_equal(found[np.asarray(palette) == transparent], 255)
    assert found.min() < 250


def test_light_things_on_a_transparent_ground_lie_over_black():
    """As logos and captions do, which would vanish on white; what is opaque stays."""
    for ink, ground in ((255, 0), (230, 0), (90, 255), (0, 255)):
        pixels = np.zeros((SIDE, SIDE, 4), np.uint8)
        pixels[4:8, 4:20] = (ink, ink, ink, 255)
        for image in (Image.fromarray(pixels), Image.fromarray(pixels).convert("LA")):
            found = decoded(encoded(image, "PNG"))
            assert (found[4:8, 4:20] == ink).all() and (found[9:] == ground).all()
    # Dark letters beside a large light picture: the letters' borders are longer.
    pixels[12:22, 2:22], pixels[4:8, 4:20:2] = 255, 0
    assert (decoded(encoded(Image.fromarray(pixels), "PNG"))[9:11] == 255).all()


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_few_bits_in_a_16_bit_file_are_spread_over_the_whole_range(bits):
    values = (np.linspace(0, 2**bits - 1, SIDE * SIDE).reshape(SIDE, SIDE)).astype(np.uint16)
    expected = np.linspace(0, 255, SIDE * SIDE).reshape(SIDE, SIDE)
    for kind in ("PNG", "TIFF"):
        found = decoded(encoded(Image.fromarray(values), kind))
        np.testing.assert_allclose(found[..., 0], expected, atol=1.3)


def test_16_bits_and_floating_point():
    grey = np.repeat(RAMP[..., None], 3, axis=2)
    for kind in ("PNG", "TIFF"):
        found = decoded(encoded(Image.fromarray(RAMP.astype(np.uint16) * 257), kind))
        np.testing.assert_allclose(found, grey, atol=1)
    for top in (1 / 255, 1, 257):
        found = decoded(encoded(Image.fromarray(RAMP.astype(np.float32) * top), "TIFF"))
        np.testing.assert_allclose(found, grey, atol=1)
    bad = np.full((4, 4), np.nan, np.float32)
    assert (decoded(encoded(Image.fromarray(bad), "TIFF")) == 0).all()


@pytest.mark.parametrize("values", [RAMP, RAMP.astype(np.uint16) * 257, RAMP / np.float32(255)])
def test_a_tiff_in_which_0_is_white(values):
    tag = struct.pack("<HHIHH", 262, 3, 1, 1, 0)
    data = encoded(Image.fromarray(values), "TIFF")
    assert data.count(tag) == 1
    found = decoded(data.replace(tag, struct.pack("<HHIHH", 262, 3, 1, 0, 0)))
    np.testing.assert_array_equal(found, 255 - decoded(data))


def test_cmyk():
    found = decoded(encoded(Image.fromarray(COLOURS).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(found.astype(int) - COLOURS).mean() < 12
    found = decoded(encoded(Image.fromarray(COLOURS).convert("CMYK"), "TIFF"))
    assert np.abs(found.astype(int) - COLOURS).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "TIFF tiff_lzw", "AVIF"])
def test_exif_orientation(kind, orientation, tmp_path):
    upright = np.zeros((SIDE, 2 * SIDE, 3), np.uint8)
    upright[: SIDE // 2, :SIDE] = 255  # the top left quarter is white
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    kind, _, compression = kind.partition(" ")
    options = {"quality": 100, "subsampling": "4:4:4"} if kind == "AVIF" else {}
    options |= {"compression": compression} if compression else {}
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif, **options)
    for turned, expected in ((True, upright), (False, stored)):
        found = read_image(io.BytesIO(data), upright=turned)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=0 if kind != "AVIF" else 3)
        assert image_size(io.BytesIO(data), upright=turned) == expected.shape[1::-1]
    # Other people's annotations count the pixels as they are stored.
    (tmp_path / "photo.img").write_bytes(data)
    item = Item(tmp_path / "photo.img", [])
    np.testing.assert_allclose(read_sample_image(sample_of(item, tmp_path)), stored, atol=3)


@pytest.mark.parametrize("junk", [b"Exif\0\0junk", b"MM\0*\xff\xff\xff\xff", b""])
def test_damaged_exif_data_do_not_spoil_a_sound_image(junk, tmp_path):
    image = Image.fromarray(COLOURS)
    for kind, more in (("PNG", {}), ("JPEG", {"dpi": (72, 72)})):
        np.testing.assert_array_equal(
            decoded(encoded(image, kind, exif=junk, **more)), decoded(encoded(image, kind, **more))
        )
    (tmp_path / "images").mkdir()
    sample = Sample(tmp_path, "a.png", 2 * SIDE, 3 * SIDE, [])
    for path in (sample.image_path, *sample.heatmap_paths):
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (2 * SIDE, 3 * SIDE)).save(path, exif=junk)
    assert check_triplet(sample) is None


def test_further_pages_and_frames_are_found(tmp_path):
    colours = [Image.new("RGB", (SIDE, SIDE), name) for name in ("red", "lime", "blue")]
    more = {"save_all": True, "append_images": colours[1:]}
    for kind in ("GIF", "WEBP", "PNG", "AVIF"):
        assert find_frames(io.BytesIO(encoded(colours[0], kind, **more)))[:2] == ([0], 2)
    path = tmp_path / "scan.tif"
    path.write_bytes(encoded(colours[0], "TIFF", **more))
    assert find_frames(path)[:2] == ([0, 1, 2], 0)
    found = [read_image(path, frame=frame)[0, 0].argmax() for frame in range(3)]
    assert found == [0, 1, 2]
    assert name_further_frames(path) == [f"{path}: 2 of its 3 pages, only the first is read"]
    # The same image once more, smaller, is no page.
    with AppendingTiffWriter(str(path), new=True) as file:
        for image, kind in zip(colours, (0, 1, 0), strict=True):
            image.save(file, "TIFF", tiffinfo={0x00FE: kind})
            file.newFrame()
    assert find_frames(path)[:2] == ([0, 2], 0)
    # A damaged page does not hide those before it.
    data = bytearray(encoded(colours[0], "TIFF", save_all=True, append_images=[colours[1]]))
    with Image.open(io.BytesIO(bytes(data))) as image:
        image.seek(1)
        second = image._frame_pos[1]
    path.write_bytes(data[: second + 1])
    assert find_frames(path).pages[0] == 0 and (read_image(path)[0, 0] == (255, 0, 0)).all()
    for frame in find_frames(path).pages[1:]:
        with pytest.raises(DataError, match="scan.tif, page 2"):
            read_image(path, frame=frame)
    # A camera's second frame is another view of the first, or its preview.
    assert find_frames(io.BytesIO(encoded(Image.fromarray(COLOURS), "MPO", **more)))[:2] == ([0], 0)


def test_the_largest_pages_pixels_are_told(tmp_path):
    sides = (SIDE, 2 * SIDE, SIDE)
    pages = [Image.new("RGB", (side, SIDE)) for side in sides]
    path = tmp_path / "scan.tif"
    path.write_bytes(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert find_frames(path).pixels == 2 * SIDE**2
    assert find_frames(io.BytesIO(encoded(pages[1], "PNG"))).pixels == 2 * SIDE**2


def test_threads_that_read_leave_the_warnings_as_they_were():
    """The one that came first leaves first."""
    data = encoded(Image.fromarray(COLOURS), "PNG")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        filters = list(warnings.filters)
        first, second = (_opened(io.BytesIO(data)) for _ in range(2))
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        warnings.warn("about metadata", stacklevel=1)
        second.__exit__(None, None, None)
        assert warnings.filters == filters and not caught
        warnings.warn("another", stacklevel=1)
        assert len(caught) == 1


def test_pictures_that_are_not_read_are_counted_by_their_endings():
    names = ("a.heic", "b.HEIC", "c.pdf", "d.jpg", "e.txt", "f.jfif", "._c.pdf")
    first, second = name_other_pictures(map(Path, names))
    assert first.startswith("2 .heic (a.heic)") and second.startswith("1 .pdf (c.pdf)")
    known = {".jpg", ".jpe", ".jfif", ".pgm", ".j2k", ".avif", ".tif", ".gif", ".tiff"}
    assert known <= IMAGE_SUFFIXES


def seeds():
    """Sound files of every format, to be damaged."""
    rgb, grey = Image.fromarray(COLOURS), Image.fromarray(RAMP)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    return [
        encoded(rgb, "JPEG", exif=exif),
        encoded(rgb, "JPEG", progressive=True),
        encoded(rgb.convert("CMYK"), "JPEG"),
        encoded(rgb, "PNG"),
        encoded(rgb.quantize(32), "PNG", transparency=3),
        encoded(Image.fromarray(RAMP.astype(np.uint16) * 257), "PNG"),
        encoded(rgb.convert("RGBA"), "WEBP"),
        encoded(grey, "BMP"),
        encoded(rgb, "TIFF", compression="tiff_lzw"),
        encoded(rgb, "TIFF", compression="jpeg"),
        encoded(grey, "TIFF", compression="tiff_adobe_deflate"),
        encoded(rgb.quantize(32), "GIF", save_all=True, append_images=[grey]),
        encoded(rgb, "PPM"),
        encoded(rgb, "JPEG2000"),
    ]


def damaged_files(rng):
    """Endless variants: truncated, with bytes changed, cut out, doubled or of another file."""
    files = seeds()
    while True:
        data = bytearray(files[rng.integers(len(files))])
        kind = rng.integers(6)
        if kind == 0:
            del data[rng.integers(len(data)) :]
        elif kind == 1:  # in the header, where sizes, offsets and counts are
            for place in rng.integers(0, min(len(data), 64), rng.integers(1, 6)):
                data[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)])
        elif kind == 2:
            for place in rng.integers(0, len(data), rng.integers(1, 30)):
                data[place] = rng.integers(256)
        elif kind == 3:
            first, last = sorted(rng.integers(0, len(data), 2))
            del data[first:last]
        elif kind == 4:
            other, place = files[rng.integers(len(files))], rng.integers(len(data))
            data = data[:place] + other[rng.integers(len(other)) :]
        else:
            data[rng.integers(4, 24) :] = rng.bytes(rng.integers(1, 300))
        yield bytes(data)


def test_a_thousand_damaged_files_give_an_image_or_one_line(capfd):
    rng, files = np.random.default_rng(0), damaged_files(np.random.default_rng(1))
    refused, before = 0, peak_memory()
    for number in range(1500):
        data = next(files) if number % 15 else rng.bytes(rng.integers(0, 200))
        try:
            image = decoded(data)
        except DataError as error:
            assert str(error).startswith("image: ")
            refused += 1
        else:
            assert image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
    assert 500 < refused < 1500  # some damage leaves an image
    # Some declare a size just below the limit, and it takes 4 bytes a pixel in Pillow, 3 in NumPy.
    assert peak_memory() - before < 3 * 4 * MAX_PIXELS
    if sys.platform == "linux":  # where Pillow's libtiff can be reached
        assert capfd.readouterr().err == ""


def peak_memory():
    """bytes, the most that this process has held."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_huge_declared_sizes_are_refused_before_decoding():
    signature, end = b"\x89PNG\r\n\x1a\n", png_chunk(b"IEND", b"")
    for width, height in ((100_000, 100_000), (2**31 - 1, 1), (1, 2**31 - 1), (10_001, 10_000)):
        header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        bomb = signature + header + png_chunk(b"IDAT", zlib.compress(bytes(10**6))) + end
        tracemalloc.start()
        with pytest.raises(DataError, match="image"):
            decoded(bomb)
        assert tracemalloc.get_traced_memory()[1] < 20e6
        tracemalloc.stop()
    with pytest.raises(DataError, match="too large"):
        decoded(HUGE_BMP)


def test_a_far_too_large_image_among_others_is_named(tmp_path):
    (tmp_path / "images").mkdir()
    Image.fromarray(COLOURS).save(tmp_path / "images/good.png")
    (tmp_path / "images/huge.png").write_bytes(HUGE_BMP)
    for name in ("good", "huge"):
        (tmp_path / f"gt_{name}.txt").write_text("1,1,9,1,9,9,1,9,word\n", encoding="utf-8")
    samples, problems = read_dataset(tmp_path, "icdar2015")
    assert [sample.file for sample in samples] == ["good.png"]
    assert len(problems) == 1 and "huge.png" in problems[0] and "too large" in problems[0]
    sample = Sample(tmp_path, "huge.png", 9, 9, [])
    assert "huge.png: is too large" in check_triplet(sample)


def test_other_kinds_of_file(tmp_path):
    # Pillow hands this one to Ghostscript, if it is let.
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    for data in (b"", b"GIF89a", b"plain text", postscript, b"%PDF-1.4\n"):
        with pytest.raises(DataError, match="not a readable image"):
            decoded(data)
    with pytest.raises(DataError, match="no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(DataError, match=tmp_path.name):
        read_image(tmp_path)


def test_damaged_files_through_the_script(random_model, tmp_path):
    folder, rng = tmp_path / "images", np.random.default_rng(3)
    folder.mkdir()
    Image.fromarray(COLOURS).save(folder / "good.png")
    readable = 1
    for number, data in enumerate(seeds()):
        damaged = bytearray(data)
        damaged[len(data) // 2] ^= 255
        path = folder / f"{number}.jpg"  # whatever it is
        path.write_bytes([damaged, data[: len(data) // 3], rng.bytes(90)][number % 3])
        try:
            read_image(path)
            readable += 1
        except DataError:
            pass
    left = len(list(folder.iterdir()))
    result = run_well(
        *("detect.py", folder, "--model_dir", random_model, "--output_dir", tmp_path / "out"),
        *("--device", "cpu", "--long_side", 64),
    )
    assert f"in {readable} images, {left - readable} skipped" in result.stdout
    assert result.stderr.count("skipped: ") == left - readable > 8
    assert "Traceback" not in result.stderr
