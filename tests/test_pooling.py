"""The pools and the padding layers: PyTorch's values, places, gradients (ties and NaN included), state and refusals in every argument; no delegation."""
import copy, inspect, io, itertools, math, pickle, random
import pytest, torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from lesson_nb import pooling as module
from lesson_nb.pooling import (AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d, ReflectionPad2d, ReplicationPad2d, ZeroPad2d, adaptive_avg_pool2d,
                               adaptive_max_pool2d, avg_pool2d, max_pool2d)
from lesson_nb.proof import assert_same, floats

FORBIDDEN = {"max_pool2d", "max_pool2d_with_indices", "max_pool2d_with_indices_backward", "mkldnn_max_pool2d", "avg_pool2d", "avg_pool2d_backward", "adaptive_avg_pool2d",
             "_adaptive_avg_pool2d", "_adaptive_avg_pool2d_backward", "mkldnn_adaptive_avg_pool2d", "adaptive_max_pool2d", "adaptive_max_pool2d_backward", "reflection_pad2d",
             "reflection_pad2d_backward", "replication_pad2d", "replication_pad2d_backward", "constant_pad_nd", "convolution", "convolution_backward", "im2col", "col2im"}
PAIRS = {"max": (max_pool2d, F.max_pool2d), "avg": (avg_pool2d, F.avg_pool2d), "adaptive avg": (adaptive_avg_pool2d, F.adaptive_avg_pool2d),
         "adaptive max": (adaptive_max_pool2d, F.adaptive_max_pool2d)}
each_pool = pytest.mark.parametrize("name", PAIRS)


def randn(*shape, seed=0, dtype=torch.float64): return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)
def ties(*shape, seed=0, dtype=torch.float64): return randn(*shape, seed=seed).round().clamp(min=-1, max=1).to(dtype)


def with_gradient(function, x):
    "What comes out, and the gradient of a sum of its values in which every entry has its own weight; the memory layout of x stays."
    x = x.detach().requires_grad_()
    out = function(x)
    values = out[0] if isinstance(out, tuple) else out
    weights = torch.cos(torch.arange(values.numel(), dtype=values.dtype)).view(values.shape)
    return *(out if isinstance(out, tuple) else (out,)), *torch.autograd.grad(values, x, weights)


def assert_alike(name, x, rtol=1e-10, atol=1e-10, **arguments):
    ours, theirs = (with_gradient(lambda x: f(x, **arguments), x) for f in PAIRS[name])
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs):
        assert mine.dtype == other.dtype
        torch.testing.assert_close(mine, other, rtol=rtol, atol=atol, equal_nan=True)


# every argument in combination
KERNELS = [1, 2, 3, (2, 3), (4, 1), (2,), [3, 2]]
STRIDES = [None, 1, 2, (1, 3), (3, 2), 5]


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("stride", STRIDES, ids=str)
def test_max_pool2d_in_every_argument_equals_torch(kernel, stride):
    for padding, dilation, ceil_mode, x in itertools.product((0, 1, (0, 1)), (1, 2, (1, 3)), (False, True), (randn(2, 3, 7, 10), ties(2, 2, 7, 10, seed=1))):
        if not allowed(kernel, padding): continue
        assert_alike("max", x, kernel_size=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode, return_indices=True)


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("stride", STRIDES, ids=str)
def test_avg_pool2d_in_every_argument_equals_torch(kernel, stride):
    for padding, ceil_mode, counted, divisor in itertools.product((0, 1, (0, 1)), (False, True), (True, False), (None, 1, -3, 7)):
        if not allowed(kernel, padding): continue
        assert_alike("avg", randn(2, 3, 7, 8), kernel_size=kernel, stride=stride, padding=padding, ceil_mode=ceil_mode, count_include_pad=counted, divisor_override=divisor)


def allowed(kernel, padding):
    "Padding of at most half the kernel, dilation left aside: what PyTorch takes on every path."
    kernel, padding = (tuple(value) * (3 - len(value)) if isinstance(value, (tuple, list)) else (value,) * 2 for value in (kernel, padding))
    return all(2 * p <= k for k, p in zip(kernel, padding))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 12])
