"""The worker processes: answers in order, errors and deaths that say where, and nothing left behind; Ctrl-C and kill -9 for real."""
import faulthandler, multiprocessing, os, random, signal, subprocess, sys, textwrap, time
from collections import namedtuple
from pathlib import Path
import numpy, pytest, torch
from lesson_nb.workers import COLLATING, EndOfStream, WorkerPool, get_worker_info

ROOT = Path(__file__).parent.parent
FORK = "fork" in multiprocessing.get_all_start_methods()
needs_fork = pytest.mark.skipif(not FORK, reason="functions of a test's own go to a forked process only")
Pair = namedtuple("Pair", "left right")


class Odd(Exception):
    "An exception that wants two arguments."
    def __init__(self, left, right): super().__init__(left, right)


def doubled(dataset): return lambda task, progress: {"task": task, "tensor": torch.tensor(task) * 2}
def told(dataset): return lambda task, progress: (os.getpid(), get_worker_info(), torch.initial_seed(), random.random(), numpy.random.rand(), torch.rand(1).item())


def misbehaving(dataset):
    "Reads numbers, and does what some of them ask for."
    def read(task, progress):
        for progress[0], index in enumerate(task):
            if index == "raise": raise ValueError("a picture\nthat is broken")
            if index == "key": raise KeyError("a missing name")
            if index == "odd": raise Odd(1, 2)
            if index == "exit": os._exit(7)
            if index == "leave": sys.exit(5)
            if index == "kill": os.kill(os.getpid(), signal.SIGKILL)
            if index == "segfault": faulthandler.disable(); os.kill(os.getpid(), signal.SIGSEGV)
            if index == "sleep": time.sleep(60)
            if index == "lambda": return lambda: 1
        progress[0] = COLLATING
        if task[0] == "unequal": return torch.stack([torch.zeros(1), torch.zeros(2)])
        return task
    return read


@pytest.fixture(autouse=True)
def nobody_stays():
    "Every test ends without a process of ours."
    yield
    deadline = time.monotonic() + 5
    while multiprocessing.active_children() and time.monotonic() < deadline: time.sleep(0.02)
    assert multiprocessing.active_children() == []


def run(make_reader, tasks, workers=2, dataset=None, **kwargs):
    pool = WorkerPool(dataset, make_reader, workers, **kwargs)
    try: return list(pool.run(tasks))
    finally: pool.close()


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("prefetch_factor", [1, 2, 7])
@pytest.mark.parametrize("count", [0, 1, 4, 23])
def test_answers_come_in_the_order_of_the_tasks(workers, prefetch_factor, count):
    tasks = [[i, i + 1] for i in range(count)]
    answers = run(doubled, tasks, workers, prefetch_factor=prefetch_factor)
    assert [a["task"] for a in answers] == tasks and all(torch.equal(a["tensor"], torch.tensor(t) * 2) for a, t in zip(answers, tasks))


@needs_fork
def test_order_holds_where_the_first_worker_is_slow():
    def uneven(dataset):
        def read(task, progress):
            if get_worker_info().id == 0: time.sleep(0.03)
            return task
        return read
    assert run(uneven, range(12), 3) == list(range(12))
    loose = run(uneven, range(12), 3, in_order=False)
    assert sorted(loose) == list(range(12)) and loose != list(range(12))


def test_spawned_processes_do_as_forked_ones():
    answers = run(doubled, [[1], [2], [3]], 1, context="spawn")
    assert [a["tensor"].item() for a in answers] == [2, 4, 6]


def everything():
    strided = torch.arange(12.0).reshape(3, 4).T
    return {"floats": torch.randn(5, 3), "strided": strided, "none": torch.zeros(0, 3), "scalar": torch.tensor(2.5), "bool": torch.tensor([True, False]), "half": torch.randn(3).half(),
            "bfloat16": torch.randn(7).bfloat16(), "complex": torch.randn(2, dtype=torch.complex64), "int8": torch.tensor([-1], dtype=torch.int8), "leaf": torch.ones(2, requires_grad=True),
            "sparse": torch.eye(3).to_sparse(), "conjugate": torch.randn(2, dtype=torch.complex64).conj(), "text": ["a", "b"], "pair": Pair(torch.ones(1), None), "nested": [(torch.ones(2, 2), 1)],
            "numpy": numpy.arange(3), "parameter": torch.nn.Parameter(torch.ones(1)), "expanded": torch.ones(1).expand(4)}


def giving_everything(dataset):
    def read(task, progress):
        torch.manual_seed(task)
        return everything()
    return read


