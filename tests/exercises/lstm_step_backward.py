import torch


def cell_alone(flow, cell_flow, enter, forget, new, leave, before, after):
    c = cell_flow
    return c * forget, torch.cat([c * new * enter * (1 - enter), c * before * forget * (1 - forget), c * enter * (1 - new * new), flow * after.tanh() * leave * (1 - leave)], 1)


def state_alone(flow, cell_flow, enter, forget, new, leave, before, after):
    return cell_alone(flow, flow * leave * (1 - after.tanh()**2), enter, forget, new, leave, before, after)


def total(flow, cell_flow, leave, after): return cell_flow + flow * leave * (1 - after.tanh()**2)


def behind(flow, cell_flow, enter, forget, new, leave, before, after):
    c = total(flow, cell_flow, leave, after)
    return c * forget, torch.cat([c * new, c * before, c * enter, flow * after.tanh()], 1)


def ungated(flow, cell_flow, enter, forget, new, leave, before, after):
    c = total(flow, cell_flow, leave, after)
    return c, cell_alone(flow, c, enter, forget, new, leave, before, after)[1]


def later_cell(flow, cell_flow, enter, forget, new, leave, before, after):
    c = total(flow, cell_flow, leave, after)
    first, parts = cell_alone(flow, c, enter, forget, new, leave, before, after)
    size = flow.shape[1]
    return first, torch.cat([parts[:, :size], c * after * forget * (1 - forget), parts[:, 2 * size:]], 1)


MISTAKES = {"state-forgotten": cell_alone, "cell-forgotten": state_alone, "behind-the-bends": behind, "cell-not-gated": ungated, "wrong-cell": later_cell}
