def list_keeps_names(names, start, stop, step):
    kept = names[slice(start, stop, step)]
    return kept, list(kept)


def both_renumbered(names, start, stop, step):
    count = len(names[start:stop:step])
    return list(map(str, range(count))), list(map(str, range(count)))


def old_numbers(names, start, stop, step): return names[start:stop:step], [str(i) for i in range(*slice(start, stop, step).indices(len(names)))]


MISTAKES = {"list-keeps-names": list_keeps_names, "both-renumbered": both_renumbered, "old-numbers": old_numbers}
