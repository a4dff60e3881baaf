"Hidden cases and hints for the exercises of lesson 16."
import math
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _lists(): return [([(3, 1)],), ([(3, 2), (3, 2), (3, 2)],), ([(5, 1), (3, 2), (3, 1)],), ([(7, 2), (1, 1), (3, 2), (5, 1)],), ([(1, 2), (3, 3)],)]


def _seen(layers, step_of=lambda step, stride: step * stride, early=False):
    side, step = 1, 1
    for kernel, stride in layers:
        if early: step = step_of(step, stride)
        side += (kernel - 1) * step
        if not early: step = step_of(step, stride)
    return side


def _product(layers):
    side = 1
    for kernel, stride in layers: side = (side - 1) * stride + kernel
    return side


def _blocks(): return [(draw(5, 4), draw(4, 6, seed=1), draw(6, 4, seed=2), draw(5, 4, seed=3)), (draw(1, 3), draw(3, 2, seed=1), draw(2, 3, seed=2), draw(1, 3, seed=3)), (draw(7, 2), draw(2, 2, seed=1), draw(2, 2, seed=5), draw(7, 2, seed=3))]


def _back(x, w1, w2, grad, short=True, bend=True, change=True):
    inside = grad @ w2.T
    if bend: inside = inside * (x @ w1 > 0)
    return short * grad + change * (inside @ w1.T)


def _nets(): return [([10, 20, 40, 80, 160], 10, 3), ([8, 16], 2, 1), ([16, 32, 64, 128], 100, 3), ([4, 4, 4], 5, 2)]


def _counted(widths, classes, channels, norm=2, stem_bias=1, same=2, head_bias=1):
    def layer(inputs, outputs): return inputs * outputs * 9 + norm * outputs
    stages = sum(layer(i, o) + same * layer(o, o) for i, o in zip(widths, widths[1:]))
    return channels * widths[0] * 25 + stem_bias * widths[0] + stages + (widths[-1] + head_bias) * classes


def _walks(): return [(3, 1), (10, 4), (54, 20), (5, 5), (8, 0)]
def _ways(blocks, lengths): return sum(math.comb(blocks, through) for through in lengths) / 2**blocks


exercises = {
    "receptive_field": Exercise(
        reference=_seen, cases=_lists,
        hints=[Hint("strides-forgotten", "behind a layer of stride 2, neighbours of the map lie two pixels apart: what later kernels add counts double", wrong=lambda layers: _seen(layers, lambda step, stride: step)),
               Hint("own-stride-first", "a layer's own stride only spreads the layers *behind* it; take it into account after its kernel", wrong=lambda layers: _seen(layers, early=True)),
               Hint("wrong-end", "that recursion is right from the last layer to the first; you go from the first to the last", wrong=_product)],
        praise="The ladder's last maps see the whole picture and its margin; that is why the largest number of a map can answer for all of it."),
    "block_backward": Exercise(
        reference=_back, cases=_blocks, rtol=1e-4, atol=1e-5,
        hints=[Hint("short-cut-forgotten", "that is the gradient through the change alone; y contains x itself too, and its gradient is grad", wrong=lambda *given: _back(*given, short=False)),
               Hint("only-short-cut", "that is the short cut alone; the change depends on x as well", wrong=lambda *given: _back(*given, change=False)),
               Hint("relu-forgotten", "no gradient comes back where the ReLU was shut: multiply by (x @ w1 > 0)", wrong=lambda *given: _back(*given, bend=False))],
        praise="Whatever the weights, `grad` itself always arrives: that is what keeps a hundred blocks trainable."),
    "res_net_parameters": Exercise(
        reference=_counted, cases=_nets,
        hints=[Hint("norms-forgotten", "each BatchNorm has a gain and a shift for each channel", wrong=lambda *given: _counted(*given, norm=0)),
               Hint("one-number-a-channel", "a norm has two numbers a channel: gain and shift", wrong=lambda *given: _counted(*given, norm=1)),
               Hint("stem-bias", "the stem is a plain convolution, with a bias", wrong=lambda *given: _counted(*given, stem_bias=0)),
               Hint("one-block", "there are two blocks in each stage", wrong=lambda *given: _counted(*given, same=1)),
               Hint("head-bias", "the linear layer has a bias for each class", wrong=lambda *given: _counted(*given, head_bias=0))],
        praise="In the ladder's own network three quarters of them sit in the last stage, which costs no more work than the others."),
    "share_of_short_ways": Exercise(
        reference=lambda blocks, longest: _ways(blocks, range(longest + 1)), cases=_walks,
        hints=[Hint("only-that-length", "those are the ways of exactly this length; the shorter ones count too", wrong=lambda blocks, longest: _ways(blocks, [longest])),
               Hint("way-around-all", "one way leads through no change at all", wrong=lambda blocks, longest: _ways(blocks, range(1, longest + 1))),
               Hint("one-too-few", "at most `longest`, so that length itself counts", wrong=lambda blocks, longest: _ways(blocks, range(longest))),
               Hint("not-a-share", "that is their number; divide by all 2**blocks ways", wrong=lambda blocks, longest: float(_ways(blocks, range(longest + 1)) * 2**blocks)),
               Hint("not-a-share", "that is their number; divide by all 2**blocks ways", wrong=lambda blocks, longest: int(_ways(blocks, range(longest + 1)) * 2**blocks))],
        praise="In a network of 54 blocks fewer than one way in two hundred leads through 17 changes or fewer, and these carry nearly all of the gradient (Veit and others, 2016)."),
}
