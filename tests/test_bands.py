"""The contract in nbs/bands.toml: what was measured, now and for results.toml, lies in its band, and nothing goes unmeasured."""
import math, os, tomllib
from pathlib import Path
import pytest
from judge import NUMBERED, ROOT
from tools.commands import read_log

bands = tomllib.loads((ROOT / "nbs" / "bands.toml").read_text(encoding="utf-8"))
LESSONS = {p.stem for p in NUMBERED}


def outside(bands, lesson, name, value, source="real"):
    "None if a value lies in its band, else a sentence."
    contract = bands.get(lesson, {}).get(name)
    if contract is None: return f"{lesson}: {name} = {value:g} has no band in bands.toml"
    band = contract.get("stand_in" if source == "stand-in" else "band")
    if band is None: return f"{lesson}: {name} has no band for {source} data"
    low, high = band
    return None if low <= value <= high else f"{lesson}: {name} = {value:g} on {source} data lies outside {low:g} to {high:g}"


def run_problems(bands, events, lessons):
    "What a run measured outside its band, and what it did not measure though it began the lesson."
    metrics = [e for e in events if e["event"] == "metric" and e["lesson"] in lessons]
    found = [outside(bands, e["lesson"], e["name"], e["value"], e.get("source") or "real") for e in metrics]
    begun = {e["lesson"] for e in events if e["event"] == "begin"}
    measured = {(e["lesson"], e["name"]) for e in metrics}
    slow = lambda lesson, name: bands[lesson][name].get("slow", False)  # reported only by a %%slow cell
    missing = [f"{lesson}: {name} has a band, but the run did not report it" for lesson in bands if lesson in begun for name in bands[lesson]
               if (lesson, name) not in measured and not slow(lesson, name)]
    return [problem for problem in found if problem] + missing


def test_bands_are_well_formed():
    for lesson, metrics in bands.items():
        assert lesson in LESSONS, f"bands.toml: there is no lesson {lesson}"
        for name, contract in metrics.items():
            assert set(contract) <= {"data", "device", "band", "stand_in", "slow"}, f"{lesson}.{name}"
            assert contract["data"] and contract["device"]
            for key in ("band", "stand_in"):
                low, high = contract.get(key, (0, 1))
                assert math.isfinite(low) and low < high


def test_results_lie_in_their_bands():
    results = tomllib.loads((ROOT / "nbs" / "results.toml").read_text(encoding="utf-8"))
    problems = [outside(bands, lesson, name, value) for lesson, metrics in results.items() if isinstance(metrics, dict)
                for name, result in metrics.items() if isinstance(result, dict) for value in result["values"]]
    assert [p for p in problems if p] == []
    missing = [f"{lesson}.{name}" for lesson in bands for name in bands[lesson] if name not in results.get(lesson, {})]
    assert missing == [], "bands without a measured result: run make results"


def test_this_run_lies_in_its_bands():
    if not (log := os.environ.get("LESSON_NB_RUN_LOG")): pytest.skip("no notebooks ran before: `make test` runs them and hands their log over")
    events = read_log(Path(log))
    assert events, f"the notebooks wrote nothing to {log}"
    assert run_problems(bands, events, LESSONS) == []


CONTRACT = {"01_matmul": {"accuracy": {"data": "MNIST", "device": "any", "band": [0.8, 0.9], "stand_in": [0.5, 0.99]}}}
BEGIN = {"event": "begin", "lesson": "01_matmul"}


def metric(value, name="accuracy", source="real"): return {"event": "metric", "lesson": "01_matmul", "name": name, "value": value, "source": source}


@pytest.mark.parametrize("events, said", [
    ([BEGIN, metric(0.7)], "outside"), ([BEGIN, metric(0.95)], "outside"), ([BEGIN, metric(0.3, source="stand-in")], "outside"),
    ([BEGIN], "did not report"), ([BEGIN, metric(0.85), metric(1.0, "speed")], "no band"), ([BEGIN, metric(float("nan"))], "outside")])
def test_a_run_outside_the_contract_is_found(events, said): assert said in " ".join(run_problems(CONTRACT, events, {"01_matmul"}))


@pytest.mark.parametrize("events", [[BEGIN, metric(0.85)], [BEGIN, metric(0.95, source="stand-in")], []])
def test_a_run_inside_the_contract_passes(events): assert run_problems(CONTRACT, events, {"01_matmul"}) == []
