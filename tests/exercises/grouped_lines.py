from itertools import groupby


def lines(texts, beyond=0, alone=True):
    result, start = [], 0
    for text, group in groupby(texts):
        count = len(list(group))
        result.append(f"({start}): {text}" if count == 1 and alone else f"({start}-{start + count - 1 + beyond}): {count} x {text}")
        start += count
    return result


def not_neighbours(texts):
    counts = {}
    for text in texts: counts[text] = counts.get(text, 0) + 1
    result, start = [], 0
    for text, count in counts.items():
        result.append(f"({start}): {text}" if count == 1 else f"({start}-{start + count - 1}): {count} x {text}")
        start += count
    return result


MISTAKES = {"one-too-far": lambda texts: lines(texts, beyond=1), "one-times": lambda texts: lines(texts, alone=False), "not-neighbours": not_neighbours}
