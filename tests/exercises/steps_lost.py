def epochs_forgotten(steps, batches, every): return steps % every
def epochs_only(steps, batches, every): return steps % batches
def counts_in_epoch(steps, batches, every): return (steps % batches) % every


MISTAKES = {"epochs-forgotten": epochs_forgotten, "epochs-only": epochs_only, "counts-in-epoch": counts_in_epoch}
