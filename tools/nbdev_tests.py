"""nbdev_test for each notebook in a process of its own, several at a time: `python -m tools.nbdev_tests WORKERS NOTEBOOK...`

In one process the variables of every notebook that has run would stay in memory (each IPython shell is kept until the process
ends): over 20 GB for the whole course. And a notebook that kills its process takes no other with it."""
import subprocess, sys, threading
from concurrent.futures import ThreadPoolExecutor

CODE = "from nbdev.test import nbdev_test; nbdev_test(path={!r}, n_workers=0, do_print=True)"
ONE_AT_A_TIME = threading.Lock()


def run(path):
    "One notebook; what it prints is shown when it has ended, so that two tracebacks do not mix. Returns the exit status."
    with ONE_AT_A_TIME: print(f"Starting {path}", flush=True)
    done = subprocess.run([sys.executable, "-c", CODE.format(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, encoding="utf-8", errors="replace")
    lines = [line for line in done.stdout.splitlines() if line != f"Starting {path}"]
    if done.returncode not in (0, 1): lines.append(f"{path}: its process ended with status {done.returncode}")
    with ONE_AT_A_TIME: print("\n".join(lines), flush=True)
    return done.returncode


def main(workers, *paths):
    "All of them; returns the exit status."
    with ThreadPoolExecutor(int(workers)) as pool: return int(any(list(pool.map(run, paths))))


if __name__ == "__main__": sys.exit(main(*sys.argv[1:]))
