"""Under torch.func and torch.export our layers and losses take their plain formulas: the same numbers as torch's layers give there."""
import pytest, torch
from functools import partial
from torch import nn
from torch.func import functional_call, grad, jacfwd, jacrev, vmap
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves
from lesson_nb import functional as ours_functional, nn as ours_nn
from lesson_nb.autograd import Relu, is_traced

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")]
LAYERS = {  # name -> how to make it, the shape of one example (or how many indices), and where a batch axis goes
    "Linear": (lambda n: n.Linear(4, 3), (4,), 0), "Conv2d": (lambda n: n.Conv2d(4, 6, 3, stride=2, padding=(2, 1), groups=2), (4, 7, 8), 0),
    "Conv2d, valid": (lambda n: n.Conv2d(2, 3, (2, 3), bias=False, dilation=(1, 2)), (2, 6, 7), 0),
    "Conv1d": (lambda n: n.Conv1d(3, 4, 3, padding="same", dilation=2), (3, 8), 0), "BatchNorm2d": (lambda n: n.BatchNorm2d(3).eval(), (3, 4, 4), 0),
    "BatchNorm2d, this batch": (lambda n: n.BatchNorm2d(3, track_running_stats=False), (3, 4, 4), 0),
    "BatchNorm1d, plain": (lambda n: n.BatchNorm1d(3, affine=False, track_running_stats=False), (3, 4), 0),
    "LayerNorm": (lambda n: n.LayerNorm((3, 4)), (3, 4), 0), "GroupNorm": (lambda n: n.GroupNorm(2, 4), (4, 3, 3), 0),
    "InstanceNorm2d": (lambda n: n.InstanceNorm2d(3, affine=True), (3, 4, 4), 0), "RMSNorm": (lambda n: n.RMSNorm(4), (2, 4), 0),
    "RNN": (lambda n: n.RNN(4, 5), (6, 4), 1), "GRU": (lambda n: n.GRU(4, 5, 2, bidirectional=True), (6, 4), 1),
    "GRU, no bias": (lambda n: n.GRU(4, 5, bias=False), (6, 4), 1), "LSTM": (lambda n: n.LSTM(4, 5, 2, bidirectional=True), (6, 4), 1),
    "LSTM, no bias": (lambda n: n.LSTM(4, 5, bias=False), (6, 4), 1), "GRUCell": (lambda n: n.GRUCell(4, 5), (4,), 0),
    "LSTMCell": (lambda n: n.LSTMCell(4, 5), (4,), 0), "Embedding": (lambda n: n.Embedding(6, 4), 5, 0),
    "Embedding, padding": (lambda n: n.Embedding(6, 4, padding_idx=1), 5, 0), "ReLU": (lambda n: n.ReLU(), (3,), 0),
    "Sigmoid": (lambda n: n.Sigmoid(), (3,), 0), "LogSigmoid": (lambda n: n.LogSigmoid(), (3,), 0), "SiLU": (lambda n: n.SiLU(), (3,), 0),
    "Softmax": (lambda n: n.Softmax(-1), (3,), 0), "LogSoftmax": (lambda n: n.LogSoftmax(-1), (3,), 0), "MaxPool2d": (lambda n: n.MaxPool2d(2), (2, 4, 4), 0),
    "a network": (lambda n: n.Sequential(n.Conv2d(3, 4, 3), n.GroupNorm(2, 4), n.ReLU(), n.AdaptiveAvgPool2d(1), n.Flatten(), n.Linear(4, 2)), (3, 6, 6), 0)}


def draw(shape, axis, seed=0):
    "Five examples with the batch at `axis`: normal numbers, a zero among them; or rows of that many indices."
    generator = torch.Generator().manual_seed(seed)
    if isinstance(shape, int): return torch.randint(0, 6, (5, shape), generator=generator)
    x = torch.randn(5, *shape, generator=generator, dtype=torch.float64)
    x.view(5, -1)[0, 0] = 0
    return x.movedim(0, axis)


def both(name):
    "Ours and torch's with the same parameters, a batch, and its axis."
    make, shape, axis = LAYERS[name]
    ours, theirs = make(ours_nn).double(), make(nn).double()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs, draw(shape, axis), axis


def result(layer, parameters, x):
    output = functional_call(layer, parameters, (x,))
    return output[0] if isinstance(output, tuple) else output


def loss(layer, parameters, x): return (result(layer, parameters, x) + 0.5).square().sum()


def loss_of_one(layer, axis, parameters, x): return loss(layer, parameters, x.unsqueeze(axis))


