"""What is set for a command before it runs, and the commands about that: ``fastnn warmup`` and ``fastnn info``."""

from __future__ import annotations

import argparse
import warnings

from ..config import show_config
from ..kernels import use_backend
from ..kernels.backends import backend_on, kernels_of
from ..kernels.threads import set_num_threads
from .failure import Failure


def apply_settings(args: argparse.Namespace) -> None:
    """Take over ``--threads``, and ``--backend`` or ``--device``."""
    if args.threads is not None:
        set_num_threads(args.threads)
    if args.backend is not None or args.device is not None:
        use_backend(args.backend or backend_on(args.device))


def run_warmup(args: argparse.Namespace) -> int:
    """Compile all kernels of the backend numba; return the exit code."""
    kernels = kernels_of("numba")
    from tqdm import tqdm  # where it is used: these imports take a while

    from ..kernels.numba_jit import cache, team

    with warnings.catch_warnings():
        warnings.simplefilter("error", cache.NotKept)
        try:
            team.native()
            for kernel in tqdm(kernels.values(), desc="compiling", unit="kernel"):
                kernel.compile()
        except cache.NotKept as error:
            raise Failure(error) from None
    print(f"{len(kernels)} kernels in {cache.folder()}")
    return 0


def run_info(args: argparse.Namespace) -> int:
    """Print the configuration; return the exit code."""
    apply_settings(args)
    show_config()
    return 0
