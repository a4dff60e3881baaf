"""Lesson 14's dropout beside torch's: the same masks from the same seed, in every dtype and layout; errors; the fast one by mask and distribution."""
import copy, math, warnings
import pytest, torch
from torch import nn
from torch.nn import functional as F
from lesson_nb import functional as ours_F, nn as ours_nn
from lesson_nb.layers import Linear
from lesson_nb.proof import assert_same, floats
from lesson_nb.regularization import Dropout, Dropout2d, FastDropout, Memory, dropout, dropout2d, mislabelled, set_dropout

FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
LAYOUTS = {"plain": lambda x: x, "transposed": lambda x: x.transpose(1, -1), "every second": lambda x: x[..., ::2], "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
           "expanded": lambda x: x[:1].expand_as(x)}
PAIRS = {"dropout": (dropout, F.dropout), "dropout2d": (dropout2d, F.dropout2d)}
each_pair = pytest.mark.parametrize("ours, theirs", PAIRS.values(), ids=PAIRS)


def both(ours, theirs, make, *args, **kwargs):
    "What each side makes of its own copy of an input under one seed: result, gradient, the input afterwards, and the next random number."
    found = []
    for side in (ours, theirs):
        leaf = make().requires_grad_()
        x = leaf * 1 if kwargs.get("inplace") else leaf
        torch.manual_seed(3)
        y = side(x, *args, **kwargs)
        following = torch.rand(1)
        grad, = torch.autograd.grad(y, leaf, torch.arange(y.numel(), dtype=y.dtype).view(y.shape))
        found.append((y.detach(), grad, x.detach(), following, torch.tensor(y.stride())))
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("p", [0, 0.1, 0.5, 0.9, 1, 1e-9])
@each_pair
def test_same_bits_as_torchs(ours, theirs, p, dtype, layout):
    if layout == "expanded": make = lambda: LAYOUTS[layout](torch.randn(4, 6, 5, 8, generator=torch.Generator().manual_seed(1)).to(dtype)).clone(memory_format=torch.contiguous_format)
    else: make = lambda: LAYOUTS[layout](torch.randn(4, 6, 5, 8, generator=torch.Generator().manual_seed(1)).to(dtype)).detach()
    for kwargs in ({}, {"inplace": True}, {"training": False}):
        for a, b in zip(*both(ours, theirs, make, p, **kwargs)): assert torch.equal(a, b), kwargs


@each_pair
def test_nan_and_infinity_stay_as_torch_has_them(ours, theirs):
    make = lambda: torch.tensor([math.nan, math.inf, -math.inf, -0.0, 1.0] * 8).view(2, 5, 2, 2)
    for p in (0.5, 1.0):
        for a, b in zip(*both(ours, theirs, make, p)): torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


@each_pair
def test_the_input_itself_where_nothing_is_dropped(ours, theirs):
    x, empty = torch.randn(2, 3, 4, 4), torch.empty(0, 3, 4, 4)
    for function in (ours, theirs): assert function(x, 0.0) is x and function(x, 0.7, False) is x and function(empty, 0.5) is empty
    whole = torch.arange(16).view(1, 1, 4, 4)
    for function in (ours, theirs): assert function(whole, 0.5, False) is whole and torch.equal(function(whole, 1.0), torch.zeros_like(whole))


@pytest.mark.parametrize("ours, theirs", [(Dropout, nn.Dropout), (Dropout2d, nn.Dropout2d)])
def test_layers_are_torchs(ours, theirs):
    for args, kwargs in (((), {}), ((0.3,), {}), ((), {"p": 0, "inplace": True}), ((1, True), {})):
        mine, other = ours(*args, **kwargs), theirs(*args, **kwargs)
        assert repr(mine) == repr(other) and mine.p == other.p and mine.inplace == other.inplace and mine.training
        assert not mine.state_dict() and not list(mine.parameters()) and not list(mine.buffers())
        for training in (True, False):
            results = []
            for layer in (mine, other):
                torch.manual_seed(0)
                results.append(layer.train(training)(torch.randn(3, 4, 5, 5)))
            assert torch.equal(*results)
    x = torch.ones(2, 3, 4, 4)
    assert ours(0.5, inplace=True)(x) is x and (x == 0).any()


