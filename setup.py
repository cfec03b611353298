"""Build of the compiled kernels and list of the packages; everything else stands in pyproject.toml.

Each family file of kernels/cython_aot is translated to C once and compiled once per instruction level. The glue from call records
to typed kernel functions is generated from kernels/spec.

Environment variables
---------------------
FASTNN_NO_EXTENSIONS=1 : install without compiled kernels (the NumPy and Numba backends remain).
FASTNN_LEVELS=x86_64_v4,... : build only these instruction levels.
FASTNN_DEBUG=1 : little optimization; array bounds and undefined behaviour are checked (UndefinedBehaviorSanitizer), and a violation
    ends the process.
FASTNN_SANITIZE=address : compile with this sanitizer (run with its library in LD_PRELOAD); goes together with FASTNN_DEBUG.
"""

import os
import pathlib
import platform
import shutil
import sys
import tempfile

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = pathlib.Path(__file__).parent
SOURCE = pathlib.Path("kernels", "cython_aot")
GENERATED = pathlib.Path("build", "generated")
PACKAGE = "fastnn.kernels.cython_aot"

sys.path.insert(0, str(ROOT / "kernels"))
import spec  # noqa: E402  (kernels/spec, which needs nothing but the standard library)

SANITIZERS = ["undefined"] if os.environ.get("FASTNN_DEBUG") else []
SANITIZERS += os.environ.get("FASTNN_SANITIZE", "").split()
LEVEL_FLAGS = {
    "x86_64_v2": ["-march=x86-64-v2"],
    "x86_64_v3": ["-march=x86-64-v3"],
    "x86_64_v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
    "baseline": [],
}
#: types of a module of kernels, for type checkers: what `glue` puts into it
STUB = "CONTRACT: str\nADDRESSES: dict[str, tuple[int, int]]\n"
C_TYPES = {"int32": "int32_t", "uint8": "uint8_t", "uint64": "uint64_t", "float64": "double"}


def level_of(extension):
    """Return the instruction level that an extension is compiled for; None for the call records, which are compiled once."""
    folder = extension.name.removeprefix(f"{PACKAGE}.").rpartition(".")[0]
    return folder or None


def levels():
    """Return the instruction levels to build on this machine."""
    if os.environ.get("FASTNN_LEVELS"):
        chosen = os.environ["FASTNN_LEVELS"].split(",")
        unknown = set(chosen) - set(LEVEL_FLAGS)
        if unknown:
            raise SystemExit(f"FASTNN_LEVELS: expected some of {', '.join(LEVEL_FLAGS)}, got {', '.join(sorted(unknown))}")
        return chosen
    x86 = platform.machine().lower() in ("x86_64", "amd64") and sys.platform != "win32"
    return ["x86_64_v2", "x86_64_v3", "x86_64_v4"] if x86 else ["baseline"]


def glue(family):
    """Return Cython source: for each op and float type a function from call record to kernel, and their addresses."""
    lines, addresses = ["from call cimport fastnn_call", ""], []
    for op in spec.COMPILED[family]:
        generic = any(array.kind == "real" for array in op.arrays)
        for suffix, real in (("f32", "float"), ("f64", "double")):
            arrays = []
            for i, array in enumerate(op.arrays):
                const = "const " if array.role == "in" else ""
                arrays.append(f"<{const}{C_TYPES.get(array.kind, real)} *>call.array[{i}]")
            integers = iter(range(len(op.params)))
            reals = iter(range(len(op.params)))
            params = [f"call.integer[{next(integers)}]" if p.kind == "int" else f"call.real[{next(reals)}]" for p in op.params]
            extents = [f"call.extent[{i}]" for i in range(len(op.axes))]
            arguments = [*arrays[: len(op.inputs)], *params, *arrays[len(op.inputs) :], *extents, "call.threads"]
            lines += [
                f"cdef void {op.name}__{suffix}(const fastnn_call *call) noexcept nogil:",
                f"    {op.name}{f'[{real}]' if generic else ''}({', '.join(arguments)})",
                "",
            ]
        addresses.append(f"    {op.name!r}: (<size_t>&{op.name}__f32, <size_t>&{op.name}__f64),")
    comment = "#: op name -> addresses of its functions for float32 and float64"
    contract = ["#: what they were compiled for", f'CONTRACT = "{spec.contract(family)}"']
    return "\n".join([*lines, *contract, comment, "ADDRESSES = {", *addresses, "}", ""])


