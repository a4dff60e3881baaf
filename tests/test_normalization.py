"""Batch norm beside torch's: values, gradients and theirs, buffers, layouts, dtypes, checkpoints, errors; frozen layers; tiny batches."""
import copy, itertools
import pytest, torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from layer_steps import assert_alike, draw, step
from lesson_nb import modules, nn as ours_nn, normalization
from lesson_nb.containers import Sequential
from lesson_nb.learner import Learner
from lesson_nb.normalization import BatchNorm1d, BatchNorm2d, FreezeBatchNorm, RunningBatchNorm2d, batch_norm, bn_freeze

pytestmark = pytest.mark.usefixtures("one_thread")
SETTINGS = [{}, {"momentum": None}, {"momentum": 0.0}, {"momentum": 1.0}, {"eps": 1e-2, "momentum": 0.3}, {"affine": False}, {"bias": False}, {"track_running_stats": False},
            {"affine": False, "track_running_stats": False}]
LAYOUTS = {"plain": lambda x: x, "channels last": lambda x: x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x.transpose(0, 1).contiguous().transpose(0, 1),
           "transposed": lambda x: x.transpose(-1, -2).contiguous().transpose(-1, -2), "every second": lambda x: torch.stack([x, x], -1)[..., 0],
           "expanded": lambda x: x[:1].expand(x.shape)}
SHAPES = [(4, 5, 3, 6), (2, 5, 1, 1), (1, 5, 4, 4), (16, 5, 32, 32), (4, 5, 7), (6, 5), (300, 5, 50)]
def id_of(value): return "-".join(f"{k}={v}" for k, v in value.items()) or "plain" if isinstance(value, dict) else None
def pair(shape, **settings): return (BatchNorm2d(shape[1], **settings), nn.BatchNorm2d(shape[1], **settings)) if len(shape) == 4 else (BatchNorm1d(shape[1], **settings), nn.BatchNorm1d(shape[1], **settings))


def alike(ours, theirs):
    "Give both the same parameters and buffers, none of them at its start."
    for i, (name, tensor) in enumerate(theirs.state_dict().items()):
        if tensor.is_floating_point(): tensor.copy_(draw(*tensor.shape, seed=i).abs() + 0.5)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize("settings", SETTINGS, ids=id_of)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_three_steps_and_eval_are_torchs(shape, settings):
    ours, theirs = alike(*(layer.double() for layer in pair(shape, **settings)))
    for seed in range(4):
        if seed == 3: ours.eval(), theirs.eval()
        x, flow = draw(*shape, seed=seed) * 3 + 2, draw(*shape, seed=seed + 9)
        assert_alike(step(ours, x, flow), step(theirs, x, flow))
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(4, 5, 3, 6), (8, 5, 64, 48), (6, 5, 4), (4, 5)], ids=str)
def test_layouts_of_input_and_flow(shape, layout, training):
    for flow_layout in LAYOUTS:
        ours, theirs = alike(*(layer.double().train(training) for layer in pair(shape)))
        x, flow = LAYOUTS[layout](draw(*shape)), LAYOUTS[flow_layout](draw(*shape, seed=3))
        assert_alike(step(ours, x, flow), step(theirs, x, flow))