def alike(a, b):
    if isinstance(a, torch.Tensor): return type(a) is type(b) and a.dtype == b.dtype and a.requires_grad == b.requires_grad and a.layout == b.layout and torch.equal(a.to_dense() if a.is_sparse else a, b.to_dense() if b.is_sparse else b)
    if isinstance(a, numpy.ndarray): return a.dtype == b.dtype and (a == b).all()
    if isinstance(a, dict): return list(a) == list(b) and all(alike(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)): return type(a) is type(b) and len(a) == len(b) and all(map(alike, a, b))
    return a == b


def test_anything_that_can_be_pickled_travels_whole():
    answers = run(giving_everything, range(5))
    for seed, answer in enumerate(answers):
        torch.manual_seed(seed)
        for name, value in everything().items(): assert alike(answer[name], value), name


def growing(dataset): return lambda task, progress: torch.full((task,), task, dtype=torch.int32)


def test_batches_are_copies_and_may_grow_and_shrink():
    sizes = [1, 100_000, 10, 0, 500_000, 3, 200_000, 7, 1_000_000]
    answers = run(growing, sizes, 2, prefetch_factor=2)
    assert [len(a) for a in answers] == sizes and all((a == n).all() for a, n in zip(answers, sizes)), "no batch is overwritten by a later one"


def chatty(dataset): return lambda task, progress: ["x" * 1_000_000] * 2 + task[:1]


def test_large_tasks_and_large_answers_do_not_block_each_other():
    answers = run(chatty, [list(range(200_000)) for _ in range(8)], 2, prefetch_factor=4)
    assert len(answers) == 8 and all(len(a[0]) == 1_000_000 for a in answers)


def test_workers_know_who_they_are_and_are_seeded_as_pytorchs():
    from torch.utils.data import DataLoader
    answers = run(told, range(4), 2, dataset="the dataset", base_seed=1234567890123456789)
    for i, (pid, info, seed, *draws) in enumerate(answers[:2]):
        assert (info.id, info.num_workers, info.seed, info.dataset) == (i, 2, 1234567890123456789 + i, "the dataset") and seed == info.seed and pid != os.getpid()
    assert answers[0][3:] != answers[1][3:] and answers[0][0] == answers[2][0] and get_worker_info() is None
    g = torch.Generator().manual_seed(11)
    base_seed = torch.empty((), dtype=torch.int64).random_(generator=g).item()
    theirs = list(DataLoader(Draws(), batch_size=None, num_workers=2, generator=g.manual_seed(11)))
    ours = run(drawing, range(4), 2, dataset=Draws(), base_seed=base_seed)
    assert ours == theirs


class Draws(torch.utils.data.Dataset):
    def __len__(self): return 4
    def __getitem__(self, i): return [random.random(), numpy.random.rand(), torch.rand(1).item(), torch.utils.data.get_worker_info().id]


def drawing(dataset): return lambda task, progress: dataset[task]


def initial(worker):
    get_worker_info().dataset.append(worker)
    torch.manual_seed(100 + worker)


def after_init(dataset): return lambda task, progress: (dataset, torch.initial_seed())


def failing_init(worker): raise OSError(f"no disk for {worker}")


def test_worker_init_fn_is_called_first_and_may_seed():
    assert run(after_init, range(3), 2, dataset=[], worker_init_fn=initial) == [([0], 100), ([1], 101), ([0], 100)]
    with pytest.raises(OSError, match=r"worker 0 of 2 \(process \d+\) failed in worker_init_fn(.|\n)*failing_init(.|\n)*no disk for 0"): run(after_init, range(3), worker_init_fn=failing_init)


# errors and deaths ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("index, error, why", [
    ("raise", ValueError, r"while reading index 'raise', number 1 of the batch of indices \[1, 'raise', 2\](.|\n)*Traceback(.|\n)*in read\n(.|\n)*ValueError: a picture\nthat is broken"),
    ("key", KeyError, r"number 1 of the batch(.|\n)*KeyError: 'a missing name'"), ("odd", RuntimeError, "Odd: "), ("lambda", Exception, "(?i)pickle"),
])
def test_an_error_says_worker_index_and_traceback(index, error, why):
    tasks = [[0], [5], [6], [1, index, 2], [7]]
    with pytest.raises(error, match=why) as caught: run(misbehaving, tasks)
    assert "worker 1 of 2 (process " in str(caught.value) and (index != "key" or "\\n" not in str(caught.value)), "printed in lines, also by a KeyError"


def test_an_error_in_putting_together_names_the_batch():
    with pytest.raises(RuntimeError, match=r"while putting together the batch of indices \['unequal', 2, 3, 4, 5, 6, ...\]"): run(misbehaving, [["unequal", 2, 3, 4, 5, 6, 7, 8]])


