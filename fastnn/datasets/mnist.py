"""MNIST, and the data sets published in files like its four: Fashion-MNIST, Kuzushiji-MNIST, EMNIST."""

import functools
import os
import re
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .idx import read_idx

Split = tuple[NDArray[Any], NDArray[Any]]

PACKAGED = Path(__file__).parent / "data" / "mnist"

#: `train-images-idx3-ubyte`, `emnist-letters-test-labels-idx1-ubyte`, and with a dot before `idx`, as some archives unpack
FILE_NAME = re.compile(r"(?:(?P<name>.+)-)?(?P<split>train|test|t10k)-(?P<kind>images[-.]idx3|labels[-.]idx1)-ubyte(?:\.gz)?")
PARTS = ("train images", "train labels", "test images", "test labels")


def load_mnist(path: str | os.PathLike[str] | None = None, name: str | None = None) -> tuple[Split, Split]:
    """Load the MNIST handwritten digits, or a data set in files of the same format.

    Parameters
    ----------
    path : str or path-like, optional
        A folder with the four IDX files of a data set, gzipped or not: ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
        ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, as those of MNIST and Fashion-MNIST are called, or with ``test``
        for ``t10k`` and a prefix, as those of EMNIST are (``emnist-letters-test-images-idx3-ubyte.gz``). Of a file that is there
        both plain and gzipped, the plain one is read. By default the MNIST that comes with the package.
    name : str, optional
        Which data set to load from a folder that holds several: the prefix of its file names, ``"emnist-letters"`` for instance;
        ``""`` for the files without a prefix.

    Returns
    -------
    (x_train, y_train), (x_test, y_test) : tuple of tuples of numpy.ndarray
        Images (N, height, width) and labels (N,) as the files hold them. For MNIST: uint8, 60,000 and 10,000 images of 28 x 28
        pixels from 0, background, to 255, ink; uint8 labels from 0 to 9. The arrays are the caller's own and may be written to.

    Raises
    ------
    FileNotFoundError
        If the folder, or one of the four files, is missing.
    ValueError
        If the folder holds several data sets and `name` does not choose one, or if a file is damaged or does not fit the others.

    Notes
    -----
    The packaged MNIST stays in memory (55 MB) after the first call, and later calls return copies of it. With `path` the files are
    read at each call.

    EMNIST stores its images transposed; they are returned as stored: ``x.transpose(0, 2, 1)`` turns them upright. The labels of its
    letters begin at 1, not at 0.

    MNIST is the work of Yann LeCun, Corinna Cortes and Christopher J.C. Burges, under the Creative Commons Attribution-Share Alike
    3.0 license.

    Examples
    --------
    >>> from fastnn.datasets import load_mnist
    >>> (x_train, y_train), (x_test, y_test) = load_mnist()
    >>> x_train.shape, y_train.shape, x_test.shape, y_test.shape
    ((60000, 28, 28), (60000,), (10000, 28, 28), (10000,))
    """
    if path is not None:
        return _load(_chosen(Path(path), name))
    if name is not None:
        raise ValueError(f"name must be None without path, since it chooses among the data sets in a folder; got {name!r}")
    (x_train, y_train), (x_test, y_test) = _load_packaged()
    return (x_train.copy(), y_train.copy()), (x_test.copy(), y_test.copy())


@functools.cache
def _load_packaged() -> tuple[Split, Split]:
    return _load(_chosen(PACKAGED, None))


def data_sets(folder: Path) -> dict[str, dict[str, Path]]:
    """Return the files of each data set in a folder, by its name, "" for one without, and by part.

    Raises
    ------
    OSError
        If there are none, or the folder cannot be read.
    ValueError
        If there are two files of a part.
    """
    found: dict[str, dict[str, Path]] = {}
    for file in sorted(folder.iterdir()):  # a plain file comes before its gzipped twin
        match = FILE_NAME.fullmatch(file.name)
        if match is None or not file.is_file():
            continue
        part = f"{'train' if match['split'] == 'train' else 'test'} {match['kind'][:6]}"
        parts = found.setdefault(match["name"] or "", {})
        twin = parts.setdefault(part, file)
        if twin != file and twin.name + ".gz" != file.name:
            raise ValueError(f"there must be one file of {part} for a data set in {folder}; got {twin.name} and {file.name}")
    if not found:
        raise FileNotFoundError(f"no IDX files such as train-images-idx3-ubyte or train-images-idx3-ubyte.gz in {folder}")
    return found


def _chosen(folder: Path, name: str | None) -> dict[str, Path]:
    """Return the four files of the data set `name` (or of the only one) in `folder`, by part."""
    found = data_sets(folder)
    if name is None and len(found) == 1:
        (name,) = found
    if name not in found:
        raise ValueError(f"name must be one of {', '.join(map(repr, found))}, the data sets in {folder}; got {name!r}")
    missing = [part for part in PARTS if part not in found[name]]
    if missing:
        there = ", ".join(file.name for file in found[name].values())
        raise FileNotFoundError(f"no file of {', '.join(missing)} in {folder}; beside {there}")
    return found[name]


def _load(files: dict[str, Path]) -> tuple[Split, Split]:
    return _load_split(files["train images"], files["train labels"]), _load_split(files["test images"], files["test labels"])


def _load_split(images: Path, labels: Path) -> Split:
    x, y = read_idx(images), read_idx(labels)
    if x.ndim != 3:
        raise ValueError(f"{images}: expected images (N, height, width), got shape {x.shape}")
    if y.shape != x.shape[:1]:
        raise ValueError(f"{labels}: expected a label for each of the {len(x)} images in {images.name}, got shape {y.shape}")
    return x, y
