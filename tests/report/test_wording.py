from __future__ import annotations

from dataclasses import replace

import pytest

from notsodeep.kernels.distance import Distance
from notsodeep.report import headline
from notsodeep.report.numerals import accuracy, bits, decimal, duration, percent


def test_headline_of_a_match(relu, tanh_ntk):
    assert headline(relu).startswith(
        "A 2-layer leaky-ReLU network has the conjugate kernel of this relu DEQ: on 120 samples of digits "
    )
    assert headline(relu).endswith(f"differ by {percent(relu.distance.spectral)}.")
    assert "A 1-layer soft-slopes network has the neural tangent kernel of this tanh DEQ" in headline(tanh_ntk)


def test_headline_of_both_kernels(both):
    said = headline(both)
    assert said.startswith(
        "A leaky-ReLU network with parallel branches of 1 and 2 layers has the conjugate and neural tangent kernels of "
        "this relu DEQ: on 120 samples of digits the exact kernels differ by "
    )
    shares = [percent(both.evidence[name].distance.spectral) for name in ("ck", "ntk")]
    assert said.endswith(f" {shares[0]} (CK) and {shares[1]} (NTK).")


def test_headline_of_a_match_that_the_data_do_not_bear_out(relu):
    far = replace(relu.evidence["ck"], distance=Distance(0.2, 0.1))
    said = headline(replace(relu, evidence={"ck": far}))
    assert "but not its conjugate kernel on these data" in said
    assert "differ by 20 %" in said


def test_headline_where_there_is_no_match(softplus):
    said = headline(softplus)
    assert said.startswith(
        "No 2-layer three-slope network was found that has the conjugate kernel of this softplus DEQ"
    )
    assert f"by up to {percent(softplus.match.residual)}" in said


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.0, "0"), (1.0, "1"), (0.21052631, "0.210526"), (-0.5, "-0.5"), (1.5e-5, "1.50000e-05"), (1e6, "1000000"),
     (123456.7, "123457"), (12345.67, "12345.7"), (99999.99, "100000"), (float("nan"), "nan"), (float("inf"), "inf")],
)  # fmt: skip
def test_decimals(value, written):
    assert decimal(value) == written


def test_units():
    assert [percent(x) for x in (1.0, 0.999, 0.0, 0.01234)] == ["100 %", "100 %", "0 %", "1.2 %"]
    assert [duration(x) for x in (12.345, 0.9996, 0.00123, 4e-6)] == ["12.3 s", "1000 ms", "1.23 ms", "4 us"]
    assert [bits(x) for x in (7, 1000, 123456, 5.5e9)] == ["7 bit", "1 kbit", "123 kbit", "5.5 Gbit"]
    assert [accuracy(x) for x in (1.0, 0.9876, None)] == ["100.0 %", "98.8 %", "none"]