def test_small_pictures_and_kernels_that_stand_out(size):
    "All that PyTorch takes, among it a kernel larger than the picture in ceil_mode; what it refuses, ours refuses."
    counts = {"taken": 0, "refused": 0}
    for k, s, p, d, ceil_mode in itertools.product((1, 2, 3, 5), (1, 2, 4, 7), (0, 1, 2), (1, 2), (False, True)):
        x, arguments = ties(1, 2, size, size), dict(kernel_size=k, stride=s, padding=p, ceil_mode=ceil_mode)
        for name, more in (("max", {"dilation": d, "return_indices": True}), ("avg", {}), ("avg", {"count_include_pad": False})):
            if 2 * p > k or name == "max" and blind(size, k, s, p, d, ceil_mode): continue
            try: PAIRS[name][1](x, **arguments, **more)
            except RuntimeError:
                counts["refused"] += 1
                with pytest.raises(RuntimeError, match="expected a kernel that fits"): PAIRS[name][0](x, **arguments, **more)
            else:
                counts["taken"] += 1
                assert_alike(name, x, **arguments, **more)
    assert counts["taken"] > 50 and (counts["refused"] > 10 or size == 12)


def blind(size, k, s, p, d, ceil_mode):
    "Whether some window sees padding alone: PyTorch then answers minus infinity, and a place outside of the picture."
    try: return bool(F.max_pool1d(torch.zeros(1, 1, size), k, s, p, d, ceil_mode).isinf().any())
    except RuntimeError: return False


def test_a_window_in_nothing_but_padding_is_refused():
    value, place = F.max_pool2d(torch.zeros(1, 1, 1, 1), 2, 1, 1, 2, return_indices=True)
    assert value.isinf() and place >= 1, "PyTorch has mended it; so should we"
    with pytest.raises(RuntimeError, match=r"expected windows that see some pixel, got one that looks at \[-1, 1\] of 1; take less"): max_pool2d(torch.zeros(1, 1, 1, 1), 2, 1, 1, 2)


@pytest.mark.parametrize("size", [1, 2, 5, 7, 12, 28])
def test_adaptive_pools_equal_torch_for_every_output_size(size):
    for height, width in itertools.product((None, 1, 2, 3, 5, 7, 13), (None, 1, 4)):
        for x in (randn(2, 3, size, 6), ties(1, 2, 4, size).mT):
            assert_alike("adaptive avg", x, output_size=(height, width))
            assert_alike("adaptive max", x, output_size=(height, width), return_indices=True)
    for output_size in (1, 3, (3,) * 2, [2, 5]):
        assert_alike("adaptive avg", x, output_size=output_size)
        assert_alike("adaptive max", x, output_size=output_size)
    assert torch.equal(adaptive_avg_pool2d(x, None), x) and torch.equal(adaptive_max_pool2d(x, (None, None)), x)


@pytest.mark.parametrize("seed", range(40))
def test_random_arguments(seed):
    rng = random.Random(seed)
    number = lambda low, high: rng.choice([rng.randint(low, high), (rng.randint(low, high), rng.randint(low, high))])
    for _ in range(10):
        x = rng.choice([randn, ties])(*rng.choice([(2, 3), (1, 1), (3,)]), rng.randint(4, 11), rng.randint(4, 11), seed=seed)
        kernel = number(2, 4)
        windows = dict(kernel_size=kernel, stride=rng.choice([None, number(1, 5)]), padding=rng.choice([0, 1]), ceil_mode=rng.random() < 0.5)
        assert_alike("max", x, **windows, return_indices=rng.random() < 0.5)
        assert_alike("avg", x, **windows, count_include_pad=rng.random() < 0.5, divisor_override=rng.choice([None, 2, -5]))
        assert_alike("adaptive max", x, output_size=number(1, 14), return_indices=rng.random() < 0.5)
        assert_alike("adaptive avg", x, output_size=number(1, 14))


