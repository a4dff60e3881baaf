"Hidden cases and hints for the exercises of lesson 09a."
from lesson_nb.checker import Exercise, Hint


def _pairs(): return [((2.0, 3), (5.0, 1)), ((1.0, 250), (9.0, 1)), ((0.0, 0), (4.0, 2)), ((4.0, 2), (0.0, 0)), ((0.0, 0), (0.0, 0)), ((0.5, 7), (0.25, 9))]


def _merged(first, second):
    (a, n), (b, m) = first, second
    return ((a * n + b * m) / (n + m), n + m) if n + m else (0.0, 0)


def _without_check(first, second):
    (a, n), (b, m) = first, second
    return (a * n + b * m) / (n + m), n + m


def _fits(): return [(1, 3, 2, None), (2, 5, 1, None), (3, 4, 0, None), (0, 4, 2, None), (3, 4, 2, 1), (3, 4, 2, 4), (3, 4, 2, 5), (3, 4, 2, 12), (2, 4, 3, 9), (2, 1, 1, 2)]


def _counts(epochs, train, valid, stop_after, cleans_up=True, validates_too=False, at_boundary=True):
    found = {"before_epoch": 0, "before_batch": 0, "after_step": 0, "cleanup_batch": 0}
    for _ in range(epochs):
        found["before_epoch"] += 1
        for _ in range(train):
            found["before_batch"] += 1
            found["after_step"] += 1
            stop = stop_after is not None and found["after_step"] >= stop_after
            found["cleanup_batch"] += cleans_up or not stop
            if stop:
                if validates_too: found["before_batch"], found["cleanup_batch"] = found["before_batch"] + valid, found["cleanup_batch"] + valid
                return found
        found["before_batch"], found["cleanup_batch"] = found["before_batch"] + valid, found["cleanup_batch"] + valid
    return found


def _no_validation(epochs, train, valid, stop_after): return _counts(epochs, train, 0, stop_after)
def _no_stop(epochs, train, valid, stop_after): return _counts(epochs, train, valid, None)


def _orders(): return [([("a", 0), ("b", 0), ("c", 0)],), ([("late", 5), ("early", -5), ("middle", 0)],), ([],), ([("z", 1), ("a", 1), ("m", 0), ("b", 1)],), ([("x", 0.5), ("y", 0.25)],)]


def _called(callbacks, **kwargs): return [name for name, _ in sorted(callbacks, key=lambda pair: pair[1], **kwargs)]


def _fine(): pass
def _one(): raise KeyError("one")
def _two(): raise ValueError("two")
def _actions(): return [([_fine, _one, _fine],), ([_fine, _fine],), ([],), ([_one, _two, _fine],), ([_two, _one],), ([_fine, _two],)]


def _cleaned(functions, stops=False, last=False, counts_all=False):
    succeeded, error = 0, None
    for function in functions:
        try: function()
        except Exception as raised:
            error = raised if last else error or raised
            if stops: break
            succeeded += counts_all
        else: succeeded += 1
    return succeeded, error


exercises = {
    "merged": Exercise(
        reference=_merged, cases=_pairs,
        hints=[Hint("mean-of-means", "each part counts by its examples; the plain mean of two means is what this lesson warned of", wrong=lambda f, s: ((f[0] + s[0]) / 2, f[1] + s[1])),
               Hint("empty", "two empty parts have no examples to divide by: return (0.0, 0)", wrong=_without_check),
               Hint("no-count", "return the number of examples too, so that the result can be merged again", wrong=lambda f, s: _merged(f, s)[0])],
        praise="A total and a count can be merged in any order; means alone cannot. Machines that train together do this (lesson 25)."),
    "event_counts": Exercise(
        reference=_counts, cases=_fits,
        hints=[Hint("no-validation", "validation batches have a `before_batch` and a `cleanup_batch` as well", wrong=_no_validation),
               Hint("never-stops", "CancelFitException ends the fit: what comes after it is not called", wrong=_no_stop),
               Hint("no-cleanup", "`cleanup_batch` is always called, for the batch that was left too", wrong=lambda *a: _counts(*a, cleans_up=False)),
               Hint("validates-after-stop", "a fit that is cancelled in training does not validate any more", wrong=lambda *a: _counts(*a, validates_too=True))],
        praise="Whoever can say what is called, and how often, has understood the loop."),
    "call_order": Exercise(
        reference=_called, cases=_orders,
        hints=[Hint("backwards", "a lower `order` comes first", wrong=lambda callbacks: _called(callbacks, reverse=True)),
               Hint("by-name", "equal orders stay as they were added; yours are sorted by name", wrong=lambda callbacks: [n for n, _ in sorted(callbacks, key=lambda p: (p[1], p[0]))]),
               Hint("as-added", "they come as they were added, whatever their order; sort by it", wrong=lambda callbacks: [n for n, _ in callbacks])],
        praise="A sort that keeps equal ones in their order is called stable; Python's is."),
    "clean_all": Exercise(
        reference=_cleaned, cases=_actions,
        hints=[Hint("stops", "after the first error the others still have to be called", wrong=lambda functions: _cleaned(functions, stops=True)),
               Hint("last-error", "of several errors return the first: the others are often its consequences", wrong=lambda functions: _cleaned(functions, last=True)),
               Hint("counts-all", "count those that succeeded, not those that were called", wrong=lambda functions: _cleaned(functions, counts_all=True)),
               Hint("raises", "return the error instead of raising it", when=lambda answer, arguments, expected: isinstance(answer, (KeyError, ValueError)))],
        praise="This is `_clean` of the handler. Python's `contextlib.ExitStack` does the same for files and locks."),
}
