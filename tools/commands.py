"The commands behind tools/run.py: set-up, JupyterLab, the whole test, re-running lessons. Standard library only."
import argparse, contextlib, hashlib, json, os, re, shlex, shutil, signal, subprocess, sys, tempfile, threading, time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMP = "lesson_nb-setup.json"
STAMPED = ["settings.ini", "setup.py", "pyproject.toml", "constraints.txt"]
IMPORT_NAMES = {"scikit-learn": "sklearn", "pillow": "PIL", "pytest-xdist": "xdist"}
HELP = """\
python3 tools/run.py COMMAND      (on Windows: py tools\\run.py COMMAND; with make: make COMMAND)

  setup                 install everything into .venv, here in the repository (the others do it too if need be)
  lab [ARGUMENTS]       open JupyterLab on nbs/index.ipynb; ARGUMENTS and $LAB_ARGS go to JupyterLab
  test [NOTEBOOK...] [--seed N]   everything: the export is clean, every notebook runs, pytest passes; or only the notebooks
                        named; with other random numbers if N is not 0
  notebooks [NOTEBOOK...]   re-run the lessons and store their outputs, export them, renew the generated tables
  results [NOTEBOOK...] [--seeds N]   the same with the long runs on real data; writes nbs/results.toml
  help                  this

Data sets are looked for in $LESSON_NB_DATA, then in the user's cache; `test` never downloads one."""


class Trouble(Exception):
    "Something that the user can mend; the message says how."


def say(*lines):
    "Print at once, whoever reads the output."
    print(*lines, sep="\n", flush=True)


# ---- the environment

def venv_python(root=ROOT):
    "Where the Python of this repository's `.venv` is."
    return root/".venv"/("Scripts/python.exe" if os.name == "nt" else "bin/python")


def child_environment(root=ROOT, **extra):
    "The environment for everything that runs inside `.venv`."
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "__PYVENV_LAUNCHER__", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    scripts = str(venv_python(root).parent)
    env.update(VIRTUAL_ENV=str(root/".venv"), PATH=scripts + os.pathsep + env.get("PATH", ""), PIP_USER="0", PYTHONUTF8="1",
               JUPYTER_PREFER_ENV_PATH="1")
    env.update({k: str(v) for k, v in extra.items()})
    return env