# inputs of every kind
ARGUMENTS = {"max": dict(kernel_size=(3, 2), stride=2, padding=1, dilation=(1, 2), ceil_mode=True, return_indices=True), "avg": dict(kernel_size=(3, 2), stride=2, padding=1, ceil_mode=True),
             "adaptive avg": dict(output_size=(3, None)), "adaptive max": dict(output_size=(3, 5), return_indices=True)}


@each_pool
@pytest.mark.parametrize("layout", ["channels_last", "transposed", "strided", "expanded", "offset", "inner", "single picture", "batch of one", "empty batch", "one pixel wide"])
def test_any_memory_layout_and_batch(name, layout):
    x = {"channels_last": lambda: ties(3, 4, 7, 6).contiguous(memory_format=torch.channels_last), "transposed": lambda: ties(3, 4, 6, 7).mT,
         "strided": lambda: ties(3, 4, 14, 12)[:, :, ::2, ::2], "expanded": lambda: ties(1, 4, 7, 6).expand(3, -1, -1, -1), "offset": lambda: ties(6, 4, 7, 6)[3:],
         "inner": lambda: ties(4, 3, 9, 9).transpose(0, 1)[:, :, 1:8, 2:8], "single picture": lambda: ties(4, 7, 6), "batch of one": lambda: ties(1, 4, 7, 6),
         "empty batch": lambda: ties(0, 4, 7, 6), "one pixel wide": lambda: ties(2, 3, 9, 2)}[layout]()
    assert_alike(name, x, **ARGUMENTS[name])


@each_pool
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-12), (torch.bfloat16, 1e-2), (torch.float16, 2e-3)], ids=str)
def test_floating_dtypes(name, dtype, tolerance): assert_alike(name, randn(2, 3, 8, 9, dtype=dtype), rtol=tolerance, atol=tolerance, **ARGUMENTS[name])


def test_half_precision_does_not_overflow_in_the_sum():
    x = torch.full((1, 1, 4, 4), 60000.0, dtype=torch.float16)
    assert (avg_pool2d(x, 2) == 60000).all() and (adaptive_avg_pool2d(x, 2) == 60000).all()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32, torch.int64], ids=str)
def test_max_pools_of_whole_numbers(dtype):
    x = (20 * randn(2, 3, 7, 8).abs()).to(dtype) - (0 if dtype == torch.uint8 else 40)
    for mine, other in zip(max_pool2d(x, 3, 2, 1, return_indices=True), F.max_pool2d(x, 3, 2, 1, return_indices=True)): assert torch.equal(mine, other) and mine.dtype == other.dtype
    torch.testing.assert_close(adaptive_max_pool2d(x, 3).double(), F.adaptive_max_pool2d(x.double(), 3))


@pytest.mark.parametrize("values", [(-math.inf,), (math.inf, -math.inf), (math.nan, 0.0), (math.nan, -math.inf, math.inf, 1.0), (math.nan,), (0.0, -0.0), (1e300, -1e300, 5e-324)], ids=str)
def test_extreme_numbers(values):
    for seed in range(5):
        x = torch.tensor(values, dtype=torch.float64)[torch.randint(len(values), (2, 2, 6, 7), generator=torch.Generator().manual_seed(seed))]
        for kernel, stride, padding, ceil_mode in ((2, 2, 0, False), (3, 2, 1, True), ((2, 3), 1, 1, False)):
            assert_alike("max", x, kernel_size=kernel, stride=stride, padding=padding, ceil_mode=ceil_mode, return_indices=True)
            assert_alike("avg", x, kernel_size=kernel, stride=stride, padding=padding, ceil_mode=ceil_mode, rtol=1e-7)
        assert_alike("adaptive max", x, output_size=(4, 3), return_indices=True)
        assert_alike("adaptive avg", x, output_size=(4, 3), rtol=1e-7)


def test_of_equals_the_first_wins_row_by_row():
    "The flow goes to it alone; so do the places. The window (0 5; 5 0) tells rows first from columns first."
    x = torch.tensor([[0.0, 5, 1, 1], [5, 0, 1, 1]])[None].requires_grad_()
    values, places = max_pool2d(x, 2, return_indices=True)
    assert values.tolist() == [[[5, 1]]] and places.tolist() == [[[1, 2]]]
    assert torch.autograd.grad(values.sum(), x)[0].tolist() == [[[0, 1, 1, 0], [0, 0, 0, 0]]]
    assert adaptive_max_pool2d(x, (1, 2), return_indices=True)[1].tolist() == [[[1, 2]]]


