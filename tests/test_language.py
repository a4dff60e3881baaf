"""Lesson 20's vocabulary, tables, batches of a text and language model: by hand, by brute force, and through a Learner that is interrupted."""
import math
from collections import Counter
from functools import partial
import pytest, torch
from torch import nn
from lesson_nb.adaptive import AdamW
from lesson_nb.callbacks import TerminateOnNaN
from lesson_nb.checkpoints import Checkpoint
from lesson_nb.data import DataLoader
from lesson_nb.language import (ForgetState, LanguageModel, VariedSteps, Vocabulary, detached, get_text_dls, ngram_losses, sequence_accuracy, sequence_loss,
                                text_columns)
from lesson_nb.learner import AvgStats, Learner, Recorder
from lesson_nb.rnn import RNN
from lesson_nb.runner import Callback


def some_text(size, classes=7, seed=0): return torch.randint(classes, (size,), generator=torch.Generator().manual_seed(seed))


# characters and numbers ---------------------------------------------------------------------------------------------------------------
def test_vocabulary_goes_there_and_back():
    vocabulary = Vocabulary("the cat\nsat")
    assert vocabulary.characters == "\n acehst" and len(vocabulary) == 8
    numbers = vocabulary.encode("a hat")
    assert numbers.dtype == torch.int64 and numbers.tolist() == [2, 1, 5, 2, 7]
    assert vocabulary.decode(numbers) == vocabulary.decode(numbers.tolist()) == "a hat" and vocabulary.encode("").shape == (0,) and vocabulary.decode([]) == ""


def test_unknown_characters_have_one_number_or_are_an_error():
    with pytest.raises(ValueError, match=r"expected the 3 characters.*got 'é' 'x', first at place 2; make the vocabulary with unknown="): Vocabulary("abc").encode("abéxé")
    vocabulary = Vocabulary("abc?", unknown="?")
    assert len(vocabulary) == 4 and vocabulary.encode("aéx?").tolist() == [0, 3, 3, 3] and vocabulary.decode([0, 3]) == "a?"
    for bad in (4, -1):
        with pytest.raises(IndexError, match=f"expected numbers from 0 to 3, got {bad}"): vocabulary.decode([0, bad])
    with pytest.raises(ValueError, match="at least one character, got none; is the file empty"): Vocabulary("")


def by_brute_force(train, valid, classes, longest, trust):
    train, valid, losses = train.tolist(), valid.tolist(), [math.log(classes)]
    for length in range(longest + 1):
        total = 0.0
        for place in range(longest, len(valid)):
            chance = 1 / classes
            for shorter in range(length + 1):
                grams = Counter(tuple(train[i:i + shorter + 1]) for i in range(len(train) - shorter))
                context = tuple(valid[place - shorter:place])
                seen = sum(n for gram, n in grams.items() if gram[:-1] == context)
                chance = (grams[(*context, valid[place])] + trust * chance) / (seen + trust)
            total -= math.log(chance)
        losses.append(total / (len(valid) - longest))
    return losses


@pytest.mark.parametrize("trust", [0.5, 5.0])
def test_ngram_losses_by_brute_force(trust):
    train, valid = some_text(60, 3), some_text(25, 3, seed=1)
    assert ngram_losses(train, valid, 3, 3, trust) == pytest.approx(by_brute_force(train, valid, 3, 3, trust), rel=1e-9)
    assert ngram_losses(train, valid, 3, 0, trust) == pytest.approx(by_brute_force(train, valid, 3, 0, trust), rel=1e-9)


def test_ngram_losses_of_a_text_that_repeats():
    numbers = torch.arange(5).repeat(400)
    losses = ngram_losses(numbers, numbers, 5, 2)
    assert losses[0] == pytest.approx(math.log(5)) and losses[1] == pytest.approx(math.log(5), rel=1e-3) and max(losses[2:]) < 0.05
    with pytest.raises(ValueError, match="expected more than 3 characters to predict, got 3"): ngram_losses(numbers, numbers[:3], 5)


