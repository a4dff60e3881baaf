"Lesson 02: linear, relu and mse_loss against PyTorch's, gradients by hand against autograd's, and a checker that can say no."
import warnings
import pytest, torch
import torch.nn.functional as F
from hypothesis import given, strategies as st
from lesson_nb.backprop import (Layer, LinearLayer, Network, ReluLayer, SquaredError, assert_gradient, linear, mse_loss, numerical_gradient,
                                reduction_name, relu)
from lesson_nb.proof import assert_same, floats

DTYPES = (torch.float64, torch.float32, torch.bfloat16)


def random(*shape, dtype=torch.float64, seed=0): return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def gradients(function, *inputs):
    inputs = [i.detach().requires_grad_() for i in inputs]
    output = function(*inputs)
    return output, torch.autograd.grad(output, inputs, torch.ones_like(output))


# linear
@pytest.mark.parametrize("input, weight, bias", [((4, 5), (3, 5), (3,)), ((4, 5), (3, 5), None), ((5,), (3, 5), (3,)), ((2, 4, 5), (3, 5), (3,)), ((0, 5), (3, 5), (3,)),
                                                 ((4, 5), (5,), None), ((5,), (5,), None), ((4, 0), (3, 0), (3,)), ((4, 5), (0, 5), (0,)), ((4, 5), (3, 5), (1,)), ((2, 4, 5), (3, 5), (4, 3))])
@pytest.mark.parametrize("dtype", DTYPES)
def test_linear_of_any_rank(input, weight, bias, dtype):
    tensors = [random(*s, dtype=dtype, seed=i) for i, s in enumerate((input, weight, bias)) if s is not None]
    (ours, our_gradients), (theirs, their_gradients) = gradients(linear, *tensors), gradients(F.linear, *tensors)
    loose = {"rtol": 0.05, "atol": 0.05} if dtype == torch.bfloat16 else {}    # F.linear rounds once, after adding the bias
    torch.testing.assert_close(ours, theirs, **loose)
    for mine, other in zip(our_gradients, their_gradients): torch.testing.assert_close(mine, other, **loose)


def test_linear_of_other_layouts_and_kinds():
    x = random(2, 5, 4).transpose(1, 2)
    torch.testing.assert_close(linear(x, random(5, 3).T, random(6)[::2]), F.linear(x, random(5, 3).T, random(6)[::2]))
    whole = torch.arange(6).view(2, 3)
    assert torch.equal(linear(whole, whole), F.linear(whole, whole))


@pytest.mark.parametrize("input, weight, bias, said", [
    ((2, 3), (3, 4), None, "transposed"), ((2, 28, 28), (10, 784), None, "flatten"), ((2, 3), (4, 3), (2,), r"shape \(4,\)"), ((2, 3), (4, 3), (5, 2, 4), r"shape \(4,\)"), ((), (3,), None, "expected input")])
def test_linear_says_what_does_not_fit(input, weight, bias, said):
    bias = None if bias is None else random(*bias)
    with pytest.raises(RuntimeError, match=said): linear(random(*input), random(*weight), bias)


def test_linear_refuses_mixed_dtypes():
    with pytest.raises(RuntimeError, match="dtype"): linear(random(2, 3), random(4, 3), random(4).float())
    with pytest.raises(RuntimeError): linear(random(2, 3), random(4, 3).float())


def test_linear_under_autocast_stays_in_low_precision():
    x, weight, bias = (random(*s).float() for s in ((4, 5), (3, 5), (3,)))
    with torch.autocast("cpu", torch.bfloat16): assert linear(x, weight, bias).dtype == F.linear(x, weight, bias).dtype == torch.bfloat16


# relu
@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16, torch.int64, torch.int8, torch.uint8])
def test_relu_of_each_dtype(dtype):
    x = torch.tensor([-3.0, -1.0, 0.0, 2.0, 5.0]).abs().to(dtype) if dtype == torch.uint8 else torch.tensor([-3.0, -1.0, 0.0, 2.0, 5.0]).to(dtype)
    assert torch.equal(relu(x), F.relu(x)) and relu(x).dtype == dtype


def test_relu_in_place_and_its_gradient():
    for inplace in (False, True):
        leaf = torch.tensor([-1.0, 0.0, 2.0, float("nan"), float("inf"), -float("inf")], requires_grad=True)
        x = leaf * 1
        out = relu(x, inplace=inplace)
        assert (out is x) == inplace
        out.backward(torch.full((6,), 3.0))
        assert torch.equal(leaf.grad, torch.tensor([0.0, 0.0, 3.0, 3.0, 3.0, 0.0]))
        torch.testing.assert_close(out, F.relu(leaf), equal_nan=True)


def test_relu_of_nothing_and_of_booleans():
    assert relu(torch.empty(0, 3)).shape == (0, 3) and relu(torch.tensor(-2.0)) == 0
    with pytest.raises(RuntimeError, match="booleans"): relu(torch.tensor([True]))


