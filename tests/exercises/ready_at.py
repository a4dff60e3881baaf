def each_by_itself(seconds, workers):
    busy, result = [0.0] * workers, []
    for i, s in enumerate(seconds):
        busy[i % workers] += s
        result.append(busy[i % workers])
    return result


def alone(seconds, workers):
    total, result = 0.0, []
    for s in seconds:
        total += s
        result.append(total)
    return result


def first_free(seconds, workers):
    busy, latest, result = [0.0] * workers, 0.0, []
    for s in seconds:
        w = min(range(workers), key=lambda k: busy[k])
        busy[w] += s
        latest = max(latest, busy[w])
        result.append(latest)
    return result


def all_at_once(seconds, workers):
    latest, result = 0.0, []
    for s in seconds:
        latest = max(latest, s)
        result.append(latest)
    return result


MISTAKES = {"out-of-order": each_by_itself, "one-worker": alone, "whoever-is-free": first_free, "no-queue": all_at_once}
