"""pad, output_size, conv1d, conv2d, Conv1d, Conv2d: PyTorch's values, gradients, state and refusals in every argument; bounded memory; no delegation."""
import copy, io, itertools, math, pickle, subprocess, sys, textwrap
import pytest, torch
import torch.nn.functional as F
from torch import nn
from judge import ROOT
from lesson_nb import convolution as module
from lesson_nb.convolution import Conv1d, Conv2d, add_product, conv1d, conv2d, output_size, pad
from lesson_nb.proof import assert_same, floats

FORBIDDEN = {"convolution", "convolution_backward", "_convolution", "convolution_overrideable", "conv1d", "conv2d", "mkldnn_convolution", "thnn_conv2d", "_slow_conv2d_forward",
             "_slow_conv2d_backward", "slow_conv_dilated2d", "im2col", "col2im", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "replication_pad1d",
             "replication_pad2d", "_pad_circular"}


def randn(*shape, seed=0, dtype=torch.float64): return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def with_gradients(function, *tensors):
    "The result, and the gradients of a sum of it in which every entry has its own weight."
    tensors = [t.detach().clone(memory_format=torch.preserve_format).requires_grad_() for t in tensors]
    result = function(*tensors)
    weights = torch.cos(torch.arange(result.numel(), dtype=result.dtype)).view(result.shape)
    return result, *torch.autograd.grad((result * weights).sum(), tensors)


def assert_alike(ours, theirs, *tensors, rtol=1e-9, atol=1e-9):
    for mine, other in zip(with_gradients(ours, *tensors), with_gradients(theirs, *tensors)):
        assert mine.dtype == other.dtype
        torch.testing.assert_close(mine, other, rtol=rtol, atol=atol)


@pytest.fixture(params=[None, 500], ids=["whole", "in chunks"])
def chunk(request, monkeypatch):
    "As it is, and with so small a chunk that every batch is cut."
    module._plan.cache_clear()
    if request.param: monkeypatch.setattr(module, "_CHUNK", request.param)
    yield
    module._plan.cache_clear()


# output_size
def test_output_size_equals_pytorch_for_every_combination_up_to_12():
    tried = 0
    for size, k, s, p, d in itertools.product(range(1, 13), range(1, 13), range(1, 13), range(0, 13, 2), range(1, 5)):
        weight = torch.empty(1, 1, k, device="meta")
        fits = size + 2 * p >= d * (k - 1) + 1
        if not fits:
            with pytest.raises(RuntimeError, match="expected a kernel that fits"): output_size(size, k, s, p, d)
            continue
        if p % 4 == 0 or s < 4: assert output_size(size, k, s, p, d) == F.conv1d(torch.empty(1, 1, size, device="meta"), weight, None, s, p, d).shape[2]
        tried += 1
    assert tried > 20000


