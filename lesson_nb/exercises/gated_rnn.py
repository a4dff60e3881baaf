"Hidden cases and hints for the exercises of lesson 21."
import math
import torch
from lesson_nb.checker import Exercise, Hint


def draw(*shape, seed=0):
    "Random numbers that are the same each time."
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def _layers(): return [(3, 10, 20, 1, 1), (4, 64, 512, 2, 1), (1, 7, 5, 3, 2), (3, 6, 8, 2, 2), (4, 3, 3, 1, 2)]


def _numbers(gates, inputs, hidden, layers, ways, biases=2, upper=None, rows=None, both=None):
    total = 0
    for layer in range(layers):
        columns = ((upper or ways) * hidden if layer else inputs) if upper != 0 else inputs
        total += (both or ways) * (rows or gates) * hidden * (columns + hidden + biases)
    return total


def _bias(steps, left=0.5): return math.log((z := left**(1 / steps)) / (1 - z))


def _updates(): return [(torch.sigmoid(draw(steps)),) for steps in (1, 2, 5, 9)] + [(torch.tensor([0.5, 0.0, 0.25]),)]


def _shares(update, entered=None, including=False):
    entered = torch.cat([torch.ones(1), 1 - update]) if entered is None else entered(update)
    kept = [update[k + including:].prod() if len(update[k + including:]) else torch.tensor(1.0) for k in range(len(update) + 1)]
    return entered * torch.stack(kept)


def _steps(): return [(draw(2, 6), draw(2, 3, seed=1).tanh(), draw(6, 3, seed=2)), (draw(1, 10) * 3, draw(1, 5, seed=1), draw(10, 5, seed=2)), (draw(4, 2), draw(4, 1, seed=1), draw(2, 1, seed=2))]


def _minimal(products, state, weight, behind=False, swapped=False, bare=False, no_mix=False):
    size = state.shape[-1]
    f = torch.sigmoid(products[:, :size] + state @ weight[:size].T)
    pushed = state @ weight[size:].T if bare else f * (state @ weight[size:].T) if behind else (f * state) @ weight[size:].T
    n = torch.tanh(products[:, size:] + pushed)
    return n if no_mix else f * state + (1 - f) * n if swapped else (1 - f) * state + f * n


def _cells():
    cases = []
    for batch, size in ((2, 3), (1, 5), (4, 1)):
        enter, forget, leave = (torch.sigmoid(draw(batch, size, seed=s)) for s in (3, 4, 5))
        new, before = torch.tanh(draw(batch, size, seed=6)), draw(batch, size, seed=7)
        cases.append((draw(batch, size, seed=1), draw(batch, size, seed=2), enter, forget, new, leave, before, forget * before + enter * new))
    return cases


def _lstm_back(flow, cell_flow, enter, forget, new, leave, before, after, by_state=True, own=True, slopes=True, through="forget", seen="before"):
    bent = torch.tanh(after)
    to_cell = (cell_flow if own else 0) + (flow * leave * (1 - bent**2) if by_state else 0)
    def slope(gate): return gate * (1 - gate) if slopes else 1
    parts = [to_cell * new * slope(enter), to_cell * (before if seen == "before" else after) * slope(forget), to_cell * enter * ((1 - new**2) if slopes else 1), flow * bent * slope(leave)]
    return to_cell * forget if through == "forget" else to_cell, torch.cat(parts, 1)


