"""Choosing from scores, writing, writing at losses, snapshots that vote; and what a training that meets NaN leaves behind."""
import copy, math
import pytest, torch
from lesson_nb import nn as ours_nn
from lesson_nb.adaptive import AdamW
from lesson_nb.callbacks import TerminateOnNaN
from lesson_nb.generation import WriteAt, choose, mixture_loss, write
from lesson_nb.language import ForgetState, LanguageModel, Vocabulary, get_text_dls, sequence_loss
from lesson_nb.learner import Learner
from lesson_nb.rnn import RNN
from lesson_nb.runner import Callback
from lesson_nb.schedules import CosineRestarts, Snapshots

pytestmark = pytest.mark.usefixtures("one_thread")
TEXT = "the cat sat on the mat, and the dog sat on the cat. " * 40
VOCABULARY = Vocabulary(TEXT)


def seeded(number): return torch.Generator().manual_seed(number)


def model_of(kind="GRU", layers=1, dropout=0.0):
    torch.manual_seed(1)
    return LanguageModel(len(VOCABULARY), (RNN if kind == "RNN" else getattr(ours_nn, kind))(8, 16, layers), dropout)


def learner_of(model, cbs=(), lr=1e-2):
    numbers = VOCABULARY.encode(TEXT)
    return Learner(model, get_text_dls(numbers[:1600], numbers[1600:], 8, 10), sequence_loss, AdamW, lr, [ForgetState(), *cbs])


# choose -----------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("temperature, top_k", [(1.0, None), (0.5, None), (2.0, 3), (1.0, 1), (0.7, 5), (1.0, 50)])
def test_choices_come_as_often_as_the_softmax_says(temperature, top_k):
    scores = torch.tensor([1.0, 0.0, 2.0, -1.0, 0.5])
    draws = choose(scores.expand(40_000, 5), temperature, top_k, seeded(0))
    expected = torch.softmax(scores / temperature, 0)
    if top_k is not None and top_k < 5: expected[scores.argsort(descending=True)[top_k:]] = 0
    found = torch.bincount(draws, minlength=5) / 40_000
    torch.testing.assert_close(found, expected / expected.sum(), rtol=0, atol=0.012)
    assert (found[expected == 0] == 0).all()


def test_any_axes_and_ties():
    scores = torch.randn(2, 3, 6)
    for given in (scores, scores[0], scores[0, 0], scores.mT.contiguous().mT, scores.double()):
        assert choose(given, 0).equal(given.argmax(-1)) and choose(given).shape == given.shape[:-1] and choose(given).dtype == torch.int64
    assert len(set(choose(torch.zeros(500, 6), top_k=2).tolist())) == 2, "of equal scores exactly two may stay"
    assert set(choose(torch.zeros(500, 6)).tolist()) == set(range(6))


def test_extreme_dials_and_scores():
    scores = torch.tensor([[3e38, 1.0, -3e38], [-math.inf, 0.0, -math.inf]])
    for temperature in (0, 1e-38, 1e-3, 1.0): assert choose(scores, temperature).tolist() == [0, 1]
    assert choose(torch.tensor([1.0, 2.0]), 1e-45) == 1
    first, second = (choose(torch.zeros(50, 9), generator=seeded(4)) for _ in range(2))
    assert first.equal(second)


@pytest.mark.parametrize("kwargs, words", [(dict(temperature=-0.1), "temperature of 0 or more"), (dict(temperature=math.nan), "temperature"), (dict(temperature=math.inf), "temperature"),
                                           (dict(top_k=0), "top_k of 1 or more"), (dict(top_k=2.0), "top_k")])
def test_bad_dials(kwargs, words):
    with pytest.raises(ValueError, match=words): choose(torch.zeros(3), **kwargs)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_spoilt_scores_are_refused(bad):
    for temperature in (0, 1.0):
        with pytest.raises(ValueError, match="NaN or inf.*go back to a snapshot"): choose(torch.tensor([0.0, bad]), temperature)


# write ------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_written_greedily_is_what_reading_again_from_the_start_gives(kind):
    model, passage = model_of(kind, 2).eval(), "the c"
    for _ in range(12):
        model.forget()
        passage += VOCABULARY.characters[model(VOCABULARY.encode(passage)[:, None])[-1, 0].argmax()]
    assert write(model, VOCABULARY, "the c", 12, temperature=0) == [passage]


def test_copies_and_seeds():
    model = model_of()
    texts = write(model, VOCABULARY, "the ", 30, copies=3, generator=seeded(1))
    assert texts == write(model, VOCABULARY, "the ", 30, copies=3, generator=seeded(1)) != write(model, VOCABULARY, "the ", 30, copies=3, generator=seeded(2))
    assert len(set(texts)) == 3 and all(len(t) == 34 and t.startswith("the ") for t in texts)
    assert write(model, VOCABULARY, "the ", 0) == ["the "]


def test_modes_state_and_weights_are_left_alone():
    model = model_of(layers=2, dropout=0.5)
    model.layer.dropout = 0.5
    model.train()
    model.scores.eval()
    model(VOCABULARY.encode("the cat ")[:, None])
    before = copy.deepcopy(model.state_dict())
    first, second = (write(model, VOCABULARY, "the ", 20, temperature=0) for _ in range(2))
    assert first == second, "no dropout while it writes"
    assert model.training and model.layer.training and not model.scores.training and model.state is None
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values()))
    assert all(p.grad is None for p in model.parameters())


