"""Our Optimizer beside torch's: books, checkpoints, hooks, refusals; and the clipping of gradients."""
import copy, io, math, random, warnings
import pytest, torch
from torch import nn
from lesson_nb import optim, optimizers
from lesson_nb.optimizers import Optimizer, check_settings, clip_grad_norm_, clip_grad_value_, replayed
from lesson_nb.proof import assert_same, floats


def sgd_on(base):
    class Momentum(base):
        def __init__(self, params, lr=0.1, momentum=0.9): super().__init__(params, dict(lr=lr, momentum=momentum))
        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in (p for p in group["params"] if p.grad is not None):
                    state = self.state[p]
                    state["step"] = state.get("step", torch.tensor(0.0)) + 1
                    state["buffer"] = p.grad.clone() if "buffer" not in state else group["momentum"] * state["buffer"] + p.grad
                    p -= group["lr"] * state["buffer"]
    return Momentum


BASES = {"ours": Optimizer, "torch": torch.optim.Optimizer}
KINDS = {name: sgd_on(base) for name, base in BASES.items()}
both = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def test_a_scheduler_of_torch_takes_only_what_descends_from_torchs_optimizer():
    torch.optim.lr_scheduler.LambdaLR(KINDS["torch"](params()), lambda step: 1.0)
    with pytest.raises(TypeError, match="not an Optimizer"): torch.optim.lr_scheduler.LambdaLR(KINDS["ours"](params()), lambda step: 1.0)


def params(*shapes): return [nn.Parameter(torch.arange(math.prod(s), dtype=torch.float64).reshape(s)) for s in (shapes or [(2, 3), (4,), ()])]


def give(places, seed):
    generator = torch.Generator().manual_seed(seed)
    for p in places: p.grad = torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.dtype)


def told(action):
    "What an action does: ('value', it) or ('error', its class)."
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try: return "value", action(), len(said)
        except Exception as error: return "error", type(error), len(said)


p = nn.Parameter(torch.ones(2))
GROUPS = {
    "list": lambda: [nn.Parameter(torch.ones(2))], "generator": lambda: (p for p in [nn.Parameter(torch.ones(2))]), "one tensor": lambda: nn.Parameter(torch.ones(2)),
    "empty": lambda: [], "used up": lambda: iter(()), "groups": lambda: [{"params": params()[:1], "lr": 0.5}, {"params": params()[1:]}], "group of a tensor": lambda: [{"params": nn.Parameter(torch.ones(2))}],
    "group of a set": lambda: [{"params": {nn.Parameter(torch.ones(2))}}], "modules": lambda: [nn.Linear(2, 2)], "numbers": lambda: [1.0], "computed": lambda: [nn.Parameter(torch.ones(2)) * 2],
    "retained": lambda: [(lambda t: (t.retain_grad(), t)[1])(nn.Parameter(torch.ones(2)) * 2)], "plain tensors": lambda: [torch.ones(2)], "twice": lambda: [p, p], "in two groups": lambda: [{"params": [p]}, {"params": [p]}],
    "named": lambda: nn.Linear(2, 2).named_parameters(), "half named": lambda: [("a", nn.Parameter(torch.ones(2))), nn.Parameter(torch.ones(2))],
    "one group named": lambda: [{"params": [("a", nn.Parameter(torch.ones(2)))]}, {"params": [nn.Parameter(torch.ones(2))]}], "empty group": lambda: [{"params": []}], "foreign settings": lambda: [{"params": params(), "colour": "red"}]}


@pytest.mark.parametrize("given", GROUPS.values(), ids=GROUPS)
def test_takes_and_refuses_what_torch_does(given):
    ours, theirs = told(lambda: repr(KINDS["ours"](given()))), told(lambda: repr(KINDS["torch"](given())))
    assert ours == theirs


@pytest.mark.parametrize("given, said", [("one tensor", "put it into a list"), ("used up", "used up"), ("group of a set", "make it a list"), ("modules", r"got a Linear; model.parameters\(\) gives them"),
                                         ("computed", "non-leaf tensor"), ("half named", "some names are missing"), ("in two groups", "more than one parameter group")])