# batches ------------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size, columns", [(101, 4), (100, 4), (9, 8), (64, 1), (1000, 64)])
def test_columns_hold_the_text_in_order(size, columns):
    numbers = torch.arange(size)
    x, y = text_columns(numbers, columns).tensors
    steps = (size - 1) // columns
    assert x.shape == y.shape == (steps, columns) and torch.equal(y, x + 1) and torch.equal(x.T.reshape(-1), numbers[:steps * columns])
    assert 0 < size - steps * columns <= columns


def test_batches_go_on_where_the_last_one_stopped():
    dls = get_text_dls(torch.arange(1000), torch.arange(500), columns=6, bptt=7)
    batches = list(dls.train_dl)
    for (_, target), (following, _) in zip(batches, batches[1:]): assert torch.equal(target[-1], following[0])
    assert {tuple(x.shape) for x, _ in batches[:-1]} == {(7, 6)} and batches[-1][0].shape == (166 % 7, 6) and len(dls.train_dl) == len(batches)
    assert torch.equal(torch.cat([x for x, _ in batches]), text_columns(torch.arange(1000), 6).tensors[0])
    again = torch.cat([x for x, _ in dls.valid_dl])
    assert torch.equal(again, text_columns(torch.arange(500), 6).tensors[0]) and len(dls.valid_dl) == 2


