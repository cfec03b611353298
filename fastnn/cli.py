"""The command line: ``fastnn train``, ``evaluate``, ``predict`` and ``info``.

Exit codes: 0 for success, 1 for a failure (a file that cannot be read, a missing extra, training that diverged), 2 for a wrong
command line, 130 for Ctrl-C.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__, callbacks, set_seed
from .config import show_config
from .datasets import load_mnist
from .datasets.mnist import Split
from .kernels import active_backend, use_backend
from .kernels.backends import BACKENDS
from .kernels.threads import MAX_THREADS, get_num_threads, set_num_threads
from .model import Sequential
from .optimizers import OPTIMIZERS
from .pictures import read_picture
from .recipes import DATA_SETS, RECIPES, compile_for
from .saving import load_model

MODEL_FILE = "model.safetensors"
CHECKPOINT = "checkpoint"
RUNS = Path("fastnn-runs")
INTERRUPTED = 130


class Failure(Exception):
    """Ends the command with one line on stderr and exit code 1."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print("fastnn: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (Failure, ImportError, MemoryError, OSError, ValueError) as error:
        print(f"fastnn: error: {error or type(error).__name__}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
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
    train.add_argument("--epochs", type=_positive_int, metavar="N", help="passes over the training images")
    train.add_argument("--batch-size", type=_positive_int, metavar="N", help="images per step")
    train.add_argument("--optimizer", choices=OPTIMIZERS, metavar="NAME", help="one of %(choices)s")
    train.add_argument(
        "--learning-rate", type=_positive_float, metavar="RATE", help="the highest; it rises to it, then falls to zero"
    )
    train.add_argument("--seed", type=_seed, default=0, metavar="N", help="of all random numbers (default: %(default)s)")
    train.add_argument(
        "--output", type=Path, metavar="FOLDER", help="a new or empty folder (default: fastnn-runs/RECIPE, or RECIPE-2, -3, ...)"
    )
    train.add_argument(
        "--resume",
        action="store_true",
        help="go on with the interrupted training in FOLDER (default: the newest of fastnn-runs/RECIPE, RECIPE-2, ...), as if it "
        "had not been interrupted; --seed has no effect then",
    )
    train.add_argument("--no-plot", action="store_true", help="draw no learning curves")
    train.set_defaults(run=_train)

    evaluate = commands.add_parser("evaluate", help="measure a saved model's accuracy on test images")
    _add_model(evaluate)
    evaluate.set_defaults(run=_evaluate)

    predict = commands.add_parser("predict", help="say what is on pictures", description="Say which class each picture belongs to.")
    _add_model(predict)
    predict.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="a picture of any size, PNG or JPEG for instance")
    predict.set_defaults(run=_predict)

    info = commands.add_parser("info", help="show version, backends, processor level and threads")
    info.set_defaults(run=_info)

    data_help = "IDX files of other images, like Fashion-MNIST's or EMNIST's (default: the data set that comes with the package)"
    for command in (train, evaluate):
        command.add_argument("--data", type=Path, metavar="FOLDER", help=data_help)
        command.add_argument("--data-name", metavar="NAME", help="the data set, where FOLDER holds several (emnist-letters, ...)")
    for command in (train, evaluate, predict, info):
        command.add_argument("--threads", type=_threads, metavar="N", help="most threads to use")
        command.add_argument("--backend", choices=BACKENDS, metavar="NAME", help="one of %(choices)s")
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


def _apply_settings(args: argparse.Namespace) -> None:
    if args.threads is not None:
        set_num_threads(args.threads)
    if args.backend is not None:
        use_backend(args.backend)


def _train(args: argparse.Namespace) -> int:
    _apply_settings(args)
    recipe = RECIPES[args.recipe]
    (x, y), test = _load_images(args) or recipe.images.load()
    epochs, batch_size = args.epochs or recipe.epochs, args.batch_size or recipe.batch_size
    set_seed(args.seed)
    model = recipe.build(x.shape[1:], int(max(y.max(), test[1].max())) + 1)
    learning_rate = args.learning_rate or (recipe.learning_rate if args.optimizer in (None, recipe.optimizer) else None)
    compile_for(model, len(x), epochs, batch_size, args.optimizer or recipe.optimizer, learning_rate)
    folder = (_interrupted_folder if args.resume else _output_folder)(args.output, recipe.name)
    print(
        f"{recipe.name}: {model.count_params():,} parameters, {len(x):,} images to learn from, {len(test[0]):,} to test; "
        f"{active_backend()} backend, {get_num_threads()} threads, {'resumed' if args.resume else f'seed {args.seed}'}"
    )
    bar, logger = callbacks.ProgressBar("auto"), callbacks.CSVLogger(folder / "history.csv")
    backup = callbacks.BackupAndRestore(folder / CHECKPOINT, delete_checkpoint=False)
    try:
        history = model.fit(x, y, batch_size, epochs, verbose=0, callbacks=[bar, logger, backup], validation_data=test).history
    except KeyboardInterrupt:
        bar.on_train_end()
        model.save(folder / MODEL_FILE)
        print(
            f"fastnn: interrupted; the model so far is in {folder / MODEL_FILE}; the same command with --resume goes on from the "
            "last whole epoch",
            file=sys.stderr,
        )
        return INTERRUPTED
    model.save(folder / MODEL_FILE)
    backup.delete()
    if not math.isfinite(history["loss"][-1]):
        raise Failure("the loss is no longer finite; try a smaller --learning-rate")
    print(f"test accuracy {history['val_accuracy'][-1]:.2%}, test loss {history['val_loss'][-1]:.4f}")
    print(f"model saved in {folder / MODEL_FILE}")
    if not args.no_plot:
        _plot(history, recipe.name, folder / "learning-curves.png")
    return 0


