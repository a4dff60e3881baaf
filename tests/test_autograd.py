"Lesson 03: our engine against torch's autograd on programs drawn by Hypothesis, and the network of lesson 02 trained to the same weights."
import gc, math, weakref
import pytest, torch
from hypothesis import given, settings, strategies as st
from lesson_nb.autograd import Variable, gradients, no_grad, sum_to_shape, topological_order
from lesson_nb.backprop import LinearLayer, Network, ReluLayer, SquaredError
from lesson_nb.proof import assert_same, floats


def coarse(*shape, seed=0): return torch.randint(-4, 5, shape, generator=torch.Generator().manual_seed(seed + sum(shape))).double() / 2   # with ties


def compare(function, *tensors, rtol=1e-9, atol=1e-9):
    "Value and gradients of one function, on Variables and on torch's tensors."
    leaves = [t.clone().requires_grad_() for t in tensors]
    theirs = function(*leaves)
    wanted = torch.autograd.grad(theirs.sum(), leaves, allow_unused=True) if theirs.requires_grad else [None] * len(leaves)
    variables = [Variable(t, requires_grad=True) for t in tensors]
    ours = function(*variables)
    torch.testing.assert_close(ours.data, theirs.detach(), rtol=rtol, atol=atol, equal_nan=True)
    if not theirs.requires_grad: return
    ours.sum().backward()
    for v, g in zip(variables, wanted): torch.testing.assert_close(v.grad, g, rtol=rtol, atol=atol, equal_nan=True)


# programs that nobody thought of
ONE = {"relu": lambda a: a.relu(), "exp": lambda a: (a - a.amax()).exp(), "log": lambda a: (a * a + 1).log(), "neg": lambda a: -a, "square": lambda a: a**2 * 0.1, "root": lambda a: (a * a + 1)**0.5,
       "sum": lambda a: a.sum() * 0.1, "mean": lambda a: a.mean(), "max": lambda a: a.max(), "twice": lambda a: a * 0.3 + a, "inverse": lambda a: 1 / (a * a + 1), "less": lambda a: 2 - a,
       "flat": lambda a: a.reshape(-1), "detach": lambda a: a.detach(), "first": lambda a: a[..., None][..., 0]}
ALONG = {"sum": lambda a, d, k: a.sum(d, keepdim=k) * 0.3, "mean": lambda a, d, k: a.mean(d, keepdim=k), "max": lambda a, d, k: a.max(d, keepdim=k).values, "amax": lambda a, d, k: a.amax(d, keepdim=k),
         "amax of several": lambda a, d, k: a.amax((d, 0) if d % a.ndim else d, keepdim=k)}