@pytest.mark.parametrize("size, k, s", list(itertools.product(range(1, 13), range(1, 7), range(1, 6))))
def test_output_size_in_ceil_mode_equals_pytorchs_pooling(size, k, s):
    for p, d in itertools.product(range(k // 2 + 1), (1, 2)):
        if size + 2 * p < d * (k - 1) + 1: continue
        theirs = F.max_pool1d(torch.empty(1, 1, size), k, s, p, d, ceil_mode=True).shape[2]
        assert output_size(size, k, s, p, d, ceil_mode=True) == theirs


def test_output_size_takes_uneven_padding(): assert output_size(10, 4, 3, (2, 1)) == output_size(13, 4, 3) == 4


# pad
@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("margins", [*itertools.product((-2, 0, 1, 3), repeat=2), (1, 2, 3, 0), (-1, 2, 1, -2), (3, -2, -1, 2), (0, 0, 0, 0)], ids=str)
def test_pad_equals_pytorch(mode, margins):
    x = randn(2, 3, 4) if len(margins) == 2 else randn(2, 3, 5, 4)
    if refused(mode, margins, x.shape):
        with pytest.raises(RuntimeError, match="expected margins"): pad(x, margins, mode)
        return
    assert_alike(lambda x: pad(x, margins, mode), lambda x: F.pad(x, margins, mode), x)
    assert_alike(lambda x: pad(x, margins, mode), lambda x: F.pad(x, margins, mode), x[0])


def refused(mode, margins, shape):
    """Nothing left over, for the modes that take their margin from the rest; or a circular margin wider than what a cut has left, where
    PyTorch stops at a memory overlap or, on two axes, returns numbers it never wrote."""
    axes = [(margins[i:i + 2], shape[-1 - i // 2]) for i in range(0, len(margins), 2)]
    if mode == "circular": return any(max(sides) > size + sum(min(side, 0) for side in sides) for sides, size in axes)
    return mode in ("reflect", "replicate") and any(sum(sides) + size < 1 for sides, size in axes)


def test_pytorch_refuses_where_pad_refuses():
    for mode, margins in (("reflect", (-2, -2)), ("replicate", (-2, -2))):
        assert refused(mode, margins, (2, 3, 4))
        with pytest.raises(RuntimeError): F.pad(randn(2, 3, 4), margins, mode)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_pad_of_three_axes(mode): assert_alike(lambda x: pad(x, (1, 0, 2, 1, 0, 1), mode), lambda x: F.pad(x, (1, 0, 2, 1, 0, 1), mode), randn(2, 3, 3, 4, 5))


def test_pad_with_a_value_in_any_dtype_and_of_all_axes():
    for dtype in (torch.float32, torch.int64, torch.uint8, torch.bool):
        x = (randn(2, 3, 4) > 0).to(dtype)
        theirs = F.pad(x, (1, 2, 0, 1, 2, 0), value=1)
        assert torch.equal(pad(x, (1, 2, 0, 1, 2, 0), value=1), theirs) and pad(x, (1, 1)).dtype == dtype
    assert pad(torch.empty(0, 2, 3), (1, 1)).shape == (0, 2, 5)


def test_pad_does_not_touch_or_alias_its_input_when_it_pads():
    x = randn(1, 3, 3)
    wide = pad(x, (1, 1))
    wide.zero_()
    assert x.abs().sum() > 0


@pytest.mark.parametrize("arguments, error, said", [
    (((3, 0), "reflect"), RuntimeError, "up to 2"), (((4, 0), "circular"), RuntimeError, "up to 3"), (((-2, -2),), RuntimeError, "down to -3"),
    (((1,),), RuntimeError, "(before, after)"), (((1,) * 8,), RuntimeError, "at most 3 axes"), (((1, 1), "mirror"), NotImplementedError, "'mirror'"),
    (((1, 1), "reflect", 2.0), ValueError, "leave `value` out"), (((1, 1, 1, 1, 1, 1), "reflect"), NotImplementedError, "batch and channels")])
def test_pad_refuses(arguments, error, said):
    with pytest.raises(error) as caught: pad(randn(2, 3, 3), *arguments)
    assert said in str(caught.value) and "got" in str(caught.value) or error is ValueError


# conv2d
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 3), (5, 1), (1, 4)], ids=str)
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (1, 3), (3, 2), (7, 7)], ids=str)
def test_conv2d_in_every_argument_equals_torch(kernel, stride, chunk):
    for padding, dilation, groups, bias in itertools.product(((0, 0), (1, 2), (4, 3)), ((1, 1), (2, 1), (2, 3)), (1, 2, 4), (True, False)):
        size = [max(6, d * (k - 1) + 1 - 2 * p) + i for i, (d, k, p) in enumerate(zip(dilation, kernel, padding))]
        tensors = [randn(3, 4, *size), randn(8, 4 // groups, *kernel, seed=1)] + [randn(8, seed=2)] * bias
        def of(function): return lambda x, w, b=None: function(x, w, b, stride, padding, dilation, groups)
        assert_alike(of(conv2d), of(F.conv2d), *tensors)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 12])
