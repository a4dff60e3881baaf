import torch


def error(model, x, y): return (model(x) - y).square().mean()


def replaced(x, column, values):
    return torch.stack([values if i == column else x[:, i] for i in range(x.shape[1])], 1)


def one_by_one(model, x, y, order): return torch.stack([error(model, replaced(x, i, x[order, i]), y) for i in range(x.shape[1])])


def stay(model, x, y, order):
    rises, now = [], x
    for i in range(x.shape[1]):
        now = replaced(now, i, x[order, i])
        rises.append(error(model, now, y) - error(model, x, y))
    return torch.stack(rises)


def zeroed(model, x, y, order): return torch.stack([error(model, replaced(x, i, 0 * x[:, i]), y) - error(model, x, y) for i in range(x.shape[1])])


MISTAKES = {"stay-broken": stay, "error-itself": one_by_one, "sign": lambda model, x, y, order: error(model, x, y) - one_by_one(model, x, y, order), "zeroed": zeroed}
