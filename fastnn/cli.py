"""The command line: ``fastnn train``, ``evaluate``, ``predict``, ``warmup`` and ``info``.

Exit codes: 0 for success, 1 for a failure (a file that cannot be read, a missing extra or GPU, training that diverged), 2 for a
wrong command line, 130 for Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import itertools
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import __version__, callbacks, set_seed
from .config import show_config
from .datasets import ImageFolder, image_folder, load_mnist
from .datasets.ahead import map_ahead
from .datasets.mnist import Split, data_sets
from .kernels import active_backend, use_backend
from .kernels.backends import BACKENDS, backend_on, kernels_of
from .kernels.threads import MAX_THREADS, get_num_threads, set_num_threads
from .layers import Activation
from .losses import BinaryCrossentropy
from .model import Sequential
from .optimizers import OPTIMIZERS
from .pictures import image_shape, load_pictures, read_picture
from .recipes import CATS_DOGS, DATA_SETS, RECIPES, Images, Recipe, compile_for
from .saving import OtherTrainingError, load_model

MODEL_FILE = "model.safetensors"
CHECKPOINT = "checkpoint"
RUNS = Path("fastnn-runs")
INTERRUPTED = 130
#: pictures that `predict` reads and answers at a time
PREDICT_BATCH = 32
#: bad files that are named one by one
MOST_REASONS = 20
#: what writes the answer for a picture, given its path and its probabilities
Write = Callable[[str, Any], Any]


class Failure(Exception):
    """Ends the command with one line on stderr and exit code 1."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # as of stderr: a name of a file must not end the command
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print("fastnn: interrupted", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        print(f"fastnn: error: {_reason(error)}", file=sys.stderr)
        return 1
    except (Failure, ImportError, MemoryError, NotImplementedError, ValueError) as error:
        print(f"fastnn: error: {error or type(error).__name__}", file=sys.stderr)
        return 1


def _reason(error: Exception) -> str:
    """Return what went wrong, without the number that the system has for it."""
    return f"{error.strerror}: {error.filename!r}" if isinstance(error, OSError) and error.filename else str(error)


@contextlib.contextmanager
def _given_by(option: str) -> Iterator[None]:
    """Let errors about a file or folder name the option that it came from."""
    try:
        yield
    except (OSError, ValueError) as error:
        advice = "; nothing is overwritten, choose another name" if isinstance(error, FileExistsError) else ""
        raise Failure(f"{option}: {_reason(error)}{advice}") from error


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
    train.set_defaults(run=_train)

    evaluate = commands.add_parser(
        "evaluate",
        help="measure a saved model's accuracy on test images",
        description="Print the loss and the accuracy of a saved model on test images.",
    )
    _add_model(evaluate)
    evaluate.set_defaults(run=_evaluate)

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
    predict.set_defaults(run=_predict)

    warmup = commands.add_parser(
        "warmup",
        help="compile the numba backend's kernels ahead",
        description="Compile all kernels of the numba backend for later processes, instead of each when it is first used.",
    )
    warmup.set_defaults(run=_warmup)

    info = commands.add_parser(
        "info",
        help="show version, backends, processor level and threads",
        description="Show version, backends, processor level and threads, with the options as a command would have them.",
    )
    info.set_defaults(run=_info)

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


def _apply_settings(args: argparse.Namespace) -> None:
    if args.threads is not None:
        set_num_threads(args.threads)
    if args.backend is not None or args.device is not None:
        use_backend(args.backend or backend_on(args.device))


def _train(args: argparse.Namespace) -> int:
    _apply_settings(args)
    recipe = RECIPES[args.recipe]
    epochs, batch_size = args.epochs or recipe.epochs, args.batch_size or recipe.batch_size
    data = _training_data(args, recipe, batch_size)
    set_seed(args.seed)
    model = recipe.build(data.size, data.classes)
    model.class_names = data.class_names
    learning_rate = args.learning_rate or (recipe.learning_rate if args.optimizer in (None, recipe.optimizer) else None)
    compile_for(model, data.samples, epochs, batch_size, args.optimizer or recipe.optimizer, learning_rate)
    folder = (_interrupted_folder if args.resume else _output_folder)(args.output, recipe.name)
    threads = get_num_threads()
    classes = "" if data.class_names is None else f"{data.classes} classes ({', '.join(data.class_names)}), "
    print(
        f"{recipe.name}: {model.count_params():,} parameters, {classes}{data.samples:,} images to learn from, "
        f"{data.test_samples:,} to test; {active_backend()} backend, {threads} thread{'s' if threads > 1 else ''}, "
        + ("resumed" if args.resume else f"seed {args.seed}")
    )
    bar, logger = callbacks.ProgressBar("auto"), callbacks.CSVLogger(folder / "history.csv")
    backup = callbacks.BackupAndRestore(folder / CHECKPOINT, delete_checkpoint=False)
    own_batches = isinstance(data.x, ImageFolder)
    fit = {"verbose": 0, "callbacks": [bar, logger, backup], "validation_data": data.test}
    try:
        history = model.fit(data.x, data.y, None if own_batches else batch_size, epochs, **fit).history
    except KeyboardInterrupt:
        model.save(folder / MODEL_FILE)
        print(
            f"fastnn: interrupted; the model so far is in {folder / MODEL_FILE}; the same command with --resume goes on from the "
            "last whole epoch",
            file=sys.stderr,
        )
        return INTERRUPTED
    except OtherTrainingError as error:
        hint = "--resume needs the options that the training began with (--epochs, --batch-size, --optimizer, ...)"
        raise Failure(f"{hint}: {error}") from error
    model.save(folder / MODEL_FILE)
    backup.delete()
    _report_bad_files(data.x, data.test)
    if not math.isfinite(history["loss"][-1]):
        raise Failure("the loss is no longer finite; try a smaller --learning-rate")
    print(f"test accuracy {history['val_accuracy'][-1]:.2%}, test loss {history['val_loss'][-1]:.4f}")
    print(f"model saved in {folder / MODEL_FILE}")
    if not args.no_plot:
        _plot(history, recipe.name, folder / "learning-curves.png")
    return 0


class TrainingData(NamedTuple):
    """What a training learns from (`x` and `y` as for `fit`) and is tested on."""

    x: Any
    y: Any
    samples: int
    test: Any
    test_samples: int
    size: tuple[int, int]
    classes: int
    class_names: list[str] | None


def _training_data(args: argparse.Namespace, recipe: Recipe, batch_size: int) -> TrainingData:
    if isinstance(recipe.images, Images):
        if args.image_size is not None:
            raise Failure(f"--image-size is for pictures in folders; {recipe.name} learns images of one size")
        (x, y), test = _load_images(args) or recipe.images.load()
        return TrainingData(x, y, len(x), test, len(test[0]), x.shape[1:], int(max(y.max(), test[1].max())) + 1, None)
    if args.data is None or args.data_name is not None:
        raise Failure(f"{recipe.name} takes its pictures from --data FOLDER, with a folder for each class, and no --data-name")
    size = (args.image_size or recipe.images.size,) * 2
    with _given_by("--data"):
        pictures, held_out = load_pictures(args.data, size, batch_size)
    names = pictures.class_names or []
    if len(names) < 2:
        raise Failure(f"--data: {args.data} has one folder of pictures, {names[0]}; a folder for each class is needed")
    return TrainingData(pictures, None, pictures.samples, held_out, held_out.samples, size, len(names), names)


def _report_bad_files(*data: Any) -> None:
    """Say on stderr which files of pictures were left out."""
    bad = [reason for part in data if isinstance(part, ImageFolder) for reason in part.bad_files.values()]
    if bad:
        print(f"fastnn: {len(bad)} files were left out:", file=sys.stderr)
        for reason in bad[:MOST_REASONS]:
            print(f"  {reason}", file=sys.stderr)
        if len(bad) > MOST_REASONS:
            print(f"  ... and {len(bad) - MOST_REASONS} more", file=sys.stderr)


def _load_images(args: argparse.Namespace) -> tuple[Split, Split] | None:
    """Return the images that the user asked for, or None for the default ones."""
    if args.data is None:
        if args.data_name is not None:
            raise Failure("--data-name chooses a data set in the folder that --data names; give both")
        return None
    with _given_by("--data"):
        found = data_sets(args.data)
        if args.data_name not in found and (args.data_name is not None or len(found) > 1):
            raise Failure(f"--data-name must be one of {', '.join(map(repr, found))}, the data sets in {args.data}")
        train, test = load_mnist(args.data, args.data_name)
    for x, _ in (train, test):
        if x.dtype != np.uint8 or not x.size:
            raise Failure(f"--data: {args.data}: expected images of type uint8, at least one, got {x.shape} of type {x.dtype}")
    return train, test


def _output_folder(chosen: Path | None, name: str) -> Path:
    """Make and return the folder to write to: the chosen one if it is new or empty, else the next free default one."""
    if chosen is not None:
        with _given_by("--output"):
            chosen.mkdir(parents=True, exist_ok=True)
        if any(chosen.iterdir()):
            raise Failure(f"--output: {chosen} is not empty; nothing is overwritten, name another folder or empty it")
        return chosen
    with _given_by("--output"):
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
    model = _load_model(args.model)
    if model.loss is None:
        raise Failure(f"{args.model} was saved without a loss to measure: compile the model before it is saved")
    name = str(args.data)
    shape = model.input_shape[1:]
    if args.data is not None and len(shape) == 3 and shape[2] == 3:
        with _given_by("--data"):
            pictures = load_pictures(args.data, image_shape(shape)[:2], PREDICT_BATCH, model.class_names)[1]
        results = model.evaluate(pictures, return_dict=True)
        _report_bad_files(pictures)
        return _print_results(pictures.samples, name, results)
    images = _load_images(args)
    if images is None:
        known = [known for known in DATA_SETS if known.size == shape[:2]]
        if not known:
            raise Failure(f"no data set in the package has inputs of shape {shape}; name one with --data")
        images, name = known[0].load(), known[0].name
    x, y = images[1]
    return _print_results(len(x), name, model.evaluate(x, y, return_dict=True))


def _print_results(samples: int, name: str, results: dict[str, float]) -> int:
    print(f"{samples:,} test images of {name}: " + ", ".join(f"{key} {value:.4f}" for key, value in results.items()))
    return 0


def _predict(args: argparse.Namespace) -> int:
    _apply_settings(args)
    model = _load_model(args.model)
    if getattr(model.loss, "from_logits", False):
        model.add(Activation(model.loss.link))  # type: ignore[union-attr]  # probabilities are written
    names = _class_names(model, args.model)
    image_shape(model.input_shape[1:])
    paths: list[str] = []
    for given in args.images:
        with _given_by("IMAGE"):
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
    with _given_by("--output"):
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

    pictures = zip(paths, map_ahead(read, paths, 2 * PREDICT_BATCH), strict=True)
    while chunk := list(itertools.islice(pictures, PREDICT_BATCH)):
        images = [picture[0] for _, picture in chunk if not isinstance(picture, Exception)]
        scores = model.predict(np.stack(images)) if images else np.empty(0)
        rows = iter(np.hstack([1 - scores, scores]) if scores.shape[1:] == (1,) else scores)
        for path, picture in chunk:
            if isinstance(picture, Exception):
                yield path, [f"fastnn: error: {_reason(picture)}"], None
            else:
                yield path, [f"{path}: {step}" for step in picture[1]], next(rows)


def _warmup(args: argparse.Namespace) -> int:
    kernels = kernels_of("numba")
    from tqdm import tqdm  # where it is used: these imports take a while

    from .kernels.numba_jit import cache, team

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


def _info(args: argparse.Namespace) -> int:
    _apply_settings(args)
    show_config()
    return 0