def test_conv2d_where_windows_see_mostly_padding(size):
    for k, s, p, d in itertools.product((1, 2, 5), (1, 2, 5), (0, 1, 6), (1, 3)):
        if size + 2 * p < d * (k - 1) + 1: continue
        assert_alike(lambda x, w: conv2d(x, w, None, s, p, d), lambda x, w: F.conv2d(x, w, None, s, p, d), randn(2, 1, size, size), randn(1, 1, k, k, seed=1))


@pytest.mark.parametrize("kernel, dilation", list(itertools.product([(3, 3), (2, 4), (1, 2), (4, 5)], [1, 2, (1, 3)])), ids=str)
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_conv2d_padding_by_word(padding, kernel, dilation):
    tensors = randn(2, 3, 13, 14), randn(4, 3, *kernel, seed=1)
    assert_alike(lambda x, w: conv2d(x, w, None, 1, padding, dilation), lambda x, w: F.conv2d(x, w, None, 1, padding, dilation), *tensors)


@pytest.mark.parametrize("layout", ["channels_last", "transposed", "strided", "expanded", "offset", "inner"])
def test_conv2d_takes_any_memory_layout(layout, chunk):
    x, w, b = randn(3, 4, 7, 6), randn(5, 4, 3, 2, seed=1), randn(5, seed=2)
    x = {"channels_last": lambda: x.contiguous(memory_format=torch.channels_last), "transposed": lambda: randn(3, 4, 6, 7).mT, "inner": lambda: randn(4, 3, 9, 9).transpose(0, 1)[:, :, 1:8, 2:8],
         "strided": lambda: randn(3, 4, 14, 12)[:, :, ::2, ::2], "expanded": lambda: randn(1, 4, 7, 6).expand(3, -1, -1, -1), "offset": lambda: randn(6, 4, 7, 6)[3:]}[layout]()
    w = w.mT.contiguous().mT
    for ours, theirs in zip(strided_gradients(conv2d, x, w, b), strided_gradients(F.conv2d, x, w, b)): torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def strided_gradients(function, *tensors):
    "As with_gradients, but on the very memory layout given, and with a flow that is not contiguous either."
    tensors = [t.detach().requires_grad_() for t in tensors]
    result = function(*tensors, 2, 1)
    flow = randn(*result.shape[:2], result.shape[3], result.shape[2], seed=5).mT
    return result, *torch.autograd.grad(result, tensors, flow)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-4), (torch.float64, 1e-10), (torch.bfloat16, 5e-2), (torch.float16, 5e-3)], ids=str)
def test_conv2d_in_floating_dtypes(dtype, tolerance):
    tensors = randn(2, 3, 9, 8, dtype=dtype), randn(4, 3, 3, 3, seed=1, dtype=dtype), randn(4, seed=2, dtype=dtype)
    assert_alike(lambda x, w, b: conv2d(x, w, b, 2, 1), lambda x, w, b: F.conv2d(x, w, b, 2, 1), *tensors, rtol=tolerance, atol=10 * tolerance)


def test_conv2d_of_nothing():
    "Empty batches give empty outputs, zero gradients of the weight and no error; so do no channels at all as far as PyTorch takes them."
    assert_alike(lambda x, w, b: conv2d(x, w, b, 2, 1), lambda x, w, b: F.conv2d(x, w, b, 2, 1), randn(0, 3, 8, 8), randn(4, 3, 3, 3), randn(4))
    layer = Conv2d(3, 4, 3)
    layer(torch.zeros(0, 3, 8, 8)).sum().backward()
    assert (layer.weight.grad == 0).all() and (layer.bias.grad == 0).all()


def test_conv2d_of_a_single_picture():
    assert_alike(lambda x, w, b: conv2d(x, w, b, 2, 1), lambda x, w, b: F.conv2d(x, w, b, 2, 1), randn(3, 8, 7), randn(4, 3, 3, 3), randn(4))


