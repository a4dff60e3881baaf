"""GRU and LSTM, cells and layers, beside torch's: every argument, states, gradients and theirs, layouts, dtypes, checkpoints, errors; the gates."""
import copy, itertools, sys, warnings
from functools import partial
import pytest, torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
import layer_steps
from layer_steps import draw
from lesson_nb import gated_rnn, modules, nn as ours_nn, rnn
from lesson_nb.gated_rnn import gru_step, lstm_step, watch_gates

pytestmark = pytest.mark.usefixtures("one_thread")
KINDS = ("GRU", "LSTM")
each_kind = pytest.mark.parametrize("kind", KINDS)
SETTINGS = [dict(num_layers=layers, bias=bias, batch_first=first, bidirectional=both) for layers, bias, first, both in itertools.product((1, 2), (True, False), (True, False), (True, False))]
SETTINGS.append(dict(num_layers=3, bidirectional=True))


def both(kind, *args, dtype=torch.float64, **kwargs):
    "Ours and torch's from the same seed; the parameters are compared, not copied."
    sides = []
    for place in (ours_nn, nn):
        torch.manual_seed(3)
        sides.append(getattr(place, kind)(*args, dtype=dtype, **kwargs))
    return sides


def state_for(layer, batch, seed=5, dtype=torch.float64):
    "A first state for a layer: a tensor, or two of them."
    shape = (layer.num_layers * (1 + layer.bidirectional), *batch, layer.hidden_size)
    parts = tuple(draw(*shape, seed=seed + i, dtype=dtype).requires_grad_() for i in range(2))
    return parts if isinstance(layer, (nn.LSTM, ours_nn.LSTM)) else parts[0]


def leaves(value): return [value] if isinstance(value, torch.Tensor) else [leaf for part in value for leaf in leaves(part)]


def step(layer, x, state=None, twice=False):
    "Outputs, states and all gradients, by name; `twice`: the gradients of the gradients' squares too."
    x = x.detach().requires_grad_()
    found = leaves(layer(x, state))
    wanted = {"input": x} | {f"state {i}": s for i, s in enumerate(leaves(state) if state is not None else ())} | dict(layer.named_parameters())
    flow = [draw(*f.shape, seed=7 + i, dtype=f.dtype) for i, f in enumerate(found)]
    grads = torch.autograd.grad(found, list(wanted.values()), flow, create_graph=twice)
    result = {f"result {i}": f.detach() for i, f in enumerate(found)} | {name: g.detach() for name, g in zip(wanted, grads)}
    if twice: result |= {f"again {name}": g for name, g in zip(wanted, torch.autograd.grad(sum(g.square().sum() for g in grads), list(wanted.values())))}
    return result


assert_alike = partial(layer_steps.assert_alike, rtol=1e-9, atol=1e-11)


@each_kind
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_layers_are_torchs(kind, settings):
    ours, theirs = both(kind, 3, 4, **settings)
    assert repr(ours) == repr(theirs) and [*ours.state_dict()] == [*theirs.state_dict()]
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True): assert torch.equal(a, b)
    for steps, batch in ((5, 2), (1, 3), (4, 1)):
        x = draw(*((batch, steps) if ours.batch_first else (steps, batch)), 3)
        assert_alike(step(ours, x), step(theirs, x))
        assert_alike(step(ours, x, state_for(ours, (batch,))), step(theirs, x, state_for(theirs, (batch,))))
    assert_alike(step(ours, draw(5, 3)), step(theirs, draw(5, 3)))                                           # without a batch
    assert_alike(step(ours, draw(5, 3), state_for(ours, ())), step(theirs, draw(5, 3), state_for(theirs, ())))


@each_kind
@pytest.mark.parametrize("settings", SETTINGS[::3] + SETTINGS[-1:], ids=str)
def test_gradients_of_gradients_are_torchs(kind, settings):
    ours, theirs = both(kind, 3, 2, **settings)
    x = draw(3, 2, 3)
    batch = (3,) if ours.batch_first else (2,)
    assert_alike(step(ours, x, state_for(ours, batch), twice=True), step(theirs, x, state_for(theirs, batch), twice=True))


