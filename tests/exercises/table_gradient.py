import torch


def table_gradient(flow, indices, rows, padding_idx, by_frequency, by=lambda counts, indices: counts.clamp(min=1)):
    gradient = torch.zeros(rows, flow.shape[1]).index_add(0, indices, flow)
    if by_frequency: gradient /= by(torch.bincount(indices, minlength=rows), indices).reshape(-1, 1)
    if padding_idx is not None: gradient[padding_idx] = 0
    return gradient


def last_wins(flow, indices, rows, padding_idx, by_frequency):
    gradient = torch.zeros(rows, flow.shape[1])
    for place in range(len(indices)): gradient[indices[place]] = flow[place]
    if by_frequency: gradient /= torch.bincount(indices, minlength=rows).clamp(min=1)[:, None]
    if padding_idx is not None: gradient[padding_idx] = 0
    return gradient


MISTAKES = {
    "last-wins": last_wins,
    "padding-trained": lambda flow, indices, rows, padding_idx, by_frequency: table_gradient(flow, indices, rows, None, by_frequency),
    "frequency-ignored": lambda flow, indices, rows, padding_idx, by_frequency: table_gradient(flow, indices, rows, padding_idx, False),
    "frequency-of-the-batch": lambda *given: table_gradient(*given, by=lambda counts, indices: torch.full_like(counts, len(indices))),
    "not-a-number": lambda *given: table_gradient(*given, by=lambda counts, indices: counts),
}