@pytest.mark.parametrize("needed", [(True, False, False), (False, True, False), (False, False, True), (True, False, True), (False, True, True)])
def test_only_gradients_that_are_wanted_are_computed(needed, chunk):
    tensors = [randn(3, 2, 6, 6).requires_grad_(needed[0]), randn(4, 2, 3, 3, seed=1).requires_grad_(needed[1]), randn(4, seed=2).requires_grad_(needed[2])]
    wanted = [t for t in tensors if t.requires_grad]
    ours, theirs = (torch.autograd.grad(f(*tensors, 2, 1).square().sum(), wanted) for f in (conv2d, F.conv2d))
    for mine, other in zip(ours, theirs): torch.testing.assert_close(mine, other)
    assert not conv2d(*[t.detach() for t in tensors]).requires_grad


def test_gradients_and_second_gradients_are_right():
    x, w, b = randn(2, 4, 5, 4).requires_grad_(), randn(2, 2, 2, 3, seed=1).requires_grad_(), randn(2, seed=2).requires_grad_()
    function = lambda x, w, b: conv2d(x, w, b, (2, 1), (1, 0), (2, 1), 2)
    assert torch.autograd.gradcheck(function, (x, w, b)) and torch.autograd.gradgradcheck(function, (x, w, b))
    assert torch.autograd.gradgradcheck(lambda x: conv2d(x, w.detach(), None, 1, "same"), (x[:, :2].detach().requires_grad_(),))


def test_the_input_is_left_alone_and_nothing_is_shared_between_calls():
    x, w = randn(3, 2, 6, 6), randn(2, 2, 3, 3, seed=1)
    before = x.clone(), w.clone()
    first = conv2d(x, w)
    kept = first.clone()
    conv2d(x + 1, w)
    assert torch.equal(first, kept) and torch.equal(x, before[0]) and torch.equal(w, before[1])


def test_backward_twice_and_from_several_threads():
    from concurrent.futures import ThreadPoolExecutor
    tensors = randn(4, 3, 9, 9).requires_grad_(), randn(5, 3, 3, 3, seed=1).requires_grad_()
    output = conv2d(*tensors)
    flow = torch.ones_like(output)
    once = torch.autograd.grad(output, tensors, flow, retain_graph=True)
    for again in (torch.autograd.grad(output, tensors, flow), *ThreadPoolExecutor(4).map(lambda _: torch.autograd.grad(conv2d(*tensors), tensors, flow), range(12))):
        for a, b in zip(once, again): assert torch.equal(a, b)


def kernels_of(function, *tensors):
    from torch.utils._python_dispatch import TorchDispatchMode
    class Seen(TorchDispatchMode):
        names = set()
        def __torch_dispatch__(self, called, types, args=(), kwargs=None):
            self.names.add(called.overloadpacket.__name__.rstrip("_"))
            return called(*args, **(kwargs or {}))
    tensors = [t.detach().clone().requires_grad_() for t in tensors]
    with Seen() as seen: torch.autograd.grad(function(*tensors).sum(), tensors, allow_unused=True)
    return seen.names


CALLS = {"conv2d": (lambda f, x, w: f(x, w, None, 2, 1, 1, 2), conv2d, F.conv2d), "same": (lambda f, x, w: f(x, w, None, 1, "same", 2, 2), conv2d, F.conv2d),
         "conv1d": (lambda f, x, w: f(x[0], w[..., 0], None, 1, 1, 1, 2), lambda x, w, *a: conv1d(x, w, *a), lambda x, w, *a: F.conv1d(x, w, *a)),
         "reflect": (lambda f, x, w: f(x, (1, 1, 1, 1), "reflect") * w.sum(), pad, F.pad), "zeros": (lambda f, x, w: f(x, (1, 1, 1, 1)) * w.sum(), pad, F.pad),
         "replicate": (lambda f, x, w: f(x, (1, 1, 1, 1), "replicate") * w.sum(), pad, F.pad)}


