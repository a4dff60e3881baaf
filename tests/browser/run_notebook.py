"""Work through notebooks in a real browser, as a learner does. Run by hand; pytest does not collect it.

    python tests/browser/run_notebook.py 01_matmul index --out /tmp/seen

It starts `make lab`, opens the first page with the token that JupyterLab prints, then each notebook named; chooses *Run > Run All Cells*
in the menu, waits until the kernel is idle, and checks that no output is an error. It counts the figures and takes pictures of the page
from top to bottom in the light theme, and of the first figures in the dark one. Nothing is saved: the notebooks stay as they were.

Needs the `playwright` package (in any environment: it need not be the course's), and Chromium or Chrome from the system
(`--chromium /path/to/it` if it is not found by name). Playwright's own browsers are not needed.
"""
import argparse, json, os, re, shutil, signal, subprocess, sys, tempfile, threading, time
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SETTINGS = {"notebook-extension/tracker": {"windowingMode": "none"}, "docmanager-extension/plugin": {"autosave": False}}
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"


def start_lab(settings, port):
    "Start `make lab` without a browser of its own; gives the process and the address with the token."
    for name, values in SETTINGS.items():
        file = Path(settings)/"@jupyterlab"/f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(values))
    env = os.environ | {"JUPYTERLAB_SETTINGS_DIR": settings, "JUPYTERLAB_WORKSPACES_DIR": settings,
                        "LAB_ARGS": f"--no-browser --port {port}"}
    process = subprocess.Popen(["make", "-s", "lab"], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               start_new_session=True)
    said = []
    for line in process.stdout:
        said.append(line)
        if match := re.search(r"http://(?:localhost|127\.0\.0\.1):\d+/lab/tree/\S+token=\w+", line):
            threading.Thread(target=lambda: [None for _ in process.stdout], daemon=True).start()     # keep the pipe empty
            return process, match[0]
    raise SystemExit("make lab ended before it named an address:\n" + "".join(said))


def stop_lab(process):
    "End JupyterLab and its kernels."
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(15)
            return
        except subprocess.TimeoutExpired: pass
        except ProcessLookupError: return


def choose(page, *labels):
    "Choose an entry of the menu bar, and of its submenus."
    page.click(f".lm-MenuBar-itemLabel:text-is('{labels[0]}')")
    for number, label in enumerate(labels[1:], 1):
        entry = page.locator(f".lm-Menu-item:has(.lm-Menu-itemLabel:text-is('{label}'))").last
        entry.hover() if number < len(labels) - 1 else entry.click()


def choose_until(page, happened, *labels, tries=6):
    "Choose a menu entry, again if the page was not ready for it: `happened` has to become true within five seconds."
    for _ in range(tries):
        choose(page, *labels)
        for _ in range(20):
            if happened(): return
            page.wait_for_timeout(250)
        page.keyboard.press("Escape")
    raise SystemExit(f"{' > '.join(labels)}: chosen {tries} times without effect")


def settle(page, selector):
    "Wait until the number of such elements stays the same for a second."
    last, still = -1, 0
    while still < 4:
        now = page.locator(selector).count()
        last, still = now, still + 1 if now == last else 0
        page.wait_for_timeout(250)


def wait_until_idle(page, name, out, seconds):
    "Wait until no cell is waiting or running any more; if that takes too long, say which cell runs."
    deadline = time.time() + seconds
    while time.time() < deadline:
        waiting = page.locator(f"{PANEL} .jp-InputPrompt:text-is('[*]:')").count()
        run = page.locator(f"{PANEL} .jp-CodeCell .jp-InputPrompt").all_inner_texts()
        if not waiting and any(re.fullmatch(r"\[\d+\]:", text) for text in run): return
        page.wait_for_timeout(500)
    running = page.locator(f"{PANEL} .jp-CodeCell:has(.jp-InputPrompt:text-is('[*]:'))").first
    running.scroll_into_view_if_needed()
    page.screenshot(path=out/f"{name}_unfinished.png")
    raise SystemExit(f"{name}: not finished after {seconds} s; running:\n{running.locator('.jp-InputArea').inner_text()}")


