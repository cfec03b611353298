"""Pictures in folders from the shell, and the example: stripes across and stripes along for the one, drawn faces for the other."""

import csv
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fastnn
from fastnn.cli import main

pytestmark = pytest.mark.usefixtures("in_empty_folder")


def draw(folder, count, seed):
    rng = np.random.default_rng(seed)
    for i in range(count):
        path = folder / ("across", "along")[i % 2] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        light = 255 * (np.arange(40) // rng.integers(3, 6) % 2)
        stripes = np.tile(light[:, None] if i % 2 == 0 else light[None], (1, 40) if i % 2 == 0 else (40, 1))
        Image.fromarray(stripes.astype(np.uint8)).convert("RGB").save(path)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    draw(folder / "train", 48, 0)
    draw(folder / "test", 16, 1)
    (folder / "train" / "along" / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def model(pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "run"
    argv = ["train", "cats-dogs", "--data", str(pictures), "--image-size", "32", "--epochs", "1", "--batch-size", "16"]
    assert main([*argv, "--no-plot", "--output", str(folder)]) == 0
    return folder


def test_training_says_what_it_learns_from_waits_for_and_leaves_out(pictures, capsys):
    argv = ["train", "cats-dogs", "--data", str(pictures / "train"), "--image-size", "32", "--epochs", "1", "--no-plot"]
    assert main(argv) == 0
    printed = capsys.readouterr()
    assert "cats-dogs: 990,782 parameters, 2 classes (across, along), 40 images to learn from, 9 to test" in printed.out
    assert "waiting for data: " in printed.out
    *_, count, reason = printed.err.splitlines()
    assert count == "fastnn: 1 files were left out:"
    assert "broken.jpg is not a picture that Pillow can read: it has no known format" in reason


def test_the_model_has_the_classes_names(model):
    loaded = fastnn.load_model(model / "model.safetensors")
    assert loaded.class_names == ["across", "along"]
    assert loaded.input_shape == (None, 32, 32, 3)


def test_evaluate_takes_the_test_folder(model, pictures, capsys):
    assert main(["evaluate", str(model), "--data", str(pictures)]) == 0
    out = capsys.readouterr().out
    loaded = fastnn.load_model(model / "model.safetensors")
    data = fastnn.datasets.image_folder(pictures / "test", image_size=32, shuffle=False, verbose=False)
    loss, accuracy = loaded.evaluate(data)
    assert out == f"16 test images of {pictures}: loss {loss:.4f}, accuracy {accuracy:.4f}\n"


def test_a_folder_gives_a_table(model, pictures, capsys):
    assert main(["predict", str(model), str(pictures / "test")]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    data = fastnn.datasets.image_folder(pictures / "test", labels=None, image_size=32, shuffle=False, verbose=False)
    scores = fastnn.load_model(model / "model.safetensors").predict(data)
    assert [row["path"] for row in rows] == data.file_paths
    assert [row["label"] for row in rows] == [("across", "along")[i] for i in scores.argmax(axis=1)]
    written = np.array([[float(row["across"]), float(row["along"])] for row in rows])
    np.testing.assert_allclose(written, scores, rtol=1e-4, atol=1e-9)


def test_the_table_goes_to_a_new_file_and_bad_pictures_to_stderr(model, pictures, tmp_path, error_line):
    argv = ["predict", str(model), str(pictures / "train" / "along"), "--output", "table.csv"]
    assert main(argv) == 1
    assert "broken.jpg is not a picture" in error_line()
    rows = (tmp_path / "table.csv").read_text().splitlines()
    assert rows[0] == "path,label,across,along" and len(rows) == 25
    assert main(argv) == 1
    assert "File exists" in error_line()
    assert (tmp_path / "table.csv").read_text().splitlines() == rows


def test_one_picture_gives_a_line_with_the_class(model, pictures, capsys):
    path = str(pictures / "test" / "along" / "1.jpg")
    assert main(["predict", str(model), path]) == 0
    assert re.fullmatch(re.escape(path) + r": (across|along) \([\d.]+%\)\n", capsys.readouterr().out)


def test_one_probability_is_that_of_the_second_class(pictures, capsys, error_line):
    model = fastnn.Sequential([fastnn.layers.Input((8, 8, 3)), fastnn.layers.Flatten(), fastnn.layers.Dense(1, "sigmoid")])
    model.compile(loss="binary_crossentropy")
    model.set_weights([np.zeros((192, 1)), np.array([2.0])])
    model.save("sigmoid.safetensors")
    assert main(["predict", "sigmoid.safetensors", str(pictures / "test" / "along")]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header == "path,label,0,1" and len(rows) == 8
    assert all(row.endswith(".jpg,1,0.119203,0.880797") for row in rows)
    model.compile(loss="mse")
    model.save("number.safetensors")
    assert main(["predict", "number.safetensors", str(pictures / "test")]) == 1
    assert "does not tell classes apart" in error_line()


def test_a_class_called_train_is_no_training_set(tmp_path, capsys):
    draw(tmp_path, 10, 0)
    (tmp_path / "across").rename(tmp_path / "train")
    assert main(["train", "cats-dogs", "--data", ".", "--image-size", "32", "--epochs", "1", "--no-plot", "--output", "run"]) == 0
    assert "8 images to learn from, 2 to test" in capsys.readouterr().out
    assert fastnn.load_model("run/model.safetensors").class_names == ["along", "train"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["cats-dogs"], "cats-dogs takes its pictures from --data FOLDER, with a folder for each class"),
        (["cats-dogs", "--data", "missing"], "--data: No such file or directory: 'missing'"),
        (["cats-dogs", "--data", "empty"], "--data: empty has no folders; the pictures of each class must be in a folder"),
        (
            ["cats-dogs", "--data", "hollow"],
            "--data: no pictures (.bmp, .gif, .jpeg, .jpg, .png) in the folders cats, dogs of hollow",
        ),
        (["cats-dogs", "--data", "one"], "one has one folder of pictures, along; a folder for each class is needed"),
        (["cats-dogs", "--data", "one", "--data-name", "x"], "and no --data-name"),
        (["mnist-mlp", "--image-size", "32"], "--image-size is for pictures in folders; mnist-mlp learns images of one size"),
    ],
)
def test_what_cannot_be_learned_from(argv, message, tmp_path, error_line):
    for folder in ("empty", "hollow/cats", "hollow/dogs"):
        (tmp_path / folder).mkdir(parents=True)
    draw(tmp_path / "one", 10, 0)
    (tmp_path / "one" / "across").rename(tmp_path / "elsewhere")
    assert main(["train", *argv]) == 1
    assert message in error_line()
    assert not (tmp_path / "fastnn-runs").exists()


def test_the_example_tells_its_drawn_faces_apart(tmp_path, capsys):
    path = Path(__file__).parent.parent / "examples" / "cats_dogs.py"
    spec = importlib.util.spec_from_file_location("cats_dogs", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    example.draw_pictures(tmp_path, count=80)
    (tmp_path / "dogs" / "empty.jpg").touch()
    model, _ = example.train(tmp_path, size=32, epochs=6, verbose=0)
    assert model.history.history["accuracy"][-1] > 0.9
    assert "empty.jpg is not a picture that Pillow can read: it is empty" in capsys.readouterr().out
