import torch


def norm(part, eps, less=0):
    flat = part.transpose(0, 1).flatten(1)
    flat = flat - flat.mean(1, keepdim=True)
    flat = flat / ((flat**2).sum(1, keepdim=True) / (flat.shape[1] - less) + eps) ** 0.5
    return flat.view(part.shape[1], part.shape[0], *part.shape[2:]).transpose(0, 1)


def whole(x, size, eps): return norm(x, eps)
def parts(x, size, eps): return torch.cat([norm(part, eps) for part in x.chunk(size)])
def one_by_one(x, size, eps): return torch.stack([norm(picture[None], eps)[0] for picture in x])
def less_one(x, size, eps): return torch.cat([norm(part, eps, 1) for part in x.split(size)])


MISTAKES = {"whole-batch": whole, "parts-not-size": parts, "every-picture": one_by_one, "less-one": less_one}
