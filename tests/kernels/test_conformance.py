"""Every op of every backend against the reference: small generated shapes, and large ones for the parallel and blocked paths.

A kernel gets outputs full of NaN between guard bands, and inputs that are read-only. It must write every element of its outputs,
nothing else, agree with the float64 reference within the spec's tolerance, and give the same bits on one thread and on two.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnn.kernels.backends import BACKENDS, kernels_of
from fastnn.kernels.spec import FAMILIES, FAMILY_OF, OPS, OPTIONAL
from fastnn.kernels.threads import get_num_threads, set_num_threads

from .cases import BACKEND_PARAMS, EXTREMES, FLOATS, Case, cases, large_cases, output_of_forward

#: what stands in the guard bands, byte by byte; as float32 or float64 a number that no test computes
GUARD = 0xA5
GUARD_BYTES = 512
#: small cases for each op: those with windows have more parameters to combine
EXAMPLES = {"conv": 60, "pool": 40}


@pytest.fixture(params=[param for param in BACKEND_PARAMS if param.values != ("numpy",)])
def backend(request):
    if not BACKENDS[request.param].installed():
        pytest.skip(f"the backend {request.param} is not installed")
    return request.param


@pytest.fixture(autouse=True)
def threads_as_before():
    before = get_num_threads()
    yield
    set_num_threads(before)


class Guarded:
    """A copy of an array between two guard bands, `shift` elements off the alignment that an allocator would give.

    Behind what is only read there is no band: AddressSanitizer sees a kernel that reads on.
    """

    def __init__(self, array: np.ndarray, shift: int, only_read: bool) -> None:
        start = GUARD_BYTES + shift * array.itemsize
        self.buffer = np.full(start + array.nbytes + (0 if only_read else GUARD_BYTES), GUARD, np.uint8)
        self.array = self.buffer[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        self.array[...] = array
        self.outside = np.ones(self.buffer.shape, bool)
        self.outside[start : start + array.nbytes] = False

    def intact(self) -> bool:
        return bool((self.buffer[self.outside] == GUARD).all())


def run(backend: str, case: Case, dtype: str, shift: int = 0) -> dict[str, np.ndarray]:
    """Call the kernel and return its outputs by name; guard bands and inputs must be untouched."""
    arguments = case.arguments(dtype)
    given = [array for array in case.op.arrays if arguments[array.name] is not None]
    guarded = {array.name: Guarded(arguments[array.name], shift, array.role == "in") for array in given}
    for array in case.op.inputs:
        if array.name in guarded:
            guarded[array.name].array.flags.writeable = False
    result = kernels_of(backend)[case.op_name](*(guarded[n].array if n in guarded else v for n, v in arguments.items()))
    assert result is None
    for name, buffer in guarded.items():
        assert buffer.intact(), f"wrote outside {name}"
    for array in case.op.inputs:
        if array.name in guarded:
            assert guarded[array.name].array.tobytes() == arguments[array.name].tobytes(), f"changed its input {array.name}"
    return {a.name: guarded[a.name].array for a in case.op.outputs if a.name in guarded}


def reference(case: Case, dtype: str) -> dict[str, np.ndarray]:
    """Return what the reference makes of the same numbers in float64."""
    arguments = case.arguments(dtype)
    for array in case.op.arrays:
        if array.kind == "real" and arguments[array.name] is not None:
            arguments[array.name] = arguments[array.name].astype(np.float64)
    kernels_of("numpy")[case.op_name](*arguments.values())
    return {a.name: arguments[a.name] for a in case.op.outputs if arguments[a.name] is not None}


def check_close(case: Case, dtype: str, outputs: dict, expected: dict) -> None:
    tolerance = case.op.tolerance_for(dtype)
    for name, wanted in expected.items():
        got = outputs[name]
        if wanted.dtype.kind != "f":
            np.testing.assert_array_equal(got, wanted, err_msg=name)
            continue
        assert np.array_equal(np.isfinite(got), np.isfinite(wanted)), f"{name}: not finite at other places than the reference"
        np.testing.assert_array_equal(got[~np.isfinite(wanted)], wanted[~np.isfinite(wanted)], err_msg=name)
        finite = np.abs(wanted[np.isfinite(wanted)])
        # the inputs are of magnitude 1: a result that is small by cancellation is judged by the size of its terms
        scale = max(1.0, finite.max(initial=0.0))
        np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * scale, equal_nan=True, err_msg=name)


def check(backend: str, case: Case, dtype: str, shift: int = 0) -> None:
    if case.op_name not in kernels_of(backend):
        pytest.skip(f"the backend {backend} has no {case.op_name}, and need not have it")
    set_num_threads(1)
    try:
        outputs = run(backend, case, dtype, shift)
    except NotImplementedError as error:  # the backend for GPUs may lack ops
        pytest.skip(str(error))
    check_close(case, dtype, outputs, reference(case, dtype))
    set_num_threads(2)
    for name, again in run(backend, case, dtype, shift).items():
        assert again.tobytes() == outputs[name].tobytes(), f"{name} differs between one thread and two"


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op_name", OPS)
def test_small(backend, op_name, dtype):
    @settings(max_examples=EXAMPLES.get(FAMILY_OF[op_name], 20), deadline=None, derandomize=True, database=None)
    @given(cases(op_name), st.integers(0, 3))
    def small(case, shift):
        check(backend, case, dtype, shift)

    small()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("op_name", "number"), [pytest.param(name, i, id=f"{name}-{i}") for name in OPS for i in range(len(large_cases(name)))]
)
def test_large(backend, op_name, number, dtype):
    check(backend, large_cases(op_name)[number], dtype, shift=1)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op_name", [name for name, op in OPS.items() if op.elementwise])
def test_an_elementwise_result_may_take_the_place_of_an_input(backend, op_name, dtype):
    for case in large_cases(op_name):
        arguments = case.arguments(dtype)
        (out,) = (array.name for array in case.op.outputs if array.axes == "*")
        expected = run(backend, case, dtype)[out]
        for array in case.op.inputs:
            if array.axes == "*" and arguments[array.name] is not None:
                again = case.arguments(dtype)
                again[out] = again[array.name]
                kernels_of(backend)[op_name](*again.values())
                np.testing.assert_array_equal(again[out], expected, err_msg=array.name)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "op_name", [op.name for op in FAMILIES["activation"] if op.inputs[0].axes == "*" and op.name != "custom_backward"]
)
def test_activation_of_extremes(backend, op_name, dtype):
    """Each element to its own relative precision: nothing overflows on the way, small results keep their digits, NaN stays NaN."""
    case = Case(op_name, {"*": EXTREMES.shape}, {p.name: 0.2 for p in OPS[op_name].params})
    x = EXTREMES.astype(dtype)
    arguments = case.arguments(dtype)
    arguments |= {"x": x} if "x" in arguments else {"y": output_of_forward(op_name, case.params, x)}
    if "dy" in arguments:
        arguments["dy"] = np.ones_like(x)
    wide = {name: v.astype(np.float64) if isinstance(v, np.ndarray) else v for name, v in arguments.items()}
    kernels_of(backend)[op_name](*arguments.values())
    kernels_of("numpy")[op_name](*wide.values())
    output = case.op.outputs[0].name
    with np.errstate(over="ignore", under="ignore"):
        wanted = wide[output].astype(dtype)
    tolerance = case.op.tolerance_for(dtype)
    # a derivative from the output cannot know more than the output does: elu's is y + alpha, which cancels far to the left
    atol = np.finfo(dtype).tiny if "x" in arguments else tolerance
    np.testing.assert_allclose(arguments[output], wanted, rtol=tolerance, atol=atol, err_msg=f"at {x}")


def test_backend_provides_every_op(backend):
    """A backend that is installed has a kernel for all of the spec, but for what it may lack; the reference for that too."""
    optional = {op.name for ops in OPTIONAL.values() for op in ops}
    assert set(kernels_of(backend)) | optional == set(kernels_of("numpy")) == set(OPS)
