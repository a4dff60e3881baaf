"Planted mistakes for the exercise centre_rows_backward: each must get the hint of its own key."

MISTAKES = {
    "only-itself": lambda flow: flow.clone(),
    "sum": lambda flow: flow - flow.sum(1)[:, None],
    "added": lambda flow: flow + flow.mean(1)[:, None],
    "columns": lambda flow: flow - flow.mean(0, keepdim=True),
    "per-place": lambda flow: flow - flow / flow.shape[1],
}
