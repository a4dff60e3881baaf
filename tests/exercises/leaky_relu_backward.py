"Planted mistakes for the exercise leaky_relu_backward: each must get the hint of its own key."
import torch

MISTAKES = {
    "forward": lambda flow, x, slope: torch.where(flow > 0, flow, slope * flow),
    "not-leaky": lambda flow, x, slope: flow * (x > 0),
    "no-flow": lambda flow, x, slope: torch.where(x > 0, 1.0, slope),
    "times-input": lambda flow, x, slope: flow * torch.where(x > 0, x, slope * x),
    "zero": lambda flow, x, slope: torch.where(x < 0, slope * flow, flow),
}
