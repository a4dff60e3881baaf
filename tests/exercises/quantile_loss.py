"Planted mistakes for the exercise quantile_loss: each must get the hint of its own key."
import torch


def cost(above, up, down): return torch.where(above > 0, up * above, down * above).mean()


MISTAKES = {
    "swapped": lambda input, target, q: cost(input - target, q, q - 1),
    "one-side": lambda input, target, q: cost(target - input, q, 0),
    "unweighted": lambda input, target, q: cost(target - input, 1, -1),
    "negative": lambda input, target, q: cost(target - input, q, 1 - q),
}