def test_refusals_say_what_to_do(given, said):
    with pytest.raises((TypeError, ValueError), match=said): KINDS["ours"](GROUPS[given]())


def test_random_programs_say_the_same_on_both_bases():
    "Random calls in random order, on both bases; after each, all that can be seen is compared."
    for seed in range(25):
        draw = random.Random(seed)
        shapes = [(2, 3), (4,), (), (1, 2)]
        places = {name: params(*shapes) for name in KINDS}
        made = {name: kind([{"params": places[name][:2], "lr": 0.3}, {"params": places[name][2:3]}]) for name, kind in KINDS.items()}
        saved = {}
        for move in range(20):
            action = draw.choice(["step", "step", "zero", "zero in place", "save", "load", "add", "lr", "freeze", "copy"])
            number = draw.randrange(1000)
            for name in KINDS:
                optimizer, own = made[name], places[name]
                if action == "step":
                    give(own, number)
                    if number % 3 == 0: own[1].grad = None
                    optimizer.step()
                if action.startswith("zero"): optimizer.zero_grad(**({"set_to_none": False} if "place" in action else {}))
                if action == "save": saved[name] = copy.deepcopy(optimizer.state_dict())
                if action == "load" and name in saved: told(lambda: optimizer.load_state_dict(saved[name]))
                if action == "add" and len(optimizer.param_groups) == 2: optimizer.add_param_group({"params": own[3], "momentum": 0.5})
                if action == "lr": optimizer.param_groups[0]["lr"] = number / 1000
                if action == "freeze": own[2].requires_grad_(number % 2 == 0)
                if action == "copy":
                    made[name] = copy.deepcopy(optimizer)
                    known = [p for g in made[name].param_groups for p in g["params"]]
                    places[name] = known + own[len(known):]
            ours, theirs = made["ours"], made["torch"]
            for known in (theirs.defaults, *theirs.param_groups): known.pop("differentiable", None)   # torch puts it in when it loads or is copied
            assert repr(ours) == repr(theirs), (seed, move, action)
            a, b = ours.state_dict(), theirs.state_dict()
            assert a["param_groups"] == b["param_groups"] and list(a["state"]) == list(b["state"]), (seed, move, action)
            for key in b["state"]:
                for what in b["state"][key]: assert torch.equal(a["state"][key][what], b["state"][key][what]), (seed, move, action)
            for x, y in zip(places["ours"], places["torch"]):
                assert torch.equal(x, y) and (x.grad is None) == (y.grad is None) and (x.grad is None or torch.equal(x.grad, y.grad)), (seed, move, action)


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_checkpoints_go_both_ways_and_take_the_owners_dtype(source, target, dtype):
    one = KINDS[source](params())
    give(one.param_groups[0]["params"], 0)
    one.step()
    torch.save(one.state_dict(), file := io.BytesIO())
    other = KINDS[target]([nn.Parameter(p.detach().to(dtype)) for p in params()], lr=0.7)
    other.load_state_dict(torch.load(io.BytesIO(file.getvalue())))
    first = other.param_groups[0]["params"][0]
    assert other.param_groups[0]["lr"] == 0.1 and other.state[first]["buffer"].dtype == dtype and other.state[first]["step"].dtype == torch.float32


@both
def test_load_refuses_other_groups(kind):
    saved = kind(params()).state_dict()
    for wrong in (lambda: kind(params()[:2]), lambda: kind([{"params": params()[:2]}, {"params": params()[2:]}])):
        with pytest.raises(ValueError): wrong().load_state_dict(saved)


def test_load_says_what_differs():
    with pytest.raises(ValueError, match=r"expected groups of \[2\] parameters, got groups of \[3\]"): KINDS["ours"](params()[:2]).load_state_dict(KINDS["ours"](params()).state_dict())


@both
def test_names_of_parameters_are_kept_and_saved(kind):
    net = nn.Linear(2, 2)
    optimizer = kind(net.named_parameters())
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    unnamed = kind(net.parameters()).state_dict()
    optimizer.load_state_dict(unnamed)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]


