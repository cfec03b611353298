"""Layers that change images at random: what they may do to an image and how often, and that the same seed does the same again."""

import joblib
import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.kernels import table
from fastnn.kernels.threads import get_num_threads, set_num_threads

RNG = np.random.default_rng(5)
IMAGES = RNG.uniform(0, 255, (400, 6, 7, 3)).astype(np.float32)
#: a column's number, the same in each row
RAMP = np.tile(np.arange(20, dtype=np.float32)[None, None, :, None], (300, 10, 1, 1))

ALL = {
    "flip": lambda **arguments: layers.RandomFlip(seed=1, **arguments),
    "crop": lambda **arguments: layers.RandomCrop(4, 3, seed=1, **arguments),
    "translation": lambda **arguments: layers.RandomTranslation(0.3, 0.2, seed=1, **arguments),
    "rotation": lambda **arguments: layers.RandomRotation(0.2, seed=1, **arguments),
    "zoom": lambda **arguments: layers.RandomZoom(0.3, seed=1, **arguments),
    "contrast": lambda **arguments: layers.RandomContrast(0.4, seed=1, **arguments),
    "brightness": lambda **arguments: layers.RandomBrightness(0.3, seed=1, **arguments),
}


def trained(layer, x=IMAGES):
    return layer(x, training=True).numpy()


