def within_only(counts, means, variances): return (counts * means).sum() / counts.sum(), (counts * variances).sum() / counts.sum()
def unweighted(counts, means, variances): return means.mean(), variances.mean() + (means**2).mean() - means.mean() ** 2
def plain_means(counts, means, variances): return means.mean(), variances.mean()


MISTAKES = {"not-between": within_only, "unweighted": unweighted, "both": plain_means}
