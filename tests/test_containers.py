"""Our Sequential, ModuleList and ModuleDict beside torch's: the same history leaves the same names, order, text and refusals."""
import copy
from collections import OrderedDict
import pytest, torch
from hypothesis import given, strategies as st
from lesson_nb import containers, modules

KINDS = {"ours": (modules.Module, containers), "torch": (torch.nn.Module, torch.nn)}


def layer(base, number):
    class Add(base):
        def __init__(self):
            super().__init__()
            self.number = number
            self.register_buffer("amount", torch.tensor(float(number)))
        def forward(self, x): return x * 2 + self.amount
        def extra_repr(self): return f"{self.number}"
    return Add()


def said(action):
    "What an action returns, or the kind and text of what it raises, without the modules' own paths."
    try: result = action()
    except Exception as error: result = next(k.__name__ for k in type(error).__mro__ if not k.__name__.startswith("_")), str(error)
    text = repr(result)
    for name in ("lesson_nb.containers.", "torch.nn.modules.container.", "lesson_nb.modules.", "torch.nn.modules.module."): text = text.replace(name, "")
    return text


places = st.integers(-4, 4)
slices = st.builds(slice, st.none() | places, st.none() | places, st.none() | st.sampled_from([1, 2, -1]))
numbers = st.integers(0, 3)
list_steps = st.lists(st.one_of(
    st.tuples(st.just("append"), numbers), st.tuples(st.just("get"), places | slices), st.tuples(st.just("set"), places, numbers),
    st.tuples(st.just("delete"), places | slices), st.tuples(st.just("insert"), places, numbers), st.tuples(st.just("extend"), st.lists(numbers, max_size=3)),
    st.tuples(st.just("pop"), places), st.tuples(st.just("add"), st.lists(numbers, max_size=2)), st.tuples(st.just("iadd"), st.lists(numbers, max_size=2)),
    st.tuples(st.just("shared"), places), st.tuples(st.just("wrong"), st.sampled_from(["append", "extend", "set", "get"])),
    st.tuples(st.just("times"), st.integers(-1, 3))), max_size=8)


def act(net, kind, step, base, classes):
    made = lambda n: layer(base, n)
    many = lambda ns: getattr(classes, kind)(*map(made, ns)) if kind == "Sequential" else [made(n) for n in ns]
    name, value, *rest = step
    if name == "append": return net.append(made(value)) is net
    if name == "get": return net[value]
    if name == "set": net[value] = made(rest[0])
    if name == "delete": del net[value]
    if name == "insert": return net.insert(value, made(rest[0])) is net
    if name == "extend": return net.extend([made(n) for n in value]) is net
    if name == "pop": return net.pop(value)
    if name == "add": return net + many(value)
    if name == "iadd": net += many(value)
    if name == "shared": return net.append(net[value]) is net
    if name == "times" and kind == "Sequential": return net * value
    if name == "wrong": return {"append": lambda: net.append(3), "extend": lambda: net.extend(3), "set": lambda: net.__setitem__(0, 3), "get": lambda: net["a"]}[value]()


def follow(kind, steps, base, classes):
    net, log = getattr(classes, kind)(), []
    for step in steps: log.append(said(lambda: act(net, kind, step, base, classes)))
    log += [len(net), [m.number for m in net], repr(net), list(net.state_dict()), [n for n, _ in net.named_modules()], [n for n, _ in net.named_children()]]
    if kind == "Sequential": log.append(net(torch.ones(2)).tolist())
    return log


@given(list_steps)
def test_sequential_with_any_history(steps):
    steps = [s for s in steps if s != ("wrong", "extend")]  # PyTorch's only says that an int is not iterable
    assert follow("Sequential", steps, *KINDS["ours"]) == follow("Sequential", steps, *KINDS["torch"])


