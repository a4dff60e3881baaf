import torch


def run(values, beta, finish=lambda a, t: a, enter=None):
    out, a = torch.empty_like(values), 0.0
    for i in range(len(values)):
        a = a * beta + values[i] * (1 - beta if enter is None else enter)
        out[i] = finish(a, i + 1)
    return out


def started_with_the_first(values, beta):
    out, a = torch.empty_like(values), values[0]
    for i in range(len(values)):
        a = a + (1 - beta) * (values[i] - a)
        out[i] = a
    return out


def carried_on(values, beta):
    out, a = torch.empty_like(values), 0.0
    for i in range(len(values)):
        a = (a * beta + values[i] * (1 - beta)) / (1 - beta ** (i + 1))
        out[i] = a
    return out


MISTAKES = {"not-corrected": run, "from-zero": lambda v, b: run(v, b, lambda a, t: a / torch.tensor(1 - b ** (t - 1))), "first-as-start": started_with_the_first,
            "corrected-kept": carried_on, "a-buffer": lambda v, b: run(v, b, lambda a, t: a / (1 - b**t), 1.0)}
