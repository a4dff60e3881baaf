def no_modulo(data):
    if data[-5:-1] != b"DONE": return "cut short"
    return "whole" if sum(data[:-5]) == data[-1] else "changed"


def counts_the_mark(data):
    if data[-5:-1] != b"DONE": return "cut short"
    return "whole" if sum(data[:-1]) % 256 == data[-1] else "changed"


def mark_anywhere(data):
    if data.find(b"DONE") < 0: return "cut short"
    whole = data[-5:-1] == b"DONE" and sum(data[:-5]) % 256 == data[-1]
    return "whole" if whole else "changed"


MISTAKES = {"no-modulo": no_modulo, "counts-the-mark": counts_the_mark, "mark-anywhere": mark_anywhere}
