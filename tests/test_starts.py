"""The starts of lesson 12a beside torch's: the same numbers where they are drawn alike, else by distribution; layouts, dtypes, errors; LSUV."""
import copy, math
import pytest, torch
import filling
from filling import FLOATS, LAYOUTS, RECENT
from torch import nn
from lesson_nb import nn as ours_nn, starts
from lesson_nb.starts import lsuv_init, orthogonal_, sparse_, trunc_normal_

TRUNCATED = [("trunc_normal_", {}), ("trunc_normal_", {"std": 0.02}), ("trunc_normal_", {"mean": 1.0, "std": 2.0, "a": 0.0, "b": 5.0}), ("trunc_normal_", {"a": 1.0, "b": 1.5}),
             ("trunc_normal_", {"a": -0.1, "b": 0.2}), ("trunc_normal_", {"mean": 3.5, "a": -2.0, "b": 2.0})]
SPARSE = [("sparse_", {"sparsity": 0.3}), ("sparse_", {"sparsity": 0.0, "std": 2.0}), ("sparse_", {"sparsity": 1.0})]


def both(name, make, kwargs): return filling.both(name, make, kwargs, (starts, nn.init))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name, kwargs", (TRUNCATED if RECENT else []) + SPARSE, ids=str)
def test_same_bits_as_torchs(name, kwargs, dtype, layout):
    for shape in [(5, 3), (40, 30), (1, 1)] + [(4, 3, 5), (16, 8, 3, 3)] * (name != "sparse_"):
        (ours, after), (theirs, expected) = both(name, lambda: LAYOUTS[layout](*shape, dtype=dtype), kwargs)
        assert torch.equal(ours, theirs) and ours.stride() == theirs.stride() and torch.equal(after, expected), shape


@pytest.mark.parametrize("shape", [(), (7,), (0,), (2, 0, 3)])
def test_truncated_normal_in_any_shape(shape):
    (ours, _), (theirs, _) = both("trunc_normal_", lambda: torch.full(shape, 7.0), {})
    assert torch.equal(ours, theirs) or not RECENT


@pytest.mark.parametrize("name, kwargs", TRUNCATED + [("orthogonal_", {}), ("sparse_", {"sparsity": 0.5})], ids=str)
def test_generator_is_used_and_the_global_one_is_not(name, kwargs):
    fill, before = getattr(starts, name), torch.get_rng_state()
    first, again = (fill(torch.empty(6, 5), **kwargs, generator=torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(first, again) and torch.equal(torch.get_rng_state(), before)
    if RECENT and name == "trunc_normal_": assert torch.equal(first, nn.init.trunc_normal_(torch.empty(6, 5), **kwargs, generator=torch.Generator().manual_seed(2)))


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (1, 1), (1, 6), (6, 1), (64, 40), (3, 2, 2), (10, 3, 2, 2)])
@pytest.mark.parametrize("gain", [1, 0.3, -2.0])
def test_orthogonal_is_torchs_up_to_rounding(shape, gain):
    for dtype, room in ((torch.float64, 1e-11), (torch.float32, 1e-3)):
        (ours, after), (theirs, expected) = both("orthogonal_", lambda: torch.empty(shape, dtype=dtype), {"gain": gain})
        torch.testing.assert_close(ours, theirs, rtol=0, atol=room)
        assert torch.equal(after, expected)
        rows = ours.flatten(1).double() / gain
        product = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
        torch.testing.assert_close(product, torch.eye(len(product), dtype=torch.float64), rtol=0, atol=1e-12 if dtype == torch.float64 else 1e-6)


def test_orthogonal_stays_exact_for_large_matrices():
    "One pass of Gram and Schmidt loses digits in a square matrix; the second brings them back."
    torch.manual_seed(0)
    rows = orthogonal_(torch.empty(400, 400, dtype=torch.float64))
    assert (rows @ rows.T - torch.eye(400, dtype=torch.float64)).abs().max() < 2e-14


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_orthogonal_in_half_precision_where_torch_has_none(dtype):
    rows = orthogonal_(torch.empty(8, 20, dtype=dtype)).double()
    torch.testing.assert_close(rows @ rows.T, torch.eye(8, dtype=torch.float64), rtol=0, atol=8 * torch.finfo(dtype).eps)


def test_orthogonal_layouts_and_nothing():
    for make in LAYOUTS.values():
        tensor = make(6, 2, 3, dtype=torch.float64)
        rows = orthogonal_(tensor).detach().flatten(1)
        torch.testing.assert_close(rows @ rows.T, torch.eye(6, dtype=torch.float64))
    for shape in ((0, 3), (3, 0), (2, 0, 4)): assert orthogonal_(torch.empty(shape)).shape == shape
    assert orthogonal_(torch.empty(3, 4, device="meta")).is_meta