TWO = {"add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b * 0.5, "div": lambda a, b: a / (b * b + 1), "matmul": lambda a, b: (a @ b) * 0.2}


@st.composite
def programs(draw):
    "A function of three values whose steps take earlier values, and the shapes for which it was drawn."
    shapes = [draw(st.sampled_from([(), (3,), (1,), (3, 3), (3, 1), (1, 3), (2, 3, 3), (2, 1, 3)])) for _ in range(3)]
    known = [torch.zeros(s) for s in shapes]
    steps = []
    for _ in range(draw(st.integers(1, 10))):
        at = lambda: draw(st.integers(0, len(known) - 1))
        i, j = at(), at()
        a = known[i]
        kind = draw(st.sampled_from(["one", "two", "two"] + ["along", "pick", "turn"] * (a.ndim > 0)))
        if kind == "one": f = ONE[draw(st.sampled_from(sorted(ONE)))]; step = lambda values, i=i, f=f: f(values[i])
        elif kind == "two": f = TWO[draw(st.sampled_from(sorted(TWO)))]; step = lambda values, i=i, j=j, f=f: f(values[i], values[j])
        elif kind == "along":
            f, d, k = ALONG[draw(st.sampled_from(sorted(ALONG)))], draw(st.integers(-a.ndim, a.ndim - 1)), draw(st.booleans())
            step = lambda values, i=i, f=f, d=d, k=k: f(values[i], d, k)
        elif kind == "pick":
            n = a.shape[0]
            index = draw(st.sampled_from([[0, n - 1, 0], slice(None, None, 2), -1, (Ellipsis, 0), None, torch.tensor([0, 0, n - 1]), slice(0, 1), (slice(None), None)]))
            step = lambda values, i=i, index=index: values[i][index]
        else: step = lambda values, i=i, last=a.ndim - 1: values[i].transpose(0, last)
        try: result = step(known)
        except (RuntimeError, IndexError): continue     # shapes that do not fit; draw another
        if result.numel() > 200: continue
        known.append(result)
        steps.append(step)
    def program(*values):
        values = list(values)
        for step in steps: values.append(step(values))
        return sum(v.sum() for v in values)
    return program, shapes


@settings(max_examples=300)
@given(programs(), st.integers(0, 1000))
def test_random_programs_have_torchs_values_and_gradients(drawn, seed):
    program, shapes = drawn
    compare(program, *[coarse(*s, seed=seed + i) for i, s in enumerate(shapes)])


def test_such_a_comparison_can_fail(monkeypatch):
    class Wrong(Variable):
        def relu(self): return self._make(self.data.clamp(min=0), "relu", (self, lambda flow: torch.where(self.data < 0, 0, flow)))
    monkeypatch.setitem(globals(), "Variable", Wrong)
    with pytest.raises(AssertionError): compare(lambda x: x.relu(), coarse(6, 6))
    with pytest.raises(AssertionError): assert_same(gradients(lambda x: x * x), lambda x: torch.autograd.grad((x * x * x).sum(), (x,)), floats("n", 3))


# one by one
x, y, z = coarse(3, 4), coarse(4, seed=1), coarse(2, 3, 4, seed=2)
PICKED = torch.tensor([0, 2, 2, 0, 1])
FUNCTIONS = {
    "used thrice": lambda x, y, z: x * x * x - x, "broadcast": lambda x, y, z: x * y + z, "quotients": lambda x, y, z: (x / (y * y + 1)) / (z * z + 2), "numbers on the left": lambda x, y, z: 2 / (x * x + 1) - 3 + (1 - y),
    "matrix, vector": lambda x, y, z: x @ y, "batch, vector": lambda x, y, z: z @ y, "batch, matrix": lambda x, y, z: z @ x.T, "vector, matrix": lambda x, y, z: y @ x.T, "vector, vector": lambda x, y, z: y @ y,
    "batch, batch": lambda x, y, z: z @ z.transpose(1, 2) @ x, "vector, batch": lambda x, y, z: y @ z.transpose(1, 2), "broadcast batches": lambda x, y, z: z[:, None] @ z[None].transpose(-1, -2),
    "max": lambda x, y, z: x.max() * y, "max of rows": lambda x, y, z: x.max(1).values * 3, "max kept": lambda x, y, z: x.max(0, keepdim=True).values * x, "amax of several": lambda x, y, z: z.amax((0, 2)) * 2,
    "amax kept": lambda x, y, z: z.amax((0, 2), keepdim=True) * z, "amax of all": lambda x, y, z: z.amax() * z, "picked": lambda x, y, z: x[PICKED] * x[PICKED, PICKED][:, None], "slices": lambda x, y, z: x[1:, ::2], "new axes": lambda x, y, z: x[..., None] * z[:, :, :, None],
    "number and tensor": lambda x, y, z: z[1, PICKED], "one entry": lambda x, y, z: x[1, 2] * y[-1], "a list": lambda x, y, z: x[[0, 0, 1]] * 1.5, "mask": lambda x, y, z: x[torch.tensor([True, False, True])] * y,
    "sum of one": lambda x, y, z: x.sum(0) * y, "sum of several": lambda x, y, z: z.sum((0, -1), keepdim=True) * z, "sum over ()": lambda x, y, z: x.sum(()), "mean of several": lambda x, y, z: z.mean((1, 2)), "means": lambda x, y, z: z.mean() * x.mean(-1),
    "log and exp": lambda x, y, z: (x * x + 1).log() * y.exp(), "relu": lambda x, y, z: x.relu() * z, "powers": lambda x, y, z: x**3 + y**2 + (z * z + 1)**-0.5 + x**0 + x**1, "reshape": lambda x, y, z: x.reshape(2, 6) @ z.reshape(-1, 6).T,
    "expand": lambda x, y, z: y.expand(3, 4) * x, "squeeze": lambda x, y, z: x[None].squeeze(0) * x.squeeze(0) * x[:, :1].squeeze(-1)[:, None], "tensors as constants": lambda x, y, z: x * torch.arange(4.0).double() + torch.eye(3).double() @ x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name): compare(FUNCTIONS[name], x, y, z)


def test_nan_and_infinity_as_torch():
    odd = torch.tensor([[1.0, float("nan"), float("inf")], [-float("inf"), 0.0, -0.0]], dtype=torch.float64)
    for f in (lambda x: x.relu(), lambda x: x.exp(), lambda x: x.max(), lambda x: x.max(1).values, lambda x: x * x, lambda x: x**2): compare(f, odd)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0,)])
