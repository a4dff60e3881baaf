import torch


def swapped(n, folds, which):
    kept = [i for i in range(n) if i % folds == which]
    return torch.tensor(kept, dtype=torch.int64), torch.tensor([i for i in range(n) if i not in kept], dtype=torch.int64)


def neighbours(n, folds, which):
    size = (n + folds - 1) // folds
    kept = list(range(n))[which * size:(which + 1) * size]
    return torch.tensor([i for i in range(n) if i not in kept], dtype=torch.int64), torch.tensor(kept, dtype=torch.int64)


def from_one(n, folds, which):
    numbers = torch.arange(n)
    return numbers[numbers % folds != which - 1], numbers[numbers % folds == which - 1]


MISTAKES = {"swapped": swapped, "blocks": neighbours, "counted-from-one": from_one}