def test_orthogonal_directions_are_random():
    "The mean of many is zero and each entry has variance 1 / columns: no direction is preferred, and no sign."
    torch.manual_seed(0)
    many = torch.stack([orthogonal_(torch.empty(3, 4, dtype=torch.float64)) for _ in range(3000)])
    assert many.mean(0).abs().max() < 0.05 and (many.square().mean(0) - 1 / 4).abs().max() < 0.03


def test_truncated_normal_has_the_right_distribution():
    "Mean and variance of a normal cut at a and b, from the textbook's formula; for both ways of drawing."
    torch.manual_seed(1)
    height = lambda x: math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    share = lambda x: (1 + math.erf(x / math.sqrt(2))) / 2
    for mean, std, a, b in ((0.0, 1.0, -2.0, 2.0), (0.5, 0.2, 0.4, 0.9), (0.0, 1.0, 1.2, 2.5), (2.0, 3.0, -1.0, 0.0), (0.0, 1.0, -0.2, 0.3)):
        low, high = (a - mean) / std, (b - mean) / std
        inside = share(high) - share(low)
        shift = (height(low) - height(high)) / inside
        expected = mean + std * shift, std * math.sqrt(1 + (low * height(low) - high * height(high)) / inside - shift**2)
        drawn = trunc_normal_(torch.empty(200_000, dtype=torch.float64), mean, std, a, b)
        assert a <= drawn.min() and drawn.max() <= b
        assert abs(drawn.mean() - expected[0]) < 0.01 * std and abs(drawn.std() / expected[1] - 1) < 0.01


def test_truncated_normal_warns_where_the_curve_lies_outside():
    with pytest.warns(UserWarning, match="more than 2 std") as caught: trunc_normal_(torch.empty(5), mean=10.0)
    assert caught[0].filename == __file__
    assert trunc_normal_(torch.empty(5, device="meta")).is_meta


def test_sparse_counts_its_zeros():
    for rows, sparsity, zeros in ((10, 0.25, 3), (7, 0.5, 4), (5, 0.01, 1), (0, 0.5, 0)):
        filled_in = sparse_(torch.empty(rows, 6), sparsity)
        assert ((filled_in == 0).sum(0) == zeros).all()
    assert sparse_(torch.empty(4, 3, device="meta"), 0.5).is_meta
    assert sparse_(torch.empty(4, 0), 0.5).shape == (4, 0)


def test_sparse_values_are_torchs_even_with_a_generator():
    "The values come in the same order; the places come from the generator here, and from the global one there."
    ours, theirs = (place.sparse_(torch.empty(30, 8), 0.5, generator=torch.Generator().manual_seed(4)) for place in (starts, nn.init))
    kept = (ours != 0) & (theirs != 0)
    assert kept.sum() > 20 and torch.equal(ours[kept], theirs[kept])


# LSUV -------------------------------------------------------------------------------------------------------------------------------
def network(bias=True, place=nn):
    return nn.Sequential(place.Conv2d(2, 6, 3, bias=bias), nn.Dropout(0.5), place.ReLU(), nn.BatchNorm2d(6), place.Flatten(), place.Linear(6 * 16, 20, bias=bias), place.Tanh(), place.Linear(20, 3, bias=bias))


def outputs(model, x):
    "What each layer with a weight matrix gives, in eval mode."
    found, model = {}, copy.deepcopy(model).eval()
    for name, module in model.named_modules():
        if hasattr(module, "weight") and module.weight.dim() > 1: module.register_forward_hook(lambda m, i, o, name=name: found.setdefault(name, o))
    model(x)
    return found