# mse_loss
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("shape", [(4, 3), (5,), (), (0, 3), (2, 3, 4)])
@pytest.mark.parametrize("weighted", [False, True])
def test_mse_loss(reduction, shape, weighted):
    x, y, weight = random(*shape), random(*shape, seed=1), random(*shape, seed=2).abs() if weighted else None
    ours, theirs = (gradients(lambda a, b: f(a, b, reduction=reduction, weight=weight), x, y) for f in (mse_loss, F.mse_loss))
    torch.testing.assert_close(ours, theirs, equal_nan=True)


@pytest.mark.parametrize("size_average", [None, True, False])
@pytest.mark.parametrize("reduce", [None, True, False])
def test_mse_loss_with_the_old_arguments(size_average, reduce):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.testing.assert_close(mse_loss(random(4), random(4, seed=1), size_average, reduce), F.mse_loss(random(4), random(4, seed=1), size_average, reduce))
        assert reduction_name(size_average, reduce, "sum") == ("sum" if size_average is reduce is None else "none" if reduce is False else "sum" if size_average is False else "mean")


def test_mse_loss_warns_of_broadcasting_and_refuses_what_cannot_be():
    with pytest.warns(UserWarning, match=r"\(4, 1\).*\(4,\).*squeeze"): ours = mse_loss(random(4, 1), random(4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.testing.assert_close(ours, F.mse_loss(random(4, 1), random(4)))
        with pytest.raises(RuntimeError): mse_loss(random(3), random(4))
    with pytest.warns(UserWarning, match="deprecated"): mse_loss(random(3), random(3), reduce=False)
    with pytest.raises(ValueError, match="'none', 'mean' or 'sum', got 'avg'"): mse_loss(random(3), random(3), reduction="avg")
    with pytest.raises(ValueError, match="weight"): mse_loss(random(3), random(3), weight=random(1))
    with pytest.raises(NotImplementedError, match="float"): mse_loss(torch.tensor([1]), torch.tensor([2]))
    assert mse_loss(random(3).float(), torch.tensor([1, 2, 3])).dtype == torch.float32


def test_planted_faults_are_found():
    "The proofs of the lesson can fail: a clamp has another slope at 0, a sum is no mean."
    with pytest.raises(AssertionError): assert_same(lambda x: x.clamp(min=0), F.relu, torch.tensor([-1.0, 0.0, 2.0]))
    with pytest.raises(AssertionError): assert_same(lambda x, y: ((x - y)**2).sum(), F.mse_loss, floats("n", 3), floats("n", 3))
    with pytest.raises(AssertionError, match="not rebuilt"): assert_same(lambda x, w: F.linear(x, w), F.linear, floats("n", 3), floats(2, 3))
    with pytest.raises(AssertionError): assert_same(lambda x, w, b: x @ w.T, F.linear, floats("n", 3), floats(2, 3), floats(2))


# gradients by nudging
@given(st.lists(st.integers(1, 3), max_size=3), st.integers(0, 100))
def test_numerical_gradient_equals_autograd(shape, seed):
    x = random(*shape, seed=seed)
    def function(x): return (x.exp() * x.sin() + x.sum() ** 2).sum()
    leaf = x.clone().requires_grad_()
    before = x.clone()
    torch.testing.assert_close(numerical_gradient(function, x), torch.autograd.grad(function(leaf), leaf)[0], rtol=1e-6, atol=1e-7)
    assert torch.equal(x, before), "x must come back as it was"


def test_numerical_gradient_moves_what_lies_inside_an_object():
    weight = random(3, 2)
    torch.testing.assert_close(numerical_gradient(lambda _: (weight**3).sum(), weight), 3 * weight**2)
    torch.testing.assert_close(numerical_gradient(lambda _: (weight**3).sum(), weight.T), 3 * weight.T**2)
    leaf = random(3).requires_grad_()
    torch.testing.assert_close(numerical_gradient(lambda w: (w**2).sum(), leaf), 2 * leaf.detach())


def test_numerical_gradient_leaves_x_alone_when_the_function_fails():
    x = random(3)
    before = x.clone()
    def breaks(x): raise KeyError("no")
    with pytest.raises(KeyError): numerical_gradient(breaks, x)
    assert torch.equal(x, before)


def test_numerical_gradient_refuses_what_it_cannot_do():
    with pytest.raises(TypeError, match="double"): numerical_gradient(lambda x: x.sum(), random(2).float())
    with pytest.raises(ValueError, match="one number"): numerical_gradient(lambda x: x, random(2))
    with pytest.raises(ValueError, match="clone"): numerical_gradient(lambda x: x.sum(), random(1).expand(3))


@pytest.mark.parametrize("spoil, said", [
    (lambda g: g * 2, "each is 2 times"), (lambda g: -g, "each is -1 times"), (lambda g: g * 0, "all of them are 0"), (lambda g: g + 1, "worst at"), (lambda g: g.T, "transposed"),
    (lambda g: None, "None"), (lambda g: g * float("nan"), "nan"), (lambda g: torch.where(torch.arange(4) == 2, g + 9, g), r"at \(\d, 2\)")])
def test_assert_gradient_names_the_mistake(spoil, said):
    x = random(3, 4)
    def function(x): return (x**2).sum()
    assert_gradient(function, x, 2 * x)
    with pytest.raises(AssertionError, match=said): assert_gradient(function, x, spoil(2 * x))


def test_assert_gradient_names_the_worst_of_all_and_draws_where_there_are_many():
    x = random(3, 4)
    wrong = 2 * x
    wrong[1, 3] += 0.1
    wrong[2, 0] += 5
    with pytest.raises(AssertionError, match=r"wrong at 2 of 12 places tried, worst at \(2, 0\)"): assert_gradient(lambda x: (x**2).sum(), x, wrong)
    calls = []
    assert_gradient(lambda x: calls.append(1) or (x**2).sum(), many := random(50, 50), 2 * many, places=30)
    assert len(calls) == 60


# layers as objects
def network(*sizes):
    parameters = [(random(m, n, seed=m), random(m, seed=n)) for n, m in zip(sizes, sizes[1:])]
    layers = [layer for w, b in parameters for layer in (LinearLayer(w, b), ReluLayer())]
    return Network(*layers[:-1], loss=SquaredError())


@pytest.mark.parametrize("sizes", [(5, 3), (5, 4, 3), (5, 6, 4, 3)])
@pytest.mark.parametrize("batch", [7, 1])
def test_network_has_autograds_gradients(sizes, batch):
    net, x, y = network(*sizes), random(batch, sizes[0]), random(batch, sizes[-1], seed=9)
    loss = net.loss(net(x), y)
    flow = net.backward()
    leaves = [t.clone().requires_grad_() for t in (x, *net.parameters)]
    out, *parameters = leaves
    for i in range(0, len(parameters), 2): out = F.linear(F.relu(out) if i else out, *parameters[i:i + 2])
    theirs = F.mse_loss(out, y)
    torch.testing.assert_close(loss, theirs)
    for mine, other in zip((flow, *net.gradients), torch.autograd.grad(theirs, leaves)): torch.testing.assert_close(mine, other)


def test_network_learns_as_autograd_does():
    net, x, y = network(5, 8, 3), random(20, 5), random(20, 3, seed=9)
    parameters = [p.clone().requires_grad_() for p in net.parameters]
    first = None
    for _ in range(50):
        loss = net.loss(net(x), y)
        first = first or loss.item()
        net.backward()
        net.step(0.05)
        F.mse_loss(F.linear(F.relu(F.linear(x, *parameters[:2])), *parameters[2:]), y).backward()
        with torch.no_grad():
            for p in parameters: p -= 0.05 * p.grad; p.grad = None
    for mine, other in zip(net.parameters, parameters): torch.testing.assert_close(mine, other.detach(), rtol=1e-10, atol=1e-12)
    assert loss < first / 2


def test_old_gradients_do_not_survive_a_call():
    net, x, y = network(5, 3), random(4, 5), random(4, 3)
    net.loss(net(x), y)
    net.backward()
    assert all(g is not None for g in net.gradients)
    net.loss(net(x), y)
    assert net.gradients == [None, None]
    with pytest.raises(RuntimeError, match="backward"): net.step(0.1)


def test_backward_before_any_call_says_so():
    with pytest.raises(RuntimeError, match="LinearLayer.backward.*call"): LinearLayer(random(2, 2), random(2)).backward(random(1, 2))


def test_a_new_kind_of_layer_is_two_formulas():
    class Square(Layer):
        def forward(self, x): return x**2
        def pull(self, flow, x): return [2 * x * flow]
    layer, x, flow = Square(), random(3), random(3, seed=1)
    layer(x)
    assert_gradient(lambda x: (x**2 * flow).sum(), x, layer.backward(flow))


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss"])
def test_losses_under_autocast_and_without_a_device(name):
    "Under autocast PyTorch takes these losses in float32, where 300 squared is no infinity; and meta tensors know no autocast."
    from torch.nn import functional as F
    from lesson_nb import functional
    a, b = torch.full((4,), 300.0).half(), torch.zeros(4).half()
    with torch.autocast("cpu", torch.float16):
        mine, theirs = getattr(functional, name)(a, b), getattr(F, name)(a, b)
    assert mine.dtype == theirs.dtype == torch.float32 and mine == theirs and mine.isfinite()
    assert getattr(functional, name)(torch.empty(3, device="meta"), torch.empty(3, device="meta")).device.type == "meta"
