"Planted mistakes for the exercise slide_1d_backward: each must get the hint of its own key."
import torch

def overwritten(grad, kernel):
    signal_grad = torch.zeros(len(grad) + len(kernel) - 1)
    for i, weight in enumerate(kernel): signal_grad[i:i + len(grad)] = weight * grad
    return signal_grad


def not_turned(grad, kernel):
    margin = torch.zeros(len(kernel) - 1)
    return torch.cat([margin, grad, margin]).unfold(0, len(kernel), 1) @ kernel


MISTAKES = {
    "not-turned": not_turned,
    "too-short": lambda grad, kernel: sum(weight * grad for weight in kernel),
    "overwritten": overwritten,
}