@pytest.mark.parametrize("name", CALLS)
def test_no_kernel_of_pytorchs_own_is_called_forward_or_backward(name):
    call, ours, theirs = CALLS[name]
    x, w = randn(2, 4, 8, 7) if name != "conv1d" else randn(2, 2, 4, 7), randn(4, 2, 3, 2, seed=1)
    assert kernels_of(lambda x, w: call(theirs, x, w), x, w) & FORBIDDEN, "the watch sees nothing"
    assert not kernels_of(lambda x, w: call(ours, x, w), x, w) & FORBIDDEN


def test_second_gradients_are_not_delegated_either():
    x, w = randn(2, 2, 5, 5).requires_grad_(), randn(3, 2, 2, 2, seed=1).requires_grad_()
    def twice(x, w): return torch.autograd.grad(conv2d(x, w).square().sum(), x, create_graph=True)[0].square()
    assert not kernels_of(twice, x, w) & FORBIDDEN


WEIGHT = torch.randn(8, 4, 3, 3)
@pytest.mark.parametrize("arguments, said", [
    ((torch.rand(2, 8, 8, 4), WEIGHT), "channels come first"), ((torch.rand(5, 8, 8), torch.rand(8, 1, 3, 3)), "input[:, None]"), ((torch.rand(8, 8), WEIGHT), "no channel axis"),
    ((torch.rand(2, 3, 8, 8), WEIGHT), "expected 4 channels"), ((torch.ones(2, 4, 8, 8, dtype=torch.uint8), WEIGHT), ".float()"), ((torch.rand(2, 4, 8, 8).double(), WEIGHT), "one floating-point dtype"),
    ((torch.rand(2, 4, 2, 8), WEIGHT), "a kernel that fits"), ((torch.rand(2, 4, 8, 8), WEIGHT[0]), "a weight (outputs"), ((torch.rand(2, 4, 8, 8), WEIGHT, torch.rand(4)), "a bias (8,)"),
    ((torch.rand(2, 4, 8, 8), WEIGHT, None, 0), "stride"), ((torch.rand(2, 4, 8, 8), WEIGHT, None, 1, -1), "padding"), ((torch.rand(2, 4, 8, 8), WEIGHT, None, 1, 0, 0), "dilation"),
    ((torch.rand(2, 4, 8, 8), WEIGHT, None, (1, 1, 1)), "a tuple of 2"), ((torch.rand(2, 4, 8, 8), WEIGHT, None, 1.5), "whole number"), ((torch.rand(2, 4, 8, 8), WEIGHT, None, 1, "full"), "'valid' or 'same'"),
    ((torch.rand(2, 4, 8, 8), WEIGHT, None, 2, "same"), "for stride 1"), ((torch.rand(2, 12, 8, 8), WEIGHT, None, 1, 0, 1, 3), "3 groups"), ((torch.rand(2, 4, 8, 8), WEIGHT, None, 1, 0, 1, 0), "groups"),
    ((torch.rand(2, 4, 8, 8), WEIGHT[:0]), "outputs")])
def test_conv2d_refuses_what_pytorch_refuses_and_says_why(arguments, said):
    with pytest.raises(RuntimeError) as caught: conv2d(*arguments)
    assert said in str(caught.value)
    if said not in ("input[:, None]",):
        with pytest.raises((RuntimeError, TypeError)): F.conv2d(*arguments)


