"""The façades: torch's names for what the course rebuilt, and a way out for what it has not."""
import importlib, inspect, pkgutil, subprocess, sys
from pathlib import Path
import pytest, torch
import lesson_nb
from lesson_nb import functional, init, nn, optim

ROOT = Path(__file__).resolve().parent.parent
FACADES = {"nn": (nn, torch.nn), "functional": (functional, torch.nn.functional), "optim": (optim, torch.optim), "init": (init, torch.nn.init)}
EXTRA = {"LAMB", "clip_grad_norm_", "clip_grad_value_", "fan_in_and_fan_out", "lsuv_init", "measured_gain"}   # what torch has elsewhere, or not at all
NOT_REBUILT = {"nn": ("Transformer", "torch.nn.Transformer"), "functional": ("ctc_loss", "torch.nn.functional.ctc_loss"),
               "optim": ("LBFGS", "torch.optim.LBFGS")}
TYPOS = {"nn": ("Lineer", "Linear"), "functional": ("cross_entrpy", "cross_entropy"), "optim": ("AdmW", "AdamW"), "init": ("kaiming_normel_", "kaiming_normal_")}
def short(facade): return facade.__name__.rpartition(".")[2]
each_facade = pytest.mark.parametrize("ours, theirs", FACADES.values(), ids=FACADES)


def rebuilt():
    "name -> object, of everything public in the modules of the lessons."
    found = {}
    for module in pkgutil.iter_modules(lesson_nb.__path__):
        if module.name in FACADES or module.ispkg: continue
        loaded = importlib.import_module(f"lesson_nb.{module.name}")
        found |= {name: getattr(loaded, name) for name in getattr(loaded, "__all__", ())}
    return found


@each_facade
def test_every_name_is_there_and_is_torchs(ours, theirs):
    for name in ours.__all__: assert hasattr(ours, name) and (hasattr(theirs, name) or name in EXTRA), name
    assert sorted(ours.__all__, key=str.lower) == sorted(set(ours.__all__), key=str.lower)


@each_facade
def test_nothing_rebuilt_is_forgotten(ours, theirs):
    "What a lesson exports under a name that torch has in the same place is offered here, the rebuilt bases excepted."
    bases = {"Module", "Parameter", "Buffer", "Sequential", "ModuleList", "ModuleDict", "Optimizer"}
    kind = inspect.isclass if theirs in (torch.nn, torch.optim) else inspect.isfunction
    for name, thing in rebuilt().items():
        if kind(thing) and hasattr(theirs, name) and name not in bases: assert getattr(ours, name) is thing, f"{name} of {thing.__module__} is missing in {ours.__name__}"


def test_bases_are_torchs_own_objects():
    for name in ("Module", "Parameter", "Buffer", "Sequential", "ModuleList", "ModuleDict", "utils"): assert getattr(nn, name) is getattr(torch.nn, name)
    assert nn.functional is functional and nn.functional is not torch.nn.functional
    assert nn.init is init and nn.init is not torch.nn.init
    assert optim.Optimizer is torch.optim.Optimizer and issubclass(optim.Adam, torch.optim.Optimizer) and optim.Adam is not torch.optim.Adam


def test_layers_are_ours_and_torchs_modules():
    layers = [getattr(nn, name) for name in nn.__all__ if inspect.isclass(getattr(nn, name)) and getattr(nn, name).__module__.startswith("lesson_nb")]
    assert len(layers) >= 19 and all(issubclass(layer, torch.nn.Module) for layer in layers)


@each_facade
def test_name_that_is_not_rebuilt_points_to_torch(ours, theirs):
    if short(ours) not in NOT_REBUILT: pytest.skip("all of it is rebuilt")
    name, place = NOT_REBUILT[short(ours)]
    with pytest.raises(AttributeError, match=f"no attribute '{name}': it is not rebuilt in this course; use {place}$"): getattr(ours, name)


@each_facade
def test_typo_and_nonsense(ours, theirs):
    wrong, right = TYPOS[short(ours)]
    with pytest.raises(AttributeError, match=f"did you mean '{right}'"): getattr(ours, wrong)
    with pytest.raises(AttributeError, match="offers"): getattr(ours, "qqq")
    with pytest.raises(AttributeError): ours.__nowhere__
    assert not hasattr(ours, "qqq")


def test_import_of_what_is_not_rebuilt_fails_as_an_import():
    with pytest.raises(ImportError): exec("from lesson_nb.nn import Transformer")


def test_pytorch_program_runs_with_its_imports_changed():
    program = '''
import torch
from {place} import nn
F = nn.functional

class Network(nn.Module):
    def __init__(self, words, classes):
        super().__init__()
        self.table = nn.Embedding(words, 8, padding_idx=0)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(24, 16), nn.GELU(), nn.Identity())
        self.rest = nn.ModuleList([nn.Linear(16, 16) for _ in range(2)])
        self.scale = nn.Parameter(torch.ones(16))
        self.head = nn.Linear(16, classes, bias=False)
    def forward(self, x):
        x = self.body(self.table(x)) * self.scale
        for layer in self.rest: x = x + F.silu(layer(x))
        return self.head(x)

torch.manual_seed(0)
net, loss = Network(20, 4), nn.CrossEntropyLoss(label_smoothing=0.1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
x, y = torch.randint(20, (64, 3)), torch.randint(4, (64,))
for _ in range(20):
    optimizer.zero_grad()
    value = loss(net(x), y)
    value.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
result = net, value.item()
'''
    nets = []
    for place in ("lesson_nb", "torch"):
        names = {}
        exec(program.format(place=place), names)
        nets.append(names["result"])
    (ours, value), (theirs, expected) = nets
    assert value == pytest.approx(expected, rel=1e-4) and repr(ours) == repr(theirs)
    for (name, a), (other, b) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert name == other
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_import_is_light():
    program = "import sys, torch; before = set(sys.modules); import lesson_nb.nn; print([h for h in ('matplotlib', 'pandas', 'numba', 'IPython') if h in set(sys.modules) - before])"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert out.stdout.strip() == "[]", out.stdout + out.stderr
