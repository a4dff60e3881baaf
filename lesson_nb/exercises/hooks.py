"Hidden cases and hints for the exercises of lesson 11."
import math
import torch
from torch import nn
from lesson_nb.checker import Exercise, Hint
from lesson_nb.hooks import Hook, SaveFeatures
from lesson_nb.layers import Flatten, Linear, ReLU, Tanh


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _filled(net, seed=0):
    with torch.no_grad():
        for i, p in enumerate(net.parameters()): p.copy_(draw(*p.shape, seed=seed + i))
    return net


def small(): return _filled(nn.Sequential(Linear(4, 5), ReLU(), Linear(5, 3)))
def deep(): return _filled(nn.Sequential(Linear(2, 6), Tanh(), Linear(6, 6), ReLU(), Linear(6, 2), Tanh()), 3)
def flat(): return _filled(nn.Sequential(Flatten(), Linear(6, 4), ReLU(), Linear(4, 1)), 7)


def _networks(): return [(small, 0, draw(6, 4)), (small, 1, draw(3, 4, seed=1)), (deep, 2, draw(5, 2)), (deep, 5, draw(1, 2)), (flat, 1, draw(4, 2, 3)), (flat, 2, draw(7, 2, 3))]


def _listened(make, index, x, take=lambda inputs, output: output, left=0):
    net = make()
    with SaveFeatures(net[index]) as saved, Hook(net[index], lambda hook, module, inputs, output: found.append(take(inputs, output).detach())): (found := []), net(x)
    return found[0] if saved else None, left


def _switched():
    return [(small, 0, 2, draw(6, 4)), (small, 1, 0, draw(3, 4, seed=1)), (deep, 2, 5, draw(5, 2)), (deep, 1, 1, draw(1, 2)), (flat, 1, 3, draw(4, 2, 3)), (small, 2, 1, draw(2, 4))]


def _without(make, index, channel, x, keep=False, dim=1, index_shift=0):
    net = make()
    def off(hook, module, inputs, output):
        mask = torch.ones_like(output)
        mask.select(dim, min(channel, output.shape[dim] - 1)).zero_()
        return output * mask if not keep else output
    with Hook(net[index + index_shift], off): return net(x).detach()


def _pictures():
    quiet = draw(3, 4, 2, 2)
    quiet[:, 1], quiet[0, 2] = -1.0, -1.0
    edge = draw(2, 5, 3, 1, seed=1)
    edge[:, 0], edge[:, 3] = 0.0, -2.0
    once = -torch.ones(4, 3, 2, 2)
    once[3, 2, 1, 0] = 0.1
    return [(quiet,), (edge,), (once,), (torch.ones(1, 2, 1, 1),), (draw(2, 6, 2, 3).relu() * torch.tensor([1.0, 0, 0, 1, 0, 0]).view(6, 1, 1),)]


def _sizes(): return [((1, 8, 14, 14), (16, 8, 3, 3), 2, 1), ((4, 3, 32, 32), (10, 3, 5, 5), 1, 0), ((2, 1, 28, 28), (8, 1, 5, 5), 2, 2), ((3, 6, 9, 7), (4, 6, 3, 1), 3, 1), ((1, 2, 4, 4), (2, 2, 1, 1), 1, 0)]


