"""Tensors, variables and tapes: TensorFlow's documented behaviour and numbers worked by hand."""

import gc
import math
import threading
import weakref

import numpy as np
import pytest

from fastnn import Sequential, kernels, layers, ops
from fastnn.autodiff import GradientTape, Node, Tensor, Variable, as_tensor, constant, record


class TestTensor:
    @pytest.mark.parametrize(
        ("value", "dtype"),
        [
            (3.0, "float32"),
            (3, "int32"),
            (True, "bool"),
            ([3, 2.0, 3], "float32"),
            ([[3, 2], [1, 0]], "int32"),
            ([], "float32"),
            (np.arange(-5, 5, 0.1), "float64"),
            (np.float64(3), "float64"),
            (np.arange(3, dtype=np.uint8), "uint8"),
            (constant([1, 2]), "int32"),
            ([constant(1.0), Variable(2.0)], "float32"),
        ],
    )
    def test_dtype_of_a_constant(self, value, dtype):
        for tensor in (constant(value), Variable(value), as_tensor(value)):
            assert tensor.dtype == dtype
            np.testing.assert_array_equal(tensor.numpy(), np.asarray(value))

    def test_dtype_and_shape_can_be_given(self):
        assert constant(0.1, dtype="float64").numpy() == 0.1
        assert Variable([0.1], dtype="float64").numpy()[0] == 0.1
        assert constant([1, 2], np.int64).dtype == np.int64
        assert constant(2.0, shape=(2, 3), name="twos").shape == (2, 3)
        np.testing.assert_array_equal(constant([1, 2, 3, 4], shape=(2, 2)).data, [[1, 2], [3, 4]])

    @pytest.mark.parametrize("value", ["text", 1j, [1, None], object(), np.array(["a"])])
    def test_only_numbers(self, value):
        with pytest.raises(TypeError, match="value must be numbers or bools; got dtype"):
            constant(value)
        with pytest.raises(TypeError):
            ops.exp(value)

    def test_integers_that_do_not_fit(self):
        for value, beyond in ((2**31 - 1, 2**31), (-(2**31), -(2**31) - 1)):
            assert constant(value).numpy() == value
            with pytest.raises(ValueError, match="do not fit in int32"):
                constant(beyond)
        assert constant(2**31, dtype="int64").numpy() == 2**31

    def test_a_constant_is_a_copy(self):
        array = np.ones(3)
        tensor, variable = constant(array), Variable(array)
        array[0] = 5
        assert tensor.numpy()[0] == variable.numpy()[0] == 1

    def test_looks(self):
        assert repr(constant([12.0, 12.0])) == "<Tensor: shape=(2,), dtype=float32, numpy=array([12., 12.], dtype=float32)>"
        assert repr(constant(6.0)) == "<Tensor: shape=(), dtype=float32, numpy=6.0>"
        assert str(constant(12.0)) == "Tensor(12.0, shape=(), dtype=float32)"
        assert f"{constant(0.5):.3f} {constant(0.5)}" == "0.500 Tensor(0.5, shape=(), dtype=float32)"
        assert repr(Variable(3.0, name="x0")) == "<Variable 'x0' shape=() dtype=float32, numpy=3.0>"

    def test_is_an_array_to_numpy(self):
        x = constant([[1.0, 2.0]])
        assert (x.shape, x.ndim, x.size, len(x)) == ((1, 2), 2, 2, 1)
        assert np.asarray(x) is not None and np.asarray(x, np.float64).dtype == np.float64
        np.testing.assert_array_equal(np.exp(x), np.exp(x.data))
        np.testing.assert_array_equal(np.asarray([constant(1.0), constant(2.0)]), [1, 2])
        assert isinstance(constant(2.0).numpy(), np.float32)

    @pytest.mark.parametrize("make", [constant, Variable])
    def test_dlpack_shares_the_memory(self, make):
        x = make([[1.0, 2.0], [3.0, 4.0]])
        array = np.from_dlpack(x)
        np.testing.assert_array_equal(array, np.array([[1, 2], [3, 4]], np.float32), strict=True)
        assert np.shares_memory(array, x.data) and x.__dlpack_device__() == array.__dlpack_device__()
        np.testing.assert_array_equal(kernels.relu_forward(x), x.data)  # which asks whether it is on a GPU

    def test_an_array_on_a_gpu_is_refused_by_backends_for_the_cpu(self):
        class OnGPU:
            def __dlpack_device__(self):
                return 2, 0

        for use in (constant, Variable, as_tensor, ops.relu, layers.Dense(2)):
            with pytest.raises(ValueError, match=r"^value is on a GPU, and the backend in use, '\w+', computes on the CPU"):
                use(OnGPU())
        with pytest.raises(ValueError, match=r"^x is on a GPU"):
            Sequential([layers.Dense(2)]).predict(OnGPU())

    def test_is_a_number_to_python(self):
        assert float(constant([2.5])) == 2.5 and int(constant(2.5)) == 2
        assert [10, 20, 30][constant(1)] == 20
        assert bool(constant(1.0)) and not constant([0.0])
        for number, advice in ((bool, r"ops\.where"), (float, r"ops\.exp"), (math.tanh, r"ops\.exp"), (int, r"ops\.cast")):
            with pytest.raises(ValueError, match=rf"a Tensor of shape \(2,\) is not one number but 2: .*{advice}"):
                number(constant([1.0, 2.0]))
        with pytest.raises(TypeError):
            len(constant(1.0))

    def test_iterates_over_rows(self):
        x = Variable([[1.0, 2.0], [3.0, 4.0]])
        with GradientTape() as tape:
            first, second = x
            y = ops.sum(first * second)
        np.testing.assert_array_equal(tape.gradient(y, x).data, [[3, 4], [1, 2]])

    def test_operators(self):
        x = constant([1.0, 2.0])
        expected = {
            "+": (x + 1, 1 + x, [2, 3], [2, 3]),
            "-": (x - 1, 1 - x, [0, 1], [0, -1]),
            "*": (x * 2, 2 * x, [2, 4], [2, 4]),
            "/": (x / 2, 2 / x, [0.5, 1], [2, 1]),
            "**": (x**2, 2**x, [1, 4], [2, 4]),
            "@": (x @ np.eye(2), np.eye(2) @ x, [1, 2], [1, 2]),
            "-x, abs": (-x, abs(-x), [-1, -2], [1, 2]),
            "==, !=": (x == 2, x != 2, [False, True], [True, False]),
            "<, <=": (x < 2, x <= 1, [True, False], [True, False]),
            ">, >=": (x > 1, x >= 1, [False, True], [True, True]),
        }
        for operator, (left, right, left_values, right_values) in expected.items():
            assert isinstance(left, Tensor) and isinstance(right, Tensor), operator
            np.testing.assert_array_equal(left.data, left_values, err_msg=operator)
            np.testing.assert_array_equal(right.data, right_values, err_msg=operator)

    def test_an_array_or_numpy_scalar_on_the_left_leaves_the_operation_to_the_tensor(self):
        x = Variable([1.0, 2.0])
        for left in (np.array([3.0, 4.0], np.float32), np.float64(3)):
            with GradientTape() as tape:
                y = left * x
            assert isinstance(y, Tensor)
            np.testing.assert_array_equal(tape.gradient(y, x).data, np.broadcast_to(left, 2))

    def test_is_not_none(self):
        assert (constant([1.0, 2.0]) == None) is False  # noqa: E711
        assert (constant([1.0, 2.0]) != None) is True  # noqa: E711

    def test_tensors_are_keys_by_identity(self):
        a, b = constant(1.0), constant(1.0)
        assert {a: "a", b: "b"}[a] == "a"


