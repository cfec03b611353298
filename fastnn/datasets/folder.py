"""Folders of pictures, one for each class, that are read in batches while a model trains."""

from __future__ import annotations

import functools
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import random
from .ahead import map_ahead
from .decode import COLOR_MODES, INTERPOLATIONS, decode, pillow

#: what names of pictures end in, in small or capital letters
EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
#: and those of pictures that are not read, nor are they by Keras: leaving them out is told
OTHER_EXTENSIONS = (".avif", ".heic", ".heif", ".tif", ".tiff", ".webp")
LABEL_MODES = ("int", "categorical", "binary", None)
SUBSETS = ("training", "validation", "both")
#: so many batches are decoded before they are asked for
BATCHES_AHEAD = 2
#: NumPy's older generator, which Keras shuffles and splits by, takes seeds below
SEED_LIMIT = 2**32


class ImageFolder:
    """Batches of pictures, decoded by threads while the batch before is in use; what `image_folder` returns.

    Each iteration is an epoch. `fastnn.Sequential.fit`, its `evaluate` and its `predict` take it as `x`.

    Parameters
    ----------
    file_paths : sequence of str
        The pictures.
    targets : ndarray, optional
        What goes with each, in the first axis.
    class_names : list of str, optional
        The classes, in the order of their labels.
    decode : callable
        Returns the array of a path; raises ValueError or OSError for a bad file.
    batch_size : int
        Pictures per batch; the last one of an epoch may be smaller.
    shuffle : bool
        Whether each epoch has an order of its own.
    seed : int, optional
        Which orders those are; otherwise they are drawn from the process's random numbers.
    on_error : {"raise", "skip"}
        What to do about bad files.

    Attributes
    ----------
    bad_files : dict of str to str
        The files that were left out so far, with the reason. Epochs after the one that found them do not try them again.
    epochs_begun : int
        How many there were: the order of an epoch is a function of `seed` and of this.
    """

    #: what `fastnn.callbacks.BackupAndRestore` keeps
    saved_attributes = ("epochs_begun",)

    def __init__(
        self,
        file_paths: Sequence[str],
        targets: NDArray[Any] | None,
        class_names: list[str] | None,
        decode: Callable[[str], NDArray[np.uint8]],
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        on_error: str,
    ) -> None:
        self.file_paths = list(file_paths)
        self.targets = targets
        self.class_names = class_names
        self.batch_size = batch_size
        self.bad_files: dict[str, str] = {}
        self._decode = decode
        self.seed = seed
        self._shuffle, self.epochs_begun = shuffle, 0
        self._skips = on_error == "skip"

    @property
    def samples(self) -> int:
        """Number of pictures, without files known to be bad."""
        return len(self.file_paths) - len(self.bad_files)

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return -(-self.samples // self.batch_size)

    def __repr__(self) -> str:
        return f"<ImageFolder of {self.samples} pictures, classes {self.class_names}>"

    def __iter__(self) -> Iterator[Any]:
        """Return the batches of the next epoch: ``(images, targets)``, or images alone where there are no labels."""
        order = np.arange(len(self.file_paths))
        if self._shuffle:
            generator = random.generator() if self.seed is None else np.random.default_rng([self.seed, self.epochs_begun])
            generator.shuffle(order)
        self.epochs_begun += 1
        return self._batches([row for row in order.tolist() if self.file_paths[row] not in self.bad_files])

    def _batches(self, order: list[int]) -> Iterator[Any]:
        rows: list[int] = []
        images: list[NDArray[np.uint8]] = []
        with closing(map_ahead(self._read, order, BATCHES_AHEAD * self.batch_size)) as decoded:
            for row, image in zip(order, decoded, strict=True):
                if isinstance(image, Exception):
                    self.bad_files[self.file_paths[row]] = str(image)
                    continue
                rows.append(row)
                images.append(image)
                if len(images) == self.batch_size:
                    yield self._batch(rows, images)
                    rows, images = [], []
        if images:
            yield self._batch(rows, images)
        if not self.samples:
            path, reason = next(iter(self.bad_files.items()))
            raise ValueError(f"none of the {len(self.file_paths)} files can be read, beginning with {path}: {reason}")

    def _read(self, row: int) -> Any:
        try:
            return self._decode(self.file_paths[row])
        except (OSError, ValueError) as error:
            if self._skips:
                return error
            raise

    def _batch(self, rows: list[int], images: list[NDArray[np.uint8]]) -> Any:
        return np.stack(images) if self.targets is None else (np.stack(images), self.targets[rows])


def image_folder(
    directory: str | os.PathLike[str],
    labels: str | Sequence[int] | None = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int = 32,
    image_size: int | tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    verbose: bool = True,
    *,
    on_error: str = "raise",
) -> Any:
    """Read pictures from a folder in batches, for data sets larger than memory.

    Arguments, defaults, order of the classes, and which pictures belong to which subset are those of Keras's
    ``image_dataset_from_directory``.

    Parameters
    ----------
    directory : str or path-like
        A folder with a folder for each class. Pictures may lie in folders further down; their names end in .bmp, .gif, .jpeg, .jpg
        or .png.
    labels : "inferred", None or sequence of int, default "inferred"
        "inferred": the classes are the folders in `directory`, save hidden ones. None: no labels, and all pictures in `directory`.
        A sequence: a label for each picture in `directory`, sorted by path.
    label_mode : {"int", "categorical", "binary", None}, default "int"
        Targets as int32 of shape (n,), one-hot float32 of shape (n, classes), float32 0 and 1 of shape (n, 1), or none.
    class_names : sequence of str, optional
        The folders to take, in the order of their labels, which is alphabetical by default.
    color_mode : {"rgb", "grayscale", "rgba"}, default "rgb"
        3, 1 or 4 channels. Transparent parts become white in the first two.
    batch_size : int, default 32
        Pictures per batch; the last one of an epoch may be smaller.
    image_size : int or (int, int), default (256, 256)
        Height and width that pictures are brought to.
    shuffle : bool, default True
        Whether each epoch has a new order; otherwise it is that of the paths.
    seed : int, optional
        Which orders those are, and which pictures belong to a subset; otherwise drawn from the process's random numbers
        (`fastnn.set_seed`).
    validation_split : float, optional
        Share of the pictures that belongs to the validation subset, in (0, 1).
    subset : {"training", "validation", "both"}, optional
        What to return of a split; "both" for a pair, of which the validation data keep their order.
    interpolation : {"bilinear", "nearest", "bicubic", "area", "lanczos3"}, default "bilinear"
        How pictures are scaled.
    follow_links : bool, default False
        Whether to look into folders that are symbolic links.
    crop_to_aspect_ratio, pad_to_aspect_ratio : bool, default False
        Whether to keep a picture's proportions, by cutting its longer side or by padding the shorter one with black.
    verbose : bool, default True
        Whether to print what was found.
    on_error : {"raise", "skip"}, default "raise"
        What to do about a file that is no picture, is damaged, or has more pixels than Pillow's limit: end with an error, or leave
        it out and note it in ``bad_files``.

    Returns
    -------
    ImageFolder, or a pair of them for ``subset="both"``
        Gives batches ``(images, targets)``, images being uint8 of shape (n, height, width, channels). It has `file_paths`,
        `class_names` and `bad_files`.

    Warns
    -----
    UserWarning
        If the folder of a class has no pictures, or there are pictures of a format that is not read, such as .heic and .webp.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    OSError
        If the folder cannot be read.
    ValueError, TypeError
        If an argument is none of the above, or there are no pictures.

    Notes
    -----
    Unlike Keras's, batches are bytes and not floats, pictures are turned as their EXIF data say, and are smoothed when they shrink.
    A large JPEG is decoded at a fraction of its size if that is at least twice `image_size`.

    Pictures are decoded by as many threads as kernels may use (`fastnn.set_num_threads`), two batches ahead. No more are in memory
    at a time, however many there are. A bad file is found when its turn comes; the pictures behind it move up.

    With ``shuffle=True`` predictions come in the order of the epoch, not in that of `file_paths`.

    See Also
    --------
    fastnn.layers.Rescaling : Makes floats from 0 to 1 of the bytes, as the first layer of a model.
    fastnn.layers.RandomFlip, fastnn.layers.RandomZoom : Changes of pictures at random, in training.

    Examples
    --------
    >>> from fastnn.datasets import image_folder
    >>> from fastnn.plotting import MisclassifiedDisplay
    >>> train, test = image_folder("photos", validation_split=0.2, subset="both")  # doctest: +SKIP
    Found 2936 files belonging to 2 classes.
    Using 2349 files for training and 587 for validation.
    >>> history = model.fit(train, epochs=3, validation_data=test)  # doctest: +SKIP
    >>> display = MisclassifiedDisplay.from_model(model, test)  # doctest: +SKIP
    >>> model.class_names = train.class_names  # which fastnn predict writes  # doctest: +SKIP
    """
    pillow()
    directory = os.fspath(directory)
    _check_choice("label_mode", label_mode, LABEL_MODES)
    _check_choice("color_mode", color_mode, COLOR_MODES)
    _check_choice("interpolation", interpolation, INTERPOLATIONS)
    _check_choice("on_error", on_error, ("raise", "skip"))
    _check_positive("batch_size", batch_size)
    size = _size(image_size)
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("give crop_to_aspect_ratio or pad_to_aspect_ratio, not both")
    _check_split(validation_split, subset, shuffle, seed)
    fit = "fit" if crop_to_aspect_ratio else "pad" if pad_to_aspect_ratio else "resize"
    read = functools.partial(decode, size=size, color_mode=color_mode, interpolation=interpolation, fit=fit)
    paths, numbers, names = _index(directory, labels, class_names, follow_links)
    if not paths:
        raise ValueError(f"no pictures ({', '.join(EXTENSIONS)}) in {_places(directory, labels, names)}")
    if verbose:
        print(f"Found {len(paths)} files" + ("." if names is None else f" belonging to {len(names)} classes."))
    targets = None if numbers is None or label_mode is None else _targets(numbers, label_mode, names or [])
    order = np.arange(len(paths))
    if shuffle:
        split_seed = random.generator().integers(SEED_LIMIT) if seed is None else seed
        np.random.RandomState(split_seed).shuffle(order)  # Keras's generator: the same seed, the same split

    def part(rows: NDArray[Any], shuffle: bool) -> ImageFolder:
        chosen = [paths[row] for row in rows]
        return ImageFolder(chosen, None if targets is None else targets[rows], names, read, batch_size, shuffle, seed, on_error)

    if validation_split is None:
        return part(order, shuffle)
    held_out = int(validation_split * len(paths))
    if held_out == 0:
        raise ValueError(f"validation_split={validation_split} of {len(paths)} pictures leaves nothing to validate on")
    training, validation = order[:-held_out], order[-held_out:]
    if verbose:
        print(f"Using {len(training)} files for training and {len(validation)} for validation.")
    if subset == "both":
        return part(training, shuffle), part(validation, False)
    return part(training if subset == "training" else validation, shuffle)


# ------------------------------------------------------------------ files and labels


def _index(
    directory: str, labels: str | Sequence[int] | None, class_names: Sequence[str] | None, follow_links: bool
) -> tuple[list[str], NDArray[np.int32] | None, list[str] | None]:
    """Return paths, labels and class names, in the order of the classes and then of the paths."""
    if isinstance(labels, str):
        _check_choice("labels", labels, ("inferred",))
        folders = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir() and not entry.name.startswith("."))
        names = _class_names(class_names, folders, directory)
        found = _readable(directory, [_pictures(os.path.join(directory, name), follow_links) for name in names])
        empty = [name for name, paths in zip(names, found, strict=True) if not paths]
        if empty and len(empty) < len(names):
            warnings.warn(f"no pictures ({', '.join(EXTENSIONS)}) in {_places(directory, labels, empty)}", stacklevel=3)
        numbers = np.repeat(np.arange(len(found), dtype=np.int32), [len(paths) for paths in found])
        return [path for paths in found for path in paths], numbers, names
    if class_names is not None:
        raise ValueError('class_names chooses among the folders of classes: it needs labels="inferred"')
    (paths,) = _readable(directory, [_pictures(directory, follow_links)])
    if labels is None:
        return paths, None, None
    given = np.asarray(labels)
    if given.ndim != 1 or given.dtype.kind not in "iu" or (given.size and given.min() < 0):
        raise ValueError(
            f'labels must be "inferred", None, or integers that are not negative, one for each picture; got {labels!r:.80}'
        )
    if len(given) != len(paths):
        raise ValueError(f"labels must be as many as the pictures in {directory}, {len(paths)}; got {len(given)}")
    return paths, given.astype(np.int32), [str(label) for label in np.unique(given)]


