"""nbdev_test for each notebook in a process of its own, several at a time: `python -m tools.nbdev_tests WORKERS NOTEBOOK...`

In one process the variables of every notebook that has run would stay in memory (each IPython shell is kept until the process
ends): over 20 GB for the whole course. And a notebook that kills its process takes no other with it. On Linux the processes are
forked from this one, which has imported what nearly all of them need: seconds for each. Elsewhere, and beside a GPU (CUDA does not
survive a fork), each starts from nothing."""
import gc, importlib, os, shutil, subprocess, sys, tempfile, time

CODE = "from nbdev.test import nbdev_test; nbdev_test(path={!r}, n_workers=0, do_print=True)"
NEEDED = ("nbdev.test", "torch", "torch._dynamo", "matplotlib.pyplot", "pandas")
FORKS = sys.platform == "linux" and not shutil.which("nvidia-smi")


def run_here(path, log):
    "One notebook in this process, a fork; what it prints goes into a file. Returns the exit status."
    for stream in (1, 2): os.dup2(log.fileno(), stream)
    try: exec(CODE.format(path), {})
    except SystemExit as end: return end.code
    return 0


def main(workers, *paths):
    "All of them; what each prints is shown when it has ended, so that two tracebacks do not mix. Returns the exit status."
    if FORKS:
        for name in NEEDED: importlib.import_module(name)
        gc.freeze()                                                               # the collector of a fork need not go through these
    waiting, running, worst = list(paths), {}, 0
    while waiting or running:
        while waiting and len(running) < int(workers):
            path, log = waiting.pop(0), tempfile.TemporaryFile()
            print(f"Starting {path}", flush=True)
            if FORKS:
                process = os.fork()
                if not process: return run_here(path, log)                        # the child leaves as a program does, by the end of `main`
            else: process = subprocess.Popen([sys.executable, "-c", CODE.format(path)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            running[process] = path, log
        if FORKS:
            ended, status = os.waitpid(-1, 0)
            status = os.waitstatus_to_exitcode(status)
        else:
            while not (done := [process for process in running if process.poll() is not None]): time.sleep(0.1)
            ended, status = done[0], done[0].returncode
        path, log = running.pop(ended)
        log.seek(0)
        lines = [line for line in log.read().decode("utf-8", "replace").splitlines() if line != f"Starting {path}"]
        if status not in (0, 1): lines.append(f"{path}: its process ended with status {status}")
        print("\n".join(lines), flush=True)
        worst = worst or status
    return int(bool(worst))


if __name__ == "__main__": sys.exit(main(*sys.argv[1:]))
