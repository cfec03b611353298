"""The commands and their options."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import __version__
from ..kernels.backends import BACKENDS
from ..kernels.threads import MAX_THREADS
from ..optimizers import OPTIMIZERS
from ..recipes import CATS_DOGS, RECIPES
from .environment import run_info, run_warmup
from .evaluate import run_evaluate
from .inputs import MODEL_FILE
from .predict import run_predict
from .train import run_train


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; `run` among its results is the function of the command."""
    parser = argparse.ArgumentParser(prog="fastnn", description="Train small neural networks, fast, on an ordinary computer.")
    parser.add_argument("--version", action="version", version=f"fastnn {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    recipes = "\n".join(
        f"  {recipe.name:<10}  {recipe.description}\n{'':14}"
        f"{recipe.epochs} epochs, batch size {recipe.batch_size}, {recipe.optimizer}, learning rate {recipe.learning_rate}"
        for recipe in RECIPES.values()
    )
    train = commands.add_parser(
        "train",
        help="train a network and save it",
        description="Train a network, show its progress, and save the model, its history and its learning curves.\n"
        "Ctrl-C stops the training and saves the model so far; the same command with --resume goes on with it.\n\n"
        "recipes:\n" + recipes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    train.add_argument("recipe", metavar="RECIPE", choices=RECIPES, help=f"one of {', '.join(RECIPES)}")
    train.add_argument("--epochs", type=_positive_int, metavar="N", help="passes over the training images (default: see above)")
    train.add_argument("--batch-size", type=_positive_int, metavar="N", help="images per step (default: see above)")
    train.add_argument("--optimizer", choices=OPTIMIZERS, metavar="NAME", help="one of %(choices)s (default: see above)")
    train.add_argument(
        "--learning-rate",
        type=_positive_float,
        metavar="RATE",
        help="the highest; it rises to it, then falls to zero (default: see above)",
    )
    train.add_argument("--seed", type=_seed, default=0, metavar="N", help="of all random numbers (default: %(default)s)")
    train.add_argument(
        "--output", type=Path, metavar="FOLDER", help="a new or empty folder (default: fastnn-runs/RECIPE, or RECIPE-2, -3, ...)"
    )
    train.add_argument(
        "--resume",
        action="store_true",
        help="go on with the interrupted training in FOLDER (default: the newest of fastnn-runs/RECIPE, RECIPE-2, ...), as if it "
        "had not been interrupted; give the options that it began with, of which --seed has no effect then",
    )
    train.add_argument(
        "--image-size",
        type=_positive_int,
        metavar="N",
        help=f"for pictures in folders: height and width that they are brought to (default: {CATS_DOGS.size})",
    )
    train.add_argument(
        "--no-plot", action="store_true", help="draw no learning curves (default: drawn, where matplotlib is installed)"
    )
    train.set_defaults(run=run_train)

    evaluate = commands.add_parser(
        "evaluate",
        help="measure a saved model's accuracy on test images",
        description="Print the loss and the accuracy of a saved model on test images.",
    )
    _add_model(evaluate)
    evaluate.set_defaults(run=run_evaluate)

    predict = commands.add_parser(
        "predict",
        help="say what is on pictures",
        description="Say which class each picture belongs to. Of folders, and with --output, a table is made (CSV): path, label, "
        "and the probability of each class.",
    )
    _add_model(predict)
    predict.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGE", help="a picture of any size, PNG or JPEG for instance, or a folder of them"
    )
    predict.add_argument("--output", type=Path, metavar="FILE", help="a new file for the table (default: it is printed)")
    predict.set_defaults(run=run_predict)

    warmup = commands.add_parser(
        "warmup",
        help="compile the numba backend's kernels ahead",
        description="Compile all kernels of the numba backend for later processes, instead of each when it is first used.",
    )
    warmup.set_defaults(run=run_warmup)

    info = commands.add_parser(
        "info",
        help="show version, backends, processor level and threads",
        description="Show version, backends, processor level and threads, with the options as a command would have them.",
    )
    info.set_defaults(run=run_info)

    data_help = (
        "IDX files of other images, like Fashion-MNIST's or EMNIST's (default: the data set that comes with the package); for "
        "pictures, a folder with a folder for each class, or with folders train and test that have them"
    )
    for command in (train, evaluate):
        command.add_argument("--data", type=Path, metavar="FOLDER", help=data_help)
        command.add_argument(
            "--data-name",
            metavar="NAME",
            help="the data set, where FOLDER holds several: emnist-letters, ... (default: the only one)",
        )
    devices = dict.fromkeys(backend.device for backend in BACKENDS.values())
    on_cpu = [name for name, backend in BACKENDS.items() if backend.device == "cpu"]
    for command in (train, evaluate, predict, info):
        command.add_argument(
            "--threads",
            type=_threads,
            metavar="N",
            help="most threads to use (default: FASTNN_NUM_THREADS, else OMP_NUM_THREADS, else one for each processor)",
        )
        where = command.add_mutually_exclusive_group()
        where.add_argument("--device", choices=devices, help="cuda: an NVIDIA GPU (default: that of FASTNN_BACKEND, else cpu)")
        where.add_argument(
            "--backend",
            choices=on_cpu,
            metavar="NAME",
            help="the kernels for the CPU, one of %(choices)s (default: FASTNN_BACKEND, else the first that is installed)",
        )
    return parser


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", type=Path, metavar="MODEL", help=f"a saved model, or a folder with a {MODEL_FILE}")


def _number(convert: Callable[[str], Any], fits: Callable[[Any], bool], expected: str) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return value

    return parse


_positive_int = _number(int, lambda value: value >= 1, "a positive integer")

_positive_float = _number(float, lambda value: 0 < value < math.inf, "a positive number")

_seed = _number(int, lambda value: value >= 0, "an integer, not negative")

_threads = _number(int, lambda value: 1 <= value <= MAX_THREADS, f"an integer from 1 to {MAX_THREADS}")
