"""Muon, an optimizer for the matrices of hidden layers (Keller Jordan et al., 2024): momentum whose
singular values are all made about 1. Used by the scripts that train the sample models.
"""
MOMENTUM = 0.95


def orthogonalized(update):
    """The orthogonal matrix nearest to a matrix, roughly: five steps of Newton and Schulz with Muon's
    numbers, which leave singular values between 0.7 and 1.2."""
    x = update / (update.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
    return x.T if tall else x


def turn(weight, momentum, gradient, rate, decay):
    """One step for one weight, whose first dimension is its outputs; changes it and its momentum."""
    momentum.lerp_(gradient, 1 - MOMENTUM)
    update = orthogonalized(gradient.lerp(momentum, MOMENTUM).flatten(1))
    scale = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
    weight.mul_(1 - rate * decay)
    weight.sub_(update.reshape(weight.shape), alpha=rate * scale)
