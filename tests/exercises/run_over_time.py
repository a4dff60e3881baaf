import torch


def states(x, state, weight_ih, weight_hh):
    found = [state]
    for step in x: found.append((step @ weight_ih.T + found[-1] @ weight_hh.T).tanh())
    return found[1:]


def linear(x, state, a, b):
    found = [state]
    for step in x: found.append(step @ a.T + found[-1] @ b.T)
    return torch.stack(found[1:])


MISTAKES = {"only-the-last": lambda x, state, a, b: states(x, state, a, b)[-1], "state-forgotten": lambda x, state, a, b: torch.tanh(x @ a.T + state @ b.T),
            "from-zero": lambda x, state, a, b: torch.stack(states(x, 0 * state, a, b)), "backwards": lambda x, state, a, b: torch.stack(states([*x.unbind()][::-1], state, a, b)), "no-bend": linear}
