"Ridge regression, the size rule, the tabular network and what surrounds it."
import json, math, tarfile, io, warnings
from functools import partial
import numpy as np, pandas as pd, pytest, torch
from torch import nn
from lesson_nb.adaptive import AdamW
from lesson_nb.learner import save_state
from lesson_nb.regression import sigmoid_range
from lesson_nb.schedules import OneCycle
from lesson_nb.tables import TableReader, add_datepart, split_by_time
from lesson_nb.tabular import TablePredictor, TabularLearner, TabularModel, embedding_size, one_hot_columns, ridge, tabular_learner


def made_table(n=400, seed=0):
    "Prices that depend on names in a way that only an interaction says, and on a number."
    random = np.random.default_rng(seed)
    place, kind, size = random.integers(4, size=n), random.integers(3, size=n), random.normal(size=n)
    log = 3 + 0.3 * size + 0.8 * ((place + kind) % 2)
    return pd.DataFrame({"place": np.array(list("nesw"))[place], "kind": kind, "size": np.where(random.random(n) < 0.1, np.nan, size), "price": np.exp(log)})


def quietly(function, *given, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*given, **options)


# a straight line
def test_ridge_is_the_smallest_of_error_and_cost():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(40, 5)) + 3, random.normal(size=40) + 100
    fitted = ridge(x, y, 4.0)
    def cost(weights): return ((y - y.mean() - (x - x.mean(0)) @ weights)**2).sum() + 4.0 * (weights**2).sum()
    least = cost(fitted.weights)
    for step in 1e-3 * np.vstack([np.eye(5), -np.eye(5)]): assert cost(fitted.weights + step) > least
    np.testing.assert_allclose(fitted(x[:2]), (x[:2] - x.mean(0)) @ fitted.weights + y.mean())
    np.testing.assert_allclose(ridge(x, y + 7, 4.0)(x), fitted(x) + 7)
    assert np.abs(ridge(x, y, 1e9).weights).max() < 1e-5 and np.abs(ridge(x, x @ np.arange(5.0), 1e-9).weights - np.arange(5)).max() < 1e-6
    with pytest.raises(ValueError, match="above 0"): ridge(x, y, 0)


def test_one_hot_has_a_one_for_each_category():
    codes = np.array([[0, 3], [1, 0]])
    assert one_hot_columns(codes, [2, 4]).tolist() == [[1, 0, 0, 0, 0, 1], [0, 1, 1, 0, 0, 0]] and one_hot_columns(np.zeros((3, 0), int), []).shape == (3, 0)
    with pytest.raises(IndexError): one_hot_columns(codes, [2, 3])


# the network
@pytest.mark.parametrize("count, width", [(1, 2), (2, 2), (3, 3), (8, 5), (26, 10), (1116, 81), (39000, 596), (40000, 600), (10**9, 600)])
def test_size_rule(count, width): assert embedding_size(count) == width


def by_hand(model, codes, numbers):
    "The network's answer in eval mode, from its state alone."
    state = {k: v.double() for k, v in model.state_dict().items()}
    def norm(x, name): return (x - state[f"{name}.running_mean"]) / (state[f"{name}.running_var"] + 1e-5).sqrt() * state[f"{name}.weight"] + state[f"{name}.bias"]
    columns = [state[f"embeds.{i}.weight"][codes[:, i]] for i in range(codes.shape[1])]
    x = torch.cat([*columns, norm(numbers.double(), "numbers_norm")] if numbers.shape[1] else columns, 1)
    for i in range(len(model.arguments["widths"])):
        x = norm((x @ state[f"layers.{4 * i}.weight"].T + state[f"layers.{4 * i}.bias"]).clamp(min=0), f"layers.{4 * i + 2}")
    return x @ list(state.values())[-2].T + list(state.values())[-1]


