"""The tool chest: seeds, devices, marks in all three runners, the run log, the clock, the plots."""
import json, os, random, subprocess, sys, time
import numpy, pytest, torch
from lesson_nb import core, ledger
from judge import ROOT, write_notebook


def test_seed_everything_repeats_all_generators():
    def draws(): return random.random(), numpy.random.rand(), torch.rand(2).tolist()
    core.seed_everything(3); first = draws()
    core.seed_everything(4); other = draws()
    core.seed_everything(3)
    assert draws() == first != other


def test_default_device(monkeypatch):
    monkeypatch.delenv("LESSON_NB_DEVICE", raising=False)
    assert core.default_device().type == ("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    monkeypatch.setenv("LESSON_NB_DEVICE", "cpu")
    assert core.default_device() == torch.device("cpu")
    monkeypatch.setenv("LESSON_NB_DEVICE", "abacus")
    with pytest.raises(ValueError, match="LESSON_NB_DEVICE='abacus'"): core.default_device()


@pytest.mark.parametrize("name", ["matmul", "1_matmul", "01 matmul", ""])
def test_begin_refuses_what_is_no_lesson(name):
    with pytest.raises(ValueError, match="expected the notebook's name"): core.begin(name)


def test_record_writes_finite_numbers_only(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSON_NB_LOG", str(tmp_path / "log"))
    assert core.record("accuracy", torch.tensor(0.25), data="MNIST", source="real") == 0.25
    line = json.loads((tmp_path / "log").read_text())
    assert (line["event"], line["name"], line["value"], line["data"], line["source"]) == ("metric", "accuracy", 0.25, "MNIST", "real")
    with pytest.raises(ValueError, match="finite"): core.record("loss", float("nan"))
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def test_log_is_silent_without_a_file(monkeypatch):
    monkeypatch.delenv("LESSON_NB_LOG", raising=False)
    core.log_event("cell", mark="cuda", ran=False)


def test_compare_times_takes_turns():
    order = []
    times = core.compare_times({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repeats=3, min_seconds=0, warmup=0)
    assert "".join(order) == "ab" + "ab" * 3 and set(times) == {"a", "b"}


def test_compare_times_gives_medians_per_call():
    times = core.compare_times({"sleep": lambda: time.sleep(0.01), "longer": lambda: time.sleep(0.03)}, repeats=3, min_seconds=0.02)
    assert 0.01 <= times["sleep"] < 0.03 <= times["longer"]


def test_clock_pauses_the_watch():
    namespace = {"x": torch.ones(2, 2)}
    watch = ledger.Watch(ledger.read_ledger(ROOT / "nbs"), "01_matmul", set(), namespace)
    before, core.state["watch"] = core.state["watch"], watch
    try:
        with watch:
            exec("def product(): return x @ x", namespace)
            core.compare_times({"product": namespace["product"]}, repeats=1)
            with pytest.raises(ledger.LedgerError): namespace["product"]()
    finally: core.state["watch"] = before


# marks, in a kernel as JupyterLab and nbconvert use it, and in nbdev_test
OPENING = "from lesson_nb import proof\nfrom lesson_nb.core import begin\nbegin('99_marks')"


def in_nbdev(path, **env):
    program = f"from pathlib import Path\nfrom nbdev.test import test_nb\nimport sys\nok, _ = test_nb(Path({str(path)!r}))\nsys.exit(not ok)"
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **env}, capture_output=True, text=True)


def in_nbconvert(path, **env):
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace", str(path)]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT), **env}, capture_output=True, text=True)


def in_kernel(path, **env):
    "As JupyterLab runs it: the same kernel, each cell sent by itself, not stopping at an error; fails if any cell's output is an error."
    program = ("import nbformat, nbclient, sys\n"
               f"nb = nbformat.read({str(path)!r}, 4)\nnbclient.NotebookClient(nb, allow_errors=True, kernel_name='python3').execute()\nnbformat.write(nb, {str(path)!r})\n"
               "errors = [o for c in nb.cells for o in c.get('outputs', []) if o.output_type == 'error']\n"
               "print([(o.ename, o.evalue) for o in errors], file=sys.stderr)\nsys.exit(len(errors))")
    return subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT), **env}, capture_output=True, text=True)


RUNNERS = pytest.mark.parametrize("runner", [in_nbdev, in_nbconvert, in_kernel])


@RUNNERS
def test_failing_marked_cell_fails_the_notebook(tmp_path, runner):
    path = write_notebook(tmp_path / "99_marks.ipynb", OPENING, "%%slow\nprint('before')\n1 / 0")
    done = runner(path, LESSON_NB_SLOW="1")
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr + done.stdout   # once: a second error output would make it 2 in the kernel


@RUNNERS
def test_syntax_error_in_a_marked_cell_fails_the_notebook(tmp_path, runner):
    done = runner(write_notebook(tmp_path / "99_marks.ipynb", OPENING, "%%slow\n1 +"), LESSON_NB_SLOW="1")
    assert done.returncode == 1 and "SyntaxError" in done.stderr + done.stdout


