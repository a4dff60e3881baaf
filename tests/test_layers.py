"""Every layer beside torch's: values, gradients, state, first values, signatures, text, refusals; and trained on our own Module."""
import copy, inspect, math, pickle, warnings
import pytest, torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from lesson_nb import layers, modules
from lesson_nb.containers import Sequential
from lesson_nb.proof import assert_same, floats, integers, labels

ROW = [floats("n", 5)]
SAME = "what flows back is constant here, and the gradient of shares that sum to 1 is rounding alone"
EMBEDDINGS = [{}, {"padding_idx": 2}, {"padding_idx": -1}, {"max_norm": 1.0}, {"max_norm": 2.0, "norm_type": 1.0}, {"max_norm": 1.0, "norm_type": math.inf},
              {"max_norm": 2.0, "norm_type": 3.0}, {"max_norm": 2.0, "norm_type": 0.0}, {"scale_grad_by_freq": True}, {"scale_grad_by_freq": True, "padding_idx": 1}]
two, three = torch.tensor([0.5, 2.0]), torch.tensor([1.0, 0.2, 3.0])
probabilities = [floats("n", 2, low=0.02, high=0.98), floats("n", 2, low=0.0, high=1.0)]
LAYERS = [
    ("Linear", (5, 3), {}, ROW), ("Linear", (5, 3), {"bias": False}, [floats("n", 2, 5)]), ("Linear", (5, 1), {}, [floats(5)]),
    ("Identity", (), {}, ROW), ("Identity", (54,), {"unused": 1}, ROW),
    ("Flatten", (), {}, [floats("n", 2, 3, 4)]), ("Flatten", (0, 1), {}, [floats("n", 2, 3)]), ("Flatten", (-2,), {}, [floats("n", 2, 3, 4)]),
    ("Flatten", (0,), {}, [floats("n")]),
    *[("Embedding", (6, 4), kwargs, [integers("n", 3, high=6)]) for kwargs in EMBEDDINGS], ("Embedding", (6, 4), {}, [integers(high=6)]),
    ("ReLU", (), {}, ROW), ("LeakyReLU", (), {}, ROW), ("LeakyReLU", (-0.3,), {}, [floats("n", 2, 3)]), ("SiLU", (), {}, ROW), ("GELU", (), {}, ROW), ("GELU", ("tanh",), {}, ROW),
    ("Sigmoid", (), {}, ROW), ("LogSigmoid", (), {}, ROW), ("Tanh", (), {}, ROW), ("Softmax", (1,), {}, ROW), ("Softmax", (), {"dim": -2}, [floats(3, "n", 2)]),
    ("LogSoftmax", (1,), {}, ROW), ("LogSoftmax", (0,), {}, [floats(5)]),
    *[(name, (), {"reduction": r}, [floats("n", 3), floats("n", 3)]) for name in ("MSELoss", "L1Loss") for r in ("mean", "sum", "none")],
    ("NLLLoss", (three,), {}, [floats("n", 3), labels("n", classes=3)]), ("NLLLoss", (), {"ignore_index": 1, "reduction": "sum"}, [floats("n", 3), labels("n", classes=3)]),
    ("CrossEntropyLoss", (), {}, [floats("n", 10), labels("n", classes=10)]), ("CrossEntropyLoss", (three,), {"label_smoothing": 0.1, "ignore_index": 2}, [floats("n", 3), labels("n", classes=3)]),
    ("CrossEntropyLoss", (), {"reduction": "none"}, [floats("n", 3, 2), labels("n", 2, classes=3)]),
    ("BCELoss", (), {}, probabilities), ("BCELoss", (two,), {"reduction": "sum"}, probabilities),
    ("BCEWithLogitsLoss", (), {}, [floats("n", 2), probabilities[1]]), ("BCEWithLogitsLoss", (two,), {"pos_weight": two, "reduction": "none"}, [floats("n", 2), probabilities[1]]),
]
MADE = sorted({name for name, *_ in LAYERS})
each_layer = pytest.mark.parametrize("name, args, kwargs, inputs", LAYERS, ids=lambda v: str(v)[:30] if isinstance(v, (str, tuple, dict)) else "")


def both(name, args=(), kwargs={}):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(layers, name)(*args, **kwargs), getattr(nn, name)(*args, **kwargs)


