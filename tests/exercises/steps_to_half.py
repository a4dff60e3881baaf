import math


def without_rate(lr, weight_decay):
    left, steps = 1.0, 0
    while left > 0.5: left, steps = left * (1 - weight_decay), steps + 1
    return steps


MISTAKES = {"without-rate": without_rate, "straight-line": lambda lr, weight_decay: math.ceil(0.5 / lr / weight_decay),
            "rounded-down": lambda lr, weight_decay: int(math.log(0.5) / math.log(1 - lr * weight_decay)), "natural-logarithm": lambda lr, weight_decay: math.ceil(math.log(2) / (lr * weight_decay))}
