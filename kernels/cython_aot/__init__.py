"""The compiled CPU backend: Cython, built once per instruction level, the best one chosen at import.

``FASTNN_CPU_LEVEL`` (x86_64_v4, x86_64_v3, x86_64_v2 or baseline) forces a lower level.
"""

import importlib
import importlib.util
import os
import pathlib
from importlib.machinery import EXTENSION_SUFFIXES

from .. import spec, threads

#: how often a thread of GNU's OpenMP looks for the end of a wait before it sleeps: some 15 us instead of a millisecond or more. On
#: a machine that is busy with other programs, threads that spin keep the ones they wait for from running.
SPIN_COUNT = "1000"


def _load_call():
    """Import the first extension, with which OpenMP's library is loaded and reads its settings; the user's own ones come first."""
    if os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:
        return importlib.import_module(".call", __name__)
    os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT
    try:
        return importlib.import_module(".call", __name__)
    finally:
        del os.environ["GOMP_SPINCOUNT"]


call = _load_call()

#: instruction levels, best first: each is a folder of this package
LEVELS = ("x86_64_v4", "x86_64_v3", "x86_64_v2", "baseline")


def _built(level):
    folder = pathlib.Path(__file__).parent / level
    return any((folder / f"data{suffix}").exists() for suffix in EXTENSION_SUFFIXES)


def _choose_level():
    usable = [level for level in LEVELS[LEVELS.index(call.cpu_level()) :] if _built(level)]
    forced = os.environ.get("FASTNN_CPU_LEVEL")
    if forced and forced not in usable:
        raise ImportError(
            f"FASTNN_CPU_LEVEL={forced}: expected one of {', '.join(usable)} (built, and supported by this processor)"
        )
    if not usable:
        raise ImportError(f"no compiled kernels in {pathlib.Path(__file__).parent} for a processor of level {call.cpu_level()}")
    return forced or usable[0]


call.set_num_threads(threads.get_num_threads())
#: the instruction level in use
LEVEL = _choose_level()


def _addresses(family):
    name = f"{__name__}.{LEVEL}.{family}"
    compiled = importlib.import_module(name) if importlib.util.find_spec(name) else None
    if getattr(compiled, "CONTRACT", None) != spec.contract(family):
        raise ImportError(f"the kernels of {name} were not compiled from this source: compile them again, pip install -e .")
    return compiled.ADDRESSES


#: op name -> compiled kernel
KERNELS = {
    name: call.Kernel(spec.OPS[name], addresses) for family in spec.COMPILED for name, addresses in _addresses(family).items()
}
