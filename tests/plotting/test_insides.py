"""Pictures of what is in a network: filters, feature maps, activations, and the network itself."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.plotting import ActivationDisplay, FeatureMapsDisplay, FiltersDisplay, NetworkDisplay
from fastnn.plotting.mosaic import grid_columns


def network(channels=1, filters=6, data_format=None, kernel_size=3):
    shape = (9, 8, channels) if data_format != "channels_first" else (channels, 9, 8)
    return fastnn.Sequential(
        [
            layers.Input(shape),
            layers.Conv2D(filters, kernel_size, activation="relu", name="first", data_format=data_format),
            layers.MaxPooling2D(2, name="pool", data_format=data_format),
            layers.Flatten(name="flat"),
            layers.Dense(2, name="last"),
        ]
    )


def tiles(display, height, width, columns, count, gap=1):
    """Cut the tiles out of a mosaic."""
    image = np.asarray(display.im_.get_array())
    places = [(i // columns * (height + gap), i % columns * (width + gap)) for i in range(count)]
    return np.stack([image[top : top + height, left : left + width] for top, left in places])


def ticks(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


class TestFilters:
    def test_of_one_channel(self):
        model = network()
        display = FiltersDisplay.from_model(model)
        kernel = model.layers[0].kernel.numpy()
        np.testing.assert_array_equal(tiles(display, 3, 3, 3, 6), kernel[:, :, 0].transpose(2, 0, 1))
        assert display.im_.get_clim() == (-abs(kernel).max(), abs(kernel).max())  # white is zero
        assert np.ma.getmaskarray(display.im_.get_array())[3].all()  # the gap
        assert display.colorbar_ is not None
        assert (ticks(display.ax_.yaxis), ticks(display.ax_.xaxis)) == (["0", "3"], ["+0", "+1", "+2"])
        assert display.ax_.get_title() == "first\n6 filters of 3x3x1"

    def test_of_three_channels_in_colours(self):
        model = network(channels=3)
        kernel = model.layers[0].kernel.numpy()
        kernel[0, 0, :, 0] = [1, 0, -1]
        model.set_weights([kernel, *model.get_weights()[1:]])
        display = FiltersDisplay.from_model(model, "first")
        shown = tiles(display, 3, 3, 3, 6)
        np.testing.assert_allclose(shown, 0.5 + kernel.transpose(3, 0, 1, 2) / 2, atol=1e-7)
        np.testing.assert_allclose(shown[0, 0, 0], [1, 0.5, 0])
        assert display.colorbar_ is None
        assert (np.asarray(display.im_.get_array())[3] == 1).all()  # the gap is white

    def test_of_many_channels_in_a_row_each(self):
        model = network(channels=40, filters=5)
        display = FiltersDisplay.from_model(model, 0)
        kernel = model.layers[0].kernel.numpy()
        np.testing.assert_array_equal(tiles(display, 3, 3, 40, 200), kernel.transpose(3, 2, 0, 1).reshape(200, 3, 3))
        assert ticks(display.ax_.xaxis) == ["0", "5", "10", "15", "20", "25", "30", "35"]
        assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("input channel", "filter")

    def test_single_pixels_have_no_gaps(self):
        display = FiltersDisplay.from_model(network(channels=7, filters=4, kernel_size=1))
        assert display.im_.get_array().shape == (4, 7)

    def test_depthwise_filters_have_one_channel(self):
        model = fastnn.Sequential([layers.Input((8, 8, 4)), layers.DepthwiseConv2D(3, depth_multiplier=2)])
        display = FiltersDisplay.from_model(model)
        kernel = model.layers[0].kernel.numpy()
        expected = [kernel[:, :, c, j] for c in range(4) for j in range(2)]  # in the order of the outputs
        np.testing.assert_array_equal(tiles(display, 3, 3, 4, 8), expected)

    def test_the_display_keeps_the_weights_as_they_were(self):
        model = network()
        display = FiltersDisplay.from_model(model)
        before = display.filters.copy()
        model.set_weights([0 * weight for weight in model.get_weights()])
        np.testing.assert_array_equal(display.filters, before)

    def test_bad_input(self):
        model = network()
        with pytest.raises(TypeError, match="model must be a fastnn.Sequential; got Conv2D"):
            FiltersDisplay.from_model(model.layers[0])
        with pytest.raises(ValueError, match="no layer is called 'second'; there are first, pool, flat, last"):
            FiltersDisplay.from_model(model, "second")
        for wrong in (4, layers.Conv2D(1, 1), 1.5):
            with pytest.raises(ValueError, match="layer must be a layer of model .*; there are first, pool, flat, last; got"):
                FiltersDisplay.from_model(model, wrong)
        with pytest.raises(ValueError, match="layer must be a Conv2D or DepthwiseConv2D; 'last' is a Dense"):
            FiltersDisplay.from_model(model, "last")
        with pytest.raises(ValueError, match="has no filters before it is built"):
            FiltersDisplay.from_model(fastnn.Sequential([layers.Conv2D(2, 3)]))
        with pytest.raises(ValueError, match="has no convolution; its layers are dense"):
            FiltersDisplay.from_model(fastnn.Sequential([layers.Dense(2, name="dense")]))


class TestFeatureMaps:
    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_of_layers(self, data_format):
        model = network(channels=2, data_format=data_format)
        image = np.random.default_rng(0).normal(size=model.input_shape[1:]).astype(np.float32)
        first = model.layers[0](image[None])
        for layer, output, size in ((None, first, (7, 6)), ("pool", model.layers[1](first), (3, 3))):
            display = FeatureMapsDisplay.from_model(model, image, layer)
            maps = output.numpy()[0] if data_format == "channels_first" else output.numpy()[0].transpose(2, 0, 1)
            np.testing.assert_allclose(tiles(display, *size, 3, 6), maps, rtol=1e-6)
            np.testing.assert_allclose(display.im_.get_clim(), (maps.min(), maps.max()))
        assert display.ax_.get_title() == "pool\n6 feature maps of 3x3"

    def test_forms_of_an_image(self):
        model = network()
        image = np.random.default_rng(0).integers(0, 256, (9, 8, 1), dtype=np.uint8)
        shown = [FeatureMapsDisplay.from_model(model, form).maps for form in (image, image[..., 0], image[None], image.tolist())]
        for maps in shown[1:]:
            np.testing.assert_array_equal(maps, shown[0])

    @pytest.mark.parametrize("channels", [1, 3, 40])
    def test_numbers_of_channels(self, channels):
        display = FeatureMapsDisplay.from_model(network(filters=channels), np.ones((9, 8)))
        columns = {1: 1, 3: 3, 40: 8}[channels]
        assert ticks(display.ax_.xaxis) == [f"+{i}" for i in range(columns)]
        assert ticks(display.ax_.yaxis) == [str(i) for i in range(0, channels, columns)]

    def test_bad_input(self):
        model = network()
        with pytest.raises(ValueError, match=r"layer must be one whose output are images; that of 'flat' has shape \(None, 54\)"):
            FeatureMapsDisplay.from_model(model, np.ones((9, 8)), "flat")
        with pytest.raises(ValueError, match=r"image must be one image of shape \(9, 8, 1\); got shape \(5, 5\)$"):
            FeatureMapsDisplay.from_model(model, np.ones((5, 5)))
        with pytest.raises(ValueError, match=r"got shape \(3, 9, 8\)$"):
            FeatureMapsDisplay.from_model(model, np.ones((3, 9, 8)))
        with pytest.raises(ValueError, match="image must be one image; got 2"):
            FeatureMapsDisplay.from_model(model, np.ones((2, 9, 8, 1)))


def test_grids_are_full_where_they_can_be():
    assert [grid_columns(n) for n in (1, 2, 3, 6, 7, 10, 13, 16, 32, 40, 64)] == [1, 2, 3, 3, 4, 5, 5, 4, 8, 8, 8]
    for n in range(1, 300):
        columns = grid_columns(n)
        assert columns <= n and -(-n // columns) <= columns <= 2 * np.sqrt(n) + 1


class TestActivations:
    def test_curves_and_derivatives(self):
        display = ActivationDisplay.from_activations("tanh", "relu", low=-2, high=3)
        x = display.x
        assert (x[0], x[-1]) == (-2, 3)
        np.testing.assert_allclose(display.lines_["tanh"].get_ydata(), np.tanh(x), atol=1e-12)
        np.testing.assert_allclose(display.derivative_lines_["tanh"].get_ydata(), 1 - np.tanh(x) ** 2, atol=1e-12)
        np.testing.assert_array_equal(display.lines_["relu"].get_ydata(), np.maximum(x, 0))
        np.testing.assert_array_equal(display.derivative_lines_["relu"].get_ydata(), x > 0)
        assert (
            display.lines_["relu"].get_color()
            == display.derivative_lines_["relu"].get_color()
            != display.lines_["tanh"].get_color()
        )
        labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
        assert labels == ["tanh", "relu", "derivative"]
        assert display.ax_.get_legend().get_texts()[-1].get_window_extent().x1 < display.ax_.get_window_extent().x1

    def test_the_legend_of_many_hides_no_curve(self):
        names = ("relu", "sigmoid", "tanh", "elu", "selu", "gelu", "softplus", "silu", "leaky_relu")
        display = ActivationDisplay.from_activations(*names)
        display.figure_.canvas.draw()
        legend, axes = display.ax_.get_legend().get_window_extent(), display.ax_.get_window_extent()
        assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == [*names, "derivative"]
        assert axes.x1 <= legend.x0 and legend.x1 <= display.figure_.bbox.x1
        assert axes.width > display.figure_.bbox.width / 2

    def test_functions_and_layers(self):
        def cube(x):
            return x**3

        display = ActivationDisplay.from_activations(cube, layers.LeakyReLU(0.5, name="leaky", dtype="float64"), ops.relu, None)
        assert list(display.values) == ["cube", "leaky", "relu", "linear"]
        np.testing.assert_allclose(display.derivatives["cube"], 3 * display.x**2, atol=1e-12)
        np.testing.assert_array_equal(display.derivatives["leaky"][[0, -1]], [0.5, 1])
        np.testing.assert_array_equal(display.derivatives["linear"], 1)

    def test_a_constant_has_the_derivative_zero(self):
        display = ActivationDisplay.from_activations(lambda x: fastnn.constant(np.ones_like(x.data)))
        np.testing.assert_array_equal(display.derivatives["<lambda>"], 0)

    def test_bad_input(self):
        with pytest.raises(ValueError, match="functions must compute each element by itself .*; 'softmax' does not"):
            ActivationDisplay.from_activations("softmax")
        with pytest.raises(ValueError, match="activation must be one of .*; got 'rleu'"):
            ActivationDisplay.from_activations("rleu")
        with pytest.raises(ValueError, match="two are called 'relu'"):
            ActivationDisplay.from_activations("relu", ops.relu)
        with pytest.raises(ValueError, match="one activation or more; got none"):
            ActivationDisplay.from_activations()
        with pytest.raises(ValueError, match="low must be below high; got 1 and -1"):
            ActivationDisplay.from_activations("relu", low=1, high=-1)


class TestNetwork:
    def test_a_box_for_the_input_and_each_layer(self):
        display = NetworkDisplay.from_model(network())
        assert [text.get_text() for text in display.ax_.texts] == [
            *("input", "9 x 8 x 1"),
            *("first (Conv2D)", "7 x 6 x 6, 60 parameters"),
            *("pool (MaxPooling2D)", "3 x 3 x 6"),
            *("flat (Flatten)", "54"),
            *("last (Dense)", "2, 110 parameters"),
        ]
        assert len(display.boxes_) == 5 and len(display.arrows_) == 4
        fills = [box.get_facecolor() for box in display.boxes_]
        assert len(set(fills)) == 3 and fills[1] == fills[4]  # with weights

    def test_shapes_of_shared_layers_are_the_models(self):
        flatten = layers.Flatten()
        fastnn.Sequential([layers.Input((3, 4)), flatten])
        display = NetworkDisplay.from_model(fastnn.Sequential([layers.Input((5, 7)), flatten]))
        assert display.ax_.texts[-1].get_text() == "35"

    @pytest.mark.parametrize("own_axes", [False, True])
    def test_texts_lie_in_their_boxes_which_lie_below_each_other(self, own_axes):
        model = network()
        model.add(layers.Dense(3, name="n" * 200))
        display = NetworkDisplay.from_model(model, ax=plt.subplots(1, 2)[1][0] if own_axes else None)
        renderer = display.figure_.canvas.get_renderer()
        boxes = [box.get_window_extent(renderer) for box in display.boxes_]
        words = [text.get_window_extent(renderer) for text in display.ax_.texts]
        for i, text in enumerate(words):
            box = boxes[i // 2]
            assert box.x0 < text.x0 < text.x1 < box.x1 and box.y0 < text.y0 < text.y1 < box.y1
        for upper, lower, arrow in zip(boxes, boxes[1:], display.arrows_, strict=False):
            path = arrow.get_path().transformed(arrow.get_transform())
            heights = np.concatenate(path.to_polygons(closed_only=False))[:, 1]
            np.testing.assert_allclose([heights.max(), heights.min()], [upper.y0, lower.y1], atol=2)
            assert upper.y0 > lower.y1
        assert "n" * 31 + "… (Dense)" in [text.get_text() for text in display.ax_.texts]

    def test_a_new_figure_is_as_large_as_the_network(self):
        sizes = [NetworkDisplay.from_model(model).figure_.get_size_inches() for model in (identity(), network())]
        assert sizes[0][1] < sizes[1][1]

    def test_bad_input(self):
        with pytest.raises(TypeError, match="model must be a fastnn.Sequential; got str"):
            NetworkDisplay.from_model("network")
        with pytest.raises(ValueError, match="is not built yet"):
            NetworkDisplay.from_model(fastnn.Sequential([layers.Dense(2)]))


def identity():
    return fastnn.Sequential([layers.Input((2,)), layers.Flatten()])
