"""Check what an sdist and a wheel contain: ``python .ci/check_dist.py FILE...``."""

import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

MNIST = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
DATA = [f"fastnn/datasets/data/mnist/{name}-ubyte.gz" for name in MNIST]
DATA += ["fastnn/datasets/data/boston_house_prices.csv", "fastnn/datasets/data/README.md", "fastnn/py.typed"]
COMPILED = (".so", ".pyd")
GENERATED = {".c", ".o", ".pyc", ".pxi"}
SOURCES = ("py", "pyx", "pxd", "h")
ROOT = Path(__file__).parent.parent


def check(condition, message):
    if not condition:
        raise SystemExit(f"check_dist: {message}")


def check_wheel(names):
    tops = {PurePosixPath(name).parts[0] for name in names}
    check({top for top in tops if not top.endswith(".dist-info")} == {"fastnn"}, f"expected fastnn alone, the wheel has {tops}")
    expected = []
    for folder, installed in (("fastnn", "fastnn"), ("kernels", "fastnn/kernels")):
        for path in (path for suffix in SOURCES for path in (ROOT / folder).rglob(f"*.{suffix}")):
            expected.append(f"{installed}/{path.relative_to(ROOT / folder).as_posix()}")
    check_contains(names, expected + DATA, "wheel")
    compiled = [PurePosixPath(name) for name in names if name.endswith(COMPILED)]
    check(compiled, "no compiled kernels in the wheel")
    check_contains(names, [str(path.with_name(f"{path.name.partition('.')[0]}.pyi")) for path in compiled], "wheel")


def check_sdist(names):
    names = [name.partition("/")[2] for name in names]
    needed = ["setup.py", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "kernels/cython_aot/call.pyi"]
    for folder in ("fastnn", "kernels", "tests"):
        needed += [path.relative_to(ROOT).as_posix() for suffix in SOURCES for path in (ROOT / folder).rglob(f"*.{suffix}")]
    check_contains(names, needed + DATA, "sdist")
    check(not [name for name in names if name.endswith(COMPILED)], "compiled files in the sdist")


def check_contains(names, expected, kind):
    missing = sorted(set(expected) - set(names))
    check(not missing, f"missing in the {kind}: {', '.join(missing)}")


for path in map(Path, sys.argv[1:]):
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        check_wheel(names)
    else:
        with tarfile.open(path) as archive:
            names = [member.name for member in archive.getmembers()]
        check_sdist(names)
    generated = [name for name in names if PurePosixPath(name).suffix in GENERATED]
    check(not generated, f"generated files in {path.name}: {', '.join(generated)}")
    print(f"{path.name}: {len(names)} files, {path.stat().st_size / 1e6:.1f} MB")