@pytest.mark.parametrize("sizes, numbers, widths", [([3, 5], 2, (8, 6)), ([3], 0, (4,)), ([], 3, (4,)), ([(4, 7), 2], 1, ())])
def test_network_is_what_its_description_says(sizes, numbers, widths):
    torch.manual_seed(0)
    counts = [s if isinstance(s, int) else s[0] for s in sizes]
    model = TabularModel(sizes, numbers, outputs=2, widths=widths, ps=0.3, embed_p=0.3)
    def batch(n): return torch.stack([torch.randint(c, (n,)) for c in counts], 1) if counts else torch.zeros(n, 0, dtype=torch.int64), 3 * torch.randn(n, numbers) + 1
    for _ in range(3): model(*batch(16)).sum().backward()      # moves the averages
    model.eval()
    for n in (7, 1):
        given = batch(n)
        torch.testing.assert_close(model(*given).double(), by_hand(model, *given), rtol=1e-4, atol=1e-5)
    codes, values = batch(6)
    torch.testing.assert_close(model(codes.T.contiguous().T, values.T.contiguous().T), model(codes, values))
    for index, embed in enumerate(model.embeds): assert embed.weight.shape == (counts[index], sizes[index][1] if isinstance(sizes[index], tuple) else embedding_size(counts[index]))


def test_dropout_is_each_layers_own_and_the_embeddings():
    model = TabularModel([500] * 20, 1, widths=(300, 200), ps=(0.5, 0.1), embed_p=0.25)
    shares = [m.p for m in model.layers if isinstance(m, nn.Dropout)]
    assert shares == [0.5, 0.1] and model.embed_drop.p == 0.25 and [m.p for m in TabularModel([3], 1, ps=0.2).layers if isinstance(m, nn.Dropout)] == [0.2, 0.2]
    seen = {}
    for name, module in {"embedding": model.embed_drop, "last": list(model.layers)[-2]}.items(): module.register_forward_hook(lambda m, i, o, name=name: seen.update({name: ((o == 0) & (i[0] != 0)).float().mean().item()}))
    given = torch.randint(500, (200, 20)), torch.randn(200, 1)
    model.train()(*given)
    assert abs(seen["embedding"] - 0.25) < 0.02 and abs(seen["last"] - 0.1) < 0.02
    model.eval()
    torch.testing.assert_close(model(*given), model(*given), rtol=0, atol=0)
    assert seen["embedding"] == seen["last"] == 0


def test_answers_stay_in_bounds_and_every_parameter_learns():
    torch.manual_seed(0)
    plain, bounded = (TabularModel([4, 3], 2, widths=(5,), y_range=r) for r in (None, (10.0, 12.0)))
    bounded.load_state_dict(plain.state_dict())
    given = torch.randint(3, (30, 2)), 50 * torch.randn(30, 2)
    torch.testing.assert_close(bounded.eval()(*given), sigmoid_range(plain.eval()(*given), (10, 12)))
    loss = (bounded.train()(*given) - torch.linspace(10.1, 11.9, 30)).square().mean()
    loss.backward()
    for name, parameter in bounded.named_parameters():
        if name != "layers.0.bias": assert parameter.grad.abs().max() > 0, name      # the norm behind it takes most of it away
    assert bounded.embeds[0].weight.grad[3].abs().max() == 0, "a code that the batch did not have"
    assert 0.005 < TabularModel([(2000, 50)], 0).embeds[0].weight.std().item() < 0.011


@pytest.mark.parametrize("make, said", [
    (lambda: TabularModel([3], 2, widths=(4, 4), ps=(0.1,)), "each of 2 layers"), (lambda: TabularModel([], 0), "neither"),
    (lambda: TabularModel([3], 2, y_range=(2, 1)).eval()(torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, 2)), "low < high"),
    (lambda: TabularModel([3, 3], 2)(torch.zeros(5, 1, dtype=torch.int64), torch.zeros(5, 2)), r"codes \(n, 2\).*got \(5, 1\)"),
    (lambda: TabularModel([3], 2)(torch.zeros(5, 1, dtype=torch.int64), torch.zeros(5, 3)), r"numbers \(n, 2\).*\(5, 3\)"), (lambda: embedding_size(0), "1 or more")])
def test_what_does_not_fit_is_said(make, said):
    with pytest.raises(ValueError, match=said): make()


# from table to answers
def learned(passes=12, **options):
    torch.manual_seed(0)
    table = made_table()
    learner = tabular_learner(table[:300], table[300:], "price", ["place", "kind"], ["size"], log=True, batch_size=32, widths=(40, 20), lr=2e-2, cbs=[OneCycle(2e-2)], **options)
    learner.fit(passes)
    return learner, table


