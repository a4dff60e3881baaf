def nan_only(layers, x):
    if x.isnan().any(): return "input"
    for name, function in layers:
        x = function(x)
        if x.isnan().any(): return name


def all_broken(layers, x):
    if not x.isfinite().any(): return "input"
    for name, function in layers:
        x = function(x)
        if not x.isfinite().any(): return name


def input_unseen(layers, x):
    for name, function in layers:
        x = function(x)
        if not x.isfinite().all(): return name


def last(layers, x):
    if not x.isfinite().all(): return "input"
    found = None
    for name, function in layers:
        x = function(x)
        if not x.isfinite().all(): found = name
    return found


MISTAKES = {"nan-only": nan_only, "all-broken": all_broken, "input-unseen": input_unseen, "last": last}
