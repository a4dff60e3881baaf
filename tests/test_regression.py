"""Losses for yes or no, and for quantities, against PyTorch's: every documented argument, values and gradients, both dtypes, odd inputs."""
import itertools, math, warnings
import pytest, torch
import torch.nn.functional as F
from lesson_nb.proof import floats, what_it_calls
from lesson_nb.regression import (binary_cross_entropy, binary_cross_entropy_with_logits, exp_rmspe, l1_loss, logsigmoid, rmspe, sigmoid,
                                  sigmoid_range)
from test_losses import DTYPES, INF, NAN, REDUCTIONS, layouts, observed, same, scores_of

SHAPES = {"number": (), "row": (6,), "rows": (4, 3), "column": (5, 1), "pictures": (2, 3, 4, 2), "empty": (0,), "no rows": (0, 3), "no columns": (3, 0)}
PAIRS = {"binary_cross_entropy": (binary_cross_entropy, F.binary_cross_entropy), "l1_loss": (l1_loss, F.l1_loss),
         "with_logits": (binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits)}
each_pair = pytest.mark.parametrize("ours, theirs", PAIRS.values(), ids=PAIRS.keys())
each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def shares_of(shape, dtype=torch.float64, seed=7):
    "Numbers between 0 and 1."
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def input_of(theirs, shape, dtype=torch.float64, seed=0):
    return shares_of(shape, dtype, seed + 20) if theirs is F.binary_cross_entropy else scores_of(shape, dtype, seed=seed)


@each_pair
@each_shape
def test_every_combination_of_arguments(ours, theirs, shape):
    for dtype in DTYPES:
        x = input_of(theirs, shape, dtype)
        last = shape[-1:] if theirs is not F.l1_loss else shape
        weights = [None, 2 * shares_of(shape, dtype), 2 * shares_of(last, dtype)]
        more = [{}, {"pos_weight": 3 * shares_of(last, dtype, 9)}, {"pos_weight": torch.tensor(2.5, dtype=dtype)}] if theirs is PAIRS["with_logits"][1] else [{}]
        for y in (shares_of(shape, dtype), (shares_of(shape) < 0.5).to(dtype)):
            for weight, reduction, extra in itertools.product(weights, REDUCTIONS, more): same(ours, theirs, x, y, weight=weight, reduction=reduction, **extra)


@each_pair
def test_layouts(ours, theirs):
    for shape in ((4, 3), (2, 3, 4, 2)):
        for (_, x), (_, y) in itertools.product(layouts(input_of(theirs, shape)), layouts(shares_of(shape))): same(ours, theirs, x, y)


@each_pair
@pytest.mark.parametrize("size_average, reduce", list(itertools.product((None, True, False), repeat=2)))
def test_deprecated_arguments(ours, theirs, size_average, reduce):
    x, y = input_of(theirs, (4, 3)), shares_of((4, 3))
    for reduction in REDUCTIONS: same(ours, theirs, x, y, size_average=size_average, reduce=reduce, reduction=reduction)
    if size_average is not None or reduce is not None:
        with pytest.warns(UserWarning, match="deprecated") as caught: ours(x, y, size_average=size_average, reduce=reduce)
        assert caught[0].filename == __file__


def test_positional_arguments_are_pytorchs():
    x, y, w = scores_of((4, 3)), shares_of((4, 3)), shares_of((4, 3), seed=3)
    bce, logits = PAIRS["binary_cross_entropy"], PAIRS["with_logits"]
    torch.testing.assert_close(bce[0](y, w, w, None, None, "sum"), bce[1](y, w, w, None, None, "sum"))
    torch.testing.assert_close(logits[0](x, y, w, None, None, "sum", 2 * w), logits[1](x, y, w, None, None, "sum", 2 * w))
    torch.testing.assert_close(l1_loss(x, y, None, None, "sum", w), F.l1_loss(x, y, None, None, "sum", w))


# sigmoid, logsigmoid --------------------------------------------------------------------------------------------------------------------
ENDS = torch.tensor([0.0, -0.0, 1e-30, 5.0, -5.0, 17.0, -17.0, 88.0, -88.0, 100.0, -100.0, 1000.0, -1000.0, 1e30, -1e30])