@needs_fork
def test_an_error_of_a_type_that_cannot_travel():
    class Local(Exception): pass
    def reader(dataset):
        def read(task, progress): raise Local("from within")
        return read
    with pytest.raises(RuntimeError, match="Local: from within"): run(reader, [[1]])


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("index, how", [("exit", "ended itself with exit code 7"), ("leave", "ended itself with exit code 5"), ("kill", "killed by SIGKILL; did memory run out"), ("segfault", "killed by SIGSEGV; a library")])
def test_a_death_says_worker_index_and_cause(index, how):
    start = time.monotonic()
    with pytest.raises(RuntimeError, match=rf"worker 0 of 2 \(process \d+\) died while reading index '{index}', number 2 of the batch of indices \[5, 6, '{index}'\]: .*{how}"):
        run(misbehaving, [[0], [1], [5, 6, index], [2], [3]])
    assert time.monotonic() - start < 5


def test_answers_from_before_a_death_still_come():
    pool = WorkerPool(None, misbehaving, 1, 4)
    list(pool.run([[0]] * 4))   # new shared memory is taken over from a living process only
    answers = pool.run([[0], [1], ["exit"], [2]])
    assert next(answers) == [0]
    pool.processes[0].join(5)
    assert next(answers) == [1]
    with pytest.raises(RuntimeError, match="died"): next(answers)
    assert pool.closed


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_an_idle_worker_killed_from_outside_is_noticed():
    pool = WorkerPool(None, misbehaving, 2)
    assert list(pool.run([[0], [1]])) == [[0], [1]]
    os.kill(pool.processes[1].pid, signal.SIGKILL)
    pool.processes[1].join(5)
    with pytest.raises(RuntimeError, match="worker 1 of 2 .* died"): list(pool.run([[0], [1], [2], [3]]))


def test_timeout_says_who_and_where():
    start = time.monotonic()
    with pytest.raises(RuntimeError, match="worker 1 of 2 .* no answer for timeout=0.3 seconds while reading index 'sleep'"): run(misbehaving, [[0], ["sleep"]], timeout=0.3)
    assert time.monotonic() - start < 5, "and a worker in the midst of something is not waited for"


# lives of a pool -----------------------------------------------------------------------------------------------------------------
def test_a_pool_is_used_again_and_broken_off():
    pool = WorkerPool(None, told, 2)
    pids = {a[0] for a in pool.run(range(4))}
    answers = pool.run(range(100))
    next(answers)
    with pytest.raises(RuntimeError, match="idle pool, this one is at work"): next(pool.run([1]))
    answers.close()
    for _ in range(3):
        answers = pool.run(range(5))
        next(answers)
        answers.close()
    assert {a[0] for a in pool.run(range(4))} == pids and len(pids) == 2
    pool.close()
    pool.close()
    with pytest.raises(RuntimeError, match="this one is closed"): next(pool.run([1]))


def test_after_breaking_off_no_old_answer_turns_up():
    pool = WorkerPool(None, growing, 2, 3)
    for n in range(1, 30):
        answers = pool.run([n * 1000 + i for i in range(9)])
        got = [next(answers) for _ in range(n % 4)]
        assert [len(g) for g in got] == [n * 1000 + i for i in range(n % 4)] and all((g == len(g)).all() for g in got)
        answers.close()
    pool.close()


def test_a_forgotten_pool_ends_its_processes():
    pool = WorkerPool(None, doubled, 2)
    processes = pool.processes
    del pool
    for process in processes: process.join(5)
    assert not any(p.is_alive() for p in processes)


def ending(dataset):
    left = iter(range(get_worker_info().id * 3 + 1))
    def read(task, progress):
        for i in left: return get_worker_info().id, i
        raise EndOfStream
    return read


