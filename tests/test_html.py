"""What notebooks show of models and estimators: tables that are well-formed, and nothing that names can break."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

import fastnn
from fastnn import estimators, layers


def cells(html):
    """Return the texts of a table's rows, which a strict parser must understand."""
    table = ET.fromstring(html.replace("<br>", "<br/>"))
    assert table.tag == "table"
    return table.find("caption").text, [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]


def test_a_model_is_its_summary():
    model = fastnn.Sequential(
        [layers.Input((4,)), layers.Dense(3, name="hidden"), layers.BatchNormalization(name="norm"), layers.Dense(2, name="out")],
        name="small",
    )
    caption, rows = cells(model._repr_html_())
    assert caption == 'Model: "small"'
    assert rows[:-1] == [
        ["Layer (type)", "Output Shape", "Param #"],
        ["hidden (Dense)", "(None, 3)", "15"],
        ["norm (BatchNormalization)", "(None, 3)", "12"],
        ["out (Dense)", "(None, 2)", "8"],
    ]
    assert rows[-1] == ["Total params: 35 (140.00 B)Trainable params: 29 (116.00 B)Non-trainable params: 6 (24.00 B)"]
    lines = []
    model.summary(lines.append)
    for row in rows:
        for cell in row[:-1]:
            assert cell in lines[0]


def test_names_are_escaped():
    model = fastnn.Sequential([layers.Input((4,)), layers.Dense(3, name="<script>alert('&')</script>")], name='"<b>')
    assert "<script>" not in model._repr_html_() and "<b>" not in model._repr_html_()
    caption, rows = cells(model._repr_html_())
    assert (caption, rows[1][0]) == ('Model: ""<b>"', "<script>alert('&')</script> (Dense)")


def test_a_model_that_is_not_built_or_empty():
    assert cells(fastnn.Sequential([layers.Dense(2, name="out")])._repr_html_())[1][1] == ["out (Dense)", "?", "0 (unbuilt)"]
    assert len(cells(fastnn.Sequential()._repr_html_())[1]) == 2


@pytest.mark.parametrize("name", [name for name in estimators.__all__ if name.endswith(("Classifier", "Regressor"))])
def test_estimators_have_scikit_learns(name):
    kind = getattr(estimators, name)
    if "model" in name.lower() or "Network" in name:
        estimator = kind(fastnn.Sequential([layers.Dense(2)]))
    else:
        estimator = kind()
    shown = estimator._repr_html_()
    assert name in shown and "sk-container" in shown


def test_a_fitted_estimator_too():
    x = np.random.default_rng(0).normal(size=(30, 2))
    estimator = estimators.MLPClassifier((2,), max_iter=2, solver="lbfgs", random_state=0)
    with pytest.warns(match="failed to converge"):
        estimator.fit(x, x[:, 0] > 0)
    assert "fitted" in estimator._repr_html_()
