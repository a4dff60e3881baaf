import torch


def each_row(table, used, max_norm, everybody=False, stretch=False, length=lambda row: row.square().sum().sqrt()):
    rows = []
    for i, row in enumerate(table):
        named = everybody or i in used.tolist()
        rows.append(row * (max_norm / length(row)) if named and (stretch or length(row) > max_norm) else row)
    return torch.stack(rows)


def each_number(table, used, max_norm):
    table = table.clone()
    table[used] = table[used].clamp(-max_norm, max_norm)
    return table


MISTAKES = {"everybody": lambda *given: each_row(*given, everybody=True), "stretched": lambda *given: each_row(*given, stretch=True), "each-number": each_number,
            "sum-of-sizes": lambda *given: each_row(*given, length=lambda row: row.abs().sum())}
