"""Layer, group, instance and RMS norm beside torch's: values, gradients and theirs, buffers, layouts, dtypes, checkpoints, errors."""
import copy, sys, warnings
from functools import partial
import pytest, torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
import layer_steps
from layer_steps import draw, step
from lesson_nb import functional as ours_F, layernorm, modules, nn as ours_nn, normalization

pytestmark = pytest.mark.usefixtures("one_thread")
assert_alike = partial(layer_steps.assert_alike, atol=1e-11)
LAYERS = [("LayerNorm", (6,), {}, (4, 3, 6)), ("LayerNorm", ((3, 6),), {"eps": 1e-2}, (4, 3, 6)), ("LayerNorm", ((4, 3, 6),), {"bias": False}, (4, 3, 6)), ("LayerNorm", (6,), {"elementwise_affine": False}, (5, 6)),
          ("LayerNorm", ([6],), {}, (6,)), ("LayerNorm", (300,), {}, (400, 300)),
          ("GroupNorm", (2, 6), {}, (4, 6, 3, 5)), ("GroupNorm", (3, 6), {"affine": False}, (4, 6)), ("GroupNorm", (1, 6), {"bias": False}, (2, 6, 7)), ("GroupNorm", (6, 6), {"eps": 1e-2}, (2, 6, 3, 2, 2)), ("GroupNorm", (4, 16), {}, (8, 16, 32, 32)),
          ("InstanceNorm1d", (5,), {}, (4, 5, 7)), ("InstanceNorm1d", (5,), {"affine": True}, (5, 7)), ("InstanceNorm1d", (5,), {"affine": True, "track_running_stats": True}, (4, 5, 7)),
          ("InstanceNorm2d", (5,), {"track_running_stats": True, "momentum": 0.3}, (4, 5, 3, 6)), ("InstanceNorm2d", (5,), {"track_running_stats": True, "momentum": None}, (4, 5, 3, 6)),
          ("InstanceNorm2d", (5,), {"affine": True, "bias": False, "eps": 1e-2}, (5, 3, 6)), ("InstanceNorm2d", (5,), {"affine": True, "track_running_stats": True}, (16, 5, 32, 32)),
          ("RMSNorm", (6,), {}, (4, 3, 6)), ("RMSNorm", ((3, 6),), {"eps": 1e-2}, (4, 3, 6)), ("RMSNorm", (6,), {"elementwise_affine": False}, (5, 6)), ("RMSNorm", (300,), {}, (400, 300))]
each_layer = pytest.mark.parametrize("name, args, kwargs, shape", LAYERS, ids=str)


def both(name, args, kwargs, dtype=torch.float64):
    "Ours and torch's, with the same parameters and buffers, none of them at its start."
    ours, theirs = (getattr(place, name)(*args, **kwargs).to(dtype) for place in (ours_nn, nn))
    for i, tensor in enumerate(theirs.state_dict().values()):
        if tensor.is_floating_point(): tensor.copy_(draw(*tensor.shape, seed=i).abs() + 0.5)
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@each_layer
def test_steps_and_eval_are_torchs(name, args, kwargs, shape):
    ours, theirs = both(name, args, kwargs)
    for seed in range(3):
        if seed == 2: ours.eval(), theirs.eval()
        x, flow = draw(*shape, seed=seed) * 3 + 2, draw(*shape, seed=seed + 9)
        assert_alike(step(ours, x, flow), step(theirs, x, flow))
    assert repr(ours) == repr(theirs) and ours.state_dict()._metadata == theirs.state_dict()._metadata


@each_layer
def test_layouts(name, args, kwargs, shape):
    if len(shape) < 2: pytest.skip("one axis has one layout")
    arrangements = [lambda x: x.transpose(-1, -2).contiguous().transpose(-1, -2), lambda x: torch.stack([x, x], -1)[..., 0], lambda x: x.transpose(0, 1).contiguous().transpose(0, 1)]
    if len(shape) == 4: arrangements.append(lambda x: x.contiguous(memory_format=torch.channels_last))
    for arrange in arrangements:
        ours, theirs = both(name, args, kwargs)
        assert_alike(step(ours, arrange(draw(*shape)), arrange(draw(*shape, seed=3))), step(theirs, arrange(draw(*shape)), arrange(draw(*shape, seed=3))))


