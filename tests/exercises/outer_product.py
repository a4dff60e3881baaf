"Planted mistakes for the exercise outer_product: each must get the hint of its own key."
import torch

MISTAKES = {
    "transposed": lambda a, b: b[:, None] * a,
    "elementwise": lambda a, b: a * b,
    "summed": lambda a, b: (a[:, None] * b).sum(),
    "constant": lambda a, b: torch.ones(4, 3),
}
