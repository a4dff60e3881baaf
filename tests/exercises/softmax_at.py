"Planted mistakes for the exercise softmax_at: each must get the hint of its own key."
import torch


def shares(scores): return torch.softmax(scores, -1)
def one_leader(scores): return torch.zeros_like(scores).scatter(-1, scores.argmax(-1, keepdim=True), 1)


MISTAKES = {
    "multiplied": lambda scores, temperature: shares(scores * temperature),
    "zero": lambda scores, temperature: shares(scores / temperature),
    "one-leader": lambda scores, temperature: shares(scores / temperature) if temperature else one_leader(scores),
    "wrong-dimension": lambda scores, temperature: torch.softmax(scores / max(temperature, 1e-9), 0),
}
