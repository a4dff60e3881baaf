"""Re-runs lessons and stores their outputs: `make notebooks` and `make results` end up here, in `.venv`.

A stored output belongs to the source it was made from: every code cell that ran carries `lesson_nb: {hash, device}` in its metadata,
a hash of its source and where it ran. A cell that was skipped (`%%cuda`, `%%slow`) keeps the output and stamp of an earlier run
as long as its source is the same. `faults` finds what does not hold.
"""
import argparse, ast, datetime, hashlib, itertools, json, math, multiprocessing, os, re, statistics, subprocess, sys, tempfile, time, tomllib
from concurrent import futures
from pathlib import Path

from tools.commands import ROOT, all_notebooks, cpu_count, read_log, threads_for

MARKS = ("cuda", "slow")
RESULTS = ROOT/"nbs"/"results.toml"
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
EXPORTS = re.compile(r"^\s*#\s*\|\s*(export|exporti|exports)\b", re.M)


# ---- cells

def text_of(cell):
    "A cell's source as one text."
    return cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])


def source_hash(source):
    "The first 12 digits of the sha256 of a cell's source."
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def mark_of(source):
    "The mark (`cuda` or `slow`) on the first line of a cell, or None."
    match = re.match(r"%%(\w+)\b", source)
    return match[1] if match and match[1] in MARKS else None


def stream_text(output):
    "What a stream output says."
    return output["text"] if isinstance(output["text"], str) else "".join(output["text"])


def was_skipped(cell):
    "Is the output of this cell just the line of a mark that did not run it?"
    outputs = cell.get("outputs", [])
    return mark_of(text_of(cell)) is not None and len(outputs) == 1 and outputs[0]["output_type"] == "stream" \
        and stream_text(outputs[0]).startswith("skipped: ") and stream_text(outputs[0]).strip().count("\n") == 0


def stamp_of(cell):
    "The stamp of the run that made this cell's outputs: {hash, device}, or {}."
    return cell.get("metadata", {}).get("lesson_nb", {})


def merge(stored, # the notebook as it lay there
          ran,    # the same one, freshly run
          device  # what it ran on: "cpu", "mps" or the name of the GPU
         ):
    "Stamp the cells that ran, give those that were skipped their stored output where their source is unchanged; returns `ran`."
    earlier = {}
    for cell in stored["cells"]:
        if cell["cell_type"] == "code" and stamp_of(cell).get("hash") == source_hash(text_of(cell)) and not was_skipped(cell):
            earlier.setdefault(text_of(cell), []).append(cell)
    for cell in ran["cells"]:
        if cell["cell_type"] != "code": continue
        source = text_of(cell)
        kept = earlier.get(source, [])
        if was_skipped(cell) and kept:
            old = kept.pop(0)
            cell["outputs"], cell["metadata"]["lesson_nb"] = old["outputs"], dict(stamp_of(old))
        else:
            if kept: kept.pop(0)                         # the same source twice: the first run belongs to the first cell
            cell["metadata"].pop("lesson_nb", None)
            if source.strip(): cell["metadata"]["lesson_nb"] = {"hash": source_hash(source), "device": device}
    return ran


# ---- what must not be in a committed notebook

PLACES = re.compile(r"/home/\w|/Users/\w|/root/|[A-Z]:\\Users\\|/site-packages/")


def said(output):
    "All text of one output, pictures left out."
    texts = [output.get("text", "")] + [text for kind, text in output.get("data", {}).items() if not kind.startswith("image/")]
    return "\n".join("".join(text) if isinstance(text, (str, list)) else str(text) for text in texts)


DRAWS = re.compile(r"(show_|plot_)\w+$")


def draws(source):
    "Does a top-level statement of this cell draw a figure (`show_images(…)`, `plot_lines(…)`, …)? Calls inside definitions do not count."
    try: tree = ast.parse(re.sub(r"^\s*[%!].*$", "", source, flags=re.M))
    except SyntaxError: return False
    waiting = [node for node in tree.body if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef, ast.Try))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if DRAWS.match(name) or name == "show" and isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "plt":
                return True
        waiting += [n for n in ast.iter_child_nodes(node) if not isinstance(n, (ast.Lambda, ast.FunctionDef, ast.ClassDef))]
    return False


def has_picture(cell):
    "Is there an image among the outputs?"
    return any(kind.startswith("image/") or "<svg" in str(value) or "<img" in str(value)
               for output in cell.get("outputs", []) for kind, value in output.get("data", {}).items())