class TestVariable:
    def test_assignments_stay_in_the_same_memory(self):
        w = Variable([1.0, 2.0])
        buffer = w.data
        assert w.assign([3.0, 4.0]) is w
        w.assign_add(constant([1.0, 1.0]))
        w.assign_sub(np.array([0.5, 0.0]))
        np.testing.assert_array_equal(w.numpy(), [3.5, 5])
        assert w.data is buffer and w.dtype == np.float32 and w.version == 3

    def test_what_was_read_does_not_change(self):
        w = Variable([1.0])
        read, value, array = w.numpy(), w.value, np.asarray(w)
        w.assign([2.0])
        assert read[0] == value.numpy()[0] == array[0] == 1

    def test_value_is_differentiable(self):
        w = Variable([3.0])
        with GradientTape() as tape:
            y = w.value**2
        assert tape.gradient(y, w).numpy() == 6

    def test_wrong_assignments(self):
        w = Variable([1, 2], name="counts")
        with pytest.raises(ValueError, match=r"variable 'counts' has shape \(3,\); expected \(2,\)"):
            w.assign([1, 2, 3])
        with pytest.raises(ValueError, match=r"has shape \(\)"):
            w.assign(1)
        with pytest.raises(TypeError, match="variable 'counts' has dtype float64; expected int32"):
            w.assign([1.5, 2.5])
        np.testing.assert_array_equal(w.numpy(), [1, 2])


