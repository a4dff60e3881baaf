"Planted mistakes for the exercise normalize_columns: each must get the hint of its own key."
import torch


def scale(centred, axis, count=None):
    deviation = ((centred**2).sum(axis, keepdim=True) / (count or centred.shape[axis])).sqrt()
    return centred / torch.where(deviation > 0, deviation, 1.0)

MISTAKES = {
    "rows": lambda x: scale(x - x.mean(1)[:, None], 1),
    "not-a-number": lambda x: (x - x.mean(0)) / ((x - x.mean(0))**2).mean(0).sqrt(),
    "sample": lambda x: scale(x - x.mean(0), 0, len(x) - 1),
    "together": lambda x: (x - x.mean()) / ((x - x.mean())**2).mean().sqrt(),
    "only-centred": lambda x: x - x.mean(0),
    "locked": lambda x: (x - x.mean(0)) / x.std(0),
    "changed-input": lambda x: scale(x.sub_(x.mean(0)), 0),
}