def describe(root=ROOT):
    "What the Python in `.venv` says of itself, or None where there is no working one."
    asked = "import json, platform, sysconfig; p = sysconfig.get_paths(); print(json.dumps(" \
            "{'version': platform.python_version(), 'folders': sorted({p['purelib'], p['platlib']})}))"
    try:
        answer = subprocess.run([venv_python(root), "-I", "-c", asked], capture_output=True, text=True, timeout=60)
        return json.loads(answer.stdout) if answer.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def wanted_stamp(python_version, root=ROOT):
    "What the stamp has to say for `.venv` to be whole and current: what was installed from, for which Python, and where."
    digest = hashlib.sha256()
    for name in STAMPED: digest.update(name.encode() + b"\0" + (root/name).read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return {"inputs": digest.hexdigest(), "python": python_version, "root": str(root)}


def read_stamp(root=ROOT):
    "The stamp that the last finished set-up left, or None."
    try: return json.loads((root/".venv"/STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError): return None


def is_ready(root=ROOT):
    "Is `.venv` whole, and made from the files that are here now?"
    stamp = read_stamp(root)
    if stamp is None: return False
    python = describe(root)
    return python is not None and stamp == wanted_stamp(python["version"], root)


def half_installed(folders):
    "What an interrupted pip left behind: packages without the RECORD that is written last, and folders set aside as `~name`."
    for folder in map(Path, folders):
        if not folder.is_dir(): continue
        yield from (p.parent for p in folder.glob("*.dist-info/METADATA") if not (p.parent/"RECORD").exists())
        yield from (p for p in folder.glob("*.dist-info") if not (p/"METADATA").exists())
        yield from folder.glob("~*")


def is_broken(python, root=ROOT):
    "Must `.venv` be made anew, rather than mended? `python` is what `describe` said of it."
    if python is None or tuple(map(int, python["version"].split(".")[:2])) < (3, 11): return True
    stamp = read_stamp(root)
    if stamp and stamp.get("root") != str(root): return True       # moved or copied: its scripts name the old place
    if any(p.name.startswith("pip-") for p in half_installed(python["folders"])): return True
    return subprocess.run([venv_python(root), "-m", "pip", "--version"], capture_output=True, env=child_environment(root)).returncode != 0


def make_venv(root=ROOT):
    "An empty `.venv`, whatever was there before."
    import importlib.util
    inside = Path(sys.prefix).resolve() == (root/".venv").resolve()
    if inside and os.name == "nt":
        raise Trouble("the Python of .venv cannot replace .venv while it runs.", "run `deactivate`, then this command again.")
    if not inside and not (importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv")):
        version = "%d.%d" % sys.version_info[:2]
        raise Trouble(f"this Python ({sys.executable}) cannot make virtual environments: its venv or ensurepip module is missing.",
                      f"Debian and Ubuntu ship them apart: sudo apt install python3-venv (or python{version}-venv); then run this again.")
    python = getattr(sys, "_base_executable", None) or sys.executable
    command = [python, "-m", "venv", "--clear", str(root/".venv")]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise Trouble(f"`{shlex.join(command)}` failed:\n{(done.stdout + done.stderr).strip()}",
                      f"see that {root} can be written to, and that this Python is complete; then run this again.")


NETWORK = r"name resolution|NameResolutionError|getaddrinfo failed|nodename nor servname|NewConnectionError|ConnectTimeout|" \
          r"Network is unreachable|ReadTimeout|ProxyError|Connection refused|Max retries exceeded"


def explain_pip(log):
    "The likely cause of a failed `pip install`, from its log: what happened, and the mend."
    known = [(r"No space left on device|Errno 28", "the disk is full.",
              "make room (about 6 GB with a CUDA build of PyTorch), then run this again."),
             (r"CERTIFICATE_VERIFY_FAILED|SSLError", "the package index's certificate was not accepted.",
              "behind a company's proxy, tell pip its certificate: pip config set global.cert FILE; then run this again."),
             (NETWORK, "the package index could not be reached.",
              "set-up needs the network once (nothing after it does): see to the connection or proxy, then run this again."),
             (r"Permission denied|Errno 13", "some files may not be written.",
              "the folder or its .venv belongs to another user: delete .venv, or work in a copy that is yours; then run this again."),
             (r"No matching distribution found|Requires-Python|Failed building wheel|Failed to build",
              "a package has no build for this Python.",
              f"this is Python {sys.version.split()[0]}; take 3.11, 3.12 or 3.13, for instance `python3.12 tools/run.py setup`.")]
    for pattern, what, mend in known:
        if re.search(pattern, log): return what, mend
    return "pip could not install the packages; its own words are above.", "run this again; if it fails again, delete .venv first."


def pip_install(root=ROOT):
    "Install the package, editable, with all it needs."
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder)/"pip.log"
        quiet = [] if sys.stdout.isatty() else ["-q", "--progress-bar", "off"]
        command = [str(venv_python(root)), "-m", "pip", "install", *quiet, "--disable-pip-version-check", "--retries", "3",
                   "--log", str(log), "-e", ".[dev]", "-c", "constraints.txt"]
        if subprocess.run(command, cwd=root, env=child_environment(root)).returncode:
            raise Trouble(*explain_pip(log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""))


def requirement_names(root=ROOT):
    "The names to import of all direct requirements."
    from configparser import ConfigParser
    reader = ConfigParser(delimiters=["="])
    reader.read(root/"settings.ini", encoding="utf-8")
    found = " ".join(reader["DEFAULT"].get(k, "") for k in ("requirements", "dev_requirements")).split()
    names = [re.match(r"[\w.-]+", one)[0] for one in found]
    return [reader["DEFAULT"]["lib_name"]] + [IMPORT_NAMES.get(name, name) for name in names]


def what_is_wrong(root=ROOT):
    "What a look at the installed packages finds wrong, or an empty text."
    code = f"import importlib\nfor name in {requirement_names(root)!r}: importlib.import_module(name)"
    with tempfile.TemporaryDirectory() as elsewhere:      # not in the root: the installed package has to be found, not the folder
        done = subprocess.run([venv_python(root), "-c", code], capture_output=True, text=True, errors="replace", cwd=elsewhere,
                              env=child_environment(root))
    return (done.stdout + done.stderr).strip() if done.returncode else ""


@contextlib.contextmanager
def only_one(root=ROOT):
    "Hold a lock, so that two commands started at once do not both install. The system frees it when this process ends, however it ends."
    who = f"{os.getuid()}-" if hasattr(os, "getuid") else ""
    name = Path(tempfile.gettempdir())/f"lesson_nb-{who}{hashlib.sha256(str(root).encode()).hexdigest()[:12]}.lock"
    with open(name, "a+") as held:
        if os.name == "nt":
            import msvcrt
            while True:
                try: msvcrt.locking(held.fileno(), msvcrt.LK_LOCK, 1); break
                except OSError: say("waiting for another set-up of this folder to finish")
        else:
            import fcntl
            try: fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                say("waiting for another set-up of this folder to finish")
                fcntl.flock(held, fcntl.LOCK_EX)
        yield


def set_up(root=ROOT, quiet=True):
    "Make `.venv` whole and current; does nothing where it is."
    if is_ready(root):
        if not quiet: say("ready: .venv is complete and current")
        return
    with only_one(root):
        if is_ready(root): return
        started, stamp = time.time(), root/".venv"/STAMP
        python = describe(root)
        fresh = is_broken(python, root)
        try:
            if not fresh: stamp.unlink(missing_ok=True)     # from here until the end `.venv` counts as unfinished
            while True:
                if fresh:
                    say(f"{'making' if not (root/'.venv').exists() else 'making anew'}: {root/'.venv'}")
                    make_venv(root)
                    python = describe(root)
                    if python is None: raise Trouble("the new .venv has no working Python.", "delete .venv and run this again.")
                for leftover in half_installed(python["folders"]):
                    say(f"removing {leftover.name}, left by an interrupted installation")
                    shutil.rmtree(leftover, ignore_errors=True)
                say("installing the package and what it needs, the first time a few minutes; later starts are quick")
                pip_install(root)
                wrong = what_is_wrong(root)
                if not wrong: break
                if fresh: raise Trouble(f"the packages were installed, but do not work:\n{wrong}", "delete .venv and run this again.")
                say("the packages in .venv do not work together; starting over")
                fresh = True
            stamp.write_text(json.dumps(wanted_stamp(python["version"], root), indent=1), encoding="utf-8")
        except PermissionError as error:
            raise Trouble(f"may not write: {error}.",
                          "work in a copy of this folder that is yours, or delete .venv as its owner.") from None
        say(f"ready after {time.time() - started:.0f} s")


# ---- lab

def lab(arguments):
    "Open JupyterLab on the first page."
    overrides = ROOT/".venv"/"share"/"jupyter"/"lab"/"settings"/"overrides.json"      # defaults: the user's own settings go before them
    with contextlib.suppress(OSError):
        overrides.parent.mkdir(parents=True, exist_ok=True)
        overrides.write_text(json.dumps({"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}))
    command = [str(venv_python()), "-m", "jupyterlab", f"--ServerApp.root_dir={ROOT}", "--LabApp.default_url=/lab/tree/nbs/index.ipynb"]
    if hasattr(os, "geteuid") and os.geteuid() == 0: command.append("--allow-root")
    process = subprocess.Popen(command + shlex.split(os.environ.get("LAB_ARGS", "")) + arguments, cwd=ROOT, env=child_environment())
    while True:
        try: return process.wait()
        except KeyboardInterrupt: pass                     # JupyterLab has it too, and asks whether to stop


# ---- test

def cpu_count():
    "How many processors this process may use."
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_group(process):
    "End a child and whatever it started."
    if os.name == "nt":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True)
        return
    for number, patience in ((signal.SIGINT, 3), (signal.SIGKILL, 5)):
        try: os.killpg(process.pid, number)
        except OSError: return
        with contextlib.suppress(subprocess.TimeoutExpired): process.wait(patience)


def stream(command, env, on_line, minutes=60, cwd=ROOT):
    "Run `command`, hand each line it prints to `on_line`; returns its exit status, or None if it was ended after `minutes`."
    own_group = ({"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if os.name == "nt" else   # a shell's background job ignores Ctrl-C,
                 {"start_new_session": True, "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)})   # what it tests must not
    process = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, encoding="utf-8", errors="replace", **own_group)
    late = threading.Event()
    timer = threading.Timer(minutes*60, lambda: (late.set(), end_group(process)))
    timer.daemon = True
    timer.start()
    try:
        for line in process.stdout: on_line(line.rstrip("\n"))
        status = process.wait()
    except BaseException:
        end_group(process)
        raise
    finally: timer.cancel()
    return None if late.is_set() else status


class Stage:
    "One part of the test: what passed, what failed, in how many seconds."
    def __init__(self, name):
        self.name, self.passed, self.failed, self.skipped, self.seconds, self.notes = name, 0, 0, 0, 0.0, []

    def __enter__(self):
        say(f"\n== {self.name}")
        self.started = time.time()
        return self

    def __exit__(self, *exception): self.seconds = time.time() - self.started


EXPORT = "from nbdev.doclinks import nbdev_export; nbdev_export()"


def is_generated(path):
    "Was this module written by nbdev?"
    return "AUTOGENERATED! DO NOT EDIT!" in path.read_text(encoding="utf-8")[:300] or path.name == "_modidx.py"


def export_differences(root=ROOT, python=None):
    "Which modules differ from a fresh export of the notebooks: {file name: what is wrong}."
    package = root/"lesson_nb"
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)/"course"
        (fresh/"nbs").mkdir(parents=True)
        shutil.copy(root/"settings.ini", fresh)
        for notebook in (root/"nbs").glob("[!._]*.ipynb"): shutil.copy(notebook, fresh/"nbs")
        shutil.copytree(package, fresh/"lesson_nb", ignore=lambda at, names: [n for n in names if n == "__pycache__" or
                        n.endswith(".py") and is_generated(Path(at)/n)])
        env = child_environment(root)
        env.pop("IN_TEST", None)                            # with it nbdev exports nothing
        done = subprocess.run([str(python or venv_python(root)), "-c", EXPORT], cwd=fresh, env=env, capture_output=True, text=True,
                              errors="replace")
        if done.returncode: return {"nbdev_export": f"failed:\n{(done.stdout + done.stderr).strip()}"}
        here, there = ({p.relative_to(base): p for p in base.rglob("*.py")} for base in (package, fresh/"lesson_nb"))
        found = {}
        for name in sorted(here | there):
            if name not in here: found[name.as_posix()] = "is not in lesson_nb/"
            elif name not in there: found[name.as_posix()] = "comes from no notebook"
            elif here[name].read_text(encoding="utf-8") != there[name].read_text(encoding="utf-8"):
                found[name.as_posix()] = "is not what the notebook says now"
        return found


def export_stage():
    "Is every module what its notebook says?"
    with Stage("export") as stage:
        found = export_differences()
        stage.passed, stage.failed = int(not found), int(bool(found))
        for name, what in found.items(): say(f"lesson_nb/{name} {what}" if name != "nbdev_export" else f"{name} {what}")
        if found:
            say("mend: if the notebook was edited, run `nbdev_export` (it lies in .venv, beside the Python there), or `make notebooks`. If the module was")
            say("edited by hand, move that into the notebook's cell first: the export writes the module anew, and what was typed into it is lost")
            stage.notes.append("differs: " + ", ".join(found))
        else: stage.notes.append("clean")
    return stage


def code_cells(path):
    "The source of each code cell of a notebook."
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def never_run(notebooks):
    "How many cells are marked `eval: false`, and how many notebooks `skip_exec`: nbdev_test passes over both in silence."
    cells = sum(bool(re.search(r"^\s*#\s*\|\s*eval:\s*false", source, re.M | re.I)) for path in notebooks for source in code_cells(path))
    whole = sum(bool(re.search(r"skip_exec\W+true", path.read_text(encoding="utf-8"), re.I)) for path in notebooks)
    return cells, whole


def read_log(path):
    "The events that the notebooks reported in a run."
    if not Path(path).exists(): return []
    events = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError): events.append(json.loads(line))
    return [event for event in events if isinstance(event, dict)]


def count_marks(events):
    "{mark: Counter(run=…, skipped=…)} of the `%%cuda` and `%%slow` cells."
    counts = {"cuda": Counter(), "slow": Counter()}
    for event in events:
        if event.get("event") == "cell" and event.get("mark") in counts: counts[event["mark"]]["run" if event["ran"] else "skipped"] += 1
    return counts


MACHINERY = re.compile(r'  File ".*(site-packages.(nbdev|execnb|IPython).|lesson_nb.core\.py", line \d+, in (magic|_run_inside)$)')


class NotebookLines:
    "Follows what nbdev_test prints: which notebook started, ended, failed, and when; shows tracebacks without the runner's own frames."
    def __init__(self, show=say, clock=time.time):
        self.show, self.clock, self.started, self.seconds, self.failed, self.listing, self.dropping = show, clock, {}, {}, [], False, False

    def __call__(self, line):
        if MACHINERY.match(line): self.dropping = True
        elif line.startswith('  File "') or not line.startswith("    "): self.dropping = False
        if self.dropping: return
        if match := re.fullmatch(r"Starting (.+\.ipynb)", line):
            self.started[Path(match[1]).stem], self.listing = self.clock(), False
        elif match := re.fullmatch(r"- Completed (.+\.ipynb)", line):
            name = Path(match[1]).stem
            self.seconds[name] = self.clock() - self.started.get(name, self.clock())
            self.show(f"  {'FAILED' if name in self.failed else 'ok    '}  {name:<24} {self.seconds[name]:7.1f} s")
        elif line.startswith("nbdev Tests Failed On The Following Notebooks"): self.listing = True
        elif self.listing and (match := re.fullmatch(r"\s*(\S.*)\.ipynb", line)):
            if match[1] not in self.failed: self.failed.append(match[1])
        elif self.listing and set(line.strip()) <= {"="}: pass
        elif line == "Success.": pass
        else:
            if match := re.fullmatch(r"\w+ in (.+\.ipynb):", line): self.failed.append(Path(match[1]).stem)
            self.show(line)

    @property
    def unfinished(self): return [name for name in self.started if name not in self.seconds]


def threads_for(workers):
    "Variables for child processes: so many threads that `workers` of them share the processors, unless the user has set them."
    return {k: os.environ.get(k) or max(1, cpu_count()//workers)
            for k in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")}


def notebook_stage(notebooks, log, minutes):
    "Every notebook, top to bottom, by nbdev_test, each in a process of its own."
    workers = min(cpu_count(), max(1, len(notebooks)), 8)
    env = child_environment(LESSON_NB_WATCH=1, LESSON_NB_OFFLINE=1, LESSON_NB_LOG=log, PYTHONUNBUFFERED=1, **threads_for(workers))
    with Stage("notebooks") as stage:
        lines = NotebookLines()
        status = stream([str(venv_python()), "-m", "tools.nbdev_tests", str(workers), *map(str, notebooks)], env, lines, minutes)
        failed = list(dict.fromkeys(lines.failed + lines.unfinished))
        stage.failed, stage.passed = len(failed), len([name for name in lines.seconds if name not in failed])
        stage.notes.append(f"{len(lines.seconds)} run, {len(failed)} failed" + (": " + ", ".join(failed) if failed else ""))
        if status is None: stage.notes.append(f"ended after {minutes} minutes; still running: {', '.join(lines.unfinished) or 'none'}")
        elif lines.unfinished: stage.notes.append(f"nbdev_test ended before: {', '.join(lines.unfinished)}")
        if status and not failed or len(lines.seconds) + len(lines.unfinished) < len(notebooks):
            stage.failed = max(1, stage.failed)
            stage.notes.append(f"nbdev_test itself broke (exit status {status}): see above")
    return stage


def read_junit(path):
    "(passed, failed, skipped) of a pytest run, from the file that `--junitxml` wrote; None if it wrote none."
    try: suites = ElementTree.parse(path).getroot().iter("testsuite")
    except (OSError, ElementTree.ParseError): return None
    total, failed, skipped = 0, 0, 0
    for suite in suites:
        total += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    return total - failed - skipped, failed, skipped


def pytest_stage(log, folder, minutes):
    "The tests in tests/, file by file, on as many processors as there are, up to four."
    workers = min(cpu_count(), 4)
    report = Path(folder)/"pytest.xml"
    color = ["--color=yes"] if sys.stdout.isatty() else []
    seed = [f"--hypothesis-seed={os.environ['LESSON_NB_SEED']}"] if os.environ.get("LESSON_NB_SEED") else []
    command = [str(venv_python()), "-m", "pytest", "-q", "--durations=5", f"--junitxml={report}", *color, *seed,
               *(["-n", str(workers), "--dist", "loadfile", "--no-loadscope-reorder"] if workers > 1 else [])]
    with Stage("pytest") as stage:
        env = child_environment(LESSON_NB_OFFLINE=1, LESSON_NB_RUN_LOG=log, PYTHONUNBUFFERED=1, **threads_for(workers))
        status = stream(command, env, say, minutes)
        counts = read_junit(report)
        stage.passed, stage.failed, stage.skipped = counts or (0, 1, 0)
        if status not in (0, None) and not stage.failed: stage.failed = 1
        if status is None: stage.failed = max(1, stage.failed)
        stage.notes.append("no report: pytest broke, see above" if counts is None else
                           f"{stage.passed} passed, {stage.failed} failed, {stage.skipped} skipped")
        if status is None: stage.notes.append(f"ended after {minutes} minutes")
    return stage


def summary(stages, events, notebooks):
    "The lines that close a test run."
    lines = ["", "=" * 78]
    for stage in stages:
        head, *more = stage.notes or [""]
        lines.append(f"{stage.name:<11} {head:<56} {stage.seconds:7.1f} s")
        lines += [f"{'':<11} {note}" for note in more]
    if any(stage.name == "notebooks" for stage in stages):
        for mark, count in count_marks(events).items():
            why = {"cuda": "no GPU here", "slow": "they run in `make results`"}.get(mark, "") if count["skipped"] else ""
            lines.append(f"%%{mark:<9} {count['run']} cells run, {count['skipped']} skipped{f' ({why})' if why else ''}")
        cells, whole = never_run(notebooks)
        lines.append(f"{'never run':<11} {cells} cells with eval: false, {whole} notebooks with skip_exec")
        sources = sorted({f"{e['data']} {e.get('source', '?')}" for e in events if e.get("event") == "metric" and e.get("data")})
        if sources: lines.append(f"{'data':<11} {', '.join(sources)}")
    totals = [sum(getattr(stage, k) for stage in stages) for k in ("passed", "failed", "skipped")]
    lines += [f"{'together':<11} {'(export, each notebook and each test counts as one)':<56} {sum(s.seconds for s in stages):7.1f} s",
              "=" * 78, "{} passed, {} failed, {} skipped".format(*totals)]
    return lines


def all_notebooks(root=ROOT):
    "Every notebook that nbdev sees, in order."
    return sorted((root/"nbs").glob("[!._]*.ipynb"))


def find_notebooks(names):
    "The paths of the notebooks that the user named, in any of the usual ways."
    found = []
    for name in names:
        tries = [Path(name), ROOT/name, ROOT/"nbs"/name, ROOT/"nbs"/f"{name}.ipynb"]
        path = next((p.resolve() for p in tries if p.suffix == ".ipynb" and p.is_file()), None)
        if path is None: raise Trouble(f"there is no notebook {name}.", f"there are: {', '.join(p.stem for p in all_notebooks())}")
        found.append(path)
    return found


def test(names, minutes=60):
    "Everything, or only the notebooks named; returns the exit status."
    notebooks = find_notebooks(names) or all_notebooks()
    with tempfile.TemporaryDirectory() as folder:
        log, stages = Path(folder)/"run.jsonl", []
        try:
            stages.append(export_stage())
            stages.append(notebook_stage(notebooks, log, minutes))
            if not names: stages.append(pytest_stage(log, folder, minutes))
        finally:
            say(*summary(stages, read_log(log), notebooks))
    return int(any(stage.failed for stage in stages))


# ---- the rest

def in_venv(script, *arguments, **extra):
    "Run a script of tools/ with the Python of `.venv`."
    process = subprocess.Popen([str(venv_python()), "-m", f"tools.{script}", *arguments], cwd=ROOT, env=child_environment(**extra))
    try: return process.wait()
    except KeyboardInterrupt:
        with contextlib.suppress(subprocess.TimeoutExpired): process.wait(10)
        process.terminate()
        raise


def main(arguments):
    "Carry out one command; returns its exit status."
    command, *rest = arguments or ["help"]
    with contextlib.suppress(AttributeError, ValueError):
        for number in (signal.SIGTERM, signal.SIGHUP): signal.signal(number, signal.default_int_handler)
    try:
        if command in ("help", "-h", "--help"): say(HELP)
        elif command == "setup": set_up(quiet=False)
        elif command == "lab": set_up(); return lab(rest)
        elif command == "test":
            parser = argparse.ArgumentParser(prog="run.py test")
            parser.add_argument("notebooks", nargs="*")
            parser.add_argument("--seed", type=int, default=os.environ.get("SEED") or None, help="what lessons and tests draw from; 0 if not given")
            chosen = parser.parse_args(rest)
            if chosen.seed is not None: os.environ["LESSON_NB_SEED"] = str(chosen.seed)
            set_up()
            return test(chosen.notebooks)
        elif command == "notebooks": set_up(); return in_venv("notebooks", *map(str, find_notebooks(rest)))
        elif command == "results":
            parser = argparse.ArgumentParser(prog="run.py results")
            parser.add_argument("notebooks", nargs="*")
            parser.add_argument("--seeds", type=int, default=int(os.environ.get("SEEDS") or 1), help="how often each long run is repeated")
            chosen = parser.parse_args(rest)
            paths = find_notebooks(chosen.notebooks)
            set_up()
            return in_venv("notebooks", "--results", *map(str, paths), LESSON_NB_SLOW=1, LESSON_NB_SEEDS=chosen.seeds)
        else: raise Trouble(f"there is no command `{command}`.", HELP)
        return 0
    except Trouble as trouble:
        what, mend = trouble.args
        print(f"\nerror: {what}\nmend:  {mend}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr, flush=True)
        return 130
