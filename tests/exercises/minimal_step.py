import torch


def parts(products, state, weight):
    size = state.shape[1]
    return products[:, :size], products[:, size:], weight[:size], weight[size:]


def behind(products, state, weight):
    for_gate, for_new, gate, new = parts(products, state, weight)
    f = torch.sigmoid(for_gate + state @ gate.T)
    return state + f * (torch.tanh(for_new + f * (state @ new.T)) - state)


def swapped(products, state, weight):
    for_gate, for_new, gate, new = parts(products, state, weight)
    f = torch.sigmoid(for_gate + state @ gate.T)
    n = torch.tanh(for_new + (f * state) @ new.T)
    return n + f * (state - n)


def plain(products, state, weight):
    for_gate, for_new, gate, new = parts(products, state, weight)
    f = torch.sigmoid(for_gate + state @ gate.T)
    return (1 - f) * state + f * torch.tanh(for_new + state @ new.T)


def only_new(products, state, weight):
    for_gate, for_new, gate, new = parts(products, state, weight)
    return torch.tanh(for_new + (torch.sigmoid(for_gate + state @ gate.T) * state) @ new.T)


MISTAKES = {"reset-behind": behind, "kept-by-f": swapped, "no-reset": plain, "nothing-kept": only_new}
