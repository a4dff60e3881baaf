"Hidden cases and hints for the exercises of lesson 08."
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _weights(steps, momentum, dampening, first=1.0, age=lambda steps: torch.arange(steps - 1, -1, -1)):
    entered = torch.full((steps,), 1.0 - dampening)
    if first is not None: entered[0] = first
    return entered * momentum ** age(steps).float()


def _settings(): return [(5, 0.9, 0.0), (6, 0.5, 0.3), (1, 0.9, 0.5), (4, 0.8, 0.8), (8, 0.95, 0.1)]


def _parts(): return [([draw(3), draw(3, seed=1)], [7, 3]), ([draw(2, 2), draw(2, 2, seed=1), draw(2, 2, seed=2)], [5, 5, 2]), ([draw(4)], [6]), ([draw(1), draw(1, seed=3)], [1, 9])]


def _of_parts(gradients, sizes): return sum(g * (n / sum(sizes)) for g, n in zip(gradients, sizes))


def _together(): return [([draw(3) * 4, draw(2, 2) * 4], 1.0), ([draw(5) / 100, draw(2) / 100], 1.0), ([torch.full((9,), 1.0), torch.ones(4, 4)], 2.5), ([torch.zeros(3)], 1.0), ([draw(2, 3), draw(7), draw(1)], 0.5)]


def _length(gradients): return sum((g**2).sum() for g in gradients).sqrt()


def _shortened(gradients, max_norm, length=_length, clamp=True):
    factor = max_norm / length(gradients)
    if clamp: factor = factor.clamp(max=1.0)
    return [g * factor for g in gradients]


def _each_alone(gradients, max_norm): return [g * (max_norm / _length([g])).clamp(max=1.0) for g in gradients]


def _names(): return [(["0.weight", "0.bias", "2.weight", "2.bias", "5.weight"], 0.1, 0.5), (["weight", "bias"], 0.3, 0.1), (["body.0.weight", "body.1.weight", "body.1.bias", "head.weight"], 0.1, 0.1),
                      (["9.weight", "10.weight"], 1.0, 0.2), (["a.scale"], 0.5, 0.5)]


def _layers(names, key=lambda name: name.rpartition(".")[0]): return list(dict.fromkeys(map(key, names)))


def _rates(names, lr, factor, key=lambda name: name.rpartition(".")[0], steps=lambda layers, layer: len(layers) - 1 - layers.index(layer)):
    layers = _layers(names, key)
    return {name: lr * factor ** steps(layers, key(name)) for name in names}


exercises = {
    "buffer_weights": Exercise(
        reference=_weights, cases=_settings,
        hints=[Hint("first-dampened", "the first gradient is dampened too; it fills the buffer whole", wrong=lambda s, m, d: _weights(s, m, d, first=None)),
               Hint("newest-first", "the order is the other way round: the oldest comes first", wrong=lambda s, m, d: _weights(s, m, d).flip(0)),
               Hint("undampened", "each gradient but the first enters times 1 - dampening", wrong=lambda s, m, d: _weights(s, m, 0.0)),
               Hint("too-old", "the newest gradient has not been multiplied by momentum at all", wrong=lambda s, m, d: _weights(s, m, d, age=lambda n: torch.arange(n, 0, -1))),
               Hint("an-average", "that is the weight in a moving average; PyTorch's buffer has no factor 1 - momentum", wrong=lambda s, m, d: (1 - m) * _weights(s, m, d))],
        praise="Without dampening they sum to nearly 1 / (1 - momentum): so much longer the steps become."),
    "gradient_of_parts": Exercise(
        reference=_of_parts, cases=_parts,
        hints=[Hint("parts-alike", "each part counts the same in your answer; a part of more examples has to count for more", wrong=lambda g, n: sum(g) / len(g)),
               Hint("summed", "that is the plain sum; right if the parts' losses were already weighted, but these are means", wrong=lambda g, n: sum(g)),
               Hint("not-divided", "weighted by their sizes, but not divided by the size of the whole batch", wrong=lambda g, n: sum(a * b for a, b in zip(g, n)))],
        praise="Weight each part's *loss* by its share before `backward`, and `.grad` adds up to this by itself."),
    "shortened_together": Exercise(
        reference=lambda gradients, max_norm: _shortened(gradients, max_norm, lambda g: _length(g).clamp(min=1e-30)), cases=_together,
        hints=[Hint("each-alone", "each tensor is shortened by its own factor, so the direction changes; measure them together", wrong=_each_alone),
               Hint("lengthened", "short gradients have been stretched to max_norm; they stay as they are", wrong=lambda g, m: _shortened(g, m, lambda g: _length(g).clamp(min=1e-30), clamp=False)),
               Hint("not-a-number", "gradients of zero end as NaN: their length is zero, and you divide by it", wrong=lambda g, m: [x * torch.where(_length(g) > 0, (m / _length(g)).clamp(max=1.0), torch.nan) for x in g]),
               Hint("sum-of-lengths", "the length of the whole is the root of the sum of squares, not the sum of the lengths",
                    wrong=lambda g, m: _shortened(g, m, lambda g: sum(_length([x]) for x in g).clamp(min=1e-30))),
               Hint("numbers-cut", "each number is cut by itself; that is clip_grad_value_, and it changes the direction", wrong=lambda g, m: [x.clamp(-m, m) for x in g])],
        praise="PyTorch divides by the length plus a millionth, and so needs no special case for zero."),
    "layer_rates": Exercise(
        reference=_rates, cases=_names,
        hints=[Hint("wrong-end", "the *last* layer learns at lr; the rates fall towards the front", wrong=lambda n, lr, f: _rates(n, lr, f, steps=lambda layers, layer: layers.index(layer))),
               Hint("by-parameter", "weight and bias of one layer got different rates; count layers, not parameters", wrong=lambda n, lr, f: {name: lr * f ** (len(n) - 1 - i) for i, name in enumerate(n)}),
               Hint("first-dot", "the layer is what stands before the *last* dot; 'body.0' and 'body.1' are two", wrong=lambda n, lr, f: _rates(n, lr, f, key=lambda name: name.partition(".")[0] if "." in name else "")),
               Hint("sorted", "the layers come in the order of the network; sorted as text, '10' stands before '9'",
                    wrong=lambda n, lr, f: {name: lr * f ** (len(set(_layers(n))) - 1 - sorted(_layers(n)).index(name.rpartition(".")[0])) for name in n}),
               Hint("one-too-many", "the last layer learns at lr itself, not at factor times lr", wrong=lambda n, lr, f: _rates(n, lr, f, steps=lambda layers, layer: len(layers) - layers.index(layer)))],
        praise="Hand them over as groups: [{'params': [p], 'lr': rates[name]} for name, p in model.named_parameters()]."),
}
