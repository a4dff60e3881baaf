"""Lesson 14a: soft labels, draws from the Beta distribution, and MixUp within a Learner: what it mixes, what loss it trains on, what it leaves alone."""
import math
import pytest, torch
from torch import nn
from torch.nn import functional as F
from lesson_nb.learner import AvgStats, Learner, Recorder
from lesson_nb.matmul import accuracy
from lesson_nb.mixup import MixUp, mixed_loss, soft_labels, symmetric_beta
from lesson_nb.runner import Callback, CancelBatchException
from lesson_nb.stepping import SGD


def batches(n=3, size=8): return [(torch.randn(size, 5, generator=torch.Generator().manual_seed(i)), torch.randint(4, (size,), generator=torch.Generator().manual_seed(i))) for i in range(n)]


def learner(*cbs, data=None, loss_func=None, model=None, valid=True):
    torch.manual_seed(0)
    given = data or batches()
    return Learner(model or nn.Linear(5, 4), (given, given if valid else None), loss_func or nn.CrossEntropyLoss(), SGD, 0.1, cbs=list(cbs))


# soft labels -----------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5, 1.0])
def test_soft_labels_are_what_label_smoothing_means(smoothing):
    scores, labels = torch.randn(9, 6), torch.randint(6, (9,))
    rows = soft_labels(labels, 6, smoothing)
    assert rows.shape == (9, 6) and rows.dtype == torch.float32
    torch.testing.assert_close(rows.sum(1), torch.ones(9))
    torch.testing.assert_close(F.cross_entropy(scores, rows), F.cross_entropy(scores, labels, label_smoothing=smoothing))
    if smoothing == 0: assert torch.equal(rows.long(), F.one_hot(labels, 6))


def test_soft_labels_refuse():
    assert soft_labels(torch.empty(0, dtype=torch.int64), 3).shape == (0, 3)
    for labels in (torch.tensor([3]), torch.tensor([-1, 2]), torch.tensor([0.0])):
        with pytest.raises(ValueError, match="expected whole numbers from 0 to 2"): soft_labels(labels, 3)
    for smoothing in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="expected a smoothing from 0 to 1"): soft_labels(torch.tensor([0]), 3, smoothing)


# the Beta distribution -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 1.5, 8.0])
def test_symmetric_beta_has_its_distribution(alpha):
    "Mean, variance and fourth moment by the textbook, and quantiles beside torch's own."
    generator = torch.Generator().manual_seed(0)
    drawn = torch.tensor([symmetric_beta(alpha, generator) for _ in range(10_000)], dtype=torch.float64)
    assert 0 <= drawn.min() and drawn.max() <= 1
    variance = 1 / (4 * (2 * alpha + 1))
    fourth = 3 / (16 * (2 * alpha + 1) * (2 * alpha + 3))
    assert abs(drawn.mean() - 0.5) < 5 * math.sqrt(variance / 10_000)
    assert abs((drawn - 0.5).pow(2).mean() / variance - 1) < 0.06 and abs((drawn - 0.5).pow(4).mean() / fourth - 1) < 0.12
    torch.manual_seed(0)
    theirs = torch.distributions.Beta(torch.tensor(alpha, dtype=torch.float64), alpha).sample((100_000,))
    for q in (0.1, 0.25, 0.5, 0.9): assert abs((drawn < theirs.quantile(q)).double().mean() - q) < 0.025


def test_symmetric_beta_generator_and_errors():
    before = torch.get_rng_state()
    first, again = ([symmetric_beta(a, g) for a in (0.3, 2.0)] for g in (torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)))
    assert first == again and torch.equal(before, torch.get_rng_state())
    for alpha in (0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="expected an alpha above 0"): symmetric_beta(alpha)
        with pytest.raises(ValueError, match="expected an alpha above 0"): MixUp(alpha)


# the loss --------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_mixed_loss_is_cross_entropy_of_mixed_labels(smoothing, weighted):
    pred, a, b = torch.randn(12, 5, dtype=torch.float64, requires_grad=True), torch.randint(5, (12,)), torch.randint(5, (12,))
    weight = torch.rand(5, dtype=torch.float64) if weighted else None
    def loss(pred, target): return F.cross_entropy(pred, target, weight, label_smoothing=smoothing, reduction="none")
    mixed = 0.3 * soft_labels(a, 5).double() + 0.7 * soft_labels(b, 5).double()
    ours, theirs = mixed_loss(pred, a, b, 0.3, loss), loss(pred, mixed)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(side.sum(), pred)[0] for side in (ours, theirs)))