class BuildKernels(build_ext):
    """Generate and translate once, then compile each extension with the flags that this compiler has."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def run(self):
        super().run()
        for extension in self.extensions:
            if level_of(extension):
                stub = pathlib.Path(self.get_ext_fullpath(extension.name)).with_name(f"{extension.name.rpartition('.')[2]}.pyi")
                stub.write_text(STUB)

    def get_source_files(self):
        return []  # the C files are made by the build; MANIFEST.in names the sources

    def build_extensions(self):
        self.translate()
        openmp = self.openmp_flags()
        for extension in list(self.extensions):
            flags = LEVEL_FLAGS.get(level_of(extension), [])
            if flags and not self.compiles(flags):
                print(f"fastnn: this compiler has no {flags[0]}; {extension.name} is left out")
                self.extensions.remove(extension)
                continue
            extension.extra_compile_args = [*self.optimization_flags(), *flags, *openmp]
            extension.extra_link_args = [*self.sanitizer_flags(), *openmp]
            if extension.name == f"{PACKAGE}.call":
                import numpy

                extension.include_dirs = [*extension.include_dirs, numpy.get_include()]
                extension.define_macros = [("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")]
        super().build_extensions()

    def translate(self):
        from Cython.Build import cythonize

        GENERATED.mkdir(parents=True, exist_ok=True)
        for family in spec.COMPILED:
            target = GENERATED / f"calls_{family}.pxi"
            if not target.exists() or target.read_text() != glue(family):
                target.write_text(glue(family))
        modules = [Extension(f"{PACKAGE}.{name}", [str(SOURCE / f"{name}.pyx")]) for name in ("call", *spec.COMPILED)]
        cythonize(
            modules,
            build_dir=str(GENERATED),
            include_path=[str(SOURCE), str(GENERATED)],
            compiler_directives={
                "language_level": 3,
                "boundscheck": bool(SANITIZERS),
                "wraparound": False,
                "cdivision": True,
                "initializedcheck": False,
                "embedsignature": True,
                "freethreading_compatible": True,
            },
        )
        for extension in self.extensions:
            source = pathlib.Path(extension.sources[0])
            translated = GENERATED / SOURCE / source.name
            if translated != source:
                source.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(translated, source)

    def optimization_flags(self):
        if self.compiler.compiler_type == "msvc":
            return ["/O2"]
        if SANITIZERS:
            return ["-O1", "-g1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all", *self.sanitizer_flags()]
        # Python's own flags hold -g, and to keep track of variables through what is inlined here takes half of the compiler's time
        return ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"]

    def sanitizer_flags(self):
        return [f"-fsanitize={','.join(SANITIZERS)}"] if SANITIZERS else []

    def openmp_flags(self):
        flag = "/openmp" if self.compiler.compiler_type == "msvc" else "-fopenmp"
        if self.compiles([flag], "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }"):
            return [flag]
        print("fastnn: this compiler has no OpenMP; the kernels will use one thread")
        return []

    def compiles(self, flags, program="int main(void) { return 0; }"):
        """Say whether `program` compiles and links with `flags`."""
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "probe.c")
            source.write_text(program)
            try:
                objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=flags)
                self.compiler.link_executable(objects, str(pathlib.Path(folder, "probe")), extra_postargs=flags)
            except Exception as error:  # each compiler class has its own
                if type(error).__name__ not in ("CompileError", "LinkError"):
                    raise
                return False
        return True


def extensions():
    """Return one extension for the call records and one per family and instruction level."""
    if os.environ.get("FASTNN_NO_EXTENSIONS"):
        return []
    options = {"include_dirs": [str(SOURCE)], "depends": [str(path) for path in (ROOT / SOURCE).glob("*.h")]}
    found = [Extension(f"{PACKAGE}.call", [str(GENERATED / SOURCE / "call.c")], **options)]
    for level in levels():
        for family in spec.COMPILED:
            found.append(Extension(f"{PACKAGE}.{level}.{family}", [str(GENERATED / level / f"{family}.c")], **options))
    return found


setup(
    package_dir={"fastnn": "fastnn", "fastnn.kernels": "kernels"},
    packages=[
        *("fastnn", *(f"fastnn.{name}" for name in find_packages("fastnn"))),
        *("fastnn.kernels", *(f"fastnn.kernels.{name}" for name in find_packages("kernels"))),
    ],
    ext_modules=extensions(),
    cmdclass={"build_ext": BuildKernels},
)