@each_layer
@pytest.mark.parametrize("mean, std", [(0, 1), (100, 1), (1, 100)])
def test_single_precision_is_as_good_as_torchs(name, args, kwargs, shape, mean, std):
    ours, theirs = both(name, args, kwargs, torch.float32)
    truth_of = copy.deepcopy(theirs).double()
    if name == "RMSNorm" and "eps" not in kwargs: truth_of.eps = torch.finfo(torch.float32).eps
    x, flow = (draw(*shape) * std + mean).float(), draw(*shape, seed=2).float()
    truth, found, expected = step(truth_of, x.double(), flow.double()), step(ours, x, flow), step(theirs, x, flow)
    for what in truth:
        error, own = ((side[what].double() - truth[what]).abs().max() for side in (found, expected))
        assert error <= 3 * own + 6e-7 * truth[what].abs().max(), what


@each_layer
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [1.0, 1e-3])
def test_half_precision(name, args, kwargs, shape, dtype, size):
    ours, theirs = both(name, args, kwargs, dtype)
    x, flow = (draw(*shape) * size).to(dtype), draw(*shape, seed=1).to(dtype)
    truth_of = copy.deepcopy(theirs).double()
    if name == "RMSNorm" and "eps" not in kwargs: truth_of.eps = torch.finfo(torch.float32).eps
    truth, found, expected = step(truth_of, x.double(), flow.double()), step(ours, x, flow), step(theirs, x, flow)
    for what in expected:
        assert found[what].dtype == expected[what].dtype, what
        error, own = ((side[what].double() - truth[what]).abs().max() for side in (found, expected))
        assert error <= 2 * own + 2 * torch.finfo(dtype).eps * truth[what].abs().max(), what