@each_kind
def test_gradients_of_gradients_where_the_state_hangs_on_the_weights(kind):
    "The second call begins where the first ended: a weight acts on both ways, and must not be counted twice."
    for layer in both(kind, 3, 2):
        x = draw(3, 2, 3).requires_grad_()
        _, state = layer(x)
        outputs, _ = layer(x, state)
        grads = torch.autograd.grad(outputs.square().sum(), [x, *layer.parameters()], create_graph=True)
        again = torch.autograd.grad(sum(g.square().sum() for g in grads), [x, *layer.parameters()])
        if isinstance(layer, (ours_nn.GRU, ours_nn.LSTM)): mine = [*grads, *again]
    for a, b in zip(mine, [*grads, *again], strict=True): torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@each_kind
def test_with_and_without_create_graph_the_gradient_is_the_same(kind):
    layer, _ = both(kind, 3, 4)
    assert_alike(step(layer, draw(5, 2, 3)), {k: v for k, v in step(layer, draw(5, 2, 3), twice=True).items() if not k.startswith("again")})


@each_kind
def test_backward_twice_over_one_graph(kind):
    layer, _ = both(kind, 3, 4)
    loss = layer(draw(5, 2, 3))[0].square().sum()
    first, second = (torch.autograd.grad(loss, list(layer.parameters()), retain_graph=True) for _ in range(2))
    for a, b in zip(first, second): assert torch.equal(a, b)


@each_kind
def test_what_needs_no_gradient_gets_none(kind):
    ours, theirs = both(kind, 3, 4)
    for layer in (ours, theirs):
        layer.weight_hh_l0.requires_grad_(False)
        layer.bias_ih_l0.requires_grad_(False)
        x = draw(5, 2, 3)
        layer(x)[0].square().sum().backward()
        assert layer.weight_hh_l0.grad is None and layer.bias_ih_l0.grad is None
    torch.testing.assert_close(ours.weight_ih_l0.grad, theirs.weight_ih_l0.grad)
    torch.testing.assert_close(ours.bias_hh_l0.grad, theirs.bias_hh_l0.grad)
    grads = torch.autograd.grad(ours(x)[0].square().sum(), [ours.weight_ih_l0, ours.bias_hh_l0], create_graph=True)
    torch.testing.assert_close(grads[0], theirs.weight_ih_l0.grad)
    torch.testing.assert_close(grads[1], theirs.bias_hh_l0.grad)
    with torch.no_grad(): assert not leaves(ours(x))[0].requires_grad


@each_kind
@pytest.mark.parametrize("which", range(2))
def test_one_result_alone_may_flow_back(kind, which):
    for layer in both(kind, 3, 4, num_layers=2):
        layer.zero_grad()
        result = layer(draw(5, 2, 3))[which]
        sum(part.square().sum() for part in leaves(result)[-1:]).backward()
        grads = [p.grad for p in layer.parameters()]
        if isinstance(layer, (ours_nn.GRU, ours_nn.LSTM)): mine = grads
    for a, b in zip(mine, grads, strict=True): torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@each_kind
def test_layouts(kind):
    arrangements = [lambda x: x.transpose(0, 1).contiguous().transpose(0, 1), lambda x: x.mT.contiguous().mT, lambda x: torch.stack([x, x], -1)[..., 0], lambda x: x[:1].expand_as(x)]
    for arrange in arrangements:
        ours, theirs = both(kind, 3, 4, bidirectional=True)
        x = arrange(draw(5, 2, 3))
        results = []
        for layer in (ours, theirs):
            inputs = x.detach().requires_grad_()
            found = layer(inputs)[0]
            results.append([found, *torch.autograd.grad(found, [inputs, *layer.parameters()], arrange(draw(5, 2, 8)))])
        for a, b in zip(*results): torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@each_kind
def test_empty_batches(kind):
    ours, theirs = both(kind, 3, 4, num_layers=2, bidirectional=True)
    found, expected = (leaves(layer(torch.empty(5, 0, 3, dtype=torch.float64))) for layer in (ours, theirs))
    assert [f.shape for f in found] == [e.shape for e in expected]
    found[0].sum().backward()
    assert all(p.grad.eq(0).all() for p in ours.parameters())


@each_kind
@pytest.mark.parametrize("steps, batch", [(300, 4), (128, 16), (65, 16), (3, 1100), (1030, 1)])
def test_long_and_wide_inputs(kind, steps, batch):
    "An LSTM goes through stretches of about a thousand rows: a shorter last one, an even number, one step over, one step each, one sequence."
    ours, theirs = both(kind, 3, 2, batch_first=True, bidirectional=True)
    x = draw(batch, steps, 3)
    assert_alike(step(ours, x, state_for(ours, (batch,))), step(theirs, x, state_for(theirs, (batch,))))