def misplaced_magic(source):
    "A line that looks like a cell magic but does not open the cell, or None. Inside a text literal it is no magic."
    if "%%" not in source: return None
    first, *rest = source.split("\n")
    body = "\n".join(rest) if first.startswith("%%") else source
    if first.startswith("%%") and mark_of(source) is None: return None            # %%bash, %%script: not Python below
    inside = set()
    try:
        for node in ast.walk(ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", body, flags=re.M))):
            if isinstance(node, (ast.Constant, ast.JoinedStr)) and node.end_lineno > node.lineno:
                inside |= set(range(node.lineno + 1, node.end_lineno + 1))
    except SyntaxError: pass
    lines = [line for number, line in enumerate(body.split("\n"), 1) if number not in inside]
    return next((line.strip() for line in lines if re.match(r"\s*%%\w", line)), None)


def faults(notebook):
    "What is wrong with a notebook as it is stored: a list of (cell number, fault), cells counted from 1 as nbdev does."
    found = []
    def fault(number, what): found.append((number, what))
    for number, cell in enumerate(notebook["cells"], 1):
        source, outputs = text_of(cell), cell.get("outputs", [])
        if cell["cell_type"] != "code":
            if re.search(r"^[-\s]*skip_exec\s*:\s*true", source, re.M | re.I):
                fault(number, "skip_exec: no test would ever run this notebook")
            continue
        if not source.strip(): continue
        stamp = stamp_of(cell)
        if not stamp: fault(number, f"{'its output bears no stamp' if outputs else 'was never run: no stamp'} (make notebooks)")
        elif stamp.get("hash") != source_hash(source): fault(number, "stale: the source changed after its output was made (make notebooks)")
        elif not stamp.get("device"): fault(number, "its stamp names no device (make notebooks)")
        for output in outputs:
            if output["output_type"] == "error": fault(number, f"its output is an error: {output.get('ename')}: {output.get('evalue')}")
            if PLACES.search(said(output)) or str(ROOT) in said(output): fault(number, "its output names a folder of the machine it ran on")
        if EXPORTS.search(source) and re.match(r"\s*(#[^\n]*\n\s*)*%%", source):
            fault(number, "a cell magic with #| export breaks the export")
        if line := misplaced_magic(source): fault(number, f"`{line}` has to be the first line of its cell")
        if re.search(r"^\s*#\s*\|\s*eval:\s*false", source, re.M | re.I): fault(number, "eval: false: nbdev_test would never run this cell")
        if draws(source) and mark_of(source) is None and not has_picture(cell):
            fault(number, "draws, but its output holds no figure (make notebooks)")
    return found


# ---- running

class Failed(Exception):
    "A notebook could not be run to its end, or its outputs cannot be stored; the message is for the reader."


def device_name():
    "What this machine runs lessons on: the GPU's name, mps or cpu (`LESSON_NB_DEVICE` is heeded)."
    code = "import os, torch\nname = os.environ.get('LESSON_NB_DEVICE') or ('cuda' if torch.cuda.is_available() else 'mps' if " \
           "torch.backends.mps.is_available() else 'cpu')\nprint(torch.cuda.get_device_name(name) if name.startswith('cuda') else name)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def run(notebook, # nbformat's object, changed in place
        folder,   # where its kernel works
        seconds   # limit for one cell; None: no limit
       ):
    "Run all cells in a fresh kernel of this environment; raises `Failed` with the cell and the traceback."
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    at = {}
    def remember(cell, cell_index, **more): at["cell"] = cell_index
    client = NotebookClient(notebook, timeout=seconds, kernel_name="python3", resources={"metadata": {"path": str(folder)}},
                            coalesce_streams=True, on_cell_start=remember, shutdown_kernel="immediate",
                            extra_arguments=["--log-level=ERROR"])
    try: client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        index = at.get("cell", 0)
        source = text_of(notebook["cells"][index]).rstrip()
        shown = "\n".join(f"    {line}" for line in source.split("\n"))
        what = {CellTimeoutError: f"ran longer than {seconds} s", DeadKernelError: "its kernel died (out of memory?)"}.get(type(error))
        trace = what or "\n".join("\n".join(o["traceback"]) for o in notebook["cells"][index]["outputs"] if o["output_type"] == "error") \
            or str(error)
        raise Failed(f"cell {index + 1}:\n{shown}\n\n{trace if sys.stdout.isatty() else ANSI.sub('', trace)}") from None


