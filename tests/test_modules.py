"""Our Module beside torch's: whatever is done to both, both hold the same names in the same order, say the same, and exchange checkpoints."""
import copy, difflib, io, pickle
import pytest, torch
from hypothesis import given, strategies as st
from lesson_nb.modules import Module, Parameter, as_function

BASES = {"ours": (Module, Parameter), "torch": (torch.nn.Module, torch.nn.Parameter)}


def network(base, parameter):
    "A small network with everything: nesting, a missing bias, buffers of both kinds, a shared layer, a plain attribute."
    class Scale(base):
        def __init__(self, rows, columns, bias=True):
            super().__init__()
            self.weight = parameter(torch.arange(1.0, 1 + rows * columns).view(rows, columns) / 100)
            if bias: self.bias = parameter(torch.zeros(columns))
            else: self.register_parameter("bias", None)
            self.register_buffer("calls", torch.tensor(0))
            self.register_buffer("scratch", torch.ones(2), persistent=False)
        def forward(self, x):
            self.calls += 1
            x = x @ self.weight
            return x if self.bias is None else x + self.bias
        def extra_repr(self): return f"{tuple(self.weight.shape)}, bias={self.bias is not None}"

    class Block(base):
        def __init__(self):
            super().__init__()
            self.first = Scale(4, 4)
            self.second = Scale(4, 4, bias=False)
        def forward(self, x): return self.second(self.first(x).tanh())

    class Network(base):
        def __init__(self):
            super().__init__()
            self.gain = parameter(torch.ones(()))
            self.block, self.head = Block(), Scale(4, 3)
            self.again = self.block
            self.size, self.nothing = 4, None
        def forward(self, x): return self.gain * self.head(self.again(self.block(x)))
        def extra_repr(self): return "two\nlines"
    return Network()


@pytest.fixture
def pair(): return network(*BASES["ours"]), network(*BASES["torch"])


VIEWS = {
    "named_parameters": lambda m: [(n, tuple(p.shape)) for n, p in m.named_parameters()],
    "named_parameters twice": lambda m: [n for n, _ in m.named_parameters(remove_duplicate=False)],
    "named_parameters of its own": lambda m: [n for n, _ in m.named_parameters(prefix="net", recurse=False)],
    "named_buffers": lambda m: [n for n, _ in m.named_buffers()],
    "named_buffers by position": lambda m: [n for n, _ in m.named_buffers("net", False, False)],
    "named_modules": lambda m: [(n, type(x).__name__) for n, x in m.named_modules()],
    "named_modules twice": lambda m: [n for n, _ in m.named_modules(prefix="p", remove_duplicate=False)],
    "named_children": lambda m: [n for n, _ in m.named_children()],
    "counts": lambda m: [len(list(v)) for v in (m.parameters(), m.buffers(), m.modules(), m.children(), m.parameters(recurse=False))],
    "state_dict": lambda m: [(n, v.dtype, v.requires_grad) for n, v in m.state_dict().items()],
    "state_dict with a prefix": lambda m: [(n, type(v) is torch.Tensor) for n, v in m.state_dict(prefix="a.", keep_vars=True).items()],
    "metadata": lambda m: dict(m.state_dict()._metadata),
    "repr": repr,
    "dir": lambda m: {n for n in dir(m) if not n.startswith("_")} & {"gain", "block", "head", "again", "size", "nothing", "training"},
    "apply": lambda m: (seen := [], m.apply(lambda x: seen.append(type(x).__name__)))[0],
    "mode": lambda m: [x.training for x in m.eval().modules()] + [x.training for x in m.train().modules()],
    "requires_grad_": lambda m: [p.requires_grad for p in m.requires_grad_(False).parameters()],
    "double": lambda m: [(n, v.dtype) for n, v in m.double().state_dict().items()],
    "float": lambda m: [v.dtype for v in m.double().float().buffers()],
    "to a tensor": lambda m: [v.dtype for v in m.to(torch.zeros((), dtype=torch.float16)).state_dict().values()],
    "to dtype by name": lambda m: [v.dtype for v in m.to("cpu", dtype=torch.bfloat16).buffers()],
    "to meta": lambda m: [(v.is_meta, v.dtype, v.requires_grad) for v in m.to("meta").parameters()],
    "returns itself": lambda m: [m.to(torch.float64) is m, m.train() is m, m.eval() is m, m.apply(id) is m, m.requires_grad_() is m, m.double() is m],
}


