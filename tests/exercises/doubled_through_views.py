import torch


def copies(tensors):
    flat = torch.cat([t.reshape(-1) for t in tensors])
    found, start = [], 0
    for t in tensors:
        found.append(flat[start : start + t.numel()].clone().reshape(t.shape))
        start += t.numel()
    flat.mul_(2)
    return found


def without_shapes(tensors):
    flat = torch.cat([t.reshape(-1) for t in tensors])
    pieces = flat.split([t.numel() for t in tensors])
    flat.mul_(2)
    return list(pieces)


def by_columns(tensors):
    flat = torch.cat([(t.T if t.ndim == 2 else t).reshape(-1) for t in tensors])
    flat.mul_(2)
    return [piece.reshape(t.shape) for piece, t in zip(flat.split([t.numel() for t in tensors]), tensors)]


def twice(tensors):
    flat = torch.cat([t.reshape(-1) for t in tensors])
    views = [piece.view(t.shape) for piece, t in zip(flat.split([t.numel() for t in tensors]), tensors)]
    for view in views: view.mul_(2)
    flat.mul_(2)
    return views


MISTAKES = {"copies": copies, "flat-pieces": without_shapes, "wrong-order": by_columns, "doubled-twice": twice}
