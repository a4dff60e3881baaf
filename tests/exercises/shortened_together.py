import torch


def length(g): return torch.sqrt(torch.sum(g * g))


def each_alone(gradients, max_norm): return [g if length(g) <= max_norm else g / length(g) * max_norm for g in gradients]


def total(gradients): return length(torch.cat([g.flatten() for g in gradients]))


def stretched(gradients, max_norm):
    n = total(gradients)
    return [g * max_norm / n if n > 0 else g for g in gradients]


def divided_by_zero(gradients, max_norm):
    factor = min(1.0, max_norm / total(gradients).item()) if total(gradients) > 0 else float("nan")
    return [g * factor for g in gradients]


def summed(gradients, max_norm):
    n = sum(length(g) for g in gradients)
    return [g * (max_norm / n) if n > max_norm else g for g in gradients]


MISTAKES = {"each-alone": each_alone, "lengthened": stretched, "not-a-number": divided_by_zero, "sum-of-lengths": summed,
            "numbers-cut": lambda gradients, max_norm: [torch.clamp(g, -max_norm, max_norm) for g in gradients]}
