"""``fastnn predict``."""

from __future__ import annotations

import argparse
import contextlib
import csv
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import image_folder
from ..datasets.ahead import map_ahead
from ..layers import Activation
from ..losses import BinaryCrossentropy
from ..model import Sequential
from ..pictures import image_shape, read_picture
from .environment import apply_settings
from .failure import Failure, given_by, reason
from .inputs import BATCH, load_given_model

#: what writes the answer for a picture, given its path and its probabilities
Write = Callable[[str, Any], Any]


def run_predict(args: argparse.Namespace) -> int:
    """Print or write the class of each picture; return the exit code, 1 if one could not be read."""
    apply_settings(args)
    model = load_given_model(args.model)
    if getattr(model.loss, "from_logits", False):
        model.add(Activation(model.loss.link))  # type: ignore[union-attr]  # probabilities are written
    names = _class_names(model, args.model)
    image_shape(model.input_shape[1:])
    paths: list[str] = []
    for given in args.images:
        with given_by("IMAGE"):
            paths += image_folder(given, labels=None, shuffle=False, verbose=False).file_paths if given.is_dir() else [str(given)]
    table = args.output is not None or any(given.is_dir() for given in args.images)
    failed = False
    with _table(args.output, names) if table else contextlib.nullcontext(_line(names)) as write:
        for path, notes, scores in _answers(model, paths):
            for note in notes:
                print(note, file=sys.stderr)
            if scores is None:
                failed = True
            else:
                write(path, scores)
    return int(failed)


def _line(names: Sequence[str]) -> Write:
    """Return what prints a line for a picture."""
    return lambda path, scores: print(f"{path}: {names[scores.argmax()]} ({scores.max():.1%})")


@contextlib.contextmanager
def _table(output: Path | None, names: Sequence[str]) -> Iterator[Write]:
    """Give what writes a row of a table (CSV) for a picture, to a new file or on stdout."""
    with given_by("--output"):
        opened = contextlib.nullcontext(sys.stdout) if output is None else open(output, "x", newline="", encoding="utf-8")
    with opened as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "label", *names])
        yield lambda path, scores: writer.writerow([path, names[scores.argmax()], *(f"{score:.6g}" for score in scores)])


def _class_names(model: Sequential, path: Path) -> list[str]:
    """Return the names of the classes that a model's outputs stand for: 0, 1, ... if it knows none."""
    outputs = model.output_shape[1] if len(model.output_shape) == 2 else None
    if outputs == 1 and isinstance(model.loss, BinaryCrossentropy):
        outputs = 2
    if outputs is None or outputs < 2:
        raise Failure(f"{path} does not tell classes apart: its output has shape {model.output_shape}")
    names = model.class_names or [str(label) for label in range(outputs)]
    if len(names) != outputs:
        raise Failure(f"{path} has names of {len(names)} classes, and outputs for {outputs}")
    return names


def _answers(model: Sequential, paths: Sequence[str]) -> Iterator[tuple[str, list[str], Any]]:
    """Yield each picture's path, what is to be said about it, and its probabilities, or None if it cannot be read."""

    def read(path: str) -> Any:
        try:
            return read_picture(path, model.input_shape[1:])
        except (OSError, ValueError) as error:
            return error

    pictures = zip(paths, map_ahead(read, paths, 2 * BATCH), strict=True)
    while chunk := list(itertools.islice(pictures, BATCH)):
        images = [picture[0] for _, picture in chunk if not isinstance(picture, Exception)]
        scores = model.predict(np.stack(images)) if images else np.empty(0)
        rows = iter(np.hstack([1 - scores, scores]) if scores.shape[1:] == (1,) else scores)
        for path, picture in chunk:
            if isinstance(picture, Exception):
                yield path, [f"fastnn: error: {reason(picture)}"], None
            else:
                yield path, [f"{path}: {step}" for step in picture[1]], next(rows)
