"""How exactly matrices are multiplied on a GPU that has tensor cores."""

from __future__ import annotations

from .backends import BACKENDS, active_backend, kernels_of

PRECISIONS = ("float32", "tf32", "bf16")

_precision = "float32"


def get_precision() -> str:
    """Return what `set_precision` has set: "float32" by default."""
    return _precision


def set_precision(precision: str) -> None:
    """Set how exactly the backend "cuda" multiplies matrices of float32: in dense and convolutional layers and their gradients.

    Parameters
    ----------
    precision : {"float32", "tf32", "bf16"}
        "float32" multiplies the numbers as they are. The other two take tensor cores: the factors are rounded, to 10 bits behind
        the binary point ("tf32") or to 7 ("bf16"), and the products added in float32. With "bf16" a recorded step also stores
        images and gradients by images in 16 bits, where they are large and never leave the GPU. Weights, their gradients,
        statistics, losses and what optimizers keep are float32 and lose nothing. float64 is always multiplied, and stored, as
        it is.

    Raises
    ------
    ValueError
        If there is no such precision, the backend in use computes on the CPU, or the GPU is older than tensor cores for it (compute
        capability 8.0).

    Notes
    -----
    Relative errors of a product of matrices are about 3e-4 with "tf32" and 3e-3 with "bf16". The same seed gives the same bits.
    Backends that compute on the CPU multiply in float32 whatever was set before one of them was chosen.
    """
    global _precision
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(map(repr, PRECISIONS))}; got {precision!r}")
    if precision != "float32":
        backend = active_backend()
        if BACKENDS[backend].device == "cpu":
            raise ValueError(
                f"precision {precision!r} is for the tensor cores of a GPU, and the backend in use, {backend!r}, computes on the "
                "CPU; choose the other first: fastnn.use_backend('cuda')"
            )
        kernels_of(backend)
        from .numba_gpu.device import card

        card().check_tensor_cores()
    _precision = precision


def arithmetic() -> tuple[str, str]:
    """Return what a recorded step depends on besides its arrays: the backend in use, and the precision."""
    return active_backend(), _precision
