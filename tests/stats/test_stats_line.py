import numpy as np
import statsmodels.api as sm

from crucis.seeds import rng
from crucis.stats.line import fit_line


def test_line_and_band_equal_an_independent_implementation():
    draw = rng(1, "line")
    x = draw.normal(size=12)
    y = 2 * x + draw.normal(size=12)
    at, height, low, high = fit_line(x, y, 0.9)
    frame = sm.OLS(y, sm.add_constant(x)).fit().get_prediction(sm.add_constant(at)).summary_frame(alpha=0.1)
    np.testing.assert_allclose(height, frame["mean"], rtol=1e-10)
    np.testing.assert_allclose(low, frame["mean_ci_lower"], rtol=1e-9)
    np.testing.assert_allclose(high, frame["mean_ci_upper"], rtol=1e-9)


def test_no_line_without_spread_or_points():
    assert fit_line(np.ones(5), np.arange(5.0)) is None
    assert fit_line(np.arange(2.0), np.arange(2.0)) is None


def test_points_on_a_line_have_no_band():
    x = np.arange(6.0)
    _, height, low, high = fit_line(x, 3 * x + 1)
    np.testing.assert_allclose(high - low, 0, atol=1e-12)
    np.testing.assert_allclose(height[[0, -1]], [1, 16])