def _class_names(chosen: Sequence[str] | None, folders: list[str], directory: str) -> list[str]:
    if chosen is None:
        return folders
    missing = [name for name in chosen if name not in folders]
    if missing or isinstance(chosen, str) or len(set(chosen)) < len(chosen):
        raise ValueError(f"class_names must be different folders of {directory}, which are {folders}; got {chosen!r}")
    return list(chosen)


def _pictures(directory: str, follow_links: bool) -> list[str]:
    """Return the pictures of all formats in a folder and in those below it; Keras's order: by folder, then by name."""
    # an error in a folder below would otherwise be passed over in silence
    walk = sorted(os.walk(directory, onerror=_raise, followlinks=follow_links))
    paths = [os.path.join(folder, name) for folder, _, names in walk for name in sorted(names)]
    return [path for path in paths if path.lower().endswith(EXTENSIONS + OTHER_EXTENSIONS)]


def _readable(directory: str, found: list[list[str]]) -> list[list[str]]:
    """Return the pictures of formats that are read; warn of the others."""
    counts = Counter(os.path.splitext(path)[1].lower() for paths in found for path in paths)
    others = ", ".join(f"{count} {extension}" for extension, count in sorted(counts.items()) if extension in OTHER_EXTENSIONS)
    if others:
        warnings.warn(f"pictures in {directory} that do not end in {', '.join(EXTENSIONS)} are left out: {others}", stacklevel=4)
    return [[path for path in paths if path.lower().endswith(EXTENSIONS)] for paths in found]


