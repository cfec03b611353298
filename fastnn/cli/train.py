"""``fastnn train``."""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .. import callbacks, set_seed
from ..datasets import ImageFolder
from ..kernels import active_backend
from ..kernels.backends import kernels_of
from ..kernels.threads import get_num_threads
from ..pictures import load_pictures
from ..recipes import RECIPES, Images, Recipe, compile_for
from ..saving import OtherTrainingError
from .environment import apply_settings
from .failure import INTERRUPTED, Failure, given_by
from .inputs import MODEL_FILE, load_images, report_bad_files

CHECKPOINT = "checkpoint"
RUNS = Path("fastnn-runs")


def run_train(args: argparse.Namespace) -> int:
    """Train, and save the model, its history and its learning curves; return the exit code."""
    apply_settings(args)
    kernels_of(active_backend())  # if it cannot be loaded, that is told before anything is written
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
    report_bad_files(data.x, data.test)
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
        (x, y), test = load_images(args) or recipe.images.load()
        return TrainingData(x, y, len(x), test, len(test[0]), x.shape[1:], int(max(y.max(), test[1].max())) + 1, None)
    if args.data is None or args.data_name is not None:
        raise Failure(f"{recipe.name} takes its pictures from --data FOLDER, with a folder for each class, and no --data-name")
    size = (args.image_size or recipe.images.size,) * 2
    with given_by("--data"):
        pictures, held_out = load_pictures(args.data, size, batch_size)
    names = pictures.class_names or []
    if len(names) < 2:
        raise Failure(f"--data: {args.data} has one folder of pictures, {names[0]}; a folder for each class is needed")
    return TrainingData(pictures, None, pictures.samples, held_out, held_out.samples, size, len(names), names)


def _output_folder(chosen: Path | None, name: str) -> Path:
    """Make and return the folder to write to: the chosen one if it is new or empty, else the next free default one."""
    if chosen is not None:
        with given_by("--output"):
            chosen.mkdir(parents=True, exist_ok=True)
        if any(chosen.iterdir()):
            raise Failure(f"--output: {chosen} is not empty; nothing is overwritten, name another folder or empty it")
        return chosen
    with given_by("--output"):
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

        from ..plotting.history import HistoryDisplay
    except ModuleNotFoundError:
        print("no learning curves: matplotlib is not installed (pip install 'fastnn-kernels[plot]')")
        return
    figure = Figure(layout="constrained")
    figure.suptitle(title)
    HistoryDisplay.from_history(history, names=["loss", "accuracy"], ax=figure)
    figure.savefig(path, dpi=120)
    print(f"learning curves in {path}")
