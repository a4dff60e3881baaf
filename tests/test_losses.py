"""Losses over classes against PyTorch's: every documented argument, values and gradients, both dtypes, layouts, empty and extreme inputs."""
import itertools, math, warnings
import pytest, torch
import torch.nn.functional as F
from lesson_nb import losses
from lesson_nb.losses import cross_entropy, log_softmax, logsumexp, nll_loss, reduce_losses, require_floats, softmax, widened
from lesson_nb.proof import floats, labels, what_it_calls

INF, NAN = math.inf, math.nan
SHAPES = {"rows": (7, 5), "one row": (1, 5), "one class": (4, 1), "unbatched": (5,), "sequence": (3, 5, 4), "picture": (2, 5, 3, 4), "volume": (2, 5, 2, 3, 2),
          "no rows": (0, 5), "no pixels": (2, 5, 0, 3), "many classes": (3, 1000)}
REDUCTIONS = ("none", "mean", "sum")
DTYPES = (torch.float64, torch.float32)


def scores_of(shape, dtype=torch.float64, scale=3.0, seed=0):
    return (torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale).to(dtype)


def labels_of(shape, seed=0):
    "Labels that fit scores of this shape."
    classes, rest = (shape[0], ()) if len(shape) == 1 else (shape[1], (shape[0], *shape[2:]))
    return torch.randint(classes, rest, generator=torch.Generator().manual_seed(seed))


def layouts(tensor):
    "The same values in several memory layouts."
    yield "contiguous", tensor
    if tensor.ndim > 1: yield "transposed", tensor.transpose(0, 1).contiguous().transpose(0, 1)
    yield "every second", torch.stack([tensor, tensor], -1)[..., 0]
    if tensor.ndim == 4: yield "channels_last", tensor.contiguous(memory_format=torch.channels_last)


def observed(function, arguments, flow_seed=1, **kwargs):
    "Value, and the gradients of all float arguments that want one."
    given = [a.detach().requires_grad_(a.is_floating_point()) for a in arguments]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = function(*given, **kwargs)
    wanted = [g for g in given if g.requires_grad]
    flow = torch.randn(value.shape, generator=torch.Generator().manual_seed(flow_seed), dtype=torch.float64).to(value)
    return [value.detach(), *torch.autograd.grad(value, wanted, flow, allow_unused=True)]


def same(ours, theirs, *arguments, rtol=1e-11, **kwargs):
    "Assert that ours is theirs: in float64 tightly, in float32 as near to PyTorch's float64 as PyTorch's own float32, give or take rounding."
    before = [a.clone() for a in arguments]
    got, expected = observed(ours, arguments, **kwargs), observed(theirs, arguments, **kwargs)
    assert all(torch.equal(a, b) or a.isnan().any() for a, b in zip(arguments, before)), "an argument was changed"
    single = any(a.dtype == torch.float32 for a in arguments)
    exact = observed(theirs, [a.double() if a.is_floating_point() else a for a in arguments],
                     **{k: v.double() if isinstance(v, torch.Tensor) else v for k, v in kwargs.items()}) if single else expected
    for g, e, x in zip(got, expected, exact):
        if e is None or g is None:
            assert e is g, "one has a gradient, the other none"
            continue
        assert g.shape == e.shape and g.dtype == e.dtype, (g.shape, g.dtype, e.shape, e.dtype)
        if not single: torch.testing.assert_close(g, e, rtol=rtol, atol=1e-13, equal_nan=True)
        else:
            finite = x.isfinite() & e.isfinite()
            torch.testing.assert_close(g[~finite], e[~finite], equal_nan=True)
            own = (e.double() - x)[finite].abs().max().item() if finite.any() else 0.0
            torch.testing.assert_close(g[finite].double(), x[finite], rtol=4e-6, atol=2 * own + 1e-6)


def each_label_loss():
    "(ours, theirs, makes input out of scores)"
    return [pytest.param(cross_entropy, F.cross_entropy, lambda s: s, id="cross_entropy"),
            pytest.param(nll_loss, F.nll_loss, lambda s: torch.log_softmax(s, min(1, s.ndim - 1)), id="nll_loss")]


