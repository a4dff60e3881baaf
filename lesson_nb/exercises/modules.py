"Hidden cases and hints for the exercises of lesson 05."
import torch
from lesson_nb.checker import Exercise, Hint


def _paths(tree, join=lambda name, path: f"{name}.{path}"):
    "Pairs (path, number) in the order in which they stand."
    found = []
    for name, value in tree.items():
        found += [(join(name, path), number) for path, number in _paths(value, join)] if isinstance(value, dict) else [(name, value)]
    return found


def _own_first(tree):
    "As `_paths`, but the numbers of a level before its children."
    own = [(name, value) for name, value in tree.items() if not isinstance(value, dict)]
    return own + [(f"{name}.{path}", number) for name, value in tree.items() if isinstance(value, dict) for path, number in _own_first(value)]


def _trees():
    return [({"a": 1, "b": {"c": 2}},), ({"body": {"first": {"weight": 3, "bias": 4}, "second": {"weight": 5}}, "gain": 6},), ({},),
            ({"x": {"y": {"z": {"w": 7}}}, "u": 8, "v": {}},), ({"0": {"weight": 1}, "1": {"weight": 1}},)]


def _tensors():
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(4, 3, generator=generator).requires_grad_(), torch.zeros(4).requires_grad_()
    zeros, scale, frozen = torch.zeros(4).requires_grad_(), torch.ones(()).requires_grad_(), torch.randn(5, generator=generator)
    return [([weight, bias],), ([weight, bias, weight, frozen],), ([zeros, bias, scale],), ([frozen],), ([],), ([scale, frozen, scale, zeros],)]


def _count(tensors, different=lambda ts: {id(t): t for t in ts}.values(), size=lambda t: t.numel(), counts=lambda t: t.requires_grad):
    return sum(size(t) for t in different(tensors) if counts(t))


def _different_values(tensors):
    kept = []
    for t in tensors:
        if not any(t.shape == k.shape and torch.equal(t, k) for k in kept): kept.append(t)
    return kept


def _keys():
    return [(["b", "a"], ["a", "b"]), (["w2", "w1", "bias"], ["bias", "z", "m"]), (["head.weight", "body.weight", "alpha"], []), ([], ["y", "x"]),
            (["a"], ["a.b", "A"]), (["c", "b", "a"], ["z", "c", "x", "y"])]


def _wrapped():
    return [(["module.weight", "module.bias"],), (["weight", "module.bias"],), (["module.module.weight"],), (["body.module.weight", "module.body.module.bias"],), ([],),
            (["modules.weight", "submodule.bias", "module.out.weight"],)]


def _double(x): return x * 2
def _shift(x): return x + 1
def _look(x): return None
def _zero(x): return x * 0
def _square(x): return x * x


def _hooked():
    one, row = torch.tensor(3.0), torch.tensor([1.0, -2.0])
    return [(_square, [_double, _shift], [], one), (_shift, [], [_double, _square], one), (_double, [_look, _shift], [_look], row), (_shift, [_zero], [_look, _double], one),
            (_double, [], [_shift, _zero], torch.tensor(5.0)), (_square, [_look], [], row)]


def _call(forward, pre_hooks, hooks, x, take=lambda new, old: old if new is None else new):
    for hook in pre_hooks: x = take(hook(x), x)
    output = forward(x)
    for hook in hooks: output = take(hook(output), output)
    return output


def _batches():
    generator = torch.Generator().manual_seed(0)
    def made(*shape): return torch.randn(*shape, generator=generator) + 3
    return [([made(5, 2), made(7, 2)], made(4, 2)), ([made(3, 4)], made(1, 4)), ([made(2, 3) for _ in range(5)], made(6, 3)), ([], made(2, 2))]


def _centred(batches, test, in_evaluation=False, rate=0.1):
    mean = torch.zeros(test.shape[1])
    for batch in [*batches, *([test] if in_evaluation else [])]: mean = mean + rate * (batch.mean(0) - mean)
    return test - mean, ["mean"], 0