@pytest.mark.parametrize("ours, theirs", [(sigmoid, torch.sigmoid), (logsigmoid, F.logsigmoid)], ids=["sigmoid", "logsigmoid"])
@each_shape
def test_sigmoids(ours, theirs, shape):
    for dtype in DTYPES:
        for _, x in layouts(scores_of(shape, dtype)): same(ours, theirs, x)


@pytest.mark.parametrize("ours, theirs", [(sigmoid, torch.sigmoid), (logsigmoid, F.logsigmoid)], ids=["sigmoid", "logsigmoid"])
def test_sigmoids_at_the_ends(ours, theirs):
    for dtype in DTYPES:
        same(ours, theirs, ENDS.to(dtype))
        assert ours(ENDS.to(dtype)).isfinite().all()
        for value in (INF, -INF, NAN): same(ours, theirs, torch.tensor([value], dtype=dtype))


def test_relative_precision_in_the_far_tail():
    x = torch.linspace(-80, -1, 400)
    for function in (sigmoid, logsigmoid, lambda x: logsigmoid(-x), lambda x: sigmoid(x)):
        torch.testing.assert_close(function(x).double(), function(x.double()), rtol=3e-7, atol=0)
    torch.testing.assert_close(sigmoid(x.double()), torch.sigmoid(x.double()), rtol=1e-14, atol=0)
    for function in (sigmoid, logsigmoid, lambda x: logsigmoid(-x)):
        torch.testing.assert_close(observed(lambda x: function(x).sum(), [x])[1].double(), observed(lambda x: function(x).sum(), [x.double()])[1], rtol=6e-7, atol=0)


def test_sigmoid_of_whole_numbers():
    for values in ([1, -2, 0], [True, False]): torch.testing.assert_close(sigmoid(torch.tensor(values)), torch.sigmoid(torch.tensor(values)))


# the losses at their ends ---------------------------------------------------------------------------------------------------------------
def test_logits_at_the_ends():
    for dtype, y in itertools.product(DTYPES, (0.0, 0.3, 1.0)):
        x = ENDS.to(dtype)
        same(*PAIRS["with_logits"], x, torch.full_like(x, y), reduction="none")
        same(*PAIRS["with_logits"], x, torch.full_like(x, y), reduction="none", pos_weight=torch.tensor(3.0, dtype=dtype))
        for value in (INF, -INF, NAN): same(*PAIRS["with_logits"], torch.tensor([value], dtype=dtype), torch.tensor([y], dtype=dtype), reduction="none")


def test_gradient_at_a_score_of_zero():
    for y in (0.0, 0.25, 1.0):
        x = torch.zeros(1, requires_grad=True)
        binary_cross_entropy_with_logits(x, torch.tensor([y])).backward()
        assert x.grad.item() == 0.5 - y
    x = torch.zeros(1, requires_grad=True)
    sigmoid(x).backward()
    assert x.grad.item() == 0.25


def test_probabilities_at_the_ends():
    x = torch.tensor([0.0, 1.0, 0.0, 1.0, 1e-30, 1e-9, 1 - 6e-8, 0.5])
    for dtype, y in itertools.product(DTYPES, (0.0, 1.0, 0.4)):
        given, aim = x.to(dtype), torch.full_like(x, y, dtype=dtype)
        same(lambda x: binary_cross_entropy(x, aim, reduction="none"), lambda x: F.binary_cross_entropy(x, aim.to(x.dtype), reduction="none"), given,
             rtol=1e-8)  # PyTorch keeps its 1e-12 in float32
    assert binary_cross_entropy(torch.tensor([0.0]), torch.tensor([1.0])) == 100
    torch.testing.assert_close(binary_cross_entropy(torch.tensor([1e-9]), torch.tensor([0.0])), torch.tensor(1e-9))


def test_gradient_of_the_target_as_pytorch():
    x, y = shares_of((4, 3)), shares_of((4, 3), seed=3)
    same(binary_cross_entropy, F.binary_cross_entropy, x, y)
    assert len(observed(binary_cross_entropy, [x, y])) == 3
    same(binary_cross_entropy, F.binary_cross_entropy, torch.tensor([0.0, 1.0]).double(), torch.tensor([0.3, 0.6]).double(), reduction="none", rtol=1e-8)


def test_both_ways_to_binary_cross_entropy_agree():
    x, y = scores_of((50,)), shares_of((50,))
    torch.testing.assert_close(binary_cross_entropy(sigmoid(x), y), binary_cross_entropy_with_logits(x, y))


