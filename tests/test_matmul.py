"""matmul, broadcast_shapes, einsum, accuracy: PyTorch's semantics, bounded memory, no delegation; the lesson's GPU kernel, simulated."""
import ast, os, subprocess, sys, textwrap
import pytest, torch
from hypothesis import given, strategies as st
from judge import ROOT, python_of
from lesson_nb import core, matmul as module
from lesson_nb.ledger import code_cells
from lesson_nb.matmul import CHUNK, accuracy, broadcast_shapes, einsum, matmul
from lesson_nb.proof import assert_same, floats, what_it_calls

NOTEBOOK = ROOT / "nbs" / "01_matmul.ipynb"


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    "Many small products: on a busy machine threads would mostly wait for each other."
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def randn(*shape, seed=0): return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_gradients(function, *arguments):
    "The result, and the gradients of a sum of it in which every entry has its own weight."
    arguments = [a.detach().clone().requires_grad_() for a in arguments]
    result = function(*arguments)
    weights = torch.cos(torch.arange(result.numel(), dtype=result.dtype)).view(result.shape)
    return result, *torch.autograd.grad((result * weights).sum(), arguments)


def refusal(function, *arguments):
    with pytest.raises((RuntimeError, TypeError)) as caught: function(*arguments)
    return str(caught.value)


# matmul
SHAPES = [((3, 4), (4, 5)), ((4,), (4,)), ((4,), (4, 5)), ((3, 4), (4,)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)),
          ((2, 1, 3, 4), (7, 4, 5)), ((4,), (2, 4, 5)), ((2, 3, 4), (4,)),
          ((3, 4), (2, 4, 5)), ((1, 1, 1), (1, 1)), ((3, 1, 2, 3), (1, 4, 3, 2)),
          ((0, 4), (4, 5)), ((3, 0), (0, 5)), ((3, 4), (4, 0)), ((0, 3, 4), (4, 5)), ((0,), (0,)), ((2, 0, 4), (4, 3)),
          ((3, 4), (0, 4, 2)), ((0, 0), (0, 0)), ((600, 30), (30, 500)), ((5, 300, 200), (200, 300)), ((4, 100, 90), (4, 90, 110)),
          ((70, 3, 50, 20), (1, 20, 64)), ((1, 900), (900, 900)), ((900, 900), (900,)),
          ((3000, 40), (40, 10)), ((2, 600, 600), (600,)), ((300, 2, 2), (300, 2, 600))]
each_shape = pytest.mark.parametrize("a, b", SHAPES, ids=lambda s: "x".join(map(str, s)))


@each_shape
def test_matmul_and_its_gradients_equal_torch(a, b):
    a, b = randn(*a), randn(*b, seed=1)
    for ours, theirs in zip(with_gradients(matmul, a, b), with_gradients(torch.matmul, a, b)): torch.testing.assert_close(ours, theirs)


@each_shape
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.int64, torch.uint8], ids=str)
def test_matmul_in_every_dtype(a, b, dtype):
    a, b = (3 * randn(*a)).abs().to(dtype), (3 * randn(*b, seed=1)).abs().to(dtype)
    tolerance = {torch.float32: 1e-4, torch.complex64: 1e-4, torch.float16: 2e-3, torch.bfloat16: 2e-2}.get(dtype, 0)
    torch.testing.assert_close(matmul(a, b), torch.matmul(a, b), rtol=tolerance, atol=tolerance)


