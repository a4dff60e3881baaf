"""Lesson 20a's cells and layers beside torch's: the same numbers, gradients, draws, names and refusals; and the gradient's way through time."""
import copy, itertools, math, pickle, warnings
import pytest, torch
from torch import nn
from judge import ROOT
from lesson_nb import core, nn as ours_nn
from lesson_nb.ledger import read_ledger
from lesson_nb.proof import assert_same, floats
from lesson_nb.rnn import RNN, RecurrentCell, RecurrentLayer, RNNCell, gradient_through_time, identity_start

SETTINGS = [dict(num_layers=layers, nonlinearity=bend, bias=bias, batch_first=first, dropout=drop, bidirectional=two)
            for layers, bend, bias, first, drop, two in itertools.product((1, 2, 3), ("tanh", "relu"), (True, False), (False, True), (0, 0.4), (False, True))]


def pair(make, seed=0):
    "Ours and torch's, made under one seed."
    found = []
    for place in (ours_nn, nn):
        torch.manual_seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(make(place))
    return found


def everything(layer, x, hx, seed=1):
    "Outputs, states, and all gradients of one call that weighs both; and the next random number."
    x, hx = x.clone().requires_grad_(), None if hx is None else hx.clone().requires_grad_()
    torch.manual_seed(seed)
    outputs, state = layer(x) if hx is None else layer(x, hx)
    following = torch.rand(1)
    weigh = torch.Generator().manual_seed(2)
    loss = sum((part * torch.randn(part.shape, generator=weigh).to(part)).sum() for part in (outputs, state))
    wanted = [x, *([] if hx is None else [hx]), *layer.parameters()]
    return [outputs.detach(), state.detach(), following, *torch.autograd.grad(loss, wanted)]


# the layer --------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(map(str, s.values())))
def test_same_as_torch_over_all_arguments(settings):
    ours, theirs = pair(lambda place: place.RNN(3, 5, **settings))
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    for name in ("mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size", "nonlinearity"):
        assert getattr(ours, name) == getattr(theirs, name)
    ways, layers = 1 + settings["bidirectional"], settings["num_layers"]
    for shape in ((4, 2, 3), (4, 3), (1, 1, 3), (6, 0, 3) if not settings["batch_first"] else (0, 6, 3)):
        batch = () if len(shape) == 2 else (shape[0] if settings["batch_first"] else shape[1],)
        for with_state in (False, True):
            x, hx = torch.randn(shape), torch.randn(layers * ways, *batch, 5) if with_state else None
            for training in (True, False):
                found = [everything(layer.train(training), x, hx) for layer in (ours, theirs)]
                for a, b in zip(*found, strict=True):
                    assert a.shape == b.shape and a.dtype == b.dtype
                    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_and_layouts(dtype):
    ours, theirs = (layer.to(dtype) for layer in pair(lambda place: place.RNN(3, 5, 2, bidirectional=True)))
    wide = torch.randn(6, 4, 6).to(dtype)
    for x in (wide[..., ::2], wide.transpose(0, 1)[..., :3], wide[:, :1, :3].expand(-1, 4, -1)):
        for a, b in zip(everything(ours, x, None), everything(theirs, x, None)): torch.testing.assert_close(a, b)


def test_dropout_acts_between_layers_only_and_in_training():
    torch.manual_seed(0)
    layer, x = RNN(3, 50, 2, dropout=0.5), torch.randn(4, 20, 3)
    assert torch.equal(layer.eval()(x)[0], layer(x)[0]) and not torch.equal(layer.train()(x)[0], layer(x)[0])
    lowest = [layer(x)[1][0] for _ in range(2)]
    assert torch.equal(*lowest), "the lowest layer's own states know no dropout"
    layer.dropout = 1.0
    alone = RNN(50, 50)
    alone.load_state_dict({name.replace("l1", "l0"): p for name, p in layer.state_dict().items() if "l1" in name})
    torch.testing.assert_close(layer(x)[0], alone(torch.zeros(4, 20, 50))[0])
    with pytest.warns(UserWarning, match="RNN: dropout=0.3 has no effect: it acts between layers") as caught: RNN(3, 4, dropout=0.3)
    assert caught[0].filename == __file__


def test_extreme_inputs_and_nan():
    ours, theirs = pair(lambda place: place.RNN(2, 3, 2, "relu"))
    for x in (torch.full((3, 2, 2), 1e30), torch.full((3, 2, 2), -1e-30), torch.tensor([math.inf, 1.0]).expand(3, 2, 2), torch.tensor([math.nan, 1.0]).expand(3, 2, 2)):
        for a, b in zip(ours(x), theirs(x)): torch.testing.assert_close(a, b, equal_nan=True)