def test_windows_larger_than_a_byte_counts():
    x = randn(1, 1, 3, 700)
    assert_alike("max", x, kernel_size=(2, 600), stride=(1, 50), return_indices=True)
    assert_alike("adaptive max", x, output_size=1, return_indices=True)


@each_pool
def test_gradients_and_second_gradients_are_right(name):
    x = torch.randperm(84, generator=torch.Generator().manual_seed(0)).double().view(1, 2, 7, 6).requires_grad_()
    arguments = {key: value for key, value in ARGUMENTS[name].items() if key != "return_indices"}
    function = lambda x: PAIRS[name][0](x / 10, **arguments)
    assert torch.autograd.gradcheck(function, (x,)) and torch.autograd.gradgradcheck(lambda x: function(x).square(), (x,))


@each_pool
def test_the_input_is_left_alone_and_never_shared(name):
    for arguments in (ARGUMENTS[name], dict(output_size=(7, 6)) if "adaptive" in name else dict(kernel_size=1)):
        x = ties(2, 3, 7, 6)
        before = x.clone()
        out = PAIRS[name][0](x, **arguments)
        for tensor in out if isinstance(out, tuple) else (out,):
            if "avg" not in name or tensor.data_ptr() != x.data_ptr(): tensor.zero_()
        assert torch.equal(x, before)


@each_pool
def test_without_gradients_nothing_is_recorded(name):
    out = PAIRS[name][0](randn(2, 3, 7, 6), **ARGUMENTS[name])
    assert not any(t.requires_grad for t in (out if isinstance(out, tuple) else (out,)))
    if name in ("max", "adaptive max"): assert not PAIRS[name][0](randn(2, 3, 7, 6).requires_grad_(), **ARGUMENTS[name])[1].requires_grad and out[1].dtype == torch.int64


@each_pool
def test_works_under_vmap_and_in_torchs_transforms(name):
    arguments = {key: value for key, value in ARGUMENTS[name].items() if key != "return_indices"}
    x = randn(4, 2, 3, 7, 6)
    together = torch.func.vmap(lambda x: PAIRS[name][0](x, **arguments))(x)
    torch.testing.assert_close(together, torch.stack([PAIRS[name][1](one, **arguments) for one in x]))
    ours, theirs = (torch.func.grad(lambda x: f(x, **arguments).square().sum())(x[0]) for f in PAIRS[name])
    torch.testing.assert_close(ours, theirs)


# no delegation
def kernels_of(function, *tensors):
    class Seen(TorchDispatchMode):
        names = set()
        def __torch_dispatch__(self, called, types, args=(), kwargs=None):
            self.names.add(called.overloadpacket.__name__.rstrip("_"))
            return called(*args, **(kwargs or {}))
    tensors = [t.detach().clone().requires_grad_() for t in tensors]
    with Seen() as seen: torch.autograd.grad(function(*tensors).square().sum(), tensors)
    return seen.names


CALLS = {name: (lambda f, x, more={k: v for k, v in ARGUMENTS[name].items() if k != "return_indices"}: f(x, **more), *PAIRS[name]) for name in PAIRS}
CALLS |= {kind: (lambda f, x: f((1, 2, 0, 1))(x), getattr(module, kind), getattr(nn, kind)) for kind in ("ZeroPad2d", "ReflectionPad2d", "ReplicationPad2d")}


@pytest.mark.parametrize("name", CALLS)
def test_no_kernel_of_pytorchs_own_is_called_forward_or_backward(name):
    call, ours, theirs = CALLS[name]
    x = randn(2, 3, 7, 6)
    assert kernels_of(lambda x: call(theirs, x), x) & FORBIDDEN, "the watch sees nothing"
    assert not kernels_of(lambda x: call(ours, x), x) & FORBIDDEN


