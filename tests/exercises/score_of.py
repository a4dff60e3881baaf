"Planted mistakes for the exercise score_of: each must get the hint of its own key."
import torch


def share(y, low, high): return (y - low) / (high - low)


MISTAKES = {
    "forward": lambda y, low, high: low + (high - low) / (1 + (-y).exp()),
    "unscaled": lambda y, low, high: (y / (1 - y)).log(),
    "no-odds": lambda y, low, high: share(y, low, high).log(),
    "upside-down": lambda y, low, high: (1 / share(y, low, high) - 1).log(),
}
