"""scikit-learn's MLPClassifier and fastnn's on MNIST: 60,000 rows of 784 numbers, one hidden layer of 100, all defaults.

python -m benchmarks.estimators [--threads N] [--epochs N] [--rounds N] [--dtypes float32 float64]

Both are given the same arrays and the same seed, make the same number of epochs on the same number of threads, and take turns; the
fastest round of each counts. With the seed they share first weights and batches, so the accuracies on the 10,000 test images should
agree but for rounding. A row is elapsed seconds of `fit`; besides, the ratio in processor time, which is nearly that of a quiet
machine where one thread runs beside other programs.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings


def seconds_of(function) -> tuple[float, float]:
    """Return elapsed and processor seconds of a call."""
    elapsed, processor = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - elapsed, time.process_time() - processor


def compare(dtype: str, epochs: int, rounds: int) -> str:
    """Return a row of the table: both estimators on data of a float type."""
    import numpy as np
    from sklearn import neural_network

    import fastnn
    from fastnn import estimators

    (x, y), (x_test, y_test) = fastnn.datasets.load_mnist()
    x, x_test = (images.reshape(len(images), -1).astype(dtype) / np.array(255, dtype) for images in (x, x_test))
    networks = [module.MLPClassifier(max_iter=epochs, random_state=0) for module in (neural_network, estimators)]
    times: list[list[tuple[float, float]]] = [[], []]
    for _ in range(rounds):
        for network, row in zip(networks, times, strict=True):
            row.append(seconds_of(lambda network=network: network.fit(x, y)))
    (theirs, theirs_processor), (ours, ours_processor) = (map(min, zip(*row, strict=True)) for row in times)
    accuracies = [f"{network.score(x_test, y_test):.2%}" for network in networks]
    cells = [dtype, f"{theirs:.2f}", f"{ours:.2f}", f"{theirs / ours:.2f}", f"{theirs_processor / ours_processor:.2f}", *accuracies]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimators", description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtypes", nargs="+", choices=("float32", "float64"), default=("float32", "float64"))
    options = parser.parse_args()
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(options.threads)  # before NumPy is imported
    warnings.simplefilter("ignore")  # so few epochs do not converge
    print(f"epochs: {options.epochs}, threads: {options.threads}")
    print("| dtype | scikit-learn, s | fastnn, s | ratio | ratio of processor time | accuracy, scikit-learn | accuracy, fastnn |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for dtype in options.dtypes:
        print(compare(dtype, options.epochs, options.rounds), flush=True)


if __name__ == "__main__":
    main()
