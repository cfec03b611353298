"""Small data sets that every course uses: digits and iris, through scikit-learn, and the Boston house prices."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

BOSTON = Path(__file__).parent / "data" / "boston_house_prices.csv"


def load_digits() -> tuple[NDArray[Any], NDArray[Any]]:
    """Load scikit-learn's handwritten digits: small images, quick to learn.

    Returns
    -------
    x : numpy.ndarray, float64 (1797, 8, 8)
        Images with whole values from 0, background, to 16, ink; ``x.reshape(len(x), -1)`` is what scikit-learn calls the data.
    y : numpy.ndarray, int64 (1797,)
        Labels from 0 to 9.

    Raises
    ------
    ImportError
        If scikit-learn, which holds the data, is not installed.
    """
    digits = _sklearn_datasets().load_digits()
    return digits.images, digits.target


def load_iris() -> tuple[NDArray[Any], NDArray[Any]]:
    """Load Fisher's iris flowers from scikit-learn.

    Returns
    -------
    x : numpy.ndarray, float64 (150, 4)
        Sepal length, sepal width, petal length and petal width, in cm.
    y : numpy.ndarray, int64 (150,)
        0 for setosa, 1 for versicolor, 2 for virginica; 50 of each, in this order.

    Raises
    ------
    ImportError
        If scikit-learn, which holds the data, is not installed.
    """
    return _sklearn_datasets().load_iris(return_X_y=True)


def load_boston() -> tuple[NDArray[Any], NDArray[Any]]:
    """Load the Boston house prices of 1970, for course work that asks for them.

    Returns
    -------
    x : numpy.ndarray, float64 (506, 13)
        Per census tract: CRIM crime rate per head, ZN share of large residential lots in %, INDUS share of industrial land in %,
        CHAS 1 by the Charles river, NOX nitric oxides in parts per 10 million, RM rooms per dwelling, AGE share of homes built
        before 1940 in %, DIS distance to employment centres, RAD access to radial highways, TAX property tax in $ per $10,000,
        PTRATIO pupils per teacher, B computed from the share of Black residents (see Notes), LSTAT share of lower-status
        population in %.
    y : numpy.ndarray, float64 (506,)
        MEDV, median value of owner-occupied homes, in $1000, cut off at 50.

    Notes
    -----
    scikit-learn removed this data set in version 1.2 for an ethical problem. The column B is 1000 (Bk - 0.63)^2, where Bk is the
    share of Black residents: it was built on the assumption that racial segregation raises house prices, and Bk cannot be computed
    back from it. The study was to show what clean air is worth, and did not show that assumption to hold. It is here because
    courses still use it; for anything else than reproducing them, or discussing this problem, take another data set, such as
    scikit-learn's ``fetch_california_housing``.

    From D. Harrison and D.L. Rubinfeld, "Hedonic prices and the demand for clean air", Journal of Environmental Economics and
    Management 5, 81-102 (1978), by way of StatLib (http://lib.stat.cmu.edu/datasets/boston) and scikit-learn.
    """
    table = np.loadtxt(BOSTON, dtype=np.float64, delimiter=",", skiprows=1)
    return table[:, :-1].copy(), table[:, -1].copy()


def _sklearn_datasets() -> ModuleType:
    try:
        import sklearn.datasets
    except ModuleNotFoundError as error:
        raise ImportError("this data set comes with scikit-learn: pip install 'fastnn-kernels[sklearn]'") from error
    return sklearn.datasets