@both
def test_hooks(kind):
    seen, optimizer = [], kind(params())
    handles = [optimizer.register_step_pre_hook(lambda o, a, k: seen.append("before")), optimizer.register_step_post_hook(lambda o, a, k: seen.append("after")),
               optimizer.register_state_dict_pre_hook(lambda o: seen.append("saving")), optimizer.register_state_dict_post_hook(lambda o, d: d | {"more": 1}),
               optimizer.register_load_state_dict_pre_hook(lambda o, d: seen.append(d["more"])), optimizer.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))]
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("first"), prepend=True)
    optimizer.step()
    saved = optimizer.state_dict()
    optimizer.load_state_dict(saved)
    assert seen == ["before", "after", "first", "saving", 1, "loaded"] and saved["more"] == 1
    for handle in handles: handle.remove()
    optimizer.step()
    assert len(seen) == 6


@both
def test_pre_hook_may_change_the_arguments(kind):
    class Told(kind):
        def step(self, closure=None): return closure
    optimizer = Told(params())
    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, "new"), {}))
    assert optimizer.step("old") == "new"


@both
def test_pre_hook_that_returns_something_else_is_refused(kind):
    optimizer = kind(params())
    optimizer.register_step_pre_hook(lambda o, args, kwargs: "nonsense")
    with pytest.raises(RuntimeError): optimizer.step()


def test_base_refuses_to_step():
    with pytest.raises(NotImplementedError, match="expected a subclass to define `step`"): Optimizer(params(), {}).step()


@pytest.mark.parametrize("settings, said", [({"lr": -1}, "expected lr >= 0, got -1"), ({"lr": math.nan}, "expected lr >= 0"), ({"betas": (0.9, 1)}, "betas"), ({"lr": torch.ones(3)}, "one number"),
                                            ({"nesterov": True, "dampening": 0, "momentum": 0}, "needs momentum > 0")])
def test_check_settings_refuses(settings, said):
    with pytest.raises(ValueError, match=said): check_settings("Some", settings)


def test_check_settings_lets_pass():
    check_settings("Some", {"lr": 0, "betas": (0.0, 0.999), "dampening": -1, "foreach": None, "fused": None, "capturable": False, "nesterov": True, "momentum": 0.1} | {"dampening": 0})


def test_replayed_steps_once_a_row_and_leaves_its_model_alone():
    place = nn.Parameter(torch.tensor([5.0]))
    run = replayed(optim.SGD([place], lr=0.5))
    found = run(torch.ones(3, 1), torch.tensor([0.0]))
    assert found["parameters"][0].item() == -1.5 and place.item() == 5 and replayed(optim.SGD([place], lr=0.5))(torch.ones(0, 1), torch.tensor([2.0]))["parameters"][0].item() == 2


# ---- clipping

def clipped(function, *settings, **options):
    def run(*gradients):
        places = [torch.zeros_like(g, requires_grad=True) for g in gradients]
        for p, g in zip(places, gradients): p.grad = g.detach().clone()
        return {"returned": function(places, *settings, **options), "left": [p.grad for p in places]}
    return run


@pytest.mark.parametrize("norm_type", [2.0, 1, 3.5, 0.5, 0.0, math.inf, -math.inf, "inf"])
@pytest.mark.parametrize("bound", [0.7, 1e3, 0])
def test_clip_norm_is_torchs(norm_type, bound):
    why = {"empty": "the largest of no numbers is refused by both, in different words"}
    assert_same(clipped(clip_grad_norm_, bound, norm_type), clipped(torch.nn.utils.clip_grad_norm_, bound, norm_type), floats("n", 3), floats(2, 2), floats(), grad=False, skip=why)