@pytest.mark.parametrize("place", [nn, ours_nn])
@pytest.mark.parametrize("orthogonal", [True, False])
def test_lsuv_sets_every_layer_in_one_pass(orthogonal, place):
    torch.manual_seed(0)
    model, x = network(place=place), 3 + 5 * torch.randn(64, 2, 6, 6)
    expected = outputs(model, x)["0"] if not orthogonal else None
    found = lsuv_init(model, x, orthogonal=orthogonal)
    assert list(found) == ["0", "5", "7"]
    if not orthogonal: assert found["0"] == pytest.approx((expected.mean().item(), expected.std(correction=0).item()), rel=1e-4)
    for y in outputs(model, x).values(): assert abs(y.mean()) < 1e-5 and abs(y.std(correction=0) - 1) < 1e-4
    if orthogonal:
        rows = model[5].weight.detach()
        product = rows @ rows.T
        torch.testing.assert_close(product, torch.eye(20) * product[0, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_lsuv_arguments(bias):
    torch.manual_seed(0)
    model, x = network(bias), torch.randn(64, 2, 6, 6) + 1
    lsuv_init(model, x, mean=0.5, std=2.0, generator=torch.Generator().manual_seed(1))
    again = network(bias)
    lsuv_init(again, x, mean=0.5, std=2.0, generator=torch.Generator().manual_seed(1))
    for a, b in zip(model.parameters(), again.parameters()): torch.testing.assert_close(a, b)
    for y in outputs(model, x).values(): assert abs(y.std(correction=0) - 2) < 1e-4 and (abs(y.mean() - 0.5) < 1e-4 or not bias)
    model = network()
    with torch.no_grad(): model[0].bias.fill_(3.0)
    before = {name: y.mean() / y.std() for name, y in outputs(model, x).items()}
    lsuv_init(model, x, mean=None, orthogonal=False)
    y = outputs(model, x)["0"]
    assert abs(y.std(correction=0) - 1) < 1e-4 and abs(y.mean() / y.std() - before["0"]) < 1e-4


def test_lsuv_leaves_everything_else_alone():
    model, x = network(), torch.randn(8, 2, 6, 6)
    model[5].eval()
    modes, buffers, scale = [m.training for m in model.modules()], copy.deepcopy(dict(model.named_buffers())), model[3].weight.clone()
    random = torch.get_rng_state()
    lsuv_init(model, x, orthogonal=False)
    assert torch.equal(torch.get_rng_state(), random), "without orthogonal weights nothing is drawn"
    assert [m.training for m in model.modules()] == modes and torch.equal(model[3].weight, scale)
    assert all(torch.equal(b, buffers[n]) for n, b in model.named_buffers())
    assert not any(m._forward_hooks for m in model.modules()) and all(p.grad is None and p.requires_grad and p.is_leaf for p in model.parameters())


class Twice(nn.Module):
    "One layer used twice, one never, one with its weight tied to the first, a table, a frozen layer, and two inputs."
    def __init__(self):
        super().__init__()
        self.last, self.never, self.first, self.tied = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.tied.weight, self.table, self.frozen = self.first.weight, nn.Embedding(4, 6), nn.Linear(6, 6).requires_grad_(False)
    def forward(self, x, index, *, scale=1): return self.last(self.frozen(self.tied(torch.relu(self.first(torch.relu(self.first(x + self.table(index))))))))


def test_lsuv_order_sharing_tables_and_frozen_layers():
    torch.manual_seed(0)
    model, x, index = Twice(), torch.randn(50, 6), torch.randint(4, (50,))
    table, frozen = model.table.weight.clone(), model.frozen.weight.clone()
    found = lsuv_init(model, x, index)
    assert list(found) == ["first", "last"], "in the order in which they run, each weight once"
    assert torch.equal(model.table.weight, table) and torch.equal(model.frozen.weight, frozen)
    first = model.first(x + model.table(index))
    assert abs(first.std(correction=0) - 1) < 1e-4 and abs(model(x, index).std(correction=0) - 1) < 1e-4


def test_lsuv_says_which_layer_is_dead_and_cleans_up():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).train()
    with pytest.raises(ValueError, match=r"behind '0', got mean 0 and std 0"): lsuv_init(model, torch.zeros(5, 3))
    assert model.training and not any(m._forward_hooks for m in model.modules())
    with pytest.raises(ValueError, match="std nan"): lsuv_init(model, torch.full((5, 3), math.nan))
    with pytest.raises(RuntimeError): lsuv_init(model, torch.ones(5, 7))
    assert model.training and not any(m._forward_hooks for m in model.modules())


# errors -----------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("act, theirs, error, words", [
    (lambda i: i.sparse_(torch.empty(3), 0.5), True, ValueError, "2 dimensions"),
    (lambda i: i.orthogonal_(torch.empty(3)), True, ValueError, r"expected a weight \(outputs, inputs, ...\), got shape \(3,\)"),
    (lambda i: i.sparse_(torch.empty(3, 2), 1.5), False, ValueError, "expected a sparsity from 0 to 1, got 1.5"),
    (lambda i: i.trunc_normal_(torch.empty(3), a=2, b=-2), False, ValueError, "expected a <= b and std > 0, got a=2, b=-2"),
    (lambda i: i.trunc_normal_(torch.empty(3), std=0.0), False, ValueError, "std=0.0"),
])
def test_bad_input_gets_expected_got_and_mend(act, theirs, error, words):
    with pytest.raises(error, match=words): act(starts)
    if theirs:
        with pytest.raises(error): act(nn.init)


def test_works_under_autograd():
    for fill in (orthogonal_, trunc_normal_, lambda w: sparse_(w, 0.5)):
        weight = nn.Parameter(torch.empty(3, 4))
        assert fill(weight) is weight and weight.is_leaf and weight.requires_grad and weight.grad_fn is None
        (weight.sum() * 2).backward()
        assert weight.grad.eq(2).all()