def test_half_precision_input_with_single_precision_weight():
    for name, args, shape in (("LayerNorm", (6,), (4, 6)), ("GroupNorm", (2, 6), (4, 6, 3)), ("RMSNorm", (6,), (4, 6))):
        ours, theirs = both(name, args, {}, torch.float32)
        x = draw(*shape).bfloat16()
        y = ours(x)
        if name != "RMSNorm": assert y.dtype == theirs(x).dtype == torch.bfloat16
        torch.testing.assert_close(y.float(), theirs(x.float()), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("name, args, kwargs, shape", [row for row in LAYERS if len(row[3]) < 5 and row[3][-1] < 20], ids=str)
def test_gradients_of_gradients(name, args, kwargs, shape):
    ours, _ = both(name, args, kwargs)
    small = torch.randn([2 if i == 0 and len(shape) > 2 and name != "LayerNorm" else s for i, s in enumerate(shape)]).double() if name == "GroupNorm" else draw(*shape)
    assert torch.autograd.gradgradcheck(ours, small.requires_grad_())
    assert torch.autograd.gradcheck(ours, small)


@pytest.mark.parametrize("call", [
    lambda f: f.layer_norm(draw(3, 4, 5), (4, 5), draw(4, 5), None, 0.1), lambda f: f.layer_norm(draw(3, 4, 5), [5]), lambda f: f.rms_norm(draw(3, 5), (5,), draw(5, seed=1)),
    lambda f: f.rms_norm(draw(3, 5), [5], eps=0.5), lambda f: f.group_norm(draw(3, 4, 5), 2, None, draw(4, seed=1)), lambda f: f.group_norm(draw(3, 4), 2, draw(4, seed=1)),
    lambda f: f.instance_norm(draw(3, 4, 5), eps=0.1), lambda f: f.instance_norm(draw(3, 4, 5, 2), None, None, draw(4), draw(4, seed=1)),
    lambda f: f.instance_norm(draw(3, 4, 5), draw(4), draw(4, seed=1).abs(), use_input_stats=False), lambda f: f.layer_norm(draw(0, 5), (5,)), lambda f: f.group_norm(draw(0, 4, 3), 2, draw(4))])
def test_functions_are_torchs(call): torch.testing.assert_close(call(ours_F), call(F))


def test_instance_norm_moves_given_averages():
    sides = []
    for place in (ours_F, F):
        mean, variance = draw(4), draw(4, seed=1).abs()
        place.instance_norm(draw(3, 4, 5), mean, variance, momentum=0.7)
        sides.append((mean, variance))
        with pytest.raises(ValueError, match="must either both be None or neither be None"): place.instance_norm(draw(3, 4, 5), mean, None)
    torch.testing.assert_close(*sides)


def test_relatives():
    "Group norm between layer and instance norm; RMS norm of centred rows is layer norm."
    x = draw(3, 6, 4, 4)
    torch.testing.assert_close(ours_F.group_norm(x, 6), ours_F.instance_norm(x))
    torch.testing.assert_close(ours_F.group_norm(x, 1), ours_F.layer_norm(x, (6, 4, 4)))
    centred = x - x.mean(-1, keepdim=True)
    torch.testing.assert_close(ours_F.rms_norm(centred, (4,), eps=1e-5), ours_F.layer_norm(x, (4,)))


def test_empty_batches():
    for layer, shape in ((ours_nn.LayerNorm(5), (0, 5)), (ours_nn.GroupNorm(2, 4), (0, 4, 3)), (ours_nn.InstanceNorm2d(3, affine=True, track_running_stats=True), (0, 3, 2, 2)), (ours_nn.RMSNorm(5), (0, 3, 5))):
        before = copy.deepcopy(layer.state_dict())
        y = layer(torch.empty(shape, requires_grad=True))
        y.sum().backward()
        assert y.shape == shape and all(p.grad.eq(0).all() for p in layer.parameters())
        assert all(torch.equal(a, b) for a, b in zip(before.values(), layer.state_dict().values()))


def test_input_is_left_as_it_was():
    for name, args, kwargs, shape in LAYERS:
        x = draw(*shape)
        before = x.clone()
        both(name, args, kwargs)[0](x)
        assert torch.equal(x, before)


def test_compiled_is_the_same():
    for name, args, kwargs, shape in (LAYERS[0], LAYERS[6], LAYERS[14], LAYERS[18]):
        ours, _ = both(name, args, kwargs, torch.float32)
        again, x = copy.deepcopy(ours), draw(*shape, dtype=torch.float32)
        compiled = torch.compile(again, backend="aot_eager")
        for a, b in zip(step(ours, x, torch.ones(shape)).values(), step(compiled, x, torch.ones(shape)).values()): torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


class Kernels(TorchDispatchMode):
    def __init__(self): super().__init__(); self.seen = set()
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


@each_layer
def test_runs_no_kernel_of_its_counterpart(name, args, kwargs, shape):
    for layer, expected in zip(both(name, args, kwargs, torch.float32), (False, name != "RMSNorm")):
        with Kernels() as kernels: step(layer, draw(*shape, dtype=torch.float32), torch.ones(shape))
        assert any("norm" in kernel for kernel in kernels.seen) == expected


# errors -----------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("act, error, words, torch_too", [
    (lambda n, f: n.LayerNorm(5)(torch.randn(2, 4)), RuntimeError, r"last axes are \(5,\), got shape \(2, 4\)", True),
    (lambda n, f: n.RMSNorm((3, 5))(torch.randn(5)), RuntimeError, r"last axes are \(3, 5\)", True),
    (lambda n, f: f.layer_norm(torch.ones(2, 4, dtype=torch.int64), (4,)), RuntimeError, "floating-point", True),
    (lambda n, f: f.layer_norm(torch.randn(2, 4).double(), (4,), torch.ones(4)), RuntimeError, "weight in the input's torch.float64", True),
    (lambda n, f: f.layer_norm(torch.randn(2, 4), (4,), torch.ones(3)), RuntimeError, "weight with 4 numbers", True),
    (lambda n, f: f.group_norm(torch.ones(2, 4, 3, dtype=torch.int64), 2), RuntimeError, "group_norm: expected floating-point", True),
    (lambda n, f: f.instance_norm(torch.ones(2, 4, 3, dtype=torch.int64)), RuntimeError, "instance_norm: expected floating-point", True),
    (lambda n, f: n.GroupNorm(4, 6), ValueError, "must be divisible", True),
    (lambda n, f: f.group_norm(torch.randn(2, 6), 4), RuntimeError, "divides the 6 channels, got 4", True),
    (lambda n, f: f.group_norm(torch.randn(6), 2), RuntimeError, "at least 2|a batch axis", True),
    (lambda n, f: f.group_norm(torch.randn(1, 6), 6), ValueError, "Expected more than 1 value per channel when training", True),
    (lambda n, f: n.InstanceNorm2d(3)(torch.randn(2, 3, 1, 1)), ValueError, "Expected more than 1 spatial element when training, got input size", True),
    (lambda n, f: n.InstanceNorm2d(3)(torch.randn(2, 3)), ValueError, "expected 3D or 4D input", True),
    (lambda n, f: n.InstanceNorm1d(3, affine=True)(torch.randn(2, 4, 5)), ValueError, r"match num_features \(3\), but got: 4", True),
    (lambda n, f: f.instance_norm(torch.randn(2, 3, 4), use_input_stats=False), RuntimeError, "running_mean and running_var", True),
])
def test_bad_input_gets_expected_got_and_mend(act, error, words, torch_too):
    with pytest.raises(error, match=words): act(ours_nn, ours_F)
    if torch_too:
        with pytest.raises((RuntimeError, ValueError)): act(nn, F)


