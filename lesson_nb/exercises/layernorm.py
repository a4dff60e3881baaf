"Hidden cases and hints for the exercises of lesson 13a."
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _blocks():
    return [("batch", (8, 6, 4, 4), 2), ("layer", (8, 6, 4, 4), 3), ("instance", (5, 7, 2, 9), 1), ("group", (8, 6, 4, 5), 2), ("group", (3, 12, 1, 1), 4), ("batch", (3, 10, 7, 7), 5)]


def _means(kind, shape, groups): return {"batch": shape[1], "layer": shape[0], "instance": shape[0] * shape[1], "group": shape[0] * groups}[kind]


def _averaged(kind, shape, groups):
    n, channels, *places = shape
    return n * channels * places[0] * places[1] // _means(kind, shape, groups)


def _rows(): return [(draw(3, 5), draw(3, 5, seed=1)), (draw(1, 4) * 10, draw(1, 4, seed=1)), (draw(6, 2) + 3, draw(6, 2, seed=1) - 1)]


def _rms_back(x, flow, pull=lambda flow, ready: ready * (flow * ready).mean(1, keepdim=True), centre=False, whole=False):
    factor = 1 / (x.square().mean() if whole else x.square().mean(1, keepdim=True)).sqrt()
    passed = flow - pull(flow, x * factor)
    return (passed - flow.mean(1, keepdim=True) if centre else passed) * factor


def _pairs():
    return [(draw(2, 3, 4, 5), draw(2, 3, 6, 2, seed=1) * 3 + 1, 1e-5), (draw(1, 2, 3, 3) * 9 - 2, draw(1, 2, 3, 3, seed=1), 1e-3), (draw(3, 1, 5, 4) + 7, draw(3, 1, 2, 2, seed=1) * 0.2, 1e-5)]


def _styled(content, style, eps, axes=(2, 3), style_axes=(2, 3), root=True, mean=True):
    level = style.mean(style_axes, keepdim=True)
    spread = (style - level).square().mean(style_axes, keepdim=True)
    own = content.mean(axes, keepdim=True)
    ready = (content - own) / ((content - own).square().mean(axes, keepdim=True) + eps).sqrt()
    return ready * (spread.sqrt() if root else spread) + (level if mean else 0)


def _kernels(): return [(draw(4, 3, 3, 3) * 2 + 1, 1e-5), (draw(2, 1, 5, 5) - 3, 1e-3), (draw(6, 8, 1, 1), 1e-5)]


def _standard(weight, eps, axes=(1, 2, 3), less=0):
    level = weight.mean(axes, keepdim=True)
    count = weight.numel() // level.numel()
    return (weight - level) / ((weight - level).square().sum(axes, keepdim=True) / (count - less) + eps).sqrt()


exercises = {
    "count_means": Exercise(
        reference=_means, cases=_blocks,
        hints=[Hint("how-many-averaged", "that is how many numbers each mean is taken of; asked is how many means there are", wrong=_averaged),
               Hint("group-forgets-pictures", "right, but for group norm: each picture has means of its own, one for every group", wrong=lambda kind, shape, groups: groups if kind == "group" else _means(kind, shape, groups)),
               Hint("channels-in-a-group", "right, but for group norm: count the groups, not the channels in each", wrong=lambda kind, shape, groups: shape[0] * (shape[1] // groups) if kind == "group" else _means(kind, shape, groups)),
               Hint("batch-and-layer-swapped", "batch norm keeps the channels apart, layer norm the pictures", wrong=lambda kind, shape, groups: _means({"batch": "layer", "layer": "batch"}.get(kind, kind), shape, groups))],
        praise="As many as there are places on the axes that are not averaged over."),
    "rms_norm_backward": Exercise(
        reference=_rms_back, cases=_rows, rtol=1e-4, atol=1e-5,
        hints=[Hint("centred", "that takes the mean out of the flow, as for layer norm; here no mean is subtracted forwards", wrong=lambda *a: _rms_back(*a, centre=True)),
               Hint("factor-constant", "as if the root mean square were a constant; it changes with x, and that takes the flow's part along the result away", wrong=lambda *a: _rms_back(*a, pull=lambda flow, ready: 0)),
               Hint("sum-for-mean", "nearly: the part along the result is a *mean* of products, not their sum", wrong=lambda *a: _rms_back(*a, pull=lambda flow, ready: ready * (flow * ready).sum(1, keepdim=True))),
               Hint("one-for-all", "each row has a root mean square of its own", wrong=lambda *a: _rms_back(*a, whole=True))],
        praise="What would stretch the row is taken away; the rest is divided by what the row was divided by."),
    "in_the_style_of": Exercise(
        reference=_styled, cases=_pairs, rtol=1e-4, atol=1e-4,
        hints=[Hint("variance-for-std", "multiply by the std of the style, which is the root of its variance", wrong=lambda *a: _styled(*a, root=False)),
               Hint("mean-forgotten", "right contrast; the style's mean is still to be added", wrong=lambda *a: _styled(*a, mean=False)),
               Hint("whole-batch", "each picture of the content has statistics of its own; average over height and width only", wrong=lambda *a: _styled(*a, axes=(0, 2, 3))),
               Hint("whole-style", "each channel of the style has a mean and a std of its own", wrong=lambda *a: _styled(*a, style_axes=(1, 2, 3)))],
        praise="With it one network paints in any style (Huang and Belongie, 2017); lesson 18 paints too."),
    "standard_weight": Exercise(
        reference=_standard, cases=_kernels, rtol=1e-4, atol=1e-5,
        hints=[Hint("over-outputs", "each output has a kernel of its own; average over all axes but the first", wrong=lambda *a: _standard(*a, axes=(0, 2, 3))),
               Hint("each-channel", "one mean for the whole kernel of an output, over its input channels too", wrong=lambda w, eps: _standard(w, eps, axes=(2, 3))),
               Hint("all-together", "each output has a mean and a variance of its own", wrong=lambda *a: _standard(*a, axes=(0, 1, 2, 3))),
               Hint("less-one", "divide by the count, not by one less", wrong=lambda *a: _standard(*a, less=1))],
        praise="Together with group norm it trains large networks with two pictures a GPU (Qiao and others, 2019)."),
}
