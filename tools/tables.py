"""Writes the generated parts of README.md and nbs/index.ipynb, between `<!-- NAME -->` and `<!-- /NAME -->`.

`python -m tools.tables` (in .venv) renews them, `python -m tools.tables --check` only says whether they are current.
"""
import json, re, sys, tomllib
from pathlib import Path

from tools.commands import ROOT, all_notebooks

CHEST = "the tool chest"
PARTS = [(CHEST, 0), ("a network from arithmetic", 1), ("a machine that trains it", 7), ("training well", 13), ("seeing", 16),
         ("tables and text", 19), ("scale and care", 24)]
PLAN = {
    "00_ledger": "which lesson may use what, and the watch that holds it to that",
    "00a_core": "`begin`, the marks `%%cuda` and `%%slow`, timing, plots in one style",
    "00b_proof": "`assert_same` and `unlock`: proving a piece equal to PyTorch's",
    "00c_standins": "pictures made on the spot, where the real ones are not at hand",
    "00c_standins_written": "the same for text and tables",
    "00d_data_catalog": "the data sets: mirrors, checksums, licences, citations",
    "00d_data_fetching": "downloads that break, stall or lie, and what becomes of them",
    "00d_datasets": "the loaders: `load_mnist` and its kin",
    "00e_checker": "the checker behind the exercises, and its hints",
    "01_matmul": "from three nested loops to a matrix product that reads handwritten digits",
    "02_backprop": "the chain rule by hand: gradients of a two-layer network, checked",
    "03_autograd": "the engine that finds those gradients by itself",
    "04_losses": "softmax, cross-entropy and squared error that survive large numbers",
    "04b_regression": "losses for numbers and for chances: squares, logs and sigmoids",
    "05_modules": "`Module` and `Parameter`, and their state",
    "05a_containers": "`Sequential`, `ModuleList`, `ModuleDict`: modules that hold others",
    "05b_layers": "`Linear`, `Embedding`, activations, the losses as modules",
    "06_convolution": "one kernel seen from four sides, forward and backward",
    "06b_pooling": "summaries of a neighbourhood, so that any size of picture will do",
    "07_samplers": "datasets, and the orders in which they are read",
    "07a_collate": "from a list of examples to a batch",
    "07b_workers": "processes that read ahead, and what happens when one dies",
    "07c_data": "`DataLoader`, and splits that do not leak",
    "08_optimizers": "the `Optimizer`, its groups and its state; SGD by hand",
    "08a_stepping": "SGD with momentum for one parameter, for many, and for all in one buffer",
    "08b_adaptive": "RMSprop, Adagrad, Adam and its kin, LAMB, Muon",
    "09a_runner": "one training loop that callbacks extend, and that Ctrl-C does not break",
    "09b_learner": "`Learner`: averages, predictions, files, records",
    "09c_callbacks": "progress, accumulation, clipping, mixed precision, NaN",
    "09d_checkpoints": "the best, the last, and going on after a kill",
    "10_schedules": "learning-rate schedules, and how to find the rate",
    "11_hooks": "looking inside a network while it trains",
    "12_initialization": "why deep networks do not start, and what makes them",
    "12a_starts": "orthogonal and LSUV starts; everything so far on one network",
    "13_normalization": "batch normalization: a backward pass by hand, running averages, frozen layers, batches of two",
    "13a_layernorm": "layer, group, instance and RMS normalization: over which numbers to average",
    "14_regularization": "overfitting on purpose; early stopping, dropout, weight decay",
    "14a_mixup": "soft labels, mixed pictures, and all remedies on the test pictures",
    "15_augmentation": "more pictures from the ones there are: flip, crop, light, cutout, and several views at test time",
    "15a_warping": "turned, zoomed, seen from another side: resampling pictures on a grid, forward and backward",
    "16_resnet": "seven networks, each with one idea more than the last, and what `x + f(x)` is good for",
    "16a_resnet18": "ResNet-18 and 34 with torchvision's checkpoints, other blocks, small pictures first",
    "17_transfer": "a network from another task: cut, frozen, thawed by groups",
    "17a_heatmaps": "where a network looks: class activation maps and Grad-CAM, and how far to trust them",
    "18_style": "the content of one picture in the style of another",
    "19_tables": "dates, categories, gaps and scales: a table read by rules that are learned once; a split by time",
    "19a_tabular": "a network with embeddings for tables, beside a ridge regression and boosted trees",
    "20_language": "a text as numbers, tables to beat, and a network that keeps a state from batch to batch",
    "20a_rnn": "`RNNCell` and `RNN`, and what becomes of a gradient on its way back through time",
    "21_gated_rnn": "GRU and LSTM: what to keep and what to forget, and a way back through time by hand",
    "21a_generation": "choosing the next character: temperature, top-k, and what a network writes at which loss",
    "22_attention": "translation, and a decoder that looks back",
    "23_transformer": "attention all the way: a transformer from its parts",
    "24_speed": "mixed precision, compilation, and finding where the time goes",
    "25_distributed": "one training run on several processes",
    "26_ethics": "auditing a trained model before anybody relies on it",
}


def number_of(stem):
    "The number a notebook's name begins with."
    return int(re.match(r"\d+", stem)[0])


def heading(path):
    "What the title of a notebook says after its name."
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        match = re.match(r"#\s+(.+)", "".join(cell["source"])) if cell["cell_type"] == "markdown" else None
        if match: return match[1].partition(": ")[2] or match[1]
    return ""


