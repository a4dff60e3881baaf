import torch


def by_quotient(x):
    e = torch.exp(-x)
    return (1 + e + x * e) / (1 + e).square()


def second(x):
    s = x.sigmoid()
    return x * s - x * s * s


MISTAKES = {"sigmoid-only": lambda x: x.sigmoid(), "second-term-only": second, "slope-of-the-sigmoid": lambda x: x.sigmoid() * (-x).sigmoid(), "not-a-number": by_quotient}