@pytest.mark.parametrize("view", VIEWS)
def test_same_as_torchs(pair, view):
    ours, theirs = map(VIEWS[view], pair)
    assert ours == theirs


def said(action):
    "What an action returns, or the kind and text of what it raises."
    try: return action()
    except Exception as error: return next(k.__name__ for k in type(error).__mro__ if not k.__name__.startswith("_")), str(error)


REFUSED = {
    "tensor over a parameter": lambda m, p: setattr(m.head, "weight", torch.zeros(2)),
    "number over a child": lambda m, p: setattr(m, "head", 3),
    "list over a buffer": lambda m, p: setattr(m.head, "calls", [1]),
    "taken name": lambda m, p: m.register_buffer("head", torch.zeros(1)),
    "empty name": lambda m, p: m.register_parameter("", None),
    "dot": lambda m, p: m.register_buffer("a.b", None),
    "dot in a module": lambda m, p: m.add_module("a.b", None),
    "number as name": lambda m, p: m.register_parameter(3, None),
    "number as child": lambda m, p: m.add_module("x", 3),
    "class as child": lambda m, p: m.add_module("x", dict),
    "tensor as parameter": lambda m, p: m.register_parameter("x", torch.zeros(1)),
    "number as buffer": lambda m, p: m.register_buffer("x", 1.5),
    "mode that is no boolean": lambda m, p: m.train(1),
    "whole numbers": lambda m, p: m.to(torch.int64),
    "no forward": lambda m, p: type(m).__mro__[1]()(torch.zeros(1)),
    "no dictionary": lambda m, p: m.load_state_dict([1, 2]),
    "deleting what is not there": lambda m, p: delattr(m, "hed"),
    "bad pre-hook": lambda m, p: (m.register_forward_pre_hook(lambda *a: 3, with_kwargs=True), m(torch.ones(2, 4))),
}


@pytest.mark.parametrize("action", REFUSED)
def test_refusals_are_torchs(pair, action):
    ours, theirs = (said(lambda: REFUSED[action](net, p)) for net, (_, p) in zip(pair, BASES.values()))
    assert theirs is not None and ours == theirs


def test_computed_tensor_is_no_parameter(pair):
    for net, (_, parameter) in zip(pair, BASES.values()):
        grown = parameter(torch.ones(2)) * 2
        assert said(lambda: setattr(net, "grown", grown)) is None and "grown" not in dict(net.named_parameters())


@pytest.mark.parametrize("base", BASES)
def test_init_has_to_be_called_first(base):
    module, parameter = BASES[base]
    class Forgot(module):
        def __init__(self, value): self.x = value
    assert said(lambda: Forgot(parameter(torch.ones(1)))) == ("AttributeError", "cannot assign parameters before Module.__init__() call")
    assert said(lambda: Forgot(module())) == ("AttributeError", "cannot assign module before Module.__init__() call")
    class Registers(module):
        def __init__(self): self.register_buffer("x", None)
    assert said(Registers) == ("AttributeError", "cannot assign buffer before Module.__init__() call")


def test_forgotten_init_is_named_on_use():
    class Forgot(Module):
        def __init__(self): self.x = 3
    assert Forgot().x == 3
    for action in (lambda: Forgot()(1), lambda: Forgot().weight): assert "super().__init__()" in said(action)[1]


# whatever is done to both ---------------------------------------------------------------------------------------------------
names = st.sampled_from(["a", "b", "weight", "_private"])
kinds = st.sampled_from(["parameter", "tensor", "module", "none", "number", "buffer"])
steps = st.lists(st.tuples(st.sampled_from(["assign", "delete", "parameter", "buffer", "temporary", "module", "into a"]), names, kinds), max_size=12)


def value(kind, base, parameter):
    return {"parameter": lambda: parameter(torch.ones(2)), "tensor": lambda: torch.zeros(3), "module": base, "none": lambda: None,
            "number": lambda: 7, "buffer": lambda: torch.nn.Buffer(torch.ones(1), persistent=False)}[kind]()


