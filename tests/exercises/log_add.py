"Planted mistakes for the exercise log_add: each must get the hint of its own key."
import torch


def shifted(a, b):
    largest = torch.maximum(a, b)
    return ((a - largest).exp() + (b - largest).exp()).log() + largest


MISTAKES = {
    "naive": lambda a, b: (a.exp() + b.exp()).log(),
    "product": lambda a, b: a + b,
    "infinities": shifted,
    "summed": lambda a, b: (a.exp() + b.exp()).log().sum(),
}