# labels ---------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ours, theirs, prepared", each_label_loss())
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
def test_every_combination_of_arguments(ours, theirs, prepared, shape, dtype):
    input, target = prepared(scores_of(shape, dtype)), labels_of(shape)
    classes = shape[min(1, len(shape) - 1)]
    some_ignored = torch.where(torch.rand(target.shape, generator=torch.Generator().manual_seed(2)) < 0.4, -100, target)
    weights = [None, torch.linspace(0.2, 1.7, classes, dtype=dtype)]
    smoothings = [{}, {"label_smoothing": 0.1}] if theirs is F.cross_entropy else [{}]
    targets = [(target, -100), (some_ignored, -100), (target, 0), (torch.full_like(target, -7), -7)]
    for (y, ignore_index), weight, reduction, smoothing in itertools.product(targets, weights, REDUCTIONS, smoothings):
        same(ours, theirs, input, y, weight=weight, reduction=reduction, ignore_index=ignore_index, **smoothing)
    same(ours, theirs, input, target, ignore_index=classes + 3)
    same(ours, theirs, input, target, weight=torch.zeros(classes, dtype=dtype))
    if theirs is F.cross_entropy: same(ours, theirs, input, some_ignored, weight=weights[1], label_smoothing=1.0)


@pytest.mark.parametrize("ours, theirs, prepared", each_label_loss())
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_memory_layouts(ours, theirs, prepared, shape):
    def packed(x, y, **kwargs): return theirs(x.contiguous(), y.contiguous(), **kwargs)  # PyTorch's own backward fails for some layouts
    for (_, input), (_, target) in itertools.product(layouts(prepared(scores_of(shape))), layouts(labels_of(shape))):
        for reduction in REDUCTIONS: same(ours, packed, input, target, reduction=reduction)


@pytest.mark.parametrize("ours, theirs, prepared", each_label_loss())
@pytest.mark.parametrize("size_average, reduce", list(itertools.product((None, True, False), repeat=2)))
def test_deprecated_arguments(ours, theirs, prepared, size_average, reduce):
    input, target = prepared(scores_of((6, 4))), labels_of((6, 4))
    for reduction in REDUCTIONS: same(ours, theirs, input, target, size_average=size_average, reduce=reduce, reduction=reduction)
    if size_average is not None or reduce is not None:
        with pytest.warns(UserWarning, match="deprecated"): ours(input, target, size_average=size_average, reduce=reduce)


