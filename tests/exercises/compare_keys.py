def swapped(wanted, found): return [k for k in found if k not in wanted], [k for k in wanted if k not in found]


def by_sets(wanted, found): return sorted(set(wanted).difference(found)), sorted(set(found).difference(wanted))


def one_list_twice(wanted, found):
    lonely = [k for k in wanted + found if not (k in wanted and k in found)]
    return lonely, lonely


MISTAKES = {"swapped": swapped, "sorted": by_sets, "one-side": one_list_twice}
