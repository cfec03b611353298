"""Random changes of images: what is drawn for each image, and what it does to the image."""

import numpy as np

from ..spec.augment import FILL_MODES, INTERPOLATIONS
from .norm import random_words
from .precision import in_float64


def random_uniform(low, high, value, state):
    """value[i, j] = low[j] + (high[j] - low[j]) * word / 2**32 with random word i * k + j of the state; state[1] += 1"""
    words = random_words(state, value.size).reshape(value.shape)
    state[1] += np.uint64(1)
    value[...] = low + (high - low) * (words / 2**32)


@in_float64
def affine_warp(x, motion, same_zoom, fill_mode, interpolation, fill_value, y):
    for image, (zoom_h, zoom_w, angle, shift_h, shift_w, flip_h, flip_w), out in zip(x, motion, y, strict=True):
        (ih, iw, _), (oh, ow, _) = image.shape, out.shape
        u = (np.arange(oh)[:, None] - (oh - 1) / 2) * zoom_h * (-1 if flip_h < 0 else 1)
        v = (np.arange(ow) - (ow - 1) / 2) * (zoom_h if same_zoom else zoom_w) * (-1 if flip_w < 0 else 1)
        row = (ih - 1) / 2 + u * np.cos(angle) + v * np.sin(angle) - shift_h
        column = (iw - 1) / 2 + v * np.cos(angle) - u * np.sin(angle) - shift_w
        if interpolation == INTERPOLATIONS["nearest"]:
            out[...] = _pixels(image, np.floor(row + 0.5), np.floor(column + 0.5), fill_mode, fill_value)
            continue
        top, left = np.floor(row), np.floor(column)
        down, right = (row - top)[..., None], (column - left)[..., None]
        out[...] = 0
        for below in (0, 1):
            for beside in (0, 1):
                weight = (down if below else 1 - down) * (right if beside else 1 - right)
                out += weight * _pixels(image, top + below, left + beside, fill_mode, fill_value)


def _pixels(image, row, column, fill_mode, fill_value):
    """Return the pixels at whole rows and columns, of which those outside the image are made up."""
    height, width, _ = image.shape
    row, column = row.astype(np.int64), column.astype(np.int64)
    outside = (row < 0) | (row >= height) | (column < 0) | (column >= width)
    pixels = image[_inside(row, height, fill_mode), _inside(column, width, fill_mode)]
    if fill_mode == FILL_MODES["constant"]:
        pixels[outside] = fill_value
    return pixels


def _inside(index, extent, fill_mode):
    if fill_mode == FILL_MODES["reflect"]:
        index = index % (2 * extent)
        return np.minimum(index, 2 * extent - 1 - index)
    return index % extent if fill_mode == FILL_MODES["wrap"] else index.clip(0, extent - 1)


@in_float64
def contrast_brightness(x, change, low, high, y):
    factor, shift = change.T[:, :, None, None, None]
    mean = x.sum(axis=(1, 2), keepdims=True) / (x.shape[1] * x.shape[2])
    y[...] = np.clip((x - mean) * factor + mean + shift, low, high)