@pytest.mark.parametrize("make", [lambda i: i.Dropout(0.3), lambda i: i.Dropout2d(0.6)])
def test_a_torch_program_runs_on_it(make):
    "Two epochs of training give the same weights to the last bit."
    ended = []
    for place in (ours_nn, nn):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 6, 3), make(place), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 3))
        optimizer, x, y = torch.optim.SGD(network.parameters(), lr=0.1), torch.randn(20, 1, 6, 6), torch.randint(3, (20,))
        for _ in range(5):
            optimizer.zero_grad()
            F.cross_entropy(network(x), y).backward()
            optimizer.step()
        ended.append(network.state_dict())
    assert list(ended[0]) == list(ended[1]) and all(torch.equal(ended[0][k], ended[1][k]) for k in ended[0])


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4), (2, 3, 4, 4, 4)])
def test_dropout2d_warns_where_torch_warns_and_does_the_same(shape):
    found = []
    for function in (dropout2d, F.dropout2d):
        torch.manual_seed(1)
        with pytest.warns(UserWarning, match="dropout2d") as caught: found.append(function(torch.ones(shape), 0.5))
        assert caught[0].filename == __file__
    assert torch.equal(*found)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dropout2d(torch.ones(2, 3, 4, 4))


def test_whole_channels_are_dropped():
    torch.manual_seed(0)
    channels = dropout2d(torch.ones(200, 50, 3, 3), 0.3).flatten(2)
    assert (channels.amin(2) == channels.amax(2)).all() and abs((channels[..., 0] == 0).double().mean() - 0.3) < 0.02


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("layer", [Dropout, FastDropout])
def test_mean_and_variance(layer, p):
    torch.manual_seed(0)
    y = layer(p)(torch.full((1_000_000,), 2.0, dtype=torch.float64))
    assert abs(y.mean() - 2) < 6 * 2 * math.sqrt(p / (1 - p)) / 1000 and abs((y - 2).square().mean() / (4 * p / (1 - p)) - 1) < 0.02
    assert abs((y == 0).double().mean() - p) < 0.003


# the fast one ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("inplace", [False, True])
def test_fast_dropout_given_its_mask(dtype, inplace):
    torch.manual_seed(0)
    leaf = (torch.rand(7, 5, 3, dtype=torch.float64) + 1).to(dtype).requires_grad_()
    x = leaf * 1
    y = FastDropout(0.4, inplace)(x)
    assert (y is x) == inplace and y.dtype == dtype
    noise = (y != 0).to(dtype).mul_(65536 / (65536 - round(0.4 * 65536)))
    assert torch.equal(y, leaf * noise) and 0 < (y == 0).sum() < y.numel()
    assert torch.equal(torch.autograd.grad(y, leaf, torch.ones_like(y))[0], noise)


def test_fast_dropouts_coins_are_independent_and_fair():
    torch.manual_seed(0)
    for p in (0.25, 0.5, 0.9):
        dropped = (FastDropout(p)(torch.ones(2000, 1001)) == 0).double() - p
        assert dropped.mean().abs() < 0.003 and dropped.mean(0).abs().max() < 0.06 and dropped.mean(1).abs().max() < 0.08
        flat = dropped.flatten()
        for lag in (1, 2, 3, 4, 8, 1001): assert (flat[lag:] * flat[:-lag]).mean().abs() < 0.005 * p * (1 - p) / 0.1875
    drawn = torch.stack([FastDropout(0.5)(torch.ones(1000)) for _ in range(2)])
    assert not torch.equal(*drawn)


def test_fast_dropout_edges():
    layer, x = FastDropout(0.5), torch.randn(3, 4)
    assert layer.eval()(x) is x and FastDropout(0.0)(x) is x and not FastDropout(1.0)(x).any()
    for numel in range(1, 10): assert FastDropout(0.5)(torch.ones(numel)).shape == (numel,)
    assert FastDropout(0.5)(torch.tensor(1.0)).shape == () and FastDropout(0.5)(torch.empty(0, 3)).shape == (0, 3)
    torch.manual_seed(0)
    for p in (1e-9, 1e-5): assert torch.equal((FastDropout(p)(torch.ones(20)) > 0.99), torch.ones(20, dtype=torch.bool))
    assert not FastDropout(1 - 1e-9)(torch.ones(20)).any()
    shifted = torch.ones(6, 5).T
    assert FastDropout(0.5)(shifted).shape == (5, 6)
    torch.manual_seed(4)
    first = FastDropout(0.5)(torch.ones(50))
    torch.manual_seed(4)
    assert torch.equal(first, FastDropout(0.5)(torch.ones(50))) and repr(layer) == "FastDropout(p=0.5, inplace=False)"


# errors ---------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("p", [-0.1, 1.1, 50, math.nan, -math.inf])
@pytest.mark.parametrize("act", [lambda p: dropout(torch.ones(3), p), lambda p: dropout2d(torch.ones(1, 2, 3, 3), p), Dropout, Dropout2d, FastDropout, lambda p: dropout(torch.ones(3), p, False),
                                 lambda p: set_dropout(Dropout(), p)])