class TestGradientsByHand:
    """Numbers of introductory notebooks."""

    def test_polynomial(self):
        x, a = Variable([3.0, 4.0]), constant([2.0])
        with GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = 2 * x**2 + a
        np.testing.assert_array_equal(tape.gradient(y, x).numpy(), np.array([12, 16], np.float32), strict=True)

    def test_two_variables(self):
        w1, w2, a = Variable([3.0]), Variable([1.0]), constant([2.0])
        with GradientTape(persistent=True) as tape:
            y = 2 * w1**2 + w2**3 + a
        d1, d2 = tape.gradient(y, [w1, w2])
        assert repr(d1) == "<Tensor: shape=(1,), dtype=float32, numpy=array([12.], dtype=float32)>"
        assert repr(d2) == "<Tensor: shape=(1,), dtype=float32, numpy=array([3.], dtype=float32)>"

    def test_elements_of_one_variable(self):
        w, a = Variable([3.0, 2.0]), constant([2.0])
        with GradientTape() as tape:
            y = 2 * w[0] ** 2 + w[1] ** 3 + a
        assert repr(tape.gradient(y, w)) == "<Tensor: shape=(2,), dtype=float32, numpy=array([12., 12.], dtype=float32)>"

    def test_sigmoid_spelled_out(self):
        x = Variable([3.0])
        with GradientTape() as tape:
            y = 1 / (1 + ops.exp(-x))
        assert str(y.numpy()) == "[0.95257413]"
        assert str(tape.gradient(y, x).numpy()) == "[0.04517666]"

    def test_the_variable_itself(self):
        x = Variable(np.arange(-5, 5, 0.1))
        with GradientTape() as tape:
            y = x
        np.testing.assert_array_equal(tape.gradient(y, x).numpy(), np.ones(100))

    def test_second_derivative(self):
        x = constant(3.0)
        with GradientTape() as outer:
            outer.watch(x)
            with GradientTape() as tape:
                tape.watch(x)
                y = x**2 + x
            dy = tape.gradient(y, x)
        assert (float(dy), float(outer.gradient(dy, x))) == (7, 2)

    def test_chain_rule_with_sine(self):
        x = Variable(2.0, dtype="float64")
        with GradientTape() as tape:
            y = ops.sin(3 * x**2 + x)
        np.testing.assert_allclose(tape.gradient(y, x).numpy(), np.cos(14.0) * 13, rtol=1e-15)

    def test_surface(self):
        x, y = Variable(2.0), Variable(3.0)
        with GradientTape() as tape:
            z = x**2 * y + x * y**3
        dx, dy = tape.gradient(z, (x, y))
        assert (float(dx), float(dy)) == (2 * 2 * 3 + 27, 4 + 3 * 2 * 9)

    def test_nth_derivatives_of_the_sine(self):
        x = Variable(1.0, dtype="float64")
        with GradientTape(persistent=True) as tape:
            y = ops.sin(x)
            for expected in (np.cos(1), -np.sin(1), -np.cos(1), np.sin(1), np.cos(1)):
                y = tape.gradient(y, x)
                np.testing.assert_allclose(y.numpy(), expected, rtol=1e-14)

    def test_newton_finds_a_minimum(self):
        x = Variable(2.0, dtype="float64")
        for _ in range(8):
            with GradientTape() as outer:
                with GradientTape() as tape:
                    y = x**4 - 2 * x**2
                first = tape.gradient(y, x)
            x.assign_sub(first / outer.gradient(first, x))
        assert abs(float(x) - 1) < 1e-12