def test_channels_last_stays_channels_last():
    for shape in ((2, 5, 4, 4), (16, 5, 32, 32)):
        x = draw(*shape, dtype=torch.float32).contiguous(memory_format=torch.channels_last).requires_grad_()
        y = BatchNorm2d(5)(x)
        assert y.is_contiguous(memory_format=torch.channels_last)
        assert torch.autograd.grad(y, x, torch.ones_like(y))[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("mean, std", [(0, 1), (100, 1), (1, 100), (1e4, 1), (0, 1e-3)])
@pytest.mark.parametrize("shape", [(6, 5, 4, 4), (32, 5, 24, 24), (8192, 10)], ids=str)
def test_single_precision_is_as_good_as_torchs(shape, mean, std):
    "Against torch in float64; large inputs are computed in float32, small ones are not."
    ours, theirs = alike(*pair(shape))
    truth_of = copy.deepcopy(theirs).double()
    x, flow = (draw(*shape) * std + mean).float(), draw(*shape, seed=2).float()
    truth, found, expected = step(truth_of, x.double(), flow.double()), step(ours, x, flow), step(theirs, x, flow)
    for name in truth:
        if name == "num_batches_tracked": continue
        error, own = ((side[name].double() - truth[name]).abs().max() for side in (found, expected))
        assert error <= 3 * own + 4e-7 * truth[name].abs().max(), name


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("wide_parameters", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_half_precision(dtype, wide_parameters, training):
    for shape in ((6, 5, 4, 4), (16, 5, 40, 40)):
        ours, theirs = alike(*pair(shape, dtype=torch.float32 if wide_parameters else dtype))
        ours.train(training), theirs.train(training)
        x, flow = draw(*shape).to(dtype), draw(*shape, seed=1).to(dtype)
        truth = step(copy.deepcopy(theirs).double(), x.double(), flow.double())
        found, expected = step(ours, x, flow), step(theirs, x, flow)
        for name in expected:
            assert found[name].dtype == expected[name].dtype, name
            error, own = ((side[name].double() - truth[name]).abs().max() for side in (found, expected))
            assert error <= 2 * own + 2 * torch.finfo(dtype).eps * truth[name].abs().max(), name


@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_gradients(training):
    x, weight, bias = draw(4, 3, 2, 5).requires_grad_(), draw(3, seed=1).requires_grad_(), draw(3, seed=2).requires_grad_()
    def function(x, weight, bias): return batch_norm(x, torch.zeros(3).double(), torch.ones(3).double(), weight, bias, training)
    assert torch.autograd.gradcheck(function, (x, weight, bias)) and torch.autograd.gradgradcheck(function, (x, weight, bias))


@pytest.mark.parametrize("frozen", list(itertools.product([True, False], repeat=3)), ids=str)
def test_only_wanted_gradients(frozen):
    given = [t.requires_grad_(not stay) for t, stay in zip((draw(4, 3, 2, 5), draw(3, seed=1), draw(3, seed=2)), frozen)]
    wanted = [t for t in given if t.requires_grad]
    sides = [function(given[0], None, None, given[1], given[2], True) for function in (batch_norm, F.batch_norm)]
    assert sides[0].requires_grad == sides[1].requires_grad == bool(wanted)
    if wanted:
        for a, b in zip(*(torch.autograd.grad(y, wanted, draw(4, 3, 2, 5, seed=4)) for y in sides)): torch.testing.assert_close(a, b)


def test_empty_batch_leaves_the_averages_alone():
    for ours, theirs in (pair((0, 5, 3, 3)), pair((0, 5)), pair((0, 5), affine=False)):
        x = torch.empty(0, 5, 3, 3, requires_grad=True) if isinstance(ours, BatchNorm2d) else torch.empty(0, 5, requires_grad=True)
        for layer in (ours, theirs):
            y = layer(x)
            assert y.shape == x.shape
            for p in layer.parameters(): assert torch.autograd.grad(y.sum(), p, retain_graph=True)[0].eq(0).all()
        assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values()))


def test_constant_channel_gives_its_bias():
    for shape, value in (((8, 2, 4, 4), 1e4 / 3), ((64, 2, 32, 32), 1e4 / 3), ((64, 2, 32, 32), 0.0)):
        layer = BatchNorm2d(2)
        with torch.no_grad(): layer.bias.fill_(3)
        assert (layer(torch.full(shape, value)) - 3).abs().max() < 1e-3 and layer.running_var.allclose(torch.tensor(0.9))


def test_does_not_change_its_input_and_follows_version_counters():
    x = draw(4, 3, 2, 2).requires_grad_()
    before = x.detach().clone()
    y = BatchNorm2d(3).double()(x)
    y.sum().backward()
    assert torch.equal(x, before)
    x = draw(4, 3, 2, 2)
    z = x.clone().requires_grad_() * 1
    y = BatchNorm2d(3).double()(z)
    z.add_(1)
    with pytest.raises(RuntimeError, match="inplace"): y.sum().backward()


# the module -------------------------------------------------------------------------------------------------------------------------
def test_checkpoints_go_both_ways():
    for settings in SETTINGS:
        ours, theirs = pair((2, 5, 3, 3), **settings)
        theirs(draw(4, 5, 3, 3, dtype=torch.float32))
        ours.load_state_dict(theirs.state_dict())
        assert list(ours.state_dict()) == list(theirs.state_dict()) and ours.state_dict()._metadata == theirs.state_dict()._metadata
        theirs.load_state_dict(ours.state_dict())


def test_old_checkpoint_without_a_count_is_read():
    for layer in pair((2, 5)):
        state = layer.state_dict()
        del state["num_batches_tracked"]
        state._metadata[""]["version"] = 1
        layer.load_state_dict(state)
        assert layer.num_batches_tracked == 0
        del state._metadata
        copied = dict(state)
        layer.load_state_dict(copied)
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        state = ours_nn.BatchNorm1d(5).state_dict()
        del state["num_batches_tracked"]
        ours_nn.BatchNorm1d(5).load_state_dict(state)