def test_p_outside_of_0_to_1(act, p):
    with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1, but got"): act(p)


@pytest.mark.parametrize("act", [lambda i: i.functional.dropout(torch.arange(3)), lambda i: i.functional.dropout2d(torch.arange(16).view(1, 1, 4, 4)), lambda i: i.functional.dropout(torch.ones(3).requires_grad_(), inplace=True),
                                 lambda i: i.functional.dropout(torch.ones(3, dtype=torch.complex64)), lambda i: i.functional.dropout2d(torch.ones(3))])
def test_refused_where_torch_refuses(act):
    for place in (ours_nn, nn):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises((RuntimeError, TypeError, NotImplementedError)): act(place)


def test_messages_say_expected_got_and_mend():
    with pytest.raises(TypeError, match=r"dropout: expected input of a floating-point dtype, got torch.int64; convert it with .float\(\)"): dropout(torch.arange(3))
    with pytest.warns(UserWarning), pytest.raises(RuntimeError, match=r"at least 2 dimensions.*got shape \(3,\); use dropout"): dropout2d(torch.ones(3))
    with pytest.raises(ValueError, match="found none; put in Dropout"): set_dropout(nn.Linear(2, 2), 0.5)
    layer = Dropout()
    layer.p = 2
    with pytest.raises(ValueError, match="between 0 and 1"): layer(torch.ones(3))


# a head that is turned up later, and what else the lesson exports --------------------------------------------------------------------
def test_set_dropout_finds_all_kinds_and_keeps_the_checkpoint():
    network = nn.Sequential(Linear(4, 4), Dropout(0.0), nn.Sequential(nn.Dropout(0.1), nn.Conv2d(1, 1, 1), Dropout2d(0.2), FastDropout(), nn.Dropout2d()), Linear(4, 2))
    before = copy.deepcopy(network.state_dict())
    assert set_dropout(network, 0.25) == 5
    assert [m.p for m in network.modules() if hasattr(m, "p")] == [0.25] * 5
    assert list(before) == list(network.state_dict()) and all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    network.load_state_dict(before)


def test_a_wrong_mask_is_found():
    assert_same(dropout, F.dropout, floats("n", 5), 0.3)
    for wrong in (lambda x, p: x * torch.empty_like(x).bernoulli_(1 - p), lambda x, p: x * torch.empty_like(x).bernoulli_(p).div_(p), lambda x, p: (x * torch.empty_like(x).bernoulli_(1 - p).div_(1 - p)).detach() + 0 * x):
        with pytest.raises(AssertionError, match="not the same as F.dropout"): assert_same(wrong, F.dropout, floats("n", 5), 0.3)
    with pytest.raises(AssertionError, match="not rebuilt|compared with itself|is made of"): assert_same(lambda x, p: torch.native_dropout(x, p, True)[0], F.dropout, floats("n", 5), 0.3)


def test_mislabelled():
    labels = torch.randint(7, (1000,))
    given = mislabelled(labels, 7, 0.3, torch.Generator().manual_seed(1))
    assert ((given != labels) == (torch.arange(1000) < 300)).all() and given.min() >= 0 and given.max() < 7 and given.dtype == labels.dtype
    shift = (given[:300] - labels[:300]) % 7
    assert shift.bincount(minlength=7)[1:].min() > 25
    assert torch.equal(given, mislabelled(labels, 7, 0.3, torch.Generator().manual_seed(1)))
    with pytest.raises(ValueError, match="expected a share from 0 to 1, got 30"): mislabelled(labels, 7, 30)
    assert torch.equal(mislabelled(labels, 7, 0.0), labels) and (mislabelled(labels, 7, 1.0) != labels).all() and len(mislabelled(labels[:0], 7, 0.5)) == 0


def test_memory_counts_what_is_given_fooled_and_right():
    class Learner: metrics, model = {}, nn.Identity()
    scores = torch.eye(4)[torch.tensor([0, 1, 2, 3])]
    Memory(scores, given=torch.tensor([0, 1, 3, 2]), right=torch.tensor([0, 2, 2, 1])).after_epoch(Learner)
    assert Learner.metrics == pytest.approx({"given": 0.5, "fooled": 1 / 3, "right": 1 / 3})


def test_facades():
    assert ours_nn.Dropout is Dropout and ours_nn.Dropout2d is Dropout2d and ours_F.dropout is dropout and ours_F.dropout2d is dropout2d
