import torch


def favouring(labels):
    weights = torch.bincount(labels)[labels].float()
    return weights / weights.sum()


def unscaled(labels): return 1.0 / torch.bincount(labels)[labels]
def of_classes(labels): return 1.0 / torch.bincount(labels).clamp(min=1)
def alike(labels): return torch.ones(len(labels)) / len(labels)


MISTAKES = {"the-wrong-way": favouring, "not-summed-to-one": unscaled, "a-weight-a-class": of_classes, "all-alike": alike}