# layers
LAYERS = [("MaxPool2d", dict(kernel_size=2)), ("MaxPool2d", dict(kernel_size=(3, 2), stride=(2, 1), padding=1, dilation=2, ceil_mode=True)), ("MaxPool2d", dict(kernel_size=3, return_indices=True)),
          ("MaxPool2d", dict(kernel_size=2, stride=1, padding=(1, 0))), ("MaxPool2d", dict(kernel_size=4, ceil_mode=True)), ("AvgPool2d", dict(kernel_size=2)), ("AvgPool2d", dict(kernel_size=3, stride=2, padding=1, ceil_mode=True)),
          ("AvgPool2d", dict(kernel_size=(2, 3), padding=(1, 0), count_include_pad=False)), ("AvgPool2d", dict(kernel_size=2, stride=(1, 2), divisor_override=3)),
          ("AdaptiveAvgPool2d", dict(output_size=1)), ("AdaptiveAvgPool2d", dict(output_size=(3, None))), ("AdaptiveMaxPool2d", dict(output_size=(None, 2))),
          ("AdaptiveMaxPool2d", dict(output_size=4, return_indices=True)), ("ZeroPad2d", dict(padding=2)), ("ZeroPad2d", dict(padding=(1, -2, 0, 3))), ("ReflectionPad2d", dict(padding=3)),
          ("ReflectionPad2d", dict(padding=[1, 2, 0, 4])), ("ReflectionPad2d", dict(padding=(-1, 2, 1, -2))), ("ReplicationPad2d", dict(padding=9)), ("ReplicationPad2d", dict(padding=(0, 3, 5, 1)))]
each_layer = pytest.mark.parametrize("kind, arguments", LAYERS, ids=lambda value: str(value))


@each_layer
def test_layer_equals_torchs(kind, arguments):
    ours, theirs = getattr(module, kind)(**arguments), getattr(nn, kind)(**arguments)
    assert repr(ours) == repr(theirs) and isinstance(ours, nn.Module) and not ours.state_dict() and not list(ours.parameters())
    for name in inspect.signature(type(theirs).__init__).parameters.keys() - {"self"}: assert getattr(ours, name) == getattr(theirs, name), name
    for x in (ties(2, 3, 7, 6), ties(3, 7, 6), ties(0, 3, 7, 6), randn(2, 3, 6, 7).mT, randn(2, 3, 7, 6).contiguous(memory_format=torch.channels_last), randn(1, 3, 7, 6, dtype=torch.float32)):
        for mine, other in zip(with_gradient(ours, x), with_gradient(theirs, x), strict=True):
            assert mine.dtype == other.dtype
            torch.testing.assert_close(mine, other)


@each_layer
def test_layers_copy_and_pickle(kind, arguments):
    layer, x, file = getattr(module, kind)(**arguments), randn(2, 3, 7, 6), io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), torch.load(file, weights_only=False)):
        assert type(again) is type(layer) and repr(again) == repr(layer)
        for mine, other in zip(with_gradient(again, x), with_gradient(layer, x)): assert torch.equal(mine, other)


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in LAYERS}))
def test_signature_is_torchs(kind):
    ours, theirs = (list(inspect.signature(getattr(place, kind)).parameters.values()) for place in (module, nn))
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


@pytest.mark.parametrize("name, torchs", [("max", torch._C._nn.max_pool2d_with_indices), ("avg", torch._C._nn.avg_pool2d)])
def test_functions_take_their_arguments_in_torchs_order(name, torchs):
    x, ours = ties(1, 2, 9, 9), PAIRS[name][0]
    given = (x, 3, 2, 1, 1, True) if name == "max" else (x, 3, 2, 1, True, False, 4)
    theirs = torchs(*given)
    for mine, other in zip(ours(*given, True) if name == "max" else [ours(*given)], theirs if name == "max" else [theirs]): torch.testing.assert_close(mine, other)


def test_zero_padding_takes_any_number_of_axes():
    for x in (randn(4, 5), randn(2, 4, 5), randn(2, 3, 2, 4, 5), torch.arange(12).view(1, 3, 4)): assert torch.equal(ZeroPad2d((1, 2, 0, -1))(x), nn.ZeroPad2d((1, 2, 0, -1))(x))
    assert ZeroPad2d(1).value == nn.ZeroPad2d(1).value