def test_resetting():
    layer = BatchNorm1d(3)
    layer(draw(5, 3, dtype=torch.float32))
    with torch.no_grad(): layer.weight.fill_(2), layer.bias.fill_(1)
    layer.reset_running_stats()
    assert layer.running_mean.eq(0).all() and layer.running_var.eq(1).all() and layer.num_batches_tracked == 0 and layer.weight.eq(2).all()
    layer.reset_parameters()
    assert layer.weight.eq(1).all() and layer.bias.eq(0).all()


def test_device_and_dtype():
    layer = BatchNorm2d(3, device="meta", dtype=torch.float64)
    assert all(t.is_meta for t in layer.state_dict().values()) and layer.running_var.dtype == torch.float64 and layer.num_batches_tracked.dtype == torch.int64
    layer = BatchNorm2d(3).half()
    assert layer.running_mean.dtype == torch.float16 and layer.num_batches_tracked.dtype == torch.int64


def test_compiled_is_the_same():
    torch.manual_seed(0)
    ours, theirs = alike(BatchNorm2d(4), nn.BatchNorm2d(4))
    compiled, x, flow = torch.compile(ours, backend="aot_eager"), draw(3, 4, 5, 5, dtype=torch.float32), draw(3, 4, 5, 5, seed=1, dtype=torch.float32)
    for training in (True, False):
        ours.train(training), theirs.train(training)
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        torch.testing.assert_close(compiled(a), theirs(b))
        for g, e in zip(torch.autograd.grad(compiled(a), [a, *ours.parameters()], flow), torch.autograd.grad(theirs(b), [b, *theirs.parameters()], flow)): torch.testing.assert_close(g, e, rtol=1e-4, atol=1e-5)
        for g, e in zip(ours.buffers(), theirs.buffers()): torch.testing.assert_close(g, e)


class Kernels(TorchDispatchMode):
    def __init__(self): super().__init__(); self.seen = set()
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


def test_runs_no_kernel_of_its_counterpart():
    for shape, training in itertools.product(((4, 5, 3, 3), (16, 5, 32, 32)), (True, False)):
        for layer, expected in zip(pair(shape), (False, True)):
            with Kernels() as kernels: step(layer.train(training), draw(*shape, dtype=torch.float32), torch.ones(shape))
            assert any("norm" in name for name in kernels.seen - {"linalg_vector_norm"}) == expected


# errors -----------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("layer, shape", [("BatchNorm1d", (1, 5)), ("BatchNorm1d", (1, 5, 1)), ("BatchNorm2d", (1, 5, 1, 1))])
def test_batch_of_one_has_torchs_error(layer, shape):
    messages = []
    for place in (ours_nn, nn):
        made = getattr(place, layer)(5)
        with pytest.raises(ValueError) as caught: made(torch.randn(shape))
        messages.append(str(caught.value))
        assert made.num_batches_tracked == (0 if place is ours_nn else 1), "what ours refuses leaves no trace"
        assert made.eval()(torch.randn(shape)).shape == shape
    assert messages[0].startswith(messages[1]) and "model.eval()" in messages[0]


@pytest.mark.parametrize("act, error, words", [
    (lambda f: f(torch.randn(5), None, None, training=True), RuntimeError, r"\(n, channels, ...\), got shape \(5,\)"),
    (lambda f: f(torch.ones(4, 3, dtype=torch.int64), None, None, training=True), RuntimeError, "floating-point"),
    (lambda f: f(torch.randn(4, 3), torch.zeros(4), torch.ones(3)), RuntimeError, r"running_mean of shape \(3,\).*got \(4,\)"),
    (lambda f: f(torch.randn(4, 3), None, None, torch.ones(2), training=True), RuntimeError, "weight of shape"),
    (lambda f: f(torch.randn(4, 3).double(), None, None, torch.ones(3), training=True), RuntimeError, "weight in the input's torch.float64"),
    (lambda f: f(torch.randn(4, 3), None, None), RuntimeError, "running_mean and running_var"),
    (lambda f: f(torch.randn(4, 3), None, None, training=True, eps=0.0), ValueError, "positive during training"),
    (lambda f: f(torch.randn(4, 3), torch.zeros(3), torch.ones(3), eps=-1.0), ValueError, "non-negative"),
    (lambda f: f(torch.randn(4, 3), torch.zeros(3, requires_grad=True), torch.ones(3)), RuntimeError, "without a gradient"),
])
def test_bad_input_gets_expected_got_and_mend(act, error, words):
    with pytest.raises(error, match=words): act(batch_norm)
    if "got shape" not in words:
        with pytest.raises((RuntimeError, ValueError)): act(F.batch_norm)


