"""Lab 13: the printed summary line by line, counts by formula, and training on small pictures."""

import re

import numpy as np
import pytest

import fastnn

from .helpers import load_lab, run_lab

lab = load_lab(13)
PRINTED = """
conv2d (Conv2D)	(None, 256, 256, 40)	1,120
batch_normalization (BatchNormalization)	(None, 256, 256, 40)	160
max_pooling2d (MaxPooling2D)	(None, 128, 128, 40)	0
conv2d_1 (Conv2D)	(None, 128, 128, 72)	25,992
batch_normalization_1 (BatchNormalization)	(None, 128, 128, 72)	288
max_pooling2d_1 (MaxPooling2D)	(None, 64, 64, 72)	0
conv2d_2 (Conv2D)	(None, 64, 64, 144)	93,456
batch_normalization_2 (BatchNormalization)	(None, 64, 64, 144)	576
max_pooling2d_2 (MaxPooling2D)	(None, 32, 32, 144)	0
conv2d_3 (Conv2D)	(None, 32, 32, 220)	285,340
batch_normalization_3 (BatchNormalization)	(None, 32, 32, 220)	880
max_pooling2d_3 (MaxPooling2D)	(None, 16, 16, 220)	0
conv2d_4 (Conv2D)	(None, 16, 16, 280)	554,680
batch_normalization_4 (BatchNormalization)	(None, 16, 16, 280)	1,120
max_pooling2d_4 (MaxPooling2D)	(None, 8, 8, 280)	0
global_average_pooling2d (GlobalAveragePooling2D)	(None, 280)	0
dense (Dense)	(None, 96)	26,976
dropout (Dropout)	(None, 96)	0
dense_1 (Dense)	(None, 1)	97
""".strip().splitlines()
TOTALS = [
    "Total params: 990,685 (3.78 MB)",
    "Trainable params: 989,173 (3.77 MB)",
    "Non-trainable params: 1,512 (5.91 KB)",
]


def summary(model):
    """Return the rows of a summary, cells parted by tabs, its title and the totals under it."""
    text = []
    model.summary(print_fn=text.append)
    title, *lines = "\n".join(text).splitlines()
    rows = ["\t".join(cell.strip() for cell in line.strip("│").split("│")) for line in lines if line.startswith("│")]
    return title, rows, [line.strip() for line in lines[-3:]]


def parameters(filters, outputs):
    """Return the numbers of all and of fixed parameters by formula."""
    convolutions = sum((9 * c + 1) * f for c, f in zip((3, *filters), filters, strict=False))
    return convolutions + 4 * sum(filters) + (filters[-1] + 1) * 96 + 97 * outputs, 2 * sum(filters)


def test_summary_of_one_output_is_the_printed_table():
    title, rows, totals = summary(lab.one_output())
    assert title == 'Model: "sequential"'
    assert rows == PRINTED
    assert totals == TOTALS
    assert parameters(lab.FILTERS, 1) == (990_685, 1_512)
    assert (9 * 144 + 1) * 228 != 285_340 == (9 * 144 + 1) * 220  # the code reads 228, the table counts 220


def test_summary_of_two_outputs():
    title, rows, totals = summary(lab.two_outputs())
    assert title == 'Model: "sequential"'
    halved = [row.split("\t") for row in rows]
    names = [row.split("\t")[0] for row in PRINTED]
    assert [name for name, _, _ in halved] == names
    assert halved[0] == ["conv2d (Conv2D)", "(None, 128, 128, 40)", "1,120"]
    assert halved[3] == ["conv2d_1 (Conv2D)", "(None, 64, 64, 128)", "46,208"]
    assert halved[-1] == ["dense_1 (Dense)", "(None, 2)", "194"]
    total, fixed = parameters((40, 128, 144, 220, 280), 2)
    assert totals[0].startswith(f"Total params: {total:,} ")
    assert totals[2].startswith(f"Non-trainable params: {fixed:,} ")
    assert lab.two_outputs(filters=lab.FILTERS).count_params() == 990_685 + 97  # as the text says


def test_pictures_have_stripes_of_their_class():
    images, labels = lab.pictures(40)
    assert images.dtype == np.uint8 and images.shape == (40, 32, 32, 3)
    grey = images.mean(axis=3)
    along = np.abs(np.diff(grey.mean(axis=1))).sum(axis=1) > np.abs(np.diff(grey.mean(axis=2))).sum(axis=1)
    np.testing.assert_array_equal(along, labels == 1)


@pytest.fixture
def one_thread():
    """Compute with one thread: two of them wait long for each other where other programs keep the processors busy."""
    before = fastnn.get_num_threads()
    fastnn.set_num_threads(1)
    yield
    fastnn.set_num_threads(before)


def test_both_variants_train_from_arrays_in_the_script(capsys, one_thread, in_empty_folder):
    printed = run_lab(13, capsys)
    assert " Total params: 990,685 (3.78 MB)\n Trainable params: 989,173 (3.77 MB)" in printed
    epochs = re.findall(r"epoch (\d): loss (\S+), accuracy (\S+), val_loss (\S+), val_accuracy (\S+)\n", printed)
    assert [epoch[0] for epoch in epochs] == ["1", "2", "3"] * 2
    for variant in (epochs[:3], epochs[3:]):
        losses, accuracies = zip(*((float(loss), float(accuracy)) for _, loss, accuracy, *_ in variant), strict=True)
        assert min(losses) < losses[0] / 2
        assert max(accuracies) > 0.95