@pytest.mark.parametrize("function", [clip_grad_norm_, torch.nn.utils.clip_grad_norm_], ids=["ours", "torch"])
def test_clip_norm_of_one_of_none_and_of_mixed(function):
    p = nn.Parameter(torch.zeros(4))
    assert function([p], 1.0).item() == 0 and function([], 1.0).item() == 0
    p.grad = torch.full((4,), 3.0)
    assert function(p, 1.0).item() == 6 and abs(p.grad.norm().item() - 1) < 1e-5
    q = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    q.grad = torch.full((2,), 8.0, dtype=torch.float64)
    assert function([p, q], 100.0).dtype == torch.float64
    with pytest.warns(UserWarning): function((p for p in []), 1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_clip_norm_of_what_is_not_finite(bad):
    for function in (clip_grad_norm_, torch.nn.utils.clip_grad_norm_):
        p = nn.Parameter(torch.zeros(2))
        p.grad = torch.tensor([1.0, bad])
        with pytest.raises(RuntimeError, match="finite"): function([p], 1.0, error_if_nonfinite=True)
        assert p.grad[0] == 1
        assert not function([p], 1.0).isfinite()
    with pytest.raises(RuntimeError, match="look for the loss"): clip_grad_norm_([p], 1.0, error_if_nonfinite=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_clip_norm_in_sixteen_bits_does_not_overflow(dtype):
    places = [nn.Parameter(torch.zeros(1000, dtype=dtype)), nn.Parameter(torch.zeros(1000, dtype=dtype))]
    for p in places: p.grad = torch.full_like(p, 100.0)
    ours = clip_grad_norm_(places[:1], 1.0)
    theirs = torch.nn.utils.clip_grad_norm_(places[1:], 1.0)
    torch.testing.assert_close(ours, theirs), torch.testing.assert_close(places[0].grad, places[1].grad)


@pytest.mark.parametrize("bound", [0.5, 2, 0])
def test_clip_value_is_torchs(bound): assert_same(clipped(clip_grad_value_, bound), clipped(torch.nn.utils.clip_grad_value_, bound), floats("n", 3), floats(2, 2), grad=False)


def test_clipping_skips_who_has_no_gradient_and_a_graph_behind_one():
    p, q = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    (p**3).sum().backward(create_graph=True)
    assert clip_grad_norm_([p, q], 1.0).item() == pytest.approx(27**0.5)
    clip_grad_value_([p, q], 0.1)
    assert q.grad is None and p.grad.max() <= 0.1001


# ---- the façade

def test_facade_offers_torchs_names_and_points_to_the_rest():
    for name in optim.__all__: assert hasattr(optim, name)
    for name in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "RAdam", "Muon"): assert issubclass(getattr(optim, name), torch.optim.Optimizer) and hasattr(torch.optim, name)
    assert optim.Optimizer is torch.optim.Optimizer and optim.lr_scheduler is torch.optim.lr_scheduler
    with pytest.raises(AttributeError, match="use torch.optim.LBFGS"): optim.LBFGS
    with pytest.raises(AttributeError, match="did you mean 'Adam'"): optim.Adan
    with pytest.raises(AttributeError, match="offers"): optim.qqq
    with pytest.raises(AttributeError): optim.__nowhere__


def test_pytorch_program_runs_with_its_imports_changed():
    program = '''
import torch
from torch import nn
from {place} import optim
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
optimizer = optim.AdamW([dict(params=net[0].parameters(), lr=0.01), dict(params=net[2].parameters())], lr=0.05, weight_decay=0.1)
scheduler = optim.lr_scheduler.OneCycleLR(optimizer, [0.01, 0.05], total_steps=30)
x, y = torch.randn(40, 6), torch.randint(3, (40,))
for _ in range(30):
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()
    optimizer.step()
    scheduler.step()
result = [p.detach() for p in net.parameters()]
'''
    nets = []
    for place in ("lesson_nb", "torch"): exec(program.format(place=place), names := {}); nets.append(names["result"])
    for a, b in zip(*nets): torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("step", ["before", "after"])
def test_gradients_that_are_views_are_filled_with_zeros(step):
    net, bucket = nn.Linear(3, 2), torch.ones(8)
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    net.weight.grad, net.bias.grad = bucket[:6].view(2, 3), bucket[6:]
    if step == "after": optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    assert not bucket.any() and net.bias.grad.data_ptr() == bucket[6:].data_ptr()
    grads = torch.autograd.grad((net(torch.ones(1, 3)) ** 2).sum(), (net.weight, net.bias), create_graph=True)
    net.weight.grad, net.bias.grad = (g.clone() for g in grads)                   # with a graph behind them
    optimizer.zero_grad(set_to_none=False)
    assert net.weight.grad.grad_fn is None and not net.weight.grad.any()