def cleaned(notebook):
    "The text that nbdev_clean would leave of a notebook."
    from execnb.nbio import dict2nb, nb2str
    from nbdev.clean import clean_nb
    from nbdev.config import get_config
    config = get_config()
    notebook = dict2nb(json.loads(json.dumps(notebook)))
    clean_nb(notebook, allowed_metadata_keys=config.allowed_metadata_keys.split(),
             allowed_cell_metadata_keys=config.allowed_cell_metadata_keys.split(), clean_ids=config.clean_ids)
    return nb2str(notebook)


def write_whole(path, text):
    "Put `text` where `path` is in one step: a reader sees the old file or the new one, never half of one."
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="\n", dir=path.parent, prefix=".", suffix=".tmp", delete=False) as file:
        file.write(text)
    try:
        os.chmod(file.name, path.stat().st_mode if path.exists() else 0o644)
        os.replace(file.name, path)
    except OSError:
        Path(file.name).unlink(missing_ok=True)
        raise


def keep(notebook, path):
    "Write a notebook that cannot be stored under `.failed/`, beside its folder, so that an hour's outputs are not lost with it; the file's path."
    import nbformat
    kept = path.parent.parent/".failed"/path.name
    kept.parent.mkdir(exist_ok=True)
    write_whole(kept, nbformat.writes(notebook))
    return kept


def refresh(path, device, seconds=600, check=lambda: None):
    "Run one notebook and store its outputs, or raise `Failed`, leave it as it was and `keep` what ran; returns the wall seconds of the run."
    import nbformat
    stored = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(stored, as_version=4)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code": cell["outputs"], cell["execution_count"] = [], None
    started = time.time()
    try:
        run(notebook, path.parent, seconds)
        taken = time.time() - started
        check()
        ran = json.loads(nbformat.writes(notebook))
        if path.read_text(encoding="utf-8") != stored: raise Failed("the notebook was saved by somebody else while it ran; nothing was stored")
    except Failed as failure:
        raise Failed(f"{failure}\n\nWhat ran, with its outputs: {keep(notebook, path)}") from None
    text = cleaned(merge(json.loads(stored), ran, device))
    if text != stored: write_whole(path, text)
    return taken


# ---- results

def toml_value(value):
    "One value as TOML has it."
    if isinstance(value, bool): return str(value).lower()
    if isinstance(value, datetime.date): return value.isoformat()
    if isinstance(value, list): return f"[{', '.join(map(toml_value, value))}]"
    return repr(value) if isinstance(value, (int, float)) else json.dumps(value, ensure_ascii=False)


def results_text(results):
    "The text of nbs/results.toml: a table for each lesson and metric."
    parts = ["# Written by `make results` and by nothing else: what was measured, where, and on which data.\n"]
    for lesson in sorted(results):
        for metric in sorted(results[lesson]):
            parts.append(f"[{lesson}.{metric}]\n" + "".join(f"{k} = {toml_value(v)}\n" for k, v in results[lesson][metric].items()))
    return "\n".join(parts)


def read_results(path=RESULTS):
    "{lesson: {metric: {value, values, data, source, device, seeds, seconds, date}}}; empty where there is no file yet."
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def collect(events, # the run log
            lesson, # whose metrics
            device, seeds, seconds
           ):
    "What one lesson recorded: {metric: {value: the mean, values, data, …}}, rounded to six digits."
    values, last = {}, {}
    for event in events:
        if event.get("event") != "metric" or event.get("lesson") != lesson: continue
        values.setdefault(event["name"], []).append(float(f"{event['value']:.6g}"))
        last[event["name"]] = event
    return {name: {"value": float(f"{statistics.fmean(found):.6g}"), "values": found, "data": last[name].get("data") or "",
                   "source": last[name].get("source") or "", "device": device if last[name].get("device", "cpu") != "cpu" else "cpu",
                   "seeds": seeds, "seconds": round(seconds, 1), "date": datetime.date.today()} for name, found in values.items()}


def entered(results, lesson, found, skipped):
    "The results with what a lesson has `found`. If cells were skipped (no GPU here, no long runs), what those measured elsewhere stays."
    return results | {lesson: (results.get(lesson, {}) if skipped else {}) | found}


def only_real(events, lesson):
    "Raise `Failed` if a lesson measured anything on a stand-in: results are of real data."
    made_up = sorted({e.get("data") or e["name"] for e in events if e.get("event") == "metric" and e.get("lesson") == lesson
                      and e.get("source") == "stand-in"})
    if made_up:
        raise Failed(f"measured on a stand-in for {', '.join(made_up)}; results need the real data. Set LESSON_NB_DATA to a "
                     "folder that has them, or let the lesson download them once (unset LESSON_NB_OFFLINE)")


