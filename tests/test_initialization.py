"""The initializers of lesson 12 beside torch's: the same numbers from the same seed, layouts, dtypes, errors; and the façade lesson_nb.init."""
import copy, inspect, math, pickle, subprocess, sys, warnings
from pathlib import Path
import pytest, torch
import filling
from filling import FLOATS, LAYOUTS, RECENT
import torch.nn.functional as F
from torch import nn
from lesson_nb import init, initialization
from lesson_nb import nn as ours_nn
from lesson_nb.initialization import ShiftedReLU, dirac_, eye_, fan_in_and_fan_out, kaiming_uniform_, measured_gain, normal_mean, to_fill, uniform_, xavier_normal_
from lesson_nb.proof import assert_same

ROOT = Path(__file__).resolve().parent.parent
CASES = [("uniform_", {}), ("uniform_", {"a": -1.0, "b": 3.0}), ("uniform_", {"a": 2, "b": 2}), ("normal_", {}), ("normal_", {"mean": -2.0, "std": 0.3}), ("normal_", {"std": 0}),
         ("xavier_uniform_", {}), ("xavier_uniform_", {"gain": 2.5}), ("xavier_normal_", {}), ("xavier_normal_", {"gain": 5 / 3}),
         ("kaiming_uniform_", {}), ("kaiming_uniform_", {"a": math.sqrt(5)}), ("kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "relu"}), ("kaiming_uniform_", {"mode": "FAN_OUT"}),
         ("kaiming_normal_", {}), ("kaiming_normal_", {"a": 0.2, "mode": "fan_out"}), ("kaiming_normal_", {"nonlinearity": "tanh"}), ("kaiming_normal_", {"nonlinearity": "selu"}),
         ("constant_", {"val": 0.3}), ("ones_", {}), ("zeros_", {})]
MATRICES = [("eye_", {})]


def both(name, make, kwargs): return filling.both(name, make, kwargs, (initialization, nn.init))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name, kwargs", CASES + MATRICES, ids=str)
def test_same_bits_as_torchs(name, kwargs, dtype, layout):
    for shape in [(5, 3), (40, 30), (1, 1)] + [(4, 3, 5), (16, 8, 3, 3), (2, 3, 2, 2, 2)] * ((name, kwargs) not in MATRICES):
        (ours, after), (theirs, expected) = both(name, lambda: LAYOUTS[layout](*shape, dtype=dtype), kwargs)
        assert torch.equal(ours, theirs) and ours.stride() == theirs.stride() and torch.equal(after, expected), shape


@pytest.mark.parametrize("name, kwargs", [c for c in CASES if c[0].startswith(("uniform", "normal", "const", "ones", "zeros"))])
def test_any_shape(name, kwargs):
    for shape in ((), (7,), (0,), (2, 0, 3)):
        (ours, _), (theirs, _) = both(name, lambda: torch.full(shape, 7.0), kwargs)
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", [n for n in nn.init.__all__ if n.endswith("_") or n == "calculate_gain"])
def test_signature_is_torchs(name):
    ours, theirs = ([(p.name, p.kind, p.default) for p in inspect.signature(getattr(place, name)).parameters.values()] for place in (init, nn.init))
    assert ours == theirs


@pytest.mark.parametrize("name, kwargs", [c for c in CASES if c[0] not in ("constant_", "ones_", "zeros_")], ids=str)
def test_generator_is_used_and_the_global_one_is_not(name, kwargs):
    fill, before = getattr(initialization, name), torch.get_rng_state()
    first, again = (fill(torch.empty(6, 5), **kwargs, generator=torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(first, again) and torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, getattr(nn.init, name)(torch.empty(6, 5), **kwargs, generator=torch.Generator().manual_seed(2)))


# the rest of the family ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape, groups", [((6, 2, 3), 3), ((4, 2, 3, 3), 1), ((2, 5, 4, 3), 1), ((8, 2, 3, 2, 5), 2), ((3, 3, 1), 1), ((6, 7, 3), 6)])
@pytest.mark.parametrize("dtype", [*FLOATS, torch.int64, torch.complex64])
def test_dirac_is_torchs(shape, groups, dtype):
    (ours, _), (theirs, _) = both("dirac_", lambda: torch.full(shape, 7, dtype=dtype), {"groups": groups})
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("groups", [1, 2])
def test_dirac_passes_a_picture_on(groups):
    conv, x = nn.Conv2d(4, 4, 5, padding=2, groups=groups, bias=False), torch.randn(2, 4, 9, 8)
    dirac_(conv.weight, groups)
    assert torch.equal(conv(x), x) and conv.weight.grad_fn is None and conv.weight.requires_grad


def test_constants_take_whole_numbers_too():
    for dtype in (torch.int64, torch.bool, torch.complex64):
        for name, kwargs in (("constant_", {"val": 1}), ("ones_", {}), ("zeros_", {}), ("eye_", {})):
            (ours, _), (theirs, _) = both(name, lambda: torch.full((3, 4), 1, dtype=dtype), kwargs)
            assert torch.equal(ours, theirs)


# fans and gains ---------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(3, 5), (0, 5), (32, 16, 5, 5), (4, 2, 7), (2, 3, 4, 5, 6), (5, 4, 0)])
def test_fans_are_torchs(shape):
    assert fan_in_and_fan_out(torch.empty(shape)) == nn.init._calculate_fan_in_and_fan_out(torch.empty(shape)) == init._calculate_fan_in_and_fan_out(torch.empty(shape))


@pytest.mark.parametrize("name, param", [(n, None) for n in ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid", "tanh", "relu", "selu", "leaky_relu")]
                         + [("leaky_relu", p) for p in (0, 0.2, -3.0, 5**0.5, 2)] + [("relu", 0.3), ("tanh", "nonsense")])
def test_gain_is_torchs(name, param):
    ours, theirs = (place.calculate_gain(name, param) for place in (initialization, nn.init))
    assert ours == theirs and type(ours) is type(theirs)


@pytest.mark.parametrize("function, power", [(F.relu, 0.5), (lambda z: z, 1), (torch.abs, 1), (F.selu, 1), (lambda z: F.leaky_relu(z, 0.3), (1 + 0.3**2) / 2), (lambda z: z**2, 3)])
def test_measured_gain_has_the_exact_values(function, power):
    assert measured_gain(function) == pytest.approx(power**-0.5, rel=1e-6)
    assert normal_mean(lambda z: function(z) ** 2) == pytest.approx(power, rel=1e-6)


@pytest.mark.parametrize("function", [torch.tanh, torch.sigmoid, F.gelu, F.silu, F.elu, F.softplus, F.mish])
def test_measured_gain_agrees_with_samples(function):
    z = torch.randn(400_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert measured_gain(function) == pytest.approx(function(z).square().mean().item() ** -0.5, rel=0.01)


def test_default_of_linear_and_convolution_is_kaiming_with_the_root_of_five():
    for layer in (nn.Linear(30, 20), nn.Conv2d(3, 8, 5), ours_nn.Linear(30, 20), ours_nn.Conv2d(3, 8, 5)):
        torch.manual_seed(7)
        layer.reset_parameters()
        torch.manual_seed(7)
        assert torch.equal(kaiming_uniform_(torch.empty_like(layer.weight), a=math.sqrt(5)), layer.weight)


# a shifted ReLU ---------------------------------------------------------------------------------------------------------------------
def test_shifted_relu():
    x = torch.linspace(-4, 4, 33, dtype=torch.float64, requires_grad=True)
    for slope in (0.0, 0.1, 1.0):
        layer = ShiftedReLU(slope)
        torch.testing.assert_close(layer(x), F.leaky_relu(x, slope) - (1 - slope) * 0.3989422804014327)
        assert abs(normal_mean(layer)) < 1e-6
    assert torch.equal(ShiftedReLU(0.1, 0.5, 2.0)(x), (F.leaky_relu(x, 0.1) - 0.5).clamp(max=2))
    assert torch.autograd.gradcheck(ShiftedReLU(0.1, 0.5, 2.0), torch.tensor([-2.0, 1.0, 5.0], dtype=torch.float64, requires_grad=True))
    assert repr(ShiftedReLU()) == "ShiftedReLU(negative_slope=0.0, shift=0.3989)" and repr(ShiftedReLU(0.1, 0.5, 3)) == "ShiftedReLU(negative_slope=0.1, shift=0.5, maximum=3)"
    assert type(pickle.loads(pickle.dumps(ShiftedReLU()))) is type(copy.deepcopy(ShiftedReLU())) is ShiftedReLU and not ShiftedReLU().state_dict()


def test_to_fill_gives_copies_and_the_same_seed():
    assert_same(uniform_, nn.init.uniform_, to_fill("n", 5), grad=False)
    for wrong in (lambda w: uniform_(w).mul_(1.001), lambda w: uniform_(torch.empty_like(w)), lambda w: uniform_(uniform_(w))):
        with pytest.raises(AssertionError, match="not the same as nn.init.uniform_"): assert_same(wrong, nn.init.uniform_, to_fill("n", 5), grad=False)


# errors -----------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("act, theirs, error, words", [
    (lambda i: i.xavier_normal_(torch.empty(3)), True, ValueError, r"expected a weight \(outputs, inputs, ...\), got shape \(3,\); a bias has none: use zeros_"),
    (lambda i: i.kaiming_uniform_(torch.empty(3)), True, ValueError, "got shape"),
    (lambda i: i.kaiming_normal_(torch.empty(3, 2), mode="in"), True, ValueError, "Mode 'in' not supported, expected 'fan_in'"),
    (lambda i: i.kaiming_normal_(torch.empty(3, 2), nonlinearity="gelu"), True, ValueError, r"Unsupported nonlinearity 'gelu'; expected one of linear, .*measured_gain\(function\)"),
    (lambda i: i.kaiming_normal_(torch.empty(3, 2), a="0.1"), True, ValueError, "expected a number as the slope of leaky_relu, got '0.1'"),
    (lambda i: i.calculate_gain("leaky_relu", True), True, ValueError, "got True"),
    (lambda i: i.calculate_gain("Relu"), True, ValueError, "Unsupported nonlinearity 'Relu'"),
    (lambda i: i.eye_(torch.empty(3)), True, ValueError, r"eye_: expected a tensor with 2 dimensions, got shape \(3,\)"),
    (lambda i: i.dirac_(torch.empty(3, 2)), True, ValueError, r"3 or 4 or 5 dimensions, got shape \(3, 2\)"),
    (lambda i: i.dirac_(torch.empty(5, 2, 3), 2), True, ValueError, "dim 0 must be divisible by groups, got 5 outputs and groups=2"),
    (lambda i: i.uniform_(torch.empty(3, dtype=torch.int64)), True, NotImplementedError, r"expected a tensor of decimals, got torch.int64; .*\.float\(\)"),
    (lambda i: i.normal_(torch.empty(3, dtype=torch.int64)), True, NotImplementedError, "decimals"),
    (lambda i: i.uniform_(torch.empty(3), 1.0, 0.0), True, RuntimeError, "from=1 > to=0"),
    (lambda i: i.normal_(torch.empty(3), 0.0, -1.0), True, RuntimeError, "std"),
    (lambda i: i.kaiming_normal_(nn.Linear(2, 2)), False, TypeError, "expected a tensor, got Linear; pass its .weight"),
    (lambda i: i.zeros_(None), False, TypeError, "expected a tensor, got NoneType"),
    (lambda i: i.measured_gain(torch.zeros_like), False, ValueError, "finite and not all zero, got a mean square of 0"),
    (lambda i: i.measured_gain(lambda z: z.exp().exp()), False, ValueError, "got a mean square of inf"),
])
def test_bad_input_gets_expected_got_and_mend(act, theirs, error, words):
    with pytest.raises(error, match=words): act(init)
    if theirs:
        with pytest.raises(error): act(nn.init)


def test_nothing_to_fill():
    for name in ("kaiming_normal_", "kaiming_uniform_"):
        with pytest.warns(UserWarning, match="zero-element") as caught: assert getattr(init, name)(torch.empty(0, 3)).shape == (0, 3)
        assert caught[0].filename == __file__
    assert xavier_normal_(torch.empty(0, 0)).shape == (0, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert xavier_normal_(torch.empty(0, 5)).numel() == 0 and eye_(torch.empty(0, 3)).numel() == 0


@pytest.mark.parametrize("name, args", [("uniform_", ()), ("xavier_normal_", ()), ("kaiming_uniform_", ()), ("constant_", (2.0,)), ("eye_", ())])
def test_works_under_autograd_and_on_meta(name, args):
    weight = nn.Parameter(torch.empty(3, 4))
    fill = getattr(init, name)
    fill(weight, *args)
    assert weight.is_leaf and weight.requires_grad and weight.grad_fn is None
    (weight.sum() * 2).backward()
    assert weight.grad.eq(2).all()
    assert fill(torch.empty(3, 4, device="meta"), *args).is_meta


# the façade --------------------------------------------------------------------------------------------------------------------------
def test_facade_has_all_of_torchs_names():
    for name in nn.init.__all__:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            assert callable(getattr(init, name)), name
        if name.endswith("_") or name == "calculate_gain": assert name in init.__all__ and getattr(init, name).__module__.startswith("lesson_nb.")
    assert init.__all__ == sorted(init.__all__)


def test_old_names_warn_as_torchs_do():
    with pytest.warns(FutureWarning, match=r"`init.xavier_uniform` is now deprecated in favor of `init.xavier_uniform_`") as caught: fill = init.xavier_uniform
    assert fill is init.xavier_uniform_ and caught[0].filename == __file__
    for name in ("ones", "zeros", "trunc_normal"):
        assert not hasattr(nn.init, name)
        with pytest.raises(AttributeError): getattr(init, name)


def test_typo_and_nonsense():
    with pytest.raises(AttributeError, match="did you mean 'kaiming_normal_'"): init.kaimin_normal_
    with pytest.raises(AttributeError, match="nor has torch.nn.init; it offers"): init.qqq
    with pytest.raises(ImportError): exec("from lesson_nb.init import he_normal_")


def test_pytorch_program_runs_with_its_import_changed():
    program = '''
import torch
from torch import nn
{line}
def start(module):
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None: init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d): init.constant_(module.weight, 1); init.constant_(module.bias, 0)
    elif isinstance(module, nn.Embedding): init.trunc_normal_(module.weight, std=0.02)
torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(4, 3), nn.Embedding(5, 4)).apply(start)
'''
    states = []
    for line in ("from lesson_nb import init", "from torch.nn import init"):
        names = {}
        exec(program.format(line=line), names)
        states.append(names["model"].state_dict())
    for key in states[0]: assert torch.equal(states[0][key], states[1][key]) or (key.startswith("3") and not RECENT)


def test_import_is_light():
    program = "import sys, torch; before = set(sys.modules); import lesson_nb.init; print([h for h in ('matplotlib', 'pandas', 'numba', 'IPython', 'tqdm') if h in set(sys.modules) - before])"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert out.stdout.strip() == "[]", out.stdout + out.stderr