@pytest.mark.parametrize("layer, shapes", [("BatchNorm1d", [(5,), (2, 5, 3, 3)]), ("BatchNorm2d", [(2, 5), (2, 5, 3), (1, 2, 5, 3, 3)])])
def test_wrong_number_of_axes(layer, shapes):
    for shape, place in itertools.product(shapes, (ours_nn, nn)):
        with pytest.raises(ValueError, match=f"got {len(shape)}D input"): getattr(place, layer)(5)(torch.randn(shape))


# frozen layers ----------------------------------------------------------------------------------------------------------------------
def network(place=ours_nn): return nn.Sequential(nn.Linear(4, 6), place.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 6), place.BatchNorm1d(6), nn.Linear(6, 3))


@pytest.mark.parametrize("place", [ours_nn, nn])
def test_bn_freeze(place):
    model = network(place).train()
    assert bn_freeze(model) is model
    for layer in model:
        frozen = isinstance(layer, place.BatchNorm1d)
        assert layer.training is not frozen and all(p.requires_grad is not frozen for p in layer.parameters())


@pytest.mark.parametrize("place", [ours_nn, nn])
def test_freeze_batch_norm_keeps_the_frozen_and_only_those(place):
    torch.manual_seed(0)
    data = [(torch.randn(8, 4) + 3, torch.randint(3, (8,))) for _ in range(4)]
    for callbacks, moved in (([], (True, True)), ([FreezeBatchNorm()], (False, True))):
        model = network(place)
        model[1].requires_grad_(False)
        before = copy.deepcopy(model.state_dict())
        learner = Learner(model, (data, data), nn.CrossEntropyLoss(), lr=0.1, cbs=callbacks)
        learner.fit(2)
        after = model.state_dict()
        assert tuple(not torch.equal(before[f"{i}.running_mean"], after[f"{i}.running_mean"]) for i in (1, 4)) == moved
        learner.one_batch()
        assert torch.equal(model.state_dict()["1.running_mean"], before["1.running_mean"]) is not moved[0]


def test_layer_without_parameters_is_not_taken_for_frozen():
    model = nn.Sequential(BatchNorm1d(4, affine=False), nn.Linear(4, 3))
    data = [(torch.randn(8, 4) + 3, torch.randint(3, (8,)))]
    Learner(model, (data, None), nn.CrossEntropyLoss(), lr=0.1, cbs=[FreezeBatchNorm()]).fit(1)
    assert model[0].num_batches_tracked == 1


# tiny batches -----------------------------------------------------------------------------------------------------------------------
def test_running_norm_begins_as_batch_norm_and_takes_one_picture():
    torch.manual_seed(0)
    layer, x = RunningBatchNorm2d(3), torch.randn(4, 3, 5, 5) * 3 + 7
    torch.testing.assert_close(layer(x), batch_norm(x, None, None, training=True), rtol=1e-4, atol=1e-4)
    assert layer(torch.randn(1, 3, 1, 1)).isfinite().all()


def test_running_norm_forgets_evenly():
    "Means and variances are of all numbers so far, each batch weighted by a tenth less than the one behind it."
    batches = [draw(2, 3, 2, 2, seed=i, dtype=torch.float32) * (i + 1) + 50 for i in range(5)]
    layer = RunningBatchNorm2d(3, momentum=0.1)
    for batch in batches: last = layer(batch)
    weights = torch.tensor([0.9 ** (4 - i) for i in range(5)], dtype=torch.float64)
    numbers = torch.stack(batches).double().transpose(1, 2).flatten(2)                     # (batches, channels, numbers)
    shares = (weights / weights.sum())[:, None]
    mean = (shares * numbers.mean(2)).sum(0)
    variance = (shares * (numbers - mean[:, None]).square().mean(2)).sum(0)
    expected = (batches[-1].double() - mean.view(-1, 1, 1)) / (variance.view(-1, 1, 1) + 1e-5).sqrt()
    torch.testing.assert_close(last.double(), expected, rtol=1e-3, atol=1e-3)
    before = copy.deepcopy(layer.state_dict())
    torch.testing.assert_close(layer.eval()(batches[-1]), last, rtol=1e-4, atol=1e-4)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), layer.state_dict().values()))


