import torch


def ranks(probabilities): return probabilities.argsort(descending=True).argsort()


def without_last(probabilities, p):
    total = torch.stack([probabilities[ranks(probabilities) <= r].sum() for r in ranks(probabilities)])
    kept = torch.where(total < p, probabilities, 0.0)
    return kept / kept.sum()


def raw(probabilities, p):
    before = torch.stack([probabilities[ranks(probabilities) < r].sum() for r in ranks(probabilities)])
    return torch.where(before < p, probabilities, 0.0)


def from_below(probabilities, p):
    order = (-probabilities).argsort(descending=True).argsort()
    before = torch.stack([probabilities[order < r].sum() for r in order])
    kept = torch.where(before < p, probabilities, 0.0)
    return kept / kept.sum()


def each_above(probabilities, p):
    kept = torch.where(probabilities > p, probabilities, 0.0)
    return kept / kept.sum()


MISTAKES = {"one-too-few": without_last, "not-normalized": raw, "likeliest-dropped": from_below, "above-p": each_above}