def test_a_torch_program_runs_on_it_and_its_checkpoint_goes_both_ways(tmp_path):
    ended = []
    for place in (ours_nn, nn):
        torch.manual_seed(0)
        layer, head = place.RNN(3, 8, 2, dropout=0.2), nn.Linear(8, 1)
        optimizer, x, y = torch.optim.SGD([*layer.parameters(), *head.parameters()], lr=0.1), torch.randn(5, 4, 3), torch.randn(4, 1)
        for _ in range(5):
            optimizer.zero_grad()
            (head(layer(x)[0][-1]) - y).square().mean().backward()
            optimizer.step()
        torch.save(layer.state_dict(), tmp_path / f"{len(ended)}.pt")
        ended.append(layer)
    for a, b in zip(*(layer.parameters() for layer in ended)): torch.testing.assert_close(a, b)
    x = torch.randn(6, 2, 3)
    for reader, written in ((RNN(3, 8, 2), "1.pt"), (nn.RNN(3, 8, 2), "0.pt")):
        reader.load_state_dict(torch.load(tmp_path / written, weights_only=True))
        torch.testing.assert_close(reader.eval()(x)[0], ended[0].eval()(x)[0])


def test_weights_by_layer_copies_and_pickles():
    layer = RNN(3, 4, 2, bidirectional=True)
    assert [tuple(w.shape) for w in layer.all_weights[2]] == [(4, 8), (4, 4), (4,), (4,)] and len(layer.all_weights) == 4
    assert layer.all_weights[1][1] is layer.weight_hh_l0_reverse and layer.flatten_parameters() is None
    x = torch.randn(5, 2, 3)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))): assert torch.equal(other(x)[0], layer(x)[0])
    layer.weight_hh_l0 = nn.Parameter(torch.zeros(4, 4))
    assert not torch.equal(other(x)[0], layer(x)[0]), "a new weight counts at once"


def test_a_subclass_needs_only_its_walk():
    class Sums(RecurrentLayer):
        gates, states = 1, 2
        def _one_way(self, products, state, weight_hh, bias_hh):
            assert weight_hh.shape == (4, 4) and bias_hh is None and [tuple(s.shape) for s in state] == [(products.shape[1], 4)] * 2
            return products.cumsum(0) + state[0], (products.sum(0) + state[0], state[1] + 1)
    layer, x = Sums("SUMS", 3, 4, 2, bias=False, bidirectional=True), torch.randn(5, 2, 3)
    outputs, (first, second) = layer(x)
    assert outputs.shape == (5, 2, 8) and first.shape == second.shape == (4, 2, 4) and (second == 1).all()
    torch.testing.assert_close(first[1], (x @ layer.weight_ih_l0_reverse.T).sum(0))
    torch.testing.assert_close(outputs[0, :, 4:], first[3])
    _, (_, later) = layer(x, (first, second))
    assert (later == 2).all()
    alone, (state, _) = layer(x[:, 0])
    torch.testing.assert_close(alone, outputs[:, 0])
    assert state.shape == (4, 4)
    with pytest.raises(NotImplementedError, match="expected a method _one_way"): RecurrentLayer("NONE", 3, 4)(x)


# the cell ---------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("bend", ["tanh", "relu"])
@pytest.mark.parametrize("bias", [True, False])
def test_cell_is_torchs(bend, bias):
    ours, theirs = pair(lambda place: place.RNNCell(3, 4, bias, bend))
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    for shape, hx in (((2, 3), (2, 4)), ((2, 3), None), ((3,), (4,)), ((3,), None), ((0, 3), (0, 4)), ((1, 3), (1, 4))):
        x, h = torch.randn(shape, requires_grad=True), None if hx is None else torch.randn(hx, requires_grad=True)
        found = []
        for cell in (ours, theirs):
            y = cell(x) if h is None else cell(x, h)
            found.append([y, *torch.autograd.grad(y.square().sum(), [x, *([] if h is None else [h]), *cell.parameters()])])
        for a, b in zip(*found): torch.testing.assert_close(a, b)


