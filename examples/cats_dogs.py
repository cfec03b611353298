# %% [markdown]
# # Cats and dogs: a network for pictures in folders
#
# `image_folder` reads pictures from a folder for each class while a model trains, such as the "PetImages" of Kaggle's
# cats and dogs with its folders Cat and Dog. Here the pictures are drawn: faces with pointed and with hanging ears.
# Put the path of your own folder into `train(...)` below, or train at the shell: `fastnn train cats-dogs --data FOLDER`.
# Pictures are read by Pillow: `pip install 'fastnn-kernels[image,plot]'`.

# %%
import tempfile
from pathlib import Path

import numpy as np

import fastnn
from fastnn import layers


def draw_pictures(folder, count=240, size=48, seed=0):
    """Draw `count` faces into folders "cats" and "dogs" of `folder`, each in front of noise."""
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(seed)
    for number in range(count):
        kind = ("cats", "dogs")[number % 2]
        picture = Image.fromarray(rng.integers(40, 120, (size, size, 3), dtype=np.uint8))
        draw = ImageDraw.Draw(picture)
        r = rng.uniform(0.2, 0.3) * size
        x, y = rng.uniform(1.3 * r, size - 1.3 * r), rng.uniform(1.8 * r, size - 1.2 * r)
        coat, dark = (
            tuple(int(value) for value in rng.integers(low, low + 80, 3)) for low in (150, 0)
        )
        draw.ellipse([x - r, y - r, x + r, y + r], fill=coat)
        for side in (-1, 1):
            if kind == "cats":  # pointed ears, up
                draw.polygon(
                    [
                        (x + side * 0.9 * r, y - 0.4 * r),
                        (x + side * 0.2 * r, y - 0.9 * r),
                        (x + side * r, y - 1.7 * r),
                    ],
                    fill=coat,
                )
            else:  # hanging ears, beside the face
                draw.ellipse(
                    [x + side * r - 0.35 * r, y - 0.6 * r, x + side * r + 0.35 * r, y + 0.9 * r],
                    fill=dark,
                )
            draw.ellipse(
                [x + side * 0.4 * r - 2, y - 0.3 * r - 2, x + side * 0.4 * r + 2, y - 0.3 * r + 2],
                fill=dark,
            )
        path = Path(folder, kind, f"{number:04}.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, quality=90)


# %% [markdown]
# ## The network
#
# Pictures are flipped at random, in training only.


# %%
def network(size, classes):
    """Return a small network: blocks of convolution, batch normalization and max-pooling."""
    model = fastnn.Sequential(
        [layers.Input((size, size, 3)), layers.Rescaling(1 / 255), layers.RandomFlip("horizontal")]
    )
    for filters in (16, 32, 64):
        model.add(layers.Conv2D(filters, 3, padding="same", activation="relu"))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.MaxPooling2D(2))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(classes, activation="softmax"))
    model.compile(
        optimizer=fastnn.optimizers.Adam(0.001),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


# %% [markdown]
# ## Training
#
# A fifth of the pictures is held out. Files that are no pictures are left out, and named at the end. The progress tells
# which share of the time training waited for pictures to be decoded.


# %%
def train(folder, size=48, epochs=6, verbose="auto"):
    """Return a model that has learned four fifths of a folder's pictures, and the other fifth."""
    fastnn.set_seed(0)
    training, validation = fastnn.datasets.image_folder(
        folder,
        image_size=size,
        batch_size=16,
        validation_split=0.2,
        subset="both",
        seed=0,
        on_error="skip",
    )
    model = network(size, len(training.class_names))
    model.fit(training, epochs=epochs, validation_data=validation, verbose=verbose)
    for reason in [*training.bad_files.values(), *validation.bad_files.values()]:
        print("left out:", reason)
    return model, validation


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        draw_pictures(folder)
        Path(folder, "dogs", "broken.jpg").write_bytes(b"no picture")
        model, validation = train(folder, verbose=2)
        held_out = [(images, labels) for images, labels in validation]

# %% [markdown]
# ## Pictures that it has not seen

# %%
if __name__ == "__main__":
    import matplotlib.pyplot as plt

    images, labels = held_out[0]
    figure, axes = plt.subplots(2, 6, figsize=(9, 3.5))
    for ax, image, label, scores in zip(
        axes.flat, images, labels, model.predict(images), strict=False
    ):
        ax.imshow(image.astype(np.uint8))
        ax.set_title(f"{validation.class_names[label]}: {scores[label]:.0%}", fontsize=9)
        ax.set_axis_off()
    plt.show()
