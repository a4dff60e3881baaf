"Planted mistakes for the exercise sum_to_shape: each must get the hint of its own key."


def summed(flow, shape, keepdim=True, how="sum"):
    front = tuple(range(flow.ndim - len(shape)))
    if front: flow = getattr(flow, how)(front)
    stretched = tuple(i for i, size in enumerate(shape) if size == 1)
    return getattr(flow, how)(stretched, keepdim=keepdim) if stretched else flow


def one_copy(flow, shape):
    while flow.ndim > len(shape): flow = flow[0]
    for i, size in enumerate(shape):
        if size == 1: flow = flow.narrow(i, 0, 1)
    return flow

MISTAKES = {
    "mean": lambda flow, shape: summed(flow, shape, how="mean"),
    "first-only": lambda flow, shape: flow.sum(tuple(range(flow.ndim - len(shape)))) if flow.ndim > len(shape) else flow,
    "one-copy": one_copy,
    "lost-axis": lambda flow, shape: summed(flow, shape, keepdim=False),
}
