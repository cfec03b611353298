"""Course code made fast: modules that stand in for those of a course, name for name.

Import one instead of the course's (``from fastnn.compat.dlfs.layers import Affine``); or leave the course's code as it is and let
`install`, at the top of a notebook, or ``python -m fastnn.compat.run --course dlfs script.py`` put them in the place of the
course's own modules.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from .additions import additions, public

__all__ = ["COURSES", "install"]

#: course -> name of a module as the course's code imports it -> the module here that takes its place. Modules that compute nothing
#: themselves (cs231n.layer_utils, where students add layers of their own; the trainers of dlfs2) stay the course's.
COURSES: dict[str, dict[str, str]] = {
    "coursera": {
        "dnn_app_utils": "fastnn.compat.coursera.dnn_app",
        "dnn_app_utils_v2": "fastnn.compat.coursera.dnn_app",
        "dnn_app_utils_v3": "fastnn.compat.coursera.dnn_app",
        "dnn_utils": "fastnn.compat.coursera.dnn",
        "dnn_utils_v2": "fastnn.compat.coursera.dnn",
        "gc_utils": "fastnn.compat.coursera.gradient_checking",
        "init_utils": "fastnn.compat.coursera.initialization",
        "opt_utils": "fastnn.compat.coursera.optimization",
        "opt_utils_v1a": "fastnn.compat.coursera.optimization_v1a",
        "planar_utils": "fastnn.compat.coursera.planar",
        "reg_utils": "fastnn.compat.coursera.regularization",
    },
    "cs231n": {
        "cs231n.fast_layers": "fastnn.compat.cs231n.fast_layers",
        "cs231n.im2col": "fastnn.compat.cs231n.im2col",
        "cs231n.im2col_cython": "fastnn.compat.cs231n.im2col_cython",
        "cs231n.layers": "fastnn.compat.cs231n.layers",
        "cs231n.optim": "fastnn.compat.cs231n.optim",
    },
    "dlfs": {
        "common.functions": "fastnn.compat.dlfs.functions",
        "common.gradient": "fastnn.compat.dlfs.gradient",
        "common.layers": "fastnn.compat.dlfs.layers",
        "common.optimizer": "fastnn.compat.dlfs.optimizer",
        "common.trainer": "fastnn.compat.dlfs.trainer",
        "common.util": "fastnn.compat.dlfs.util",
    },
    "dlfs2": {
        "common.functions": "fastnn.compat.dlfs2.functions",
        "common.layers": "fastnn.compat.dlfs2.layers",
        "common.optimizer": "fastnn.compat.dlfs2.optimizer",
    },
    "nielsen": {
        "mnist_loader": "fastnn.compat.nielsen.mnist_loader",
        "network": "fastnn.compat.nielsen.network",
        "network2": "fastnn.compat.nielsen.network2",
    },
    "nnfs": {
        "nnfs": "fastnn.compat.nnfs",
        "nnfs.datasets": "fastnn.compat.nnfs.datasets",
    },
}


class _CourseFinder(MetaPathFinder, Loader):
    """Answers the import of a course's module with the module that stands in for it."""

    def __init__(self) -> None:
        self.modules: dict[str, str] = {}

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in self.modules:
            return None
        own = PathFinder.find_spec(name, path)
        spec = ModuleSpec(name, self, loader_state=own)
        spec.submodule_search_locations = own.submodule_search_locations if own else None
        return spec

    def exec_module(self, module: ModuleType) -> None:
        here, own = importlib.import_module(self.modules[module.__name__]), module.__spec__.loader_state  # type: ignore[union-attr]
        names = public(here)
        added = additions(own, names)
        if added is None:
            # the import system hands out what is in sys.modules after this: the module itself, under the course's name as well
            sys.modules[module.__name__] = here
        else:
            vars(module).update(names, __file__=own.origin)
            exec(added, vars(module))


class _PackageFinder(MetaPathFinder):
    """Answers the import of a course's package, where the course's folder is not there, with an empty one."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        inside = any(module.startswith(f"{name}.") for module in _finder.modules)
        return ModuleSpec(name, None, is_package=True) if inside else None


_finder = _CourseFinder()


def install(course: str, only: Iterable[str] | None = None, package: str | None = None) -> tuple[str, ...]:
    """Put fastnn's modules in the place of a course's own, for all imports that follow.

    Everything else of the course's code stays as it is: its other modules, the student's classes, the data. That goes for
    additions to a module that is replaced as well: functions and classes in the course's own file, and variables, of names that
    fastnn has no replacement for. They find fastnn's functions under the course's names. A function that is *changed* in that
    file gives way, however: leave its module out, with `only`. Where the course's package is not found, an empty one stands for it.

    Parameters
    ----------
    course : str
        A key of `COURSES`.
    only : iterable of str, optional
        Some of the modules of ``COURSES[course]``; all of them if left out. Who writes ``cs231n.layers`` as an assignment wants
        ``["cs231n.fast_layers", "cs231n.im2col_cython"]``, or it is not the assignment that gets checked.
    package : str, optional
        Where the modules lie, if not where the course has them: ``"assignment2.cs231n"`` for code that says
        ``from assignment2.cs231n.layers import affine_forward``.

    Returns
    -------
    tuple of str
        The names of the modules that are replaced.

    Raises
    ------
    TypeError
        If `only` is a string.
    ValueError
        If there is no such course, it has no such module, or another course's module stands in that place.
    RuntimeError
        If one of the course's own modules is imported already: whoever took functions out of it would keep the old ones.

    Examples
    --------
    >>> from fastnn.compat import install
    >>> install("cs231n", only=["cs231n.im2col_cython"])  # doctest: +SKIP
    ('cs231n.im2col_cython',)
    >>> from cs231n.im2col_cython import col2im_cython  # doctest: +SKIP
    """
    if course not in COURSES:
        raise ValueError(f"course must be one of {', '.join(map(repr, COURSES))}; got {course!r:.60}")
    if isinstance(only, str):
        raise TypeError(f"only must be a list of modules, such as [{only!r}]; got {only!r}")
    replaced = COURSES[course] if only is None else {}
    for name in only or ():
        if name not in COURSES[course]:
            raise ValueError(f"only must name some of {', '.join(map(repr, COURSES[course]))}; got {name!r:.60}")
        replaced[name] = COURSES[course][name]
    if package is not None:
        replaced = {f"{package}.{name.rpartition('.')[2]}": here for name, here in replaced.items()}
    for name, here in replaced.items():
        there = _finder.modules.get(name, here)
        if there != here:
            raise ValueError(f"{name} is {there} already; run the course {course!r} in a process of its own")
        if name in sys.modules and name not in _finder.modules:
            raise RuntimeError(
                f"{name} is imported already, and code that took functions out of it would keep them: "
                f"call install({course!r}) before the course's own imports (in a notebook: restart, then run it first)"
            )
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
        sys.meta_path.append(_PackageFinder())
    _finder.modules.update(replaced)
    return tuple(replaced)
