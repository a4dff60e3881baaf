def stops(functions):
    done = 0
    try:
        for function in functions:
            function()
            done += 1
    except Exception as error: return done, error
    return done, None


def last_error(functions):
    done, found = 0, None
    for function in functions:
        try: function()
        except Exception as error: found = error
        else: done += 1
    return done, found


def counts_all(functions):
    first = None
    for function in functions:
        try: function()
        except Exception as error: first = first or error
    return len(functions), first


def raises(functions):
    first = None
    for function in functions:
        try: function()
        except Exception as error: first = first or error
    if first: raise first
    return len(functions), None


MISTAKES = {"stops": stops, "last-error": last_error, "counts-all": counts_all, "raises": raises}