def test_positional_arguments_are_pytorchs():
    x, y, w = scores_of((6, 4)), labels_of((6, 4)), torch.rand(4, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.testing.assert_close(cross_entropy(x, y, w, None, 1, None, "sum", 0.3), F.cross_entropy(x, y, w, None, 1, None, "sum", 0.3))
        torch.testing.assert_close(nll_loss(x, y, w, None, 1, None, "sum"), F.nll_loss(x, y, w, None, 1, None, "sum"))
        torch.testing.assert_close(softmax(x, 1, 3, torch.float32), F.softmax(x, 1, 3, torch.float32))


@pytest.mark.parametrize("ours, theirs, prepared", each_label_loss())
def test_bytes_and_single_labels(ours, theirs, prepared):
    x, y = prepared(scores_of((6, 4))), labels_of((6, 4))
    same(ours, theirs, x, y.to(torch.uint8))
    same(ours, theirs, x[0], y[0])
    for reduction in REDUCTIONS:  # values alone: PyTorch's backward fails here
        torch.testing.assert_close(ours(x[0], y[:1], reduction=reduction), theirs(x[0], y[:1], reduction=reduction))
        same(ours, lambda x, y, **kwargs: theirs(x, y[0], **kwargs), x[0], y[:1], reduction=reduction)
    same(ours, theirs, x, y.to(torch.uint8), ignore_index=int(y[0]))


@pytest.mark.parametrize("ours", [cross_entropy, nll_loss])
def test_nothing_that_counts_is_nan_or_zero(ours):
    for shape in ((0, 5), (3, 5), (2, 5, 3)):
        x, y = scores_of(shape), torch.full_like(labels_of(shape), -100)
        assert ours(x, y).isnan() and ours(x, y, reduction="sum") == 0 and (ours(x, y, reduction="none") == 0).all()


def test_ignored_rows_do_not_count_and_get_no_gradient():
    x, y = scores_of((6, 4)), torch.tensor([0, -100, 2, 3, -100, 1])
    kept = y >= 0
    value, grad = observed(cross_entropy, [x, y], reduction="sum")
    torch.testing.assert_close(value, cross_entropy(x[kept], y[kept], reduction="sum"))
    assert (grad[~kept] == 0).all() and (grad[kept] != 0).all()


# probabilities --------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [s for n, s in SHAPES.items() if n not in ("one class",)], ids=[n for n in SHAPES if n != "one class"])
@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
def test_probability_targets(shape, dtype):
    x, dim = scores_of(shape, dtype), min(1, len(shape) - 1)
    targets = torch.softmax(scores_of(shape, dtype, seed=3), dim), torch.rand(shape, dtype=torch.float64).to(dtype)
    weights = None, torch.linspace(0.2, 1.7, shape[dim], dtype=dtype)
    for y, weight, reduction, smoothing in itertools.product(targets, weights, REDUCTIONS, (0.0, 0.1)):
        same(cross_entropy, F.cross_entropy, x, y, weight=weight, reduction=reduction, label_smoothing=smoothing)
    for (_, a), (_, b) in itertools.product(layouts(x), layouts(targets[0])): same(cross_entropy, F.cross_entropy, a, b)


def test_probabilities_of_one_class_and_mixed_dtypes():
    same(cross_entropy, F.cross_entropy, scores_of((4, 1)), torch.ones(4, 1, dtype=torch.float64))
    same(cross_entropy, F.cross_entropy, scores_of((1,)), torch.ones(1, dtype=torch.float64))
    assert cross_entropy(scores_of((4, 3), torch.float32), torch.rand(4, 3, dtype=torch.float64)).dtype == torch.float64


def test_weights_of_probabilities_have_a_gradient_as_pytorchs():
    x, y = scores_of((4, 3)), torch.softmax(scores_of((4, 3), seed=1), 1)
    same(lambda x, y, w: cross_entropy(x, y, weight=w), lambda x, y, w: F.cross_entropy(x, y, weight=w), x, y, torch.rand(3, dtype=torch.float64))


def test_one_hot_probabilities_are_labels():
    x, y = scores_of((6, 4)), labels_of((6, 4))
    one_hot = (y[:, None] == torch.arange(4)).double()
    for smoothing in (0.0, 0.2):
        torch.testing.assert_close(cross_entropy(x, y, label_smoothing=smoothing), cross_entropy(x, one_hot, label_smoothing=smoothing))


# softmax, log_softmax, logsumexp ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ours, theirs", [(softmax, F.softmax), (log_softmax, F.log_softmax), (logsumexp, torch.logsumexp)],
                         ids=["softmax", "log_softmax", "logsumexp"])
@pytest.mark.parametrize("shape", [*SHAPES.values(), (), (3, 0)], ids=[*SHAPES.keys(), "a number", "no classes"])
def test_every_dimension(ours, theirs, shape):
    for dtype in DTYPES:
        for (_, x), dim in itertools.product(layouts(scores_of(shape, dtype)), range(-max(1, len(shape)), max(1, len(shape)))):
            same(ours, theirs, x, dim=dim)
            if theirs is torch.logsumexp: same(ours, theirs, x, dim=dim, keepdim=True)


@pytest.mark.parametrize("dim", [(0, 1), (0, 2), (-1, 0), (0, 1, 2), [1, 2]])
def test_logsumexp_over_several(dim):
    for keepdim in (True, False): same(logsumexp, torch.logsumexp, scores_of((2, 3, 4)), dim=dim, keepdim=keepdim)


@pytest.mark.parametrize("ours, theirs", [(softmax, F.softmax), (log_softmax, F.log_softmax)], ids=["softmax", "log_softmax"])
def test_dtype_and_missing_dim(ours, theirs):
    for source, aim in itertools.product((torch.float32, torch.int64, torch.bool), DTYPES):
        x = torch.tensor([[1, 0, 3], [2, 2, -1]]).to(source)
        torch.testing.assert_close(ours(x, 1, dtype=aim), theirs(x, 1, dtype=aim))
    for shape in ((), (4,), (2, 3), (2, 3, 4), (2, 3, 4, 5)):
        with pytest.warns(UserWarning, match="dim="): guessed = ours(scores_of(shape))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.testing.assert_close(guessed, theirs(scores_of(shape)))


def test_warning_points_at_the_caller():
    with pytest.warns(UserWarning) as caught: softmax(scores_of((2, 3)))
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning) as caught: cross_entropy(scores_of((2, 3)), labels_of((2, 3)), reduce=False)
    assert caught[0].filename == __file__


