"""What only the adaptive optimizers have; how they follow torch.optim, flat or not, stands in test_stepping.py."""
import copy, math
import numpy, pytest, torch
from torch import nn
from following import assert_equal_params, give, parameters, train
from lesson_nb import optim
from lesson_nb.adaptive import LAMB, Adagrad, Muon, orthogonalize, rectification


def paper(starts, gradients, lr, betas=(0.9, 0.999), eps=1e-6, decay=0.01, bounds=(0.0, math.inf), sign=1):
    "LAMB, algorithm 2 of You and others (2019), in numpy."
    xs = [s.clone().numpy() for s in starts]
    ms, vs = [numpy.zeros_like(x) for x in xs], [numpy.zeros_like(x) for x in xs]
    for t, grads in enumerate(gradients, 1):
        for i, g in enumerate(sign * g.numpy() for g in grads):
            ms[i], vs[i] = betas[0] * ms[i] + (1 - betas[0]) * g, betas[1] * vs[i] + (1 - betas[1]) * g * g
            r = (ms[i] / (1 - betas[0] ** t)) / (numpy.sqrt(vs[i] / (1 - betas[1] ** t)) + eps) + decay * xs[i]
            length, own = min(max(numpy.sqrt((xs[i] ** 2).sum()), bounds[0]), bounds[1]), numpy.sqrt((r**2).sum())
            xs[i] = xs[i] - lr * (length / own if length > 0 and own > 0 else 1.0) * r
    return [torch.from_numpy(numpy.asarray(x)) for x in xs]


def rows(shapes, count, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [[torch.randn(s, generator=generator, dtype=torch.float64).to(dtype) for s in shapes] for _ in range(count)]


SHAPES = [(4, 3), (5,), (), (2, 2, 2)]


@pytest.mark.parametrize("settings", [{}, {"betas": (0.5, 0.6), "eps": 1e-2}, {"decay": 0.0}, {"decay": 0.5, "bounds": (0.5, 2.0)}, {"sign": -1}])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_lamb_is_its_papers(settings, dtype):
    starts, gradients = rows(SHAPES, 1, 1)[0], rows(SHAPES, 60)
    starts[1].zero_()
    params = [nn.Parameter(s.clone().to(dtype)) for s in starts]
    names = {"decay": "weight_decay"}
    ours = LAMB(params, lr=0.05, **{names.get(k, k): v for k, v in settings.items() if k != "sign"}, maximize=settings.get("sign") == -1)
    for grads in gradients:
        for p, g in zip(params, grads): p.grad = g.to(dtype)
        ours.step()
    for p, x in zip(params, paper(starts, gradients, 0.05, **settings)):
        torch.testing.assert_close(p.detach().double(), x.reshape(p.shape), rtol=1e-10 if dtype == torch.float64 else 1e-3, atol=1e-12 if dtype == torch.float64 else 1e-4)


def test_lamb_of_zero_gradients_and_zero_tensors():
    params = [nn.Parameter(torch.zeros(3)), nn.Parameter(torch.ones(3))]
    for p in params: p.grad = torch.zeros(3)
    LAMB(params, weight_decay=0.0).step()
    assert params[0].tolist() == [0, 0, 0] and params[1].tolist() == [1, 1, 1]
    params[0].grad = torch.ones(3)
    LAMB(params, lr=0.1, weight_decay=0.0).step()
    torch.testing.assert_close(params[0].detach(), torch.full((3,), -0.1), rtol=1e-4, atol=1e-5)


def test_lamb_saves_and_goes_on():
    gradients = rows(SHAPES, 10)
    def some(optimizer, params, part):
        for grads in part:
            for p, g in zip(params, grads): p.grad = g
            optimizer.step()
    a, b = parameters(shapes=SHAPES), parameters(shapes=SHAPES)
    one, other = LAMB(a, lr=0.05), LAMB(b, lr=0.9)
    some(one, a, gradients[:5])
    with torch.no_grad():
        for p, q in zip(a, b): q.copy_(p)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    some(one, a, gradients[5:]), some(other, b, gradients[5:])
    assert_equal_params(a, b)


@pytest.mark.parametrize("bounds", [(2.0, 1.0), (-1.0, 1.0)])
def test_lamb_refuses_bounds(bounds):
    with pytest.raises(ValueError, match="expected bounds"): LAMB(parameters(), bounds=bounds)


def test_lamb_keeps_sixteen_bits_in_range():
    p = nn.Parameter(torch.full((4000,), 100.0, dtype=torch.float16))
    p.grad = torch.ones_like(p)
    LAMB([p], lr=0.01, weight_decay=0.0).step()
    assert p.isfinite().all() and abs(p[0].item() - 99) < 0.2


# ---- Muon

@pytest.mark.parametrize("shape", [(5, 5), (3, 9), (9, 3), (1, 4), (4, 1), (1, 1), (64, 20)])
def test_orthogonalize_beside_torch_and_beside_the_truth(shape):
    from torch.optim._muon import _zeropower_via_newtonschulz as theirs
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))
    ours = orthogonalize(matrix)
    assert ours.dtype == torch.bfloat16 and ours.shape == matrix.shape
    torch.testing.assert_close(ours, theirs(matrix, (3.4445, -4.775, 2.0315), 5, 1e-7), rtol=0, atol=0.03)
    left, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    x = values / values.norm()
    for _ in range(5): x = 3.4445 * x - 4.775 * x**3 + 2.0315 * x**5
    torch.testing.assert_close(ours.double(), left @ torch.diag(x) @ right, rtol=0, atol=0.05)