def test_mixed_dtypes_as_pytorch():
    x, y = scores_of((4, 3), torch.float32), shares_of((4, 3))
    for ours, theirs in (PAIRS["with_logits"], PAIRS["l1_loss"]):
        got, expected = observed(ours, [x, y]), observed(theirs, [x, y])
        assert [g.dtype for g in got] == [e.dtype for e in expected]
        for g, e in zip(got, expected): torch.testing.assert_close(g, e)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_floats(dtype):
    x, y = scores_of((40,), torch.float32).to(dtype), shares_of((40,), torch.float32).to(dtype)
    loose = dict(rtol=3e-2 if dtype == torch.bfloat16 else 4e-3, atol=1e-3)
    for function in (sigmoid, logsigmoid): torch.testing.assert_close(function(x), function(x.float()).to(dtype), rtol=1e-2, atol=0)
    for ours, theirs in (PAIRS["with_logits"], PAIRS["l1_loss"]): torch.testing.assert_close(ours(x, y), theirs(x.float(), y.float()).to(dtype), **loose)


def test_under_autocast_the_loss_stays_in_float32_as_pytorchs():
    x, y = scores_of((6, 5), torch.float32).bfloat16(), shares_of((6, 5), torch.float32)
    ours, theirs = PAIRS["with_logits"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for target in (y, y.bfloat16()): assert ours(x, target).dtype == theirs(x, target).dtype == torch.float32
        torch.testing.assert_close(ours(x, y), theirs(x, y))


# l1 -------------------------------------------------------------------------------------------------------------------------------------
def test_l1_gradient_where_there_is_none():
    x = torch.tensor([1.0, 2.0, 3.0])
    same(l1_loss, F.l1_loss, x, torch.tensor([1.0, 2.5, 3.0]), reduction="sum")


def test_l1_broadcasts_with_a_warning_as_pytorch():
    x, y = scores_of((4, 3)), scores_of((3,))
    with pytest.warns(UserWarning, match=r"expected a target of the input's shape \(4, 3\), got \(3,\)") as caught: l1_loss(x, y)
    assert caught[0].filename == __file__
    for reduction in REDUCTIONS: same(l1_loss, F.l1_loss, x, y, reduction=reduction)


def test_l1_weight_has_a_gradient_as_pytorch():
    same(lambda x, y, w: l1_loss(x, y, weight=w), lambda x, y, w: F.l1_loss(x, y, weight=w), scores_of((4,)), scores_of((4,), seed=1), shares_of((4,)))


def test_l1_of_whole_numbers():
    x, y = torch.tensor([1, 5]), torch.tensor([4, 4])
    assert torch.equal(l1_loss(x, y, reduction="none"), F.l1_loss(x, y, reduction="none"))
    with pytest.raises(RuntimeError): l1_loss(x, y)
    torch.testing.assert_close(l1_loss(x.float(), y), F.l1_loss(x.float(), y))


# derivatives ----------------------------------------------------------------------------------------------------------------------------
TARGET, CONSTANT = shares_of((6,)), 2 * shares_of((6,), seed=4)
DIFFERENTIABLE = {"sigmoid": sigmoid, "logsigmoid": logsigmoid, "sigmoid_range": lambda x: sigmoid_range(x, (-1, 3)),
                  "binary_cross_entropy": lambda x: binary_cross_entropy(torch.sigmoid(x), TARGET, CONSTANT),
                  "with_logits": lambda x: binary_cross_entropy_with_logits(x, TARGET, CONSTANT),
                  "pos_weight": lambda x: binary_cross_entropy_with_logits(x, TARGET, pos_weight=CONSTANT),
                  "target": lambda x: binary_cross_entropy_with_logits(TARGET, torch.sigmoid(x), pos_weight=CONSTANT),
                  "target without pos_weight": lambda x: binary_cross_entropy_with_logits(TARGET + x, torch.sigmoid(x)),
                  "target of probabilities": lambda x: binary_cross_entropy(torch.sigmoid(2 * x), torch.sigmoid(x)),
                  "rmspe": lambda x: rmspe(x, TARGET), "exp_rmspe": lambda x: exp_rmspe(x, TARGET), "l1_loss": lambda x: l1_loss(x, TARGET)}


@pytest.mark.parametrize("function", DIFFERENTIABLE.values(), ids=DIFFERENTIABLE.keys())
def test_first_and_second_derivatives(function):
    x = scores_of((6,), scale=1.0).requires_grad_()
    assert torch.autograd.gradcheck(function, x)
    assert torch.autograd.gradgradcheck(function, x)


def test_second_derivative_is_pytorchs():
    def second(function):
        x = scores_of((6,)).requires_grad_()
        first, = torch.autograd.grad(function(x, TARGET, pos_weight=CONSTANT), x, create_graph=True)
        return torch.autograd.grad((first * CONSTANT).sum(), x)[0]
    torch.testing.assert_close(second(binary_cross_entropy_with_logits), second(F.binary_cross_entropy_with_logits))


# percentages and ranges -------------------------------------------------------------------------------------------------------------------
def test_rmspe_by_hand():
    assert rmspe(torch.tensor([110.0, 180.0]), torch.tensor([100.0, 200.0])).item() == pytest.approx(0.1)
    assert rmspe(torch.tensor([103.0, 204.0]), torch.tensor([100.0, 200.0])).item() == pytest.approx(math.sqrt((0.03**2 + 0.02**2) / 2), rel=1e-5)
    assert rmspe(torch.tensor([50.0, 7.0]), torch.tensor([100.0, 0.0])).item() == 0.5, "a target of 0 does not count"
    assert rmspe(torch.tensor([1.0]), torch.tensor([0.0])).isnan()
    assert rmspe(torch.tensor([-110.0]), torch.tensor([-100.0])).item() == pytest.approx(0.1)


def test_exp_rmspe_is_rmspe_of_what_the_logarithms_stand_for():
    target, guess = 100 + 900 * shares_of((50,)), 100 + 900 * shares_of((50,), seed=1)
    torch.testing.assert_close(exp_rmspe(guess.log(), target.log()), rmspe(guess, target))
    near = target * (1 + 0.001 * scores_of((50,), scale=1.0))
    torch.testing.assert_close(exp_rmspe(near.log(), target.log()), ((near.log() - target.log()) ** 2).mean().sqrt(), rtol=2e-3, atol=0)


def test_sigmoid_range():
    x = torch.tensor([-1000.0, 0.0, 1000.0, 1.0])
    torch.testing.assert_close(sigmoid_range(x, (2, 6)), torch.tensor([2.0, 4.0, 6.0, 2 + 4 * torch.sigmoid(torch.tensor(1.0)).item()]))
    for wrong in ((6, 2), (3, 3)):
        with pytest.raises(ValueError, match="low < high"): sigmoid_range(x, wrong)


# not PyTorch's own ------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("function, strategies, kwargs", [
    (sigmoid, [floats("n", 5)], {}), (logsigmoid, [floats("n", 5)], {}), (l1_loss, [floats("n", 5), floats("n", 5)], {}),
    (binary_cross_entropy, [floats("n", 5, low=0, high=1)] * 2, {}),
    (binary_cross_entropy_with_logits, [floats("n", 5), floats("n", 5, low=0, high=1)], {"pos_weight": torch.tensor(2.0)})])