def test_running_norm_trains_step_after_step():
    "Gradients reach the newest batch's statistics and no older graph; a checkpoint goes on."
    torch.manual_seed(0)
    layer = RunningBatchNorm2d(2).double()
    for _ in range(3):
        x = torch.randn(2, 2, 3, 3).double().requires_grad_()
        layer(x).square().sum().backward()
        assert x.grad.isfinite().all() and layer.weight.grad is not None
    again = RunningBatchNorm2d(2).double()
    again.load_state_dict(layer.state_dict())
    x = torch.randn(2, 2, 3, 3).double()
    torch.testing.assert_close(again(x), layer(x))
    state = copy.deepcopy(layer.state_dict())
    def function(x):
        for name, buffer in layer.named_buffers(): buffer.copy_(state[name])
        return layer(x)
    assert torch.autograd.gradcheck(function, x.requires_grad_())


def test_running_norm_is_frozen_and_kept_asleep_like_the_others():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), RunningBatchNorm2d(2), nn.Flatten(), nn.Linear(18, 3))
    data = [(torch.randn(4, 1, 5, 5) + 3, torch.randint(3, (4,))) for _ in range(3)]
    bn_freeze(model)
    before = copy.deepcopy(model[1].state_dict())
    Learner(model, (data, None), nn.CrossEntropyLoss(), lr=0.1, cbs=[FreezeBatchNorm()]).fit(2)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model[1].state_dict().values()))
    model[1].train()
    model[0](torch.randn(4, 1, 5, 5)), model[1](torch.randn(4, 2, 3, 3))
    assert not torch.equal(before["sums"], model[1].sums)


def test_running_norm_in_use_before_the_first_batch():
    layer, x = RunningBatchNorm2d(3), torch.randn(4, 3, 5, 5) * 3 + 7
    torch.testing.assert_close(layer.eval()(x), nn.BatchNorm2d(3).eval()(x))
    assert layer.running_mean.eq(0).all()
    layer.train()(x)
    torch.testing.assert_close(layer.running_mean, x.mean((0, 2, 3)))


# on our own Module --------------------------------------------------------------------------------------------------------------------
@pytest.fixture
def second_copy(once_more):
    "The module once more, with our Module and Parameter where it looks for torch's."
    return once_more(normalization)


def test_trains_on_our_module_as_on_torchs(second_copy):
    assert issubclass(second_copy.BatchNorm1d, modules.Module) and not issubclass(second_copy.BatchNorm1d, nn.modules.module.Module)
    ours, theirs = Sequential(second_copy.BatchNorm1d(5), second_copy.BatchNorm1d(5, momentum=None)), nn.Sequential(nn.BatchNorm1d(5), nn.BatchNorm1d(5, momentum=None))
    for seed in range(5):
        x, wish = draw(6, 5, seed=seed, dtype=torch.float32), draw(6, 5, seed=seed + 30, dtype=torch.float32)
        for net in (ours, theirs):
            (net(x) - wish).square().mean().backward()
            with torch.no_grad():
                for p in net.parameters(): p -= 0.1 * p.grad
            net.zero_grad()
    assert repr(ours) == repr(theirs)
    for (name, a), (other, b) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert name == other
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    old = ours.state_dict()
    ours.load_state_dict(old)


def test_the_mean_of_all_batches_survives_a_checkpointed_forward():
    from torch.utils.checkpoint import checkpoint
    layer = ours_nn.BatchNorm1d(1, momentum=None)
    for level in (1.0, 2.0, 3.0, 4.0):
        checkpoint(layer, (torch.randn(64, 1) * 1e-3 + level).requires_grad_(), use_reentrant=False).sum().backward()
    assert abs(layer.running_mean.item() - 2.5) < 1e-3


@pytest.mark.parametrize("training", [True, False], ids=["training", "in use"])
@pytest.mark.parametrize("mix", [lambda: torch.randn(5, 4).t(), lambda: torch.randn(4, 6, 5).mT, lambda: torch.randn(4, 5, 3, 2).mT,
                                 lambda: torch.randn(5, 4, 3, 2).transpose(0, 1), lambda: torch.randn(4, 5, 3, 2).to(memory_format=torch.channels_last)],
                         ids=["transposed", "sequence", "sides", "batch", "channels last"])
def test_output_lies_in_memory_as_torchs(mix, training):
    x = mix()
    kind = "BatchNorm2d" if x.ndim == 4 else "BatchNorm1d"
    mine, other = getattr(ours_nn, kind)(x.shape[1]).train(training), getattr(torch.nn, kind)(x.shape[1]).train(training)
    assert mine(x).stride() == other(x).stride()
    torch.testing.assert_close(mine(x), other(x))
