"""From a picture file to pixels. Needs Pillow."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: color_mode -> Pillow's mode and the number of channels
COLOR_MODES = {"grayscale": ("L", 1), "rgb": ("RGB", 3), "rgba": ("RGBA", 4)}
#: interpolation, as Keras calls it -> as Pillow does
INTERPOLATIONS = {"bilinear": "BILINEAR", "nearest": "NEAREST", "bicubic": "BICUBIC", "area": "BOX", "lanczos3": "LANCZOS"}
#: formats that Pillow has other programs decode: they are refused, whatever the name of a file says
FOREIGN = ("EPS",)


def open_picture(path: str | os.PathLike[str], smallest: int | None = None) -> Any:
    """Read a picture, upright, and of 8 bits per channel.

    Parameters
    ----------
    path : str or path-like
        A file of any format that Pillow reads by itself, whatever its name ends in.
    smallest : int, optional
        A JPEG may be read at a half, a quarter or an eighth of its size, which is faster, if no side gets shorter than this.

    Returns
    -------
    PIL.Image.Image
        Of mode 1 or L (grey), RGBA (where parts of it are transparent) or RGB.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    OSError
        If the file cannot be opened.
    ValueError
        If it holds no picture, a damaged one, or one of more than ``PIL.Image.MAX_IMAGE_PIXELS`` pixels.
    """
    os.stat(path)  # who gave a wrong path need not install Pillow first
    image, image_ops = pillow()
    image.init()
    try:
        with image.open(path, formats=[name for name in image.ID if name not in FOREIGN]) as file:
            if image.MAX_IMAGE_PIXELS is not None and file.width * file.height > image.MAX_IMAGE_PIXELS:
                raise ValueError(f"{file.width} x {file.height} pixels are more than Pillow's limit of {image.MAX_IMAGE_PIXELS}")
            if smallest is not None:
                file.draft(None, (smallest, smallest))
            picture = image_ops.exif_transpose(file)
            picture.load()
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise whatever damaged bytes lead them to
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise ValueError(f"{os.fspath(path)} is not a picture that Pillow can read: {_reason(error, path)}") from error
    if picture.mode.startswith("I"):  # 16 bits; converting would cut off instead of scaling
        deep = np.asarray(picture).astype(np.int64)
        return image.fromarray((deep // 256 if deep.max() > 255 else deep).clip(0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    return picture if picture.mode in ("1", "L") else picture.convert("RGB")


def on_white(picture: Any) -> Any:
    """Put a picture of mode RGBA on a white ground."""
    image, _ = pillow()
    return image.alpha_composite(image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def decode(
    path: str | os.PathLike[str],
    size: tuple[int, int],
    color_mode: str = "rgb",
    interpolation: str = "bilinear",
    fit: str = "resize",
) -> NDArray[np.uint8]:
    """Return the pixels of a picture, of shape (height, width, channels).

    Parameters
    ----------
    path : str or path-like
        As for `open_picture`, and so are the exceptions.
    size : tuple of int
        Height and width that the picture is brought to.
    color_mode : {"rgb", "grayscale", "rgba"}
        What it is converted to; transparent parts become white, save in "rgba".
    interpolation : {"bilinear", "nearest", "bicubic", "area", "lanczos3"}
        How it is scaled; all but "nearest" average over the pixels that a smaller picture has no room for.
    fit : {"resize", "fit", "pad"}
        Whether to change the proportions, to cut off what does not fit, or to pad with black.
    """
    mode, channels = COLOR_MODES[color_mode]
    height, width = size
    picture = open_picture(path, 2 * max(size))
    image, image_ops = pillow()
    if picture.mode == "RGBA" and mode != "RGBA":
        picture = on_white(picture)
    picture = picture.convert(mode)
    if picture.size != (width, height):
        scale = image.Image.resize if fit == "resize" else getattr(image_ops, fit)
        picture = scale(picture, (width, height), image.Resampling[INTERPOLATIONS[interpolation]])
    return np.asarray(picture).reshape(height, width, channels)


def pillow() -> tuple[ModuleType, ModuleType]:
    """Return the modules Image and ImageOps of Pillow; ImportError says how to install it."""
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError as error:
        raise ImportError("reading pictures needs Pillow: pip install 'fastnn-kernels[image]'") from error
    return Image, ImageOps


def _reason(error: Exception, path: str | os.PathLike[str]) -> str:
    if os.path.getsize(path) == 0:
        return "it is empty"
    if type(error).__name__ == "UnidentifiedImageError":  # whose message is the path again
        return "it has no known format"
    return str(error) or type(error).__name__
