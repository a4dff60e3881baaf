"Hidden cases and hints for the exercises of lesson 12."
import math
from lesson_nb.checker import Exercise, Hint


def _spreads(): return [(100, 0.1, 1), (100, 0.1, 50), (400, 0.08, 7), (9, 0.5, 3), (784, 1.0, 2), (50, 0.2, 0)]


def _kernels(): return [((32, 16, 5, 5), 1, 1), ((32, 16, 5, 5), 2, 1), ((32, 4, 3, 3), 1, 4), ((64, 2, 3, 5), 2, 8), ((16, 1, 3, 3), 2, 16), ((8, 3, 1, 1), 3, 2)]


def _fans(shape, stride, groups, moves=2, share=True, again=False):
    outputs, inputs, *kernel = shape
    field = math.prod(kernel)
    return inputs * field // (groups if again else 1), outputs * field / (groups if share else 1) / stride**moves


def _bounds(): return [(400, 0.0), (400, 0.2), (9, 0.01), (784, 5**0.5), (1, 1.0), (50, -0.5)]


exercises = {
    "spread_behind": Exercise(
        reference=lambda inputs, std, layers: (inputs * std**2 / 2) ** (layers / 2), cases=_spreads,
        hints=[Hint("relu-forgotten", "that is the spread without the bends; a ReLU halves the mean square behind each layer", wrong=lambda inputs, std, layers: (inputs * std**2) ** (layers / 2)),
               Hint("mean-square", "that is the mean square; the spread is its root", wrong=lambda inputs, std, layers: (inputs * std**2 / 2) ** layers),
               Hint("std-for-variance", "the variance of the weights counts, which is `std` squared", wrong=lambda inputs, std, layers: (inputs * std / 2) ** (layers / 2)),
               Hint("halved-spread", "a ReLU halves the mean *square*, so it divides the spread by the root of 2", wrong=lambda inputs, std, layers: (inputs**0.5 * std / 2) ** layers)],
        praise="One factor a layer, inputs · variance / 2 in the mean square: it has to be 1, or fifty layers make of it what they like.", rtol=1e-6, atol=1e-60),
    "true_fans": Exercise(
        reference=_fans, cases=_kernels,
        hints=[Hint("by-the-shape", "that is what the shape alone says; stride and groups reduce the fan out", wrong=lambda shape, stride, groups: _fans(shape, 1, 1)),
               Hint("stride-once", "a stride moves down *and* along: an input is met by 1 / stride² of the windows", wrong=lambda shape, stride, groups: _fans(shape, stride, groups, moves=1)),
               Hint("groups-forgotten", "an input channel is seen by the outputs of its own group only: outputs / groups of them", wrong=lambda shape, stride, groups: _fans(shape, stride, groups, share=False)),
               Hint("stride-forgotten", "with a stride, fewer windows meet an input", wrong=lambda shape, stride, groups: _fans(shape, 1, groups)),
               Hint("groups-twice", "the second number of the shape is already inputs / groups, so the fan in needs no correction", wrong=lambda shape, stride, groups: _fans(shape, stride, groups, again=True))],
        praise="The fan in can be read off the weight. The fan out cannot: ask the layer."),
    "kaiming_bound": Exercise(
        reference=lambda fan, slope: math.sqrt(6 / ((1 + slope**2) * fan)), cases=_bounds,
        hints=[Hint("std-for-bound", "that is the std; uniform numbers of std s reach up to √3 · s", wrong=lambda fan, slope: math.sqrt(2 / ((1 + slope**2) * fan))),
               Hint("slope-ignored", "that is right for a plain ReLU; a leaky one lets slope² of the other half through", wrong=lambda fan, slope: math.sqrt(6 / fan)),
               Hint("slope-not-squared", "the mean *square* counts: of the negative half comes slope², not slope", wrong=lambda fan, slope: math.sqrt(6 / ((1 + slope) * fan))),
               Hint("half-missing", "each half of the inputs contributes only half: the mean square is (1 + slope²) / 2", wrong=lambda fan, slope: math.sqrt(3 / ((1 + slope**2) * fan)))],
        praise="With slope √5 it is 1 / √fan: the default of PyTorch's layers, which was not meant for a leaky ReLU at all."),
}