# conv1d
@pytest.mark.parametrize("kernel, stride, padding, dilation, groups", list(itertools.product((1, 3, 4), (1, 2, 5), (0, 2, "valid"), (1, 3), (1, 2))))
def test_conv1d_equals_torch(kernel, stride, padding, dilation, groups):
    tensors = randn(3, 4, 14), randn(6, 4 // groups, kernel, seed=1), randn(6, seed=2)
    def of(function): return lambda x, w, b: function(x, w, b, stride, padding, dilation, groups)
    assert_alike(of(conv1d), of(F.conv1d), *tensors)
    assert_alike(of(conv1d), of(F.conv1d), tensors[0][0], *tensors[1:])


def test_conv1d_same_and_empty():
    assert_alike(lambda x, w: conv1d(x, w, padding="same", dilation=2), lambda x, w: F.conv1d(x, w, padding="same", dilation=2), randn(2, 3, 9), randn(4, 3, 4, seed=1))
    assert conv1d(torch.zeros(0, 3, 9), torch.zeros(4, 3, 2)).shape == (0, 4, 8)
    with pytest.raises(RuntimeError, match="conv1d: expected an input"): conv1d(torch.zeros(9), torch.zeros(4, 3, 2))


def test_add_product_equals_torch():
    x, a, b = randn(2, 3, 4), randn(2, 3, 5, seed=1), randn(2, 5, 4, seed=2)
    torch.testing.assert_close(add_product(x, a, b, beta=0.5, alpha=2), torch.baddbmm(x, a, b, beta=0.5, alpha=2))
    assert add_product(x * math.nan, a, b, beta=0).isfinite().all()


# layers
LAYERS = [dict(), dict(stride=2), dict(padding=1), dict(padding=(2, 1)), dict(padding="same", dilation=2), dict(padding="valid"), dict(dilation=(2, 1)), dict(groups=2), dict(bias=False),
          dict(padding=1, padding_mode="reflect"), dict(padding=(2, 1), padding_mode="replicate"), dict(padding="same", padding_mode="circular"), dict(dtype=torch.float64),
          dict(stride=(2, 3), padding=2, dilation=2, groups=4, bias=False, padding_mode="reflect")]


def pair_of(dims, **arguments):
    "Our layer and PyTorch's from the same seed."
    if dims == 1: arguments = {k: v[0] if isinstance(v, tuple) else v for k, v in arguments.items()}
    layers = []
    for kind in ((Conv1d, Conv2d)[dims - 1], (nn.Conv1d, nn.Conv2d)[dims - 1]):
        torch.manual_seed(3)
        layers.append(kind(4, 8, 3 if dims == 1 else (3, 2), **arguments))
    return layers


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("arguments", LAYERS, ids=str)
def test_layer_equals_torchs(dims, arguments):
    ours, theirs = pair_of(dims, **arguments)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict()) and [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    for name, tensor in theirs.state_dict().items(): assert torch.equal(ours.state_dict()[name], tensor), f"{name} starts differently"
    for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode", "transposed", "output_padding"):
        assert getattr(ours, name) == getattr(theirs, name), name
    x = randn(2, 4, 9, 8, dtype=ours.weight.dtype) if dims == 2 else randn(2, 4, 9, dtype=ours.weight.dtype)
    for given in (x, x[0]):
        results = [with_parameters(layer, given) for layer in (ours, theirs)]
        for mine, other in zip(*results): torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
    torch.manual_seed(5); ours.reset_parameters()
    torch.manual_seed(5); theirs.reset_parameters()
    assert torch.equal(ours.weight, theirs.weight)


def with_parameters(layer, x):
    x = x.clone().requires_grad_()
    result = layer(x)
    return result, *torch.autograd.grad(result.square().sum(), [x, *layer.parameters()])


def test_checkpoints_go_both_ways_and_layers_copy():
    ours, theirs = Conv2d(4, 8, 3), nn.Conv2d(4, 8, 3)
    ours.load_state_dict(theirs.state_dict())
    nn.Conv2d(4, 8, 3).load_state_dict(ours.state_dict())
    x = torch.rand(1, 4, 5, 5)
    torch.testing.assert_close(ours(x), theirs(x))
    for again in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), torch.load(saved(ours), weights_only=False)): assert torch.equal(again(x), ours(x))
    assert ours.double()(x.double()).dtype == torch.float64
    assert Conv2d(4, 8, 3, device="meta").weight.device.type == "meta" and isinstance(ours, nn.Module)


def saved(layer):
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return file


@pytest.mark.parametrize("arguments, said", [(dict(groups=3), "groups"), (dict(groups=0), "groups"), (dict(padding_mode="mirror"), "'mirror'"), (dict(padding="full"), "'same'"),
                                             (dict(padding="same", stride=2), "stride 1"), (dict(kernel_size=0), "kernel_size"), (dict(stride=0), "stride"), (dict(kernel_size=(3, 3, 3)), "tuple of 2")], ids=str)
