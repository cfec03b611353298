"""Kernels: the arithmetic of neural networks on arrays, as functions to call and as ops for the layers above.

The functions here check their arguments, convert them, allocate the results and send the work to the backend in use.
``fastnn.kernels.spec`` says what each op is; kernels/README.md in the source tree is the handbook for who writes one.
No backend is imported before its first use.
"""

from . import functions, spec
from .backends import active_backend, use_backend
from .functions import *  # noqa: F403

__all__ = ["active_backend", "spec", "use_backend", *functions.__all__]
