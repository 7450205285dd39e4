#!/usr/bin/env python3
"""Prints the coefficients of vf_gelu in Sources/CVLMKernels/lanes/activate.inc.

Phi(x) - 1/2 = x * R(x^2) on |x| <= 5.25, R a polynomial of degree 14 in s = 2 x^2 / 5.25^2 - 1.
Iteratively reweighted least squares (Lawson) on Chebyshev nodes brings the error of
gelu(x) / max(1, |x|) close to its minimax. Needs numpy.
"""
import math

import numpy as np
from numpy.polynomial import chebyshev

LIMIT, DEGREE, NODES = 5.25, 14, 6000

s = np.cos((np.arange(NODES) + 0.5) * np.pi / NODES)
x = np.sqrt((s + 1) / 2) * LIMIT
target = 0.5 * np.array([math.erf(v / math.sqrt(2)) for v in x]) / x
gain = np.where(x < 1, x * x, x) + 1e-3  # d gelu / max(1, |x|) per unit of R
basis = chebyshev.chebvander(s, DEGREE)
weight = np.ones(NODES)
for _ in range(60):
    w = np.sqrt(weight) * gain
    fit, *_ = np.linalg.lstsq(basis * w[:, None], target * w, rcond=None)
    error = np.abs(basis @ fit - target) * gain
    weight *= error / error.max() + 1e-3
    weight /= weight.max()

for power, value in enumerate(chebyshev.cheb2poly(fit)):
    print(f"s^{power:<2} {float(np.float32(value))!r}f")
print(f"largest error before rounding to float: {error.max():.2e}")