class TestWatching:
    def test_what_is_watched(self):
        trained = Variable(3.0, name="x0")
        frozen = Variable(3.0, name="x1", trainable=False)
        before = Variable(2.0, name="x2") + 1.0
        plain = constant(3.0)
        with GradientTape() as tape:
            y = trained**2 * frozen / 3 + before**2 * plain * trained / 27
        assert [v.name for v in tape.watched_variables()] == ["x0"]
        gradients = tape.gradient(y, [trained, frozen, before, plain])
        assert float(gradients[0]) == 7 and gradients[1:] == [None, None, None]

    def test_watch(self):
        x, frozen = constant(3.0), Variable(2.0, trainable=False)
        with GradientTape() as tape:
            tape.watch([x, {"w": frozen}])
            y = x**2 * frozen
        assert [float(g) for g in tape.gradient(y, [x, frozen])] == [12, 9]

    def test_only_what_comes_after_watch_counts(self):
        x = constant(3.0)
        with GradientTape() as tape:
            y = x**2
            tape.watch(x)
            z = y * x
        assert float(tape.gradient(z, x)) == 9

    def test_accessed_variables_need_not_be_watched(self):
        a, b = Variable(2.0), Variable(3.0)
        with GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(a)
            y = a * b
        da, db = tape.gradient(y, [a, b])
        assert float(da) == 3 and db is None

    @pytest.mark.parametrize(
        "lose",
        [
            np.exp,
            np.sum,
            np.linalg.norm,
            np.asarray,
            np.from_dlpack,
            lambda x: np.maximum(x, 0),
            lambda x: np.concatenate([x, x]),
            lambda x: np.ones(2).__setitem__(slice(None), x),
            lambda x: ops.sum([x[0], x[1]]),
        ],
    )
    def test_numpy_takes_nothing_that_a_tape_watches(self, lose):
        x, constants = Variable([1.0, 2.0]), constant([1.0, 2.0])
        lose(x)
        with GradientTape():
            lose(constants)
            lose(Variable([1.0, 2.0], trainable=False))
            for watched in (x, x * 2):
                with pytest.raises(TypeError, match=r"that a GradientTape watches .* fastnn.ops .* its .numpy\(\)"):
                    lose(watched)

    def test_values_that_are_asked_for_by_name_are_given_while_a_tape_records(self):
        x = Variable([1.0, 2.0])
        with GradientTape() as tape:
            y = x * constant(np.exp(x.numpy())) * ops.convert_to_numpy(x)
        np.testing.assert_allclose(tape.gradient(y, x).data, [np.e, 2 * np.e**2], rtol=1e-6)

    def test_stop_gradient(self):
        x = Variable(3.0)
        with GradientTape() as tape:
            y = x * ops.stop_gradient(x)
        assert float(tape.gradient(y, x)) == 3

    def test_integers_have_no_derivative(self):
        x = constant(3)
        with GradientTape() as tape:
            with pytest.warns(UserWarning, match="a tensor of int32 is watched; only floats have derivatives"):
                tape.watch(x)
            y = x * 2.0
        assert tape.gradient(y, x) is None

        steps, w = Variable(3), Variable(2.0)
        with GradientTape(persistent=True) as tape:
            y = w * steps
            rounded = ops.cast(y, "int32")
        assert [None if g is None else float(g) for g in tape.gradient(y, [w, steps])] == [3, None]
        with pytest.warns(UserWarning, match="target of a gradient has dtype int32"):
            assert tape.gradient(rounded, w) is None
        with pytest.warns(UserWarning, match="target of a gradient has dtype int32"):
            assert tape.jacobian(rounded, w) is None

    def test_wrong_things_to_watch(self):
        with pytest.raises(TypeError, match="tensor must be a Tensor or Variable.* got float"):
            GradientTape().watch(3.0)