def map_table(folder # the way from the page to the notebooks: "nbs/" or ""
             ):
    "The lessons, part by part; those that are written are linked."
    here = {path.stem: path for path in all_notebooks() if re.match(r"\d", path.stem)}
    lessons = PLAN | {stem: heading(path) for stem, path in here.items() if stem not in PLAN}
    starts = [start for _, start in PARTS] + [100]
    lines = ["| lesson | what you build |", "| --- | --- |"]
    for (part, start), end in zip(PARTS, starts[1:]):
        lines.append(f"| **{part}** | |")
        for stem in sorted(s for s in lessons if start <= number_of(s) < end):
            if stem not in here and part == CHEST: continue
            link, note = (f"[{stem}]({folder}{stem}.ipynb)", "") if stem in here else (stem, " (planned)")
            lines.append(f"| {link} | {lessons[stem]}{note} |")
    return lines


def shown(spellings):
    "Spellings as code; a bar would end the table's cell."
    return ", ".join(f"`{s}`".replace("|", "\\|") for s in spellings)


def ledger_table(folder, planned=True):
    "What is proven where, and if wanted what is still locked."
    from lesson_nb.core import read_ledger
    rows = read_ledger(ROOT/"nbs").table()
    proven, locked = [r for r in rows if r[3]], [r for r in rows if not r[3]]
    lines = ["| proven | with it you may use | in |", "| --- | --- | --- |"]
    lines += [f"| {name} | {shown(spellings)} | [{lesson}]({folder}{lesson}.ipynb), {proof} |" for name, spellings, lesson, proof in proven]
    if not proven: lines.append("| nothing yet | | |")
    count = f"{len(locked)} {'pieces' if len(locked) > 1 else 'piece'}"
    if planned and locked:
        lines += ["", f"<details><summary>Still locked: {count}, and the lesson that will prove {'each' if len(locked) > 1 else 'it'}</summary>", "",
                  "| locked | all its names | until |", "| --- | --- | --- |"]
        lines += [f"| {name} | {shown(spellings)} | {lesson} |" for name, spellings, lesson, _ in locked] + ["", "</details>"]
    elif locked: lines += ["", f"Not yet proven, and locked until their lesson does it: {count} of PyTorch; [index]({folder}index.ipynb) has the list."]
    return lines


def results_table():
    "What `make results` measured, beside the band each has to lie in."
    from tools.notebooks import read_results
    file = ROOT/"nbs"/"bands.toml"
    bands = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    rows = [(lesson, name, r) for lesson, metrics in sorted(read_results().items()) for name, r in metrics.items()]
    if not rows: return ["No results are stored yet; `make results` measures them."]
    lines = ["| lesson | measured | value | has to lie in | on | device | runs |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for lesson, name, r in rows:
        low, high = band_of(bands, lesson, name)
        spread = f" ({min(r['values']):.4g} to {max(r['values']):.4g})" if len(r["values"]) > 1 else ""
        lines.append(f"| {lesson} | {name.replace('_', ' ')} | {r['value']:.4g}{spread} | {band_text(low, high)} "
                     f"| {r['data']} | {r['device']} | {len(r['values'])} |")
    return lines


def band_of(bands, lesson, name):
    "(lowest, highest) of a metric in bands.toml; None where there is no limit."
    band = bands.get(lesson, {}).get(name, {})
    if isinstance(band, list): return tuple(band)
    low, high = band.get("band", (band.get("low"), band.get("high")))
    return low, high


def band_text(low, high):
    "A band in words."
    if low is None and high is None: return ""
    return f"≥ {low:g}" if high is None else f"≤ {high:g}" if low is None else f"{low:g} to {high:g}"


def parts(folder, planned):
    "{name of a generated part: a function that makes its lines}."
    return {"map": lambda: map_table(folder), "ledger": lambda: ledger_table(folder, planned), "results": results_table}


def fill(text, makers):
    "`text` with every part between `<!-- NAME -->` and `<!-- /NAME -->` made anew."
    def anew(match): return "\n".join([f"<!-- {match[1]} -->", "", *makers[match[1]](), "", f"<!-- /{match[1]} -->"])
    return re.sub(rf"<!-- ({'|'.join(makers)}) -->.*?<!-- /\1 -->", anew, text, flags=re.S)


def fresh():
    "{file: what it should say}, for each file with generated parts."
    found = {}
    readme, index = ROOT/"README.md", ROOT/"nbs"/"index.ipynb"
    if readme.exists(): found[readme] = fill(readme.read_text(encoding="utf-8"), parts("nbs/", planned=False))
    if index.exists():
        notebook = json.loads(index.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = fill("".join(cell["source"]), parts("", planned=True)).splitlines(keepends=True)
        found[index] = json.dumps(notebook, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    return found


def outdated():
    "The files whose generated parts are not current."
    return [path for path, text in fresh().items() if path.read_text(encoding="utf-8") != text]


def renew():
    "Write the generated parts anew where they changed."
    from tools.notebooks import write_whole
    for path, text in fresh().items():
        if path.read_text(encoding="utf-8") != text: write_whole(path, text)


if __name__ == "__main__":
    if "--check" not in sys.argv: renew()
    elif found := outdated(): sys.exit(f"out of date: {', '.join(p.name for p in found)}; renew with `make notebooks`")
