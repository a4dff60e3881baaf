"Hidden cases and hints for the exercises of lesson 09d."
import math
import torch
from lesson_nb.checker import Exercise, Hint


def _histories():
    values = [([5.0, 4.0, 4.5, 4.2, 4.1], 2), ([5.0, 4.0, 3.0], 0), ([1.0, 2.0, 3.0, 0.5], 0), ([3.0, math.nan, math.nan, math.nan, 2.0], 2), ([2.0, 2.0, 2.0, 2.0], 1),
              ([], 3), ([9.0, 5.0, 6.0, 5.5, 5.2, 5.1, 4.0], 3), ([4.0, 3.0, 3.5, 3.2, 3.4, 3.1], 1)]
    return [(torch.tensor(v), patience) for v, patience in values]


def _epochs(values, patience, extra=0, last=False, careless=False, ties=False):
    best, age = math.inf, 0
    for epoch, value in enumerate(values):
        better = not value >= best if careless else value <= best if ties else value < best
        if last: better, best = value < best, value
        best, age = (value, 0) if better else (best, age + 1)
        if age + extra > patience: return epoch + 1
    return len(values)


def _kills(): return [(14, 10, 3), (7, 10, 5), (10, 10, 4), (0, 10, 4), (9, 10, 100), (25, 8, 10), (8, 8, 3), (19, 6, 4), (5, 100, 1)]
def _lost(steps, batches, every): return min(steps % every, steps % batches)


def _loaders(): return [(10, 0, 4, 1), (10, 3, 4, 2), (7, 1, 2, 0), (12, 5, 3, 4), (100, 2, 16, 5), (5, 9, 8, 1)]
def _rest(n, seed, size, done): return torch.randperm(n, generator=torch.Generator().manual_seed(seed))[size * done:]


def _drawn_again(n, seed, size, done):
    generator = torch.Generator().manual_seed(seed)
    torch.randperm(n, generator=generator)
    return torch.randperm(n, generator=generator)[size * done:]


def _folders(): return [([(100, True), (200, True)],), ([(300, False), (200, True)],), ([],), ([(5, False)],), ([(7, True), (3, True), (9, False), (8, False)],), ([(40, True), (10, False)],), ([(1, False), (2, False)],)]


def _step(files, default=None):
    if not files: return 0
    whole = [step for step, good in files if good]
    if not whole and default is None: return ValueError("all broken")  # the checker compares the kind of what is raised
    return max(whole, default=default)


def _newest(files): return max((step for step, _ in files), default=0)


exercises = {
    "epochs_run": Exercise(
        reference=_epochs, cases=_histories,
        hints=[Hint("one-early", "`patience` epochs without progress are borne; the one after them is the last", wrong=lambda v, p: _epochs(v, p, extra=1)),
               Hint("compares-with-last", "compare with the best so far, not with the epoch before", wrong=lambda v, p: _epochs(v, p, last=True)),
               Hint("nan-is-better", "a NaN counts as progress in your version: `not nan >= best` is true", wrong=lambda v, p: _epochs(v, p, careless=True)),
               Hint("ties", "as good as the best is not better", wrong=lambda v, p: _epochs(v, p, ties=True))],
        praise="The weights that are left are those of the last epoch, not of the best: hence `SaveBest`."),
    "steps_lost": Exercise(
        reference=_lost, cases=_kills,
        hints=[Hint("epochs-forgotten", "the end of an epoch writes a checkpoint too", wrong=lambda s, b, e: s % e),
               Hint("epochs-only", "every `every`-th step writes one, too", wrong=lambda s, b, e: s % b),
               Hint("counts-in-epoch", "the steps are counted from the start of the fit, not of the epoch", wrong=lambda s, b, e: s % b % e)],
        praise="On average half of `every` is lost. What a checkpoint costs and what a lost step costs decide how large it should be."),
    "still_to_come": Exercise(
        reference=_rest, cases=_loaders,
        hints=[Hint("drawn-again", "drawn once more, the order is another one; seed first, then draw once", wrong=_drawn_again),
               Hint("examples", "`done` counts batches, not examples", wrong=lambda n, seed, size, done: _rest(n, seed, 1, done)),
               Hint("given", "those are the ones that were given already", wrong=lambda n, seed, size, done: torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:size * done]),
               Hint("unshuffled", "the order is shuffled", wrong=lambda n, seed, size, done: torch.arange(size * done, max(n, size * done))[:max(0, n - size * done)])],
        praise="That is how a loader that keeps no state is brought to its place: by the dice with which its epoch began."),
    "step_to_resume": Exercise(
        reference=_step, cases=_folders,
        hints=[Hint("newest", "the newest file may be broken; take the newest whole one", wrong=_newest),
               Hint("silent", "all are broken: say so, and do not start anew in silence", wrong=lambda files: _step(files, default=0)),
               Hint("first-whole", "the files come in any order; take the highest step among the whole ones",
                    wrong=lambda files: next((step for step, good in files if good), None) if any(good for _, good in files) else _step(files))],
        praise="Newest whole one, or an error: never silence."),
}
