"Hidden cases and hints for the exercises of lesson 16a."
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _maps(): return [(draw(2, 3, 8, 8), 6), (draw(1, 4, 7, 5), 8), (draw(3, 2, 4, 4), 2), (draw(2, 1, 9, 9), 5)]


def _padded(x, outputs, pick=lambda x: x[:, :, ::2, ::2], in_front=False):
    picked = pick(x)
    nothing = picked.new_zeros(len(x), outputs - x.shape[1], *picked.shape[2:])
    return torch.cat([nothing, picked] if in_front else [picked, nothing], 1)


def _pooled(x): return torch.nn.functional.avg_pool2d(x, 2, ceil_mode=True)


def _sides(size, half=lambda size: (size + 1) // 2, which=(1, 1, 0, 1, 1, 1)):
    sides = []
    for halves in which:
        size = half(size) if halves else size
        sides.append(size)
    return sides


def _trainings(): return [([(16, 4), (24, 2), (32, 2)], 32), ([(128, 10), (224, 5)], 224), ([(8, 1)], 32), ([(64, 3), (64, 1), (96, 2)], 96)]


def _work(phases, full, power=2, weighted=True):
    done = sum((epochs if weighted else 1) * (size / full)**power for size, epochs in phases)
    return done / (sum(epochs for _, epochs in phases) if weighted else len(phases))


def _names():
    return [(["conv1.weight", "fc.weight", "fc.bias"], "fc"), (["fcn.weight", "block.fc.weight", "fc.0.weight", "fc.0.bias"], "fc"),
            (["0.weight", "1.weight", "10.weight", "1.bias", "2.1.bias"], "1"), (["conv1.weight", "fc.bias"], "head")]


exercises = {
    "padded_shortcut": Exercise(
        reference=_padded, cases=_maps,
        hints=[Hint("in-front", "the zeros belong behind the channels of x, so that its channel i stays channel i", wrong=lambda x, outputs: _padded(x, outputs, in_front=True)),
               Hint("pooled", "take every second pixel as it is, not the mean of two by two", wrong=lambda x, outputs: _padded(x, outputs, _pooled)),
               Hint("other-pixel", "begin with the first pixel: a convolution of stride 2 does so too", wrong=lambda x, outputs: _padded(x, outputs, lambda x: x[:, :, 1::2, 1::2])),
               Hint("one-direction", "every second pixel in both directions", wrong=lambda x, outputs: _padded(x, outputs, lambda x: x[:, :, ::2])),
               Hint("not-thinned", "the maps have to get smaller too: every second pixel in both directions", wrong=lambda x, outputs: _padded(x, outputs, lambda x: x))],
        praise="The paper's option A. Projections did slightly better, and are what everybody uses."),
    "sides_of_maps": Exercise(
        reference=_sides, cases=lambda: [(224,), (32,), (33,), (97,), (256,), (1,)],
        hints=[Hint("rounded-down", "with these margins odd sizes are rounded up: 7 becomes 4", wrong=lambda size: _sides(size, lambda size: size // 2)),
               Hint("pool-forgotten", "the pool halves the maps as well", wrong=lambda size: _sides(size, which=(1, 0, 0, 1, 1, 1))),
               Hint("first-stage", "the first stage keeps the size; only the other three halve it", wrong=lambda size: _sides(size, which=(1, 1, 1, 1, 1, 1)))],
        praise="Of 32 pixels nothing but one place is left at the end: that is why CIFAR networks get another stem."),
    "share_of_work": Exercise(
        reference=_work, cases=_trainings,
        hints=[Hint("by-the-side", "work goes with the number of pixels, so with the square of the side", wrong=lambda phases, full: _work(phases, full, power=1)),
               Hint("epochs-forgotten", "a phase of ten epochs counts ten times as much as one of a single epoch", wrong=lambda phases, full: _work(phases, full, weighted=False)),
               Hint("not-a-share", "that is the work in epochs at full size; divide by the number of epochs", wrong=lambda phases, full: _work(phases, full) * sum(epochs for _, epochs in phases))],
        praise="The clock agrees as long as the pictures are not so small that calls cost more than sums."),
    "without_head": Exercise(
        reference=lambda names, head: [name for name in names if not name.startswith(head + ".")], cases=_names,
        hints=[Hint("only-the-head", "those are the names to be left out; the others are wanted", wrong=lambda names, head: [name for name in names if name.startswith(head + ".")]),
               Hint("too-many", "some other module's name only begins like the head's, or has it inside; the module's own entries begin with its name and a dot",
                    when=lambda answer, arguments, expected: isinstance(answer, list) and set(answer) < set(expected)),
               Hint("too-few", "something of the head is still there: weight and bias both belong to it, and parts inside of it too",
                    when=lambda answer, arguments, expected: isinstance(answer, list) and set(answer) > set(expected))],
        praise="`load_state_dict(..., strict=False)` takes the rest; look at the missing keys that it reports, to be sure that only the head is missing."),
}
