"""Docstrings: Parameters names all arguments and defaults of the signature, and examples run as a reader would paste them."""

import ast
import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

import fastnn

MODULES = [
    *("fastnn", "fastnn.estimators", "fastnn.compat"),
    *(f"fastnn.{name}" for name in fastnn.__all__ if inspect.ismodule(getattr(fastnn, name))),
]
FOLDERS = {"fastnn": Path(fastnn.__file__).parent, "fastnn.kernels": Path(fastnn.kernels.__file__).parent}
EXAMPLES = {
    ".".join((package, *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__")
    for package, folder in FOLDERS.items()
    for path in folder.rglob("*.py")
    if re.search(r"^ *>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
}
#: package -> library that its examples need
LIBRARIES = {"custom": "numba", "estimators": "sklearn", "plotting": "matplotlib"}
#: characters of a line of code that the pages of the reference show without scrolling, besides the prompt
PAGE = 86
PARAMETER = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: : (.*))?$")


def members(module):
    """Return what a module or its classes define of public functions and classes, by name."""
    found = {}
    for name, value in inspect.getmembers(importlib.import_module(module)):
        if name.startswith("_") or not str(getattr(value, "__module__", "")).startswith("fastnn"):
            continue
        if inspect.isclass(value):
            found[name] = value
            methods = {key: inspect.unwrap(getattr(value, key)) for key in vars(value) if not key.startswith("_")}
            found |= {f"{name}.{key}": method for key, method in methods.items() if inspect.isroutine(method)}
        elif inspect.isfunction(value):
            found[name] = value
    return found


def documented(function):
    """Return the types, by the names of the arguments, of the section Parameters; None without one."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-+$|\Z)", inspect.getdoc(function) or "", re.MULTILINE | re.DOTALL)
    if section is None:
        return None
    found = {}
    for line in section[1].splitlines():
        if line and not line.startswith(" "):
            names, kind = PARAMETER.match(line).groups()
            names = names.split(", ")
            stated = re.search(r"\bdefaults? (.*)$", kind or "")
            defaults = re.split(r", | and ", stated[1]) if stated and len(names) > 1 else [stated and stated[1]]
            defaults = defaults * len(names) if len(defaults) == 1 else defaults
            found |= dict(zip((name.lstrip("*") for name in names), defaults, strict=True))
    return found


@pytest.mark.parametrize("module", MODULES)
def test_parameters(module):
    wrong = []
    for name, function in members(module).items():
        stated = documented(function)
        if stated is None:
            continue
        parameters = dict(inspect.signature(function).parameters)
        arguments = [p for p in parameters if p not in ("self", "cls", "unknown")]  # `unknown` is what is refused
        if sorted(arguments) != sorted(stated):
            wrong.append(f"{name} has {', '.join(arguments)}; described are {', '.join(stated)}")
            continue
        for argument, text in stated.items():
            default = parameters[argument].default
            if text is None or default is None:  # None stands for what the text says
                continue
            try:
                told = ast.literal_eval(text)
            except (ValueError, SyntaxError):
                told = text
            if told != default:
                wrong.append(f"{name}: {argument} is {default!r} by default, described as {text}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", sorted(EXAMPLES))
def test_examples(module, monkeypatch, fresh, in_empty_folder, own_names):
    """Nothing is there but what an example imports."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    if library := LIBRARIES.get(module.split(".")[1]):
        pytest.importorskip(library)
    module = importlib.import_module(module)
    sources = [example.source for test in doctest.DocTestFinder().find(module) for example in test.examples]
    lines = [line.partition("  # doctest:")[0] for source in sources for line in source.splitlines()]
    assert not [line for line in lines if len(line) > PAGE], "the pages of the reference are not so wide"
    results = doctest.testmod(module, globs={})
    assert results.attempted
    assert not results.failed
