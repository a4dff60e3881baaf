def since(events, before, start):
    days, count = [], None
    for event in events:
        count = start if event else None if count is None else count + 1
        days.append(before if count is None else count)
    return days


MISTAKES = {"zero-before": lambda events: since(events, 0, 0), "counted-from-one": lambda events: since(events, None, 1),
            "until": lambda events: since(events[::-1], None, 0)[::-1]}
