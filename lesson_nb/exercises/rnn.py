"Hidden cases and hints for the exercises of lesson 20a."
import torch
from torch import nn
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _sizes():
    return [(3, 5, 1, True, False), (3, 5, 1, False, False), (64, 256, 1, True, False), (4, 6, 3, True, False), (4, 6, 2, True, True), (7, 2, 3, False, True), (5, 5, 1, True, True)]


def _numbers(inputs, hidden, layers, bias, bidirectional, biases=2, above=None, ways=None):
    ways = (2 if bidirectional else 1) if ways is None else ways
    total = 0
    for layer in range(layers):
        read = inputs if layer == 0 else (ways * hidden if above is None else above(inputs, hidden))
        total += ways * (hidden * read + hidden * hidden + biases * bias * hidden)
    return total


def _padded():
    return [(draw(5, 3, 2), torch.tensor([5, 1, 3])), (draw(4, 4, 3), torch.tensor([1, 2, 3, 4])), (draw(7, 1, 2), torch.tensor([6])), (draw(6, 2, 5), torch.tensor([4, 4]))]


def _both(): return [(draw(5, 3, 8),), (draw(1, 2, 4),), (draw(7, 1, 2),), (draw(4, 6, 12),)]


def _halves(outputs, forward, backward):
    hidden = outputs.shape[2] // 2
    return torch.cat([outputs[forward, :, :hidden], outputs[backward, :, hidden:]], 1)


def _chains(): return [(0.5, [1.0, 2.0, 3.0]), (1.0, [1.0, -1.0, 4.0, 0.5]), (-0.9, [2.0, 0.0, 0.0, 1.0, 1.0]), (2.0, [1.0, 1.0]), (0.3, [5.0])]


def _slope(weight, inputs, back=None, whole=True, start=0.0):
    states = [start]
    for x in inputs: states.append(weight * states[-1] + x)
    steps = range(len(inputs)) if back is None else range(min(back, len(inputs)))
    return float(sum(weight**(k if whole else 0) * states[-2 - k] for k in steps))


def _rows():
    made = []
    for inputs, hidden, shape in ((3, 4, (5, 2)), (2, 6, (1, 3)), (4, 4, (7, 4))):
        torch.manual_seed(inputs)
        made.append((draw(*shape, inputs), draw(shape[1], hidden, seed=3), draw(hidden, inputs, seed=1) / 2, draw(hidden, hidden, seed=2) / 2))
    return made


def _run(x, state, weight_ih, weight_hh, order=1, from_zero=False, keep=True, bend=torch.tanh):
    outputs, state = [], torch.zeros_like(state) if from_zero else state
    begin = state
    for step in x.flip(0) if order < 0 else x:
        state = bend(step @ weight_ih.T + (state if keep else begin) @ weight_hh.T)
        outputs.append(state)
    return torch.stack(outputs)


exercises = {
    "run_over_time": Exercise(
        reference=_run, cases=_rows,
        hints=[Hint("only-the-last", "all states are wanted, one a time step, and not the last alone", when=lambda answer, arguments, expected: isinstance(answer, torch.Tensor) and answer.shape == expected[-1].shape),
               Hint("state-forgotten", "the state of each step goes into the next one; you use the first one throughout", wrong=lambda x, state, weight_ih, weight_hh: _run(x, state, weight_ih, weight_hh, keep=False)),
               Hint("from-zero", "begin with the state that is given", wrong=lambda x, state, weight_ih, weight_hh: _run(x, state, weight_ih, weight_hh, from_zero=True)),
               Hint("backwards", "from the first time step to the last", wrong=lambda x, state, weight_ih, weight_hh: _run(x, state, weight_ih, weight_hh, order=-1)),
               Hint("no-bend", "each step ends in tanh; what you have is linear", wrong=lambda x, state, weight_ih, weight_hh: _run(x, state, weight_ih, weight_hh, bend=lambda x: x))],
        praise="Six lines, and the heart of every recurrent network without gates.", rtol=1e-4, atol=1e-5),
    "count_of_rnn": Exercise(
        reference=_numbers, cases=_sizes,
        hints=[Hint("one-bias", "PyTorch has two biases for each row, bias_ih and bias_hh", wrong=lambda i, h, n, b, two: _numbers(i, h, n, b, two, biases=1)),
               Hint("above-reads-inputs", "a layer above the first reads the outputs of the one below, and not the inputs", wrong=lambda i, h, n, b, two: _numbers(i, h, n, b, two, above=lambda i, h: i)),
               Hint("half-read", "in two directions the layer above reads both: 2 * hidden numbers", wrong=lambda i, h, n, b, two: _numbers(i, h, n, b, two, above=lambda i, h: h)),
               Hint("one-direction", "each direction has weights of its own", wrong=lambda i, h, n, b, two: _numbers(i, h, n, b, False))],
        praise="How long the text is does not enter at all."),
    "last_of_each": Exercise(
        reference=lambda outputs, lengths: outputs[lengths - 1, torch.arange(len(lengths))], cases=_padded,
        hints=[Hint("end-of-the-batch", "the last row is padding for the shorter ones: each sequence has an end of its own", wrong=lambda outputs, lengths: outputs[-1]),
               Hint("batch-first", "time is the first axis of the outputs, the sequence the second", wrong=lambda outputs, lengths: outputs[torch.arange(len(lengths)), lengths - 1]),
               Hint("everything-paired", "one step for each sequence: give the second index too, torch.arange(len(lengths))", wrong=lambda outputs, lengths: outputs[lengths - 1]),
               Hint("one-too-far", "a sequence of length 3 ends at time step 2", when=lambda answer, arguments, expected: isinstance(answer, IndexError))],
        praise="With this, padding does no harm in a network of one direction, and a PackedSequence is not needed."),
    "whole_text_read": Exercise(
        reference=lambda outputs: _halves(outputs, -1, 0), cases=_both,
        hints=[Hint("last-step", "at the last step the backward direction has read a single character; its end is at step 0", wrong=lambda outputs: outputs[-1]),
               Hint("first-step", "at step 0 the forward direction has read a single character; its end is at the last step", wrong=lambda outputs: outputs[0]),
               Hint("wrong-ends", "just the other way round: forwards ends at the last step, backwards at the first", wrong=lambda outputs: _halves(outputs, 0, -1)),
               Hint("halves-swapped", "the forward half stands in front", wrong=lambda outputs: torch.cat([outputs[0, :, outputs.shape[2] // 2:], outputs[-1, :, :outputs.shape[2] // 2]], 1))],
        praise="It is also what the second thing that the layer returns holds: the state at the end of each direction."),
    "slope_of_the_last": Exercise(
        reference=_slope, cases=_chains,
        hints=[Hint("one-step", "the weight was used at every step, and each use counts: go on back", wrong=lambda weight, inputs: _slope(weight, inputs, back=1)),
               Hint("not-passed-on", "an early use acts on the end through all steps behind it: multiply by the weight for each", wrong=lambda weight, inputs: _slope(weight, inputs, whole=False)),
               Hint("truncated", "that stops after two steps: the whole way is wanted", wrong=lambda weight, inputs: _slope(weight, inputs, back=2)),
               Hint("the-state-itself", "that is the last state, not its slope by the weight", when=lambda answer, arguments, expected: isinstance(answer, float) and abs(answer - _last(*arguments)) < 1e-9)],
        praise="For |weight| below 1 the early uses hardly count; above 1 they are all that counts."),
}


def _last(weight, inputs):
    state = 0.0
    for x in inputs: state = weight * state + x
    return state
