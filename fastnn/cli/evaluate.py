"""``fastnn evaluate``."""

from __future__ import annotations

import argparse

from ..pictures import image_shape, load_pictures
from ..recipes import DATA_SETS
from .environment import apply_settings
from .failure import Failure, given_by
from .inputs import BATCH, load_given_model, load_images, report_bad_files


def run_evaluate(args: argparse.Namespace) -> int:
    """Print the loss and the metrics of a model on test images; return the exit code."""
    apply_settings(args)
    model = load_given_model(args.model)
    if model.loss is None:
        raise Failure(f"{args.model} was saved without a loss to measure: compile the model before it is saved")
    name = str(args.data)
    shape = model.input_shape[1:]
    if args.data is not None and len(shape) == 3 and shape[2] == 3:
        with given_by("--data"):
            pictures = load_pictures(args.data, image_shape(shape)[:2], BATCH, model.class_names)[1]
        results = model.evaluate(pictures, return_dict=True)
        report_bad_files(pictures)
        return _print_results(pictures.samples, name, results)
    images = load_images(args)
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
