def counted(epochs, batches, steps): return {"before_epoch": epochs, "before_batch": batches, "after_step": steps, "cleanup_batch": batches}


def no_validation(epochs, train, valid, stop_after):
    steps = epochs * train if stop_after is None else min(epochs * train, stop_after)
    return counted(-(-steps // train), steps, steps)


def never_stops(epochs, train, valid, stop_after): return counted(epochs, epochs * (train + valid), epochs * train)


def no_cleanup(epochs, train, valid, stop_after):
    if stop_after is None or stop_after > epochs * train: return counted(epochs, epochs * (train + valid), epochs * train)
    before = (stop_after - 1) // train
    right = counted(before + 1, stop_after + before * valid, stop_after)
    return right | {"cleanup_batch": right["cleanup_batch"] - 1}


def validates_after_stop(epochs, train, valid, stop_after):
    if stop_after is None or stop_after > epochs * train: return counted(epochs, epochs * (train + valid), epochs * train)
    begun = -(-stop_after // train)
    return counted(begun, stop_after + begun * valid, stop_after)


MISTAKES = {"no-validation": no_validation, "never-stops": never_stops, "no-cleanup": no_cleanup, "validates-after-stop": validates_after_stop}
