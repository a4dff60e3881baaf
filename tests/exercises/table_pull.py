"Planted mistakes for the exercise table_pull: each must get the hint of its own key."
import torch


def plain(flow, indices, rows):
    gradient = torch.zeros(rows, flow.shape[1])
    for i, index in enumerate(indices.tolist()): gradient[index] = flow[i]
    return gradient


def averaged(flow, indices, rows):
    picked = (indices[:, None] == torch.arange(rows)).float()
    return picked.T @ flow / picked.sum(0).clamp(min=1)[:, None]

MISTAKES = {
    "overwritten": plain,
    "mean": averaged,
    "picked": lambda flow, indices, rows: flow.clone(),
}