def look(page, name, out, seconds):
    "Run one notebook; returns what was seen."
    page.wait_for_selector(f"{PANEL} .jp-CodeCell", timeout=60_000)
    page.wait_for_selector(f"{PANEL} .jp-Notebook-ExecutionIndicator[data-status='idle']", timeout=60_000)
    outputs, prompts = f"{PANEL} .jp-OutputArea-output", f"{PANEL} .jp-CodeCell .jp-InputPrompt"
    settle(page, outputs)
    choose_until(page, lambda: page.locator(outputs).count() == 0, "Edit", "Clear Outputs of All Cells")
    started = time.time()
    choose_until(page, lambda: any(re.search(r"[*\d]", text) for text in page.locator(prompts).all_inner_texts()), "Run", "Run All Cells")
    wait_until_idle(page, name, out, seconds)
    taken = time.time() - started
    page.wait_for_timeout(1500)                                                 # the last figures are painted
    count = lambda selector: page.locator(f"{PANEL} {selector}").count()
    prompts = page.locator(f"{PANEL} .jp-CodeCell .jp-InputPrompt").all_inner_texts()
    said = page.locator(", ".join(f"{PANEL} [data-mime-type='application/vnd.jupyter.{kind}']" for kind in ("error", "stderr")))
    errors = [text for text in said.all_inner_texts() if "Traceback (most recent call last)" in text]    # JupyterLab 4 shows them as stderr
    pictures = page.locator(f"{PANEL} .jp-OutputArea-output img, {PANEL} .jp-OutputArea-output svg")
    drawn = "e => e.tagName != 'IMG' || (e.complete && e.naturalWidth > 10)"
    empty = sum(not pictures.nth(i).evaluate(drawn) for i in range(pictures.count()))
    text = "\n".join(page.locator(f"{PANEL} .jp-OutputArea-output").all_inner_texts())
    seen = {"notebook": name, "seconds": round(taken, 1), "code cells": len(prompts),
            "run": sum(bool(re.fullmatch(r"\[\d+\]:", p)) for p in prompts), "errors": len(errors), "figures": pictures.count(),
            "figures not drawn": empty, "stderr": count("[data-mime-type='application/vnd.jupyter.stderr']"),
            "skipped cells": len(re.findall(r"^skipped: ", text, re.M)), "not tried yet": text.count("not tried")}
    scroller = page.locator(f"{PANEL} .jp-WindowedPanel-outer").first
    height, view = scroller.evaluate("e => [e.scrollHeight, e.clientHeight]")
    for number, top in enumerate(range(0, max(1, int(height)), max(1, int(view*.9)))):
        scroller.evaluate(f"e => e.scrollTop = {top}")
        page.wait_for_timeout(150)
        page.screenshot(path=out/f"{name}_light_{number:02}.png")
    choose(page, "Settings", "Theme", "JupyterLab Dark")
    page.wait_for_timeout(1500)
    for number in range(min(8, pictures.count())):
        pictures.nth(number).scroll_into_view_if_needed()
        page.wait_for_timeout(150)
        page.screenshot(path=out/f"{name}_dark_{number:02}.png")
    if not pictures.count(): page.screenshot(path=out/f"{name}_dark_00.png")
    choose(page, "Settings", "Theme", "JupyterLab Light")
    for error in errors: print(f"\n{name}: {error[:2000]}")
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebooks", nargs="+", help="names such as 01_matmul")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--port", type=int, default=8899)
    parser.add_argument("--seconds", type=int, default=300, help="limit for one notebook")
    parser.add_argument("--chromium", default=next(filter(None, map(shutil.which, NAMES)), None))
    parser.add_argument("--flag", action="append", default=[], help="one more flag for Chromium; may be repeated")
    chosen = parser.parse_args()
    if not chosen.chromium: parser.error("no Chromium found; give --chromium")
    chosen.out.mkdir(parents=True, exist_ok=True)
    before = {p: p.read_bytes() for p in (ROOT/"nbs").glob("*.ipynb")}
    flags = chosen.flag + (["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])
    failed = False
    with tempfile.TemporaryDirectory() as settings, sync_playwright() as playwright:
        lab, address = start_lab(settings, chosen.port)
        try:
            browser = playwright.chromium.launch(executable_path=chosen.chromium, args=flags)
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            complaints = []
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(address)
            page.wait_for_selector(f"{PANEL} .jp-MarkdownOutput h1", timeout=120_000)
            title = page.locator(f"{PANEL} .jp-MarkdownOutput h1").first.inner_text()
            print(f"make lab opens {re.sub('token=.*', 'token=…', address)}: {title.strip('¶')!r}")
            page.screenshot(path=chosen.out/"first_page.png")
            for name in chosen.notebooks:
                page.goto(re.sub(r"/lab/tree/.*", f"/lab/tree/nbs/{name}.ipynb", address))
                seen = look(page, name, chosen.out, chosen.seconds)
                print(json.dumps(seen))
                failed |= bool(seen["errors"] or seen["figures not drawn"] or seen["run"] < seen["code cells"])
            if complaints: print(f"the page itself complained {len(complaints)} times, first: {complaints[0][:300]}")
            browser.close()
        finally: stop_lab(lab)
    changed = [p.name for p in before if p.read_bytes() != before[p]]
    if changed: print(f"changed on disk: {changed}")
    return int(failed or bool(changed))


if __name__ == "__main__": sys.exit(main())
