#!/usr/bin/env python3
"""Prints the coefficients of GELU, to be copied into two files of Sources/CVLMKernels/lanes.

gelu_pieces.inc: -Phi(-t), t = |x|, in pieces of a polynomial each, for the widths whose registers
hold a coefficient of all pieces. Piece i lies around t = i * h and is a polynomial in t / h - i;
the last one is zero. gelu(x) = max(x, 0) + t * (-Phi(-t)).

vf_gelu in activations.inc, for other widths: Phi(x) - 1/2 = x * R(x^2) on |x| <= 5.25, R a polynomial
of degree 14 in s = 2 x^2 / 5.25^2 - 1.

Iteratively reweighted least squares (Lawson) on Chebyshev nodes brings the error of
gelu(x) / max(1, |x|) close to its minimax. Needs numpy.
"""
import math

import numpy as np
from numpy.polynomial import chebyshev


def fitted(s, target, gain, degree, rounds):
    """Coefficients in powers of s, and the largest error."""
    basis = chebyshev.chebvander(s, degree)
    weight = np.ones(len(s))
    for _ in range(rounds):
        w = np.sqrt(weight) * gain
        fit, *_ = np.linalg.lstsq(basis * w[:, None], target * w, rcond=None)
        error = np.abs(basis @ fit - target) * gain
        weight *= error / error.max() + 1e-3
        weight /= weight.max()
    return chebyshev.cheb2poly(fit), error.max()


def nodes(count):
    return np.cos((np.arange(count) + 0.5) * np.pi / count)


def pieces(count, degree, limit):
    """All pieces of -Phi(-t) below `limit`; from there on the result is 0."""
    h = limit / (count - 1.5)
    table, worst = [], 0
    for i in range(count - 1):
        low = -0.5 if i else 0.0
        s = nodes(600)
        t = h * (i + low + (s + 1) / 2 * (0.5 - low))
        target = np.array([-0.5 * math.erfc(v / math.sqrt(2)) for v in t])
        powers, error = fitted(s, target, np.where(t < 1, t, 1) + 1e-2, degree, 80)
        to_s = np.polynomial.Polynomial([-1 - 2 * low / (0.5 - low), 2 / (0.5 - low)])
        table.append(np.polynomial.Polynomial(powers)(to_s).coef)
        worst = max(worst, error)
    table.append(np.zeros(degree + 1))
    print(f"// {count} pieces of degree {degree}, error {worst:.1e} before rounding")
    print(f"static const float gelu_inverse_step = {float(np.float32(1 / h))!r}f;")
    print(f"static const float gelu_pieces[{degree + 1}][{count}] = {{")
    for column in np.array(table).T:
        values = [f"{np.float32(v):#.9g}f" for v in column]
        lines = [", ".join(values[i : i + 4]) for i in range(0, count, 4)]
        print("    {" + ",\n     ".join(lines) + "},")
    print("};")


def whole(limit, degree):
    s = nodes(6000)
    x = np.sqrt((s + 1) / 2) * limit
    target = 0.5 * np.array([math.erf(v / math.sqrt(2)) for v in x]) / x
    # d gelu / max(1, |x|) per unit of R
    powers, error = fitted(s, target, np.where(x < 1, x * x, x) + 1e-3, degree, 60)
    for power, value in enumerate(powers):
        print(f"s^{power:<2} {float(np.float32(value))!r}f")
    print(f"largest error before rounding to float: {error:.2e}")


print("// Sources/CVLMKernels/lanes/gelu_pieces.inc")
pieces(8, 5, 5.0)
pieces(16, 4, 5.0)
print("// Sources/CVLMKernels/lanes/activations.inc, vf_gelu without pieces")
whole(5.25, 14)