@given(st.data())
def test_matmul_on_any_shapes(data):
    size = st.sampled_from([0, 1, 2, 3, 5])
    batch = data.draw(st.lists(size, max_size=3))
    a_batch, b_batch = ([data.draw(st.sampled_from([s, 1])) for s in batch][data.draw(st.integers(0, len(batch))):] for _ in range(2))
    rows, inner, columns = data.draw(st.tuples(size, size, size))
    a, b = randn(*a_batch, rows, inner), randn(*b_batch, inner, columns, seed=1)
    torch.testing.assert_close(matmul(a, b), torch.matmul(a, b))
    torch.testing.assert_close(matmul(a.mT.contiguous().mT, b.mT.contiguous().mT), torch.matmul(a, b))


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000, 2**24])
def test_the_chunk_changes_no_value(monkeypatch, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    for a, b in [((9, 8), (8, 7)), ((4, 5, 6), (4, 6, 3)), ((30, 40), (40,)), ((2, 1, 3, 4), (3, 4, 5))]:
        a, b = randn(*a), randn(*b, seed=1)
        for ours, theirs in zip(with_gradients(matmul, a, b), with_gradients(torch.matmul, a, b)): torch.testing.assert_close(ours, theirs)


def test_matmul_second_derivatives():
    for a, b in [((3, 4), (4, 2)), ((2, 3, 2), (2, 2, 3))]:
        a, b = randn(*a).requires_grad_(), randn(*b, seed=1).requires_grad_()
        assert torch.autograd.gradcheck(matmul, (a, b)) and torch.autograd.gradgradcheck(matmul, (a, b))


def test_matmul_leaves_its_arguments_alone_and_shares_no_memory():
    for a, b in [((3, 4), (4, 5)), ((4,), (4,)), ((1, 1), (1, 1)), ((300, 300), (300, 300))]:
        a, b = randn(*a), randn(*b)
        before = a.clone(), b.clone()
        matmul(a, b).add_(1)
        assert torch.equal(a, before[0]) and torch.equal(b, before[1])


def test_nan_and_infinity_travel_as_in_torch():
    a, b = randn(4, 3), randn(3, 5)
    a[0, 0], a[1, 1], b[2, 2] = torch.nan, torch.inf, -torch.inf
    torch.testing.assert_close(matmul(a, b), torch.matmul(a, b), equal_nan=True)


@pytest.mark.parametrize("a, b, parts", [
    ((64, 784), (10, 784), ["(64, 784)", "(10, 784)", "784 is not 10", "try b.T"]),
    ((784, 64), (784, 10), ["(784, 64)", "(784, 10)", "try a.T"]),
    ((784, 10), (64, 784), ["(784, 10)", "(64, 784)", "matmul(b, a)"]),
    ((2, 5, 3), (2, 4, 3), ["(2, 5, 3)", "(2, 4, 3)", "try b.mT"]),
    ((2, 3, 5), (2, 3, 4), ["try a.mT"]), ((3,), (4,), ["(3,)", "(4,)", "3 is not 4"]), ((3,), (4, 5), ["(3,)", "(4, 5)"]),
    ((5, 4), (3,), ["(5, 4)", "(3,)", "only size"]), ((2, 3, 4), (3, 4, 5), ["(2, 3, 4)", "(3, 4, 5)", "do not broadcast"]),
    ((), (3,), ["()", "(3,)", "use *"]), ((3,), (), ["use *"])])
def test_shape_errors_name_both_shapes_and_the_mend(a, b, parts):
    message = refusal(matmul, torch.zeros(a), torch.zeros(b))
    refusal(torch.matmul, torch.zeros(a), torch.zeros(b))
    assert all(part in message for part in parts), message


def test_a_mend_that_is_named_works():
    assert matmul(torch.ones(64, 784), torch.ones(10, 784).T).shape == (64, 10)
    assert matmul(torch.ones(784, 64).T, torch.ones(784, 10)).shape == (64, 10)
    assert matmul(torch.ones(64, 784), torch.ones(784, 10)).shape == (64, 10)


def test_other_refusals():
    x = torch.ones(2, 2)
    for pair in [(x, x.double()), (x, x.long()), (x.half(), x)]:
        assert str(pair[0].dtype) in (said := refusal(matmul, *pair)) and str(pair[1].dtype) in said and "b.to(a.dtype)" in said
        refusal(torch.matmul, *pair)
    assert "a.float()" in refusal(matmul, *[torch.ones(2, 2).bool()] * 2)
    assert "torch.tensor" in refusal(matmul, [[1.0]], torch.ones(1, 1)) and "second" in refusal(matmul, torch.ones(1, 1), 3)
    assert "one device" in refusal(matmul, torch.ones(2, 2), torch.ones(2, 2, device="meta"))
    with pytest.raises(NotImplementedError, match="out="): matmul(torch.ones(2, 2), torch.ones(2, 2), out=torch.ones(2, 2))
    assert torch.equal(matmul(input=torch.ones(2, 3), other=torch.ones(3, 2)), torch.full((2, 2), 3.0))


def test_error_in_float32_is_like_torchs():
    for rows, inner, columns in [(300, 2000, 300), (50, 5000, 10)]:
        a, b = randn(rows, inner), randn(inner, columns, seed=1)
        error = {f: (f(a.float(), b.float()).double() - a @ b).abs().max() for f in (matmul, torch.matmul)}
        assert error[matmul] < 4 * error[torch.matmul] + 1e-5 * inner**0.5


# memory, in a process of its own: how far each run rises above what was held before it
MEMORY = """
import sys, torch
from lesson_nb.matmul import matmul, einsum
torch.set_num_threads(1)

def rise(function):
    open("/proc/self/clear_refs", "w").write("5")   # forget the highest point so far
    lines = dict(line.split(":") for line in open("/proc/self/status"))
    result = function()
    after = dict(line.split(":") for line in open("/proc/self/status"))
    return (int(after["VmHWM"].split()[0]) - int(lines["VmRSS"].split()[0])) / 1024

ones = torch.ones
def tall(): return lambda a=ones(60000, 784), b=ones(784, 10): matmul(a, b)
def square(): return lambda a=ones(1024, 1024), b=ones(1024, 1024): matmul(a, b)
def vector(): return lambda a=ones(1, 8000), b=ones(8000, 4000): matmul(a, b)
def batch(): return lambda a=ones(64, 128, 128), b=ones(64, 128, 128): matmul(a, b)
def stretched(): return lambda a=ones(64, 1, 64, 64), b=ones(8, 64, 64): matmul(a, b)
def by_einsum(): return lambda a=ones(60000, 784), b=ones(10, 784): einsum('ik,jk->ij', a, b)
def backward(): return lambda a=ones(20000, 784, requires_grad=True), b=ones(784, 10, requires_grad=True): matmul(a, b).sum().backward()
def box(): return lambda a=ones(8000, 784), b=ones(784, 10): (a[:, :, None] * b).sum(1)
for name in sys.argv[1:]:
    function = globals()[name]()
    print(name, rise(function))
    del function
"""
# MB; the boxes would take from 0.1 to 4.3 GB
ALLOWED = {"square": 48, "vector": 48, "batch": 48, "stretched": 48, "tall": 64, "by_einsum": 64, "backward": 250}


@pytest.fixture(scope="module")
def megabytes():
    if not os.access("/proc/self/clear_refs", os.W_OK): pytest.skip("no /proc/self/clear_refs here")
    done = subprocess.run([sys.executable, "-c", MEMORY, *ALLOWED, "box"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return {name: float(value) for name, value in map(str.split, done.stdout.splitlines())}


@pytest.mark.parametrize("name", ALLOWED)
def test_memory_is_bounded(megabytes, name): assert megabytes[name] < ALLOWED[name]


def test_the_memory_test_sees_a_box(megabytes): assert megabytes["box"] > 200


# broadcast_shapes
@given(st.lists(st.lists(st.sampled_from([0, 1, 1, 2, 3]), max_size=4), max_size=4))
def test_broadcast_shapes_equals_torch(shapes):
    shapes = [tuple(s) for s in shapes]
    try: expected = torch.broadcast_shapes(*shapes)
    except RuntimeError: assert "do not broadcast" in refusal(broadcast_shapes, *shapes)
    else:
        assert broadcast_shapes(*shapes) == expected and type(broadcast_shapes(*shapes)) is torch.Size


def test_broadcast_shapes_of_numbers_and_its_error():
    assert broadcast_shapes(5, (1,)) == torch.broadcast_shapes(5, (1,)) == (5,)
    message = refusal(broadcast_shapes, (2, 3), (4, 3), (3,))
    assert "(2, 3) and (4, 3) and (3,)" in message and "axis -2" in message and "2 and 4" in message and "None" in message


# einsum
EQUATIONS = ["ij,jk->ik", "bij,bjk->bik", "ij->ji", "ii->i", "ii->", "ii", "ij,ij->ij", "ij,ij->", "ij,ij", "i,j->ij", "i,j", "ijk,kl",
             "ij,jk,kl->il", "ij,jk,kl", "bhqd,bhkd->bhqk", "...ij,...jk->...ik", "i...j,j->...i", "iji->j", "ij,ik->i", "a,b,c->abc",
             "ij->", "ij", "abcd,dcba->", "aab,bcc->ac", "...,...->...", "...ij,jk", "bij,j", "ij,->ij", " i j , j k -> i k ",
             "ab,ac,ad->bcd", "ba", "i,i,i->i", "...i->...", "...i->...i", "a...a->...a", "iii->i", "Aa,aA->A", "ij...,jk...->ik...",
             ",->", "i,->"]


def operands_of(equation, data):
    "A tensor for each operand; sizes by letter, now and then 1 where another operand has more."
    size, one = st.sampled_from([0, 1, 2, 3, 4]), st.integers(0, 9)
    sizes = {c: data.draw(size) for c in "abcdhijklqA"}
    unnamed = data.draw(st.lists(st.sampled_from([1, 2, 3]), max_size=2))
    for i, term in enumerate(equation.replace(" ", "").split("->")[0].split(",")):
        front, dots, back = term.partition("...")
        unique = len(set(term.replace(".", ""))) == len(term.replace(".", ""))
        def one_of(c): return 1 if unique and data.draw(one) == 0 else sizes[c]
        yield randn(*map(one_of, front), *(unnamed if dots else []), *map(one_of, back), seed=i)


@pytest.mark.parametrize("equation", EQUATIONS)
@given(st.data())
def test_einsum_and_its_gradients_equal_torch(equation, data):
    operands = list(operands_of(equation, data))
    try: expected = with_gradients(lambda *o: torch.einsum(equation, *o), *operands)
    except RuntimeError: return
    for ours, theirs in zip(with_gradients(lambda *o: einsum(equation, *o), *operands), expected): torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("equation", ["ij,jk->iz", "ij,jk->ii", "ij,jk,kl->il", "ijk,jk->i", "ij->jk->i", "i1,jk->i", "i.j,jk->i", 
                                      "ij,jk-ik", "i,jk->ik", "ij;jk->ik", "ii,jk->i"])
def test_einsum_refuses_what_torch_refuses(equation):
    refusal(torch.einsum, equation, torch.ones(2, 3), torch.ones(3, 4))
    assert refusal(einsum, equation, torch.ones(2, 3), torch.ones(3, 4)).startswith("einsum: ")


def test_einsum_names_letter_and_shapes():
    message = refusal(einsum, "ij,jk->ik", torch.ones(2, 3), torch.ones(4, 5))
    assert all(part in message for part in ("'j'", "3", "4", "ij (2, 3)", "jk (4, 5)")), message
    with pytest.raises(NotImplementedError, match="equation"): einsum(torch.ones(2, 3), [0, 1], [1, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int32, torch.complex64], ids=str)
def test_einsum_keeps_the_dtype(dtype):
    a, b = (3 * randn(2, 3, 4)).to(dtype), (3 * randn(4, 3, seed=1)).to(dtype)
    for equation in ("bij,jk->bik", "bij,jk->b", "bij,jk->"):
        assert einsum(equation, a, b).dtype == dtype
        tolerance, expected = 0.1 if dtype == torch.bfloat16 else 1e-4, torch.einsum(equation, a, b)
        if dtype == torch.int32: expected = expected.to(dtype)   # torch's widens whole numbers, but only where it sums one operand
        torch.testing.assert_close(einsum(equation, a, b), expected, rtol=tolerance, atol=tolerance)


# accuracy
def test_accuracy():
    scores = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert accuracy(scores, torch.tensor([1, 0, 1])) == 1.0 and accuracy(scores, torch.tensor([0, 1, 0])) == 0.0
    assert accuracy(scores, torch.tensor([1, 1, 1])) == pytest.approx(2 / 3)
    for bad in [(scores, torch.tensor([1, 0])), (scores[0], torch.tensor(1)), (scores, torch.zeros(3, 2))]:
        with pytest.raises(ValueError, match="expected scores"): accuracy(*bad)


# nothing is handed to PyTorch's own product
FORBIDDEN = {"mm", "bmm", "mv", "dot", "addmm", "baddbmm", "addmv", "addbmm", "matmul", "einsum", "tensordot", "linear", "vdot"}
CALLS = [(matmul, [floats("n", "k"), floats("k", "m")]), (matmul, [floats("n", 300), floats(300, 400)]),
         (matmul, [floats(4, 70, 80), floats(4, 80, 90)]), (matmul, [floats("k"), floats("k")]),
         (lambda a, b: einsum("bij,bjk->bik", a, b), [floats("n", 3, 4), floats("n", 4, 5)]),
         (lambda a, b: einsum("ij,jk", a, b), [floats("n", 300), floats(300, 400)])]


@pytest.mark.parametrize("function, arguments", CALLS, ids=range(len(CALLS)))
def test_no_kernel_of_torchs_product_is_used_forward_or_backward(function, arguments):
    kernels, called = what_it_calls(function, arguments)
    assert not kernels & FORBIDDEN and not {c.rpartition(".")[2] for c in called} & FORBIDDEN
    assert kernels & {"addcmul", "addcmul_", "mul"}


def test_that_test_sees_a_delegation():
    assert what_it_calls(lambda a, b: a @ b, [floats("n", "k"), floats("k", "m")])[0] & FORBIDDEN
    with pytest.raises(AssertionError, match="not rebuilt"):
        with_lesson = dict(core.state)
        try:
            core.state.update(lesson="01_matmul", allowed=set())
            assert_same(lambda a, b: torch.mm(a, b), torch.matmul, floats("n", "k"), floats("k", "m"))
        finally: core.state.update(with_lesson)


# the lesson's GPU kernel, thread by thread, without a GPU
SIMULATED = """
import numpy
from numba import cuda
{kernel}
for rows, inner, columns in [(1, 1, 1), (5, 7, 3), (17, 4, 33), (16, 16, 16), (3, 0, 2)]:
    a, b = (numpy.random.default_rng(0).random(shape, dtype=numpy.float32) for shape in ((rows, inner), (inner, columns)))
    product = numpy.full((rows, columns), numpy.nan, numpy.float32)
    one_entry[((columns + 15) // 16, (rows + 15) // 16), (16, 16)](a, b, product)
    assert numpy.allclose(product, a @ b, rtol=1e-4), (rows, inner, columns)
print("same")
"""


def kernel_source():
    cell = next(source for _, source in code_cells(NOTEBOOK) if source.startswith("%%cuda") and "cuda.jit" in source)
    return next(ast.unparse(node) for node in python_of(cell).body if getattr(node, "name", "") == "one_entry")


def simulate(kernel):
    program = SIMULATED.format(kernel=textwrap.dedent(kernel))
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, env=environment)


def test_gpu_kernel_in_the_simulator():
    pytest.importorskip("numba")
    done = simulate(kernel_source())
    assert done.stdout.strip() == "same", done.stderr


@pytest.mark.parametrize("good, bad", [("b[k, column]", "b[column, k]"), ("row < product.shape[0] and", ""), ("+=", "="),
                                       ("cuda.grid(2)", "cuda.grid(2)[::-1]")])
def test_the_simulator_sees_a_wrong_kernel(good, bad):
    pytest.importorskip("numba")
    assert good in kernel_source()
    done = simulate(kernel_source().replace(good, bad, 1))
    assert done.returncode != 0 and "Error" in done.stderr