@each_layer
def test_same_as_torchs(name, args, kwargs, inputs):
    assert_same(*both(name, args, kwargs), *inputs, skip={"one": SAME} if name == "Softmax" else None)


@each_layer
def test_text_attributes_and_state_are_torchs(name, args, kwargs, inputs):
    ours, theirs = both(name, args, kwargs)
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
    mine, other = ({k: v for k, v in vars(m).items() if not k.startswith("_")} for m in (ours, theirs))
    assert mine == other
    for target, source in ((ours, theirs), (theirs, ours)): target.load_state_dict(source.state_dict())
    assert type(pickle.loads(pickle.dumps(ours))) is type(copy.deepcopy(ours)) is getattr(layers, name)


@pytest.mark.parametrize("name", MADE)
def test_signature_is_torchs(name):
    ours, theirs = ([(p.name, p.kind, p.default) for p in inspect.signature(getattr(place, name).__init__).parameters.values()] for place in (layers, nn))
    assert [o for o in ours if o[0] not in ("args", "kwargs")] == [t for t in theirs if t[0] not in ("args", "kwargs")]
    assert issubclass(getattr(layers, name), nn.Module)


@pytest.mark.parametrize("name", ["embedding", "leaky_relu", "silu"])
def test_function_signature_is_torchs(name):
    ours, theirs = ([(p.name, p.default) for p in inspect.signature(getattr(place, name)).parameters.values()] for place in (layers, F))
    assert ours == theirs


def test_from_pretrained_is_torchs():
    ours, theirs = ([(p.name, p.default) for p in inspect.signature(place.Embedding.from_pretrained).parameters.values()] for place in (layers, nn))
    assert ours == theirs
    table = torch.randn(4, 3)
    for freeze in (True, False):
        layer, other = (place.Embedding.from_pretrained(table, freeze, padding_idx=1, max_norm=2.0) for place in (layers, nn))
        assert repr(layer) == repr(other) and layer.weight.data_ptr() == table.data_ptr() and layer.weight.requires_grad == other.weight.requires_grad == (not freeze)
    with pytest.raises(ValueError, match=r"expected a table \(rows, columns\), got shape \(3,\)"): layers.Embedding.from_pretrained(torch.ones(3))


# first values ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [None, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name, args, kwargs", [("Linear", (7, 5), {}), ("Linear", (784, 50), {"bias": False}), ("Linear", (1, 3), {}), ("Linear", (0, 3), {}), ("Linear", (3, 0), {}),
                                                ("Embedding", (9, 4), {}), ("Embedding", (9, 4), {"padding_idx": -2})])
def test_first_values_are_torchs(name, args, kwargs, dtype):
    torch.manual_seed(3)
    ours = getattr(layers, name)(*args, dtype=dtype, **kwargs)
    next_ours = torch.rand(2)
    torch.manual_seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's warns of empty layers
        theirs = getattr(nn, name)(*args, dtype=dtype, **kwargs)
    for (key, a), (other, b) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True): assert key == other and a.dtype == b.dtype and torch.equal(a, b)
    assert torch.equal(next_ours, torch.rand(2)), "as many draws as PyTorch's"
    torch.manual_seed(3)
    ours.reset_parameters()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters()))


def test_device_is_taken():
    for layer in (layers.Linear(3, 2, device="meta"), layers.Embedding(3, 2, device="meta")): assert all(p.is_meta for p in layer.parameters())


# activations -----------------------------------------------------------------------------------------------------------------
ACTIVATIONS = [("ReLU", {}), ("LeakyReLU", {}), ("SiLU", {}), ("GELU", {}), ("GELU", {"approximate": "tanh"}), ("Sigmoid", {}), ("LogSigmoid", {}), ("Tanh", {}),
               ("Softmax", {"dim": 0}), ("LogSoftmax", {"dim": 0})]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name, kwargs", ACTIVATIONS)
def test_large_values_are_stable_in_value_and_gradient(name, kwargs, dtype):
    points = torch.tensor([-1000.0, 1000.0, -1e4, 1e4, -30.0, 30.0, -0.0, 0.0, 1e-8], dtype=dtype)
    results = []
    for layer in both(name, (), kwargs):
        x = points.clone().requires_grad_()
        layer(x).backward(torch.linspace(1, 2, len(x), dtype=dtype))
        results.append((layer(x).detach(), x.grad))
    for ours, theirs in zip(*results):
        assert ours.isfinite().all()
        torch.testing.assert_close(ours, theirs, rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=1e-6 if dtype == torch.float32 else 1e-14)


