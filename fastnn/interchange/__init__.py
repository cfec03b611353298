"""Files of other programs.

* ONNX: `load_onnx` and `fastnn.Sequential.export_onnx`, which need the onnx library, ``pip install 'fastnn-kernels[onnx]'``
* weights of Keras: `fastnn.Sequential.load_weights`, which needs h5py for them, ``pip install 'fastnn-kernels[keras]'``
* weights of PyTorch: `load_torch_weights`
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..files import PathLike

if TYPE_CHECKING:
    from ..model import Sequential

__all__ = ["load_onnx", "load_torch_weights"]


def load_onnx(path: PathLike) -> Sequential:
    """Return the model of an ONNX file; needs the extra ``onnx``.

    It reads the graphs that PyTorch, Keras and fastnn write for a row of the layers that there are here: dense, convolutions
    (grouped and depthwise ones as `fastnn.layers.Conv2D` with groups), pooling, normalization, activations, reshaping. What
    computes only in training, like dropout, is not in such files.

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


def load_torch_weights(
    model: Sequential, path: PathLike, modules: Sequence[str] | None = None, data_format: str | None = None
) -> None:
    """Read the state dict of a PyTorch module, saved as safetensors, into a built model of the same layers.

    The axes of the weights are put into the order that they have here. So are the rows of the dense layer behind a
    `fastnn.layers.Flatten`: PyTorch flattens images as (C, H, W), whereas rows of a channels_last model are (H, W, C).

    Parameters
    ----------
    model : Sequential
        A model that is built, with images in either layout. A `fastnn.layers.SeparableConv2D` stands for two modules, a depthwise
        convolution without bias and one with 1 x 1 filters.
    path : path_like
        What ``safetensors.torch.save_file(module.state_dict(), path)`` wrote.
    modules : sequence of str, optional
        The names of the modules with weights, in the order of the layers with weights: the file does not keep their order. By
        default, those of an ``nn.Sequential``, which are numbers. Modules that are not named are not read.
    data_format : {"channels_last", "channels_first"}, optional
        The layout of the model's images, needed where they are flattened before any layer of images tells it.

    Raises
    ------
    ModelFileError
        A ValueError: if the file is damaged, is a pickle, or its weights are not those of the model, which then stays as it is.
    ValueError
        If the model is not built.
    TypeError
        If `path` is a state dict, a module or something else that is no path, or `modules` a single name.
    OSError
        If the file cannot be read.

    Notes
    -----
    What is no weight is the model's own matter: PyTorch's normalizations have ``epsilon=1e-5``, and a ``LeakyReLU`` the slope 0.01.

    Examples
    --------
    >>> from fastnn.interchange import load_torch_weights
    >>> load_torch_weights(model, "net.safetensors", modules=["conv1", "bn1", "fc1"])  # doctest: +SKIP
    """
    from .torch_weights import read_torch_weights

    read_torch_weights(model, path, modules, data_format)
