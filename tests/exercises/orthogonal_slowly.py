import torch


def iterate(x, count):
    for _ in range(count): x = x + 0.5 * (x - x @ x.T @ x)
    return x


def cubes(matrix, count):
    x = matrix / torch.sqrt((matrix * matrix).sum())
    for _ in range(count): x = 1.5 * x - 0.5 * x * x * x
    return x


MISTAKES = {"not-scaled": iterate, "largest-number": lambda m, n: iterate(m / m.abs().max(), n), "number-by-number": cubes,
            "one-too-many": lambda m, n: iterate(m / torch.sqrt((m * m).sum()), n + 1), "sum-of-squares": lambda m, n: iterate(m / (m * m).sum(), n)}
