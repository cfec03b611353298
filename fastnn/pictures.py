"""From picture files to what a model takes, prepared as the images were that it learned from. Needs Pillow."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .datasets import ImageFolder, image_folder
from .datasets.decode import decode, on_white, open_picture
from .recipes import DATA_SETS

#: grey levels between background and ink below which a picture counts as blank
LEAST_CONTRAST = 32
#: what folders for training and for testing are called, where a data set has them
TRAINING, TESTING = ("train", "training"), ("test", "validation", "val", "valid")
#: share of the pictures that is held out for testing where it has no folder for them, and the seed that chooses them
HELD_OUT, SPLIT_SEED = 0.2, 0


def load_pictures(
    directory: str | os.PathLike[str], size: tuple[int, int], batch_size: int, class_names: list[str] | None = None
) -> tuple[ImageFolder, ImageFolder]:
    """Return the pictures to learn from, and those to test.

    Parameters
    ----------
    directory : str or path-like
        A folder with folders "train" and "test" (or "validation"), with a folder for each class in both. Where there is none for
        the test, a fifth of the pictures is, drawn at random but always the same. `directory` itself may have the class folders.
    size : tuple of int
        Height and width.
    batch_size : int
        Pictures per batch.
    class_names : list of str, optional
        The classes to take; by default all that are there to learn from.

    Returns
    -------
    train, test : ImageFolder
        Bad files are left out. Orders of epochs come from the process's random numbers.

    Raises
    ------
    OSError, ValueError
        If there are no pictures, or no class folders for the test.
    """
    inside = _folders_in(Path(directory))
    if not inside:
        raise ValueError(f"{os.fspath(directory)} has no folders; the pictures of each class must be in a folder of their own")
    # a folder "train" without folders in it is a class: pictures of trains
    folders = {path.name.lower(): path for path in inside if _folders_in(path)}
    train, test = (next((folders[name] for name in names if name in folders), None) for names in (TRAINING, TESTING))
    read = functools.partial(image_folder, batch_size=batch_size, image_size=size, seed=SPLIT_SEED, on_error="skip", verbose=False)
    if train is None or test is None:
        training, testing = read(train or directory, class_names=class_names, validation_split=HELD_OUT, subset="both")
    else:
        training = read(train, class_names=class_names)
        testing = read(test, class_names=training.class_names, shuffle=False)
    training.seed = None
    return training, testing


def _folders_in(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.is_dir()]


def image_shape(shape: tuple[int | None, ...]) -> tuple[int, int, int]:
    """Return (height, width, channels) of the images that a model takes, one channel where `shape` names none; else ValueError."""
    height, width, channels = shape if len(shape) == 3 else (*shape, 1) if len(shape) == 2 else (None, None, None)
    if height is None or width is None or channels not in (1, 3):
        raise ValueError(f"the model takes inputs of shape {shape}, not images (height, width, 1 or 3)")
    return height, width, channels


def read_picture(path: str | os.PathLike[str], shape: tuple[int | None, ...]) -> tuple[NDArray[np.uint8], list[str]]:
    """Read a picture for a model that takes images of `shape`.

    Parameters
    ----------
    path : str or path-like
        A PNG, JPEG or any other file that Pillow reads.
    shape : tuple
        (height, width), (height, width, 1) for grey images, or (height, width, 3) for colour.

    Returns
    -------
    image : numpy.ndarray, uint8, of `shape`
    steps : list of str
        What was done to a picture for a model of grey ones; nothing, if it had the right size and colours.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    OSError
        If the file cannot be read.
    ValueError
        If the model does not take images, the file is no picture, or there is no ink to be cut out of it.

    Notes
    -----
    Grey pictures on a light background are inverted, since the images of MNIST are light on dark. A grey picture of another size is
    brought to the form of the data set whose images have the model's size: for MNIST, the ink is cut out, scaled to fit 20 x 20
    and placed with its centre of mass in the middle of 28 x 28. For other models the whole picture is scaled, colour
    pictures as `image_folder` does.
    """
    height, width, channels = image_shape(shape)
    if channels == 3:
        return decode(path, (height, width)), []
    picture, steps = open_picture(path), []
    if picture.mode == "RGBA":
        picture = on_white(picture)
        steps.append("put on white, it was transparent")
    grey = np.asarray(picture.convert("L"))
    if picture.mode not in ("1", "L"):
        steps.append("made grey")
    background = int(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    if background > 127:
        grey, background = 255 - grey, 255 - background
        steps.append("inverted, the background was light")
    if grey.shape != (height, width):
        steps.append(f"scaled from {_size(picture)}")
        boxes = [images.ink for images in DATA_SETS if images.size == (height, width)]
        if boxes:
            grey = _centred(_cut_out(grey, background, path), (height, width), boxes[0])
            steps.append(f"its ink fitted to {boxes[0][0]}x{boxes[0][1]} and centred")
        else:
            grey = _resize(grey, height, width)
    return grey.reshape([int(extent or 0) for extent in shape]), steps


def _size(picture: Any) -> str:
    return f"{picture.height}x{picture.width}"


def _resize(grey: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    from PIL import Image

    return np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR))


def _cut_out(grey: NDArray[np.uint8], background: int, path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Return the part of a picture with ink on it, the background at 0 and the brightest ink at 255."""
    contrast = int(grey.max()) - background
    if contrast < LEAST_CONTRAST:
        raise ValueError(f"{os.fspath(path)} is blank: no ink stands out from its background")
    ink = (np.maximum(grey, background) - float(background)) * (255 / contrast)
    rows, columns = np.nonzero((ink > 64).any(axis=1))[0], np.nonzero((ink > 64).any(axis=0))[0]
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8)


def _centred(ink: NDArray[np.uint8], size: tuple[int, int], box: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale ink to fit a box and place it with its centre of mass in the middle, as far as the image's edges allow."""
    scale = min(box[0] / ink.shape[0], box[1] / ink.shape[1])
    height, width = (max(1, round(extent * scale)) for extent in ink.shape)
    scaled = _resize(ink, height, width)
    image = np.zeros(size, dtype=np.uint8)
    corner = []
    for axis, extent in enumerate((height, width)):
        mass = scaled.sum(axis=1 - axis, dtype=np.float64)
        centre = float(mass @ np.arange(extent)) / max(float(mass.sum()), 1.0)
        corner.append(min(max(round((size[axis] - 1) / 2 - centre), 0), size[axis] - extent))
    image[corner[0] : corner[0] + height, corner[1] : corner[1] + width] = scaled
    return image
