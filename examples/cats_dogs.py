"""Cats and dogs: a convolutional network for pictures in folders.

    python examples/cats_dogs.py FOLDER

FOLDER has a folder for each class, such as the "PetImages" of Kaggle's cats and dogs with its folders Cat and Dog. Without one, the
example draws pictures of its own, of faces with pointed and with hanging ears, and learns those in half a minute.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import fastnn
from fastnn import layers


def draw_pictures(folder, count=240, size=48, seed=0):
    """Draw `count` faces into folders "cats" and "dogs" of `folder`: any place, size and colours, in front of noise."""
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(seed)
    for number in range(count):
        kind = ("cats", "dogs")[number % 2]
        picture = Image.fromarray(rng.integers(40, 120, (size, size, 3), dtype=np.uint8))
        draw = ImageDraw.Draw(picture)
        r = rng.uniform(0.2, 0.3) * size
        x, y = rng.uniform(1.3 * r, size - 1.3 * r), rng.uniform(1.8 * r, size - 1.2 * r)
        coat, dark = (tuple(int(value) for value in rng.integers(low, low + 80, 3)) for low in (150, 0))
        draw.ellipse([x - r, y - r, x + r, y + r], fill=coat)
        for side in (-1, 1):
            if kind == "cats":  # pointed ears, up
                draw.polygon(
                    [(x + side * 0.9 * r, y - 0.4 * r), (x + side * 0.2 * r, y - 0.9 * r), (x + side * r, y - 1.7 * r)], fill=coat
                )
            else:  # hanging ears, beside the face
                draw.ellipse([x + side * r - 0.35 * r, y - 0.6 * r, x + side * r + 0.35 * r, y + 0.9 * r], fill=dark)
            draw.ellipse([x + side * 0.4 * r - 2, y - 0.3 * r - 2, x + side * 0.4 * r + 2, y - 0.3 * r + 2], fill=dark)
        path = Path(folder, kind, f"{number:04}.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, quality=90)


def network(size, classes):
    """Return a small network: blocks of a convolution, batch normalization and max-pooling, then the mean of each channel."""
    model = fastnn.Sequential([layers.Input((size, size, 3)), layers.Rescaling(1 / 255), layers.RandomFlip("horizontal")])
    for filters in (16, 32, 64):
        model.add(layers.Conv2D(filters, 3, padding="same", activation="relu"))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.MaxPooling2D(2))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(classes, activation="softmax"))
    model.compile(optimizer=fastnn.optimizers.Adam(0.001), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def train(folder, size=48, epochs=8, verbose="auto"):
    """Return a model that has learned four fifths of the pictures in a folder, and the other fifth."""
    fastnn.set_seed(0)
    training, validation = fastnn.datasets.image_folder(
        folder, image_size=size, batch_size=16, validation_split=0.2, subset="both", seed=0, on_error="skip"
    )
    model = network(size, len(training.class_names))
    model.fit(training, epochs=epochs, validation_data=validation, verbose=verbose)
    for reason in [*training.bad_files.values(), *validation.bad_files.values()]:
        print("left out:", reason)
    return model, validation


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="pictures, a folder for each class (default: drawn ones)")
    parser.add_argument("--size", type=int, default=48, help="height and width that they are brought to (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=8, help="passes over the pictures (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as drawn:
        if args.folder is None:
            draw_pictures(drawn)
        model, validation = train(args.folder or drawn, args.size, args.epochs)
        paths = [path for path in validation.file_paths if path not in validation.bad_files]
        for path, scores in list(zip(paths, model.predict(validation), strict=True))[:8]:
            print(f"{Path(path).parent.name}/{Path(path).name}: {validation.class_names[scores.argmax()]} ({scores.max():.1%})")


if __name__ == "__main__":
    main()