def follow(base, parameter, actions):
    "Do it all to one module; what was said at each step, and what there is in the end."
    net, log = base(), []
    for action, name, kind in actions:
        new = value(kind, base, parameter)
        place = net.a if action == "into a" and isinstance(getattr(net, "a", None), base) else net
        do = {"delete": lambda: delattr(net, name), "parameter": lambda: net.register_parameter(name, new), "buffer": lambda: net.register_buffer(name, new),
              "temporary": lambda: net.register_buffer(name, new, persistent=False), "module": lambda: net.add_module(name, new)}
        got = said(do.get(action, lambda: setattr(place, name, new)))
        log.append(str(got).replace(f"{base.__module__}.{base.__qualname__}", "MODULE").replace(f"{parameter.__module__}.{parameter.__qualname__}", "PARAMETER"))
    return log, [n for n, _ in net.named_parameters()], [n for n, _ in net.named_buffers()], [n for n, _ in net.named_modules()], list(net.state_dict())


@given(steps)
def test_any_history_leaves_the_same(actions): assert follow(*BASES["ours"], actions) == follow(*BASES["torch"], actions)


keys = st.sampled_from(["gain", "block.first.weight", "block.first.bias", "head.calls", "again.second.weight", "block.scratch", "nonsense", "head.weight.x"])
changes = st.lists(st.tuples(st.sampled_from(["drop", "shape", "number", "one", "ok"]), keys), max_size=6)


@given(changes, st.booleans(), st.booleans())
def test_any_checkpoint_is_taken_or_refused_alike(edits, strict, assign):
    checkpoint = network(*BASES["torch"]).state_dict()
    for edit, key in edits:
        old = checkpoint.get(key, torch.zeros(2))
        if edit == "drop": checkpoint.pop(key, None)
        else: checkpoint[key] = {"shape": torch.zeros(5), "number": 3.5, "one": torch.full((1,), 2.0), "ok": torch.as_tensor(old) + 1}[edit]
    results = []
    for base in BASES.values():
        net = network(*base)
        said_so = said(lambda: net.load_state_dict(copy.deepcopy(checkpoint), strict=strict, assign=assign))
        results.append((str(said_so), {n: v.tolist() for n, v in net.state_dict().items()}, [n for n, _ in net.named_parameters()]))
    assert results[0] == results[1]


def test_checkpoints_go_both_ways_through_files(pair, tmp_path):
    for source, target in (pair, pair[::-1]):
        for p in source.parameters(): p.data += torch.rand_like(p)
        torch.save(source.state_dict(), tmp_path / "net.pt")
        assert repr(target.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))) == "<All keys matched successfully>"
        for (name, a), (other, b) in zip(source.state_dict().items(), target.state_dict().items()): assert name == other and torch.equal(a, b)
    found = pair[0].load_state_dict({"nonsense": torch.zeros(1)}, strict=False)
    assert found.unexpected_keys == ["nonsense"] and repr(found) == repr(pair[1].load_state_dict({"nonsense": torch.zeros(1)}, strict=False))


def test_state_dict_shares_memory_and_assign_takes_over(pair):
    net = pair[0]
    state = net.state_dict()
    with torch.no_grad(): net.gain.fill_(9)
    assert state["gain"] == 9
    new = {name: v.clone() for name, v in state.items()}
    before = dict(net.named_parameters())
    net.load_state_dict(new, assign=True)
    after = dict(net.named_parameters())
    assert all(after[n].data_ptr() == new[n.replace("block", "again")].data_ptr() and after[n] is not before[n] for n in after)
    assert {type(p) for p in after.values()} == {Parameter} and net.again.first is net.block.first
    net.load_state_dict(state)
    assert all(p is after[n] for n, p in net.named_parameters())


def test_same_training_step_by_step(pair):
    optimizers = [torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9) for net in pair]
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        x, y = torch.randn(6, 4, generator=generator), torch.randn(6, 3, generator=generator)
        for net, optimizer in zip(pair, optimizers):
            net.zero_grad()
            ((net(x) - y) ** 2).mean().backward()
            optimizer.step()
        for a, b in zip(*(net.state_dict().values() for net in pair)): assert torch.equal(a, b)
    assert pair[0].block.first.calls == 10