@pytest.mark.parametrize("name, kwargs", ACTIVATIONS)
def test_nan_and_infinity_go_where_torchs_go(name, kwargs):
    x = torch.tensor([[math.nan, math.inf, -math.inf]], dtype=torch.float64)
    if "dim" in kwargs: x = x.T  # along a dimension of three
    ours, theirs = (layer(x) for layer in both(name, (), kwargs))
    torch.testing.assert_close(ours, theirs, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name, kwargs", ACTIVATIONS)
def test_half_precision(name, kwargs, dtype):
    x = torch.randn(64, generator=torch.Generator().manual_seed(0)).mul(4).to(dtype)
    layer, other = both(name, (), kwargs)
    ours, theirs, truth = layer(x), other(x), other(x.double())
    assert ours.dtype == dtype
    wrong, their_wrong = ((y.double() - truth).abs() for y in (ours, theirs))
    assert (wrong <= 2 * their_wrong + torch.finfo(dtype).eps * truth.abs() + torch.finfo(dtype).tiny).all()


@pytest.mark.parametrize("name, kwargs", [a for a in ACTIVATIONS if a[0] not in ("Softmax",)])
def test_second_derivatives(name, kwargs):
    x = torch.tensor([-3.0, -0.7, 0.4, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(both(name, (), kwargs)[0], x)


@pytest.mark.parametrize("name", ["ReLU", "LeakyReLU", "SiLU"])
def test_in_place_is_torchs(name):
    results = []
    for layer in both(name, (), {"inplace": True}):
        x = torch.tensor([[-2.0, -0.0, 0.0, 1.5, 30.0]], requires_grad=True)
        middle = x * 1
        out = layer(middle)
        assert out.data_ptr() == middle.data_ptr() and torch.equal(out, middle)
        out.backward(torch.linspace(1, 2, 5)[None])
        results.append((out.detach(), x.grad))
        with pytest.raises(RuntimeError, match="leaf"): layer(x)
    for ours, theirs in zip(*results): torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("function", [layers.gelu, layers.silu, layers.leaky_relu])
def test_whole_numbers_are_refused_with_the_mend(function):
    with pytest.raises(TypeError, match=rf"{function.__name__}: expected input of a floating-point dtype, got torch.int64; convert it with .float\(\)"): function(torch.arange(3))


def test_unknown_approximation():
    with pytest.raises(RuntimeError, match="expected approximate='none' or 'tanh', got 'sigmoid'"): layers.GELU("sigmoid")(torch.ones(1))


@pytest.mark.parametrize("ours, theirs", [(layers.gelu, F.gelu), (layers.silu, F.silu), (layers.leaky_relu, F.leaky_relu)])
def test_channels_last_stays(ours, theirs):
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    assert ours(x).stride() == theirs(x).stride()
    torch.testing.assert_close(ours(x), theirs(x))


# embedding -------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kwargs", EMBEDDINGS)
@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (0,), (2, 0)])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_embedding_function(kwargs, shape, dtype):
    generator = torch.Generator().manual_seed(0)
    index, table = torch.randint(6, shape, generator=generator).to(dtype), torch.randn(6, 4, generator=generator, dtype=torch.float64)
    results = []
    for function in (layers.embedding, F.embedding):
        weight = table.clone().requires_grad_()
        out = function(index, weight, **kwargs)
        out.backward(torch.arange(1.0, 1 + out.numel(), dtype=torch.float64).view(out.shape))
        results.append((out.detach(), weight.grad, weight.detach()))
    for ours, theirs in zip(*results): torch.testing.assert_close(ours, theirs)


def test_padding_row_is_zero_and_stays():
    layer = layers.Embedding(5, 3, padding_idx=0)
    assert not layer.weight[0].any()
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    layer(torch.tensor([0, 1, 0])).sum().backward()
    optimizer.step()
    assert not layer.weight[0].any() and not layer.weight.grad[0].any() and layer.weight.grad[1].eq(1).all()


@pytest.mark.parametrize("index", [5, 7, -1])
def test_index_outside_names_index_and_count(index):
    for act in (layers.Embedding(5, 3), layers.Embedding(5, 3, max_norm=1.0)):
        with pytest.raises(IndexError, match=rf"expected indices from 0 to 4, for the table has 5 rows; got {index} \(1 of 3 are outside\)"): act(torch.tensor([1, index, 0]))


@pytest.mark.parametrize("act, error, words", [
    (lambda: layers.Embedding(5, 3)(torch.ones(2)), RuntimeError, r"expected indices in torch.int64 or torch.int32, got torch.float32; convert them with .long\(\)"),
    (lambda: layers.Embedding(5, 3)(torch.ones(2, dtype=torch.bool)), RuntimeError, "got torch.bool"),
    (lambda: layers.embedding(torch.tensor([1]), torch.ones(3)), RuntimeError, r"expected a table \(rows, columns\), got shape \(3,\)"),
    (lambda: layers.Embedding(5, 3, sparse=True), NotImplementedError, "sparse=True"),
    (lambda: layers.embedding(torch.tensor([1]), torch.ones(3, 2), sparse=True), NotImplementedError, "sparse=True"),
    (lambda: layers.Embedding(5, 3, padding_idx=5), ValueError, "expected padding_idx from -5 to 4, for the table has 5 rows; got 5"),
    (lambda: layers.embedding(torch.tensor([1]), torch.ones(3, 2), padding_idx=-4), ValueError, "from -3 to 2"),
    (lambda: layers.Embedding(5, 3, _weight=torch.ones(3, 5)), ValueError, r"expected a table of shape \(5, 3\), got \(3, 5\)"),
    (lambda: layers.Linear(5, 3)(torch.ones(2, 4)), RuntimeError, r"got \(2, 4\) and \(3, 5\)"),
    (lambda: layers.Flatten()(torch.ones(4)), IndexError, r"dimensions 1 to -1 in this order, got shape \(4,\); .*input\[None\]"),
    (lambda: layers.Flatten(2, 1)(torch.ones(2, 3, 4)), RuntimeError, "dimensions 2 to 1 in this order"),
    (lambda: layers.MSELoss(reduction="median"), ValueError, "expected 'none', 'mean' or 'sum', got 'median'"),
    (lambda: layers.CrossEntropyLoss()(torch.randn(2, 3), torch.tensor([0, 3])), IndexError, "expected labels from 0 to 2, for 3 classes"),
])
def test_bad_input_gets_expected_got_and_mend(act, error, words):
    with pytest.raises(error, match=words): act()


def test_second_derivative_of_embedding():
    index, table = torch.tensor([[0, 2], [2, 2]]), torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    f = lambda t: layers.embedding(index, t, padding_idx=0).pow(3).sum()
    gradient, = torch.autograd.grad(f(table), table, create_graph=True)
    ours, = torch.autograd.grad(gradient.sum(), table)
    expected = torch.autograd.grad(torch.autograd.grad(F.embedding(index, table, 0).pow(3).sum(), table, create_graph=True)[0].sum(), table)[0]
    torch.testing.assert_close(ours, expected)


# softmax's missing dim, deprecated arguments ------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax"])
def test_missing_dim_is_guessed_with_a_warning(name):
    for shape in ((4,), (2, 3), (2, 3, 4), (2, 3, 4, 5)):
        x = torch.randn(shape)
        outputs = []
        for layer in both(name):
            with pytest.warns(UserWarning): outputs.append(layer(x))
        torch.testing.assert_close(*outputs)


@pytest.mark.parametrize("size_average, reduce", [(True, None), (False, None), (None, False), (False, False)])
def test_deprecated_arguments(size_average, reduce):
    with pytest.warns(UserWarning, match="deprecated"): ours = layers.L1Loss(size_average, reduce)
    with pytest.warns(UserWarning): assert nn.L1Loss(size_average, reduce).reduction == ours.reduction


def test_loss_weights_are_buffers_that_move():
    loss = layers.CrossEntropyLoss(three).double()
    assert loss.weight.dtype == torch.float64 and list(loss.state_dict()) == ["weight"] and not list(loss.parameters())


# no delegation ---------------------------------------------------------------------------------------------------------------
FORBIDDEN = {"gelu", "gelu_backward", "silu", "silu_backward", "leaky_relu", "leaky_relu_backward", "relu", "threshold_backward", "embedding", "embedding_renorm", "embedding_dense_backward",
             "embedding_backward", "_softmax", "_softmax_backward_data", "_log_softmax", "_log_softmax_backward_data", "log_sigmoid_forward", "log_sigmoid_backward", "mse_loss",
             "mse_loss_backward", "nll_loss_forward", "nll_loss_backward", "nll_loss2d_forward", "binary_cross_entropy", "binary_cross_entropy_with_logits", "l1_loss"}


class Seen(TorchDispatchMode):
    "Collects the names of the kernels that run."
    def __init__(self): super().__init__(); self.names = set()
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.add(function.overloadpacket.__name__.rstrip("_"))
        return function(*args, **(kwargs or {}))


def kernels(layer, inputs):
    from lesson_nb.proof import make_arguments
    given = [a.requires_grad_() if a.is_floating_point() and i == 0 else a for i, a in enumerate(make_arguments(inputs, "typical"))]
    with Seen() as seen:
        out = layer.double()(*given)
        out.sum().backward() if out.requires_grad else None
    return seen.names


@each_layer
def test_layer_runs_no_kernel_of_its_counterpart(name, args, kwargs, inputs): assert not kernels(both(name, args, kwargs)[0], inputs) & FORBIDDEN


def test_the_list_of_forbidden_kernels_is_not_empty_talk():
    found = set().union(*(kernels(both(name, args, kwargs)[1], inputs) for name, args, kwargs, inputs in LAYERS))
    assert len(found & FORBIDDEN) >= 18, sorted(FORBIDDEN - found)


# on our own Module -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def second_copy(once_more):
    "The layers once more, with our Module and Parameter where they look for torch's."
    return once_more(layers)


def classifier(place, sequential):
    return sequential(place.Embedding(11, 6, padding_idx=0), place.Flatten(), place.Linear(18, 8), place.GELU(), place.Linear(8, 8), place.LeakyReLU(), place.Linear(8, 8), place.SiLU(),
                      place.Identity(), place.Linear(8, 4, bias=False), place.LogSoftmax(1))


def test_layers_train_on_our_module_as_on_torchs(second_copy):
    assert issubclass(second_copy.Linear, modules.Module) and not issubclass(second_copy.Linear, nn.modules.module.Module)
    nets = []
    for place, sequential in ((second_copy, Sequential), (nn, nn.Sequential)):
        torch.manual_seed(0)
        nets.append((classifier(place, sequential), place.NLLLoss(weight=torch.tensor([1.0, 2.0, 0.5, 1.0]))))
    (ours, our_loss), (theirs, their_loss) = nets
    assert type(ours[0].weight) is modules.Parameter and repr(ours) == repr(theirs) and repr(our_loss) == repr(their_loss)
    generator = torch.Generator().manual_seed(1)
    index, target = torch.randint(11, (64, 3), generator=generator), torch.randint(4, (64,), generator=generator)
    first = our_loss(ours(index), target).item()
    for _ in range(20):
        for net, loss in nets:
            value = loss(net(index), target)
            net.zero_grad()
            value.backward()
            with torch.no_grad():
                for p in net.parameters(): p -= 0.5 * p.grad
    for (name, a), (other, b) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert name == other
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert our_loss(ours(index), target) < first - 0.1
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    assert ours.double()(index).dtype == torch.float64 and ours.eval()[3].training is False


def test_layers_work_in_torchs_programs():
    "An optimizer, the functional interface, and a module of torch's around them."
    net = nn.Sequential(layers.Linear(4, 8), layers.GELU(), layers.Linear(8, 1))
    x, y = torch.randn(32, 4), torch.randn(32, 1)
    optimizer, loss = torch.optim.Adam(net.parameters(), lr=0.05), layers.MSELoss()
    before = loss(net(x), y).item()
    for _ in range(30):
        optimizer.zero_grad()
        loss(net(x), y).backward()
        optimizer.step()
    assert loss(net(x), y) < 0.8 * before
    called = torch.func.functional_call(net, {k: v * 0 for k, v in net.state_dict().items()}, x)
    assert not called.any()
    torch.testing.assert_close(torch.func.vmap(net)(x[:, None])[:, 0], net(x))
