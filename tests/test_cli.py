"""The command line, as a person meets it: what it prints, the files it leaves, and its exit codes."""

import csv
import gzip
import io
import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import callbacks
from fastnn.cli import main
from fastnn.datasets import load_mnist
from fastnn.kernels import backends
from fastnn.kernels.backends import BACKENDS
from fastnn.recipes import RECIPES, load_digits_split

pytestmark = pytest.mark.usefixtures("in_empty_folder")


def write_idx(path, array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes(), 1))


def write_data_set(folder, train, test):
    folder.mkdir()
    for split, (x, y) in (("train", train), ("t10k", test)):
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", x)
        write_idx(folder / f"{split}-labels-idx1-ubyte.gz", y)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with the first images of MNIST: 2,000 to learn from, 500 to test."""
    (x, y), (x_test, y_test) = load_mnist()
    return write_data_set(tmp_path_factory.mktemp("data") / "small", (x[:2000], y[:2000]), (x_test[:500], y_test[:500]))


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """The output folder of a training that went through."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert main(["train", "mnist-mlp", "--epochs", "4", "--data", str(data), "--output", str(folder)]) == 0
    return folder


@pytest.fixture(autouse=True)
def settings_restored():
    threads, backend = fastnn.get_num_threads(), fastnn.kernels.active_backend()
    yield
    fastnn.set_num_threads(threads)
    fastnn.use_backend(backend)


