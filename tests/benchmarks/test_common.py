import numpy as np
import pytest

common = pytest.importorskip("common", reason="benchmarks/ is not in a checkout of the tests alone")
Case, Rates, Timing = common.Case, common.Rates, common.Timing


def test_floor_adds_arithmetic_exponentials_and_reading():
    rates = Rates(gemm={"float64": 100.0, "float32": 200.0}, exp={"float64": 10.0, "float32": 20.0}, read=8.0)
    n, d, k = 1000, 4, 3
    assert Case("full", n, d, k).floor(rates) == pytest.approx(
        2 * n * k * d * (d + 5) / 100 + n * k / 10 + 8 * n * d / 8
    )
    assert Case("diag", n, d, k).floor(rates) == pytest.approx(10 * n * k * d / 100 + n * k / 10 + 8 * n * d / 8)
    assert Case("spherical", n, d, k).operations == 8 * n * k * d
    assert Case("tied", n, d, k).operations == 2 * n * d * (d + 3) + n * k * (10 * d + k)  # whitened once
    assert Case("tied", n, d, 50 * k).operations == Case("full", n, d, 50 * k).operations  # one by one
    assert Case("diag", n, d, k, "float32").floor(rates) == pytest.approx(Case("diag", n, d, k).floor(rates) / 2)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("contestants", [common.contestants, common.bayesian_contestants])
def test_contestants_do_the_same_work(contestants, covariance_type, dtype):
    case = Case(covariance_type, 2000, 3, 4, dtype)
    X, start = common.make_case(case)
    assert X.dtype == dtype
    fits = {name: fit for name, fit in contestants().items() if name != "oneDAL"}
    timings = common.time_iterations(X, start, covariance_type, fits, rounds=1, turn_seconds=0)
    assert [common.agreement(timings, name, dtype) for name in fits] == [""] * len(fits)


def test_a_contestant_that_fails_is_reported_and_the_others_go_on():
    def fail(*_):
        raise ValueError("no\nreason")

    case = Case("full", 500, 2, 2)
    X, start = common.make_case(case)
    fits = {"fastgmm": common.contestants()["fastgmm"], "broken": fail}
    timings = common.time_iterations(X, start, "full", fits, rounds=1, turn_seconds=0)
    assert timings["fastgmm"].seconds
    assert common.agreement(timings, "broken", "float64") == "broken failed: ValueError: no"


def test_different_work_is_reported():
    timings = {"fastgmm": Timing([1.0], -100.0), "peer": Timing([1.0], -101.0)}
    assert "differs" in common.agreement(timings, "peer", "float64")


def test_median_and_spread():
    timing = Timing([1.0, 2.0, 3.0, 4.0, 100.0])
    assert timing.median == 3
    assert timing.spread == pytest.approx(1 / 3)
    assert np.isnan(Timing().median)