# the callback ----------------------------------------------------------------------------------------------------------------------
class Keep(Callback):
    order = 50
    def __init__(self): self.seen = []
    def after_loss(self, learner): self.seen.append((learner.training, learner.xb, learner.yb, learner.loss.detach(), learner.pred.detach()))


def test_mixes_in_training_only_and_trains_on_the_mixed_loss():
    mixup, keep, data = MixUp(1.0, torch.Generator().manual_seed(3)), Keep(), batches()
    shares, orders = [], []
    class Note(Callback):
        order = 60
        def after_loss(self, learner):
            if learner.training: shares.append(mixup.share), orders.append(mixup.partner)
    made = learner(mixup, keep, Note(), data=data)
    loss = made.loss_func
    made.fit(1)
    trained, judged = keep.seen[:3], keep.seen[3:]
    for (training, xb, yb, value, pred), (x, y), share, partner in zip(trained, data, shares, orders):
        assert training and torch.equal(yb, y) and 0.5 <= share <= 1
        rest = (xb - share * x) / (1 - share) if share < 1 else x
        matches = torch.cdist(rest, x).argmin(1)
        torch.testing.assert_close(xb, share * x + (1 - share) * x[matches])
        assert torch.equal(partner, y[matches]) and sorted(matches.tolist()) == list(range(8))
        torch.testing.assert_close(value, share * F.cross_entropy(pred, y) + (1 - share) * F.cross_entropy(pred, partner))
    for (training, xb, yb, value, pred), (x, y) in zip(judged, data):
        assert not training and torch.equal(xb, x)
        torch.testing.assert_close(value, F.cross_entropy(pred, y))
    assert made.loss_func is loss and len({round(s, 6) for s in shares}) == 3


def test_the_data_are_not_overwritten_and_predict_is_left_alone():
    data = batches()
    copies = [(x.clone(), y.clone()) for x, y in data]
    made = learner(MixUp(), data=data)
    made.fit(2)
    assert all(torch.equal(a, b) for pair, copy in zip(data, copies) for a, b in zip(pair, copy))
    torch.testing.assert_close(made.predict(data[0][0]), made.model(data[0][0]))
    assert made.validate()["valid_loss"] == pytest.approx(sum(F.cross_entropy(made.model(x), y).item() for x, y in data) / 3, rel=1e-5)


def test_the_loss_comes_back_whatever_happens():
    class Skip(Callback):
        order = 70
        def after_pred(self, learner): raise CancelBatchException
    class Trip(Callback):
        order = 70
        def after_loss(self, learner): raise RuntimeError("broken")
    made = learner(MixUp(), Skip(), valid=False)
    loss = made.loss_func
    made.fit(1)
    assert made.loss_func is loss
    made = learner(MixUp(), Trip(), loss_func=loss)
    with pytest.raises(RuntimeError, match="broken"): made.fit(1)
    assert made.loss_func is loss


def test_same_generator_same_training_and_metrics_in_training():
    ended = []
    for _ in range(2):
        made = learner(AvgStats(accuracy, train=True), Recorder(), MixUp(0.4, torch.Generator().manual_seed(5)))
        made.fit(2)
        assert 0 <= made.metrics["train_accuracy"] <= 1
        ended.append(made.model.weight.detach())
    assert torch.equal(*ended)
    plain = learner(Recorder())
    plain.fit(2)
    assert not torch.equal(plain.model.weight, ended[0])


def test_several_inputs_share_one_mix():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(5, 4), nn.Linear(2, 4)
        def forward(self, x, z): return self.a(x) + self.b(z)
    x, z, y = torch.randn(6, 5), torch.randn(6, 2), torch.randint(4, (6,))
    keep, mixup = Keep(), MixUp(1.0)
    learner(mixup, keep, data=[(x, z, y)], model=Two(), valid=False).fit(1)
    (mixed_x, mixed_z), share = keep.seen[0][1], mixup.share
    matches = torch.cdist((mixed_x - share * x) / (1 - share), x).argmin(1)
    torch.testing.assert_close(mixed_z, share * z + (1 - share) * z[matches])


def test_indices_cannot_be_mixed():
    data = [(torch.randint(5, (6,)), torch.randint(4, (6,)))]
    with pytest.raises(TypeError, match="MixUp: expected inputs of a floating-point dtype"): learner(MixUp(), data=data, model=nn.Embedding(5, 4)).fit(1)


def test_its_own_generator_goes_on_where_it_stood():
    first, second = (MixUp(generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    torch.rand(3, generator=first.generator)
    second.load_state_dict(first.state_dict())
    assert torch.equal(torch.rand(5, generator=first.generator), torch.rand(5, generator=second.generator)) and MixUp().state_dict() == {}