def test_features_that_do_not_match_warn_where_they_do_not_matter():
    for place in (ours_nn, nn):
        with pytest.warns(UserWarning, match="does not match num_features"): place.InstanceNorm1d(3)(torch.randn(2, 4, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours_nn.InstanceNorm1d(3)(torch.randn(2, 3, 5))


def test_device_dtype_and_reset():
    for name, args in (("LayerNorm", (5,)), ("GroupNorm", (2, 4)), ("RMSNorm", (5,))):
        layer = getattr(ours_nn, name)(*args, device="meta", dtype=torch.float64)
        assert all(t.is_meta and t.dtype == torch.float64 for t in layer.state_dict().values())
        layer = getattr(ours_nn, name)(*args)
        with torch.no_grad():
            for p in layer.parameters(): p.fill_(7)
        layer.reset_parameters()
        assert layer.weight.eq(1).all() and (getattr(layer, "bias", None) is None or layer.bias.eq(0).all())


# on our own Module --------------------------------------------------------------------------------------------------------------------
@pytest.fixture
def second_copy(once_more, monkeypatch):
    "The module once more, and the one beneath it, with our Module and Parameter where they look for torch's."
    monkeypatch.setitem(sys.modules, normalization.__name__, once_more(normalization))
    return once_more(layernorm)


def test_trains_on_our_module_as_on_torchs(second_copy):
    assert issubclass(second_copy.LayerNorm, modules.Module) and issubclass(second_copy.InstanceNorm2d, modules.Module)
    for name, args, kwargs, shape in LAYERS[:1] + LAYERS[6:7] + LAYERS[13:15] + LAYERS[18:19]:
        ours, theirs = getattr(second_copy, name)(*args, **kwargs), getattr(nn, name)(*args, **kwargs)
        for seed in range(4):
            x, wish = draw(*shape, seed=seed, dtype=torch.float32), draw(*shape, seed=seed + 30, dtype=torch.float32)
            for layer in (ours, theirs):
                if not list(layer.parameters()):
                    layer(x)
                    continue
                (layer(x) - wish).square().mean().backward()
                with torch.no_grad():
                    for p in layer.parameters(): p -= 0.1 * p.grad
                layer.zero_grad()
        assert repr(ours) == repr(theirs)
        for (key, a), (other, b) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
            assert key == other
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


ROWS = {"LayerNorm": ((4,), lambda: torch.randn(3, 4, 5).mT), "RMSNorm": ((4,), lambda: torch.randn(3, 4, 5).mT), "GroupNorm": ((2, 4), lambda: torch.randn(3, 5, 4).mT),
        "InstanceNorm1d": ((4,), lambda: torch.randn(3, 5, 4).mT), "InstanceNorm2d": ((4,), lambda: torch.randn(3, 4, 5, 2).to(memory_format=torch.channels_last))}


@pytest.mark.parametrize("kind", ROWS)
def test_output_of_a_mixed_up_input_can_be_viewed(kind):
    arguments, make = ROWS[kind]
    x = make()
    assert not x.is_contiguous()
    out = getattr(ours_nn, kind)(*arguments)(x)
    torch.testing.assert_close(out.view(3, -1), getattr(torch.nn, kind)(*arguments)(x).reshape(3, -1))


@pytest.mark.parametrize("kind", ROWS)
def test_compiles_as_one_graph(kind):
    arguments, make = ROWS[kind]
    layer, x = getattr(ours_nn, kind)(*arguments), make()
    torch.testing.assert_close(torch.compile(layer, fullgraph=True, backend="aot_eager")(x), layer(x))


def test_sizes_may_be_numpys():
    import numpy
    assert ours_nn.LayerNorm(numpy.int64(3)).normalized_shape == ours_nn.RMSNorm(numpy.int64(3)).normalized_shape == (3,)
    assert ours_nn.LayerNorm([2, 3]).normalized_shape == (2, 3)
