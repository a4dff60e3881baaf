"Stored outputs belong to their sources: what `tools/notebooks.py` finds, keeps and writes, and that every committed notebook passes."
import copy, datetime, json, os, tomllib
from pathlib import Path

import pytest

from tools import notebooks as tool
from tools.commands import all_notebooks

SKIPPED = {"output_type": "stream", "name": "stdout", "text": ["skipped: %%cuda, no CUDA device here\n"]}
PICTURE = {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo="}, "metadata": {}}


def text(said): return {"output_type": "stream", "name": "stdout", "text": [f"{said}\n"]}


def code(source, *outputs, device="cpu", hash=None):
    "A code cell as it lies in a notebook, stamped unless `device` is None."
    stamp = {"lesson_nb": {"hash": hash or tool.source_hash(source), "device": device}} if device else {}
    return {"cell_type": "code", "id": f"c{abs(hash_of(source)) % 10**7}", "source": source.splitlines(keepends=True), "metadata": stamp,
            "outputs": list(outputs), "execution_count": None}


def hash_of(source): return int(tool.source_hash(source), 16)


def markdown(source): return {"cell_type": "markdown", "id": f"m{hash_of(source) % 10**7}", "source": source, "metadata": {}}


def notebook(*cells):
    kernel = {"display_name": "python3", "language": "python", "name": "python3"}
    return {"cells": list(cells), "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


# ---- the committed notebooks

@pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
def test_committed_notebook_is_whole(path):
    found = tool.faults(json.loads(path.read_text(encoding="utf-8")))
    cells = {}
    for number, fault in found: cells.setdefault(fault, []).append(str(number))
    assert not found, f"\n{path.name}\n" + "\n".join(f"  cell {', '.join(numbers)}: {fault}" for fault, numbers in cells.items())


@pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
def test_committed_notebook_is_clean(path):
    stored = path.read_text(encoding="utf-8")
    clean = tool.cleaned(json.loads(stored)) == stored
    assert clean, f"{path.name} is not as nbdev_clean leaves it: run `make notebooks NB=nbs/{path.name}`"
    assert len(stored.encode()) <= 1_100_000, f"{path.name} is larger than 1 MB with its outputs"


# ---- each fault, planted

GOOD = notebook(markdown("# Title"), code("#| export\ndef double(x): return 2*x"), code("double(2)", text("4")),
                code("show_images(digits)", PICTURE), code("%%cuda\nimage = show_images(digits)", SKIPPED))

PLANTED = {
    "stale": code("double(3)", text("4"), hash=tool.source_hash("double(2)")),
    "is an error": code("double()", {"output_type": "error", "ename": "TypeError", "evalue": "missing x", "traceback": []}),
    "names a folder": code("print(torch.__file__)", text("/home/me/course/.venv/lib/python3.11/site-packages/torch/__init__.py")),
    "names a folder ": code("Path.cwd()", {"output_type": "execute_result", "data": {"text/plain": [f"PosixPath('{tool.ROOT}/nbs')"]}}),
    "holds no figure": code("axes = [show_images(digits) for digits in batches]", text("no picture here")),
    "breaks the export": code("%%cuda\n#| export\ndef kernel(): pass", text("")),
    "breaks the export ": code("#| export\n%%cuda\ndef kernel(): pass", text("")),
    "first line": code("# on the GPU\n%%cuda\ndouble(2)", text("4")),
    "first line ": code("%%slow\n%%cuda\ndouble(2)", text("4")),
    "eval: false": code("#| eval: false\ndouble(2)"),
    "skip_exec": markdown("---\nskip_exec: true\n---"),
    "bears no stamp": code("double(2)", text("4"), device=None),
    "never run": code("double(2)", device=None),
    "names no device": code("double(2)", text("4"), device=" ") | {"metadata": {"lesson_nb": {"hash": tool.source_hash("double(2)")}}},
}


def test_no_fault_in_a_good_notebook():
    assert tool.faults(GOOD) == []


@pytest.mark.parametrize("fault", PLANTED)
def test_planted_fault_is_found(fault):
    found = tool.faults(notebook(*GOOD["cells"], PLANTED[fault]))
    assert [number for number, what in found if fault.strip() in what] == [len(GOOD["cells"]) + 1], found


@pytest.mark.parametrize("source, does", [
    ("plot_lines({'loss': (x, y)}, 'step', 'loss')", True), ("plt.show()", True), ("ax = core.show_matrix(m)", True),
    ("def later(): show_images(x)", False), ("callback = lambda: plot_bars(x)", False), ("show = 1", False), ("%%cuda\nplot_bars(x)", True),
    ("try: show_images(wrong)\nexcept ValueError as error: print(error)", False), ("this is no python", False)])
def test_draws(source, does):
    assert tool.draws(source) is does


@pytest.mark.parametrize("source, magic", [
    ("%%cuda\nx = 1", None), ("x = 1\n%%cuda", "%%cuda"), ("text = '''\n%%cuda\n'''", None), ("%%bash\necho '%%cuda'\n%%x", None),
    ("%timeit x\n%%slow", "%%slow"), ("print(f'''\n%%slow {x}\n''')", None), ("x %% 2", None)])
def test_misplaced_magic(source, magic):
    assert tool.misplaced_magic(source) == magic


# ---- keeping outputs

def outputs(nb): return [[tool.stream_text(o).strip() for o in c["outputs"]] for c in nb["cells"]]


def test_merge_keeps_the_output_of_a_skipped_cell_while_its_source_is_unchanged():
    timed = "%%cuda\ncompare_times(kernels)"
    stored = notebook(code(timed, text("0.2 ms"), device="NVIDIA T4"), code("1 + 1", text("2"), device="NVIDIA T4"))
    ran = notebook(code(timed, SKIPPED, device=None), code("1 + 1", text("two"), device=None))
    merged = tool.merge(stored, ran, "cpu")
    assert outputs(merged) == [["0.2 ms"], ["two"]]
    assert [tool.stamp_of(c)["device"] for c in merged["cells"]] == ["NVIDIA T4", "cpu"]
    assert tool.faults(merged) == []


def test_merge_drops_it_when_the_source_changed():
    stored = notebook(code("%%cuda\nold()", text("0.2 ms"), device="NVIDIA T4"))
    merged = tool.merge(stored, notebook(code("%%cuda\nnew()", SKIPPED, device=None)), "cpu")
    assert outputs(merged) == [["skipped: %%cuda, no CUDA device here"]]
    assert tool.stamp_of(merged["cells"][0]) == {"hash": tool.source_hash("%%cuda\nnew()"), "device": "cpu"}


def test_merge_does_not_trust_an_output_that_was_stale_already():
    stale = code("%%slow\nnew()", text("of the old source"), hash=tool.source_hash("%%slow\nold()"))
    merged = tool.merge(notebook(stale), notebook(code("%%slow\nnew()", SKIPPED, device=None)), "cpu")
    assert outputs(merged) == [["skipped: %%cuda, no CUDA device here"]]


def test_merge_follows_cells_that_moved_and_tells_twins_apart():
    a, b, twin = "%%cuda\na()", "%%cuda\nb()", "%%slow\ntrain()"
    stored = notebook(code(a, text("A")), code(b, text("B")), code(twin, text("first")), code(twin, text("second")))
    ran = notebook(*[code(s, SKIPPED, device=None) for s in (b, "%%cuda\nnew()", a, twin, twin)])
    assert outputs(tool.merge(stored, ran, "cpu")) == [["B"], ["skipped: %%cuda, no CUDA device here"], ["A"], ["first"], ["second"]]


def test_merge_takes_a_new_output_over_a_kept_one():
    stored = notebook(code("%%slow\ntrain()", text("old"), device="NVIDIA T4"))
    merged = tool.merge(stored, notebook(code("%%slow\ntrain()", text("new"), device=None)), "cpu")
    assert outputs(merged) == [["new"]] and tool.stamp_of(merged["cells"][0])["device"] == "cpu"


def test_a_kept_skip_line_is_no_output_worth_keeping():
    old = notebook(code("%%cuda\na()", text("skipped: the line as it was worded once")))
    merged = tool.merge(old, notebook(code("%%cuda\na()", SKIPPED, device=None)), "cpu")
    assert outputs(merged) == [["skipped: %%cuda, no CUDA device here"]]


# ---- for real: a notebook of its own, a fresh kernel

@pytest.fixture
def real(course, monkeypatch):
    "A function that writes a notebook into a course of its own and gives its path."
    monkeypatch.chdir(course)
    def write(*cells):
        path = course/"nbs"/"01_small.ipynb"
        path.write_text(tool.cleaned(notebook(*cells)), encoding="utf-8")
        return path
    return write


MARKS = """from lesson_nb.core import load_magics
load_magics()"""


def test_refresh_runs_stamps_and_keeps(real, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    path = real(markdown("# Small"), code(MARKS, device=None), code("import os; print(os.path.basename(os.getcwd()))", device=None),
                code("%%cuda\nprint(1/0)", text("timed on a GPU"), device="NVIDIA T4"), code("6*7", text("41")))
    assert tool.refresh(path, "cpu", 120) > 0
    after = json.loads(path.read_text(encoding="utf-8"))
    assert tool.faults(after) == []
    printed = after["cells"]
    assert tool.stream_text(printed[2]["outputs"][0]) == "nbs\n"
    assert tool.stream_text(printed[3]["outputs"][0]) == "timed on a GPU\n" and tool.stamp_of(printed[3])["device"] == "NVIDIA T4"
    assert printed[4]["outputs"][0]["data"]["text/plain"] == ["42"]
    assert tool.cleaned(after) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("source, said", [
    ("def half(x): return x/0\nhalf(1)", "ZeroDivisionError"), ("while True: pass", "ran longer than 9 s"),
    ("import os; os._exit(1)", "its kernel died"), ("%%slow\nhalf = 1/0", "ZeroDivisionError")],
                         ids=["raises", "hangs", "dies", "raises under a mark"])
def test_refresh_leaves_the_stored_notebook_when_a_cell_fails(real, monkeypatch, source, said):
    monkeypatch.setenv("LESSON_NB_SLOW", "1")
    path = real(code(MARKS if "%%" in source else "1 + 1"), code(source, device=None), code("3", text("3")))
    before = path.read_bytes()
    with pytest.raises(tool.Failed, match=said) as failed: tool.refresh(path, "cpu", 9 if "longer" in said else 120)
    assert f"cell 2:\n    {source.splitlines()[0]}" in str(failed.value)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    kept = path.parent.parent/".failed"
    first, last = (json.loads((kept/path.name).read_text(encoding="utf-8"))["cells"][k] for k in (0, 2))
    assert str(kept/path.name) in str(failed.value) and ("%%" in source or first["outputs"]) and not last["outputs"]


def test_refresh_does_not_overwrite_what_somebody_saved_meanwhile(real):
    path = real(code("1 + 1", device=None))
    saved = tool.cleaned(notebook(code("2 + 2", device=None)))
    with pytest.raises(tool.Failed, match="saved by somebody else"):
        tool.refresh(path, "cpu", 60, check=lambda: path.write_text(saved, encoding="utf-8"))
    assert path.read_text(encoding="utf-8") == saved


def test_write_whole_leaves_the_old_file_when_it_cannot_write(tmp_path, monkeypatch):
    path = tmp_path/"file.txt"
    path.write_text("old")
    path.chmod(0o640)
    def full(*anything): raise OSError(28, "No space left on device")
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with pytest.raises(OSError): tool.write_whole(path, "new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file.txt"]
    tool.write_whole(path, "new")
    assert path.read_text() == "new" and (os.name == "nt" or path.stat().st_mode & 0o777 == 0o640)


# ---- several at a time

def test_chains_keep_one_number_together_and_start_with_the_longest():
    paths = [Path(f"{stem}.ipynb") for stem in ("00a_core", "01_matmul", "17_transfer", "17a_heatmaps", "21_gated_rnn", "index")]
    measured = {"01_matmul": {"accuracy": {"seconds": 9.0}}, "17_transfer": {"few": {"seconds": 3.0}, "many": {"seconds": 7.0}},
                "17a_heatmaps": {"shares": {"seconds": 8.0}}}
    assert [[path.stem for path in group] for group in tool.chains(paths, measured)] == [
        ["17_transfer", "17a_heatmaps"], ["01_matmul"], ["00a_core"], ["21_gated_rnn"], ["index"]]


@pytest.mark.parametrize("jobs", [1, 2])
def test_run_all_runs_every_notebook_and_says_which_failed(course, tmp_path, monkeypatch, jobs):
    monkeypatch.setenv("LESSON_NB_LOG", "nowhere")        # run_one sets it; put back afterwards
    monkeypatch.chdir(course)
    sources = {"01_first": "import pathlib; pathlib.Path('here').write_text('01')", "01a_second": "open('here').read()",
               "02_other": "1/0", "03_last": "3"}
    for stem, source in sources.items():
        (course/"nbs"/f"{stem}.ipynb").write_text(tool.cleaned(notebook(code(source, device=None))), encoding="utf-8")
    groups = tool.chains(sorted((course/"nbs").glob("*.ipynb")), {})
    ended = {path.stem: end for path, end in tool.run_all(groups, lambda path: (path, "cpu", 60, tmp_path/f"{path.stem}.jsonl", False), jobs)}
    assert set(ended) == set(sources) and list(ended).index("01_first") < list(ended).index("01a_second")
    assert "ZeroDivisionError" in ended.pop("02_other")[1]
    assert all(taken > 0 and failure is None for taken, failure in ended.values())
    stored = json.loads((course/"nbs"/"01a_second.ipynb").read_text(encoding="utf-8"))["cells"][0]
    assert stored["outputs"][0]["data"]["text/plain"] == ["'01'"] and tool.stamp_of(stored)["device"] == "cpu"


# ---- results

def metric(name, value, lesson="01_small", **more):
    return {"event": "metric", "lesson": lesson, "name": name, "value": value, "data": "MNIST", "source": "real", "device": "cpu"} | more


def test_results_go_out_and_come_back(tmp_path):
    events = [metric("accuracy", .81234567), metric("accuracy", .83), metric("other", 1, lesson="02_else"), {"event": "begin"},
              metric("milliseconds", 3.0, data="", device="cuda")]
    found = tool.collect(events, "01_small", "NVIDIA T4", seeds=2, seconds=12.34)
    file = tmp_path/"results.toml"
    file.write_text(tool.results_text({"01_small": found}), encoding="utf-8")
    back = tool.read_results(file)["01_small"]
    assert back["accuracy"] == {"value": .821173, "values": [.812346, .83], "data": "MNIST", "source": "real", "device": "cpu", "seeds": 2,
                                "seconds": 12.3, "date": datetime.date.today()}
    assert back["milliseconds"]["device"] == "NVIDIA T4" and set(back) == {"accuracy", "milliseconds"}


def test_what_skipped_cells_measured_elsewhere_stays():
    before = {"01_small": {"accuracy": .7, "on_a_gpu": .9}, "02_else": {"other": 1}}
    assert tool.entered(before, "01_small", {"accuracy": .8}, skipped=1) == {"01_small": {"accuracy": .8, "on_a_gpu": .9}, "02_else": {"other": 1}}
    assert tool.entered(before, "01_small", {"accuracy": .8}, skipped=0) == {"01_small": {"accuracy": .8}, "02_else": {"other": 1}}
    assert tool.entered({}, "01_small", {"accuracy": .8}, skipped=1) == {"01_small": {"accuracy": .8}}


def test_results_refuse_a_stand_in():
    tool.only_real([metric("accuracy", .8), metric("accuracy", .8, lesson="02_else", source="stand-in")], "01_small")
    with pytest.raises(tool.Failed, match="stand-in for MNIST"): tool.only_real([metric("accuracy", .8, source="stand-in")], "01_small")


def test_no_result_is_stored_that_is_not_real():
    for lesson, metrics in tool.read_results().items():
        for name, result in metrics.items(): assert result["source"] != "stand-in", f"{lesson}: {name}"
