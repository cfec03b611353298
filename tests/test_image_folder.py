"""Pictures in folders: what `image_folder` finds, decodes, leaves out and holds in memory, that its threads end, and training."""

import gc
import io
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

import fastnn
from fastnn import layers
from fastnn.datasets import image_folder
from fastnn.datasets.ahead import map_ahead
from fastnn.datasets.folder import BATCHES_AHEAD

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def save(path, colour=RED, size=(6, 4), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)
    return str(path)


def folder_of(path, image_size=(2, 3), **arguments):
    return image_folder(path, image_size=image_size, verbose=False, **arguments)


def numbered(path, count, classes=("a", "b")):
    """Make pictures of one grey each, the same number of each class, named by it."""
    for i in range(count):
        save(path / classes[i * len(classes) // count] / f"{i:03}.png", (i, i, i))
    return path


def shades(batches):
    """Return the grey of each picture, batch by batch."""
    return [[int(image[0, 0, 0]) for image in (batch[0] if isinstance(batch, tuple) else batch)] for batch in batches]


def until(condition):
    """Wait for what threads are about to do."""
    for _ in range(4000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("still not so after 20 seconds")


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("fastnn-ahead")]


# what is found


def test_classes_are_the_folders_in_alphabetical_order(tmp_path):
    red, green = save(tmp_path / "dogs" / "2.PNG"), save(tmp_path / "cats" / "1.jpg", GREEN)
    deep = save(tmp_path / "cats" / "more" / "0.bmp", BLUE)
    save(tmp_path / ".hidden" / "3.png")
    save(tmp_path / "4.png")
    (tmp_path / "cats" / "notes.txt").write_text("no picture")
    data = folder_of(tmp_path, shuffle=False)
    assert data.class_names == ["cats", "dogs"]
    assert data.file_paths == [green, deep, red]
    ((images, labels),) = data
    assert images.dtype == np.uint8 and images.shape == (3, 2, 3, 3)
    assert labels.dtype == np.int32 and labels.tolist() == [0, 0, 1]
    np.testing.assert_allclose(images[:, 0, 0], [GREEN, BLUE, RED], atol=2)  # a JPEG is not exact


def test_class_names_choose_and_order(tmp_path):
    for name in ("a", "b", "c"):
        save(tmp_path / name / "x.png")
    ((_, labels),) = folder_of(tmp_path, class_names=["c", "a"], shuffle=False)
    assert labels.tolist() == [0, 1]
    assert folder_of(tmp_path, class_names=["c", "a"], shuffle=False).file_paths[0].endswith("c/x.png")


def test_label_modes(tmp_path):
    numbered(tmp_path, 4)
    expected = {"int": [0, 0, 1, 1], "binary": [[0], [0], [1], [1]], "categorical": [[1, 0], [1, 0], [0, 1], [0, 1]]}
    for mode, targets in expected.items():
        ((_, labels),) = folder_of(tmp_path, label_mode=mode, shuffle=False)
        assert labels.tolist() == targets and labels.dtype == ("int32" if mode == "int" else "float32")
    for arguments in ({"labels": None}, {"label_mode": None}):
        assert shades(folder_of(tmp_path, shuffle=False, **arguments)) == [[0, 1, 2, 3]]
    given = folder_of(tmp_path, labels=[2, 0, 0, 1], shuffle=False)
    assert given.class_names == ["0", "1", "2"] and next(iter(given))[1].tolist() == [2, 0, 0, 1]


def test_links_to_folders_are_followed_only_on_demand(tmp_path):
    numbered(tmp_path / "here", 2)
    save(tmp_path / "there" / "far.png")
    (tmp_path / "here" / "a" / "link").symlink_to(tmp_path / "there")
    assert len(folder_of(tmp_path / "here").file_paths) == 2
    assert len(folder_of(tmp_path / "here", follow_links=True).file_paths) == 3


def test_a_split_is_that_of_keras(tmp_path):
    """The parts that Keras 3.15's own functions gave for ten files and seed 7."""
    numbered(tmp_path, 10)
    train, test = folder_of(tmp_path, validation_split=0.25, subset="both", seed=7)
    names = [[int(path[-7:-4]) for path in part.file_paths] for part in (train, test)]
    assert names == KERAS_SPLIT
    for subset, part in (("training", train), ("validation", test)):
        assert folder_of(tmp_path, validation_split=0.25, subset=subset, seed=7).file_paths == part.file_paths
    assert shades(test) == shades(test) == [names[1]]  # never shuffled again
    assert sorted(sum(shades(train), [])) == sorted(names[0])


KERAS_SPLIT = [[8, 5, 0, 2, 1, 9, 7, 3], [6, 4]]


# the order


def test_each_epoch_has_an_order_of_its_own_that_the_seed_decides(tmp_path):
    numbered(tmp_path, 20)
    first, again, other = (folder_of(tmp_path, batch_size=8, seed=seed) for seed in (1, 1, 2))
    epochs = [shades(first) for _ in range(3)]
    assert epochs == [shades(again) for _ in range(3)]
    assert len({str(epoch) for epoch in [*epochs, shades(other)]}) == 4
    for epoch in epochs:
        assert [len(batch) for batch in epoch] == [8, 8, 4] and sorted(sum(epoch, [])) == list(range(20))
    for images, labels in first:
        assert [int(image[0, 0, 0]) >= 10 for image in images] == labels.astype(bool).tolist()


# decoding


def test_colours_and_sizes(tmp_path):
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10
    (tmp_path / "a").mkdir()
    Image.fromarray(pixels).save(tmp_path / "a" / "x.png")

    def only(size=(2, 4), **arguments):
        ((images, _),) = folder_of(tmp_path, size, **arguments)
        return images[0]

    np.testing.assert_array_equal(only(), pixels)
    grey = only(color_mode="grayscale")
    assert grey.shape == (2, 4, 1)
    np.testing.assert_allclose(grey[..., 0], pixels @ [0.299, 0.587, 0.114], atol=1)
    np.testing.assert_array_equal(only(color_mode="rgba"), np.dstack([pixels, np.full((2, 4), 255)]))
    np.testing.assert_array_equal(only((1, 2), interpolation="nearest"), pixels[1:, 1::2])
    np.testing.assert_allclose(only((1, 2), interpolation="area")[0], pixels.reshape(2, 2, 2, 3).mean((0, 2)), atol=1)
    np.testing.assert_array_equal(only((2, 2), crop_to_aspect_ratio=True), pixels[:, 1:3])
    padded = only((4, 4), pad_to_aspect_ratio=True)
    np.testing.assert_array_equal(padded, np.pad(pixels, ((1, 1), (0, 0), (0, 0))))
    assert only(7).shape == (7, 7, 3)


def test_transparent_parts_are_white_and_pictures_stand_upright(tmp_path):
    (tmp_path / "a").mkdir()
    Image.new("RGBA", (3, 2), (0, 0, 0, 0)).save(tmp_path / "a" / "clear.png")
    turned = Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).resize((32, 16), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by 90 degrees clockwise: its left side is the top
    turned.save(tmp_path / "a" / "turned.jpg", exif=exif)
    ((images, _),) = folder_of(tmp_path, (32, 16), shuffle=False)
    assert images[0].min() == 255
    assert images[1][:8].max() < 10 and images[1][-8:].min() > 245


def test_a_large_jpeg_read_at_a_fraction_of_its_size_looks_the_same(tmp_path):
    (tmp_path / "a").mkdir()
    wave = 127 + 120 * np.sin(np.arange(800) / 60)
    picture = Image.fromarray(np.add.outer(wave, wave).clip(0, 255).astype(np.uint8))
    picture.save(tmp_path / "a" / "x.jpg", quality=95)
    ((images, _),) = folder_of(tmp_path, (50, 50), color_mode="grayscale")
    whole = np.asarray(picture.resize((50, 50), Image.Resampling.BILINEAR)).astype(int)
    assert abs(images[0, ..., 0] - whole).max() <= 6


# bad files


@pytest.fixture
def with_bad_files(tmp_path):
    """Eight good pictures and, among them, what real collections have; the bad files with the reason that is given."""
    numbered(tmp_path, 8)
    good = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(good, "JPEG")
    bomb = io.BytesIO()
    Image.new("1", (20000, 10000)).save(bomb, "PNG")
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"
    bad = {
        "000_truncated.jpg": (good.getvalue()[: len(good.getvalue()) // 2], "truncated"),
        "003_text.jpg": (b"<html>404</html>", "it has no known format"),
        "005_empty.png": (b"", "it is empty"),
        "006_bomb.png": (bomb.getvalue(), "pixels"),
        "007_program.jpg": (script, "it has no known format"),
    }
    for name, (content, _) in bad.items():
        (tmp_path / "a" / name).write_bytes(content)
    (tmp_path / "a" / "folder.jpg").mkdir()
    save(tmp_path / "b" / "004_really_a_png.jpg", (99, 99, 99), format="PNG")
    return tmp_path, {str(tmp_path / "a" / name): reason for name, (_, reason) in bad.items()}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bad_files_are_left_out_and_reported(with_bad_files):
    path, bad = with_bad_files
    data = folder_of(path, batch_size=4, shuffle=False, on_error="skip")
    assert len(data.file_paths) == 14 and len(data) == 4 and data.bad_files == {}
    for _ in range(2):
        assert shades(data) == [[0, 1, 2, 3], [4, 99, 5, 6], [7]]
        assert data.bad_files.keys() == bad.keys()
        for name, reason in bad.items():
            assert reason in data.bad_files[name] and name in data.bad_files[name]
    assert data.samples == 9 and len(data) == 3


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bad_files_are_errors_by_default(with_bad_files):
    path, bad = with_bad_files
    for name, reason in bad.items():
        data = folder_of(path, shuffle=False)
        data.file_paths = [name]
        with pytest.raises(ValueError, match=reason) as raised:
            list(data)
        assert name in str(raised.value)


def test_a_file_that_went_away_is_a_bad_file(tmp_path):
    numbered(tmp_path, 3)
    data, strict = folder_of(tmp_path, on_error="skip", seed=0), folder_of(tmp_path)
    (tmp_path / "a" / "001.png").unlink()
    assert sorted(sum(shades(data), [])) == [0, 2] and "No such file" in "".join(data.bad_files.values())
    with pytest.raises(FileNotFoundError, match="001.png"):
        list(strict)


def test_a_folder_of_bad_files_alone(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").touch()
    data = folder_of(tmp_path, on_error="skip")
    for _ in range(2):
        with pytest.raises(ValueError, match="none of the 1 files can be read, beginning with .*x.png: .*empty"):
            list(data)


# bad arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label_mode": "one_hot"}, "label_mode must be one of 'int', 'categorical', 'binary', None; got 'one_hot'"),
        ({"labels": "guess"}, "labels must be one of 'inferred'"),
        ({"labels": [0, 1]}, "labels must be as many as the pictures in .*, 6; got 2"),
        ({"labels": [0.5] * 6}, "labels must be"),
        ({"labels": [0, -1, 0, 0, 0, 0]}, "integers that are not negative"),
        ({"labels": [0, 0, 0, 2, 2, 2], "label_mode": "categorical"}, "below the number of classes, 2"),
        ({"labels": None, "class_names": ["a"]}, "class_names"),
        ({"class_names": ["a", "z"]}, r"different folders of .*\['a', 'b', 'c'\]; got \['a', 'z'\]"),
        ({"class_names": ["a", "a"]}, "different folders"),
        ({"label_mode": "binary"}, "needs 2 classes; there are 3: a, b, c"),
        ({"color_mode": "bgr"}, "color_mode must be one of"),
        ({"interpolation": "gaussian"}, "interpolation must be one of"),
        ({"on_error": "ignore"}, "on_error must be one of 'raise', 'skip'"),
        ({"batch_size": 0}, "batch_size must be a positive integer; got 0"),
        ({"batch_size": None}, "batch_size must be a positive integer; got None"),
        ({"image_size": (0, 3)}, "image_size must be a positive integer"),
        ({"image_size": (1, 2, 3)}, r"image_size must be \(height, width\)"),
        ({"validation_split": 0.5}, "validation_split, .* and subset, one of 'training', .*, go together; got 0.5 and None"),
        ({"subset": "training"}, "go together; got None and 'training'"),
        ({"validation_split": 1.5, "subset": "both"}, r"validation_split must be in \(0, 1\)"),
        ({"validation_split": 0.1, "subset": "both"}, "leaves nothing to validate on"),
        ({"validation_split": 0.5, "subset": "test"}, "subset must be one of"),
        ({"validation_split": 0.5, "subset": "training"}, "needs a seed"),
        ({"seed": -1}, "seed must be an integer from 0"),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "not both"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, arguments, message):
    numbered(tmp_path, 6, classes=("a", "b", "c"))
    with pytest.raises(ValueError, match=message):
        image_folder(tmp_path, verbose=False, **arguments)


def test_folders_without_pictures(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        folder_of(tmp_path / "missing")
    with pytest.raises(ValueError, match="which has no folders"):
        folder_of(tmp_path)
    (tmp_path / "cats").mkdir()
    with pytest.raises(ValueError, match="no pictures .* in the folders cats of"):
        folder_of(tmp_path)


def test_a_class_without_pictures_is_told(tmp_path):
    numbered(tmp_path, 4)
    (tmp_path / "empty").mkdir()
    with pytest.warns(UserWarning, match=r"no pictures \(\.bmp, .*\) in the folders empty of") as warned:
        data = image_folder(tmp_path, verbose=False)
    assert data.class_names == ["a", "b", "empty"] and data.samples == 4
    assert len(warned) == 1 and warned[0].filename == __file__


@pytest.mark.parametrize("labels", ["inferred", None])
def test_pictures_of_other_formats_are_told(tmp_path, labels):
    numbered(tmp_path, 4)
    for name in ("a/x.HEIC", "b/x.webp", "b/y.webp", "b/notes.txt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.warns(UserWarning, match=r"do not end in \.bmp, .* are left out: 1 \.heic, 2 \.webp") as warned:
        data = image_folder(tmp_path, labels=labels, verbose=False)
    assert data.samples == 4
    assert len(warned) == 1 and warned[0].filename == __file__


def test_it_says_what_it_found(tmp_path, capsys):
    numbered(tmp_path, 10)
    image_folder(tmp_path, validation_split=0.2, subset="both", seed=0)
    image_folder(tmp_path, labels=None)
    assert capsys.readouterr().out.splitlines() == [
        "Found 10 files belonging to 2 classes.",
        "Using 8 files for training and 2 for validation.",
        "Found 10 files.",
    ]


def test_without_pillow_it_says_what_to_install(tmp_path, monkeypatch):
    numbered(tmp_path, 2)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pip install 'fastnn-kernels\[image\]'"):
        folder_of(tmp_path)


# threads and memory


def test_results_come_in_order_and_no_more_than_asked_for_ahead():
    begun = []
    results = map_ahead(lambda i: begun.append(i) or -i, range(100), 5)
    assert begun == []
    for i in range(100):
        assert next(results) == -i
        until(lambda: len(begun) == min(i + 6, 100))  # noqa: B023
    assert next(results, None) is None
    until(lambda: not readers())


def test_threads_end_when_the_iteration_does(tmp_path):
    numbered(tmp_path, 40)
    data = folder_of(tmp_path, batch_size=2)
    list(data)
    until(lambda: not readers())
    for _ in data:
        break
    gc.collect()
    until(lambda: not readers())
    for error in (KeyboardInterrupt, ValueError):
        with pytest.raises(error):
            for _ in data:
                raise error
        gc.collect()
        until(lambda: not readers())


def test_ctrl_c_while_waiting_for_a_picture():
    release = threading.Event()

    def slow(i):
        if i == 3:
            release.wait(20)
            raise KeyboardInterrupt  # where the interpreter would raise it: out of the wait for the result
        return i

    results = map_ahead(slow, range(50), 10)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    release.set()
    with pytest.raises(KeyboardInterrupt):
        next(results)
    until(lambda: not readers())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts threads' memory in this limit")
def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path):
    """Pictures that take 300 MB when decoded, within 100 MB more than the interpreter had before; all at once do not fit."""
    (tmp_path / "a").mkdir()
    for i in range(100):
        Image.new("1", (4, 4), i % 2).save(tmp_path / "a" / f"{i}.png")
    code = f"""
import resource
import numpy as np
import fastnn
from fastnn.datasets import image_folder
fastnn.set_num_threads(2)
data = image_folder({str(tmp_path)!r}, image_size=1000, batch_size=4, interpolation="nearest", verbose=False)
with open("/proc/self/status") as status:
    used = next(int(line.split()[1]) for line in status if line.startswith("VmData"))
limit = used * 1024 + 100 * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
print(sum(len(images) for images, _ in data))
try:
    everything = list(data)
except MemoryError:
    print("does not fit")
"""
    # pictures' memory goes back to the system at once: what glibc keeps for later allocations depends on chance
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "500000"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment)
    assert done.stdout.split("\n")[:2] == ["100", "does not fit"], done.stderr


def test_no_more_than_a_few_batches_wait(tmp_path):
    numbered(tmp_path, 60)
    data = folder_of(tmp_path, batch_size=4)
    decode, decoded = data._decode, []
    data._decode = lambda path: decoded.append(path) or decode(path)
    batches = iter(data)
    for taken in range(1, 5):
        next(batches)
        until(lambda: len(decoded) == 4 * (taken + BATCHES_AHEAD))  # noqa: B023
    batches.close()


# training


def network(classes=2):
    """A small network with the same weights each time."""
    fastnn.set_seed(3)
    model = fastnn.Sequential(
        [
            layers.Input((2, 3, 3), name="in"),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(classes, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def same_weights(model, other):
    return all(np.array_equal(a, b) for a, b in zip(model.get_weights(), other.get_weights(), strict=True))


def test_fit_makes_the_steps_that_float_batches_make_one_by_one(tmp_path):
    numbered(tmp_path, 22)
    model, by_hand = network(), network()
    history = model.fit(folder_of(tmp_path, batch_size=8, seed=1), epochs=3, verbose=0).history
    batches = folder_of(tmp_path, batch_size=8, seed=1)
    for epoch in range(3):
        losses = [(len(x), *by_hand.train_on_batch(x.astype(np.float32), y)) for x, y in batches]
        assert history["loss"][epoch] == pytest.approx(sum(n * loss for n, loss, _ in losses) / 22, rel=1e-5)
    assert list(history) == ["loss", "accuracy"]
    assert same_weights(model, by_hand)


def test_evaluate_and_predict_give_what_arrays_give(tmp_path):
    numbered(tmp_path, 22)
    data = folder_of(tmp_path, batch_size=8, shuffle=False)
    batches = list(data)
    x, y = (np.concatenate(part) for part in zip(*batches, strict=True))
    model = network()
    assert model.evaluate(data) == pytest.approx(model.evaluate(x, y), rel=1e-6)
    np.testing.assert_array_equal(model.predict(data), model.predict(x.astype(np.float32)))
    np.testing.assert_array_equal(model.predict(folder_of(tmp_path, labels=None, shuffle=False)), model.predict(x))
    logs = model.fit(data, epochs=1, validation_data=data, verbose=0).history
    assert logs["val_loss"][0] == pytest.approx(model.evaluate(x, y)[0], rel=1e-6)


def test_bytes_and_floats_of_one_shape_have_steps_of_their_own(tmp_path):
    model = network()
    pixels = np.arange(2 * 18, dtype=np.uint8).reshape(2, 2, 3, 3)
    expected = model.predict(pixels)
    np.testing.assert_array_equal(model.predict(pixels.astype(np.float32)), expected)
    np.testing.assert_array_equal(model.predict(pixels), expected)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(model.predict(pixels + np.float32(0.9)), expected)


def test_pictures_without_labels_cannot_be_learned(tmp_path):
    numbered(tmp_path, 2)
    for call in (network().fit, network().evaluate):
        with pytest.raises(ValueError, match=r"batches must be \(x, y\) or .*; got ndarray, without targets"):
            call(folder_of(tmp_path, labels=None))


def test_an_interrupted_training_goes_on_exactly(tmp_path):
    numbered(tmp_path / "pictures", 30)

    def trained(epochs, backup, **arguments):
        model = network()
        data = folder_of(tmp_path / "pictures", batch_size=8)  # without a seed: the process's random numbers
        callbacks = [fastnn.callbacks.BackupAndRestore(tmp_path / backup, delete_checkpoint=False)]
        model.fit(data, epochs=epochs, callbacks=callbacks, verbose=0, **arguments)
        return model

    whole = trained(4, "whole")
    trained(2, "parts")
    assert same_weights(whole, trained(4, "parts"))


def test_threads_end_when_training_fails_though_the_error_is_kept(tmp_path):
    numbered(tmp_path, 40)

    def stop(batch, logs):
        raise KeyboardInterrupt

    for steps in (None, 5):
        with pytest.raises(KeyboardInterrupt) as error:
            stopper = fastnn.callbacks.LambdaCallback(on_train_batch_end=stop)
            network().fit(folder_of(tmp_path, batch_size=2), steps_per_epoch=steps, verbose=0, callbacks=[stopper])
        until(lambda: not readers())
        assert error.traceback


class Slow:
    """Three batches, each of which takes its time."""

    def __len__(self):
        return 3

    def __iter__(self):
        for _ in range(3):
            time.sleep(0.1)
            yield np.ones((4, 2, 3, 3), np.uint8), np.zeros(4, np.int32)


def test_the_share_of_time_spent_waiting_is_shown(tmp_path, capsys):
    network().fit(Slow(), verbose=2)
    out = capsys.readouterr().out
    share = int(out.split("waiting for data: ")[1].split("%")[0])
    assert 30 < share <= 100  # less than all: a step takes time too
    numbered(tmp_path, 6)
    network().fit(folder_of(tmp_path), verbose=1)
    shown = capsys.readouterr().err
    assert "waiting for data" in shown and "images/s" in shown and "6/6" in shown
    network().fit(np.ones((4, 2, 3, 3)), np.zeros(4), verbose=2)
    assert "waiting" not in capsys.readouterr().out