class TestTape:
    def test_a_tape_gives_gradients_once(self):
        x = Variable(3.0)
        with GradientTape() as tape:
            y = x**2
        tape.gradient(y, x)
        for again in (tape.gradient, tape.jacobian):
            with pytest.raises(RuntimeError, match=r"GradientTape\(persistent=True\)"):
                again(y, x)
        with tape:  # a new recording
            y = x**3
        assert float(tape.gradient(y, x)) == 27

    def test_a_persistent_tape_gives_them_again(self):
        x, y = Variable(2.0), Variable(2.0)
        with GradientTape(persistent=True) as tape:
            z = x**2 + y * x
            u = z * x
        assert [float(tape.gradient(z, v)) for v in (x, y)] == [6, 2]
        assert float(tape.gradient(u, z)) == 2
        assert float(tape.gradient(u, x)) == 20
        tape.reset()
        assert tape.gradient(u, x) is None

    def test_a_gradient_inside_the_block(self):
        x = Variable(3.0)
        with GradientTape() as tape:
            y = x**2
            assert float(tape.gradient(y, x)) == 6
            y = x**3
        with pytest.raises(RuntimeError, match="has been used"):
            tape.gradient(y, x)

    def test_a_used_tape_lets_go_of_what_it_recorded(self):
        x = Variable(np.ones(10))
        with GradientTape() as tape:
            middle = ops.exp(x)
            y = ops.sum(middle)
        gone = weakref.ref(middle)
        del middle
        assert gone() is not None
        gc.disable()
        try:
            tape.gradient(y, x)
            assert gone() is None
        finally:
            gc.enable()

    def test_several_targets_and_a_target_of_many_elements_are_summed(self):
        x = Variable([1.0, 2.0])
        with GradientTape(persistent=True) as tape:
            y, z = x**2, 3 * x
        np.testing.assert_array_equal(tape.gradient(y, x).data, [2, 4])
        np.testing.assert_array_equal(tape.gradient([y, z], x).data, [5, 7])
        np.testing.assert_array_equal(tape.gradient({"y": y, "z": (z, z)}, x).data, [8, 10])
        np.testing.assert_array_equal(tape.gradient([y, y], x).data, [4, 8])

    def test_output_gradients(self):
        x = Variable([1.0, 2.0])
        with GradientTape(persistent=True) as tape:
            y, z = x**2, 3 * x
        np.testing.assert_array_equal(tape.gradient(y, x, output_gradients=[10.0, 100.0]).data, [20, 400])
        np.testing.assert_array_equal(tape.gradient([y, z], x, output_gradients=[constant([1.0, 0.0]), None]).data, [5, 3])
        with pytest.raises(ValueError, match=r"output_gradients has shape \(3,\); expected the target's, \(2,\)"):
            tape.gradient(y, x, output_gradients=[1.0, 2.0, 3.0])
        with pytest.raises(ValueError, match="output_gradients must have the structure of target"):
            tape.gradient([y, z], x, output_gradients=[None])

    def test_sources_keep_their_structure(self):
        a, b, c = Variable(1.0), Variable(2.0), Variable(3.0)
        with GradientTape() as tape:
            y = a * b * c
        gradients = tape.gradient(y, {"ab": [a, (b,)], "c": c})
        assert float(gradients["ab"][0]) == 6 and float(gradients["ab"][1][0]) == 3 and float(gradients["c"]) == 2
        assert isinstance(gradients["ab"][1], tuple)

    def test_intermediate_results_are_sources_too(self):
        x = Variable(2.0)
        with GradientTape() as tape:
            u = x**2
            y = 3 * u + u * x
        dx, du, dy = tape.gradient(y, [x, u, y])
        assert (float(dx), float(du), float(dy)) == (5 * 4 + 4, 5, 1)

    def test_unconnected_sources(self):
        x, other = Variable(2.0), Variable([1.0, 2.0])
        with GradientTape(persistent=True) as tape:
            y = x**2
            _ = other * x
        assert tape.gradient(y, other) is None
        zero = tape.gradient(y, other, unconnected_gradients="zero")
        np.testing.assert_array_equal(zero.data, np.zeros(2, np.float32), strict=True)
        assert tape.jacobian(y, other) is None
        assert tape.jacobian(y, other, unconnected_gradients="zero").shape == (2,)
        for function in (tape.gradient, tape.jacobian):
            with pytest.raises(ValueError, match="unconnected_gradients must be 'none' or 'zero'; got 'None'"):
                function(y, other, unconnected_gradients="None")

    @pytest.mark.parametrize("wrong", [None, 3.0, np.ones(2)])
    def test_wrong_targets_and_sources(self, wrong):
        x = Variable(2.0)
        with GradientTape(persistent=True) as tape:
            y = x**2
        with pytest.raises(TypeError, match="sources must be a Tensor or Variable.*use fastnn.ops"):
            tape.gradient(y, [x, wrong])
        for function in (tape.gradient, tape.jacobian, tape.batch_jacobian):
            with pytest.raises(TypeError, match="target must be a Tensor or Variable"):
                function(wrong, x)

    def test_stop_recording(self):
        x = Variable(3.0)
        with GradientTape() as outer, GradientTape() as tape:
            y = x**2
            with tape.stop_recording():
                z = x**3
        assert tape.gradient([y, z], x).numpy() == 6
        assert outer.gradient(z, x).numpy() == 27

    def test_side_by_side_tapes_record_each_for_itself(self):
        x = Variable(3.0)
        with GradientTape() as one:
            y = x**2
            with GradientTape() as two:
                z = x * y
        assert float(one.gradient(z, x)) == 27
        assert float(two.gradient(z, x)) == 9

    def test_a_tape_cannot_be_entered_twice(self):
        with GradientTape() as tape, pytest.raises(ValueError, match="recording already"), tape:
            pass

    def test_an_exception_ends_the_recording(self):
        x = Variable(3.0)
        tape = GradientTape()
        with pytest.raises(KeyError), tape:
            raise KeyError
        y = x**2
        assert tape.nodes == () and tape.gradient(y, x) is None

    def test_a_thread_does_not_record_on_the_tape_of_another(self):
        x = Variable(3.0)
        with GradientTape() as tape:
            thread = threading.Thread(target=lambda: x**2)
            thread.start()
            thread.join()
            y = x**3
        assert [node.name for node in tape.nodes] == ["power"]
        assert float(tape.gradient(y, x)) == 27

    def test_values_assigned_after_recording_are_refused_not_used(self):
        w, other = Variable(3.0, name="w"), Variable(1.0)
        with GradientTape(persistent=True) as tape:
            y = w**2
            z = other * 2
        w.assign(5.0)
        with pytest.raises(RuntimeError, match="variable 'w' got new values after the tape recorded 'power'"):
            tape.gradient(y, w)
        assert float(tape.gradient(z, other)) == 2

    def test_only_vjps_that_lead_to_the_sources_run(self):
        def never(dy, needs):
            raise AssertionError

        x, w = Variable(2.0), Variable(3.0)
        with GradientTape(persistent=True) as tape:
            a = record("never", (w,), Tensor(w.data), never)
            y = x * a
            record("never", (y,), Tensor(y.data), never)
        assert float(tape.gradient(y, x)) == 3

    def test_needs_say_which_inputs_count(self):
        seen = []

        def vjp(dy, needs):
            seen.append(needs)
            return dy, dy, None

        x, w = Variable(2.0), Variable(3.0)
        with GradientTape(persistent=True) as tape:
            y = record("sum", (x, w, None), Tensor(x.data + w.data), vjp)
        tape.gradient(y, [x, w])
        tape.gradient(y, w)
        assert seen == [(True, True, False), (False, True, False)]

    def test_an_op_of_several_outputs(self):
        x = Variable([1.0, 2.0, 3.0])

        def halves(x):
            def vjp(da, db, needs):
                da, db = (ops.zeros(n) if d is None else d for d, n in ((da, (1,)), (db, (2,))))
                return (ops.concatenate([da, db]),)

            return record("halves", (x,), (Tensor(x.data[:1]), Tensor(x.data[1:])), vjp)

        with GradientTape(persistent=True) as tape:
            a, b = halves(x)
            y = ops.sum(b**2)
        np.testing.assert_array_equal(tape.gradient(y, x).data, [0, 4, 6])
        np.testing.assert_array_equal(tape.gradient([a, y], x).data, [1, 4, 6])

    def test_nodes_can_be_looked_at(self):
        x, y = Variable(1.0), Variable(2.0)
        with GradientTape() as tape:
            a = x * y
            b = 1 / x
            z = a + b
        assert [node.name for node in tape.nodes] == ["multiply", "divide", "add"]
        multiply, divide, add = tape.nodes
        assert isinstance(add, Node) and add.inputs == (a, b) and add.outputs == (z,)
        assert divide.inputs[0].numpy() == 1 and divide.inputs[1] is x
        ones = constant(1.0)
        assert [float(d) for d in multiply.vjp(ones, (True, True))] == [2, 1]
        assert [float(d) for d in divide.vjp(ones, (True, True))] == [1, -1]


