"""How far are our products from PyTorch's? Interleaved medians, a table, pass or miss.

    python benchmarks/matmul.py [--rounds 15] [--size 512]

Bar: the lesson's blocked numba product takes at most 3.5 times as long as torch's, float32, 512 x 512 times 512 x 512, all cores.
Each side works in a process of its own and sleeps while it is not its turn: in one process numba's threads and PyTorch's would
slow each other down. Between turns there is a pause: threads that wait for more work spin for a while, on the next side's core.
Memory that was freed stays with its process, on every side: what is compared is arithmetic, not the system's paging.
The numba functions are those of the notebook, read from its cells, so that what is measured is what the lesson shows.
"""
import argparse, os, platform, statistics, subprocess, sys, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
CALLS = 20    # products in one turn, after two that are not counted
PAUSE = 0.25  # seconds before each turn
BAR = 3.5


def numba_product(size):
    "The lesson's blocked product, compiled for all cores, on a pair of its own; torch is not imported here: their threads would mix."
    import ast, json, numpy
    wanted, names = {"dot_tile", "padded", "blocked"}, {}
    exec("import numpy\nfrom numba import njit, prange", names)
    cells = json.loads((ROOT / "nbs" / "01_matmul.ipynb").read_text(encoding="utf-8"))["cells"]
    for source in ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"):
        if source.startswith("%%") or not any(f"def {name}(" in source for name in wanted): continue
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and node.name in wanted: exec(ast.unparse(node), names)
    product = names["njit"](parallel=True)(names["blocked"])
    a, b = numpy.random.default_rng(0).standard_normal((2, size, size), dtype=numpy.float32)
    assert numpy.allclose(product(a, b), a @ b, rtol=1e-3, atol=1e-2)
    return lambda: product(a, b)


def torch_product(size, function="matmul"):
    "torch's product, or that of lesson_nb, on a pair of its own."
    import torch
    from lesson_nb.matmul import matmul
    torch.manual_seed(0)
    a, b = torch.randn(2, size, size)
    return (lambda: torch.matmul(a, b)) if function == "matmul" else (lambda: matmul(a, b))


SIDES = {"torch.matmul": torch_product, "numba, blocked": numba_product, "lesson_nb.matmul": lambda size: torch_product(size, "ours")}


def work(side, size):
    "A worker: answers each line on its standard input, a number of products, with the seconds that one took."
    product = SIDES[side](size)
    print("ready", flush=True)
    for line in sys.stdin:
        for _ in range(2): product()
        start = time.perf_counter()
        for _ in range(int(line)): product()
        print((time.perf_counter() - start) / int(line), flush=True)


class Worker:
    "One side in a process of its own."
    def __init__(self, side, size):
        command = [sys.executable, __file__, "--work", side, "--size", str(size)]
        keep = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**30)}  # on every side: freed memory stays at hand
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | keep)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line: raise SystemExit("a worker ended early; its error stands above")
        return line.strip()

    def turn(self):
        "Seconds a product, in one turn."
        time.sleep(PAUSE)
        print(CALLS, file=self.process.stdin, flush=True)
        return float(self.answer())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work: return work(args.work, args.size)
    import torch
    workers = {side: Worker(side, args.size) for side in SIDES}
    try: rounds = [{side: worker.turn() for side, worker in workers.items()} for _ in range(args.rounds)]
    finally:
        for worker in workers.values(): worker.close()
    seconds = {side: statistics.median(r[side] for r in rounds) for side in SIDES}
    print(f"{args.size} x {args.size} times {args.size} x {args.size}, float32; medians of {args.rounds} interleaved rounds")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, Python {platform.python_version()}\n")
    print(f"{'':18}{'ms':>9}{'GFLOP/s':>10}{'/ torch':>9}   bar")
    for side, s in seconds.items():
        ratio = s / seconds["torch.matmul"]
        verdict = f"{BAR}   {'pass' if ratio <= BAR else 'MISS'}" if side == "numba, blocked" else ""
        print(f"{side:18}{1e3 * s:9.3f}{2 * args.size**3 / s / 1e9:10.1f}{ratio:9.2f}   {verdict}")
    return int(seconds["numba, blocked"] > BAR * seconds["torch.matmul"])


if __name__ == "__main__": sys.exit(main())
