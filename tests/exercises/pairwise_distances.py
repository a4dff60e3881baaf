"Planted mistakes for the exercise pairwise_distances: each must get the hint of its own key."
import torch

MISTAKES = {
    "squared": lambda a, b: ((a[:, None] - b)**2).sum(2),
    "transposed": lambda a, b: ((b[:, None] - a)**2).sum(2).sqrt(),
    "taxicab": lambda a, b: (a[:, None] - b).abs().sum(2),
    "paired": lambda a, b: ((a - b)**2).sum(1).sqrt(),
    "locked": lambda a, b: torch.cdist(a, b),
}
