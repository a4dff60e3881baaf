import torch


def adam_l2(param, grad, m, v, t, lr, weight_decay):
    grad = grad + weight_decay * param
    m, v = m.lerp(grad, 0.1), v.lerp(grad * grad, 0.001)
    return param - lr * m / (1 - 0.9**t) / (torch.sqrt(v / (1 - 0.999**t)) + 1e-8)


def general(param, grad, m, v, t, lr, weight_decay, corrections=True, inside=False, take_in=True, shrink=None):
    if take_in: m, v = m.lerp(grad, 0.1), v.lerp(grad * grad, 0.001)
    if corrections: m, v = m / (1 - 0.9**t), v / (1 - 0.999**t)
    root = torch.sqrt(v + 1e-8) if inside else torch.sqrt(v) + 1e-8
    return param * (1 - lr * weight_decay if shrink is None else 1 - shrink) - lr * m / root


MISTAKES = {"decay-in-gradient": adam_l2, "not-corrected": lambda *x: general(*x, corrections=False), "eps-inside": lambda *x: general(*x, inside=True),
            "old-averages": lambda *x: general(*x, take_in=False), "decay-without-lr": lambda *x: general(*x, shrink=x[-1]), "no-decay": lambda *x: general(*x, shrink=0.0)}
