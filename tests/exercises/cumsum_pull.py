"Planted mistakes for the exercise cumsum_pull: each must get the hint of its own key."
import torch

MISTAKES = {
    "forward": lambda flow: flow.cumsum(0),
    "total": lambda flow: torch.ones_like(flow) * flow.sum(0),
    "unflipped": lambda flow: flow.flip(0).cumsum(0),
    "excluded": lambda flow: flow.sum(0) - flow.cumsum(0),
}
