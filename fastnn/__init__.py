"""fastnn: small neural networks, trained fast on an ordinary computer.

Keras's names, compiled kernels underneath: `Sequential` and `layers` to build and train models, `GradientTape` and `ops` for one's
own training loops, `kernels` for the bare arithmetic on arrays.
"""

import importlib.machinery
import importlib.util
import os
import sys

if importlib.util.find_spec("fastnn.kernels") is None:
    # The shell stands in the root of the repository, where kernels/ lies beside fastnn/, not in it. The kernels that were compiled
    # are in the installed copy, which therefore gives all modules below this one.
    _here = os.path.dirname(os.path.abspath(__file__))
    _others = [path for path in sys.path if os.path.abspath(os.path.join(path, "fastnn")) != _here]
    _installed = importlib.machinery.PathFinder.find_spec("fastnn", _others)
    if _installed is None or _installed.origin is None:
        raise ImportError(f"the fastnn in {_here} is not installed; run `pip install -e .` in {os.path.dirname(_here)}", name="fastnn")
    __path__[:] = _installed.submodule_search_locations or []
    __file__ = _installed.origin

import importlib

__version__ = "0.1.0"

_HOMES = {"GradientTape": "autodiff", "Tensor": "autodiff", "Variable": "autodiff", "constant": "autodiff", "show_config": "config",
          "use_backend": "kernels", "get_num_threads": "kernels.threads", "set_num_threads": "kernels.threads", "Sequential": "model",
          "set_seed": "random", "load_model": "saving"}


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    try:
        return importlib.import_module(f".{name}", __name__)
    except ModuleNotFoundError as error:
        raise AttributeError(name) from error
