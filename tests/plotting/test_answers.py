"""Pictures of what models and estimators answer: confusion matrices, decision boundaries, misclassified images."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import sklearn.inspection
import sklearn.metrics
from matplotlib.colors import to_hex
from PIL import Image
from sklearn.datasets import load_digits

import fastnn
from fastnn import layers
from fastnn.datasets import image_folder
from fastnn.estimators import MLPClassifier
from fastnn.plotting import ConfusionMatrixDisplay, DecisionBoundaryDisplay, MisclassifiedDisplay
from fastnn.plotting.images import as_fractions


def identity_model(units, loss="mse", shape=None):
    """Return a model that gives its inputs back as outputs."""
    model = fastnn.Sequential([layers.Input(shape or (units,)), layers.Flatten()])
    model.compile("sgd", loss)
    return model


SPARSE = "sparse_categorical_crossentropy"
ONE_HOT = np.eye(3)[[0, 1, 2, 1, 1]]


@pytest.fixture
def colours(tmp_path):
    """A folder of pictures of one colour each, in batches, and a model that takes blue for red and red for blue."""
    for name, colour in (("blue", (0, 0, 255)), ("green", (0, 255, 0)), ("red", (255, 0, 0))):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.new("RGB", (2, 2), colour).save(tmp_path / name / f"{number}.png")
    model = fastnn.Sequential([layers.Input((2, 2, 3)), layers.GlobalAveragePooling2D()])
    model.compile("sgd", SPARSE)
    return image_folder(tmp_path, image_size=2, batch_size=4, shuffle=False, verbose=False), model


class TestConfusionMatrix:
    def test_of_a_folder_of_pictures_with_its_classes(self, colours):
        folder, model = colours
        display = ConfusionMatrixDisplay.from_model(model, folder)
        assert display.confusion_matrix.tolist() == [[0, 0, 2], [0, 2, 0], [2, 0, 0]]
        assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["blue", "green", "red"]
        one = list(folder)[0]  # no red ones: they have their row
        model.class_names = ["b", "g", "r"]
        display = ConfusionMatrixDisplay.from_model(model, *one)
        assert display.confusion_matrix.tolist() == [[0, 0, 2], [0, 2, 0], [0, 0, 0]]
        assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["b", "g", "r"]
        model.class_names = ["b", "g"]  # not those that it tells apart
        display = ConfusionMatrixDisplay.from_model(model, *one)
        assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["0", "1", "2"]
        with pytest.raises(ValueError, match="x gave no batches; a generator"):
            ConfusionMatrixDisplay.from_model(model, iter(()))

    def test_rows_are_true_and_columns_predicted(self):
        display = ConfusionMatrixDisplay.from_model(identity_model(3, SPARSE), ONE_HOT, [0, 1, 2, 2, 2], display_labels=list("abc"))
        assert isinstance(display, sklearn.metrics.ConfusionMatrixDisplay)
        assert display.confusion_matrix.tolist() == [[1, 0, 0], [0, 1, 0], [0, 2, 1]]
        assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["a", "b", "c"]
        assert display.text_[2, 1].get_text() == "2"

    @pytest.mark.parametrize("y", [[[0], [1], [2], [1], [1]], ONE_HOT])
    def test_forms_of_targets(self, y):
        display = ConfusionMatrixDisplay.from_model(identity_model(3), ONE_HOT, y)
        assert display.confusion_matrix.tolist() == np.diag([1, 3, 1]).tolist()

    @pytest.mark.parametrize(
        ("loss", "outputs", "y"),
        [
            ("binary_crossentropy", [0.2, 0.4, 0.6, 0.9], [0, 0, 1, 1]),
            (fastnn.losses.BinaryCrossentropy(from_logits=True), [-2.0, -0.1, 0.1, 3.0], [0, 0, 1, 1]),
            ("hinge", [-2.0, -0.1, 0.1, 3.0], [-1, -1, 1, 1]),
        ],
    )
    def test_a_single_output_has_the_threshold_of_its_loss(self, loss, outputs, y):
        display = ConfusionMatrixDisplay.from_model(identity_model(1, loss), np.reshape(outputs, (-1, 1)), y)
        assert display.confusion_matrix.tolist() == [[2, 0], [0, 2]]

    def test_of_estimators_it_is_scikit_learns(self):
        x, y = load_digits(return_X_y=True)
        estimator = MLPClassifier((8,), max_iter=300, random_state=0, tol=0.01).fit(x, y)
        display = ConfusionMatrixDisplay.from_estimator(estimator, x, y)
        np.testing.assert_array_equal(display.confusion_matrix, sklearn.metrics.confusion_matrix(y, estimator.predict(x)))

    def test_bad_input(self):
        with pytest.raises(TypeError, match="model must be a fastnn.Sequential; got MLPClassifier"):
            ConfusionMatrixDisplay.from_model(MLPClassifier(), ONE_HOT, [0, 1, 2, 1, 1])
        with pytest.raises(ValueError, match=r"y must be the classes of 5 samples, or one-hot rows; got shape \(4,\)"):
            ConfusionMatrixDisplay.from_model(identity_model(3), ONE_HOT, [0, 1, 2, 1])
        with pytest.raises(TypeError, match=r"y must be numbers of classes; got names such as 'cat': .*np.unique"):
            ConfusionMatrixDisplay.from_model(identity_model(3), ONE_HOT, ["cat", "dog", "emu", "cat", "dog"])
        images = fastnn.Sequential([layers.Input((4, 4, 1)), layers.Conv2D(2, 3)])
        with pytest.raises(ValueError, match=r"must give outputs of shape \(n, classes\) or \(n, 1\); .* gives \(None, 2, 2, 2\)"):
            ConfusionMatrixDisplay.from_model(images, np.zeros((1, 4, 4, 1)), [0])
        with pytest.raises(ValueError, match=r"x must have shape \(n, 3\)"):
            ConfusionMatrixDisplay.from_model(identity_model(3), np.zeros((2, 4)), [0, 1])


def linear_model(weights, loss="mse"):
    model = fastnn.Sequential([layers.Input((2,)), layers.Dense(len(weights[0]), use_bias=False)])
    model.set_weights([np.array(weights)])
    model.compile("sgd", loss)
    return model


class TestDecisionBoundary:
    POINTS = np.array([[-1.0, -1.0], [1.0, 1.0]])

    def test_it_shows_the_output(self):
        display = DecisionBoundaryDisplay.from_model(linear_model([[1.0], [2.0]]), self.POINTS, grid_resolution=9)
        assert isinstance(display, sklearn.inspection.DecisionBoundaryDisplay)
        np.testing.assert_allclose(display.response, display.xx0 + 2 * display.xx1, atol=1e-6)
        assert (display.xx0.min(), display.xx0.max()) == (-2, 2)

    def test_or_the_class(self):
        model = linear_model([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]], SPARSE)
        display = DecisionBoundaryDisplay.from_model(model, self.POINTS, grid_resolution=8, response_method="predict")
        expected = np.argmax([display.xx0, display.xx1, -display.xx0 - display.xx1], axis=0)
        np.testing.assert_array_equal(display.response, expected)

    def test_of_two_logits_it_shows_the_probability_of_the_second(self):
        model = linear_model([[0.0, 1.0], [0.0, 0.0]], fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
        display = DecisionBoundaryDisplay.from_model(model, self.POINTS, grid_resolution=5)
        np.testing.assert_allclose(display.response, 1 / (1 + np.exp(-display.xx0)), atol=1e-6)

    def test_axes_of_ones_own(self):
        _, ax = plt.subplots()
        assert DecisionBoundaryDisplay.from_model(linear_model([[1.0], [2.0]]), self.POINTS, ax=ax).ax_ is ax

    def test_other_numbers_of_inputs_are_refused(self):
        with pytest.raises(ValueError, match=r"model must have two inputs to be drawn in a plane; .* takes \(3,\)"):
            DecisionBoundaryDisplay.from_model(identity_model(3), np.zeros((2, 3)))

    def test_what_a_model_does_not_have_is_refused(self):
        with pytest.raises(ValueError, match="response_method must be 'auto' or .*; got 'predict_proba'"):
            DecisionBoundaryDisplay.from_model(linear_model([[1.0], [2.0]]), self.POINTS, response_method="predict_proba")


@pytest.mark.parametrize("display, data", [(ConfusionMatrixDisplay, (np.eye(2), [0, 1])), (DecisionBoundaryDisplay, (np.eye(2),))])
def test_a_model_in_the_place_of_an_estimator(display, data):
    with pytest.raises(TypeError, match=r"a Sequential is no estimator.*NetworkClassifier\(model\).*there is from_model"):
        display.from_estimator(linear_model([[1.0], [2.0]]), *data)


IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 8), dtype=np.uint8)
TRUE, PREDICTED = [0, 1, 2, 0, 1, 2], [0, 2, 2, 1, 0, 2]


def texts(display):
    return [tuple(text.get_text() for text in pair) for pair in display.texts_]


class TestMisclassified:
    def test_each_wrong_image_is_there_with_its_classes(self):
        display = MisclassifiedDisplay.from_predictions(TRUE, PREDICTED, IMAGES, display_labels=["cat", "dog", "x" * 60])
        assert display.indices.tolist() == [1, 3, 4]
        for shown, image in zip(display.images_, IMAGES[[1, 3, 4]], strict=True):
            np.testing.assert_allclose(shown.get_array(), image / 255)
            left, right, bottom, top = shown.get_extent()
            assert right - left == 2 * (bottom - top) > 0  # as wide as the image is, and upright: y goes downwards
        assert texts(display) == [("dog", "x" * 23 + "…"), ("cat", "dog"), ("dog", "cat")]
        assert {to_hex(true.get_color()) for true, _ in display.texts_} != {
            to_hex(wrong.get_color()) for _, wrong in display.texts_
        }
        assert display.title_.get_text() == "3 of 6 misclassified"

    def test_texts_do_not_overlap(self):
        names = ["a golden retriever", "a flat-coated retriever", "a leopard"]
        for ax in (None, plt.subplots(1, 3)[1][1]):
            display = MisclassifiedDisplay.from_predictions(
                [0, 1, 2] * 4, [1, 2, 0] * 4, np.zeros((12, 5, 5)), display_labels=names, ax=ax
            )
            renderer = display.figure_.canvas.get_renderer()
            boxes = [text.get_window_extent(renderer) for text in display.ax_.texts]
            assert len(boxes) == 27
            assert not [1 for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]

    def test_no_more_than_asked_for(self):
        display = MisclassifiedDisplay.from_predictions(TRUE, PREDICTED, IMAGES, max_images=2)
        assert len(display.images_) == 2
        assert display.title_.get_text() == "3 of 6 misclassified, the first 2 shown"
        assert len(display.plot().images_) == 3

    def test_nothing_wrong(self):
        display = MisclassifiedDisplay.from_predictions(TRUE, TRUE, IMAGES)
        assert display.title_.get_text() == "0 of 6 misclassified" and display.images_ == []

    def test_of_a_model(self):
        x = np.eye(3, dtype=np.float32).reshape(3, 1, 3, 1)
        display = MisclassifiedDisplay.from_model(identity_model(3, shape=(1, 3, 1)), x, [0, 2, 2])
        assert display.indices.tolist() == [1] and texts(display) == [("2", "1")]

    def test_of_a_folder_of_pictures_with_its_classes(self, colours):
        folder, model = colours
        display = MisclassifiedDisplay.from_model(model, folder)
        assert display.title_.get_text() == "4 of 6 misclassified"
        assert texts(display) == [("blue", "red")] * 2 + [("red", "blue")] * 2
        np.testing.assert_array_equal(display.images_[3].get_array(), np.tile([1.0, 0.0, 0.0], (2, 2, 1)))
        assert texts(MisclassifiedDisplay.from_model(model, folder, display_labels="bgr"))[0] == ("b", "r")

    def test_of_an_estimator(self):
        x, y = load_digits(return_X_y=True)
        names = np.array(["zero", "one"])[y[:60] % 2]
        estimator = MLPClassifier((2,), max_iter=3, random_state=0, solver="lbfgs")
        with pytest.warns(match="failed to converge"):
            estimator.fit(x[:60], names)
        display = MisclassifiedDisplay.from_estimator(estimator, x[:60], names, image_shape=(8, 8), max_images=4)
        wrong = np.flatnonzero(estimator.predict(x[:60]) != names)
        assert display.indices.tolist() == wrong.tolist() and len(wrong)
        np.testing.assert_allclose(display.images_[0].get_array(), x[wrong[0]].reshape(8, 8) / x[wrong].max())
        with pytest.raises(ValueError, match="X has rows of 64 pixels: give the shape of an image"):
            MisclassifiedDisplay.from_estimator(estimator, x[:60], names)
        with pytest.raises(ValueError, match=r"image_shape must be that of the rows of X, \(60, 64\); got \(8, 9\)"):
            MisclassifiedDisplay.from_estimator(estimator, x[:60], names, image_shape=(8, 9))

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"got \(6,\), \(5,\) and 6 images"):
            MisclassifiedDisplay.from_predictions(TRUE, PREDICTED[:5], IMAGES)
        with pytest.raises(ValueError, match=r"display_labels must have a name for each class.* there are classes \[0 1\]"):
            MisclassifiedDisplay.from_predictions(TRUE, PREDICTED, IMAGES, display_labels=["cat"])
        with pytest.raises(
            ValueError, match=r"images must have shape .* 1, 3 or 4 channels besides \(channels_last\); got \(3, 4, 8, 2\)"
        ):
            MisclassifiedDisplay.from_predictions(TRUE, PREDICTED, np.zeros((6, 4, 8, 2)))


def test_images_become_fractions():
    np.testing.assert_array_equal(as_fractions(np.array([[[0, 51, 255]]], np.uint8)), [[[0, 0.2, 1]]])
    np.testing.assert_array_equal(as_fractions([[[0.0, 0.25, 0.5]]]), [[[0, 0.25, 0.5]]])
    np.testing.assert_array_equal(as_fractions([[[-1.0, 0.0, 3.0]]]), [[[0, 0.25, 1]]])
    np.testing.assert_array_equal(as_fractions(np.ones((2, 1, 4, 5)), "channels_first"), np.ones((2, 4, 5)))
    np.testing.assert_array_equal(as_fractions(np.ones((2, 3, 4, 5)), "channels_first"), np.ones((2, 4, 5, 3)))
