"""How long a million rows take from table to tensors, and how much memory; and what one training step of the network costs.

    python benchmarks/tabular.py [--rows 1000000] [--rounds 3] [--threads 1]

Rossmann's made table, joined with its shops: dates as text taken apart, gaps filled, 16 categories to codes, 8 numbers scaled, all learned and
applied. Bars: at most 20 seconds, and a process that at its largest holds at most 4 GB. Medians over the rounds.
"""
import argparse, platform, resource, statistics, sys, time, warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import numpy as np, pandas as pd, torch
import torch.nn.functional as F
from lesson_nb.standins_written import make_rossmann
from lesson_nb.tables import TableReader, add_datepart
from lesson_nb.tabular import TabularModel

CATEGORIES = ["Store", "StoreType", "Assortment", "PromoInterval", "StateHoliday", "DayOfWeek", "Year", "Month", "Week", "Day", "Is_month_end", "Is_month_start",
              "Is_quarter_end", "Is_year_end", "CompetitionOpenSinceMonth", "Promo2"]
NUMBERS = ["CompetitionDistance", "CompetitionOpenSinceYear", "Promo2SinceWeek", "Promo2SinceYear", "Promo", "SchoolHoliday", "Dayofyear", "Elapsed"]


def largest(): # of this process so far, in GB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def once(table):
    "Seconds of each step, and what came out."
    clock, seconds = [time.perf_counter()], {}
    def done(name):
        clock.append(time.perf_counter())
        seconds[name] = clock[-1] - clock[-2]
    parts = add_datepart(table, "Date")
    done("add_datepart, from text")
    reader = TableReader(CATEGORIES, NUMBERS).fit(parts)
    done("fit")
    tensors = reader(parts)
    done("to tensors")
    return seconds, reader, tensors


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    train, _, store = make_rossmann()
    table = train.merge(store, on="Store", how="left")
    table = pd.concat([table] * -(-args.rows // len(table)))[:args.rows].reset_index(drop=True).assign(Date=lambda t: t["Date"].dt.strftime("%Y-%m-%d"))
    del train
    print(f"pandas {pd.__version__}, torch {torch.__version__}, {platform.machine()}, Python {platform.python_version()}, {len(table):,} rows")
    before, rounds = largest(), []
    for _ in range(args.rounds):
        seconds, reader, (codes, numbers) = once(table)
        rounds.append(seconds)
    assert len(codes) == len(table) and bool(numbers.isfinite().all())
    for name in rounds[0]: print(f"{name:<26}{statistics.median(r[name] for r in rounds):7.2f} s")
    print(f"{'together':<26}{statistics.median(sum(r.values()) for r in rounds):7.2f} s   bar 20")
    print(f"{'largest process':<26}{largest():7.2f} GB  bar 4    ({before:.2f} with the table alone)")
    model = TabularModel(list(reader.sizes.values()), len(NUMBERS), ps=0.1, embed_p=0.05)
    for size in (64, 1024):
        target, times = torch.randn(size), []
        for _ in range(30):
            start = time.perf_counter()
            F.mse_loss(model(codes[:size], numbers[:size]), target).backward()
            times.append(time.perf_counter() - start)
        print(f"forward and backward, {size:>5} rows: {1e3 * statistics.median(times):6.1f} ms")


if __name__ == "__main__": main()