def test_layers_prove_equal():
    assert_same(MaxPool2d(3, 2, 1), nn.MaxPool2d(3, 2, 1), floats("n", 2, 7, 6))
    assert_same(AvgPool2d(3, 2, 1), nn.AvgPool2d(3, 2, 1), floats("n", 2, 7, 6))


def test_a_network_of_ours_and_torchs_layers_goes_one_way():
    "One seed, one network, ours and PyTorch's, trained side by side; and a picture of another size goes through."
    networks = []
    for place in (module, nn):
        torch.manual_seed(0)
        networks.append(nn.Sequential(place.ReflectionPad2d(1), nn.Conv2d(1, 4, 3), nn.ReLU(), place.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(), place.AvgPool2d(2, 1), place.AdaptiveMaxPool2d((2, 2)),
                                      place.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)).double())
    x, labels = randn(8, 1, 14, 12), torch.arange(8) % 3
    for _ in range(5):
        for network in networks:
            gradients = torch.autograd.grad(F.cross_entropy(network(x), labels), list(network.parameters()))
            for p, gradient in zip(network.parameters(), gradients): p.data.sub_(0.1 * gradient)
    for ours, theirs in zip(*(network.parameters() for network in networks)): torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(network(randn(2, 1, 31, 9)) for network in networks))


# bad input
PICTURE = torch.rand(1, 2, 8, 8)


@pytest.mark.parametrize("arguments, said", [
    ((torch.rand(8, 8), 2), "got shape (8, 8); pictures without a channel axis need one: input[:, None]"), ((torch.rand(1, 1, 2, 8, 8), 2), "got shape (1, 1, 2, 8, 8)"),
    ((torch.rand(1, 2, 0, 8), 2), "got shape (1, 2, 0, 8)"), ((PICTURE, 9), "expected a kernel that fits, got one that spans 9 pixels"), ((PICTURE, (2, 9)), "spans 9 pixels"),
    ((PICTURE, 0), "kernel_size to be a whole number from 1 on"), ((PICTURE, 2.0), "got 2.0"), ((PICTURE, True), "got True"), ((PICTURE, (2, 2, 2)), "or a pair of them, got (2, 2, 2)"), ((PICTURE, "2"), "got '2'"),
    ((PICTURE, 2, 0), "stride to be a whole number from 1 on"), ((PICTURE, 2, (1, -1)), "got (1, -1)"), ((PICTURE, 2, 2, -1), "padding to be a whole number from 0 on"), ((PICTURE, 2, True), "got True"),
    ((PICTURE, 2, 2, 2), "padding of at most half the kernel's 2 pixels, got 2"), ((PICTURE, (4, 2), 1, (0, 2)), "at most half the kernel's 2 pixels, got 2"), ((PICTURE, 3, 2, 2), "at most half the kernel's 3 pixels, got 2")], ids=lambda value: value if isinstance(value, str) else "")
def test_pools_refuse_what_pytorch_refuses_and_say_why(arguments, said):
    for name in ("max", "avg"):
        with pytest.raises(RuntimeError) as caught: PAIRS[name][0](*arguments)
        assert said in str(caught.value) and "expected" in str(caught.value) and (name in str(caught.value) or "kernel that fits" in said or "spans 9" in said)
        with pytest.raises((RuntimeError, TypeError, IndexError)): PAIRS[name][1](*arguments)


def test_max_pool2d_refuses_a_dilation_below_one():
    "Nor does a dilation, wide as it makes the kernel, allow more padding."
    for f in PAIRS["max"]:
        with pytest.raises(RuntimeError, match="half"): f(PICTURE, 3, padding=2, dilation=2)
    with pytest.raises(RuntimeError, match="max_pool2d: expected dilation to be a whole number from 1 on, or a pair of them, got 0"): max_pool2d(PICTURE, 2, dilation=0)


