def through(x, w1, w2, grad): return ((grad @ w2.T) * (x @ w1 > 0)) @ w1.T


MISTAKES = {"short-cut-forgotten": through, "only-short-cut": lambda x, w1, w2, grad: grad * 1.0,
            "relu-forgotten": lambda x, w1, w2, grad: grad + grad @ w2.T @ w1.T}
