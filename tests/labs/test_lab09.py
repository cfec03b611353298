"""Lab 9: the surfaces against the formulas that the lab plotted, and against central differences; two captions that are wrong."""

import matplotlib.pyplot as plt
import numpy as np

from .helpers import load_lab, run_lab

lab = load_lab(9)


def test_surfaces_are_those_that_the_lab_plotted():
    x, y = lab.grid()
    assert x.shape == (50, 50) and (x[0, 0], x[0, -1], y[-1, 0]) == (-5, 5, 5)
    z, dz_dx, dz_dy = lab.surfaces(x, y)
    np.testing.assert_allclose(z, x**2 * y + x * y**3, rtol=1e-12)
    np.testing.assert_allclose(dz_dx, 2 * x * y + y**3, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(dz_dy, x**2 + 3 * x * y**2, rtol=1e-9, atol=1e-9)


def test_partials_are_slopes():
    x, y = lab.grid()
    _, dz_dx, dz_dy = lab.surfaces(x, y)
    h = 1e-5
    np.testing.assert_allclose(dz_dx, (lab.f(x + h, y) - lab.f(x - h, y)) / (2 * h), rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(dz_dy, (lab.f(x, y + h) - lab.f(x, y - h)) / (2 * h), rtol=1e-6, atol=1e-5)


def test_the_wrong_captions():
    x, y = lab.grid()
    z, dz_dx, dz_dy = lab.surfaces(x, y)
    title_of_df_dy = 2 * x * y + y**3
    np.testing.assert_allclose(title_of_df_dy, dz_dx, rtol=1e-9, atol=1e-9)
    assert np.abs(title_of_df_dy - dz_dy).max() > 100
    heading_of_fourth_figure = x**2 * y + x * y**3
    np.testing.assert_allclose(heading_of_fourth_figure, z, rtol=1e-12)
    assert np.abs(heading_of_fourth_figure - dz_dy).max() > 100


def test_numbers_worked_by_hand():
    by_hand = [(10, 12, 13), (2, -3, -2), (750, 175, 400)]
    for point, expected in zip(lab.POINTS, by_hand, strict=True):
        assert tuple(map(float, lab.surfaces(*point))) == expected


def test_the_way_along_the_gradient_goes_up():
    heights = [z for _, _, z in lab.climb(1.0, 0.5)]
    assert (np.diff(heights) > 0).all()


def test_the_script(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = run_lab(9, capsys)
    plt.close("all")
    assert "at (1, 2): f = 10, df/dx = 12, df/dy = 13" in printed
    assert (tmp_path / "lab09_surfaces.png").read_bytes().startswith(b"\x89PNG")
