"Times of several functions, measured in turns, so that what disturbs one disturbs all."
import statistics, time


def interleaved(functions, rounds, seconds=0.05):
    "Seconds a call of each function in each round; a turn lasts about `seconds`."
    calls = {}
    for name, function in functions.items():
        for _ in range(3): function()
        start = time.perf_counter()
        function()
        calls[name] = max(1, int(seconds / (time.perf_counter() - start)))
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            for _ in range(calls[name]): function()
            times[name].append((time.perf_counter() - start) / calls[name])
    return times


def quartiles(values): return statistics.quantiles(values, n=4)[::2]
