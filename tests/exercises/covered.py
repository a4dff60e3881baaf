import torch


def with_hole(picture, i, j, side, value=0.0):
    hidden = picture.clone()
    hidden[i * side:i * side + side, j * side:j * side + side] = value
    return hidden


def table(picture, side, entry): return torch.tensor([[entry(i, j) for j in range(picture.shape[1] // side)] for i in range(picture.shape[0] // side)])


def one_after_the_other(score, picture, side):
    hidden = [picture]
    def entry(i, j):
        hidden[0] = with_hole(hidden[0], i, j, side)
        return score(picture) - score(hidden[0])
    return table(picture, side, entry)


MISTAKES = {"the-rise": lambda score, p, side: table(p, side, lambda i, j: score(with_hole(p, i, j, side)) - score(p)),
            "what-is-left": lambda score, p, side: table(p, side, lambda i, j: score(with_hole(p, i, j, side))),
            "stays-covered": one_after_the_other,
            "other-cover": lambda score, p, side: table(p, side, lambda i, j: score(p) - score(with_hole(p, i, j, side, p.mean().item())))}