def _flops(shape, weight, stride, padding, two=2, inner=lambda weight: weight[1] * weight[2] * weight[3], places=None, n=True):
    down, across = ((size + 2 * padding - kernel) // stride + 1 for size, kernel in zip(shape[2:], weight[2:]))
    if places: down, across = places(shape, down, across)
    return two * (shape[0] if n else 1) * weight[0] * down * across * inner(weight)


def _together(batches, mean_weight=lambda count: count, spread=None):
    total = sum(mean_weight(c) for c, _, _ in batches)
    mean = sum(mean_weight(c) * m for c, m, _ in batches) / total
    if spread: return mean, spread(batches, mean)
    return mean, math.sqrt(max(0.0, sum(mean_weight(c) * (d**2 + m**2) for c, m, d in batches) / total - mean**2))


def _batches():
    return [([(10, 1.0, 2.0), (30, 3.0, 1.0)],), ([(5, 0.0, 1.0), (5, 10.0, 1.0), (2, -3.0, 0.5)],), ([(7, 2.5, 1.5)],), ([(1, 4.0, 0.0), (3, 0.0, 0.0)],), ([(100, -1.0, 3.0), (1, 50.0, 0.0)],)]


def _mean_deviation(batches, mean): return sum(c * d for c, _, d in batches) / sum(c for c, _, _ in batches)


exercises = {
    "listen": Exercise(
        reference=_listened, cases=_networks,
        hints=[Hint("hook-left", "the output is right, but the hook is still there: it would be called in every pass from now on. Remove it, or use `with`",
                    when=lambda answer, given, expected: isinstance(answer, tuple) and len(answer) == 2 and torch.equal(answer[0], expected[0]) and answer[1] != 0),
               Hint("inputs", "that is what goes *into* the layer; `output` is the last argument of the hook", wrong=lambda m, i, x: _listened(m, i, x, take=lambda inputs, output: inputs[0])),
               Hint("whole-network", "that is the output of the whole network, not of layer `index`", wrong=lambda m, i, x: (m()(x).detach(), 0))],
        praise="And the network's code does not know of it."),
    "without_channel": Exercise(
        reference=_without, cases=_switched,
        hints=[Hint("nothing-changes", "the hook has to *return* the new output; what it does to a copy alone changes nothing", wrong=lambda *a: _without(*a, keep=True)),
               Hint("an-example", "you switch off an *example*, dimension 0; channels are dimension 1", wrong=lambda *a: _without(*a, dim=0))],
        praise="Do this for each channel, and look which of them the accuracy misses: an ablation."),
    "silent_share": Exercise(
        reference=lambda x: (x.amax((0, 2, 3)) <= 0).float().mean(), cases=_pictures,
        hints=[Hint("share-of-zeros", "that is the share of *numbers* that are not above zero; after a ReLU half of them being zero is healthy", wrong=lambda x: (x <= 0).float().mean()),
               Hint("each-picture", "you count a channel for each picture by itself; it is silent only if *no* picture wakes it", wrong=lambda x: (x.amax((2, 3)) <= 0).float().mean()),
               Hint("below-only", "zero is silent too: compare with <=", wrong=lambda x: (x.amax((0, 2, 3)) < 0).float().mean()),
               Hint("awake", "that is the share of channels that are *awake*", wrong=lambda x: (x.amax((0, 2, 3)) > 0).float().mean()),
               Hint("the-mean", "a channel may be negative on average and still speak at some places: ask for its maximum", wrong=lambda x: (x.mean((0, 2, 3)) <= 0).float().mean())],
        praise="One number that tells a dying network from a living one, long before the accuracy does."),
    "convolution_flops": Exercise(
        reference=_flops, cases=_sizes,
        hints=[Hint("multiplications", "that is half: each multiplication comes with an addition", wrong=lambda *a: _flops(*a, two=1)),
               Hint("input-places", "the kernel does its work once for each place of the *output*", wrong=lambda *a: _flops(*a, places=lambda shape, d, w: shape[2:])),
               Hint("one-channel", "each output number sums over all channels of the input", wrong=lambda *a: _flops(*a, inner=lambda weight: weight[2] * weight[3])),
               Hint("one-picture", "there are n pictures", wrong=lambda *a: _flops(*a, n=False))],
        praise="Halve the picture and double the channels: with four times fewer places and four times as many weights, the work of a layer stays the same."),
    "together": Exercise(
        reference=_together, cases=_batches, rtol=1e-6, atol=1e-9,
        hints=[Hint("mean-deviation", "that is the mean of the deviations; how far the batches' means lie apart is missing", wrong=lambda b: _together(b, spread=_mean_deviation)),
               Hint("unweighted", "batches count by their number of examples", wrong=lambda b: _together(b, mean_weight=lambda count: 1)),
               Hint("variance", "that is the variance; the deviation is its root", wrong=lambda b: (_together(b)[0], _together(b)[1] ** 2)),
               Hint("within-only", "that is the deviation *within* the batches; the distance of their means belongs to it too",
                    wrong=lambda b: _together(b, spread=lambda batches, mean: math.sqrt(sum(c * d**2 for c, _, d in batches) / sum(c for c, _, _ in batches))))],
        praise="The variance of the whole is the mean of the variances plus the variance of the means."),
}
