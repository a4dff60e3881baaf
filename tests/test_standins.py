"""Stand-ins: the shapes and types of what they stand for, the same every time, learnable and not trivial."""
import os, re
from collections import Counter
import numpy as np, pytest, torch
import torch.nn.functional as F
from lesson_nb import standins, standins_written
from lesson_nb.standins import garment_names, make_digits, make_garments, make_objects, make_photos, make_style_pictures, object_names
from lesson_nb.standins_written import make_essays, make_house_prices, make_pairs, make_play, make_rossmann

IMAGES = {"digits": (make_digits, (28, 28)), "garments": (make_garments, (28, 28)), "objects": (make_objects, (3, 32, 32))}
REAL = os.environ.get("LESSON_NB_DATA")


@pytest.fixture(autouse=True)
def one_thread():
    "The models here are small: one thread is faster than several, the more so on a busy machine."
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def accuracy_of(images, labels, train, hidden=0, epochs=8):
    "Test accuracy of a softmax regression, or of a network with one hidden layer."
    torch.manual_seed(0)
    x, y = images.flatten(1).float()/255, labels.long()
    sizes = [x.shape[1], hidden, 10] if hidden else [x.shape[1], 10]
    layers = [layer for a, b in zip(sizes, sizes[1:]) for layer in (torch.nn.Linear(a, b), torch.nn.ReLU())][:-1]
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(epochs):
        for batch in torch.randperm(train).split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
    return (model(x[train:]).argmax(1) == y[train:]).float().mean().item()


@pytest.mark.parametrize("name", IMAGES)
def test_images_have_the_originals_form_and_come_out_the_same(name):
    make, shape = IMAGES[name]
    images, labels = make(300, 57)
    assert images.shape == (357, *shape) and labels.shape == (357,) and images.dtype == labels.dtype == torch.uint8
    assert labels.unique().tolist() == list(range(10)) and images.max() > 200
    assert all(a.equal(b) for a, b in zip(make(300, 57), (images, labels)))
    assert not make(300, 57, seed=99)[0].equal(images)
    assert len(images.flatten(1).unique(dim=0)) == 357, "no two pictures are the same"


def test_making_them_leaves_the_readers_random_numbers_alone():
    torch.manual_seed(0); np.random.seed(0)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(0); np.random.seed(0)
    make_digits(10, 0), make_objects(10, 0), make_photos(1, 0)
    assert (torch.rand(1), np.random.rand()) == expected


@pytest.mark.parametrize("name, least, most", [("digits", .75, .95), ("garments", .75, .95), ("objects", .35, .8)])
def test_images_are_learnable_and_not_trivial(name, least, most):
    images, labels = IMAGES[name][0](6000, 1500)
    linear = accuracy_of(images, labels, 6000)
    assert least < linear < most
    shuffled = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    assert accuracy_of(images, shuffled, 6000, epochs=1) < .2, "what is learnt is in the labels"


def test_a_better_model_does_better_on_digits():
    images, labels = make_digits(6000, 1500)
    assert accuracy_of(images, labels, 6000) < accuracy_of(images, labels, 6000, hidden=100) - .01 < 1


def test_names_of_the_classes():
    assert garment_names == ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
    assert object_names == ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def test_photos():
    images, labels = make_photos(150, 50)
    assert labels.tolist() == [0]*150 + [1]*150 + [0]*50 + [1]*50
    assert all(image.dtype == torch.uint8 and image.shape[0] == 3 and min(image.shape[1:]) == 160 and max(image.shape[1:]) <= 240 for image in images)
    assert len({tuple(image.shape) for image in images}) > 20
    torch.manual_seed(0)
    x = torch.cat([F.interpolate(image[None].float()/255, (32, 32), mode="area") for image in images])
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 5, 2), torch.nn.ReLU(), torch.nn.Conv2d(16, 32, 5, 2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(800, 2))
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(12):
        for batch in torch.randperm(300).split(32):
            flip = x[batch].flip(-1) if torch.rand(()) < .5 else x[batch]
            optimizer.zero_grad()
            F.cross_entropy(model(flip), labels[batch]).backward()
            optimizer.step()
    accuracy = (model(x[300:]).argmax(1) == labels[300:]).float().mean().item()
    assert .65 < accuracy < 1, accuracy


def test_style_pictures():
    content, style = make_style_pictures()
    assert content.shape == (3, 1365, 2048) and style.shape == (3, 512, 512) and content.dtype == style.dtype == torch.uint8
    assert content.float().std() > 20 and style.float().std() > 40 and all(a.equal(b) for a, b in zip(make_style_pictures(), (content, style)))


