def first(batch): return [tuple(part[0] for part in batch)]
def as_it_was(batch): return [part for part in batch]
def slices(batch): return [tuple(part[i:i + 1] for part in batch) for i in range(len(batch[0]))]


MISTAKES = {"only-first": first, "not-turned": as_it_was, "kept-the-batch-dimension": slices}