@pytest.mark.parametrize("prefetch_factor", [1, 2, 5])
def test_workers_may_end_one_by_one(prefetch_factor):
    from itertools import repeat
    pool = WorkerPool(None, ending, 3, prefetch_factor)
    expected = [(0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (1, 2), (2, 2), (1, 3), (2, 3), (2, 4), (2, 5), (2, 6)]
    for _ in range(2): assert list(pool.run(repeat(None))) == expected, "and begin anew in the next epoch"
    pool.close()


def test_no_more_than_prefetch_factor_tasks_lie_before_a_worker():
    asked = []
    pool = WorkerPool(None, doubled, 2, 3)
    answers = pool.run(asked.append(i) or [i] for i in range(50))
    for k in range(20):
        next(answers)
        assert len(asked) == 2 * 3 + k + 1
    answers.close()
    pool.close()


@needs_fork
def test_a_pool_in_a_thread():
    import threading
    found = []
    thread = threading.Thread(target=lambda: found.extend(run(doubled, [[1], [2]])))
    thread.start(); thread.join(20)
    assert [f["task"] for f in found] == [[1], [2]]


def test_a_failing_start_leaves_nobody():
    if FORK: context = multiprocessing.get_context("spawn")
    else: context = multiprocessing.get_context()
    with pytest.raises(Exception, match="(?i)pickle|local"): WorkerPool(lambda: None, doubled, 2, context=context)
    assert multiprocessing.active_children() == []


# signals, for real -----------------------------------------------------------------------------------------------------------------
PROGRAM = """
import multiprocessing, os, sys, time, torch
sys.path[:0] = [{root!r}]
from lesson_nb.data import DataLoader, Dataset
class Slow(Dataset):
    def __len__(self): return 100000
    def __getitem__(self, i):
        time.sleep({item})
        return torch.ones(3)
loader = DataLoader(Slow(), 4, num_workers=2, persistent_workers={persistent}, multiprocessing_context="fork")
try:
    for i, batch in enumerate(loader):
        if i == 0: print("pids", *[p.pid for p in multiprocessing.active_children()], flush=True)
        time.sleep({step})
except KeyboardInterrupt:
    left = [p for p in multiprocessing.active_children()]
    print("interrupted, left:", len(left), flush=True)
    if {persistent}: print("again:", next(iter(loader)).shape[0], flush=True)
"""


def alive(pid):
    try: return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError: pass
    try: os.kill(pid, 0)
    except OSError: return False
    return not Path("/proc/self").exists()


def wait_until_gone(pids, seconds=10):
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < deadline: time.sleep(0.05)
    return [p for p in pids if alive(p)]


def started(**values):
    program = PROGRAM.format(root=str(ROOT), **values)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    line = process.stdout.readline()
    assert line.startswith("pids"), line + process.stderr.read()
    return process, [int(p) for p in line.split()[1:]]


@pytest.mark.skipif(os.name == "nt" or not FORK, reason="process groups")
@pytest.mark.parametrize("item, step", [(0.0, 0.05), (0.05, 0.0), (0.0, 0.0), (5.0, 0.0)], ids=["in the loop's body", "while waiting for a worker", "anywhere", "with workers in a long read"])
@pytest.mark.parametrize("persistent", [False, True])
def test_ctrl_c_leaves_no_process_behind(item, step, persistent):
    if item == 5.0: process, pids = started(item="5.0 if i >= 8 else 0.0", step=step, persistent=False)
    else: process, pids = started(item=item, step=step, persistent=persistent)
    assert len(pids) == 2 and all(map(alive, pids))
    time.sleep(0.25)
    os.killpg(process.pid, signal.SIGINT)   # as a terminal does: to the whole group
    out, err = process.communicate(timeout=30)
    assert "interrupted" in out and process.returncode == 0, out + err
    assert "Traceback" not in err, "a worker says nothing of the interrupt"
    assert not wait_until_gone(pids)
    if not (persistent and item < 5): assert "left: 0" in out
    if persistent and item < 5: assert "again: 4" in out


@pytest.mark.skipif(os.name == "nt" or not FORK, reason="process groups")
def test_ctrl_c_while_the_workers_start():
    program = textwrap.dedent(f"""
        import multiprocessing, os, signal, sys, threading, time
        sys.path[:0] = [{str(ROOT)!r}]
        from lesson_nb.workers import WorkerPool
        start = multiprocessing.context.ForkProcess.start
        def slow_start(self):
            start(self)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
        multiprocessing.context.ForkProcess.start = slow_start
        try: WorkerPool(None, None, 3, context="fork")
        except KeyboardInterrupt: print("interrupted", len(multiprocessing.active_children()), signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "interrupted 0 True" and done.stderr == "", done.stdout + done.stderr


@pytest.mark.skipif(os.name == "nt" or not FORK, reason="process groups")
def test_kill_9_is_noticed_though_somebody_holds_the_pipes():
    program = PROGRAM.format(root=str(ROOT), item=0.0, step=0.05, persistent=False)
    program = program.replace("        if i == 0:", "        if i == 0 and os.fork() == 0: time.sleep(30); os._exit(0)\n        if i == 0:")
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True)
    pids = [int(p) for p in process.stdout.readline().split()[1:]]
    process.kill()
    try: assert len(pids) == 2 and not wait_until_gone(pids, 12)
    finally: os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.skipif(os.name == "nt" or not FORK, reason="process groups")
@pytest.mark.parametrize("persistent", [False, True])
def test_kill_9_of_the_main_process_ends_its_workers(persistent):
    process, pids = started(item=0.0, step=0.05, persistent=persistent)
    process.kill()
    process.communicate(timeout=10)
    assert not wait_until_gone(pids)