@RUNNERS
def test_marked_cell_runs_or_skips_and_is_counted(tmp_path, runner):
    cells = [OPENING, "inside = 0", "%%slow about 3 minutes\ninside = 42\ninside", "import os\nassert inside == (42 if os.environ.get('LESSON_NB_SLOW') == '1' else 0)", "%%cuda\nimport torch\nassert torch.cuda.is_available()"]
    for slow in "01":
        log = tmp_path / f"log{slow}"
        path = write_notebook(tmp_path / "99_marks.ipynb", *cells)
        done = runner(path, LESSON_NB_SLOW=slow, LESSON_NB_LOG=str(log))
        assert done.returncode == 0, done.stderr
        events = [json.loads(line) for line in log.read_text().splitlines()]
        assert [(e["lesson"], e["mark"], e["ran"]) for e in events if e["event"] == "cell"] == [("99_marks", "slow", slow == "1"), ("99_marks", "cuda", torch.cuda.is_available())]
        if runner is not in_nbdev:
            outputs = json.loads(path.read_text())["cells"][2]["outputs"]
            text = "".join(outputs[0].get("text", "")) + "".join(outputs[0].get("data", {}).get("text/plain", ""))
            assert len(outputs) == 1 and (text.strip() == "42" if slow == "1" else text.startswith("skipped: %%slow about 3 minutes") and text.count("\n") == 1)


@RUNNERS
def test_watch_is_on_in_a_test_run(tmp_path, runner):
    path = write_notebook(tmp_path / "99_marks.ipynb", OPENING.replace("99_marks", "01_marks"), "import torch\nx = torch.ones(2, 2)\ny = getattr(x, 'mat' + 'mul')(x)")
    (tmp_path / "ledger.toml").write_bytes((ROOT / "nbs" / "ledger.toml").read_bytes())
    done = runner(path, LESSON_NB_WATCH="1")
    assert done.returncode == 1 and "LedgerError" in done.stderr + done.stdout
    if runner is in_nbdev: assert runner(path, LESSON_NB_WATCH="0").returncode == 0   # it has no other fault, which is no matter of the runner


# plots
def test_show_images_takes_pytorchs_layouts():
    for images, count in ((torch.rand(3, 4, 5), 3), (torch.rand(2, 3, 4, 5), 2), (torch.rand(2, 1, 4, 5), 2), ([torch.rand(4, 5), torch.rand(3, 6, 6)], 2), (numpy.zeros((12, 4, 4)), 12)):
        sheet = core.show_images(images)
        assert sum(bool(ax.images) for ax in sheet.axes) == count
    import matplotlib.pyplot as plt
    plt.close("all")


def test_show_images_draws_channels_in_their_order():
    red = torch.zeros(3, 2, 4)
    red[0] = 1.0
    drawn = core.show_images([red]).axes[0].images[0].get_array()
    assert drawn.shape == (2, 4, 3) and (numpy.asarray(drawn)[..., 0] == 1).all() and (numpy.asarray(drawn)[..., 1:] == 0).all()


@pytest.mark.parametrize("images, said", [(torch.rand(2, 4, 4, 3), "permute"), (torch.rand(2, 4, 4, 2), "expected pictures"), (torch.rand(4, 4), "expected pictures"), ([], "at least one")])
def test_show_images_refuses_other_layouts(images, said):
    with pytest.raises(ValueError, match=said): core.show_images(images)


def test_show_matrix_writes_values_only_when_small():
    assert len(core.show_matrix(torch.rand(3, 4)).texts) == 12 and len(core.show_matrix(torch.rand(40, 40)).texts) == 0
    with pytest.raises(ValueError, match=r"got shape \(3,\)"): core.show_matrix(torch.rand(3))


def test_plots_label_their_axes_and_detach():
    ax = core.plot_lines({"a": torch.rand(4, requires_grad=True), "b": ([1, 2], [3, 4])}, "step", "loss (nats)", yscale="log")
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("step", "loss (nats)", "log") and ax.get_legend()
    bars = core.plot_bars({"ours": 1.5, "PyTorch": 3.0}, "seconds", colors={"PyTorch": core.COLORS["pytorch"]})
    assert [b.get_width() for b in bars.patches] == [1.5, 3.0] and [t.get_text() for t in bars.texts] == ["1.5", "3"]


def test_figures_read_on_a_dark_page():
    "A figure brings its own light sheet: dark text on a transparent one would vanish on a dark page."
    sheet, ax = core.figure()
    assert sheet.get_facecolor()[3] == 1 and min(sheet.get_facecolor()[:3]) > 0.9 and ax.get_facecolor()[3] == 1


@pytest.mark.parametrize("asked, count", [(None, 1), ("", 1), ("5", 5)])
def test_seed_count_is_what_make_results_was_asked_for(monkeypatch, asked, count):
    monkeypatch.delenv("LESSON_NB_SEEDS", raising=False)
    if asked is not None: monkeypatch.setenv("LESSON_NB_SEEDS", asked)
    assert core.seed_count() == count