def test_a_layer_is_its_cell_in_a_loop():
    cell, layer, x = RNNCell(3, 4), RNN(3, 4), torch.randn(6, 2, 3)
    layer.load_state_dict({f"{name}_l0": p for name, p in cell.state_dict().items()})
    h, outputs = torch.zeros(2, 4), []
    for step in x: outputs.append(h := cell(step, h))
    torch.testing.assert_close(layer(x)[0], torch.stack(outputs))


def test_a_cell_of_two_states():
    class Pair(RecurrentCell):
        gates, states = 2, 2
        def _step(self, products, state): return products[:, :4] + state[0], products[:, 4:] - state[1]
    cell, x = Pair(3, 4), torch.randn(2, 3)
    a, b = cell(x)
    c, d = cell(x, (a, b))
    torch.testing.assert_close(c, 2 * a)
    assert torch.equal(d, torch.zeros(2, 4)) and cell(x[0])[1].shape == (4,) and cell.weight_hh.shape == (8, 4)


# refusals ----------------------------------------------------------------------------------------------------------------------------
REFUSED = {"input of 4 dimensions": lambda p: p.RNN(3, 4)(torch.zeros(2, 2, 2, 3)), "input of 1": lambda p: p.RNN(3, 4)(torch.zeros(3)), "other inputs": lambda p: p.RNN(3, 4)(torch.zeros(5, 2, 4)),
           "no time": lambda p: p.RNN(3, 4)(torch.zeros(0, 2, 3)), "other batch": lambda p: p.RNN(3, 4)(torch.zeros(5, 2, 3), torch.zeros(1, 3, 4)),
           "state without batch": lambda p: p.RNN(3, 4)(torch.zeros(5, 2, 3), torch.zeros(1, 4)), "state with batch": lambda p: p.RNN(3, 4)(torch.zeros(5, 3), torch.zeros(1, 1, 4)),
           "too few layers in the state": lambda p: p.RNN(3, 4, 2)(torch.zeros(5, 2, 3), torch.zeros(1, 2, 4)), "other dtype": lambda p: p.RNN(3, 4)(torch.zeros(5, 2, 3).double()),
           "state of other dtype": lambda p: p.RNN(3, 4)(torch.zeros(5, 2, 3), torch.zeros(1, 2, 4).double()),
           "no inputs": lambda p: p.RNN(0, 4), "no state": lambda p: p.RNN(3, 0), "no layers": lambda p: p.RNN(3, 4, 0), "dropout of 2": lambda p: p.RNN(3, 4, 2, dropout=2),
           "dropout True": lambda p: p.RNN(3, 4, 2, dropout=True), "size 3.0": lambda p: p.RNN(3.0, 4), "bias 1": lambda p: p.RNN(3, 4, bias=1), "batch_first 1": lambda p: p.RNN(3, 4, batch_first=1),
           "nonlinearity": lambda p: p.RNN(3, 4, nonlinearity="sigmoid"), "proj_size": lambda p: p.RNN(3, 4, proj_size=2),
           "cell: 3 dimensions": lambda p: p.RNNCell(3, 4)(torch.zeros(5, 2, 3)), "cell: other inputs": lambda p: p.RNNCell(3, 4)(torch.zeros(2, 4)), "cell: other batch": lambda p: p.RNNCell(3, 4)(torch.zeros(2, 3), torch.zeros(3, 4)),
           "cell: other state": lambda p: p.RNNCell(3, 4)(torch.zeros(2, 3), torch.zeros(2, 5)), "cell: state of 3 dimensions": lambda p: p.RNNCell(3, 4)(torch.zeros(2, 3), torch.zeros(2, 2, 4)),
           "cell: nonlinearity": lambda p: p.RNNCell(3, 4, nonlinearity="sigmoid")(torch.zeros(2, 3))}


@pytest.mark.parametrize("act", REFUSED.values(), ids=REFUSED)
def test_refused_as_torch_refuses(act):
    with pytest.raises(Exception) as theirs: act(nn)
    with pytest.raises(Exception, match="RNN.*expected.*got|proj_size is for an LSTM") as ours: act(ours_nn)
    assert type(ours.value) is type(theirs.value)


def test_what_is_not_rebuilt_is_named():
    packed = nn.utils.rnn.pack_sequence([torch.randn(4, 3), torch.randn(2, 3)])
    with pytest.raises(NotImplementedError, match="RNN: PackedSequence is not rebuilt; give the padded tensor"): RNN(3, 4)(packed)
    with pytest.raises(ValueError, match="proj_size is for an LSTM only"): RNN(3, 4, proj_size=1)