@pytest.mark.parametrize("name", ALL)
def test_only_training_changes_images(name):
    layer = ALL[name]()
    expected = IMAGES if name != "crop" else layer(IMAGES).numpy()
    np.testing.assert_array_equal(layer(IMAGES).numpy(), expected)
    assert layer.state.tolist() == [1, 0]
    changed = trained(layer)
    assert layer.state.tolist() == [1, 1]
    assert changed.shape == expected.shape == (400, *layer.output_shape[1:])
    assert (changed != expected).any(axis=(1, 2, 3)).mean() > 0.7
    assert not np.array_equal(trained(layer), changed)


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_does_the_same_whatever_computes(name):
    x = np.tile(IMAGES, (4, 1, 1, 1))  # enough for two threads
    first = trained(ALL[name](), x)
    threads = get_num_threads()
    try:
        set_num_threads(1 if threads > 1 else 2)
        np.testing.assert_array_equal(trained(ALL[name](), x), first)
    finally:
        set_num_threads(threads)
    with fastnn.use_backend("numpy"):
        np.testing.assert_allclose(trained(ALL[name](), x), first, atol=255 * 2e-6)
    turned = trained(ALL[name](data_format="channels_first"), x.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(turned.transpose(0, 2, 3, 1), first)
    # what is drawn for an image depends on its place, not on how many there are
    np.testing.assert_array_equal(trained(ALL[name](), x[:5]), first[:5])


@pytest.mark.parametrize("make", [*ALL.values(), lambda: layers.Dropout(0.5, seed=1)])
def test_a_layer_from_a_file_that_is_only_mapped_goes_on(make, tmp_path):
    layer = make()
    trained(layer, IMAGES[:3])
    joblib.dump(layer, tmp_path / "layer")
    mapped = joblib.load(tmp_path / "layer", mmap_mode="r")
    for _ in range(2):
        np.testing.assert_array_equal(trained(mapped, IMAGES[:3]), trained(layer, IMAGES[:3]))


def test_flip():
    flipped = trained(layers.RandomFlip(seed=0))
    variants = [IMAGES, IMAGES[:, ::-1], IMAGES[:, :, ::-1], IMAGES[:, ::-1, ::-1]]
    hits = np.array([(flipped == variant).all(axis=(1, 2, 3)) for variant in variants])
    assert (hits.sum(axis=0) == 1).all()
    assert (np.abs(hits.mean(axis=1) - 0.25) < 0.09).all()  # four standard deviations
    for mode, mirrored in (("vertical", 1), ("horizontal", 2)):
        hits = (trained(layers.RandomFlip(mode, seed=0)) == variants[mirrored]).all(axis=(1, 2, 3))
        assert 0.4 < hits.mean() < 0.6


def test_crop():
    cropped = trained(layers.RandomCrop(4, 3, seed=0))
    corners = np.zeros((3, 5))
    for image, part in zip(IMAGES, cropped, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(image, (4, 3), axis=(0, 1)).transpose(0, 1, 3, 4, 2)
        corners += (windows == part).all(axis=(2, 3, 4))
    assert corners.sum() == 400  # each image once, at a whole pixel
    assert corners.min() > 8 and corners.max() < 50  # of 15 corners each about 27 times
    np.testing.assert_array_equal(layers.RandomCrop(4, 7)(IMAGES).numpy(), IMAGES[:, 1:5])
    np.testing.assert_array_equal(layers.RandomCrop(6, 6)(IMAGES).numpy(), IMAGES[:, :, :6])
    np.testing.assert_array_equal(trained(layers.RandomCrop(6, 7)), IMAGES)
    for extent in range(1, 60):  # by quotients that floats round, 7 of 7 rows would become 6
        assert layers.RandomCrop(3, 3).middle((extent, extent)) == ((0, 0), (extent, extent))
        assert layers.RandomCrop(3, 1).middle((3 * extent, extent)) == ((0, 0), (3 * extent, extent))
    for training in (False, True):  # too large: the middle, scaled
        doubled = layers.RandomCrop(12, 12)(IMAGES, training=training).numpy()
        wide = layers.RandomCrop(20, 20)(RAMP, training=training).numpy()[0, 0, :, 0]
        assert doubled.shape == (400, 12, 12, 3)
        np.testing.assert_allclose(doubled[:, 1:-1:2, 1:-1:2] * 16, weights_9331(IMAGES[:, :, :6]), rtol=1e-5)
        np.testing.assert_allclose(wide, np.arange(20) / 2 + 4.75, atol=1e-5)  # columns 5 to 14 of 20


def weights_9331(x):
    """Sixteen times what lies a quarter of a pixel beside the middles, towards the next row and column, but for the last ones."""
    return 9 * x[:, :-1, :-1] + 3 * x[:, 1:, :-1] + 3 * x[:, :-1, 1:] + x[:, 1:, 1:]


def test_translation():
    moved = trained(layers.RandomTranslation(0, (-0.1, 0.3), seed=0), RAMP)[:, 0, 6:-2, 0]
    shifts = np.arange(6, 18) - moved
    assert np.ptp(shifts, axis=1).max() < 1e-4
    assert -2 <= shifts.min() < -1.9 and 5.9 < shifts.max() <= 6
    down = trained(layers.RandomTranslation((0.5, 0.5), 0, fill_mode="constant", fill_value=-1), RAMP)
    np.testing.assert_array_equal(down[:, :5], np.full((300, 5, 20, 1), -1))
    np.testing.assert_array_equal(down[:, 5:], RAMP[:, 5:])


def test_rotation_is_counter_clockwise():
    square = IMAGES[:, :, :6]
    quarter = trained(layers.RandomRotation((0.25, 0.25), interpolation="nearest"), square)
    np.testing.assert_array_equal(quarter, np.rot90(square, axes=(1, 2)))
    # a picture of two numbers tells the angle
    x = np.zeros((300, 21, 21, 2), np.float32)
    x[..., 0], x[..., 1] = np.arange(21)[:, None] - 10, np.arange(21) - 10
    turned = trained(layers.RandomRotation((-0.05, 0.125), seed=0), x)[:, 10, 12]
    angles = np.arctan2(turned[:, 0], turned[:, 1]) / (2 * np.pi)
    assert -0.05 <= angles.min() < -0.045 and 0.12 < angles.max() <= 0.125


def test_zoom():
    seen = trained(layers.RandomZoom((-0.5, 0.25), seed=0), RAMP)[:, 0, :, 0]
    steps = seen[:, 10] - seen[:, 9]  # how much of the image's width one column shows
    assert 0.5 <= steps.min() < 0.51 and 1.24 < steps.max() <= 1.2501
    np.testing.assert_allclose(seen[:, 9] + seen[:, 10], 19, atol=1e-4)  # about the middle
    both = RAMP + 100 * np.arange(10, dtype=np.float32)[:, None, None]
    for width, tied in ((None, True), ((-0.5, 0.25), False)):
        seen = trained(layers.RandomZoom((-0.5, 0.25), width, seed=0), both)[:, 4:6, 9:11, 0]
        of_columns, of_rows = seen[:, 0, 1] - seen[:, 0, 0], (seen[:, 1, 0] - seen[:, 0, 0]) / 100
        assert np.allclose(of_columns, of_rows, atol=1e-3) == tied


def test_contrast_and_brightness():
    x = IMAGES / 255
    change = trained(layers.RandomContrast((0.5, 0.25), (-9, 9), seed=0), x)
    mean = x.mean(axis=(1, 2), keepdims=True)
    factors = ((change - mean) / (x - mean)).reshape(400, -1)
    middle = np.median(factors, axis=1)
    assert 0.5 <= middle.min() < 0.51 and 1.24 < middle.max() <= 1.2501
    np.testing.assert_allclose(change, (x - mean) * middle[:, None, None, None] + mean, atol=1e-4)
    one_number = trained(layers.RandomContrast(0.5, (-9, 9), seed=0), x) - mean
    assert (np.abs(one_number).sum(axis=(1, 2, 3)) < np.abs(x - mean).sum(axis=(1, 2, 3))).mean() == pytest.approx(0.5, abs=0.1)

    shifts = (trained(layers.RandomBrightness(0.25, (-8, 8), seed=0), x) - x).reshape(400, -1)
    assert np.ptp(shifts, axis=1).max() < 1e-5
    assert -4 <= shifts.min() < -3.9 and 3.9 < shifts.max() <= 4
    kept = trained(layers.RandomBrightness((0.5, 1)))
    assert kept.max() == 255 and kept.min() > 127


def network():
    fastnn.set_seed(1)
    changes = [make() for make in ALL.values()]
    model = fastnn.Sequential([layers.Input((6, 7, 3)), *changes, layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2)])
    model.compile("sgd", "mse")
    return model


def test_training_is_replayed_and_the_same_in_each_run():
    with table.record() as recording:
        network()(IMAGES, training=True)
    assert recording.python_steps == []
    targets = np.ones((400, 2), np.float32)
    weights, by_hand = network(), network()
    weights.fit(IMAGES, targets, batch_size=64, epochs=2, shuffle=False, verbose=0)
    for _ in range(2):
        for start in range(0, 400, 64):
            by_hand.train_on_batch(IMAGES[start : start + 64], targets[start : start + 64])
    for mine, theirs in zip(weights.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_allclose(weights.predict(IMAGES[:8]), weights.predict(IMAGES)[:8], rtol=1e-6)


def test_behind_layers_with_weights_there_is_no_derivative():
    model = fastnn.Sequential(
        [layers.Input((6, 7, 3)), layers.Conv2D(2, 1), layers.RandomFlip(), layers.Flatten(), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    with pytest.raises(NotImplementedError, match="no derivative: put them before all layers with weights"):
        model.fit(IMAGES[:4], np.ones(4), verbose=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.RandomFlip("left"), "mode must be .*; got 'left'"),
        (lambda: layers.RandomFlip(seed=-1), "seed must be an integer from 0"),
        (lambda: layers.RandomCrop(0, 3), "height must be an integer of at least 1.*got 0"),
        (lambda: layers.RandomCrop(3, 2.5), "width must be an integer; got 2.5"),
        (lambda: layers.RandomTranslation(1.5, 0), "height_factor must be a number, or two, from -1 to 1; got 1.5"),
        (lambda: layers.RandomTranslation(0, (0.1, 0.2, 0.3)), "width_factor must be a number, or two"),
        (lambda: layers.RandomRotation("0.1"), "factor must be a number, or two"),
        (lambda: layers.RandomRotation(0.1, fill_mode="mirror"), "fill_mode must be one of .*'reflect'.*; got 'mirror'"),
        (
            lambda: layers.RandomRotation(0.1, interpolation="cubic"),
            "interpolation must be .*; got 'cubic'",
        ),
        (lambda: layers.RandomZoom(float("nan")), "height_factor must be a number, or two, from -1 to 1; got nan"),
        (lambda: layers.RandomContrast(-0.1), "factor must be a number, or two, from 0 to 1"),
        (lambda: layers.RandomContrast(0.1, value_range=1), r"value_range must be two numbers \(low, high\)"),
        (lambda: layers.RandomBrightness(0.1, value_range=(1, 0)), "low < high"),
        (lambda: layers.RandomZoom(0.1)(np.ones((3, 4))), "height, width, channels"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