def test_logsumexp_of_whole_numbers():
    for values in ([1, 2, 3], [True, False, True]): torch.testing.assert_close(logsumexp(torch.tensor(values), 0), torch.logsumexp(torch.tensor(values), 0))


SPECIAL = torch.tensor([[-INF, 1.0, 2.0], [-INF, -INF, -INF], [INF, 0.0, 1.0], [NAN, 0.0, 1.0], [INF, INF, 0.0], [-INF, INF, 0.0], [-INF, -INF, 3.0]])


@pytest.mark.parametrize("ours, theirs", [(softmax, F.softmax), (log_softmax, F.log_softmax), (logsumexp, torch.logsumexp)],
                         ids=["softmax", "log_softmax", "logsumexp"])
def test_infinities_as_pytorch(ours, theirs):
    for dtype, row in itertools.product(DTYPES, SPECIAL): same(ours, theirs, row[None].to(dtype), dim=1)


def test_cross_entropy_of_infinities_as_pytorch():
    for dtype, row, label in itertools.product(DTYPES, SPECIAL, (0, 1, 2, -100)):
        for reduction in ("none", "sum"): same(cross_entropy, F.cross_entropy, row[None].to(dtype), torch.tensor([label]), reduction=reduction)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 88.0, 89.0, 1e3, 1e6, 1e30])
def test_scores_of_any_size(scale):
    for dtype in DTYPES:
        x = torch.tensor([[1.0, -1.0, 0.5], [-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]], dtype=dtype) * scale
        for ours, theirs in ((softmax, F.softmax), (log_softmax, F.log_softmax)): same(ours, theirs, x, dim=1)
        torch.testing.assert_close(logsumexp(x, 1), torch.logsumexp(x, 1))
        same(lambda x: torch.autograd.grad(logsumexp(x, 1).sum(), x, create_graph=True)[0], lambda x: F.softmax(x, 1), x)  # PyTorch's own gradient is off
        assert all(f(x, 1).isfinite().all() for f in (softmax, log_softmax, logsumexp))
        for y in itertools.product(range(3), repeat=3): same(cross_entropy, F.cross_entropy, x, torch.tensor(y), reduction="none")


def test_shifted_scores_give_the_same_to_the_last_digit():
    x = torch.randint(-50, 50, (6, 9)).double()
    for function in (softmax, log_softmax): assert torch.equal(function(x + 1000, 1), function(x, 1))


# derivatives ------------------------------------------------------------------------------------------------------------------------
DIFFERENTIABLE = {"softmax": lambda x: softmax(x, 1), "log_softmax": lambda x: log_softmax(x, 1), "logsumexp": lambda x: logsumexp(x, 1),
                  "logsumexp over all": lambda x: logsumexp(x, (0, 1), True), "nll_loss": lambda x: nll_loss(x, torch.tensor([0, 2, 1])),
                  "cross_entropy": lambda x: cross_entropy(x, torch.tensor([0, 2, 1])),
                  "one each": lambda x: cross_entropy(x, torch.tensor([0, 2, 1]), reduction="none"),
                  "weighted, ignored": lambda x: cross_entropy(x, torch.tensor([0, 2, 1]), torch.tensor([0.3, 2.0, 1.0, 4.0]).double(), ignore_index=2),
                  "smoothed": lambda x: cross_entropy(x, torch.tensor([0, 2, 1]), label_smoothing=0.2),
                  "probabilities": lambda x: cross_entropy(x, torch.softmax(scores_of((3, 4), seed=5), 1)),
                  "against itself": lambda x: cross_entropy(x, torch.softmax(x.flip(1), 1))}


@pytest.mark.parametrize("function", DIFFERENTIABLE.values(), ids=DIFFERENTIABLE.keys())
def test_first_and_second_derivatives(function):
    x = scores_of((3, 4), scale=1.0).requires_grad_()
    assert torch.autograd.gradcheck(function, x)
    assert torch.autograd.gradgradcheck(function, x)


def test_third_derivative_is_pytorchs():
    def third(function):
        x = scores_of((3, 4), scale=1.0).requires_grad_()
        result = function(x, torch.tensor([0, 2, 1]))
        for _ in range(3): result = (torch.autograd.grad(result, x, create_graph=True)[0] * torch.arange(12.0).view(3, 4).cos()).sum()
        return result.detach()
    torch.testing.assert_close(third(cross_entropy), third(F.cross_entropy))