@given(list_steps)
def test_module_list_with_any_history(steps):
    steps = [s for s in steps if s[0] != "insert"]  # PyTorch's loses modules where the place is negative
    assert follow("ModuleList", steps, *KINDS["ours"]) == follow("ModuleList", steps, *KINDS["torch"])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_module_list_inserts(place):
    for base, classes in KINDS.values():
        net = classes.ModuleList([layer(base, 0), layer(base, 1)])
        assert net.insert(place, layer(base, 9)) is None
        assert [m.number for m in net] == [[9, 0, 1], [0, 9, 1], [0, 1, 9]][place] and [n for n, _ in net.named_children()] == ["0", "1", "2"]


def named(base, classes): return classes.Sequential(OrderedDict(first=layer(base, 1), second=layer(base, 2), third=layer(base, 3)))


@pytest.mark.parametrize("view", [
    lambda s: s, lambda s: s[1:], lambda s: s[-1], lambda s: s.second, lambda s: list(s.state_dict()), lambda s: s[::2](torch.ones(1)).tolist(),
    lambda s: (s.append(copy.deepcopy(s[0])), s)[1], lambda s: (s.pop(0), s)[1], lambda s: (s.__setitem__(1, s[0]), s)[1], lambda s: s[3], lambda s: s * 2,
    lambda s: 2 * s, lambda s: s + s, lambda s: s * 0, lambda s: s * 1.5, lambda s: s + [1], lambda s: s.__iadd__([1]), lambda s: s.thrid is None and 1, lambda s: s.extend(s[:1])])
def test_named_sequential(view):
    ours, theirs = (said(lambda: view(named(*kind))) for kind in KINDS.values())
    assert ours.replace("; did you mean 'third'?", "") == theirs


def test_times_in_place():
    for base, classes in KINDS.values():
        net = same = classes.Sequential(layer(base, 1), layer(base, 2))
        net *= 3
        assert net is same and [m.number for m in net] == [1, 2] * 3 and len(list(net.modules())) == 3


@pytest.mark.parametrize("view", [
    lambda d, new: (list(d), list(d.keys()), len(d), [m.number for m in d.values()], [(k, m.number) for k, m in d.items()], "a" in d, "z" in d),
    lambda d, new: d, lambda d, new: list(d.state_dict()), lambda d, new: d["z"], lambda d, new: d.pop("a"), lambda d, new: (d.pop("a"), d)[1], lambda d, new: d.pop("z"),
    lambda d, new: (d.__delitem__("b"), d)[1], lambda d, new: (d.clear(), d)[1], lambda d, new: (d.__setitem__("a", new(7)), d)[1], lambda d, new: d.__setitem__("a", 3),
    lambda d, new: d.__setitem__("x.y", new(3)), lambda d, new: (d.update([("c", new(1)), ("d", new(2))]), d)[1], lambda d, new: (d.update({"a": new(5)}), d)[1],
    lambda d, new: d.update(3), lambda d, new: (d.update(type(d)({"q": new(1)})), d)[1], lambda d, new: d.__setitem__("keys", new(1))])
def test_module_dict(view):
    ours, theirs = (said(lambda: view(classes.ModuleDict({"a": layer(base, 1), "b": layer(base, 2)}), lambda n: layer(base, n))) for base, classes in KINDS.values())
    assert ours == theirs


@pytest.mark.parametrize("numbers", [[], [1], [1, 1, 1], [1, 1, 2, 3, 3]])
def test_module_list_repr_counts_repeats(numbers):
    ours, theirs = (classes.ModuleList(classes.Sequential(layer(base, n)) for n in numbers) for base, classes in KINDS.values())
    assert repr(ours) == repr(theirs)


def test_torchs_modules_are_welcome_and_others_not():
    net = containers.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    assert net(torch.ones(4, 3)).shape == (4, 2) and list(net.state_dict()) == ["0.weight", "0.bias"]
    assert repr(net) == repr(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()))
    for make in (lambda: containers.Sequential(3), lambda: containers.ModuleList([torch.relu]), lambda: containers.ModuleDict({"a": 1}), lambda: net.insert(0, "x")):
        with pytest.raises(TypeError, match="is not a Module subclass"): make()
    assert len(net) == 2, "what is refused must not leave a trace"