def ways(layer, x, axis):
    "What people ask of torch.func, by name: gradients, gradients for each example, Jacobians forwards and backwards, second derivatives."
    parameters = {name: p.detach() for name, p in layer.named_parameters()}
    place = 0 if parameters else 1
    of_all, of_one = partial(loss, layer), partial(loss_of_one, layer, axis)
    found = {"grad": lambda: grad(of_all, place)(parameters, x), "each example": lambda: vmap(grad(of_one, place), (None, axis))(parameters, x),
             "vmap": lambda: vmap(lambda x: result(layer, parameters, x.unsqueeze(axis)), axis)(x),
             "jacrev": lambda: jacrev(of_all, place)(parameters, x), "jacfwd": lambda: jacfwd(of_all, place)(parameters, x),
             "second": lambda: jacrev(grad(of_all, place), place)(parameters, x)}
    return found


@pytest.mark.parametrize("name", LAYERS)
def test_layers_under_torch_func(name):
    ours, theirs, x, axis = both(name)
    compared = 0
    for (way, mine), expected in zip(ways(ours, x, axis).items(), ways(theirs, x, axis).values()):
        if (name, way) == ("Embedding, padding", "jacfwd"): continue   # there PyTorch trains the padding row, against its own grad
        try: expected = expected()
        except (RuntimeError, NotImplementedError): continue       # torch's own layer cannot
        pairs = list(zip(tree_leaves(mine()), tree_leaves(expected), strict=True))
        assert pairs
        for a, b in pairs: torch.testing.assert_close(a, b, msg=lambda text, way=way: f"{way}: {text}")
        compared += 1
    assert compared >= (2 if axis else 4)                           # PyTorch's recurrent layers know no vmap and no second derivatives
    assert not is_traced()


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_exported(name):
    ours, theirs, x, axis = both(name)
    program = torch.export.export(ours, (x,), dynamic_shapes=({axis: torch.export.Dim("n", min=2)},)).module()
    for batch in (x, torch.cat([x, x.flip(axis)], axis)):                 # another size than it was written down with
        for a, b in zip(tree_leaves(program(batch)), tree_leaves(theirs(batch)), strict=True): torch.testing.assert_close(a, b)


@pytest.mark.parametrize("wish", [{}, dict(padding_idx=2), dict(padding_idx=-1)])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_embedding_options(wish, dtype):
    table, indices, flow = draw((4,), 0), torch.tensor([[2, 1, 2], [4, 0, 2]], dtype=dtype), torch.randn(2, 3, 4, dtype=torch.float64)
    mine = grad(lambda t: (ours_functional.embedding(indices, t, **wish) * flow).sum())(table)
    expected = torch.autograd.grad((F.embedding(indices, leaf := table.clone().requires_grad_(), **wish) * flow).sum(), leaf)[0]
    torch.testing.assert_close(mine, expected)
    torch.testing.assert_close(grad(lambda t: ours_functional.embedding(indices, t, **wish).sum() * 0 + t.sum())(table), torch.ones_like(table))
    torch.testing.assert_close(vmap(lambda i: ours_functional.embedding(i, table))(indices), table[indices.long()])


LOSSES = {"cross_entropy": {}, "cross_entropy, smoothed": dict(label_smoothing=0.2), "cross_entropy, sum": dict(reduction="sum"),
          "cross_entropy, weighted": dict(weight=torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64), ignore_index=1), "nll_loss": {}, "nll_loss, none": dict(reduction="none")}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_labels(name):
    scores, labels, wish = draw((3,), 0), torch.tensor([0, 2, 1, 2, 0]), LOSSES[name]
    mine, theirs = (partial(getattr(place, name.split(",")[0]), **wish) for place in (ours_functional, F))
    for way in (lambda f: grad(lambda s: f(s, labels).sum())(scores), lambda f: jacrev(grad(lambda s: f(s, labels).sum()))(scores),
                lambda f: vmap(lambda s, l: f(s[None], l[None]))(scores[:2], labels[:2]),
                lambda f: vmap(grad(lambda s, l: f(s[None], l[None]).sum()))(scores[:2], labels[:2])):
        torch.testing.assert_close(way(mine), way(theirs))


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "binary_cross_entropy_with_logits", "cross_entropy"])
def test_losses_of_numbers(name):
    scores, targets = draw((3,), 0), torch.softmax(draw((3,), 0, seed=1), 1)
    mine, theirs = (getattr(place, name) for place in (ours_functional, F))
    for way in (lambda f: grad(f)(scores, targets), lambda f: grad(f, 1)(scores, targets), lambda f: jacrev(grad(f))(scores, targets),
                lambda f: vmap(grad(lambda s, t: f(s[None], t[None])))(scores, targets)):
        torch.testing.assert_close(way(mine), way(theirs))
    if "logits" in name:
        weighted = {"pos_weight": torch.tensor([1.0, 3.0, 0.5], dtype=torch.float64)}
        torch.testing.assert_close(grad(partial(mine, **weighted))(scores, targets), grad(partial(theirs, **weighted))(scores, targets))