class TestJacobian:
    def test_of_elementwise_and_of_linear_functions(self):
        x, a = Variable([1.0, 2.0]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], np.float32)
        with GradientTape(persistent=True) as tape:
            squares = x**2
            products = ops.matmul(a, x)
        np.testing.assert_array_equal(tape.jacobian(squares, x).data, [[2, 0], [0, 4]])
        dx, dsquares = tape.jacobian(products, [x, squares])
        np.testing.assert_array_equal(dx.data, a)
        assert dsquares is None

    def test_shapes(self):
        x = Variable(np.ones((2, 3)))
        with GradientTape() as tape:
            y = ops.sum(x, axis=0) * ops.ones((4, 1))
        jacobian = tape.jacobian(y, x)
        assert jacobian.shape == (4, 3, 2, 3)
        np.testing.assert_array_equal(jacobian.data, np.tile(np.eye(3)[:, None, :], (4, 1, 2, 1)))

    def test_hessian(self):
        x = Variable([1.0, 2.0])
        with GradientTape() as outer:
            with GradientTape() as tape:
                y = x[0] ** 2 * x[1] ** 3
            gradient = tape.gradient(y, x)
        np.testing.assert_array_equal(outer.jacobian(gradient, x).data, [[16, 24], [24, 12]])

    def test_of_each_sample(self):
        x = Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
        with GradientTape(persistent=True) as tape:
            y = ops.stack([x[:, 0] * x[:, 1], x[:, 0] ** 2], axis=1)
        expected = [[[b, a], [2 * a, 0]] for a, b in x.numpy()]
        jacobian = tape.batch_jacobian(y, x)
        np.testing.assert_array_equal(jacobian.data, expected)
        full = tape.jacobian(y, x).data
        np.testing.assert_array_equal(jacobian.data, full[np.arange(3), :, np.arange(3)])
        with pytest.raises(ValueError, match=r"same number of samples; got shapes \(3, 2\) and \(2,\)"):
            tape.batch_jacobian(y, x[0])


def test_the_gradient_of_a_network_agrees_with_central_differences_of_its_loss():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(5, 4)), np.array([0, 1, 2, 1, 0])
    variables = [Variable(rng.normal(size=shape)) for shape in ((4, 6), (6,), (6, 3), (3,))]

    def loss():
        w1, b1, w2, b2 = variables
        return ops.weighted_mean(ops.softmax_xent(ops.tanh(x @ w1 + b1) @ w2 + b2, labels))

    with GradientTape() as tape:
        y = loss()
    for variable, gradient in zip(variables, tape.gradient(y, variables), strict=True):
        for index in np.ndindex(variable.shape):
            kept, h = variable.data[index], 1e-5
            variable.data[index] = kept + h
            up = float(loss())
            variable.data[index] = kept - h
            down = float(loss())
            variable.data[index] = kept
            np.testing.assert_allclose(gradient.data[index], (up - down) / (2 * h), rtol=1e-6, atol=1e-9)
