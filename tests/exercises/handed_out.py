def only_one(arrivals):
    waiting, due, result = dict(), 0, []
    for number, answer in arrivals:
        waiting[number] = answer
        result.append([])
        if due in waiting:
            result[-1].append(waiting[due])
            due += 1
    return result


def right(arrivals):
    seen, handed, result = {}, 0, []
    for number, answer in arrivals:
        seen[number] = answer
        given = []
        while handed in seen:
            given.append(seen[handed])
            handed += 1
        result.append(given)
    return result


def as_they_come(arrivals): return [[answer] for number, answer in arrivals]
def flat(arrivals): return sum(right(arrivals), [])
def without_empty(arrivals): return list(filter(None, right(arrivals)))


MISTAKES = {"one-at-a-time": only_one, "as-they-come": as_they_come, "flat": flat, "empty-left-out": without_empty}