@each_kind
def test_no_two_gradients_share_memory(kind):
    "Clipping changes gradients in place; what is shared would be changed twice."
    layer, _ = both(kind, 3, 4)
    x = draw(5, 2, 3).requires_grad_()
    grads = torch.autograd.grad(layer(x)[0].square().sum(), [x, *layer.parameters()])
    assert len({g.untyped_storage().data_ptr() for g in grads}) == len(grads)


@each_kind
def test_dropout_between_layers(kind):
    ours, theirs = both(kind, 3, 4, num_layers=3, dropout=0.5)
    sides = []
    for layer in (ours, theirs):
        torch.manual_seed(11)
        sides.append(step(layer, draw(5, 2, 3)))
    assert_alike(*sides)
    ours.eval(), theirs.eval()
    assert_alike(step(ours, draw(5, 2, 3)), step(theirs, draw(5, 2, 3)))
    assert not torch.equal(sides[0]["result 0"], step(ours, draw(5, 2, 3))["result 0"])
    with pytest.warns(UserWarning, match="dropout"): getattr(ours_nn, kind)(3, 4, dropout=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        getattr(ours_nn, kind)(3, 4, 2, dropout=0.5)


@each_kind
@pytest.mark.parametrize("size", [1.0, 30.0])
def test_single_precision_is_as_good_as_torchs(kind, size):
    ours, theirs = both(kind, 30, 20, dtype=torch.float32)
    truth_of = copy.deepcopy(theirs).double()
    x = (draw(40, 8, 30) * size).float()
    truth, found, expected = step(truth_of, x.double()), step(ours, x), step(theirs, x)
    for name in truth:
        error, own = ((side[name].double() - truth[name]).abs().max() for side in (found, expected))
        assert error <= 3 * own + 1e-6 * truth[name].abs().max(), name


@each_kind
def test_half_precision_and_autocast(kind):
    ours, theirs = both(kind, 6, 5, dtype=torch.bfloat16)
    truth_of = copy.deepcopy(theirs).double()
    x = draw(7, 3, 6, dtype=torch.bfloat16)
    truth, found = step(truth_of, x.double()), step(ours, x)
    for name in truth:
        assert found[name].dtype == torch.bfloat16
        assert (found[name].double() - truth[name]).abs().max() <= 0.06 * truth[name].abs().max(), name
    single = both(kind, 6, 5, dtype=torch.float32)[0]
    with torch.autocast("cpu", torch.bfloat16): mixed = single(x.float(), state_for(single, (3,), dtype=torch.float32))[0]
    torch.testing.assert_close(mixed.float(), single(x.float(), state_for(single, (3,), dtype=torch.float32))[0], rtol=0.05, atol=0.05)
    mixed.float().sum().backward()
    assert all(p.grad.isfinite().all() for p in single.parameters())


@pytest.mark.parametrize("bias", [True, False])
@each_kind
def test_cells_are_torchs(kind, bias):
    for shape in ((4, 3), (1, 3), (3,), (0, 3)):
        results = []
        for place in (ours_nn, nn):
            torch.manual_seed(2)
            cell = getattr(place, f"{kind}Cell")(3, 5, bias=bias, dtype=torch.float64)
            parts = tuple(draw(*shape[:-1], 5, seed=s).requires_grad_() for s in (1, 2))
            given = parts if kind == "LSTM" else parts[0]
            x = draw(*shape).requires_grad_()
            for state in (None, given):
                found = leaves(cell(x, state))
                wanted = [x, *cell.parameters(), *(leaves(state) if state is not None else ())]
                results.append((repr(cell), [*cell.state_dict()], found + list(torch.autograd.grad(found, wanted, [draw(*f.shape, seed=9) for f in found]))))
        for ours, theirs in zip(results[:2], results[2:]):
            assert ours[:2] == theirs[:2] and len(ours[2]) == len(theirs[2])
            for a, b in zip(ours[2], theirs[2]): torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def test_a_layer_is_its_cell_in_a_loop():
    for kind, one in (("GRU", gru_step), ("LSTM", lstm_step)):
        layer, _ = both(kind, 3, 4)
        weights, x, state = layer.all_weights[0], draw(6, 2, 3), [draw(2, 4, seed=s) for s in (1, 2)][:1 + (kind == "LSTM")]
        first = tuple(s[None] for s in state) if kind == "LSTM" else state[0][None]
        for t in x:
            found = one(t @ weights[0].T + weights[2], *state, weights[1], weights[3])
            state = list(found) if kind == "LSTM" else [found]
        outputs, end = layer(x, first)
        torch.testing.assert_close(outputs[-1], state[0])
        torch.testing.assert_close(torch.cat(leaves(end)), torch.stack(state))


@each_kind
def test_checkpoints_both_ways(kind, tmp_path):
    ours, theirs = both(kind, 3, 4, num_layers=2, bidirectional=True)
    for source, target in ((ours, theirs), (theirs, ours)):
        with torch.no_grad():
            for p in source.parameters(): p.add_(torch.randn_like(p))
        torch.save(source.state_dict(), tmp_path / "layer.pt")
        assert target.load_state_dict(torch.load(tmp_path / "layer.pt", weights_only=True)) == nn.Module().load_state_dict({})
        assert_alike(step(ours, draw(5, 2, 3)), step(theirs, draw(5, 2, 3)))
    twin = copy.deepcopy(ours)
    assert_alike(step(twin, draw(5, 2, 3)), step(ours, draw(5, 2, 3)))


class Cell(nn.Module):
    "A cell as a module of (input, state)."
    def __init__(self, cell): super().__init__(); self.cell = cell
    def forward(self, x, state): return self.cell(x, state)


class Kernels(TorchDispatchMode):
    def __init__(self): super().__init__(); self.seen = set()
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


@each_kind
def test_runs_no_kernel_of_its_counterpart(kind):
    def forbidden(layer, x):
        with Kernels() as kernels: step(layer, x)
        return {k for k in kernels.seen if any(word in k for word in ("gru", "lstm", "rnn"))}
    ours, theirs = both(kind, 3, 4, dtype=torch.float32)
    assert forbidden(ours, draw(5, 2, 3, dtype=torch.float32)) == set()
    if kind == "LSTM": assert forbidden(theirs, draw(5, 2, 3, dtype=torch.float32))      # torch's GRU on a CPU is a composite too
    assert not forbidden(Cell(getattr(ours_nn, f"{kind}Cell")(3, 4)), draw(2, 3, dtype=torch.float32))


@each_kind
def test_the_way_back_builds_no_graph_of_steps(kind):
    "One node for all steps of a layer: that is what the Function is for."
    layer, _ = both(kind, 3, 4)
    def count(steps):
        seen, waiting = set(), [layer(draw(steps, 2, 3))[0].grad_fn]
        while waiting:
            if (node := waiting.pop()) is not None and node not in seen:
                seen.add(node)
                waiting += [n for n, _ in node.next_functions]
        return len(seen)
    assert count(2) == count(20)


@each_kind
def test_changed_outputs_are_noticed(kind):
    layer, _ = both(kind, 3, 4)
    outputs, _ = layer(draw(5, 2, 3))
    with torch.no_grad(): outputs[2] += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"): outputs.sum().backward()


@each_kind
def test_trains_on_our_module_as_on_torchs(kind, once_more, monkeypatch):
    monkeypatch.setitem(sys.modules, "lesson_nb.rnn", once_more(rnn))
    again = once_more(gated_rnn)
    torch.manual_seed(1)
    ours = getattr(again, kind)(3, 4, 2)
    assert isinstance(ours, modules.Module)
    torch.manual_seed(1)
    theirs = getattr(nn.modules.rnn, kind)(3, 4, 2)
    for layer in (ours, theirs):
        for i in range(3):
            for p in layer.parameters(): p.grad = None
            layer(draw(5, 2, 3, seed=i, dtype=torch.float32))[0].square().sum().backward()
            with torch.no_grad():
                for p in layer.parameters(): p -= 0.1 * p.grad
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True): torch.testing.assert_close(a.detach(), b.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("act, error, words, torch_too", [
    (lambda n: n.LSTM(3, 4, proj_size=2), NotImplementedError, "proj_size=2 is not rebuilt.*torch.nn.LSTM", False),
    (lambda n: n.GRU(3, 4, proj_size=2), ValueError, "proj_size", True),
    (lambda n: n.GRU(3, 4)(torch.randn(5, 2, 4)), RuntimeError, "input_size=3|input.size", True),
    (lambda n: n.GRU(3, 4)(torch.randn(5, 2, 3), torch.randn(1, 3, 4)), RuntimeError, r"\(1, 2, 4\)|hidden", True),
    (lambda n: n.LSTM(3, 4)(torch.randn(5, 2, 3), (torch.randn(1, 2, 4), torch.randn(1, 2, 5))), RuntimeError, r"\(1, 2, 4\)|hidden|cell", True),
    (lambda n: n.GRU(3, 4)(torch.randn(0, 2, 3)), RuntimeError, "at least one time step|larger than 0", True),
    (lambda n: n.GRU(3, 4)(torch.randn(3)), ValueError, "expected an input|2D or 3D", True),
    (lambda n: n.GRUCell(3, 4)(torch.randn(2, 5)), RuntimeError, "input_size=3|inconsistent", True),
    (lambda n: n.LSTMCell(3, 4)(torch.randn(2, 3), (torch.randn(3, 4), torch.randn(3, 4))), RuntimeError, "state|hidden", True)])
def test_bad_input_gets_expected_got_and_mend(act, error, words, torch_too):
    with pytest.raises(error, match=words): act(ours_nn)
    if torch_too:
        with pytest.raises((RuntimeError, ValueError, TypeError)): act(nn)


def test_packed_sequences_are_refused_by_name():
    packed = nn.utils.rnn.pack_sequence([torch.randn(4, 3), torch.randn(2, 3)])
    for kind in KINDS:
        with pytest.raises(NotImplementedError, match="PackedSequence"): getattr(ours_nn, kind)(3, 4)(packed)


@each_kind
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("given", [True, False])
def test_gates_are_those_of_the_steps(kind, bias, given):
    for layer in both(kind, 3, 4, bias=bias):
        x, state = draw(6, 2, 3), None
        if given: state = state_for(layer, (2,))
        gates = watch_gates(layer, x, state)
        weight_ih, weight_hh, *biases = layer.all_weights[0]
        parts = [s[0].detach() for s in leaves(state)] if given else [torch.zeros(2, 4).double()] * 2
        names = {"reset": 0, "update": 1} if kind == "GRU" else {"input": 0, "forget": 1, "output": 3}
        assert list(gates) == list(names)
        for t, product in enumerate(nn.functional.linear(x, weight_ih, biases[0] if bias else None)):
            sums = (product + nn.functional.linear(parts[0], weight_hh, biases[1] if bias else None)).detach()
            for name, block in names.items(): torch.testing.assert_close(gates[name][t], sums.chunk(3 if kind == "GRU" else 4, 1)[block].sigmoid())
            found = (gru_step if kind == "GRU" else lstm_step)(product, *parts[:1 + (kind == "LSTM")], weight_hh, biases[1] if bias else None)
            parts = [f.detach() for f in leaves(found)]
        assert not any(g.requires_grad for g in gates.values())


@pytest.mark.parametrize("layer", [ours_nn.GRU(3, 4, 2), ours_nn.LSTM(3, 4, bidirectional=True), rnn.RNN(3, 4), nn.Linear(3, 4), ours_nn.GRU(3, 4, batch_first=True)], ids=str)
def test_gates_of_other_layers_are_refused(layer):
    with pytest.raises(ValueError, match="watch_gates: expected a GRU or an LSTM of one layer"): watch_gates(layer, torch.randn(5, 2, 3))


@pytest.mark.parametrize("shape", [(5, 2, 3), (5, 3)], ids=["batch", "none"])
def test_an_lstms_states_may_be_a_list(shape):
    torch.manual_seed(0)
    from lesson_nb import nn as ours_nn
    mine, x = ours_nn.LSTM(3, 4), torch.randn(shape)
    state = [torch.randn(1, *shape[1:-1], 4) for _ in range(2)]
    assert torch.equal(mine(x, state)[0], mine(x, tuple(state))[0])
    with pytest.raises(RuntimeError, match="expected 2 states to begin with, got 3"): mine(x, (*state, state[0]))
    with pytest.raises(RuntimeError, match="expected 2 states to begin with, got 1"): mine(x, state[0])


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_state_of_another_dtype_is_taken_under_autocast(kind):
    from lesson_nb import nn as ours_nn
    torch.manual_seed(0)
    mine, theirs = getattr(ours_nn, kind)(3, 4), getattr(torch.nn, kind)(3, 4)
    theirs.load_state_dict(mine.state_dict())
    x, state = torch.randn(5, 2, 3), torch.randn(1, 2, 4)
    state = (state, state) if kind == "LSTM" else state
    with torch.autocast("cpu", torch.bfloat16): a, b = mine(x.bfloat16(), state)[0], theirs(x.bfloat16(), state)[0]
    torch.testing.assert_close(a.float(), b.float(), rtol=0, atol=2e-2)
