"The commands: set-up that survives interruption, a test run that says what failed, current tables, and a README that is true."
import ast, contextlib, importlib.util, io, json, os, re, shutil, signal, subprocess, sys, textwrap, time, zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

from tools import commands, tables
from tools.commands import NotebookLines, Stage, Trouble

PYTHON = Path(sys.executable)


def write_notebook(path, *sources):
    "A notebook of code cells."
    cells = [{"cell_type": "code", "id": f"cell-{i}", "metadata": {}, "source": s, "outputs": [], "execution_count": None}
             for i, s in enumerate(sources)]
    kernel = {"display_name": "python3", "language": "python", "name": "python3"}
    path.write_text(json.dumps({"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}), encoding="utf-8")
    return path


# ---- set-up

def make_stamp(course, version="3.11.7", **changes):
    stamp = commands.wanted_stamp(version, course) | changes
    (course/".venv").mkdir(exist_ok=True)
    (course/".venv"/commands.STAMP).write_text(json.dumps(stamp))


@pytest.fixture
def python_answers(monkeypatch):
    "Let the Python in `.venv` say that it is 3.11.7."
    monkeypatch.setattr(commands, "describe", lambda root: {"version": "3.11.7", "folders": []})


def test_ready_only_with_a_current_stamp(course, python_answers):
    assert not commands.is_ready(course)
    make_stamp(course)
    assert commands.is_ready(course)
    for name in commands.STAMPED:
        before = (course/name).read_bytes()
        (course/name).write_bytes(before + b"# another pin\n")
        assert not commands.is_ready(course), name
        (course/name).write_bytes(before.replace(b"\n", b"\r\n"))      # a checkout on Windows is no change
        assert commands.is_ready(course), name
        (course/name).write_bytes(before)
    for changed in ({"python": "3.12.1"}, {"root": "/somewhere/else"}, {"inputs": "0"}):
        make_stamp(course, **changed)
        assert not commands.is_ready(course), changed
    (course/".venv"/commands.STAMP).write_text('{"inputs": ')
    assert not commands.is_ready(course)


def test_a_venv_that_was_moved_or_copied_is_made_anew(course, python_answers):
    make_stamp(course)
    moved = course.rename(course.parent/"moved")
    assert not commands.is_ready(moved)
    assert commands.is_broken({"version": "3.11.7", "folders": []}, moved)


def test_a_venv_without_a_working_python_is_broken(course):
    (course/".venv"/"bin").mkdir(parents=True)
    assert commands.describe(course) is None and commands.is_broken(None, course)
    (course/".venv"/"bin"/"python").symlink_to("/nowhere/python3")
    assert commands.describe(course) is None


def test_a_venv_without_pip_is_broken(course):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", course/".venv"], check=True)
    python = commands.describe(course)
    assert python["version"] == ".".join(map(str, sys.version_info[:3])) and all(str(course) in f for f in python["folders"])
    assert commands.is_broken(python, course)


def test_a_venv_of_an_old_python_is_broken(course):
    assert commands.is_broken({"version": "3.9.18", "folders": []}, course)


def test_what_an_interrupted_pip_leaves_is_found(tmp_path):
    def package(name, *files):
        (tmp_path/name).mkdir()
        for file in files: (tmp_path/name/file).touch()
    package("whole-1.0.dist-info", "METADATA", "RECORD")
    package("half-1.0.dist-info", "METADATA")
    package("empty-1.0.dist-info")
    package("~umpy")
    package("numpy", "__init__.py")
    found = commands.half_installed([tmp_path, tmp_path/"missing"])
    assert sorted(p.name for p in found) == ["empty-1.0.dist-info", "half-1.0.dist-info", "~umpy"]


@pytest.fixture
def steps(monkeypatch, course):
    "Set-up with its slow steps replaced; gives the list of what it did."
    done = []
    def make_venv(root): done.append("venv"); (root/".venv").mkdir(exist_ok=True)
    monkeypatch.setattr(commands, "describe", lambda root: {"version": "3.11.7", "folders": []} if (root/".venv").exists() else None)
    monkeypatch.setattr(commands, "is_broken", lambda python, root: python is None)
    monkeypatch.setattr(commands, "make_venv", make_venv)
    monkeypatch.setattr(commands, "pip_install", lambda root: done.append("pip"))
    monkeypatch.setattr(commands, "what_is_wrong", lambda root: "")
    return done


def test_set_up_twice_installs_once(course, steps):
    commands.set_up(course)
    commands.set_up(course)
    assert steps == ["venv", "pip"]


def test_an_interrupted_set_up_is_finished_by_the_next(course, steps, monkeypatch):
    def interrupted(root): raise KeyboardInterrupt
    with monkeypatch.context() as patched:
        patched.setattr(commands, "pip_install", interrupted)
        with pytest.raises(KeyboardInterrupt): commands.set_up(course)
    assert not commands.is_ready(course)
    commands.set_up(course)
    assert commands.is_ready(course) and steps == ["venv", "pip"]


def test_an_interrupted_update_is_not_taken_for_a_finished_one(course, steps, monkeypatch):
    commands.set_up(course)
    stamp = (course/".venv"/commands.STAMP).read_text()
    pins = (course/"constraints.txt").read_bytes()
    (course/"constraints.txt").write_bytes(pins + b"# another\n")
    monkeypatch.setattr(commands, "pip_install", lambda root: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt): commands.set_up(course)
    (course/"constraints.txt").write_bytes(pins)             # and back: what pip did meanwhile is not known
    assert not commands.is_ready(course), stamp


def test_packages_that_do_not_work_are_installed_anew_once(course, steps, monkeypatch):
    (course/".venv").mkdir()
    answers = ["ImportError: libtorch.so", ""]
    monkeypatch.setattr(commands, "what_is_wrong", lambda root: answers.pop(0))
    commands.set_up(course)
    assert steps == ["pip", "venv", "pip"] and commands.is_ready(course)


def test_packages_that_never_work_are_an_error(course, steps, monkeypatch):
    monkeypatch.setattr(commands, "what_is_wrong", lambda root: "ImportError: libtorch.so")
    with pytest.raises(Trouble, match="libtorch"): commands.set_up(course)
    assert not commands.is_ready(course)


def test_installed_packages_are_looked_at_for_real(root):
    names = commands.requirement_names(root)
    assert {"lesson_nb", "torch", "PIL", "nbdev", "pytest"} <= set(names)
    for name in names: assert importlib.util.find_spec(name), name


@pytest.mark.parametrize("log, what", [
    ("WARNING: Retrying ... Temporary failure in name resolution\nERROR: No matching distribution found for setuptools",
     "could not be reached"),
    ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
    ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'\nMax retries exceeded", "certificate"),
    ("ERROR: [Errno 13] Permission denied: '/x'", "may not be written"),
    ("ERROR: No matching distribution found for torch==2.13.0", "no build for this Python"), ("", "could not install")])
def test_pip_failures_are_explained(log, what):
    assert what in commands.explain_pip(log)[0]


def test_a_python_without_venv_is_explained(course, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ensurepip" else find(name))
    with pytest.raises(Trouble) as trouble: commands.make_venv(course)
    assert "apt install python3-venv" in trouble.value.args[1]


def test_the_launcher_can_be_read_by_an_old_python(root):
    ast.parse((root/"tools"/"run.py").read_text(encoding="utf-8"), feature_version=(3, 4))


def test_the_launcher_says_what_is_needed(root, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("launcher", root/"tools"/"run.py")
    launcher = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(launcher)
    monkeypatch.setattr(launcher, "NEEDED", (99, 0))
    monkeypatch.setenv("PATH", "")
    assert launcher.main() == 1
    assert "Python 99.0 or newer is needed" in capsys.readouterr().err


def test_only_one_set_up_at_a_time(course):
    script = "import sys; from pathlib import Path; from tools.commands import only_one\n" \
             "with only_one(Path(sys.argv[1])): print('in', flush=True)"
    with commands.only_one(course):
        other = subprocess.Popen([sys.executable, "-c", script, course], cwd=commands.ROOT, stdout=subprocess.PIPE, text=True)
        assert other.stdout.readline().startswith("waiting for another set-up")
    assert other.stdout.readline() == "in\n" and other.wait(20) == 0
    other.stdout.close()


# ---- what is installed

def pins(root):
    lines = [line for line in (root/"constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def test_constraints_are_exact_and_fit_any_machine(root):
    for name, version in pins(root).items():
        assert re.fullmatch(r"[\w.-]+", name) and re.fullmatch(r"[\d.]+(post\d+)?", version), (name, version)


def test_constraints_pin_what_is_installed_and_satisfy_settings(root):
    from importlib.metadata import distributions
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    pinned = {name.lower().replace("_", "-").replace(".", "-"): version for name, version in pins(root).items()}
    reader = ConfigParser(delimiters=["="])
    reader.read(root/"settings.ini")
    for line in " ".join(reader["DEFAULT"][k] for k in ("requirements", "dev_requirements")).split():
        requirement = Requirement(line)
        assert requirement.specifier.contains(pinned[requirement.name]), line
    for package in distributions():
        name = package.metadata["Name"].lower().replace("_", "-").replace(".", "-")
        if name not in pinned: continue
        assert package.version.split("+")[0] == pinned[name], f"{name}: .venv is not what constraints.txt says, run `make setup`"
        oldest = SpecifierSet(package.metadata.get("Requires-Python") or "").contains("3.11.0")
        assert oldest, f"{name} {package.version} needs Python {package.metadata['Requires-Python']}; the course promises 3.11"


def test_the_package_holds_what_it_needs_and_nothing_else(root, tmp_path):
    source = tmp_path/"source"
    source.mkdir()
    for name in ("settings.ini", "setup.py", "pyproject.toml", "README.md", "LICENSE"): shutil.copy(root/name, source)
    shutil.copytree(root/"lesson_nb", source/"lesson_nb", ignore=shutil.ignore_patterns("__pycache__"))
    (source/"lesson_nb"/"exercises"/"planted.toml").touch()
    (source/"tests").mkdir()
    (source/"tests"/"__init__.py").touch()
    options = ["-q", "--no-build-isolation", "--no-deps", "--no-index", "-w", tmp_path]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, source], check=True)
    wheel = zipfile.ZipFile(next(tmp_path.glob("*.whl")))
    names = set(wheel.namelist())
    for path in (root/"lesson_nb").rglob("*.py"): assert path.relative_to(root).as_posix() in names
    assert "lesson_nb/exercises/planted.toml" in names
    assert all(name.startswith("lesson_nb") for name in names)
    metadata = wheel.read(next(n for n in names if n.endswith("METADATA"))).decode()
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert any("torch" in line for line in needed) and not any("nbdev" in line or "numba" in line for line in needed)
    assert "Requires-Python: >=3.11" in metadata and re.search(r"License(-Expression)?: Apache-2.0", metadata)


# ---- the test run

def test_export_differences_are_found(course):
    write_notebook(course/"nbs"/"01_small.ipynb", "#| default_exp small", "#| export\ndef double(x): return 2*x")
    (course/"lesson_nb"/"by_hand.py").write_text("from .small import double\n")
    (course/"lesson_nb"/"__init__.py").write_text("")
    assert commands.export_differences(course, PYTHON)["small.py"] == "is not in lesson_nb/"
    subprocess.run([sys.executable, "-c", commands.EXPORT], cwd=course, check=True)
    assert commands.export_differences(course, PYTHON) == {}
    module = course/"lesson_nb"/"small.py"
    module.write_text(module.read_text().replace("2*x", "3*x"))
    assert commands.export_differences(course, PYTHON) == {"small.py": "is not what the notebook says now"}
    module.rename(course/"lesson_nb"/"smaller.py")
    assert commands.export_differences(course, PYTHON) == {"small.py": "is not in lesson_nb/", "smaller.py": "comes from no notebook"}


@pytest.mark.parametrize("gpu", [False, True], ids=["forked", "beside a GPU"])
def test_a_failing_cell_is_shown_and_the_notebook_named(course, tmp_path, gpu):
    write_notebook(course/"nbs"/"01_good.ipynb", "x = 1", "import os", "open('process_of_good', 'w').write(str(os.getpid()))")
    write_notebook(course/"nbs"/"02_bad.ipynb", "def half(x): return x/0", "half(1)", "never = 'reached'")
    write_notebook(course/"nbs"/"03_killed.ipynb", "import os", "os._exit(9)")
    write_notebook(course/"nbs"/"04_last.ipynb", "import os", "open('process_of_last', 'w').write(str(os.getpid()))")
    printed = []
    lines = NotebookLines(show=printed.append)
    env = {k: v for k, v in os.environ.items() if k != "IN_TEST"} | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(commands.ROOT)}
    if gpu:                                                              # a pretended one: the processes are not forked then
        (tmp_path/"bin").mkdir()
        (tmp_path/"bin"/"nvidia-smi").write_text("#!/bin/sh\n")
        (tmp_path/"bin"/"nvidia-smi").chmod(0o755)
        env["PATH"] = f"{tmp_path/'bin'}{os.pathsep}{env['PATH']}"
    notebooks = map(str, sorted((course/"nbs").glob("0*.ipynb")))
    assert commands.stream([str(PYTHON), "-m", "tools.nbdev_tests", "2", *notebooks], env, lines, cwd=course) == 1
    assert lines.failed == ["02_bad"] and set(lines.seconds) == {"01_good", "02_bad", "04_last"} and lines.unfinished == ["03_killed"]
    said = "\n".join(printed)
    assert "ZeroDivisionError" in said and "02_bad.ipynb" in said and "Cell #2" in said and "half(1)" in said
    assert "nbdev/test.py" not in said and "execnb" not in said          # the runner's own frames
    assert re.search(r"ok +01_good", said) and re.search(r"FAILED +02_bad", said) and re.search(r"03_killed.* ended with status 9", said)
    assert (course/"nbs"/"process_of_good").read_text() != (course/"nbs"/"process_of_last").read_text()


def test_notebooks_that_never_ended_are_known():
    now = iter(range(100))
    lines = NotebookLines(show=lambda line: None, clock=lambda: next(now))
    for line in ("Starting /x/01_a.ipynb", "Starting /x/02_b.ipynb", "- Completed /x/01_a.ipynb"): lines(line)
    assert lines.unfinished == ["02_b"] and lines.seconds == {"01_a": 2} and lines.failed == []
    for line in ("", "nbdev Tests Failed On The Following Notebooks:", "="*50, "\t03_c.ipynb"): lines(line)
    assert lines.failed == ["03_c"]


def test_a_run_that_hangs_is_ended_with_all_it_started(tmp_path):
    later = f"import time; time.sleep(4); open({str(tmp_path/'alive')!r}, 'w')"
    script = f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {later!r}])\n" \
             "print('started', flush=True); time.sleep(60)"
    seen, started = [], time.time()
    assert commands.stream([str(PYTHON), "-c", script], dict(os.environ), seen.append, minutes=1/60) is None
    assert seen == ["started"] or "KeyboardInterrupt" in "\n".join(seen)
    assert time.time() - started < 15
    time.sleep(max(0, 5 - (time.time() - started)))
    assert not (tmp_path/"alive").exists()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_stops_cleanly(root):
    waits = [sys.executable, "-c", "import time; print('on', flush=True); time.sleep(60)"]
    # a shell that starts its jobs in the background makes them ignore Ctrl-C; here it has to count
    script = "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n" \
             "from tools import commands\ncommands.set_up = lambda **k: None\n" \
             f"commands.test = lambda names: commands.stream({waits!r}, None, commands.say)\n" \
             "sys.exit(commands.main(['test']))"
    process = subprocess.Popen([sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "on\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130 and err.strip() == "stopped"


def test_junit_counts(tmp_path):
    (tmp_path/"test_it.py").write_text("import pytest\ndef test_a(): pass\ndef test_b(): assert 0\n@pytest.fixture\ndef f(): 1/0\n"
                                       "def test_c(f): pass\ndef test_d(): pytest.skip('why')\n")
    report = tmp_path/"report.xml"
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", tmp_path],
                   capture_output=True, cwd=tmp_path)
    assert commands.read_junit(report) == (1, 2, 1)
    assert commands.read_junit(tmp_path/"missing.xml") is None
    report.write_text(report.read_text()[:50])
    assert commands.read_junit(report) is None


def stage(name, passed, failed, skipped=0, seconds=1.0, note=""):
    result = Stage(name)
    result.passed, result.failed, result.skipped, result.seconds, result.notes = passed, failed, skipped, seconds, [note]
    return result


def test_summary_counts_what_ran_and_what_was_skipped(course):
    log = course/"run.jsonl"
    events = [{"event": "cell", "lesson": "01_a", "mark": "cuda", "ran": False},
              {"event": "cell", "lesson": "01_a", "mark": "cuda", "ran": True}, {"event": "cell", "lesson": "01_a", "mark": "slow", "ran": False},
              {"event": "cell", "lesson": "01_a", "mark": "planted", "ran": True},
              {"event": "metric", "lesson": "01_a", "name": "accuracy", "value": .8, "data": "MNIST", "source": "stand-in"}]
    log.write_text("\n".join(map(json.dumps, events)) + '\n{"event": "cel')          # the last line: a process was killed while it wrote
    notebooks = [write_notebook(course/"nbs"/"01_a.ipynb", "#| eval: false\nx"), write_notebook(course/"nbs"/"02_b.ipynb", "y = 1")]
    lines = commands.summary([stage("export", 1, 0, note="clean"), stage("notebooks", 1, 1, note="2 run, 1 failed: 02_b"),
                              stage("pytest", 40, 2, 3, 60.5, "40 passed")], commands.read_log(log), notebooks)
    said = "\n".join(lines)
    assert re.search(r"%%cuda +1 cells run, 1 skipped", said) and re.search(r"%%slow +0 cells run, 1 skipped", said)
    assert "planted" not in said and "1 cells with eval: false, 0 notebooks with skip_exec" in said and "MNIST stand-in" in said
    assert "2 run, 1 failed: 02_b" in said and "60.5 s" in said
    assert lines[-1] == "42 passed, 3 failed, 3 skipped"


@pytest.mark.parametrize("failed", [None, "export", "notebooks", "pytest"])
def test_every_stage_runs_and_any_failure_counts(monkeypatch, capsys, failed):
    seen = []
    def fake(name):
        def run(*anything):
            seen.append(name)
            return stage(name, 1, int(name == failed))
        return run
    for name in ("export", "notebooks", "pytest"): monkeypatch.setattr(commands, f"{name.removesuffix('s')}_stage", fake(name))
    assert commands.test([]) == int(failed is not None) and seen == ["export", "notebooks", "pytest"]
    assert capsys.readouterr().out.splitlines()[-1] == f"3 passed, {int(failed is not None)} failed, 0 skipped"


def test_tests_never_download():
    assert os.environ["LESSON_NB_OFFLINE"] == "1"


def test_unknown_commands_and_notebooks_are_named(capsys):
    assert commands.main(["tset"]) == 1 and "no command `tset`" in capsys.readouterr().err
    with pytest.raises(Trouble, match="no notebook 99_none"): commands.find_notebooks(["99_none"])
    first = commands.all_notebooks()[0]
    for name in (first.stem, first.name, f"nbs/{first.name}", str(first)): assert commands.find_notebooks([name]) == [first]


def test_make_passes_everything_on(root, tmp_path):
    if not shutil.which("make"): pytest.skip("no make here")
    env = commands.child_environment()
    def made(*arguments):
        return subprocess.run(["make", "-n", *arguments], cwd=root, capture_output=True, text=True, check=True, env=env).stdout.strip()
    assert made("test").endswith("tools/run.py test") and made("test", "NB=nbs/01_matmul.ipynb").endswith("run.py test nbs/01_matmul.ipynb")
    assert made().endswith("run.py help") and made("notebooks", "NB=01_matmul").endswith("run.py notebooks 01_matmul")
    assert made("results", "SEEDS=3").endswith("run.py results  --seeds 3") and made("results").endswith("--seeds 1")
    python = tmp_path/"a python"
    python.write_text('#!/bin/sh\necho "$LAB_ARGS $@"\n')
    python.chmod(0o755)
    said = subprocess.run(["make", "lab", "LAB_ARGS=--no-browser --port 8899", f"PYTHON={python}"], cwd=root, env=env,
                          capture_output=True, text=True)
    assert said.stdout == "--no-browser --port 8899 tools/run.py lab\n"


def test_nothing_of_make_reaches_what_it_starts(monkeypatch):
    for name in ("MAKEFLAGS", "MAKELEVEL", "PYTHONHOME"): monkeypatch.setenv(name, "1")
    env = commands.child_environment(LESSON_NB_SLOW=1)
    assert not {"MAKEFLAGS", "MAKELEVEL", "PYTHONHOME"} & set(env) and env["LESSON_NB_SLOW"] == "1"
    assert env["PATH"].startswith(str(commands.venv_python().parent))


def test_ci_runs_make_test_and_nothing_else(root):
    lines = [line.strip() for line in (root/".ci"/"run").read_text().splitlines() if line.strip() and not line.startswith("#")]
    assert lines[-1] == "exec make test" and os.access(root/".ci"/"run", os.X_OK)


# ---- what is generated

def test_generated_parts_are_current():
    assert tables.outdated() == [], "renew with `make notebooks`"


def test_an_outdated_part_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    (tmp_path/"nbs").mkdir()
    readme = tmp_path/"README.md"
    readme.write_text("before\n<!-- map -->\nold\n<!-- /map -->\nafter\n")
    assert tables.outdated() == [readme]
    tables.renew()
    text = readme.read_text()
    assert tables.outdated() == [] and text.startswith("before\n<!-- map -->\n") and text.endswith("<!-- /map -->\nafter\n")


def test_every_lesson_is_on_the_map(root):
    for page, folder in ((root/"README.md", "nbs/"), (root/"nbs"/"index.ipynb", "")):
        text = page.read_text(encoding="utf-8")
        for path in commands.all_notebooks():
            if path.stem[0].isdigit(): assert f"[{path.stem}]({folder}{path.name})" in text, f"{path.stem} is not linked in {page.name}"
        for stem in tables.PLAN: assert stem in text or stem.startswith("00")


# ---- the README

def readme_example(root):
    "The Python of the README's first screen, and the result printed below it."
    text = (root/"README.md").read_text(encoding="utf-8")
    return re.search(r"```python\n(.*?)```\s+```text\n(.*?)```", text, re.S).groups()


def test_readme_example_prints_what_it_says(root):
    code, expected = readme_example(root)
    assert len(code.strip().splitlines()) <= 12
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    from lesson_nb.datasets import load_mnist
    with contextlib.redirect_stdout(io.StringIO()): real = load_mnist().source == "real"
    if real: assert done.stdout == expected
    else:                                                    # on a stand-in the words have to be the same, the figures may differ
        def words(text): return re.sub(r"[\d.]+", "0", text)
        assert words(done.stdout).endswith(words(expected))


def test_readme_names_only_commands_and_files_that_exist(root):
    text = (root/"README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+(?: [a-z]+)*):", (root/"Makefile").read_text(), re.M))
    targets = {word for line in targets for word in line.split()}
    for name in re.findall(r"(?:`|^)make ([a-z]+)", text, re.M): assert name in targets, name
    for name in re.findall(r"run\.py ([a-z]+)\b", text): assert name in commands.HELP, name
    for link in re.findall(r"\]\((?!https?:|#)([^)]+)\)", text): assert (root/link).exists(), link


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_children_hear_ctrl_c_although_a_background_job_does_not():
    program = "import signal, sys; sys.exit(signal.getsignal(signal.SIGINT) is not signal.default_int_handler)"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert subprocess.run([sys.executable, "-c", program]).returncode == 1
        assert commands.stream([sys.executable, "-c", program], os.environ, print) == 0
    finally: signal.signal(signal.SIGINT, before)