@pytest.mark.parametrize("steps, bptt", [(100, 8), (97, 8), (8, 8), (9, 8), (50, 1), (7, 2), (1000, 70)])
def test_varied_windows_hold_every_step_once(steps, bptt):
    sampler = VariedSteps(steps, bptt, torch.Generator().manual_seed(1))
    epochs = [list(sampler) for _ in range(20)]
    for windows in epochs:
        assert sum(windows, []) == list(range(steps)) and len(windows) == len(sampler) == -(-steps // bptt)
        assert 1 <= min(map(len, windows)) and max(map(len, windows)) <= 3 * bptt
    if steps > 10 * bptt > 10: assert len({tuple(map(len, windows)) for windows in epochs}) == 20 and all(min(map(len, windows)) >= bptt // 4 for windows in epochs)
    lengths = torch.tensor([float(len(w)) for windows in epochs for w in windows])
    assert abs(lengths.mean() - steps / len(sampler)) < 1e-4


@pytest.mark.parametrize("steps, bptt", [(5, 1), (1000, 1), (1000, 2), (7, 7)])
def test_no_varied_window_is_empty(steps, bptt):
    sampler = VariedSteps(steps, bptt, torch.Generator().manual_seed(0))
    assert all(min(map(len, sampler)) >= 1 and sum(sampler, []) == list(range(steps)) for _ in range(200))


@pytest.mark.parametrize("unknown", ["", "??"])
def test_unknown_is_one_character(unknown):
    with pytest.raises(ValueError, match="Vocabulary: expected one character as unknown"): Vocabulary("abc", unknown=unknown)


def test_tables_of_contexts_that_have_no_number_are_refused():
    numbers = torch.arange(40) % 57
    assert len(ngram_losses(numbers, numbers, 57, longest=9)) == 11
    with pytest.raises(ValueError, match="2.63 possible n-grams, got 57.11; take a smaller longest"): ngram_losses(numbers, numbers, 57, longest=10)


def test_varied_windows_can_be_resumed_and_repeated():
    loader = get_text_dls(torch.arange(2000), torch.arange(500), 4, 8, vary=True, generator=torch.Generator().manual_seed(3)).train_dl
    list(loader)                                     # an epoch to its end
    first = iter(loader)
    begun = [next(first) for _ in range(10)]
    state = loader.state_dict()
    rest = list(first)
    other = get_text_dls(torch.arange(2000), torch.arange(500), 4, 8, vary=True, generator=torch.Generator().manual_seed(99)).train_dl
    other.load_state_dict(state)
    resumed = list(other)
    assert len(begun) + len(resumed) == len(loader) and all(torch.equal(a[0], b[0]) for a, b in zip(rest, resumed, strict=True))
    following = [list(one) for one in (loader, other)]
    assert all(torch.equal(a[0], b[0]) for a, b in zip(*following, strict=True)), "the epoch behind it is the same too"


@pytest.mark.parametrize("act, message", [
    (lambda: text_columns(torch.arange(64), 64), "expected at least 65 characters for 64 columns, got 64; take fewer columns"),
    (lambda: text_columns(torch.arange(0), 1), "expected at least 2 characters"),
    (lambda: get_text_dls(torch.arange(512), torch.arange(9999)), "expected more than 64 columns x 8 steps = 512 characters, got a training text of 512, shorter than one batch"),
    (lambda: get_text_dls(torch.arange(9999), torch.arange(100)), "got a validation text of 100"),
    (lambda: VariedSteps(5, 8), "expected a bptt from 1 to the 5 steps there are, got 8"), (lambda: VariedSteps(5, 0), "got 0")])
def test_short_texts_are_refused(act, message):
    with pytest.raises(ValueError, match=message): act()
    assert len(get_text_dls(torch.arange(513), torch.arange(513)).train_dl) == 1


# loss and model -----------------------------------------------------------------------------------------------------------------------
def test_loss_and_accuracy_count_every_prediction():
    scores, targets = torch.randn(3, 4, 5), torch.randint(5, (3, 4))
    each = torch.stack([nn.functional.cross_entropy(scores[i, j], targets[i, j]) for i in range(3) for j in range(4)])
    torch.testing.assert_close(sequence_loss(scores, targets), each.mean())
    assert sequence_accuracy(scores, targets) == pytest.approx((scores.argmax(2) == targets).float().mean().item())
    torch.testing.assert_close(sequence_loss(scores[0], targets[0]), each[:4].mean())


def test_detached_keeps_numbers_and_cuts_graphs():
    x = torch.ones(3, requires_grad=True) * 2
    assert detached(None) is None and not detached(x).requires_grad and detached(x).data_ptr() == x.data_ptr()
    first, (second,) = detached((x, (x,)))
    assert not first.requires_grad and not second.requires_grad


LAYERS = {"RNN": lambda: RNN(6, 10), "two layers": lambda: RNN(6, 10, 2), "torch's LSTM": lambda: nn.LSTM(6, 10), "torch's GRU": lambda: nn.GRU(6, 10, 2)}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_batch_by_batch_is_as_all_at_once(make):
    torch.manual_seed(0)
    model, numbers = LanguageModel(7, make()).eval(), some_text(60).view(15, 4)
    parts = torch.cat([model(part) for part in numbers.split([8, 1, 6])])
    state = model.state
    assert not any(s.requires_grad for s in (state if isinstance(state, tuple) else (state,)))
    model.forget()
    assert model.state is None
    torch.testing.assert_close(parts, model(numbers))
    assert parts.shape == (15, 4, 7) and not [name for name in model.state_dict() if "state" in name]


def test_the_gradient_ends_at_the_batch():
    model, numbers = LanguageModel(7, RNN(6, 10)), some_text(24).view(12, 2)
    model(numbers[:6])
    model(numbers[6:]).sum().backward()
    alone, kept = [p.grad.clone() for p in model.parameters()], None
    model.zero_grad()
    model.forget()
    with torch.no_grad(): model(numbers[:6])
    model(numbers[6:]).sum().backward()
    for a, p in zip(alone, model.parameters()): torch.testing.assert_close(a, p.grad)


def test_dropout_in_front_of_the_scores():
    torch.manual_seed(0)
    model, numbers = LanguageModel(7, RNN(6, 10), dropout=1.0), some_text(20).view(5, 4)
    assert torch.equal(model(numbers), model.scores.bias.expand(5, 4, 7))
    model.forget()
    assert not torch.equal(model.eval()(numbers), model.scores.bias.expand(5, 4, 7))


def test_a_state_of_other_columns_and_layers_that_see_the_answer_are_refused():
    for make in LAYERS.values():
        model = LanguageModel(7, make())
        model(some_text(12).view(3, 4))
        with pytest.raises(ValueError, match=r"expected 4 columns, which the state belongs to, got a batch of shape \(3, 2\); call forget\(\)"): model(some_text(6).view(3, 2))
        model.forget()
        assert model(some_text(6).view(3, 2)).shape == (3, 2, 7)
    with pytest.raises(ValueError, match=r"expected numbers \(steps, columns\), got shape \(6,\); one text: numbers"): model(some_text(6))
    for settings in ({"bidirectional": True}, {"batch_first": True}):
        with pytest.raises(ValueError, match="bidirectional=False and batch_first=False"): LanguageModel(7, RNN(6, 10, **settings))


# training -----------------------------------------------------------------------------------------------------------------------------
def learner_of(cbs=(), vary=False, size=900):
    torch.manual_seed(0)
    text = torch.arange(size) * 3 % 7
    dls = get_text_dls(text, text[:400], 4, 8, vary=vary, generator=torch.Generator().manual_seed(5))
    return Learner(LanguageModel(7, RNN(6, 10)), dls, sequence_loss, partial(AdamW, weight_decay=0.01), 1e-2, [ForgetState(), AvgStats(accuracy=sequence_accuracy), Recorder(), *cbs])


class Watch(Callback):
    "Notes whether there is a state before each batch."
    def __init__(self): self.seen = []
    def before_batch(self, learner): self.seen.append((learner.training, learner.batch_index, learner.model.state is not None))


def test_each_pass_begins_from_nothing_and_every_other_batch_does_not():
    watch = Watch()
    learner = learner_of([watch])
    learner.fit(2)
    assert all(has == (index > 0) for _, index, has in watch.seen) and {training for training, *_ in watch.seen} == {True, False}
    assert learner.model.state is None and learner.metrics["valid_accuracy"] > 0.9
    loss = learner.validate()["valid_loss"]
    assert learner.validate()["valid_loss"] == loss, "whatever was read before"


def test_validation_is_that_of_the_whole_text_at_once():
    learner = learner_of()
    learner.fit(1)
    x, y = learner.data.valid_ds.tensors
    learner.model.forget()
    with torch.no_grad(): whole = sequence_loss(learner.model.eval()(x), y).item()
    assert learner.validate()["valid_loss"] == pytest.approx(whole, rel=1e-5)


class StopAt(Callback):
    order = 99
    def __init__(self, step): self.at = step
    def after_batch(self, learner):
        if learner.training and learner.step == self.at: raise KeyboardInterrupt


@pytest.mark.parametrize("vary, every", [(False, 5), (True, 5), (True, None), (False, 2)])
def test_an_interrupted_training_goes_on_with_its_state(tmp_path, vary, every):
    "Stopped in the second epoch; the newest checkpoint is from within it, or from the end of the first."
    whole = learner_of(vary=vary)
    whole.fit(2)
    per_epoch = len(whole.data.train_dl)
    for step, resume in ((per_epoch + 8, False), (10**9, True)):
        learner = learner_of([StopAt(step), Checkpoint(tmp_path / "c.pt", every=every, resume=resume)], vary=vary)
        learner.fit(2)
        assert learner.interrupted != resume
    for a, b in zip(whole.model.parameters(), learner.model.parameters()): assert torch.equal(a, b)
    assert learner.metrics == whole.metrics


def test_nan_ends_the_fit_and_spoils_nothing_else(capsys):
    learner = learner_of([TerminateOnNaN()])
    with torch.no_grad(): learner.model.embedding.weight[4, 0] = math.nan
    before = [p.detach().clone() for p in learner.model.layer.parameters()]
    learner.fit(3)
    assert "TerminateOnNaN: epoch 0, batch 0" in capsys.readouterr().out and learner.model.state is None
    assert all(torch.equal(a, b) for a, b in zip(before, learner.model.layer.parameters()))
    with torch.no_grad(): learner.model.embedding.weight[4, 0] = 0.0
    learner.fit(1)
    assert math.isfinite(learner.metrics["valid_loss"])


def test_ngram_losses_of_small_integers_do_not_overflow():
    from lesson_nb.language import ngram_losses
    text = torch.randint(0, 250, (2000,), generator=torch.Generator().manual_seed(0))
    assert ngram_losses(text.to(torch.uint8), text.to(torch.uint8), 250) == ngram_losses(text, text, 250)
    with pytest.raises(ValueError, match="at least 3 characters to count in, got 1"): ngram_losses(text[:1], text, 250)