def _load_images(args: argparse.Namespace) -> tuple[Split, Split] | None:
    """Return the images that the user asked for, or None for the default ones."""
    if args.data is None:
        if args.data_name is not None:
            raise Failure("--data-name chooses a data set in the folder that --data names; give both")
        return None
    try:
        train, test = load_mnist(args.data, args.data_name)
    except ValueError as error:
        raise Failure(str(error).replace("name=", "--data-name").replace("name:", "--data-name:")) from error
    for x, _ in (train, test):
        if x.dtype != np.uint8 or not x.size:
            raise Failure(f"{args.data}: expected images of type uint8, at least one, got {x.shape} of type {x.dtype}")
    return train, test


def _output_folder(chosen: Path | None, name: str) -> Path:
    """Make and return the folder to write to: the chosen one if it is new or empty, else the next free default one."""
    if chosen is not None:
        chosen.mkdir(parents=True, exist_ok=True)
        if any(chosen.iterdir()):
            raise Failure(f"--output: {chosen} is not empty; nothing is overwritten, name another folder or empty it")
        return chosen
    RUNS.mkdir(exist_ok=True)
    for folder in _default_folders(name):
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("unreachable")


def _default_folders(name: str) -> Iterator[Path]:
    return (RUNS / (name if number == 1 else f"{name}-{number}") for number in itertools.count(1))


def _interrupted_folder(chosen: Path | None, name: str) -> Path:
    """Return the folder of an interrupted training: the chosen one, or the newest default one."""
    folder = chosen or [RUNS / name, *itertools.takewhile(Path.exists, _default_folders(name))][-1]
    if not (folder / CHECKPOINT).is_dir():
        raise Failure(f"--resume: {folder} holds no interrupted training; name another folder with --output, or leave --resume out")
    return folder


def _plot(history: dict[str, list[float]], title: str, path: Path) -> None:
    """Draw loss and accuracy by epoch, where matplotlib is installed."""
    try:
        from matplotlib.figure import Figure

        from .plotting.history import HistoryDisplay
    except ModuleNotFoundError:
        print("no learning curves: matplotlib is not installed (pip install 'fastnn-kernels[plot]')")
        return
    figure = Figure(layout="constrained")
    figure.suptitle(title)
    HistoryDisplay.from_history(history, names=["loss", "accuracy"], ax=figure)
    figure.savefig(path, dpi=120)
    print(f"learning curves in {path}")


def _load_model(path: Path) -> Sequential:
    return load_model(path / MODEL_FILE if path.is_dir() else path)


def _evaluate(args: argparse.Namespace) -> int:
    _apply_settings(args)
    images = _load_images(args)
    model = _load_model(args.model)
    name = str(args.data)
    if images is None:
        known = [known for known in DATA_SETS if known.size == model.input_shape[1:3]]
        if not known:
            raise Failure(f"no data set in the package has inputs of shape {model.input_shape[1:]}; name one with --data")
        images, name = known[0].load(), known[0].name
    x, y = images[1]
    results = model.evaluate(x, y, return_dict=True)
    print(f"{len(x):,} test images of {name}: " + ", ".join(f"{key} {value:.4f}" for key, value in results.items()))
    return 0


def _predict(args: argparse.Namespace) -> int:
    _apply_settings(args)
    model = _load_model(args.model)
    if len(model.output_shape) != 2 or model.output_shape[1] < 2:
        raise Failure(f"{args.model} does not tell classes apart: its output has shape {model.output_shape}")
    failed = False
    for path in args.images:
        try:
            image, steps = read_picture(path, model.input_shape[1:])
        except (OSError, ValueError) as error:
            print(f"fastnn: error: {error}", file=sys.stderr)
            failed = True
            continue
        for step in steps:
            print(f"{path}: {step}", file=sys.stderr)
        scores = model.predict(image[np.newaxis])[0]
        label = int(scores.argmax())
        print(f"{path}: {label} ({scores[label]:.1%})")
    return int(failed)


def _info(args: argparse.Namespace) -> int:
    _apply_settings(args)
    show_config()
    return 0