# through time ------------------------------------------------------------------------------------------------------------------------
def test_gradient_through_time_is_the_product_of_the_jacobians():
    torch.manual_seed(0)
    layer, x = RNN(3, 6).double(), torch.randn(7, 1, 3, dtype=torch.float64)
    outputs, _ = layer(x)
    flow = torch.randn(1, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = [flow]
    for h in outputs.detach().flip(0)[:-1]: wanted.append((wanted[-1] * (1 - h**2)) @ layer.weight_hh_l0)
    torch.testing.assert_close(gradient_through_time(layer, x), torch.stack([w.square().sum().sqrt() for w in wanted[::-1]]).detach())


@pytest.mark.parametrize("layer", [nn.LSTM(3, 4, 2), nn.GRU(3, 4), RNN(3, 4, 2)], ids=["LSTM", "GRU", "RNN"])
def test_gradient_through_time_of_any_layer(layer):
    found = gradient_through_time(layer, torch.randn(9, 5, 3))
    assert found.shape == (9,) and found.isfinite().all() and (found > 0).all()
    assert all(p.grad is None for p in layer.parameters())


def test_identity_start_copies_the_state():
    for layer in (identity_start(RNN(3, 4, 2, "relu", bidirectional=True)), identity_start(nn.RNN(3, 4, 2, nonlinearity="relu"), 0.5)):
        scale = layer.weight_hh_l1[0, 0].item()
        state = torch.rand(layer.num_layers * (1 + layer.bidirectional), 2, 4)
        _, end = layer(torch.zeros(3, 2, 3), state)
        torch.testing.assert_close(end[0], state[0] * scale**3)
    with pytest.raises(ValueError, match="expected square hidden weights, as an RNN has them, got weight_hh_l0"): identity_start(nn.GRU(3, 4))


# the proof can fail -------------------------------------------------------------------------------------------------------------------
class Forgetful(RNN):
    def _one_way(self, products, state, weight_hh, bias_hh):
        outputs, end = super()._one_way(products, state, weight_hh, bias_hh)
        return outputs, (end[0] + 0 * end[0].detach() + 1e-3,)


class Cutting(RNN):
    def _one_way(self, products, state, weight_hh, bias_hh): return super()._one_way(products, tuple(s.detach() for s in state), weight_hh, bias_hh)


class Delegating(RNN):
    def forward(self, input, hx=None): return torch.rnn_tanh(input, input.new_zeros(1, input.shape[1], 4), self.all_weights[0], True, 1, 0.0, True, False, False)


@pytest.mark.parametrize("wrong, why", [(Forgetful, r"output\[1\]"), (Cutting, "gradient of argument 1")])
def test_a_planted_fault_is_found(wrong, why):
    with pytest.raises(AssertionError, match=why): assert_same(wrong(3, 4), nn.RNN(3, 4), floats(5, "n", 3), floats(1, "n", 4))


def test_a_delegating_layer_is_found(monkeypatch):
    ledger = read_ledger(ROOT / "nbs")
    for name, value in {"lesson": "20a_rnn", "ledger": ledger, "allowed": ledger.allowed("20a_rnn")}.items(): monkeypatch.setitem(core.state, name, value)
    assert_same(RNN(3, 4), nn.RNN(3, 4), floats(5, "n", 3))
    with pytest.raises(AssertionError, match="not rebuilt: it calls.*rnn_tanh"): assert_same(Delegating(3, 4), nn.RNN(3, 4), floats(5, "n", 3))


def test_facades(): assert ours_nn.RNN is RNN and ours_nn.RNNCell is RNNCell


def test_trains_on_our_own_module(once_more):
    "A second copy of the module whose layers stand on lesson 05's Module: the same start, the same training."
    import lesson_nb.rnn as first
    second, ended = once_more(first), []
    for module in (first, second):
        torch.manual_seed(0)
        layer, cell = module.RNN(3, 6, 2, bidirectional=True), module.RNNCell(12, 1)
        optimizer, x, y = torch.optim.SGD([*layer.parameters(), *cell.parameters()], lr=0.1), torch.randn(5, 4, 3), torch.randn(4, 1)
        for _ in range(5):
            optimizer.zero_grad()
            (cell(layer(x)[0][-1]) - y).square().mean().backward()
            optimizer.step()
        ended.append({**layer.state_dict(), **cell.state_dict()})
    assert list(ended[0]) == list(ended[1]) and all(torch.equal(ended[0][name], ended[1][name]) for name in ended[0])