@pytest.mark.parametrize("name", ["adaptive avg", "adaptive max"])
@pytest.mark.parametrize("arguments, said", [((torch.rand(8, 8), 2), "got shape (8, 8); pictures without a channel axis"), ((torch.rand(1, 2, 0, 8), 2), "none of height or width 0, got shape (1, 2, 0, 8)"),
                                             ((PICTURE, -1), "got -1"), ((PICTURE, (2, 2, 2)), "or as (height, width), got (2, 2, 2)"), ((PICTURE, 2.5), "got 2.5"), ((PICTURE, "2"), "got '2'")], ids=lambda value: value if isinstance(value, str) else "")
def test_adaptive_pools_refuse_what_pytorch_refuses_and_say_why(name, arguments, said):
    with pytest.raises(RuntimeError) as caught: PAIRS[name][0](*arguments)
    assert said in str(caught.value) and "expected" in str(caught.value)
    with pytest.raises((RuntimeError, TypeError)): PAIRS[name][1](*arguments)


@pytest.mark.parametrize("name", ["adaptive avg", "adaptive max"])
def test_adaptive_pools_refuse_an_output_of_no_windows(name):
    "PyTorch takes a size of 0 and returns nothing; nobody can want that."
    with pytest.raises(RuntimeError, match="a whole number from 1 on, or as .height, width., got 0"): PAIRS[name][0](PICTURE, 0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool], ids=str)
def test_means_of_whole_numbers_are_refused(dtype):
    for pool in (avg_pool2d, adaptive_avg_pool2d):
        with pytest.raises(RuntimeError, match=f"{pool.__name__}: expected floating-point numbers, got {dtype}; convert them with .float"): pool(torch.ones(1, 1, 4, 4, dtype=dtype), 2)


def test_a_divisor_of_zero_is_refused():
    with pytest.raises(RuntimeError, match="expected a divisor other than 0"): avg_pool2d(PICTURE, 2, divisor_override=0)
    with pytest.raises(RuntimeError): F.avg_pool2d(PICTURE, 2, divisor_override=0)


@pytest.mark.parametrize("padding", [(1, 2), (1, 2, 3), 1.5, (1, 2, 3, "4")], ids=str)
@pytest.mark.parametrize("kind", [ZeroPad2d, ReflectionPad2d, ReplicationPad2d])
def test_padding_layers_refuse_other_margins(kind, padding):
    with pytest.raises(ValueError, match=f"{kind.__name__}: expected one whole number or .left, right, top, bottom., got"): kind(padding)


@pytest.mark.parametrize("kind", [ReflectionPad2d, ReplicationPad2d])
def test_padding_layers_refuse_other_shapes(kind):
    with pytest.raises(RuntimeError, match=rf"{kind.__name__}: expected \(images, channels, height, width\) or .*, got shape \(8, 8\)"): kind(1)(torch.rand(8, 8))
    with pytest.raises(RuntimeError, match="pad: expected margins up to 7"): ReflectionPad2d(8)(PICTURE)
    with pytest.raises(RuntimeError): nn.ReflectionPad2d(8)(PICTURE)


# a wrong one is noticed
@pytest.mark.parametrize("fault", ["last of equals", "columns first", "place outside"])
def test_planted_faults_are_found(fault, monkeypatch):
    champions, places = module._champions, module._places
    if fault == "last of equals": monkeypatch.setattr(module, "_champions", lambda x, axis, windows: champions(x, axis, [window[::-1] for window in windows]))
    elif fault == "columns first": monkeypatch.setattr(module, "_largest", lambda x, rows, columns, both: columns_first(x, rows, columns))
    else: monkeypatch.setattr(module, "_places", lambda *a: tuple(tuple((place + 1) % a[0] for place in window) for window in places(*a)))
    with pytest.raises(AssertionError): assert_alike("max", ties(2, 3, 7, 6), kernel_size=3, stride=2, padding=1, return_indices=True)


def columns_first(x, rows, columns):
    best, row = module._champions(x.detach(), -2, rows)
    column = module._champions(best, -1, columns)[1].long()
    winners = row.gather(-1, column).long() * x.shape[-1] + column
    return x.flatten(-2).gather(-1, winners.flatten(-2)).reshape(winners.shape), winners
