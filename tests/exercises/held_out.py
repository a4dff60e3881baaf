def one_by_one(times, count):
    order = sorted(range(len(times)), key=times.__getitem__)
    return [i in order[len(times) - count:] for i in range(len(times))]


MISTAKES = {"tie-torn": one_by_one, "earliest": lambda times, count: [time <= sorted(times)[count - 1] for time in times],
            "too-few": lambda times, count: [time > sorted(times)[-count] for time in times],
            "from-the-end-of-the-list": lambda times, count: [False] * (len(times) - count) + [True] * count}