@pytest.mark.parametrize("name", ["sigmoid", "logsigmoid", "softmax", "log_softmax"])
def test_extreme_scores(name):
    x, wish = torch.tensor([-1e4, -90.0, -1e-9, 0.0, 1e-9, 90.0, 1e4], dtype=torch.float64), {"dim": 0} if "soft" in name else {}
    mine, theirs = (partial(getattr(place, name), **wish) for place in (ours_functional, F))
    torch.testing.assert_close(vmap(lambda x: mine(x))(x[None]), theirs(x)[None], atol=0, rtol=1e-12)
    torch.testing.assert_close(grad(lambda x: (mine(x) * torch.arange(1.0, 8)).sum())(x), grad(lambda x: (theirs(x) * torch.arange(1.0, 8)).sum())(x))


class Bent(nn.Module):
    "A function as a module."
    def __init__(self, bend):
        super().__init__()
        self.bend = bend
    def forward(self, x): return self.bend(x)


def test_of_a_function_export_keeps_the_way_there_alone():
    "At zero PyTorch's slope of `maximum` is a half, where ReLU has 0: what lesson 03 says, and why our layer takes the plain formula."
    zeros, slopes = torch.zeros(3, requires_grad=True), []
    for module in (Bent(Relu.apply), ours_nn.ReLU(), nn.ReLU()):
        program = torch.export.export(module, (torch.randn(3),)).module()
        slopes.append(torch.autograd.grad(program(zeros).sum(), zeros)[0].tolist())
    assert slopes == [[0.5] * 3, [0.0] * 3, [0.0] * 3]


def test_an_index_below_zero_is_no_row():
    table = torch.randn(5, 3)
    with pytest.raises(IndexError): grad(lambda t: ours_functional.embedding(torch.tensor([-1]), t).sum())(table)
    program = torch.export.export(ours_nn.Embedding(5, 3), (torch.tensor([1, 2]),)).module()
    with pytest.raises(IndexError): program(torch.tensor([-1, 2]))


def test_large_scores_close_together_in_float32():
    x, label = torch.tensor([[1e4, 1e4 - 0.5, 1e4 - 3]]), torch.tensor([0])
    torch.testing.assert_close(vmap(lambda x: ours_functional.log_softmax(x, 0))(x), F.log_softmax(x, 1), rtol=1e-6, atol=0)
    torch.testing.assert_close(vmap(lambda x: ours_functional.cross_entropy(x[None], label))(x), F.cross_entropy(x, label)[None], rtol=1e-6, atol=0)
    for empty in (torch.empty(2, 3, 0), torch.empty(2, 0, 3)):
        for name in ("softmax", "log_softmax"): assert vmap(lambda x: getattr(ours_functional, name)(x, 1))(empty).shape == empty.shape


def test_an_ensemble():
    from torch.func import stack_module_state
    make, shape, _ = LAYERS["a network"]
    x, results = draw(shape, 0), []
    for place in (ours_nn, nn):
        torch.manual_seed(0)
        nets = [make(place).double() for _ in range(3)]
        parameters, buffers = stack_module_state(nets)
        results.append(vmap(grad(lambda p, b: functional_call(nets[0], (p, b), (x,)).square().sum()))(parameters, buffers))
    for a, b in zip(tree_leaves(results[0]), tree_leaves(results[1]), strict=True): torch.testing.assert_close(a, b)


@pytest.mark.parametrize("make, x", [(lambda: ours_nn.LayerNorm(4), torch.randn(3, 4)), (lambda: ours_nn.ReLU(), torch.randn(3, 4)), (lambda: ours_nn.Softmax(1), torch.randn(3, 4))])
def test_compile_keeps_the_function(make, x):
    "The plain formulas are for those two alone: torch.compile follows a Function, and its way back is the faster one."
    seen = []
    def look(graph, inputs):
        seen.extend(str(node.target) for node in graph.graph.nodes)
        return graph.forward
    torch._dynamo.reset()
    torch.compile(make(), backend=look, fullgraph=True)(x.requires_grad_())
    assert any("autograd_function_apply" in name for name in seen), seen