class TestTrain:
    def test_leaves_a_model_its_history_and_curves(self, data, tmp_path, capsys):
        folder = tmp_path / "run"
        assert main(["train", "mnist-mlp", "--epochs", "3", "--data", str(data), "--output", str(folder)]) == 0
        printed = capsys.readouterr()
        shown = re.search(r"test accuracy ([\d.]+)%, test loss ([\d.]+)", printed.out)
        assert float(shown[1]) > 80
        assert "mnist-mlp: 109,386 parameters, 2,000 images to learn from, 500 to test" in printed.out
        for part in ("loss", "accuracy", "images/s"):
            assert part in printed.out
        (x_test, y_test) = load_mnist(data)[1]
        model = fastnn.load_model(folder / "model.safetensors")
        loss, accuracy = model.evaluate(x_test, y_test)
        assert (f"{accuracy:.2%}", f"{loss:.4f}") == (f"{shown[1]}%", shown[2])
        with open(folder / "history.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 3
        assert float(rows[-1]["val_accuracy"]) == pytest.approx(accuracy, abs=1e-6)
        assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
        assert (folder / "learning-curves.png").read_bytes().startswith(b"\x89PNG")

    def test_the_same_seed_gives_the_same_model(self, tmp_path):
        x, y = load_mnist()[0]
        data = write_data_set(tmp_path / "tiny", (x[:320], y[:320]), (x[320:350], y[320:350]))
        weights = {}
        for name, seed, threads in (("a", "5", "1"), ("b", "5", "2"), ("c", "6", "1")):
            argv = ["train", "mnist-cnn", "--epochs", "1", "--data", str(data), "--seed", seed, "--threads", threads, "--no-plot"]
            assert main([*argv, "--output", name]) == 0
            weights[name] = fastnn.load_model(tmp_path / name / "model.safetensors").get_weights()
        assert all(np.array_equal(a, b) for a, b in zip(weights["a"], weights["b"], strict=True))
        assert not np.array_equal(weights["a"][0], weights["c"][0])

    @pytest.mark.parametrize("recipe", ["lenet", "digits-cnn"])
    def test_the_other_recipes_learn(self, recipe, data, capsys):
        argv = ["train", recipe, "--epochs", "3", "--no-plot", "--optimizer", "rmsprop", "--learning-rate", "0.002"]
        assert main([*argv, "--batch-size", "20", *(["--data", str(data)] if recipe == "lenet" else [])]) == 0
        assert float(re.search(r"test accuracy ([\d.]+)%", capsys.readouterr().out)[1]) > 80

    def test_default_folders_are_numbered_and_nothing_is_overwritten(self, data, tmp_path):
        argv = ["train", "mnist-mlp", "--epochs", "1", "--data", str(data), "--no-plot"]
        assert main(argv) == main(argv) == 0
        assert sorted(path.name for path in (tmp_path / "fastnn-runs").iterdir()) == ["mnist-mlp", "mnist-mlp-2"]

    def test_a_folder_that_is_not_empty_is_refused(self, data, tmp_path, capsys):
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "thesis.tex").write_text("precious")
        assert main(["train", "mnist-mlp", "--data", str(data), "--output", "full"]) == 1
        assert "full is not empty" in error_line_after_output(capsys)
        assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.tex"]
        assert main(["train", "mnist-mlp", "--data", str(data), "--output", "full/thesis.tex"]) == 1
        assert "--output: File exists: 'full/thesis.tex'; nothing is overwritten" in error_line_after_output(capsys)

    @pytest.mark.parametrize(("number", "shown"), [("1", " 1 thread,"), ("2", " 2 threads,")])
    def test_says_how_many_threads(self, number, shown, data, capsys):
        assert main(["train", "mnist-mlp", "--epochs", "1", "--data", str(data), "--no-plot", "--threads", number]) == 0
        assert shown in capsys.readouterr().out

    def test_without_matplotlib_it_says_so(self, data, monkeypatch, capsys):
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        assert main(["train", "mnist-mlp", "--epochs", "1", "--data", str(data), "--output", "run"]) == 0
        assert "matplotlib is not installed (pip install 'fastnn-kernels[plot]')" in capsys.readouterr().out
        assert not os.path.exists("run/learning-curves.png")

    def test_divergence_is_a_failure_with_advice(self, data, capsys):
        argv = ["train", "mnist-mlp", "--epochs", "2", "--data", str(data), "--optimizer", "sgd", "--learning-rate", "1e30"]
        with pytest.warns(RuntimeWarning, match="the loss of epoch 1 is"):
            assert main(argv) == 1
        assert "the loss is no longer finite; try a smaller --learning-rate" in error_line_after_output(capsys)

    @pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
    def test_ctrl_c_saves_the_model_so_far(self, data, tmp_path):
        argv = [sys.executable, "-m", "fastnn", "train", "mnist-cnn", "--epochs", "1000", "--data", str(data), "--output", "run"]
        # a shell makes its background jobs ignore Ctrl-C, and what they start inherits that; so would the training
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            training = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        finally:
            signal.signal(signal.SIGINT, handler)
        try:
            deadline = time.monotonic() + 60
            while not (tmp_path / "run" / "history.csv").exists() or not (tmp_path / "run" / "history.csv").stat().st_size:
                assert training.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            training.send_signal(signal.SIGINT)
            _, err = training.communicate(timeout=60)
        finally:
            training.kill()
        assert training.returncode == 130
        assert "fastnn: interrupted; the model so far is in" in err
        assert "Traceback" not in err
        model = fastnn.load_model(tmp_path / "run" / "model.safetensors")
        assert all(np.isfinite(weight).all() for weight in model.get_weights())

    def test_a_resumed_training_ends_as_if_it_had_not_been_interrupted(self, tmp_path, monkeypatch, capsys, error_line):
        x, y = load_mnist()[0]
        data = write_data_set(tmp_path / "tiny", (x[:320], y[:320]), (x[320:350], y[320:350]))
        argv = ["train", "mnist-mlp", "--epochs", "4", "--batch-size", "100", "--data", str(data), "--no-plot"]
        fastnn.layers.clear_session()
        assert main([*argv, "--output", "whole"]) == 0

        class Interrupt(callbacks.CSVLogger):
            def on_epoch_end(self, epoch, logs=None):
                super().on_epoch_end(epoch, logs)  # a row that the checkpoint does not know of
                if epoch == 2:
                    raise KeyboardInterrupt

        Interrupt.__name__ = "CSVLogger"
        assert main([*argv, "--resume"]) == 1
        assert "mnist-mlp holds no interrupted training" in error_line()
        for folder in ("mnist-mlp", "mnist-mlp-2"):
            with monkeypatch.context() as patch:
                patch.setattr(callbacks, "CSVLogger", Interrupt)
                assert main(argv) == 130
            assert "the same command with --resume goes on" in error_line_after_output(capsys)
            assert (tmp_path / "fastnn-runs" / folder / "checkpoint").is_dir()
        history = tmp_path / "fastnn-runs" / "mnist-mlp-2" / "history.csv"
        rows = history.read_text()
        assert main([*argv, "--resume", "--epochs", "5"]) == 1
        assert history.read_text() == rows and len(rows.splitlines()) == 4
        line = error_line()
        assert line.startswith("--resume needs the options that the training began with (--epochs, --batch-size,")
        assert "is not of this training: learning_rate was" in line
        fastnn.layers.clear_session()  # automatic names as in another process
        assert main([*argv, "--resume"]) == 0
        printed = capsys.readouterr().out
        assert "resumed" in printed and "Epoch 3/4" in printed and "Epoch 2/4" not in printed
        runs = tmp_path / "fastnn-runs"
        assert sorted(path.name for path in (runs / "mnist-mlp-2").iterdir()) == ["history.csv", "model.safetensors"]
        for name in ("history.csv", "model.safetensors"):
            assert (runs / "mnist-mlp-2" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
        assert main([*argv, "--resume", "--output", str(runs / "mnist-mlp-2")]) == 1
        assert "mnist-mlp-2 holds no interrupted training" in error_line()

    @pytest.mark.parametrize(
        ("argv", "expected"),
        [
            (["train"], "RECIPE"),
            (["train", "mnist-rnn"], "mnist-cnn"),
            (["train", "lenet", "--epochs", "0"], "expected a positive integer, got '0'"),
            (["train", "lenet", "--batch-size", "big"], "expected a positive integer, got 'big'"),
            (["train", "lenet", "--learning-rate", "nan"], "expected a positive number, got 'nan'"),
            (["train", "lenet", "--optimizer", "sdg"], "'sgd'"),
            (["train", "lenet", "--backend", "abacus"], "'numpy'"),
            (["train", "lenet", "--device", "tpu"], "'cuda'"),
            (["train", "lenet", "--device", "cuda", "--backend", "numpy"], "not allowed with argument --device"),
            (["train", "lenet", "--threads", "0"], "expected an integer from 1 to 1024, got '0'"),
            (["train", "lenet", "--seed", "-1"], "expected an integer, not negative, got '-1'"),
            (["grow"], "train"),
            ([], "COMMAND"),
        ],
    )
    def test_a_wrong_command_line_exits_with_2(self, argv, expected, capsys):
        with pytest.raises(SystemExit) as stop:
            main(argv)
        assert stop.value.code == 2
        assert expected in capsys.readouterr().err

    def test_wrong_data_are_one_line_and_exit_code_1(self, data, tmp_path, error_line):
        assert main(["train", "lenet", "--data", "nowhere"]) == 1
        assert error_line() == "--data: No such file or directory: 'nowhere'"
        (tmp_path / "empty").mkdir()
        assert main(["train", "lenet", "--data", "empty"]) == 1
        assert error_line().startswith("--data: no IDX files")
        for name in data.iterdir():
            (tmp_path / "empty" / f"other-{name.name}").write_bytes(name.read_bytes())
            (tmp_path / "empty" / name.name).write_bytes(name.read_bytes())
        assert main(["train", "lenet", "--data", "empty"]) == 1
        assert error_line() == "--data-name must be one of 'other', '', the data sets in empty"
        assert main(["train", "lenet", "--data", "empty", "--data-name", "third"]) == 1
        assert error_line() == "--data-name must be one of 'other', '', the data sets in empty"
        assert main(["train", "lenet", "--data-name", "other"]) == 1
        assert "give both" in error_line()
        assert not (tmp_path / "fastnn-runs").exists()

    def test_images_too_small_for_the_network(self, tmp_path, capsys, error_line):
        x, y = np.zeros((30, 4, 4)), np.arange(30) % 3
        write_data_set(tmp_path / "tiny", (x, y), (x, y))
        assert main(["train", "lenet", "--data", "tiny"]) == 1
        assert error_line()


def error_line_after_output(capsys):
    """Return the last line on stderr, below the progress bar."""
    return capsys.readouterr().err.splitlines()[-1]


class TestEvaluate:
    def test_on_given_images(self, trained, data, capsys):
        assert main(["evaluate", str(trained), "--data", str(data)]) == 0
        loss, accuracy = fastnn.load_model(trained / "model.safetensors").evaluate(*load_mnist(data)[1])
        out = capsys.readouterr().out
        assert out == f"500 test images of {data}: loss {loss:.4f}, accuracy {accuracy:.4f}\n"

    def test_on_the_images_of_the_package(self, trained, capsys):
        assert main(["evaluate", str(trained / "model.safetensors")]) == 0
        match = re.fullmatch(r"10,000 test images of MNIST: loss [\d.]+, accuracy ([\d.]+)\n", capsys.readouterr().out)
        assert float(match[1]) > 0.8

    def test_a_missing_and_a_foreign_model(self, tmp_path, error_line):
        assert main(["evaluate", "nothing.safetensors"]) == 1
        assert "nothing.safetensors" in error_line()
        (tmp_path / "foreign").write_text("no model")
        assert main(["evaluate", "foreign"]) == 1
        assert "foreign" in error_line()

    def test_a_model_without_a_loss(self, error_line):
        fastnn.Sequential([fastnn.layers.Input((28, 28)), fastnn.layers.Flatten()]).save("untrained.safetensors")
        assert main(["evaluate", "untrained.safetensors"]) == 1
        assert "untrained.safetensors was saved without a loss" in error_line()

    def test_a_model_for_which_there_are_no_images(self, error_line):
        model = fastnn.Sequential([fastnn.layers.Input((3,)), fastnn.layers.Dense(2, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.save("three.safetensors")
        assert main(["evaluate", "three.safetensors"]) == 1
        assert "(3,); name one with --data" in error_line()


class TestPredict:
    @pytest.fixture(autouse=True)
    def pillow(self):
        self.image = pytest.importorskip("PIL.Image")
        self.draw = pytest.importorskip("PIL.ImageDraw")

    def predicted(self, capsys, trained, *names):
        assert main(["predict", str(trained), *names]) == 0
        printed = capsys.readouterr()
        return re.findall(r"^(.+): (\d+) \([\d.]+%\)$", printed.out, re.MULTILINE), printed.err

    def test_an_image_of_the_data_set_is_taken_as_it_is(self, trained, capsys):
        x, y = load_mnist()[1]
        for i in range(20):
            self.image.fromarray(x[i]).save(f"{i}.png")
        answers, steps = self.predicted(capsys, trained, *(f"{i}.png" for i in range(20)))
        direct = fastnn.load_model(trained / "model.safetensors").predict(x[:20]).argmax(axis=1)
        assert [int(answer) for _, answer in answers] == direct.tolist()
        assert steps == ""
        assert (direct == y[:20]).mean() > 0.8

    def test_a_big_dark_digit_on_light_paper_gives_the_digit(self, trained, capsys):
        """The image blown up, inverted, off centre on a wide sheet: prepared, it is nearly the image it came from."""
        x, _ = load_mnist()[1]
        model = fastnn.load_model(trained / "model.safetensors")
        direct = model.predict(x[:40]).argmax(axis=1)
        for i in range(40):
            big = self.image.fromarray(255 - x[i]).resize((280, 280))
            sheet = self.image.new("L", (700, 400), 250)
            sheet.paste(big, (390, 20))
            sheet.save(f"{i}.png")
        answers, steps = self.predicted(capsys, trained, *(f"{i}.png" for i in range(40)))
        assert (np.array([int(answer) for _, answer in answers]) == direct).mean() >= 0.9
        assert "0.png: inverted, the background was light" in steps
        assert "0.png: scaled from 400x700" in steps
        assert "0.png: its ink fitted to 20x20 and centred" in steps

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F"])
    def test_every_kind_of_picture(self, mode, trained, capsys):
        drawn = self.image.new("L", (60, 90), 255)
        self.draw.Draw(drawn).line([(30, 10), (30, 80)], fill=0, width=8)
        name = "one.tif" if mode in ("CMYK", "F", "I") else "one.png"
        if mode == "I;16":
            drawn = self.image.fromarray(np.asarray(drawn).astype(np.uint16) * 257)
        else:
            drawn = drawn.convert("RGB").convert(mode) if mode == "P" else drawn.convert(mode)
        drawn.save(name)
        answers, steps = self.predicted(capsys, trained, name)
        assert answers == [(name, "1")]
        assert "inverted" in steps

    def test_a_transparent_background_counts_as_white(self, trained, capsys):
        drawn = self.image.new("RGBA", (60, 90), (0, 0, 0, 0))
        self.draw.Draw(drawn).line([(30, 10), (30, 80)], fill=(0, 0, 0, 255), width=8)
        drawn.save("one.png")
        answers, steps = self.predicted(capsys, trained, "one.png")
        assert answers == [("one.png", "1")]
        assert "put on white, it was transparent" in steps

    def test_bad_pictures_are_named_and_the_good_ones_are_answered(self, trained, tmp_path, capsys):
        self.image.fromarray(load_mnist()[1][0][0]).save("seven.png")
        self.image.new("L", (50, 50), 255).save("blank.png")
        (tmp_path / "text.png").write_text("not a picture")
        whole = (tmp_path / "seven.png").read_bytes()
        (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
        assert main(["predict", str(trained), "missing.png", "text.png", "blank.png", "half.png", "seven.png"]) == 1
        printed = capsys.readouterr()
        assert printed.out.startswith("seven.png: 7 (")
        lines = printed.err.splitlines()
        assert len(lines) == 4
        for name, line in zip(("missing.png", "text.png", "blank.png", "half.png"), lines, strict=True):
            assert line.startswith("fastnn: error: ") and name in line
        assert lines[0] == "fastnn: error: No such file or directory: 'missing.png'"

    def test_names_that_stdout_cannot_show_are_escaped(self, trained, monkeypatch):
        self.image.fromarray(load_mnist()[1][0][0]).save("größe.png")
        stdout = io.TextIOWrapper(io.BytesIO(), "ascii")
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stdout)
            assert main(["predict", str(trained), "größe.png", "größe.png"]) == 0
        stdout.seek(0)
        assert [line.partition(":")[0] for line in stdout] == ["gr\\xf6\\xdfe.png"] * 2

    def test_what_is_wrong_with_files_and_folders_names_the_option(self, trained, tmp_path, error_line):
        self.image.fromarray(load_mnist()[1][0][0]).save("seven.png")
        before = (tmp_path / "seven.png").read_bytes()
        assert main(["predict", str(trained), "seven.png", "--output", "seven.png"]) == 1
        assert error_line() == "--output: File exists: 'seven.png'; nothing is overwritten, choose another name"
        assert (tmp_path / "seven.png").read_bytes() == before
        (tmp_path / "empty").mkdir()
        assert main(["predict", str(trained), "empty"]) == 1
        assert re.fullmatch(r"IMAGE: no pictures \(.*\) in empty", error_line())

    def test_a_model_of_other_inputs_is_refused(self, error_line):
        model = fastnn.Sequential([fastnn.layers.Input((3,)), fastnn.layers.Dense(2, activation="softmax")])
        model.save("three.safetensors")
        self.image.new("L", (8, 8)).save("black.png")
        assert main(["predict", "three.safetensors", "black.png"]) == 1
        assert "takes inputs of shape (3,), not images" in error_line()

    def test_a_colour_model_gets_colours(self, capsys):
        model = fastnn.Sequential([fastnn.layers.Input((2, 2, 3)), fastnn.layers.Flatten(), fastnn.layers.Dense(12)])
        model.set_weights([np.eye(12, dtype=np.float32), np.zeros(12, dtype=np.float32)])
        model.save("colour.safetensors")
        pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
        pixels[1, 0, 1] = 200
        self.image.fromarray(pixels).save("four.png")
        assert main(["predict", "colour.safetensors", "four.png"]) == 0
        assert capsys.readouterr().out.startswith("four.png: 7")

    @pytest.mark.parametrize(
        ("bias", "loss", "shown"),
        [
            ([0.0, np.log(3)], fastnn.losses.CategoricalCrossentropy, "a.png: 1 (75.0%)\n"),
            ([-np.log(3)], fastnn.losses.BinaryCrossentropy, "a.png: 0 (75.0%)\n"),
        ],
    )
    def test_a_model_of_logits_gives_probabilities(self, bias, loss, shown, capsys):
        model = fastnn.Sequential([fastnn.layers.Input((2, 2)), fastnn.layers.Flatten(), fastnn.layers.Dense(len(bias))])
        model.compile("sgd", loss(from_logits=True))
        model.set_weights([np.zeros((4, len(bias))), bias])
        model.save("logits.safetensors")
        self.image.fromarray(np.eye(2, dtype=np.uint8)).save("a.png")
        assert main(["predict", "logits.safetensors", "a.png"]) == 0
        assert capsys.readouterr().out == shown

    def test_without_pillow_it_says_what_to_install(self, trained, tmp_path, monkeypatch, error_line):
        self.image.new("L", (28, 28)).save("seven.png")
        monkeypatch.setitem(sys.modules, "PIL", None)
        assert main(["predict", str(trained), "seven.png"]) == 1
        assert "pip install 'fastnn-kernels[image]'" in error_line()
        assert main(["predict", str(trained), "eight.png"]) == 1
        assert error_line() == "No such file or directory: 'eight.png'"


class TestTheRest:
    def test_info(self, capsys):
        assert main(["info", "--threads", "3", "--backend", "numpy"]) == 0
        out = capsys.readouterr().out
        assert re.search(r"^threads +3 ", out, re.MULTILINE)
        assert re.search(r"^numpy backend +active", out, re.MULTILINE)

    @pytest.mark.skipif(BACKENDS["cuda"].installed(), reason="this machine has a GPU")
    @pytest.mark.parametrize("command", [["train", "lenet"], ["info"]])
    def test_a_gpu_that_is_not_there_is_an_error(self, command, error_line):
        assert main([*command, "--device", "cuda"]) == 1
        assert "the backend 'cuda' needs" in error_line()
        assert not list(Path().iterdir()), "nothing was trained elsewhere instead"

    @pytest.mark.skipif(BACKENDS["cuda"].installed(), reason="this machine has a GPU")
    def test_a_gpu_that_the_environment_wants_and_that_is_not_there(self, monkeypatch, capsys):
        monkeypatch.setenv("FASTNN_BACKEND", "cuda")
        monkeypatch.setattr(backends, "_active", None)
        assert main(["train", "lenet"]) == 1
        captured = capsys.readouterr()
        assert "the backend 'cuda' needs" in captured.err and captured.out == ""
        assert not list(Path().iterdir()), "there is no empty folder for a training that never began"
        assert main(["info"]) == 0
        assert re.search(r"^cuda backend +chosen by FASTNN_BACKEND, not usable here ", capsys.readouterr().out, re.MULTILINE)

    def test_a_backend_of_the_environment_that_there_is_not(self, monkeypatch, error_line):
        monkeypatch.setenv("FASTNN_BACKEND", "gpu")
        monkeypatch.setattr(backends, "_active", None)
        assert main(["info"]) == 1
        assert error_line() == "FASTNN_BACKEND must be one of 'cython', 'numba', 'numpy', 'cuda'; got 'gpu'"

    def test_the_cpu_instead_of_what_the_environment_says(self, monkeypatch, capsys):
        monkeypatch.setattr(backends, "_active", "cuda")
        assert main(["info", "--device", "cpu"]) == 0
        assert fastnn.kernels.active_backend() == next(name for name, backend in BACKENDS.items() if backend.installed())
        with fastnn.use_backend("numpy"):
            assert main(["info", "--device", "cpu"]) == 0
            assert fastnn.kernels.active_backend() == "numpy"

    def test_python_m_fastnn(self):
        done = subprocess.run([sys.executable, "-m", "fastnn", "--version"], capture_output=True, text=True, check=True)
        assert done.stdout == f"fastnn {fastnn.__version__}\n"

    @pytest.mark.parametrize("command", [[], ["train"], ["evaluate"], ["predict"], ["info"]])
    def test_help(self, command, capsys):
        with pytest.raises(SystemExit) as stop:
            main([*command, "--help"])
        assert stop.value.code == 0
        out = capsys.readouterr().out
        assert f"usage: fastnn {' '.join(command)}".strip() in out
        if "--threads" in out:
            assert "FASTNN_NUM_THREADS, else OMP_NUM_THREADS, else one" in " ".join(out.split())
        if command == ["train"]:
            assert all(recipe in out for recipe in RECIPES)
            options = re.split(r"^  (?=-)", out, flags=re.MULTILINE)[1:]
            without = [option.split()[0] for option in options if "default:" not in " ".join(option.split())]
            assert without == ["-h,"]

    def test_digits_are_split_without_overlap(self):
        (x, y), (x_test, y_test) = load_digits_split()
        assert (len(x), len(x_test), len(y), len(y_test)) == (1437, 360, 1437, 360)
        assert x.dtype == np.uint8 and x.max() == 255
        assert np.bincount(y_test).min() >= 25
        both = np.concatenate([x, x_test])
        assert sorted(map(bytes, both)) == sorted(bytes(np.rint(image * 255 / 16).astype(np.uint8)) for image in digits_images())


def digits_images():
    return fastnn.datasets.load_digits()[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("recipe", "least"), [("mnist-cnn", 99.0), ("mnist-mlp", 97.8)])
def test_accuracy_on_the_test_images(recipe, least, seed, capsys):
    assert main(["train", recipe, "--seed", str(seed), "--no-plot"]) == 0
    assert float(re.search(r"test accuracy ([\d.]+)%", capsys.readouterr().out)[1]) >= least
