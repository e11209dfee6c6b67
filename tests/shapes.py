"""Words of known geometry for the decoder's tests and benchmark: straight, vertical, curved."""

import cv2
import numpy as np


def word_quads(x, y, characters, width, height, degrees=0.0):
    """Cells of a straight word from (x, y) on, turned about that point: (n, 4, 2)."""
    left = np.arange(characters)[:, None] * width
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    quads = corners + np.stack([left, np.zeros_like(left)], -1)
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return quads @ turn.T + (x, y)


def column_quads(x, y, characters, width, height):
    """Cells of upright characters one below the other, the first from (x, y) on: (n, 4, 2)."""
    top = np.arange(characters)[:, None] * height
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    return corners + np.stack([np.zeros_like(top), top], -1) + (x, y)


def curved_quads(characters, width, height, turn, degrees=0.0, wave=0.0, centre=(200, 200)):
    """Cells (n, 4, 2) of a word along a curve, and the polygon (80, 2) of the band they fill.

    turn: radians from the word's start to its end, clockwise. wave: radians, the steepest slope of
    a whole sine that is added to it. degrees: of the word as a whole.
    """
    length = characters * width
    places = np.linspace(0, length, 600)
    angles = turn * (places / length - 0.5) + wave * np.cos(2 * np.pi * places / length)
    angles += np.deg2rad(degrees)
    steps = np.stack([np.cos(angles), np.sin(angles)], 1)[:-1] * np.diff(places)[:, None]
    line = np.concatenate([[(0, 0)], np.cumsum(steps, 0)])

    def at(place, offset):
        x, y, angle = (np.interp(place, places, v) for v in (*line.T, angles))
        return np.stack([x - offset * np.sin(angle), y + offset * np.cos(angle)], -1)

    quads = []
    for middle in (np.arange(characters) + 0.5) * width:
        angle = np.interp(middle, places, angles)
        along = np.array([np.cos(angle), np.sin(angle)]) * width / 2
        down = np.array([-np.sin(angle), np.cos(angle)]) * height / 2
        centre_point = at(middle, 0)
        quads.append(centre_point + [-along - down, along - down, along + down, down - along])
    ends = np.linspace(0, length, 40)
    band = np.concatenate([at(ends, -height / 2), at(ends[::-1], height / 2)])
    shift = np.array(centre) - (band.min(0) + band.max(0)) / 2
    return np.array(quads) + shift, band + shift


def outline(quads):
    """The quad (4, 2) around a straight word's cells."""
    return np.array([quads[0, 0], quads[-1, 1], quads[-1, 2], quads[0, 3]])


def quartered(maps):
    """Maps (2, H, W) uint8 as a network gives them: averaged to a quarter of the resolution, and
    their logits enlarged again."""
    height, width = maps.shape[1:]
    large = []
    for channel in maps:
        small = cv2.resize(channel, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
        small = (small.astype(np.float32) / 255).clip(1 / 510, 1 - 1 / 510)
        logits = cv2.resize(np.log(small / (1 - small)), (width, height))
        large.append((255 / (1 + np.exp(-logits))).round().astype(np.uint8))
    return np.array(large)
