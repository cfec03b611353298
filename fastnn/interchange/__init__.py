"""Files of other programs.

`load_onnx` and `Sequential.export_onnx` read and write ONNX, which needs the onnx library: ``pip install 'fastnn-kernels[onnx]'``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..files import PathLike

if TYPE_CHECKING:
    from ..model import Sequential


def load_onnx(path: PathLike) -> Sequential:
    """Return the model of an ONNX file; needs the extra ``onnx``.

    It reads the graphs that PyTorch, Keras and fastnn write for a row of the layers that there are here: dense, convolutions
    (grouped and depthwise ones as `Conv2D` with groups), pooling, normalization, activations, reshaping. What computes only in
    training, like dropout, is not in such files.

    Parameters
    ----------
    path : path_like
        The file. Weights in a file of their own, as PyTorch writes them by default, are read if that one lies in the same folder.

    Returns
    -------
    Sequential
        Not compiled; with the inputs and outputs of the file: images of a PyTorch model are (N, C, H, W).

    Raises
    ------
    ModelFileError
        A ValueError: if the file is damaged, is no ONNX, or has an operator without a counterpart here; the message names it.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import fastnn
    >>> model = fastnn.load_onnx("net.onnx")  # doctest: +SKIP
    """
    from .onnx_import import read_model

    return read_model(path)