def _raise(error: OSError) -> None:
    raise error


def _places(directory: str, labels: Any, names: list[str] | None) -> str:
    if labels != "inferred":
        return directory
    if not names:
        return f'{directory}, which has no folders: labels="inferred" needs one for each class, or give labels=None'
    return f"the folders {', '.join(names)} of {directory}"


def _targets(numbers: NDArray[np.int32], label_mode: str, names: list[str]) -> NDArray[Any]:
    if label_mode == "int":
        return numbers
    if label_mode == "binary" and len(names) != 2:
        raise ValueError(f'label_mode="binary" needs 2 classes; there are {len(names)}: {", ".join(names)}')
    if numbers.max() >= len(names):
        raise ValueError(
            f'labels must be below the number of classes, {len(names)}, for label_mode="{label_mode}"; got {numbers.max()}'
        )
    return np.eye(len(names), dtype=np.float32)[numbers] if label_mode == "categorical" else numbers[:, None].astype(np.float32)


# ------------------------------------------------------------------ arguments


def _check_choice(name: str, value: Any, choices: Any) -> None:
    if value not in tuple(choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}")


def _check_positive(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} must be a positive integer; got {value!r}")


def _size(image_size: Any) -> tuple[int, int]:
    pair = (image_size, image_size) if isinstance(image_size, (int, np.integer)) else image_size
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ValueError(f"image_size must be (height, width) or an integer; got {image_size!r}")
    for extent in pair:
        _check_positive("image_size", extent)
    return int(pair[0]), int(pair[1])


def _check_split(validation_split: float | None, subset: str | None, shuffle: bool, seed: int | None) -> None:
    if (validation_split is None) != (subset is None):
        raise ValueError(
            "validation_split, a share such as 0.2, and subset, one of "
            f"{', '.join(map(repr, SUBSETS))}, go together; got {validation_split!r} and {subset!r}"
        )
    if validation_split is not None:
        _check_choice("subset", subset, SUBSETS)
        if not 0 < validation_split < 1:
            raise ValueError(f"validation_split must be in (0, 1); got {validation_split!r}")
        if shuffle and seed is None and subset != "both":
            raise ValueError("a split of shuffled pictures needs a seed, the same for both subsets, so that they do not overlap")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < SEED_LIMIT):
        raise ValueError(f"seed must be an integer from 0 to 2**32 - 1; got {seed!r}")