def test_learner_finds_an_interaction_that_a_line_cannot(tmp_path):
    learner, table = learned()
    late = table[300:]
    answers = learner.predictor(late)
    off = np.sqrt(np.mean((answers / late["price"] - 1)**2))
    reader = TableReader(["place", "kind"], ["size"]).fit(table[:300])
    wide = [np.concatenate([one_hot_columns(codes.numpy(), list(reader.sizes.values())), numbers.numpy()], 1) for codes, numbers in (reader(table[:300]), reader(late))]
    line = np.exp(ridge(wide[0], np.log(table["price"][:300].to_numpy()), 1.0)(wide[1]))
    assert off < 0.6 * np.sqrt(np.mean((line / late["price"] - 1)**2)) and off < 0.3
    assert isinstance(learner, TabularLearner) and answers.shape == (100,) and answers.dtype == np.float64
    assert abs(learner.validate()["valid_loss"]**0.5 / np.sqrt(np.mean(np.log(answers / late["price"])**2)) - 1) < 1e-3, "the loss is that of logarithms"


def test_predictor_is_the_same_from_its_file_in_any_order_and_row_by_row(tmp_path):
    learner, table = learned(passes=2)
    predictor = learner.predictor
    predictor.save(tmp_path/"model.pth")
    loaded = TablePredictor.load(tmp_path/"model.pth")
    assert np.array_equal(loaded(table), predictor(table)) and not loaded.model.training
    np.testing.assert_allclose(loaded(table[::-1])[::-1], loaded(table), rtol=1e-6)
    np.testing.assert_allclose(np.concatenate([loaded(table[i:i + 1]) for i in range(3)]), loaded(table[:3]), rtol=1e-6)
    assert loaded(table[:0]).shape == (0,) and np.isfinite(loaded(table.assign(place="nowhere", size=np.nan))).all()
    many = pd.concat([table] * 30)
    np.testing.assert_allclose(loaded(many)[-len(table):], loaded(table), rtol=1e-6), "more rows than are asked at once"
    learner.model.train()
    frozen = next(part for part in learner.model.modules() if isinstance(part, nn.BatchNorm1d)).eval()
    predictor(table)
    assert learner.model.training and not frozen.training, "asked in between, each module is left as it was"
    (tmp_path/"model.pth").write_bytes((tmp_path/"model.pth").read_bytes()[:-40])
    with pytest.raises(ValueError, match="cut short"): TablePredictor.load(tmp_path/"model.pth")


def test_bounds_come_from_the_training_part_with_room():
    table = made_table()
    logs = np.log(table["price"][:300])
    for room in (0.1, 0.5):
        low, high = tabular_learner(table[:300], table[300:], "price", ["place"], ["size"], log=True, room=room).model.arguments["y_range"]
        assert low == pytest.approx(logs.min() - room * np.ptp(logs), abs=1e-5) and high == pytest.approx(logs.max() + room * np.ptp(logs), abs=1e-5)
    assert tabular_learner(table[:300], table[300:], "price", ["place"], ["size"], room=None).model.arguments["y_range"] is None


def test_valid_part_teaches_nothing_and_small_tables_work():
    table = made_table(40)
    strange = table[20:].assign(place="x", size=1e3)
    first, second = (tabular_learner(table[:20], valid, "price", ["place"], ["size"], log=True, batch_size=64, room=None) for valid in (table[20:], strange))
    assert first.reader.state_dict() == second.reader.state_dict()
    second.fit(1)
    assert math.isfinite(second.metrics["valid_loss"]) and len(second.data.train_dl) == 1


@pytest.mark.parametrize("value, log, said", [(0, True, "numbers above 0.*row 3.*log=False"), (-5.0, True, "-5.0"), (np.nan, False, "finite numbers, got 1 others such as nan")])
def test_target_without_a_value_is_refused(value, log, said):
    table = made_table(50)
    table["price"] = table["price"].where(table.index != 3, value)
    with pytest.raises(ValueError, match=said): tabular_learner(table, table, "price", ["place"], ["size"], log=log)


