"Planted mistakes for the exercise slide_1d: each must get the hint of its own key."
import torch

MISTAKES = {
    "flipped": lambda signal, kernel: signal.unfold(0, len(kernel), 1) @ kernel.flip(0),
    "one-short": lambda signal, kernel: torch.stack([(signal[i:i + len(kernel)] * kernel).sum() for i in range(len(signal) - len(kernel))] or [signal[0]])[:max(len(signal) - len(kernel), 0)],
    "padded": lambda signal, kernel: torch.cat([signal, torch.zeros(len(kernel) - 1)]).unfold(0, len(kernel), 1) @ kernel,
    "no-overlap": lambda signal, kernel: signal.unfold(0, len(kernel), len(kernel)) @ kernel,
}
