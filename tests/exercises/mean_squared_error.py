"Planted mistakes for the exercise mean_squared_error: each must get the hint of its own key."


def same_shape(p, t):
    if p.shape != t.shape: raise ValueError("shapes differ")


def same_count(p, t):
    if p.numel() != t.numel(): raise ValueError("counts differ")

MISTAKES = {
    "broadcast": lambda p, t: ((p - t)**2).mean(),
    "no-refusal": lambda p, t: ((p.flatten() - t.flatten())**2).mean(),
    "too-strict": lambda p, t: same_shape(p, t) or ((p - t)**2).mean(),
    "summed": lambda p, t: same_count(p, t) or ((p.flatten() - t.flatten())**2).sum(),
}
