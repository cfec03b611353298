"""Models and images that several commands are given."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import ImageFolder, load_mnist
from ..datasets.mnist import Split, data_sets
from ..model import Sequential
from ..saving import load_model
from .failure import Failure, given_by

MODEL_FILE = "model.safetensors"
#: pictures that are read and answered at a time
BATCH = 32
#: bad files that are named one by one
MOST_REASONS = 20


def load_given_model(path: Path) -> Sequential:
    """Return the model of a file, or of the folder of a training."""
    return load_model(path / MODEL_FILE if path.is_dir() else path)


def load_images(args: argparse.Namespace) -> tuple[Split, Split] | None:
    """Return the images that the user asked for, or None for the default ones."""
    if args.data is None:
        if args.data_name is not None:
            raise Failure("--data-name chooses a data set in the folder that --data names; give both")
        return None
    with given_by("--data"):
        found = data_sets(args.data)
        if args.data_name not in found and (args.data_name is not None or len(found) > 1):
            raise Failure(f"--data-name must be one of {', '.join(map(repr, found))}, the data sets in {args.data}")
        train, test = load_mnist(args.data, args.data_name)
    for x, _ in (train, test):
        if x.dtype != np.uint8 or not x.size:
            raise Failure(f"--data: {args.data}: expected images of type uint8, at least one, got {x.shape} of type {x.dtype}")
    return train, test


def report_bad_files(*data: Any) -> None:
    """Say on stderr which files of pictures were left out."""
    bad = [reason for part in data if isinstance(part, ImageFolder) for reason in part.bad_files.values()]
    if bad:
        print(f"fastnn: {len(bad)} files were left out:", file=sys.stderr)
        for reason in bad[:MOST_REASONS]:
            print(f"  {reason}", file=sys.stderr)
        if len(bad) > MOST_REASONS:
            print(f"  ... and {len(bad) - MOST_REASONS} more", file=sys.stderr)
