"""What the tests of the optimizers share: training beside torch.optim, with gradients that are sometimes missing."""
import torch
from lesson_nb import optim

SHAPES = [(5, 11), (55,), (3, 2, 2), (), (7,), (5, 11), (2, 0)]
SETTINGS = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}, {"momentum": 0.9, "nesterov": True, "maximize": True}],
    "RMSprop": [{}, {"momentum": 0.9, "centered": True, "weight_decay": 0.1}, {"centered": True, "maximize": True}, {"momentum": 0.5, "alpha": 0.8, "eps": 1e-3}],
    "Adagrad": [{}, {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "maximize": True}, {"eps": 1e-2}],
    "Adam": [{}, {"amsgrad": True, "weight_decay": 0.1}, {"decoupled_weight_decay": True, "weight_decay": 0.1, "maximize": True}, {"betas": (0.5, 0.6), "eps": 1e-2}],
    "AdamW": [{}, {"amsgrad": True, "weight_decay": 0.1, "maximize": True}],
    "NAdam": [{}, {"weight_decay": 0.1, "momentum_decay": 0.1}, {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True, "betas": (0.8, 0.9)}],
    "RAdam": [{}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}, {"betas": (0.9, 0.8)}, {"betas": (0.9, 0.5)}],
    "Muon": [{}, {"nesterov": False, "adjust_lr_fn": "match_rms_adamw", "ns_steps": 3}, {"adjust_lr_fn": "original", "weight_decay": 0.0, "ns_coefficients": (2.0, -1.5, 0.5), "eps": 1e-3}]}
CASES = [(name, settings) for name, several in SETTINGS.items() for settings in several]
FLAT = [name for name in SETTINGS if name != "Muon"]
MODES = [{}, {"foreach": False}, {"foreach": True}, {"flat": True}]


def id_of(value): return "-".join(f"{k}={v}" for k, v in value.items()) or "plain" if isinstance(value, dict) else None


def parameters(dtype=torch.float64, shapes=SHAPES, device="cpu", seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(s, generator=generator, dtype=torch.float64).to(device, dtype)) for s in shapes]


def give(params, seed, missing=()):
    "Gradients that the seed decides; none for the places in `missing`."
    generator = torch.Generator().manual_seed(1000 + seed)
    for i, p in enumerate(params):
        grad = torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.device, p.dtype)
        p.grad = None if i in missing else grad


def shapes_for(name): return [(5, 11), (11, 5), (4, 4), (1, 3)] if name == "Muon" else SHAPES


def train(optimizer, steps=25, first=0, missing=lambda step: (2,) if step % 3 == 0 else ()):
    "Steps with given gradients; returns the parameters."
    params = [p for group in optimizer.param_groups for p in group["params"]]
    for step in range(first, first + steps):
        give(params, step, missing(step))
        optimizer.step()
    return params


def pair(name, settings, dtype=torch.float64, mode=None, device="cpu"):
    "Ours and torch's, on equal parameters."
    shapes = shapes_for(name)
    return (getattr(optim, name)(parameters(dtype, shapes, device), lr=0.05, **settings, **(mode or {})),
            getattr(torch.optim, name)(parameters(dtype, shapes, device), lr=0.05, **settings))


def assert_equal_params(ours, theirs, dtype=torch.float64, rtol=None, atol=None):
    rtol, atol = (rtol, atol) if rtol is not None else (1e-12, 1e-13) if dtype == torch.float64 else (2e-5, 2e-6)
    for a, b in zip(ours, theirs, strict=True): torch.testing.assert_close(a.detach(), b.detach(), rtol=rtol, atol=atol)


def assert_equal_state(ours, theirs, rtol=1e-6, atol=1e-7):
    "Two state dicts: same keys, shapes, dtypes and close values."
    assert ours["param_groups"] == theirs["param_groups"]
    assert set(ours["state"]) == set(theirs["state"])
    for key, expected in theirs["state"].items():
        expected = {k: v for k, v in expected.items() if v is not None}
        assert set(ours["state"][key]) == set(expected), key
        for name, value in expected.items(): torch.testing.assert_close(ours["state"][key][name], value, rtol=rtol, atol=atol, msg=lambda m: f"state {key}, {name}: {m}")