@pytest.mark.parametrize("layout", ["folder", "archive"])
def test_rossmann_goes_through_from_the_real_layouts(layout, tmp_path, monkeypatch):
    "A small made table in the files of the real download: from the loader to answers for the table without sales."
    from lesson_nb.datasets import load_rossmann
    random, days = np.random.default_rng(0), pd.date_range("2015-05-01", "2015-07-31")[::-1]
    rows = pd.MultiIndex.from_product([days, [1, 2, 3]], names=["Date", "Store"]).to_frame(index=False)
    rows = rows.assign(DayOfWeek=rows["Date"].dt.day_of_week + 1, Open=(rows["Date"].dt.day_of_week < 6) * 1, Promo=rows["Date"].dt.day % 2, StateHoliday=np.where(rows["Date"].dt.day == 25, "a", "0"), SchoolHoliday=0)
    rows["Sales"] = (rows["Open"] * (3000 * rows["Store"] * (1 + 0.3 * rows["Promo"]) * np.exp(0.05 * random.normal(size=len(rows))))).astype(int)
    test = rows.head(9).drop(columns="Sales").assign(Open=lambda t: t["Open"].where(t.index != 2).astype(float), Id=range(1, 10))
    store = pd.DataFrame({"Store": [1, 2, 3], "StoreType": list("abc"), "Assortment": list("aac"), "CompetitionDistance": [500.0, np.nan, 90.0]})
    files = {name: t.to_csv(index=False).encode() for name, t in {"train": rows.assign(Customers=1), "test": test, "store": store}.items()}
    (tmp_path/"rossmann").mkdir()
    if layout == "folder":
        for name, data in files.items(): (tmp_path/"rossmann"/f"{name}.csv").write_bytes(data)
    else:
        with tarfile.open(tmp_path/"rossmann"/"rossmann.tgz", "w:gz") as archive:
            for name, data in files.items():
                info = tarfile.TarInfo(f"{name}.csv")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    monkeypatch.setenv("LESSON_NB_DATA", str(tmp_path))
    data = quietly(load_rossmann)
    assert data.source == "real" and data.train["StateHoliday"].map(type).eq(str).all()
    train, later = (add_datepart(t.merge(data.extras["store"], on="Store", how="left"), "Date", drop=False) for t in (data.train, data.test))
    sold = train[train["Sales"] > 0]
    past, future = (sold.iloc[i] for i in split_by_time(sold, "Date", 0.2))
    torch.manual_seed(0)
    learner = quietly(tabular_learner, past, future, "Sales", ["Store", "StoreType", "DayOfWeek", "StateHoliday", "Month"], ["Promo", "CompetitionDistance", "Open", "Day"], log=True,
                      batch_size=32, widths=(30,), opt_func=partial(AdamW, weight_decay=0.01, flat=True), cbs=[OneCycle(2e-2)])
    learner.fit(15)
    off = np.sqrt(np.mean((learner.predictor(future) / future["Sales"] - 1)**2))
    mean = np.sqrt(np.mean((past["Sales"].mean() / future["Sales"] - 1)**2))
    assert off < 0.5 * mean
    with pytest.warns(UserWarning, match=r"Open \(1\)"): answers = learner.predictor(later)
    assert answers.shape == (9,) and (answers > 0).all() and learner.reader.sizes["CompetitionDistance_na"] == 3


def test_nothing_of_the_users_is_overwritten_or_leaks():
    import numpy as np, pandas as pd
    from lesson_nb.tables import FillMissing, cont_cat_split
    table = pd.DataFrame({"s": [1.0, np.nan], "s_na": ["keep", "me"]})
    with pytest.raises(ValueError, match="overwrite the columns.*s_na"): FillMissing(["s"]).fit(table)
    with pytest.raises(ValueError, match="it has no .*saleprice"): cont_cat_split(pd.DataFrame({"SalePrice": [1.0, 2.5]}), "saleprice")


@pytest.mark.parametrize("change, kind, words", [
    (lambda t: t.drop(columns="y"), ValueError, "it has no 'y'"), (lambda t: t.assign(y=t.y.astype(str)), TypeError, "a target of numbers"),
    (lambda t: t.assign(y=3.0), ValueError, "different values to learn"), (lambda t: t, ValueError, "not learned from")])
def test_a_target_that_cannot_be_learned(change, kind, words):
    table = pd.DataFrame({"y": np.arange(20.0), "x": np.arange(20.0)[::-1], "c": ["a", "b"] * 10})
    with pytest.raises(kind, match=words): tabular_learner(changed := change(table), changed, "y", ["c"], ["x", "y"] if "learned from" in words else ["x"])


def test_a_foreign_file_is_no_predictor(tmp_path):
    save_state({"weights": {}}, tmp_path / "other")
    for cls in (TablePredictor, TableReader):
        with pytest.raises(ValueError, match="another"): cls.load(tmp_path / "other")
