import torch


def walked(steps, momentum, dampening, first_whole=True):
    weights = torch.zeros(steps)
    for step in range(steps):
        weights = weights * momentum
        weights[step] = 1.0 if step == 0 and first_whole else 1 - dampening
    return weights


MISTAKES = {"first-dampened": lambda s, m, d: walked(s, m, d, first_whole=False), "newest-first": lambda s, m, d: torch.flip(walked(s, m, d), [0]),
            "undampened": lambda s, m, d: walked(s, m, 0.0), "too-old": lambda s, m, d: walked(s, m, d) * m, "an-average": lambda s, m, d: walked(s, m, d) * (1 - m)}