def test_layer_refuses(arguments, said):
    with pytest.raises(ValueError) as caught: Conv2d(4, 8, **{"kernel_size": 3} | arguments)
    assert said in str(caught.value) and "Conv2d" in str(caught.value)


def test_layers_prove_equal():
    assert_same(Conv2d(4, 6, 3, 2, 1, groups=2), nn.Conv2d(4, 6, 3, 2, 1, groups=2), floats("n", 4, 7, 6))
    assert_same(Conv1d(4, 6, 3, 2, 1), nn.Conv1d(4, 6, 3, 2, 1), floats("n", 4, 9))


# a wrong one is noticed
@pytest.mark.parametrize("fault", ["taps", "inside", "rows"])
def test_planted_faults_are_found(fault, monkeypatch):
    module._plan.cache_clear()
    if fault == "rows":
        kernel_rows = module._Plan.kernel_rows
        monkeypatch.setattr(module._Plan, "kernel_rows", lambda self, weight: kernel_rows(self, weight.flip(2)))
    elif fault == "inside":
        inside = module._inside
        monkeypatch.setattr(module, "_inside", lambda *a: (lambda f, n, p: (f, n - 1, p))(*inside(*a)))
    else:
        pairs = module._Plan.pairs
        monkeypatch.setattr(module._Plan, "pairs", lambda self, *a: list(pairs(self, *a))[:-1])
    with pytest.raises(AssertionError): assert_alike(lambda x, w: conv2d(x, w, None, 1, 1), lambda x, w: F.conv2d(x, w, None, 1, 1), randn(2, 2, 5, 5), randn(3, 2, 3, 3, seed=1))
    module._plan.cache_clear()


# memory
MEMORY = """
    import resource, sys, threading, time, torch
    from lesson_nb.convolution import conv2d
    def resident():
        with open("/proc/self/statm") as f: return int(f.read().split()[1]) * resource.getpagesize()
    torch.set_num_threads(1)
    conv2d(torch.zeros(2, 4, 8, 8, requires_grad=True), torch.zeros(4, 4, 3, 3, requires_grad=True), None, 1, 1).sum().backward()
    x, w, b = torch.ones(32, 64, 56, 56, requires_grad=True), torch.ones(64, 64, 3, 3, requires_grad=True), torch.ones(64, requires_grad=True)
    start, peak, on = resident() - x.numel() * 4, 0, True
    def watch():
        global peak
        while on: peak = max(peak, resident()); time.sleep(0.0005)
    thread = threading.Thread(target=watch)
    thread.start()
    y = conv2d(x, w, b, 1, 1)
    torch.autograd.grad(y, (x, w, b), torch.ones_like(y))
    on = False
    thread.join()
    print((peak - start) / (4 * (x.numel() + y.numel())))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_peak_memory_is_at_most_three_times_input_and_output():
    "32x64x56x56 -> 64: input, output, their gradients and all buffers, over input + output; full im2col alone would be 4.5."
    out = subprocess.run([sys.executable, "-c", textwrap.dedent(MEMORY)], capture_output=True, text=True, cwd=ROOT)
    assert out.returncode == 0, out.stderr
    assert 1.9 < float(out.stdout) <= 3.0, out.stdout


def test_columns_stay_within_the_chunk():
    for shape, weight in (((32, 64, 56, 56), (64, 64, 3, 3)), ((64, 1, 28, 28), (8, 1, 5, 5)), ((500, 3, 32, 32), (16, 3, 7, 7))):
        plan = module._Plan(shape, weight, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
        one = plan.column_size + plan.outputs * plan.height * plan.width
        assert plan.chunk == 1 or plan.chunk * one <= module._CHUNK
        assert sum(min(plan.chunk, shape[0] - first) for first in range(0, shape[0], plan.chunk)) == shape[0]
