import torch


def cut(values, levels):
    span = values.max() - values.min()
    if span == 0: return torch.zeros(len(values), dtype=torch.int64)
    return ((levels - 1) * (values - values.min()) / span).long()


def from_zero(values, levels):
    if values.max() == values.min(): return torch.zeros(len(values), dtype=torch.int64)
    return ((levels - 1) * values / values.max()).round().long()


def one_too_many(values, levels):
    span = values.max() - values.min()
    if span == 0: return torch.zeros(len(values), dtype=torch.int64)
    return (levels * (values - values.min()) / span).round().long()


def flat(values, levels):
    above = values - values.min()
    return ((levels - 1) * above / above.max()).round().long()


MISTAKES = {"cut": cut, "from-zero": from_zero, "one-too-many": one_too_many, "flat": flat}