def test_texts():
    essays, play = make_essays(), make_play()
    assert len(essays) == 600_893 and len(play) == 1_115_394
    assert set(play) <= set("\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    assert re.match(r"1\. [A-Z]", essays) and max(map(len, essays.split("\n"))) <= 72
    speeches = play.split("\n\n")[:-1]
    assert len(speeches) > 1000 and all(re.match(r"[A-Z][A-Za-z ]+:\n\S", speech) for speech in speeches) and len({s.split(":")[0] for s in speeches}) == 13
    assert len(set(speeches)) > .99*len(speeches), "hardly anything is said twice"


def test_texts_can_be_learnt():
    "Knowing two characters, the third is far less of a surprise, measured on text that was not counted; and far from none."
    text = make_play(400_000)
    train, test = text[:300_000], text[300_000:]
    known, alphabet = Counter(zip(train, train[1:], train[2:])), sorted(set(text))
    before = Counter(zip(train, train[1:]))
    chance = [(known[a, b, c] + .1)/(before[a, b] + .1*len(alphabet)) for a, b, c in zip(test, test[1:], test[2:])]
    single = Counter(train)
    frequency = [(single[c] + 1)/(len(train) + len(alphabet)) for c in test]
    assert 1 < -np.log(chance).mean() < -np.log(frequency).mean() - .5


def test_pairs():
    pairs = make_pairs(30_000)
    assert len(set(pairs)) == 30_000 and pairs == make_pairs(30_000)
    lengths = [len(english) for english, _ in pairs]
    assert lengths == sorted(lengths)
    for english, french in pairs:
        assert english[0].isupper() and french[0].isupper() and english[-1] in ".!?" and french[-1] == english[-1] and "  " not in english + french
        assert not re.search(r"\b(?:[jJ]e|[nN]e|[lL]e|[lL]a|que|[cC]e|[mts]a|de) [aeiouéèêîœh]", french), french
        assert (french[-2] == "\u202f") == (french[-1] in "!?") and not re.search(r"\ba [aeio]", english)


def test_pairs_can_be_learnt():
    "Each French word of the test half has been seen, and a word for word dictionary of nouns is nearly always right."
    pairs = make_pairs(20_000)
    train, test = pairs[::2], pairs[1::2]
    words = lambda sentences: {word for sentence in sentences for word in re.findall(r"\w+", sentence)}
    assert words(french for _, french in test) <= words(french for _, french in train)
    nouns = {english: french for english, french, _ in standins_written._nouns}
    assert all(any(french in answer for noun, french in nouns.items() if re.search(rf"\b{noun}\b", question)) for question, answer in test)


def test_house_prices():
    train, test = make_house_prices()
    assert train.shape == (1460, 81) and test.shape == (1459, 80) and train.equals(make_house_prices()[0])
    assert train["Id"].tolist() == list(range(1, 1461)) and test["Id"].iloc[-1] == 2919
    assert (train["1stFlrSF"] + train["2ndFlrSF"] == train["GrLivArea"]).all() and (train["GarageYrBlt"].isna() == train["GarageType"].isna()).all()


@pytest.mark.skipif(not REAL or not os.path.exists(f"{REAL}/house-prices/kaggle_house_pred_train.csv"), reason="LESSON_NB_DATA with the real house prices is not set")
def test_house_prices_have_the_columns_types_and_gaps_of_the_real_ones():
    import pandas as pd
    for made, name in zip(make_house_prices(), ("train", "test")):
        real = pd.read_csv(f"{REAL}/house-prices/kaggle_house_pred_{name}.csv")
        assert list(made) == list(real) and made.dtypes.astype(str).to_dict() == real.dtypes.astype(str).to_dict()
        assert (made.isna().mean() - real.isna().mean()).abs().max() < .05
        words = [column for column, kind in real.dtypes.items() if not pd.api.types.is_numeric_dtype(kind)]
        assert all(set(made[column].dropna()) <= set(real[column].dropna()) for column in words)


def test_house_prices_are_learnable_and_not_trivial():
    train, _ = make_house_prices()
    target = np.log(train["SalePrice"].to_numpy(float))
    columns = ["OverallQual", "OverallCond", "YearBuilt", "TotalBsmtSF", "GarageCars", "Fireplaces"]
    x = np.column_stack([np.ones(1460), np.log(train["GrLivArea"]), train[columns]])
    weights = np.linalg.lstsq(x[:1000], target[:1000], rcond=None)[0]
    error = np.sqrt(np.mean((x[1000:] @ weights - target[1000:])**2))
    assert .1 < error < .6*target[1000:].std()


def test_rossmann():
    train, test, store = make_rossmann()
    assert (len(train), len(test), len(store)) == (1_017_209, 41_088, 1115) and store["Store"].tolist() == list(range(1, 1116))
    assert train["Date"].is_monotonic_decreasing and str(train["Date"].iloc[-1].date()) == "2013-01-01" and str(train["Date"].iloc[0].date()) == "2015-07-31"
    assert train.loc[train["Open"] == 0, "Sales"].sum() == 0 and (train.loc[train["Open"] == 1, "Sales"] > 0).all()
    assert not train.duplicated(["Store", "Date"]).any() and (train["DayOfWeek"] == train["Date"].dt.day_of_week + 1).all()
    assert set(train["StateHoliday"]) == {"0", "a", "b", "c"} and .7 < train["Open"].mean() < .9 and store["PromoInterval"].isna().any()


def test_rossmann_is_learnable_and_not_trivial():
    "The mean by shop, weekday and promotion explains most of what is sold later, and not all."
    train, _, _ = make_rossmann()
    opened = train[train["Open"] == 1]
    early, late = opened[opened["Date"] < "2015-06-01"], opened[opened["Date"] >= "2015-06-01"]
    keys = ["Store", "DayOfWeek", "Promo"]
    guess = late.merge(early.groupby(keys)["Sales"].mean().rename("guess").reset_index(), on=keys)
    error = np.sqrt(np.mean((guess["Sales"]/guess["guess"] - 1)**2))
    constant = np.sqrt(np.mean((guess["Sales"]/early["Sales"].mean() - 1)**2))
    assert .05 < error < .6*constant