def test_orthogonalize_of_zero_extreme_and_no_matrix():
    assert not orthogonalize(torch.zeros(3, 4)).any()
    for factor in (1e-4, 1e15): assert 0.4 < torch.linalg.svdvals(orthogonalize(torch.eye(3) * factor).float()).min() < 1.3
    with pytest.raises(ValueError, match="expected a matrix, got shape"): orthogonalize(torch.zeros(3))


@pytest.mark.parametrize("wrong, said", [(dict(shapes=[(3,)]), r"expected matrices, got shape \(3,\)"), (dict(adjust_lr_fn="other"), "adjust_lr_fn"), (dict(ns_steps=100), "ns_steps below 100"), (dict(ns_coefficients=(1.0, 2.0)), "three")])
def test_muon_refuses(wrong, said):
    wrong = dict(wrong)
    params = parameters(shapes=wrong.pop("shapes", [(3, 3)]))
    with pytest.raises(ValueError, match=said): Muon(params, **wrong)


def test_muon_refuses_a_late_group_too():
    optimizer = Muon(parameters(shapes=[(2, 2)]))
    with pytest.raises(ValueError, match="expected matrices"): optimizer.add_param_group({"params": parameters(shapes=[(2,)])})


def test_muon_does_not_touch_the_gradient():
    p = nn.Parameter(torch.randn(3, 4).bfloat16())
    p.grad = torch.randn(3, 4).bfloat16()
    before = p.grad.clone()
    Muon([p]).step()
    assert torch.equal(p.grad, before)


# ---- the others

def test_rectification_of_the_paper():
    for beta2 in (0.9, 0.99, 0.999):
        longest = 2 / (1 - beta2) - 1
        for step in range(1, 400):
            squares = longest - 2 * step * beta2**step / (1 - beta2**step)
            expected = None if squares <= 5 else math.sqrt((squares - 4) * (squares - 2) * longest / ((longest - 4) * (longest - 2) * squares))
            assert rectification(step, beta2) == (expected if expected is None else pytest.approx(expected))
    assert rectification(10**6) == pytest.approx(1)


def test_first_step_of_adam_is_one_learning_rate_whatever_the_gradient():
    p = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    p.grad = torch.tensor([1e-3, 1e3, -7.0], dtype=torch.float64)
    optim.Adam([p], lr=0.1).step()
    torch.testing.assert_close(p.detach(), torch.tensor([-0.1, -0.1, 0.1], dtype=torch.float64), rtol=1e-4, atol=0)


def test_adagrad_has_its_sums_from_the_start_and_shares_them():
    for place in (optim, torch.optim):
        optimizer = place.Adagrad(parameters(torch.float32), initial_accumulator_value=0.5)
        assert len(optimizer.state_dict()["state"]) == 7 and optimizer.state_dict()["state"][0]["sum"].unique().item() == 0.5
        optimizer.share_memory()
        assert all(s["sum"].is_shared() for s in optimizer.state.values())


def test_amsgrad_divides_by_the_largest():
    found = []
    for amsgrad in (False, True):
        p = nn.Parameter(torch.zeros(1))
        optimizer = optim.Adam([p], lr=0.1, betas=(0.0, 0.5), amsgrad=amsgrad)
        for g in [100.0] + [0.1] * 20:
            p.grad = torch.tensor([g])
            before = p.item()
            optimizer.step()
        found.append(before - p.item())
    assert found[1] < found[0] / 50


def test_nadam_counts_of_parameters_that_come_late():
    found = []
    for place, extra in ((optim, {"flat": True}), (torch.optim, {})):
        optimizer = place.NAdam(parameters(), lr=0.05, **extra)
        train(optimizer, 5, missing=lambda step: (0, 3) if step < 3 else ())
        optimizer.param_groups[0]["betas"] = (0.5, 0.9)
        found.append(train(optimizer, 5, first=5))
    assert_equal_params(*found)