# moving ----------------------------------------------------------------------------------------------------------------------
def test_conversion_stays_inside_the_parameter_and_takes_the_gradient_along(pair):
    for net in pair:
        net(torch.ones(2, 4)).sum().backward()
        before, gradient = net.head.weight, net.head.weight.grad.clone()
        net.double()
        assert net.head.weight is before and before.dtype == before.grad.dtype == torch.float64 and torch.equal(before.grad, gradient.double())
        assert net.head.calls.dtype == torch.int64 and net.block.first.scratch.dtype == torch.float64 and before.requires_grad


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad(pair, set_to_none):
    for net in pair:
        net(torch.ones(2, 4)).sum().backward()
        net.zero_grad(set_to_none=set_to_none)
        assert all(p.grad is None if set_to_none else not p.grad.any() for p in net.parameters())


def test_meta_and_back_by_assign():
    ours = network(*BASES["ours"])
    saved = copy.deepcopy(ours.state_dict())
    ours.to("meta")
    ours.block.first.scratch = ours.block.second.scratch = ours.head.scratch = torch.ones(2)
    ours.load_state_dict(saved, assign=True)
    assert torch.equal(ours(torch.ones(1, 4)), network(*BASES["torch"])(torch.ones(1, 4)))


# sharing, copies, files ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_keep_what_is_shared(again):
    net = Module()
    net.first, net.note = Parameter(torch.randn(3)), "plain"
    net.second, net.child = net.first, Module()
    net.child.third = net.first
    net.register_buffer("b", torch.ones(1), persistent=False)
    twin = again(net)
    assert twin.first is twin.second is twin.child.third and twin.first is not net.first and type(twin.first) is Parameter
    assert torch.equal(twin.first, net.first) and twin.first.data_ptr() != net.first.data_ptr()
    assert [n for n, _ in twin.named_parameters()] == ["first"] and list(twin.state_dict()) == ["first", "second", "child.third"]
    assert twin.note == "plain" and twin.first.requires_grad and twin._non_persistent_buffers_set == {"b"}


def test_frozen_parameter_stays_frozen_in_copies():
    frozen = Parameter(torch.ones(2), requires_grad=False)
    for twin in (copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))): assert not twin.requires_grad and type(twin) is Parameter


def test_module_saves_whole():
    net = Module()
    net.w, net.layer = Parameter(torch.randn(2)), torch.nn.Linear(2, 2)
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    twin = torch.load(file, weights_only=False)
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), twin.state_dict().values()))


# hooks -----------------------------------------------------------------------------------------------------------------------
def hooked(base, parameter):
    "What hooks of all kinds see and change."
    net, seen = network(base, parameter), []
    x = torch.ones(2, 4)
    with net.head.register_forward_hook(lambda m, a, o: seen.append(("hook", type(m).__name__, tuple(a[0].shape), tuple(o.shape)))): net(x)
    net(x)
    first = net.head.register_forward_pre_hook(lambda m, a: (seen.append("pre"), a[0] * 2)[1])
    net.head.register_forward_pre_hook(lambda m, a, k: (seen.append(("kwargs", k)), ((a[0] + 1,), {}))[1], with_kwargs=True, prepend=True)
    net.head.register_forward_hook(lambda m, a, o: o * 3)
    net.head.register_forward_hook(lambda m, a, k, o: seen.append(("after", o.sum().item())), with_kwargs=True)
    net.head.register_forward_hook(lambda m, a, o: seen.append(("earlier", o.sum().item())), prepend=True)
    outputs = [net(x)]
    first.remove()
    first.remove()
    return seen, [o.tolist() for o in outputs + [net(x)]]


def test_hooks_are_torchs(): assert hooked(*BASES["ours"]) == hooked(*BASES["torch"])


def test_hook_may_remove_itself():
    net, seen = network(*BASES["ours"]), []
    handle = net.register_forward_hook(lambda *a: (seen.append(1), handle.remove())[0])
    net(torch.ones(1, 4)), net(torch.ones(1, 4))
    assert seen == [1]


def test_always_call_is_refused_by_name():
    with pytest.raises(NotImplementedError, match="always_call"): Module().register_forward_hook(print, always_call=True)


# names -----------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("wrong, right", [("wieght", "weight"), ("biass", "bias"), ("call", "calls"), ("forwrd", "forward"), ("named_parameter", "named_parameters")])
def test_typo_gets_the_nearest_name(pair, wrong, right):
    with pytest.raises(AttributeError, match=f"'Scale' object has no attribute '{wrong}'; did you mean '{right}'"): getattr(pair[0].head, wrong)


def test_nothing_near_nothing_said(pair):
    with pytest.raises(AttributeError) as error: pair[0].quxx
    assert str(error.value) == "'Network' object has no attribute 'quxx'" == said(lambda: pair[1].quxx)[1]