def test_loss_and_gradient_penalty_together_are_pytorchs():
    "Gradients come back into both outputs of the Function at once."
    def penalized(function):
        x = scores_of((3, 4), scale=1.0).requires_grad_()
        loss = function(x, torch.tensor([0, 2, 1]))
        first, = torch.autograd.grad(loss, x, create_graph=True)
        return torch.autograd.grad(loss + 3 * (first ** 2).sum(), x)[0]
    torch.testing.assert_close(penalized(cross_entropy), penalized(F.cross_entropy))


def test_backward_twice_gives_the_same_twice():
    x = scores_of((5, 3)).requires_grad_()
    loss = cross_entropy(x, labels_of((5, 3)))
    first, second = (torch.autograd.grad(loss, x, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_gradient_is_softmax_less_one_hot():
    x, y = scores_of((5, 3)), labels_of((5, 3))
    grad = observed(lambda x: cross_entropy(x, y, reduction="sum"), [x])[1]
    one = torch.randn((), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(grad, one * (torch.softmax(x, 1) - F.one_hot(y, 3)))


def test_no_history_without_need():
    with torch.no_grad(): assert not cross_entropy(scores_of((5, 3)).requires_grad_(), labels_of((5, 3))).requires_grad
    assert not cross_entropy(scores_of((5, 3)), labels_of((5, 3))).requires_grad


def test_keeps_no_more_memory_than_pytorch():
    def kept(function):
        sizes = {}
        def pack(tensor):
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor
        x = scores_of((64, 500)).requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t): loss = function(x, labels_of((64, 500)))
        return sum(sizes.values()), loss
    assert kept(cross_entropy)[0] <= kept(F.cross_entropy)[0] + 64 * 8 * 4


def test_nothing_lingers_in_a_cycle():
    import gc, weakref
    gc.collect()
    gc.disable()
    try:
        x = scores_of((5, 3)).requires_grad_()
        loss = cross_entropy(x, labels_of((5, 3)), reduction="none")
        node = weakref.ref(loss.grad_fn)
        del loss
        assert node() is None, "the graph holds itself alive; memory would grow until the garbage collector comes"
    finally: gc.enable()


# short floats -----------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_floats_are_computed_in_float32(dtype):
    x, y = scores_of((6, 300), torch.float32).to(dtype), labels_of((6, 300))
    for function in (lambda x: softmax(x, 1), lambda x: log_softmax(x, 1), lambda x: logsumexp(x, 1), lambda x: cross_entropy(x, y),
                     lambda x: cross_entropy(x, y, label_smoothing=0.1), lambda x: cross_entropy(x, y, torch.ones(300, dtype=x.dtype)),
                     lambda x: cross_entropy(x, torch.softmax(x, 1), reduction="none")):
        short, long = function(x), function(x.float())
        assert short.dtype == dtype
        torch.testing.assert_close(short, long.to(dtype), rtol=4e-2 if dtype == torch.bfloat16 else 4e-3, atol=1e-6)
    assert widened(x).dtype == torch.float32 and widened(x.double()).dtype == torch.float64 and widened(None) is None


def test_under_autocast_losses_stay_in_float32_as_pytorchs():
    x, y = scores_of((6, 5), torch.float32).bfloat16(), labels_of((6, 5))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for ours, theirs in ((cross_entropy, F.cross_entropy), (nll_loss, F.nll_loss)):
            assert ours(x, y).dtype == theirs(x, y).dtype == torch.float32
            torch.testing.assert_close(ours(x, y), theirs(x, y))
        assert cross_entropy(x, torch.softmax(x, 1)).dtype == torch.float32
    assert cross_entropy(x, y).dtype == torch.bfloat16


# not PyTorch's own ------------------------------------------------------------------------------------------------------------------
FORBIDDEN = {"_softmax", "_log_softmax", "logsumexp", "nll_loss_forward", "nll_loss_backward", "_softmax_backward_data", "_log_softmax_backward_data",
             "cross_entropy_loss", "nll_loss2d_forward", "nll_loss2d_backward", "nll_loss_nd", "log_softmax", "softmax"}


@pytest.mark.parametrize("function, strategies, kwargs", [
    (softmax, [floats("n", 5)], {"dim": 1}), (log_softmax, [floats("n", 5)], {"dim": 1}), (logsumexp, [floats("n", 5)], {"dim": 1}),
    (nll_loss, [floats("n", 5), labels("n", classes=5)], {"ignore_index": 2}), (cross_entropy, [floats("n", 5), labels("n", classes=5)], {}),
    (cross_entropy, [floats("n", 5), labels("n", classes=5)], {"label_smoothing": 0.1}), (cross_entropy, [floats("n", 5), floats("n", 5, low=0, high=1)], {}),
    (cross_entropy, [floats("n", 5, 4, 3), labels("n", 4, 3, classes=5)], {"ignore_index": 2, "reduction": "sum"})])
def test_no_delegation(function, strategies, kwargs):
    kernels, calls = what_it_calls(function, strategies, kwargs)
    assert not kernels & FORBIDDEN and len(kernels) > 4
    assert what_it_calls(F.cross_entropy, [floats("n", 5), labels("n", classes=5)])[0] & FORBIDDEN, "the watch sees PyTorch's own"


# refusals ---------------------------------------------------------------------------------------------------------------------------
X, Y = scores_of((4, 3), torch.float32), torch.tensor([0, 1, 2, 0])
REFUSED = {  # name: (the call of a loss f, the error, what its message holds)
    "label too high": (lambda f: f(X, torch.tensor([0, 3, 1, 2])), IndexError, ["class 3 at (1,)", "0 to 2", "3 classes", "start at 1"]),
    "label below zero": (lambda f: f(X, torch.tensor([0, -1, 1, 2])), IndexError, ["class -1 at (1,)", "3 classes"]),
    "minus 100, but another is ignored": (lambda f: f(X, torch.tensor([0, 1, -100, 2]), ignore_index=0), IndexError, ["class -100 at (2,)", "or 0"]),
    "label of a pixel": (lambda f: f(torch.zeros(1, 3, 2, 2), torch.tensor([[[0, 1], [2, 5]]])), IndexError, ["class 5 at (0, 1, 1)"]),
    "unbatched label": (lambda f: f(X[0], torch.tensor(7)), IndexError, ["class 7", "3 classes"]),
    "float labels": (lambda f: f(X, Y.float()), TypeError, ["int64", "float32", "(4,)", ".long()"]),
    "short integer labels": (lambda f: f(X, Y.int()), TypeError, ["int64", "int32", ".long()"]),
    "boolean labels": (lambda f: f(X, Y.bool()), TypeError, ["int64", "bool"]),
    "labels in a column": (lambda f: f(X, Y[:, None]), ValueError, ["(4,)", "(4, 1)", "squeeze(1)"]),
    "one-hot whole numbers": (lambda f: f(X, F.one_hot(Y, 3)), ValueError, ["(4,)", "(4, 3)", "argmax(1)"]),
    "another batch": (lambda f: f(X, Y[:3]), ValueError, ["(4,)", "(3,)", "one batch"]),
    "classes in the last dimension": (lambda f: f(torch.zeros(2, 5, 3), torch.zeros(2, 5).long()), ValueError, ["(2, 3)", "(2, 5)", "dimension 1"]),
    "a lone label for a batch": (lambda f: f(X, torch.tensor(1)), ValueError, ["(4,)", "()"]),
    "whole scores": (lambda f: f(X.long(), Y), TypeError, ["floating-point", "int64", ".float()"]),
    "a number for scores": (lambda f: f(torch.tensor(1.0), torch.tensor(0)), ValueError, ["(C,)", "got ()"]),
    "no class": (lambda f: f(torch.zeros(4, 0), Y), ValueError, ["C at least 1", "(4, 0)"]),
    "too many weights": (lambda f: f(X, Y, torch.ones(4)), ValueError, ["3 classes", "(4,)"]),
    "weights in another dtype": (lambda f: f(X, Y, torch.ones(3).double()), ValueError, ["float32", "float64"]),
    "weights with a gradient": (lambda f: f(X, Y, torch.ones(3, requires_grad=True)), RuntimeError, ["constant", "detach"]),
    "unknown reduction": (lambda f: f(X, Y, reduction="average"), ValueError, ["'mean'", "'average'"])}
REFUSED_BY_CROSS_ENTROPY = {
    "smoothing above 1": (lambda f: f(X, Y, label_smoothing=1.1), ValueError, ["0 to 1", "1.1"]),
    "ignored probabilities": (lambda f: f(X, X.abs(), ignore_index=1), ValueError, ["ignore_index", "1"]),
    "probabilities of no class": (lambda f: f(torch.zeros(4, 0), torch.zeros(4, 0)), ValueError, ["C at least 1"]),
    "weights for probabilities": (lambda f: f(X, X.abs(), torch.ones(2)), ValueError, ["3 classes", "(2,)"]),
    "probabilities of another shape": (lambda f: f(X, X[:, :2].abs()), TypeError, ["scores' shape", "(4, 2)"])}


@pytest.mark.parametrize("ours, name", [(nll_loss, n) for n in REFUSED] + [(cross_entropy, n) for n in REFUSED | REFUSED_BY_CROSS_ENTROPY])
def test_refusals(ours, name):
    call, error, parts = (REFUSED | REFUSED_BY_CROSS_ENTROPY)[name]
    with pytest.raises(error) as caught: call(ours)
    assert all(part in str(caught.value) for part in [ours.__name__, "expected", "got", *parts] if name != "unknown reduction"), caught.value
    if name not in ("no class", "probabilities of no class"):  # those give NaN in PyTorch
        with pytest.raises((IndexError, TypeError, ValueError, RuntimeError)): call(F.nll_loss if ours is nll_loss else F.cross_entropy)


def test_negative_smoothing_is_refused():  # PyTorch lets it pass
    with pytest.raises(ValueError, match="0 to 1"): cross_entropy(X, Y, label_smoothing=-0.1)


@pytest.mark.parametrize("ours", [softmax, log_softmax])
def test_scores_must_be_floats(ours):
    with pytest.raises(TypeError, match=f"{ours.__name__}: expected .*int64.*float"): ours(torch.tensor([1, 2]), 0)
    with pytest.raises(IndexError): ours(X, 2)


def test_out_is_refused_by_name():
    with pytest.raises(NotImplementedError, match="out="): logsumexp(X, 1, out=torch.zeros(4))


def test_helpers():
    x = torch.arange(4.0)
    assert torch.equal(reduce_losses(x, "none"), x) and reduce_losses(x, "sum") == 6 and reduce_losses(x, "mean") == 1.5
    require_floats("f", a=x, b=None)
    with pytest.raises(TypeError, match="f: expected b"): require_floats("f", a=x, b=x.long())


def test_accuracy_can_be_found_beside_the_losses():
    assert losses.accuracy(X, X.argmax(1)) == 1


# the comparison can fail --------------------------------------------------------------------------------------------------------------
def _mean_over_all(x, y, **k): return F.cross_entropy(x, y, weight=k["weight"], ignore_index=k["ignore_index"], reduction="none").mean()
def _without_weight(x, y, **k): return F.cross_entropy(x, y, ignore_index=k["ignore_index"])
def _nothing_ignored(x, y, **k): return F.cross_entropy(x, y.clamp(min=0), weight=k["weight"])
def _no_gradient(x, y, **k): return F.cross_entropy(x.detach(), y, **k) + 0 * x.sum()
def _double_gradient(x, y, **k): return F.cross_entropy(2 * x - x.detach(), y, **k)
def _naive(x, y, **k): return F.nll_loss((x.exp() / x.exp().sum(1, keepdim=True)).log(), y, **k)
def _in_place(x, y, **k):
    y.clamp_(min=0)
    return F.cross_entropy(x, y, **k)


@pytest.mark.parametrize("fault", [_mean_over_all, _without_weight, _nothing_ignored, _no_gradient, _double_gradient, _naive, _in_place])
def test_a_planted_fault_is_found(fault):
    x, y = scores_of((5, 4), torch.float32, scale=200.0 if fault is _naive else 1.0), torch.tensor([0, 1, -100, 3, 2])
    kwargs = {"weight": torch.tensor([0.5, 1.0, 2.0, 3.0]), "ignore_index": -100}
    same(cross_entropy, F.cross_entropy, x, y, **kwargs)
    with pytest.raises(AssertionError): same(fault, F.cross_entropy, x, y, **kwargs)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_the_gpu():
    for shape in ((7, 5), (2, 5, 3, 4), (512, 10_000)):
        x, y = scores_of(shape, torch.float32).cuda(), labels_of(shape).cuda()
        same(cross_entropy, F.cross_entropy, x, y)
        same(cross_entropy, F.cross_entropy, x, y, ignore_index=1, label_smoothing=0.1)
        same(softmax, F.softmax, x, dim=1)
        with pytest.raises(IndexError, match=f"{shape[1]} classes"): cross_entropy(x, y + shape[1])
