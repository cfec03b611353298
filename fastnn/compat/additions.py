"""What somebody has added to a module of a course: definitions in the course's own file that the module here has none of."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Container
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any


def public(module: ModuleType) -> dict[str, Any]:
    """Return what ``from module import *`` imports."""
    names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    return {name: getattr(module, name) for name in names}


def additions(own: ModuleSpec | None, there: Container[str]) -> CodeType | None:
    """Return the code of the course's own file without its definitions of what is `there`; None if it defines nothing else.

    Its imports and other statements stay. A file of Python 2 adds nothing, which is told.

    Raises
    ------
    SyntaxError
        If the file is none of Python at all: somebody is writing it.
    """
    if own is None or not isinstance(own.loader, InspectLoader):
        return None
    source = own.loader.get_source(own.name) or ""
    try:
        tree = ast.parse(source, own.origin or own.name)
    except SyntaxError as error:
        if "'print'" not in error.msg:
            raise
        warnings.warn(
            f"{own.origin} is written in Python 2 (line {error.lineno}: {error.msg}): fastnn's module stands for all of it, and "
            "what may have been added to it is left out",
            stacklevel=2,
        )
        return None
    kept, added = [], False
    for node in tree.body:
        names = _defined(node)
        if not names or any(name not in there for name in names):
            kept.append(node)
            added |= any(not name.startswith("_") for name in names)
    tree.body = kept
    return compile(tree, own.origin or own.name, "exec") if added else None


def _defined(node: ast.stmt) -> list[str]:
    """Return the names that a statement gives to a function, a class or values."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return [name.id for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)]
    return []