def test_hasattr_does_not_search(pair, monkeypatch):
    monkeypatch.setattr(difflib, "get_close_matches", lambda *a: pytest.fail("searched"))
    assert not hasattr(pair[0].head, "wieght") and getattr(pair[0], "__deepcopy__", None) is None


def test_error_inside_a_property_is_not_hidden():
    class Broken(Module):
        @property
        def size(self): return self.__class__.nowhere
    with pytest.raises(AttributeError, match="nowhere"): Broken().size


# strangers -------------------------------------------------------------------------------------------------------------------
def test_torchs_layers_are_children_of_ours():
    class Mixed(Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(3))
            self.body = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
            self.tail = Module()
            self.tail.layer = torch.nn.Linear(3, 2)
        def forward(self, x): return self.tail.layer(self.body(x) * self.scale)
    torch.manual_seed(0)
    net, theirs = Mixed(), torch.nn.Module()
    theirs.scale, theirs.body, theirs.tail = torch.nn.Parameter(torch.ones(3)), copy.deepcopy(net.body), torch.nn.Module()
    theirs.tail.layer = copy.deepcopy(net.tail.layer)
    for view in ("named_parameters", "named_buffers", "named_modules", "state_dict", "metadata", "double"):
        assert VIEWS[view](net)[1:] == VIEWS[view](theirs)[1:] if view == "named_modules" else VIEWS[view](net) == VIEWS[view](theirs)
    assert dict(net.state_dict()._metadata)["body.1"] == {"version": 2} and not net.eval().body[1].training
    bad = {"scale": torch.ones(2), "body.1.x": torch.ones(1)}
    assert said(lambda: net.load_state_dict(bad))[1].split("\n")[1:] == said(lambda: theirs.load_state_dict(bad))[1].split("\n")[1:]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    x, losses = torch.randn(8, 4, dtype=torch.float64), []
    for _ in range(5):
        losses.append(((net.train()(x) - 1) ** 2).mean())
        optimizer.zero_grad(), losses[-1].backward(), optimizer.step()
    assert losses[-1] < losses[0] and net.body[1].num_batches_tracked == 5


def test_our_parameter_in_torchs_module():
    theirs = torch.nn.Module()
    theirs.w = Parameter(torch.ones(2))
    assert [n for n, _ in theirs.named_parameters()] == ["w"] and isinstance(theirs.w, torch.nn.Parameter)


def test_parameter_is_torchs():
    for parameter in (Parameter, torch.nn.Parameter):
        p = parameter(torch.arange(3.0))
        assert p.requires_grad and p.is_leaf and type(p * 2) is type(p.detach()) is type(p.data) is torch.Tensor and not isinstance(p * 2, Parameter)
        assert repr(p) == "Parameter containing:\ntensor([0., 1., 2.], requires_grad=True)"
        assert parameter().shape == (0,) and not parameter(torch.ones(1), False).requires_grad
        with pytest.raises(RuntimeError, match="floating point"): parameter(torch.arange(3))
    shared = torch.zeros(2)
    Parameter(shared).data += 1
    assert shared.sum() == 2
    with pytest.raises(TypeError, match="expected a tensor, got list"): Parameter([1.0])
    assert isinstance(torch.nn.Parameter(torch.ones(1)), Parameter) and not isinstance(torch.ones(1), Parameter)


# the module as a function ----------------------------------------------------------------------------------------------------
def test_as_function_puts_values_in_and_takes_them_out_again(pair):
    x = torch.randn(3, 4, dtype=torch.float64)
    for net in pair:
        f, own = as_function(net.double()), list(net.parameters())
        expected = net(x)
        torch.testing.assert_close(f(x, *own), expected)
        values = [p.detach().clone() for p in own]
        values[0] = values[0] * 2
        torch.testing.assert_close(f(x, *values), 2 * expected)
        assert all(a is b for a, b in zip(own, net.parameters())) and torch.equal(net(x), expected)
        assert torch.autograd.gradcheck(lambda *v: f(x, *v), [v.requires_grad_() for v in values])
        with pytest.raises(ValueError): f(x, values[0])
        with pytest.raises(RuntimeError): f(x[:, :2], *values)
        assert torch.equal(net(x), expected), "an error inside must not leave the values behind"
