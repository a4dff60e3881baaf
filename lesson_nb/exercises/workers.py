"Hidden cases and hints for the exercises of lesson 07b."
from lesson_nb.checker import Exercise, Hint


def _handed_out(arrivals, all_at_once=True):
    waiting, due, result = {}, 0, []
    for number, answer in arrivals:
        waiting[number], given = answer, []
        while due in waiting and (all_at_once or not given):
            given.append(waiting.pop(due))
            due += 1
        result.append(given)
    return result


def _share(n, workers, worker): return list(range(n)) if workers == 0 else list(range(worker, n, workers))


def _blocks(n, workers, worker):
    if workers == 0: return list(range(n))
    size = -(-n // workers)
    return list(range(n))[worker * size:(worker + 1) * size]


def _ready(seconds, workers, place=lambda i, busy: i % len(busy), in_order=True):
    busy, latest, result = [0.0] * workers, 0.0, []
    for i, s in enumerate(seconds):
        w = place(i, busy)
        busy[w] += s
        latest = max(latest, busy[w]) if in_order else busy[w]
        result.append(latest)
    return result


exercises = {
    "handed_out": Exercise(
        reference=_handed_out,
        cases=lambda: [([(0, "a"), (1, "b")],), ([(1, "b"), (0, "a")],), ([(2, "c"), (1, "b"), (3, "d"), (0, "a"), (4, "e")],), ([],), ([(1, "x"), (2, "y"), (0, "z"), (4, "w"), (3, "v")],)],
        hints=[Hint("one-at-a-time", "at most one is handed out after each arrival; hand out *all* that are due: `while`, not `if`", wrong=lambda a: _handed_out(a, all_at_once=False)),
               Hint("as-they-come", "they are handed out as they come; a later one has to wait for those before it", wrong=lambda a: [[x] for _, x in a]),
               Hint("flat", "one list of all; wanted is a list for each arrival, perhaps an empty one", wrong=lambda a: [x for part in _handed_out(a) for x in part]),
               Hint("empty-left-out", "arrivals after which nothing can be handed out have an empty list, too", wrong=lambda a: [part for part in _handed_out(a) if part])],
        praise="PyTorch's loader has one pipe for all workers and sorts like this. With a pipe for each, asking in turn is enough."),
    "my_share": Exercise(
        reference=_share, cases=lambda: [(10, 3, 0), (10, 3, 2), (5, 0, 0), (2, 4, 3), (6, 1, 0), (7, 2, 1), (0, 2, 0)],
        hints=[Hint("all-of-it", "every worker keeps everything: each example would come as often as there are workers", wrong=lambda n, w, i: list(range(n))),
               Hint("blocks", "that is a block of neighbours; every `num_workers`-th is wanted", wrong=_blocks),
               Hint("no-workers", "with `num_workers=0` there is no worker, and everything is kept", when=lambda a, c, e: c[1] == 0),
               Hint("counted-from-one", "workers are counted from 0", wrong=lambda n, w, i: list(range(i - 1, n, w)) if w else list(range(n)))],
        praise="Without this, a stream under four workers gives every example four times, and training looks wonderful until it is judged."),
    "ready_at": Exercise(
        reference=_ready, cases=lambda: [([1.0, 1.0, 1.0, 1.0], 2), ([3.0, 1.0, 1.0, 1.0], 2), ([1.0, 2.0, 4.0], 1), ([5.0, 1.0, 1.0, 1.0, 1.0, 1.0], 3), ([], 2), ([2.0, 1.0], 4)],
        hints=[Hint("out-of-order", "a batch that is read early still waits for the one before it: no time is smaller than the one before", wrong=lambda s, w: _ready(s, w, in_order=False)),
               Hint("one-worker", "you add up all that was read before; the workers read at the same time", wrong=lambda s, w: _ready(s, 1)),
               Hint("whoever-is-free", "you give each batch to whoever is free first; batch i belongs to worker i % workers", wrong=lambda s, w: _ready(s, w, lambda i, busy: busy.index(min(busy)))),
               Hint("no-queue", "a worker does its batches one after the other: its times add up", wrong=lambda s, w: [max(s[:i + 1]) for i in range(len(s))])],
        praise="One slow batch holds up everybody behind it. `in_order=False` gives the order away to be rid of that."),
}
