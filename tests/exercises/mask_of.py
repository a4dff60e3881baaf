import torch


def one_more(lengths): return torch.arange(lengths.max())[None] <= lengths[:, None]
def filler(lengths): return torch.arange(lengths.max())[None] >= lengths[:, None]
def numbers(lengths): return (torch.arange(lengths.max())[None] < lengths[:, None]).int().long()
def lying(lengths): return torch.arange(lengths.max())[:, None] < lengths[None]


MISTAKES = {"one-too-many": one_more, "filler-marked": filler, "numbers": numbers, "lying": lying}