def test_no_delegation(function, strategies, kwargs):
    forbidden = {"sigmoid", "sigmoid_backward", "log_sigmoid", "log_sigmoid_forward", "log_sigmoid_backward", "binary_cross_entropy", "l1_loss",
                 "binary_cross_entropy_backward", "binary_cross_entropy_with_logits", "log1p", "logit"}
    assert not what_it_calls(function, strategies, kwargs)[0] & forbidden
    assert what_it_calls(F.logsigmoid, [floats("n", 5)])[0] & forbidden


# refusals ---------------------------------------------------------------------------------------------------------------------------------
P, T = shares_of((4, 3), torch.float32), shares_of((4, 3), torch.float32, 3)
REFUSED = {
    "target in a row": (lambda f: f(P[:, :1], T[:, 0]), ValueError, ["(4, 1)", "(4,)", "[:, None]"]),
    "whole target": (lambda f: f(P, T.long()), TypeError, ["target", "int64", ".float()"]),
    "whole input": (lambda f: f(P.long(), T), TypeError, ["input", "int64", ".float()"]),
    "weight of another shape": (lambda f: f(P, T, weight=torch.ones(5, 4, 3)), ValueError, ["weight", "(4, 3)", "(5, 4, 3)"]),
    "weight that does not broadcast": (lambda f: f(P, T, weight=torch.ones(2)), ValueError, ["weight", "(4, 3)", "(2,)"]),
    "weight with a gradient": (lambda f: f(P, T, weight=torch.ones(3, requires_grad=True)), RuntimeError, ["weight", "detach"])}
