import torch


def mean_of_words(table, indices, padding_idx, at_least=1, filler=None):
    texts = []
    for row in indices.tolist():
        words = [table[i] for i in row if i != (padding_idx if filler is None else filler)]
        total = torch.stack(words).sum(0) if words else torch.zeros(table.shape[1])
        texts.append(total / max(len(words), at_least))
    return torch.stack(texts)


def in_the_count(table, indices, padding_idx):
    rows = table[indices].masked_fill((indices == padding_idx)[:, :, None], 0)
    return rows.mean(1)


def nan(table, indices, padding_idx):
    there = (indices != padding_idx).float()
    return (table[indices] * there[:, :, None]).sum(1) / there.sum(1, keepdim=True)


MISTAKES = {"filler-in-the-count": in_the_count, "filler-in-the-mean": lambda table, indices, padding_idx: table[indices].sum(1) / indices.shape[1], "not-a-number": nan,
            "always-zero": lambda table, indices, padding_idx: mean_of_words(table, indices, padding_idx, filler=0)}