def test_nothing(shape): compare(lambda x: (x * 2 + 1).relu().sum(0) + x.mean() * 0, torch.empty(shape, dtype=torch.float64))


def test_float32_and_mixed_kinds():
    a, b = Variable(torch.ones(2), requires_grad=True), Variable(torch.ones(2, dtype=torch.float64), requires_grad=True)
    result = (a * b * 2).sum()
    result.backward()
    assert result.data.dtype == b.grad.dtype == torch.float64 and a.grad.dtype == torch.float32
    assert (a * 0.1).data.dtype == torch.float32, "a plain number does not widen"


def test_tensors_on_the_left():
    a = Variable(torch.ones(3, 3), requires_grad=True)
    for result in (torch.ones(3, 3) + a, torch.ones(3, 3) - a, torch.ones(3, 3) * a, torch.ones(3, 3) / a, torch.ones(3, 3) @ a):
        assert isinstance(result, Variable) and result.requires_grad


def test_gradients_add_up_and_share_no_memory():
    a, b = (Variable(torch.ones(3), requires_grad=True) for _ in range(2))
    (a + b).sum().backward()
    assert a.grad.data_ptr() != b.grad.data_ptr()
    a.grad.zero_()
    assert b.grad.tolist() == [1, 1, 1]
    (a + b).sum().backward()
    assert a.grad.tolist() == [1, 1, 1] and b.grad.tolist() == [2, 2, 2]


def test_same_graph_twice_gives_the_same_gradient_again():
    a = Variable(torch.tensor([1.0, 2.0]), requires_grad=True)
    loss = ((a * a).exp() * a).sum()
    loss.backward()
    first, a.grad = a.grad, None
    loss.backward()
    assert torch.equal(first, a.grad)


def test_what_is_wanted_is_found_and_nothing_else():
    a, b, c = Variable(torch.ones(2), requires_grad=True), Variable(torch.ones(2)), Variable(torch.ones(2), requires_grad=True)
    product = a * b
    assert [p is a for p, _ in product.links] == [True] and not (b * b).requires_grad
    (product * c.detach()).sum().backward()
    assert a.grad is not None and b.grad is None and c.grad is None and product.grad is None


def test_no_grad_nests_and_ends_even_after_an_error():
    a = Variable(torch.ones(2), requires_grad=True)
    with pytest.raises(ZeroDivisionError):
        with no_grad():
            with no_grad(): pass
            assert not (a * a).requires_grad
            1 / 0
    assert (a * a).requires_grad
    @no_grad()
    def quiet(a): return a * a
    assert not quiet(a).requires_grad and (a * a).requires_grad


@pytest.mark.parametrize("depth", [10_000, 100_000])
def test_deep_graphs_need_no_recursion(depth):
    start = end = Variable(torch.tensor(1.0, dtype=torch.float64), requires_grad=True)
    for _ in range(depth): end = end * (1 + 1 / depth)
    end.backward()
    assert math.isclose(start.grad.item(), (1 + 1 / depth)**depth, rel_tol=1e-9)
    del end