def test_what_cannot_be_written():
    model = model_of().train()
    with pytest.raises(ValueError, match="beginning of one character"): write(model, VOCABULARY, "")
    with pytest.raises(ValueError, match="Vocabulary.encode"): write(model, VOCABULARY, "THE")
    with torch.no_grad(): model.layer.weight_hh_l0[0, 0] = math.nan
    with pytest.raises(ValueError, match="NaN"): write(model, VOCABULARY, "the ")
    assert model.state is None and model.training


# at which loss ----------------------------------------------------------------------------------------------------------------
def test_it_writes_once_at_each_mark_in_the_order_of_the_training():
    calls = []
    writing = WriteAt([1.0, 2.5, 2.0, -1.0], lambda model: calls.append(model.training) or f"text {len(calls)}", width=5)
    learner = learner_of(model_of(), [writing])
    learner.fit(12)
    assert list(writing.texts) == [2.5, 2.0, 1.0] and list(writing.texts.values()) == ["text 1", "text 2", "text 3"]


def test_marks_passed_together_share_a_text():
    writing = WriteAt([9.0, 8.0, 0.0], lambda model: "a text")
    learner_of(model_of(), [writing]).fit(1)
    assert writing.texts == {9.0: "a text", 8.0: "a text"}


def test_the_training_goes_on_as_if_nobody_had_written():
    ends = []
    for cbs in ([], [WriteAt([2.9, 2.7, 2.4], lambda model: write(model, VOCABULARY, "the ", 10, temperature=0)[0])]):
        learner = learner_of(model_of(), cbs)
        learner.fit(3)
        ends.append(learner.model.state_dict())
    assert cbs[0].texts and all(torch.equal(a, b) for a, b in zip(ends[0].values(), ends[1].values()))


def test_marks_survive_a_checkpoint():
    writing = WriteAt([2.5], lambda model: "x")
    learner_of(model_of(), [writing]).fit(6)
    again = WriteAt([2.5, 0.1], lambda model: "y")
    again.load_state_dict(writing.state_dict())
    assert again.texts == {2.5: "x"} and again.state_dict() == writing.state_dict()


# snapshots --------------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def trained():
    snapshots = Snapshots()
    learner = learner_of(model_of(layers=2, dropout=0.2))
    learner.fit(3, cbs=[CosineRestarts(1e-2, 1, 2, on_cycle_end=snapshots)])
    return learner, snapshots


def test_each_snapshots_loss_and_that_of_the_mean_of_probabilities(trained):
    learner, snapshots = trained
    before, chances, losses = copy.deepcopy(learner.model.state_dict()), [], []
    learner.model.train()
    each, together = mixture_loss(learner.model, snapshots, learner.data.valid_dl)
    assert learner.model.training and learner.model.state is None
    assert all(torch.equal(a, b) for a, b in zip(before.values(), learner.model.state_dict().values()))
    right = torch.cat([y.flatten() for _, y in learner.data.valid_dl])
    for state in snapshots:
        learner.model.load_state_dict(state)
        losses.append(learner.validate()["valid_loss"])
        learner.model.forget()
        with torch.no_grad(): chances.append(torch.cat([learner.model.eval()(x).softmax(-1).flatten(0, 1) for x, _ in learner.data.valid_dl]))
        learner.model.forget()
    learner.model.load_state_dict(before)
    assert len(each) == 2 and all(abs(a - b) < 0.02 for a, b in zip(each, losses))      # the mean over characters; validate's is over steps
    mean = sum(chances) / 2
    assert abs(together + mean[torch.arange(len(right)), right].log().mean().item()) < 1e-5
    assert min(each) < max(each) and together <= sum(each) / 2


def test_no_snapshot_is_an_error(trained):
    with pytest.raises(ValueError, match="one state or more"): mixture_loss(trained[0].model, [], trained[0].data.valid_dl)


# a training that meets NaN ----------------------------------------------------------------------------------------------------
class Spoil(Callback):
    def __init__(self, batch, where): self.batch, self.where = batch, where
    def after_backward(self, learner):
        if learner.step == self.batch and self.where == "gradient": learner.model.layer.weight_hh_l0.grad[0, 0] = math.nan
    def before_batch(self, learner):
        if learner.step == self.batch and self.where == "weight" and learner.training:
            with torch.no_grad(): learner.model.layer.weight_hh_l0[0, 0] = math.nan


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_spoilt_gradient_is_named_and_the_training_goes_on(kind, capsys):
    guard, learner = TerminateOnNaN(), learner_of(model_of(kind))
    learner.fit(2, cbs=[guard, Spoil(7, "gradient")])
    assert "batch 7" in guard.found and "weight_hh_l0" in guard.found and guard.found in capsys.readouterr().out
    assert all(p.isfinite().all() for p in learner.model.parameters()) and learner.model.state is None
    learner.fit(1)
    assert math.isfinite(learner.metrics["valid_loss"])


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_spoilt_weight_is_named_and_a_snapshot_brings_it_back(kind):
    learner = learner_of(model_of(kind))
    good, guard = copy.deepcopy(learner.model.state_dict()), TerminateOnNaN()
    learner.fit(1, cbs=[guard, Spoil(3, "weight")])
    assert "batch 3" in guard.found and "layer.weight_hh_l0" in guard.found and learner.model.state is None
    learner.model.load_state_dict(good)
    learner.fit(1, cbs=[TerminateOnNaN()])
    assert math.isfinite(learner.metrics["valid_loss"])
