"""The data sets against figures known from elsewhere, and the IDX reader against files packed by hand and against hostile ones."""

import gzip
import hashlib
import itertools
import math
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastnn.datasets import load_boston, load_digits, load_iris, load_mnist, read_idx
from fastnn.datasets.mnist import PACKAGED

# type code: struct format of an element, NumPy type, values that tell byte orders, signs and widths apart
TYPES = {
    0x08: ("B", np.uint8, [0, 1, 127, 128, 254, 255]),
    0x09: ("b", np.int8, [0, 1, 127, -128, -2, -1]),
    0x0B: ("h", np.int16, [0, 1, 258, -32768, 32767, -2]),
    0x0C: ("i", np.int32, [0, 1, 16909060, -(2**31), 2**31 - 1, -2]),
    0x0D: ("f", np.float32, [0.0, -0.0, 1.5, -2.25e-30, math.inf, 3.0e38]),
    0x0E: ("d", np.float64, [0.0, -0.0, 0.1, -2.25e-300, -math.inf, 1.7e308]),
}


def idx(code, shape, values):
    """Pack an IDX file with nothing but struct."""
    sizes = struct.pack(f">{len(shape)}I", *shape)
    return bytes([0, 0, code, len(shape)]) + sizes + struct.pack(f">{len(values)}{TYPES[code][0]}", *values)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A file to write over and over, the same for all examples of a Hypothesis test."""
    return tmp_path_factory.mktemp("idx") / "file"


def write(path, content):
    path.write_bytes(content)
    return path


def write_set(folder, prefix="", test="t10k", suffix="", pixel=0, train=3):
    """Write the four files of a tiny data set, whose pixels are all `pixel`."""
    for split, n in (("train", train), (test, 2)):
        files = {"images-idx3": idx(0x08, (n, 2, 2), [pixel] * (4 * n)), "labels-idx1": idx(0x08, (n,), list(range(n)))}
        for kind, content in files.items():
            content = gzip.compress(content) if suffix == ".gz" else content
            (folder / f"{prefix}{split}-{kind}-ubyte{suffix}").write_bytes(content)


# IDX


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 3, 2), (3, 1, 2, 1)], ids=str)
@pytest.mark.parametrize("code", TYPES)
def test_idx_of_every_type_reads_as_packed(tmp_path, code, shape, compress):
    _, dtype, values = TYPES[code]
    array = read_idx(write(tmp_path / "any-name", compress(idx(code, shape, values))))
    assert array.shape == shape
    assert array.dtype == dtype and array.dtype.isnative
    assert array.tobytes() == np.array(values, dtype).tobytes()  # bytes, to tell -0.0 from 0.0
    assert array.flags.c_contiguous and array.flags.aligned and array.flags.writeable
    array[...] = 1  # the caller's own


def test_idx_takes_str_and_path(tmp_path):
    path = write(tmp_path / "a", idx(0x08, (2,), [3, 4]))
    assert read_idx(str(path)).tolist() == read_idx(path).tolist() == [3, 4]


@pytest.mark.parametrize("shape", [(0,), (0, 28, 28), (5, 0)], ids=str)
def test_idx_without_elements(tmp_path, shape):
    array = read_idx(write(tmp_path / "a", idx(0x0C, shape, [])))
    assert array.shape == shape and array.dtype == np.int32


def test_idx_larger_than_a_chunk(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, 2_500_000, np.uint8)
    content = idx(0x08, (2500, 1000), []) + values.tobytes()
    for name, data in (("plain", content), ("gzip", gzip.compress(content, 1))):
        np.testing.assert_array_equal(read_idx(write(tmp_path / name, data)).ravel(), values)


GOOD = idx(0x0B, (2, 3), [1, 2, 3, 4, 5, 6])
BAD = {
    "empty": (b"", "not an IDX file"),
    "short magic": (b"\0\0\x08", "not an IDX file"),
    "first byte": (b"\1" + GOOD[1:], "not an IDX file"),
    "second byte": (b"\0\1" + GOOD[2:], "not an IDX file"),
    "type code": (b"\0\0\x0a" + GOOD[3:], "0x0b.*got .*n"),
    "no dimensions": (b"\0\0\x08\0\7", "at least one dimension"),
    "text": (b"<!DOCTYPE html>", "not an IDX file"),
    "header cut": (GOOD[:9], "truncated IDX header: expected 8 bytes"),
    "data cut": (GOOD[:-1], r"shape \(2, 3\) of int16, 12 bytes, got 11"),
    "no data": (GOOD[:12], "got 0"),
    "a byte too many": (GOOD + b"\0", "too much IDX data"),
    "lying header": (b"\0\0\x0e\x03" + b"\xff" * 12 + b"12345678", "truncated IDX data"),
    "255 dimensions": (b"\0\0\x08\xff" + b"\xff" * 1020, "truncated IDX data"),
    "too many dimensions": (b"\0\0\x08\x50" + struct.pack(">80I", *[1] * 80) + b"\7", "NumPy cannot hold"),
    "empty but too large": (b"\0\0\x08\x04" + struct.pack(">4I", 0, *[2**32 - 1] * 3), "NumPy cannot hold"),
}


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("case", BAD)
def test_bad_idx_is_a_value_error_that_names_the_file(tmp_path, case, compress):
    content, message = BAD[case]
    with pytest.raises(ValueError, match=message) as caught:
        read_idx(write(tmp_path / "a-file", compress(content)))
    assert str(tmp_path / "a-file") in str(caught.value)


ZIPPED = gzip.compress(GOOD)
DAMAGED = {
    "cut": ZIPPED[:-9],
    "cut header": ZIPPED[:5],
    "checksum": ZIPPED[:-8] + b"\0\0\0\0" + ZIPPED[-4:],
    "tail": ZIPPED + b"tail",
    "deflate": ZIPPED[:10] + b"\xff\xff" + ZIPPED[12:],
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_gzip_is_a_value_error(tmp_path, case):
    with pytest.raises(ValueError, match="damaged gzip data"):
        read_idx(write(tmp_path / "a", DAMAGED[case]))


def test_missing_idx_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "nowhere")


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("promised", [(10,), (2**32 - 1,), (10**6, 10**6)], ids=["bomb", "lying header", "terabytes"])
def test_reading_bad_idx_takes_little_memory(tmp_path, memory_below, promised, compress):
    data = bytes(32 << 20) if promised == (10,) else b"abc"
    path = write(tmp_path / "a", compress(idx(0x0E, promised, []) + data))
    del data
    with memory_below(4 << 20), pytest.raises(ValueError, match="IDX"):
        read_idx(path)


def read_or_none(path):
    """Read the array, or None for the one error allowed."""
    try:
        return read_idx(path)
    except ValueError:
        return None


def idx_bytes(array):
    """Pack an array as an IDX file."""
    code = next(code for code, (_, dtype, _) in TYPES.items() if dtype == array.dtype)
    return idx(code, array.shape, []) + array.astype(array.dtype.newbyteorder(">")).tobytes()


headers = st.builds(
    lambda code, sizes, ndim: bytes([0, 0, code, len(sizes) if ndim is None else ndim]) + struct.pack(f">{len(sizes)}I", *sizes),
    st.sampled_from([*TYPES, 0x0A]),
    st.lists(st.integers(0, 4) | st.integers(0, 2**32 - 1), max_size=5),
    st.none() | st.integers(0, 255),
)


@given(content=st.binary(max_size=64) | st.builds(bytes.__add__, headers, st.binary(max_size=64)), compressed=st.booleans())
@example(content=GOOD, compressed=True)
def test_fuzz_idx(scratch, content, compressed):
    array = read_or_none(write(scratch, gzip.compress(content, 1) if compressed else content))
    assert array is None or idx_bytes(array) == content


@given(data=st.data(), compressed=st.booleans())
def test_fuzz_mutated_idx(scratch, data, compressed):
    content = bytearray(ZIPPED if compressed else GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(len(content) - 2, len(content)))]
    array = read_or_none(write(scratch, content))
    assert array is None or idx_bytes(array) == (GOOD if compressed else content)  # gzip's checksum tells every change


# MNIST


@pytest.fixture(scope="module")
def mnist():
    return load_mnist()


def test_mnist_is_the_published_one(mnist):
    (x_train, y_train), (x_test, y_test) = mnist
    assert [a.shape for a in (x_train, y_train, x_test, y_test)] == [(60000, 28, 28), (60000,), (10000, 28, 28), (10000,)]
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert np.bincount(y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert y_train[:5].tolist() == [5, 0, 4, 1, 9] and y_test[:5].tolist() == [7, 2, 1, 0, 4]
    assert x_train.mean() == pytest.approx(33.318421, abs=1e-6) and x_train.std() == pytest.approx(78.567490, abs=1e-6)
    # SHA-256 of the unpacked train-images-idx3-ubyte and t10k-images-idx3-ubyte, as widely published
    assert hashlib.sha256(idx_bytes(x_train)).hexdigest() == "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    assert hashlib.sha256(idx_bytes(x_test)).hexdigest() == "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"


def test_mnist_arrays_are_the_callers_own(mnist):
    before = [a.copy() for a in itertools.chain(*mnist)]
    for array in itertools.chain(*load_mnist()):
        array[...] = 77
    for array, expected in zip(itertools.chain(*load_mnist()), before, strict=True):
        assert np.array_equal(array, expected)


def test_mnist_path_to_the_packaged_folder_gives_the_same(mnist):
    for array, expected in zip(itertools.chain(*load_mnist(PACKAGED)), itertools.chain(*mnist), strict=True):
        assert np.array_equal(array, expected)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("prefix, test", [("", "t10k"), ("emnist-letters-", "test")])
def test_mnist_from_a_folder(tmp_path, prefix, test, suffix):
    write_set(tmp_path, prefix, test, suffix, pixel=9)
    (tmp_path / "emnist-letters-mapping.txt").write_text("1 65 97")
    (x_train, y_train), (x_test, y_test) = load_mnist(str(tmp_path))
    assert x_train.tolist() == np.full((3, 2, 2), 9).tolist() and y_train.tolist() == [0, 1, 2]
    assert x_test.tolist() == np.full((2, 2, 2), 9).tolist() and y_test.tolist() == [0, 1]
    x_train[...] = 0
    assert load_mnist(tmp_path)[0][0].max() == 9


def test_mnist_from_a_folder_unpacked_with_dots_and_folders(tmp_path):
    write_set(tmp_path)
    for file in list(tmp_path.iterdir()):
        file.rename(tmp_path / file.name.replace("-idx", ".idx"))
        (tmp_path / file.name).mkdir()
    assert load_mnist(tmp_path)[0][0].shape == (3, 2, 2)


def test_mnist_prefers_the_plain_file_to_its_gzipped_twin(tmp_path):
    write_set(tmp_path, suffix=".gz", pixel=1)
    write_set(tmp_path, pixel=2)
    assert load_mnist(tmp_path)[0][0].max() == 2


def test_mnist_several_sets_in_a_folder(tmp_path):
    write_set(tmp_path, pixel=1)
    write_set(tmp_path, "emnist-letters-", "test", ".gz", pixel=2)
    write_set(tmp_path, "emnist-digits-", "test", ".gz", pixel=3)
    with pytest.raises(ValueError, match="name must be one of 'emnist-digits', 'emnist-letters', '', .*; got None$"):
        load_mnist(tmp_path)
    with pytest.raises(ValueError, match="name must be one of .*'emnist-digits'.* got 'letters'"):
        load_mnist(tmp_path, name="letters")
    pixels = {name: load_mnist(tmp_path, name=name)[0][0].max() for name in ("", "emnist-letters", "emnist-digits")}
    assert pixels == {"": 1, "emnist-letters": 2, "emnist-digits": 3}


def test_mnist_two_files_for_one_part(tmp_path):
    write_set(tmp_path, test="t10k")
    write_set(tmp_path, test="test")
    with pytest.raises(ValueError, match="t10k-images-idx3-ubyte and test-images-idx3-ubyte"):
        load_mnist(tmp_path)


def test_mnist_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no IDX files"):
        load_mnist(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_mnist(tmp_path / "nowhere")
    write_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="no file of test labels"):
        load_mnist(tmp_path)


def test_mnist_files_that_do_not_fit(tmp_path):
    write_set(tmp_path)
    write(tmp_path / "train-labels-idx1-ubyte", idx(0x08, (4,), [0, 1, 2, 3]))
    with pytest.raises(ValueError, match=r"train-labels.*each of the 3 images.*\(4,\)"):
        load_mnist(tmp_path)
    write(tmp_path / "train-images-idx3-ubyte", idx(0x08, (4, 2), [0] * 8))
    with pytest.raises(ValueError, match=r"train-images.*\(N, height, width\).*\(4, 2\)"):
        load_mnist(tmp_path)


def test_mnist_name_needs_path():
    with pytest.raises(ValueError, match="name.*'emnist-letters'"):
        load_mnist(name="emnist-letters")


# Small data sets


def test_digits():
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = load_digits()
    flat, labels = datasets.load_digits(return_X_y=True)
    assert x.shape == (1797, 8, 8) and x.dtype == np.float64 and (x.min(), x.max()) == (0, 16)
    assert np.array_equal(x.reshape(1797, 64), flat) and np.array_equal(y, labels)
    assert x[0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0] and y[0] == 0  # the first row of the published optdigits.tes


def test_iris():
    pytest.importorskip("sklearn.datasets")
    x, y = load_iris()
    assert x.shape == (150, 4) and np.bincount(y).tolist() == [50, 50, 50]
    assert x[0].tolist() == [5.1, 3.5, 1.4, 0.2]
    assert x.mean(axis=0) == pytest.approx([5.843333, 3.057333, 3.758, 1.199333], abs=1e-6)


@pytest.mark.parametrize("load", [load_digits, load_iris])
def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch, load):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "sklearn.datasets", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'fastnn-kernels\[sklearn\]'"):
        load()


def test_boston():
    x, y = load_boston()
    assert x.shape == (506, 13) and y.shape == (506,) and x.dtype == y.dtype == np.float64
    assert x.flags.c_contiguous and y.flags.c_contiguous and x.flags.writeable
    assert x[0].tolist() == [0.00632, 18, 2.31, 0, 0.538, 6.575, 65.2, 4.09, 1, 296, 15.3, 396.9, 4.98] and y[0] == 24
    assert x[-1].tolist() == [0.04741, 0, 11.93, 0, 0.573, 6.03, 80.8, 2.505, 1, 273, 21, 396.9, 7.88] and y[-1] == 11.9
    assert (y.min(), y.max()) == (5, 50) and y.mean() == pytest.approx(22.532806, abs=1e-6)
    assert x[:, 3].sum() == 35  # tracts by the Charles river


def test_import_is_light():
    heavy = "('sklearn', 'scipy', 'pandas', 'matplotlib', 'numba', 'PIL')"
    code = f"import sys, fastnn.datasets; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