def test_wide_sharing_takes_no_time():
    start = end = Variable(torch.tensor(1.0, dtype=torch.float64), requires_grad=True)
    for _ in range(200): end = end + end
    end.backward()
    assert start.grad.item() == 2.0**200 and len(topological_order(end)) == 201


@given(st.lists(st.lists(st.integers(0, 100), max_size=3), min_size=1, max_size=30))
def test_topological_order(drawn):
    class Plain:
        def __init__(self, links): self.links = links
    nodes = []
    for parents in drawn: nodes.append(Plain([(nodes[p % len(nodes)], None) for p in parents] if nodes else []))
    order = topological_order(nodes[-1])
    place = {id(n): i for i, n in enumerate(order)}
    assert len(place) == len(order) and order[-1] is nodes[-1]
    assert all(place[id(p)] < place[id(n)] for n in order for p, _ in n.links)


def test_graph_is_given_back_with_the_loss():
    a = Variable(torch.ones(2), requires_grad=True)
    middle = a * a
    loss, gone = middle.exp().sum(), weakref.ref(middle)
    loss.backward()
    del middle, loss
    gc.collect()
    assert gone() is None


@given(st.lists(st.integers(1, 3), max_size=3), st.integers(0, 7), st.integers(0, 2))
def test_sum_to_shape_reverses_broadcasting(shape, ones, extra):
    small = [1 if ones >> i & 1 else s for i, s in enumerate(shape)]
    large = torch.Size([2] * extra + shape)
    leaf = torch.zeros(small, dtype=torch.float64, requires_grad=True)
    flow = coarse(*large)
    assert torch.equal(sum_to_shape(flow, tuple(small)), torch.autograd.grad(leaf.expand(large), leaf, flow)[0])


@pytest.mark.parametrize("mistake, kind, said", [
    (lambda v: v.backward(), RuntimeError, r"\(3,\).*sum"), (lambda v: v.detach().sum().backward(), RuntimeError, "detached"), (lambda v: v.backward(torch.ones(2)), RuntimeError, r"flow of shape \(3,\), got \(2,\)"),
    (lambda v: Variable(torch.tensor([1, 2]), requires_grad=True), TypeError, "float"), (lambda v: v**v, NotImplementedError, "exp"), (lambda v: v @ torch.ones(4), RuntimeError, None), (lambda v: v[7], IndexError, None)])
def test_mistakes_are_told(mistake, kind, said):
    with pytest.raises(kind, match=said): mistake(Variable(torch.ones(3), requires_grad=True))


def test_repr_and_item():
    v = Variable(torch.tensor(2.0), requires_grad=True)
    assert v.item() == 2 and repr(v) == "Variable(2.0)" and "made by mul" in repr(v * v)


@pytest.mark.parametrize("sizes", [(12, 8, 3), (12, 8, 6, 3)])
def test_lesson_02_trains_to_the_same_weights(sizes):
    dice = torch.Generator().manual_seed(0)
    def draw(*shape): return torch.randn(shape, generator=dice, dtype=torch.float64)
    start = [p for n, m in zip(sizes, sizes[1:]) for p in (draw(m, n) / n**0.5, draw(m) * 0.1)]
    inputs, targets = draw(400, sizes[0]), draw(400, sizes[-1])
    by_hand, parameters = [p.clone() for p in start], [Variable(p.clone(), requires_grad=True) for p in start]
    layers = [layer for i in range(0, len(start), 2) for layer in (LinearLayer(*by_hand[i:i + 2]), ReluLayer())]
    network = Network(*layers[:-1], loss=SquaredError())
    for step in range(300):
        batch = torch.randint(400, (32,), generator=dice)
        network.loss(network(inputs[batch]), targets[batch])
        network.backward()
        network.step(0.1)
        out = Variable(inputs[batch])
        for i in range(0, len(parameters), 2): out = (out.relu() if i else out) @ parameters[i].T + parameters[i + 1]
        ((out - targets[batch])**2).mean().backward()
        for p in parameters: p.data -= 0.1 * p.grad; p.grad = None
    for p, q, s in zip(parameters, by_hand, start):
        torch.testing.assert_close(p.data, q, rtol=1e-12, atol=1e-13)
        assert (q - s).abs().max() > 0.01
