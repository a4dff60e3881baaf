def columns(branch, keep): return keep.view(len(keep), *(1 for _ in branch.shape[1:])).float()


MISTAKES = {"not-rescaled": lambda branch, keep, p: branch * columns(branch, keep), "divided-by-p": lambda branch, keep, p: branch * columns(branch, keep) / p,
            "dropped-are-kept": lambda branch, keep, p: branch * (1 - columns(branch, keep)) / (1 - p), "last-axis": lambda branch, keep, p: keep * branch / (1 - p)}
