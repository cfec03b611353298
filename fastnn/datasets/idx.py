"""The IDX file format, in which MNIST and the data sets made after it are published.

A file is: two zero bytes, a type code, the number of dimensions, the size of each dimension as a big-endian uint32, and then the
elements, big-endian, the last dimension fastest. Described by LeCun, Cortes and Burges on http://yann.lecun.com/exdb/mnist/.
"""

import gzip
import math
import os
import struct
import zlib
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

#: type code -> type of the elements as they stand in the file
DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
GZIP_MAGIC = b"\x1f\x8b"
CHUNK = 1 << 20


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read an array from an IDX file.

    Parameters
    ----------
    path : str or path-like
        The file, plain or gzipped; which of the two is told from its first bytes, not from its name.

    Returns
    -------
    numpy.ndarray
        A new array of the shape and type that the file declares (uint8, int8, int16, int32, float32 or float64), in the
        machine's byte order.

    Raises
    ------
    ValueError
        If the file is not an IDX file, if its gzip data are damaged, or if it holds fewer or more elements than its header says.

    Notes
    -----
    Memory grows with the data that are really there and never beyond what the header declares, so neither a header that promises
    too much nor a gzip file that expands to more than promised can exhaust it.
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        if file.peek(2)[:2] != GZIP_MAGIC:
            return _read_stream(file, path)
        try:
            with gzip.GzipFile(fileobj=file) as stream:
                return _read_stream(stream, path)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: damaged gzip data: {error}") from error


def _read_stream(stream: BinaryIO | gzip.GzipFile, path: str) -> NDArray[Any]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES:
        raise ValueError(
            f"{path}: not an IDX file: expected two zero bytes, a type code ({', '.join(f'0x{code:02x}' for code in DTYPES)}) "
            f"and the number of dimensions, got {magic!r}"
        )
    dtype, ndim = DTYPES[magic[2]], magic[3]
    if ndim == 0:
        raise ValueError(f"{path}: expected an IDX file with at least one dimension, got 0")
    sizes = stream.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise ValueError(f"{path}: truncated IDX header: expected {4 * ndim} bytes of dimension sizes, got {len(sizes)}")
    shape = struct.unpack(f">{ndim}I", sizes)

    promised = math.prod(shape) * dtype.itemsize
    promise = f"the header promises shape {shape} of {dtype.name}, {promised} bytes"
    data = bytearray()
    while len(data) < promised and (chunk := stream.read(min(CHUNK, promised - len(data)))):
        data += chunk
    if len(data) < promised:
        raise ValueError(f"{path}: truncated IDX data: {promise}, got {len(data)}")
    if stream.read(1):  # at the end of gzip data this read also verifies their checksum
        raise ValueError(f"{path}: too much IDX data: {promise}, more follow")

    try:
        array = np.frombuffer(data, dtype).reshape(shape)
    except ValueError as error:  # too many dimensions, or an empty array with one dimension too large
        raise ValueError(f"{path}: NumPy cannot hold the shape {shape} that the IDX header promises: {error}") from error
    return array.astype(dtype.newbyteorder("="), copy=False)