# ---- the commands

def export(paths):
    "Export notebooks, so that they run on what they say now; no paths: all of them."
    from nbdev.doclinks import nbdev_export
    for path in paths or [None]: nbdev_export(path=path and str(path))


def chains(paths,  # notebooks, in their order
           results # as read_results has them: what took long the last time comes first
          ):
    "The notebooks in groups that can run side by side. Those of one number (17, 17a) share one, since 17a reads the weights that 17 leaves."
    def last(path): return max((metric["seconds"] for metric in results.get(path.stem, {}).values()), default=0)
    groups = [list(group) for _, group in itertools.groupby(paths, lambda path: re.match(r"\d*", path.stem)[0] or path.stem)]
    return sorted(groups, key=lambda group: -sum(map(last, group)))


def run_one(path, device, seconds, log, real):
    "`refresh` in a process of its own: (wall seconds, None), or (None, what failed)."
    os.environ["LESSON_NB_LOG"] = str(log)
    try: return refresh(path, device, seconds, (lambda: only_real(read_log(log), path.stem)) if real else lambda: None), None
    except Failed as failure: return None, str(failure)


def run_all(groups, # of `chains`
            work,   # path -> the arguments of run_one
            jobs    # how many processes
           ):
    "Yield (path, what run_one returned) as they finish; a group's notebooks run one after another."
    if jobs == 1:
        for path in itertools.chain(*groups): yield path, run_one(*work(path))
        return
    waiting, running = [list(group) for group in groups], {}
    with futures.ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        while waiting or running:
            while waiting and len(running) < jobs:
                group = waiting.pop(0)
                running[pool.submit(run_one, *work(group[0]))] = group
            for future in futures.wait(running, return_when=futures.FIRST_COMPLETED).done:
                path, *rest = running.pop(future)
                if rest: waiting.insert(0, rest)
                yield path, future.result()


def main(arguments=None):
    "Re-run the notebooks named, or all; returns the exit status."
    parser = argparse.ArgumentParser(prog="notebooks")
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--results", action="store_true", help="with the long runs, on real data; write nbs/results.toml")
    parser.add_argument("--timeout", type=int, help="seconds that one cell may take (default 600; none with --results)")
    parser.add_argument("--jobs", type=int, help="notebooks to run at a time (default: as many as processors, up to four; one on a GPU)")
    chosen = parser.parse_args(arguments)
    os.chdir(ROOT)
    export(chosen.notebooks)
    paths, failed = [path.resolve() for path in chosen.notebooks] or all_notebooks(), []
    device, seeds, started = device_name(), int(os.environ.get("LESSON_NB_SEEDS") or 1), time.time()
    seconds = chosen.timeout or (None if chosen.results else 600)
    groups = chains(paths, read_results())
    jobs = min(len(groups), chosen.jobs or (min(cpu_count(), 4) if device == "cpu" else 1))
    if jobs > 1: os.environ.update({name: str(count) for name, count in threads_for(jobs).items()})
    from tools import tables
    tables.renew()
    with tempfile.TemporaryDirectory() as folder:
        def log_of(path): return Path(folder)/f"{path.stem}.jsonl"
        for path, (taken, failure) in run_all(groups, lambda path: (path, device, seconds, log_of(path), chosen.results), jobs):
            if failure:
                failed.append(path.stem)
                print(f"{path.stem:<24} FAILED; the stored notebook is as it was\n{path.name}, {failure}\n", flush=True)
                continue
            events = read_log(log_of(path))
            skipped = sum(event["event"] == "cell" and not event["ran"] and event["mark"] in MARKS for event in events)
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            made_up = any(": a stand-in (" in said(output) for cell in cells for output in cell.get("outputs", []))
            notes = [f"{skipped} cells skipped"]*bool(skipped) + ["with stand-ins for data"]*made_up
            print(f"{path.stem:<24} {taken:7.1f} s{''.join(f', {note}' for note in notes)}", flush=True)
            if chosen.results:
                found = collect(events, path.stem, device, seeds, taken)
                # read again: another run may have written
                if found: write_whole(RESULTS, results_text(entered(read_results(), path.stem, found, skipped)))
    tables.renew()
    print(f"\n{len(paths) - len(failed)} stored on {device} in {time.time() - started:.0f} s, {jobs} at a time; {len(failed)} failed"
          + (f": {', '.join(failed)}" if failed else ""))
    return int(bool(failed))


if __name__ == "__main__": sys.exit(main())