REFUSED_BY_ONE = {
    "scores for probabilities": (binary_cross_entropy, lambda f: f(3 * P, T), ValueError, ["0 to 1", "with_logits"]),
    "NaN for a probability": (binary_cross_entropy, lambda f: f(torch.where(P < 0.5, NAN, P), T), ValueError, ["0 to 1", "nan"]),
    "target above 1": (binary_cross_entropy, lambda f: f(P, T + 1), ValueError, ["target from 0 to 1"]),
    "other dtype": (binary_cross_entropy, lambda f: f(P, T.double()), TypeError, ["float32", "float64"]),
    "pos_weight of another shape": (binary_cross_entropy_with_logits, lambda f: f(P, T, pos_weight=torch.ones(2)), ValueError, ["pos_weight", "(2,)"]),
    "pos_weight with a gradient": (binary_cross_entropy_with_logits, lambda f: f(P, T, pos_weight=torch.ones(3, requires_grad=True)), RuntimeError, ["pos_weight"]),
    "l1 weight of another shape": (l1_loss, lambda f: f(P, T, weight=torch.ones(3)), ValueError, ["(4, 3)", "(3,)"])}
THEIRS = {binary_cross_entropy: F.binary_cross_entropy, binary_cross_entropy_with_logits: F.binary_cross_entropy_with_logits, l1_loss: F.l1_loss}
CALLS = [pytest.param(f, *case, id=f"{f.__name__}, {name}") for f in list(THEIRS)[:2] for name, case in REFUSED.items()]
CALLS += [pytest.param(*case, id=name) for name, case in REFUSED_BY_ONE.items()]


@pytest.mark.parametrize("ours, call, error, parts", CALLS)
def test_refusals(ours, call, error, parts):
    with pytest.raises(error) as caught: call(ours)
    assert all(part in str(caught.value) for part in [ours.__name__, "expected", "got", *parts]), caught.value
    if "input of a floating" not in str(caught.value):  # which PyTorch lets pass here and there
        with pytest.raises((TypeError, ValueError, RuntimeError)): call(THEIRS[ours])


def test_other_refusals():
    with pytest.raises(ValueError, match="'mean'.*'average'"): l1_loss(P, T, reduction="average")
    with pytest.raises(TypeError, match="logsigmoid: expected input of a floating-point dtype"): logsigmoid(torch.tensor([1]))
    with pytest.raises(NotImplementedError, match="out="): sigmoid(P, out=torch.zeros(4, 3))
    with pytest.raises(ValueError, match=r"rmspe: expected a target of the input's shape \(4, 1\), got \(4,\)"): rmspe(P[:, :1], T[:, 0])


# the comparison can fail --------------------------------------------------------------------------------------------------------------------
def _naive(x, y, **k): return -(y * torch.sigmoid(x).log() + (1 - y) * (1 - torch.sigmoid(x)).log()).mean()
def _autograd_alone(x, y, **k): return (x.clamp(min=0) - x * y + (1 + (-x.abs()).exp()).log()).mean()
def _weightless(x, y, pos_weight): return F.binary_cross_entropy_with_logits(x, y)
def _weighs_all(x, y, pos_weight): return F.binary_cross_entropy_with_logits(x, y, weight=pos_weight)


@pytest.mark.parametrize("fault, x", [(_naive, 200.0), (_autograd_alone, 0.0), (_weightless, 1.0), (_weighs_all, 1.0)])
def test_a_planted_fault_is_found(fault, x):
    x, y = torch.full((3,), x), torch.tensor([0.0, 1.0, 0.5])
    weight = {"pos_weight": torch.tensor(3.0)} if x[0] == 1 else {}
    same(*PAIRS["with_logits"], x, y, **weight)
    with pytest.raises(AssertionError): same(fault, F.binary_cross_entropy_with_logits, x, y, **weight)
