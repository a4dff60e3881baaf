def known(train, length): return [train[i:i + length] for i in range(len(train) - length + 1)]
def met(valid, length): return [valid[i:i + length] for i in range(len(valid) - length)]


def distinct(train, valid, length):
    contexts = set(met(valid, length))
    return len(contexts - set(known(train, length))) / len(contexts)


def seen(train, valid, length): return sum(c in known(train, length) for c in met(valid, length)) / len(met(valid, length))


def with_the_answer(train, valid, length):
    grams = [valid[i:i + length + 1] for i in range(len(valid) - length)]
    return sum(g not in known(train, length + 1) for g in grams) / len(grams)


def end_counted(train, valid, length):
    contexts = [valid[i:i + length] for i in range(len(valid) - length + 1)]
    return sum(c not in known(train, length) for c in contexts) / len(contexts)


MISTAKES = {"distinct": distinct, "seen": seen, "with-the-answer": with_the_answer, "end-counted": end_counted}