exercises = {
    "paths_of": Exercise(
        reference=_paths, cases=_trees,
        hints=[Hint("no-dots", "the names of a path need dots between them", wrong=lambda tree: _paths(tree, lambda name, path: name + path)),
               Hint("last-name-only", "only the last name of each path is left; put the child's own name in front of each path that it returns",
                    wrong=lambda tree: _paths(tree, lambda name, path: path)),
               Hint("own-first", "the order is that in which things stand: a child that comes before a number is listed before it", wrong=_own_first)],
        praise="The same recursion as in `DummyModule.parameters`, with the name of the child put in front on the way back."),
    "count_trainable": Exercise(
        reference=_count, cases=_tensors,
        hints=[Hint("tensors-not-numbers", "that is how many tensors there are; a tensor of shape (4, 3) holds 12 numbers",
                    wrong=lambda ts: _count(ts, size=lambda t: 1)),
               Hint("counted-twice", "a tensor that stands in the list twice is counted twice; remember by `id` whom you have met",
                    wrong=lambda ts: _count(ts, different=list)),
               Hint("equal-is-not-the-same", "two tensors that hold equal values are still two; compare by identity (`is`, `id`) and not by value",
                    wrong=lambda ts: _count(ts, different=_different_values)),
               Hint("frozen-counted", "tensors that do not require a gradient are counted too", wrong=lambda ts: _count(ts, counts=lambda t: True))],
        praise="By identity and not by value: at the start all biases are zero, and yet each will go its own way."),
    "compare_keys": Exercise(
        reference=lambda wanted, found: ([k for k in wanted if k not in found], [k for k in found if k not in wanted]), cases=_keys,
        hints=[Hint("swapped", "the two are the wrong way round: missing is what the *model* wants and does not get",
                    wrong=lambda wanted, found: ([k for k in found if k not in wanted], [k for k in wanted if k not in found])),
               Hint("sorted", "right keys, but in the order of the alphabet: keep the model's order, and the checkpoint's",
                    wrong=lambda wanted, found: (sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted)))),
               Hint("one-side", "whatever stands on one side alone is not the same: return two lists, not one merged twice",
                    wrong=lambda wanted, found: ([k for k in [*wanted, *found] if (k in wanted) != (k in found)],) * 2)],
        praise="These two lists are all that `load_state_dict` needs to know before it looks at shapes."),
    "unwrapped": Exercise(
        reference=lambda keys: [k.removeprefix("module.") for k in keys], cases=_wrapped,
        hints=[Hint("everywhere", "`replace` takes `module.` away in the middle of a key too; there it may be a child's own name",
                    wrong=lambda keys: [k.replace("module.", "") for k in keys]),
               Hint("seven-letters", "the first seven characters of *every* key are gone, of those too that never began with `module.`",
                    wrong=lambda keys: [k[7:] for k in keys]),
               Hint("stripped", "`lstrip` takes a set of letters and not a word: it eats on as long as it finds any of them",
                    wrong=lambda keys: [k.lstrip("module.") for k in keys]),
               Hint("dropped", "keys that do not begin with `module.` must stay, as they are", wrong=lambda keys: [k[7:] for k in keys if k.startswith("module.")])],
        praise="`removeprefix` does it once, at the beginning, and only where it is there."),
    "call_with_hooks": Exercise(
        reference=_call, cases=_hooked,
        hints=[Hint("none-taken", "a hook that returns None leaves things as they are; yours puts None in their place", wrong=lambda *a: _call(*a, take=lambda new, old: new)),
               Hint("ignored", "what a hook returns is thrown away; if it is not None it takes the place of what the hook saw",
                    wrong=lambda *a: _call(*a, take=lambda new, old: old)),
               Hint("or", "`or` asks whether the new value is *true*: a tensor of one zero is not, and a longer one cannot tell; ask `is None`",
                    wrong=lambda *a: _call(*a, take=lambda new, old: new or old)),
               Hint("backwards", "the hooks run in the wrong order: from the first to the last of each list",
                    wrong=lambda forward, pre, post, x: _call(forward, pre[::-1], post[::-1], x))],
        praise="That is `Module.__call__`, but for its handles and keyword arguments."),
    "centred_by_a_buffer": Exercise(
        reference=_centred, cases=_batches,
        hints=[Hint("parameter", "`mean` is a Parameter: an optimizer would train it. It has to be a buffer", when=lambda answer, given, expected: answer[2] == 1),
               Hint("not-saved", "the state does not hold `mean`: a plain attribute is not saved. Use `register_buffer`", when=lambda answer, given, expected: answer[1] == []),
               Hint("moves-in-evaluation", "`mean` still moves in evaluation mode: ask `self.training`, and call `eval()` before `test`",
                    wrong=lambda batches, test: _centred(batches, test, in_evaluation=True)),
               Hint("jumps", "`mean` jumps to the mean of the batch instead of going a tenth of the way", wrong=lambda batches, test: _centred(batches, test, rate=1.0))],
        praise="This is the heart of batch normalization, lesson 13. Saved with the network, and yet no optimizer ever touches it.", rtol=1e-4, atol=1e-5),
}