exercises = {
    "gated_parameters": Exercise(
        reference=_numbers, cases=_layers,
        hints=[Hint("one-bias", "each row has two biases: one beside the input's weights, one beside the state's", wrong=lambda *a: _numbers(*a, biases=1)),
               Hint("no-bias", "the biases are missing: two for each row", wrong=lambda *a: _numbers(*a, biases=0)),
               Hint("upper-reads-one", "right for one direction; an upper layer reads the outputs of both directions below it", wrong=lambda *a: _numbers(*a, upper=1)),
               Hint("upper-reads-input", "only the first layer reads the input; the others read states of the layer below", wrong=lambda *a: _numbers(*a, upper=0)),
               Hint("one-direction", "each direction has weights of its own", wrong=lambda *a: _numbers(*a, upper=a[4], both=1))],
        praise="An LSTM of two layers with 512 cells has three million; most of them in products with states."),
    "bias_for_half": Exercise(
        reference=_bias, cases=lambda: [(1,), (10,), (69,), (1000,)], rtol=1e-4,
        hints=[Hint("gate-not-bias", "that is the gate; the bias is what the sigmoid makes it from", wrong=lambda steps: 0.5**(1 / steps)),
               Hint("shut", "right size, wrong sign: this gate shuts where it should keep", wrong=lambda steps: -_bias(steps)),
               Hint("log-steps", "nearly: that leaves 1/e, not a half, and not quite", wrong=lambda steps: math.log(steps)),
               Hint("e-not-half", "that leaves 1/e of the state, not a half", wrong=lambda steps: _bias(steps, math.exp(-1)))],
        praise="For long memories it is about the logarithm of steps / 0.69."),
    "shares_at_end": Exercise(
        reference=_shares, cases=_updates,
        hints=[Hint("all-in-full", "a new value enters with a share of 1 - update; only the first state was there in full", wrong=lambda update: _shares(update, lambda u: torch.ones(len(u) + 1))),
               Hint("one-late", "the gate of a step acts on what was there before it, not on what enters at it", wrong=lambda update: torch.cat([_shares(update)[:1], (1 - update) * _shares(update, lambda u: torch.ones(len(u) + 1))[:-1]])),
               Hint("gates-mistaken", "update is the share that stays; 1 - update enters", wrong=lambda update: _shares(1 - update)),
               Hint("forwards", "count from the end: what entered early has passed through more gates", wrong=lambda update: torch.cat([torch.ones(1), 1 - update]) * torch.cat([torch.ones(1), update.cumprod(0)]))],
        praise="They sum to 1, whatever the gates do: a state is a mean."),
    "minimal_step": Exercise(
        reference=_minimal, cases=_steps, rtol=1e-4, atol=1e-5,
        hints=[Hint("reset-behind", "here the gate comes before the product: f ⊙ h first, then the weights", wrong=lambda *a: _minimal(*a, behind=True)),
               Hint("kept-by-f", "here f is the share that is new; 1 - f stays", wrong=lambda *a: _minimal(*a, swapped=True)),
               Hint("no-reset", "the new value sees the state only through the gate", wrong=lambda *a: _minimal(*a, bare=True)),
               Hint("nothing-kept", "that is the new value; the old state keeps its share of 1 - f", wrong=lambda *a: _minimal(*a, no_mix=True))],
        praise="Two thirds of a GRU's weights, and often about as good."),
    "lstm_step_backward": Exercise(
        reference=_lstm_back, cases=_cells, rtol=1e-4, atol=1e-5,
        hints=[Hint("state-forgotten", "the new state was made from the new cell, so what flows to the state flows on to the cell", wrong=lambda *a: _lstm_back(*a, by_state=False)),
               Hint("cell-forgotten", "what comes back to the cell itself, cell_flow, counts too", wrong=lambda *a: _lstm_back(*a, own=False)),
               Hint("behind-the-bends", "asked is what stood in front of the sigmoids and the tanh: times their slopes", wrong=lambda *a: _lstm_back(*a, slopes=False)),
               Hint("cell-not-gated", "the cell before was multiplied by the forget gate, and so is its gradient", wrong=lambda *a: _lstm_back(*a, through="all")),
               Hint("wrong-cell", "the forget gate was multiplied by the cell *before* the step", wrong=lambda *a: _lstm_back(*a, seen="after"))],
        praise="Six lines; the rest of the way back is matrix products."),
}
