"Times of several functions, measured in turns, so that what disturbs one disturbs all."
import statistics, time


def interleaved(functions, rounds, seconds=0.05, clock=time.perf_counter):
    "Seconds a call of each function in each round, by `clock`; a turn lasts about `seconds`."
    calls = {}
    for name, function in functions.items():
        for _ in range(3): function()
        start = clock()
        function()
        calls[name] = max(1, int(seconds / (clock() - start)))
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = clock()
            for _ in range(calls[name]): function()
            times[name].append((clock() - start) / calls[name])
    return times


def quartiles(values): return statistics.quantiles(values, n=4)[::2]


RATIOS = f"{'ours ms':>9}{'torch ms':>9}{'ratio':>7}{'quartiles':>13}{'torch / torch':>15}   bar"   # the head of what `ratios` returns


def ratios(times, side, bar):
    "Of `interleaved` times of a side, 'torch' and 'again' (torch once more): columns as text, and whether the side misses its bar (or None)."
    ours, theirs, again = (statistics.median(times[name]) for name in (side, "torch", "again"))
    low, high = quartiles([a / b for a, b in zip(times[side], times["torch"])])
    ratio = ours / theirs
    missed = bar is not None and ratio > bar
    verdict = "" if bar is None else f"{bar}   {'MISS' if missed else 'pass'}"
    return f"{1e3 * ours:9.2f}{1e3 * theirs:9.2f}{ratio:7.2f}{f'{low:.2f} - {high:.2f}':>13}{again / theirs:15.2f}   {verdict}", missed
