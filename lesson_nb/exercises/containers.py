"Hidden cases and hints for the exercises of lesson 05a."
import torch
from lesson_nb.checker import Exercise, Hint


def _double(x): return 2 * x
def _add_one(x): return x + 1
def _square(x): return x * x
def _first_column(x): return x[..., 0]


def _layers():
    generator = torch.Generator().manual_seed(0)
    return [([_double, _add_one], torch.tensor([1.0, 2.0])), ([], torch.ones(2)), ([_square, _square, _double], torch.randn(3, 2, generator=generator)),
            ([_first_column, _add_one], torch.randn(2, 3, generator=generator))]


def _run(layers, x, start=1, chained=True):
    seen = [x]
    for layer in layers: seen.append(layer(seen[-1] if chained else x))
    return seen[1 - start:]


def _slices(): return [(["0", "1", "2", "3"], 1, 3, None), (["first", "bend", "last"], None, None, -1), (["a", "b", "c", "d", "e"], -3, None, 2), (["0", "1"], 5, None, None),
                       (["x", "y", "z", "w"], None, -1, None), (["0", "1", "2"], None, None, None)]


def _keys(layers, parts=("weight", "bias")): return [f"{i}.{part}" for i in range(layers) for part in parts]


def _deletions(): return [(_keys(3), 1), (_keys(12, ("weight",)), 2), (_keys(2), 0), (_keys(3, ("0.weight", "1.weight")), 0), (_keys(11), 10), (_keys(1), 0)]


def _renamed(keys, deleted, moves=lambda i, d: i - (i > d)):
    pairs = [(key, *key.split(".", 1)) for key in keys]
    return [(key, f"{moves(int(i), deleted)}.{rest}") for key, i, rest in pairs if int(i) != deleted]


def _texts(): return [(["A()", "A()", "A()", "B()"],), (["A()"],), ([],), (["A()", "B()", "A()", "A()"],), (["C(3)"] * 12,), (["A()", "B()", "B()", "C()", "A()"],)]


def _lines(texts, last=lambda stop: stop - 1, single=True, neighbours=True):
    if not neighbours: texts = sorted(texts, key=texts.index)
    lines, start = [], 0
    while start < len(texts):
        stop = start + 1
        while stop < len(texts) and texts[stop] == texts[start]: stop += 1
        lines.append(f"({start}): {texts[start]}" if single and stop == start + 1 else f"({start}-{last(stop)}): {stop - start} x {texts[start]}")
        start = stop
    return lines


exercises = {
    "run_and_keep": Exercise(
        reference=_run, cases=_layers,
        hints=[Hint("without-input", "`x` itself comes first in the list", wrong=lambda layers, x: _run(layers, x)[1:]),
               Hint("all-on-x", "each function gets what the one *before* it returned; yours all get `x`", wrong=lambda layers, x: _run(layers, x, chained=False)),
               Hint("last-only", "that is what Sequential returns; asked for is all that comes by", wrong=lambda layers, x: _run(layers, x)[-1])],
        praise="What comes by is what a backward pass needs, and what hooks let you see (lesson 11)."),
    "names_of_slices": Exercise(
        reference=lambda names, start, stop, step: (names[start:stop:step], [str(i) for i in range(len(names[start:stop:step]))]), cases=_slices,
        hints=[Hint("list-keeps-names", "a slice of a ModuleList is a new list and counts from 0", wrong=lambda names, a, b, c: (names[a:b:c],) * 2),
               Hint("both-renumbered", "a slice of a Sequential keeps the names of its children", wrong=lambda names, a, b, c: ([str(i) for i in range(len(names[a:b:c]))],) * 2),
               Hint("old-numbers", "the ModuleList's names are the old positions; the new list counts from 0",
                    wrong=lambda names, a, b, c: (names[a:b:c], [str(i) for i in range(len(names))][a:b:c]))],
        praise="So the state of `net[2:]` fits into `net` for a Sequential, and has to be renamed for a ModuleList."),
    "renamed_keys": Exercise(
        reference=_renamed, cases=_deletions,
        hints=[Hint("gap", "the deleted layer is gone, but those behind it have not moved up", wrong=lambda keys, d: _renamed(keys, d, lambda i, d: i)),
               Hint("all-moved", "those *before* the deleted layer keep their numbers", wrong=lambda keys, d: _renamed(keys, d, lambda i, d: i - 1)),
               Hint("one-digit", "layer 10 has a number of two digits: split the key at its first dot",
                    wrong=lambda keys, d: [(k, f"{int(k[0]) - (int(k[0]) > d)}{k[1:]}") for k in keys if int(k[0]) != d]),
               Hint("inner-numbers", "only the first number of a key is the layer's; `0.1.weight` has a 1 that is none of your business",
                    wrong=lambda keys, d: [(k, ".".join(str(int(p) - (int(p) > d)) if p.isdigit() else p for p in k.split("."))) for k in keys if int(k.split(".")[0]) != d])],
        praise="Checkpoints are renamed like this every day. Print the pairs before you trust them."),
    "grouped_lines": Exercise(
        reference=_lines, cases=_texts,
        hints=[Hint("one-too-far", "`(0-3): 3 x` would be four layers: the second number is that of the *last* layer of the group", wrong=lambda texts: _lines(texts, last=lambda stop: stop)),
               Hint("one-times", "a layer that stands alone is written as `(3): Bend()`, with no range and no count", wrong=lambda texts: _lines(texts, single=False)),
               Hint("not-neighbours", "only *neighbours* are counted together; an equal layer further down starts a group of its own", wrong=lambda texts: _lines(texts, neighbours=False))],
        praise="A network of a hundred equal blocks fits on one screen."),
}
