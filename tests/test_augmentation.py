"""The transforms of lesson 15 beside loops over single pictures: values, draws, devices of the draws, dtypes, layouts, errors; TTA."""
import pytest, torch
from torch import nn
from lesson_nb.augmentation import Augment, Compose, Cutout, Lighting, RandomCrop, RandomFlip, Transform, folded, moved, take_pixels, tta
from lesson_nb.checkpoints import Checkpoint
from lesson_nb.data import get_dls
from lesson_nb.learner import AvgStats, Learner
from lesson_nb.runner import Callback, CancelFitException
from lesson_nb.samplers import TensorDataset

MODES = {"zeros": "constant", "border": "replicate", "reflection": "reflect"}
ALL = {"flip": lambda g=None: RandomFlip(generator=g), "upside down": lambda g=None: RandomFlip(axis=-2, generator=g), "crop": lambda g=None: RandomCrop(2, generator=g),
       "crop zeros": lambda g=None: RandomCrop(3, "zeros", (5, 8), g), "light": lambda g=None: Lighting(value_range=None, generator=g), "cutout": lambda g=None: Cutout(3, generator=g)}
each = pytest.mark.parametrize("make", ALL.values(), ids=ALL)


def pictures(n=6, c=3, h=7, w=9, dtype=torch.float32):
    "Every pixel another number, so that one can see where it went."
    return torch.arange(1, n * c * h * w + 1).view(n, c, h, w).to(dtype)


def seeded(generator=0): return torch.Generator().manual_seed(generator)


# places -------------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_folded_is_padding(size):
    "Beside torch's own padding; and beyond what that allows, the mirror goes on for ever."
    row, place = torch.arange(1.0, size + 1)[None, None], torch.arange(-size + 1, 2 * size - 1)
    for mode, theirs in (("border", "replicate"), ("reflection", "reflect")):
        assert torch.equal(row[0, 0, folded(place, size, mode)], nn.functional.pad(row, (size - 1, size - 1), theirs)[0, 0])
    far = torch.arange(-50, 50)
    assert ((folded(far, size, "reflection") - folded(far + max(2 * size - 2, 1), size, "reflection")) == 0).all()
    assert folded(far, size, "zeros").min() == 0 and folded(far, size, "zeros").max() == size - 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8, torch.float16])
def test_take_pixels_is_a_loop(mode, dtype):
    x = pictures(2, 2, 3, 4).remainder(250).to(dtype)
    rows, columns = torch.randint(-5, 8, (2, 5), generator=seeded()), torch.randint(-6, 9, (2, 6), generator=seeded())
    taken = take_pixels(x, rows, columns, mode)
    assert taken.dtype == dtype and taken.shape == (2, 2, 5, 6)
    for k in range(2):
        for i in range(5):
            for j in range(6):
                r, c = rows[k, i].item(), columns[k, j].item()
                outside = not (0 <= r < 3 and 0 <= c < 4)
                expected = 0 * x[k, :, 0, 0] if mode == "zeros" and outside else x[k, :, folded(rows[k, i], 3, mode), folded(columns[k, j], 4, mode)]
                assert torch.equal(taken[k, :, i, j], expected)


@pytest.mark.parametrize("mode", MODES)
def test_moved(mode):
    x = pictures(2)
    for down, right in ((0, 0), (2, -1), (-3, 3)):
        padded = nn.functional.pad(x, (4, 4, 4, 4), MODES[mode])
        assert torch.equal(moved(x, down, right, mode), padded[:, :, 4 - down:11 - down, 4 - right:13 - right])
    assert moved(x, 0, 2, "zeros")[:, :, :, :2].eq(0).all() and torch.equal(moved(x, 0, 2, "zeros")[..., 2:], x[..., :-2])


# each transform beside a loop ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("axis", [-1, -2, 2, 3])
def test_flip_is_a_loop(axis):
    x = pictures(400)
    flipped = RandomFlip(0.3, axis, seeded())(x)
    chosen = torch.rand(400, generator=seeded()) < 0.3
    assert torch.equal(flipped, torch.stack([picture.flip(axis - 4 if axis > 0 else axis) if c else picture for picture, c in zip(x, chosen)]))
    assert 0.2 < chosen.float().mean() < 0.4
    assert torch.equal(RandomFlip(0.0, axis)(x), x) and torch.equal(RandomFlip(1.0, axis)(x), x.flip(axis))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [None, 5, (7, 3), (13, 15)])
@pytest.mark.parametrize("padding", [0, 3])
def test_crop_is_a_loop(mode, size, padding):
    x, window = pictures(50), (size, size) if isinstance(size, int) else size or (7, 9)
    if padding == 0 and window[0] > 7: pytest.skip("a window larger than the picture needs a margin")
    cut = RandomCrop(padding, mode, size, seeded())(x)
    padded, g = nn.functional.pad(x, [padding] * 4, MODES[mode]), seeded()
    tops, lefts = (torch.randint(side + 2 * padding - length + 1, (50,), generator=g) for side, length in zip((7, 9), window))
    expected = torch.stack([p[:, t:t + window[0], l:l + window[1]] for p, t, l in zip(padded, tops.tolist(), lefts.tolist())])
    assert torch.equal(cut, expected) and cut.is_contiguous()


def test_crop_reaches_every_place_equally_often():
    x = torch.arange(7.0).expand(3000, 1, 7, 7) + 10 * torch.arange(7.0)[:, None]
    corners = RandomCrop(1, "zeros", generator=0)(x)[:, 0, 3, 3]
    values, counts = corners.unique(return_counts=True)
    assert len(values) == 9 and counts.min() > 250 and counts.max() < 420


def test_cutout_is_a_loop():
    x = pictures(60)
    for size, value in ((4, 0.0), (3, -7.0), (1, torch.tensor([1.0, 2.0, 3.0])[:, None, None]), (0, 5.0), (40, 9.0)):
        cut, g, expected = Cutout(size, value, seeded())(x), seeded(), x.clone()
        tops, lefts = (torch.randint(side, (60,), generator=g) - size // 2 for side in (7, 9))
        for picture, t, l in zip(expected, tops.tolist(), lefts.tolist()): picture[:, max(t, 0):max(t + size, 0), max(l, 0):max(l + size, 0)] = torch.as_tensor(value)
        assert torch.equal(cut, expected)


def test_lighting_is_its_formula():
    x = torch.rand(200, 3, 4, 5, generator=seeded())
    lit, g = Lighting(0.3, 0.5, None, seeded())(x), seeded()
    shift = 0.6 * torch.rand(200, generator=g) - 0.3
    factor = 1.5 ** (2 * torch.rand(200, generator=g) - 1)
    for k in range(200): torch.testing.assert_close(lit[k], (x[k] - x[k].mean()) * factor[k] + x[k].mean() + shift[k])
    assert abs(factor.log().mean()) < 0.05 and factor.min() > 1 / 1.5 and factor.max() < 1.5
    assert torch.equal(Lighting(0.3, 0.5, generator=seeded())(x), lit.clamp(0, 1)) and (lit < 0).any() and (lit > 1).any()
    torch.testing.assert_close(Lighting(0, 0)(x), x)
    assert Lighting(generator=0)(x.half()).dtype == torch.float16


# what all have in common --------------------------------------------------------------------------------------------------------------
@each
def test_draws_are_each_pictures_own_and_can_be_repeated(make):
    same = pictures(1).div(400).expand(64, -1, -1, -1)
    first, again, other = make(3)(same), make(seeded(3))(same), make(4)(same)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert len({picture.numpy().tobytes() for picture in first}) >= 2
    transform = make(3)
    assert torch.equal(transform(same), first) and not torch.equal(transform(same), first), "each batch has new draws"


@each
def test_generator_is_its_own(make):
    "The global generator decides the seed when the transform is made, and is left alone afterwards."
    torch.manual_seed(5)
    transform, before = make(), torch.get_rng_state()
    first = transform(pictures(20))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    assert torch.equal(make()(pictures(20)), first)


@each
def test_state_goes_on_where_it_stood(make):
    x, transform = pictures(20), make(1)
    transform(x)
    state = transform.state_dict()
    expected, fresh = transform(x), make(2)
    fresh.load_state_dict(state)
    assert torch.equal(fresh(x), expected)


@each
def test_input_stays_as_it_is_and_layouts_do_not_matter(make):
    x = pictures(8).div(2000)
    expected, kept = make(0)(x), x.clone()
    assert torch.equal(x, kept)
    for other in (x.to(memory_format=torch.channels_last), torch.stack([x, -x], -1)[..., 0], x.mT.contiguous().mT): torch.testing.assert_close(make(0)(other), expected)
    assert make(0)(x[:0]).shape[0] == 0 and make(0)(x[:1]).shape == expected[:1].shape


@pytest.mark.parametrize("make", [make for name, make in ALL.items() if name != "light"], ids=[name for name in ALL if name != "light"])
def test_bytes_stay_bytes(make):
    x = torch.randint(256, (30, 3, 7, 9), dtype=torch.uint8, generator=seeded())
    assert make(0)(x).dtype == torch.uint8 and torch.equal(make(0)(x).float(), make(0)(x.float()))


@each
def test_gradients_flow_back_to_the_pixels(make):
    x = torch.rand(3, 2, 7, 9, dtype=torch.float64, generator=seeded(), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: make(seeded())(x), (x,), fast_mode=True)


@each
def test_same_pictures_on_a_gpu(make):
    if not torch.cuda.is_available(): pytest.skip("no CUDA device here")
    x = pictures(40).div(8000)
    torch.testing.assert_close(make(0)(x.cuda()).cpu(), make(0)(x))
    assert make(torch.Generator("cuda"))(x.cuda()).is_cuda


def test_compose_and_augment():
    x = pictures(30).div(8000)
    expected = Cutout(2, generator=2)(RandomFlip(generator=1)(x)) * 2
    both = Compose(RandomFlip(generator=1), Cutout(2, generator=2), lambda x: x * 2)
    state = both.state_dict()
    assert torch.equal(both(x), expected)
    both.load_state_dict(state)
    assert torch.equal(both(x), expected)
    assert repr(Compose(RandomFlip(), RandomCrop(2))) == "Compose(RandomFlip(p=0.5, axis=-1), RandomCrop(mode='reflection', padding=2, size=None))"


class Kept(AvgStats):
    "Keeps the batches that the model sees."
    order = -10
    def __init__(self): super().__init__(); self.seen = {True: [], False: []}
    def after_pred(self, learner): self.seen[learner.training].append(learner.xb)


def fitted(*cbs, epochs=2, seed=0):
    x, y = pictures(24, 1, 4, 4).div(400), torch.arange(24) % 3
    torch.manual_seed(seed)
    model, kept = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), Kept()
    learner = Learner(model, get_dls(TensorDataset(x, y), TensorDataset(x, y), 8, shuffle=False), nn.CrossEntropyLoss(), cbs=[kept, *cbs])
    learner.fit(epochs)
    return learner, kept.seen, x


def test_augment_changes_training_batches_alone():
    learner, seen, x = fitted(Augment(RandomFlip(1.0), Lighting(0.5, 0, generator=0)))
    assert torch.equal(torch.cat(seen[False])[:24], x) and not torch.equal(torch.cat(seen[True][:3]), torch.cat(seen[True][3:]))
    assert torch.equal(learner.predict(x), learner.model(x))


def test_resumed_run_sees_the_same_pictures(tmp_path):
    "Half of a run, its checkpoint, and the other half in a fresh process' place: the batches of a run that was never stopped."
    def augment(): return Augment(RandomFlip(generator=7), RandomCrop(1, generator=8), Lighting(generator=9))
    _, whole, _ = fitted(augment(), epochs=4)
    class Stop(Callback):
        order = 3000
        def __init__(self, epoch): self.epoch = epoch
        def after_epoch(self, learner):
            if learner.epoch == self.epoch: raise CancelFitException
    path = tmp_path / "run.pt"
    fitted(augment(), Checkpoint(path), Stop(1), epochs=4)
    _, rest, _ = fitted(Augment(RandomFlip(generator=70), RandomCrop(1, generator=80), Lighting(generator=90)), Checkpoint(path, resume=True), Stop(None), epochs=4)
    assert len(rest[True]) == 6 and len(whole[True]) == 12
    for ours, expected in zip(rest[True], whole[True][6:], strict=True): assert torch.equal(ours, expected)


# TTA ----------------------------------------------------------------------------------------------------------------------------------
class Sides(nn.Module):
    "Says what lies left and right, and whether it trains."
    def __init__(self): super().__init__(); self.drop = nn.Dropout(0.5)
    def forward(self, x): return torch.stack([x[..., 0].mean((1, 2)), x[..., -1].mean((1, 2)), torch.full((len(x),), float(self.training))], 1)


def test_tta_is_the_mean_over_views():
    x, model = pictures(7), Sides().train()
    model.drop.eval()
    said = tta(model, x, batch_size=3)
    model.eval()
    torch.testing.assert_close(said, (model(x) + model(x.flip(-1))) / 2)
    assert said[:, 2].eq(0).all() and torch.allclose(said[:, 0], said[:, 1])
    model.train(), model.drop.eval()
    tta(model, x)
    assert model.training and not model.drop.training, "each module is in the mode that it was in"
    views = [moved(v, s, s) for v in (x, x.flip(-1)) for s in (0, 2, -2)]
    torch.testing.assert_close(tta(model, x, shift=2), sum(map(Sides().eval(), views)) / 6)
    torch.testing.assert_close(tta(model, x, flip=False, shift=1, mode="zeros"), sum(Sides().eval()(moved(x, s, s, "zeros")) for s in (0, 1, -1)) / 3)
    torch.testing.assert_close(tta(model, x, flip=False), Sides().eval()(x))
    torch.testing.assert_close(tta(lambda x: x.mean((1, 2, 3)), x, views=[lambda x: x, lambda x: 3 * x]), 2 * x.mean((1, 2, 3)))
    assert tta(model, x.requires_grad_()).requires_grad is False and tta(model, x[:0]).shape == (0, 3)
    with pytest.raises(ValueError, match="one view or more"): tta(model, x, views=[])


def test_tta_asks_a_learner():
    learner, _, x = fitted(Augment(RandomFlip(1.0)))
    with torch.no_grad(): expected = (learner.model(x) + learner.model(x.flip(-1))) / 2
    torch.testing.assert_close(tta(learner, x, batch_size=5), expected)


def test_modes_come_back_after_an_error():
    def fails(x): raise RuntimeError("planned")
    model = Sides().train()
    with pytest.raises(RuntimeError, match="planned"): tta(model, torch.zeros(4, 1, 2, 2), views=[torch.clone, fails])
    assert model.training and model.drop.training


# errors -------------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("act, error, words", [
    (lambda: RandomFlip()(torch.zeros(3, 8, 8)), ValueError, r"RandomFlip: expected pictures \(n, c, h, w\), got shape \(3, 8, 8\); .* x\[None\]"),
    (lambda: moved(torch.zeros(8, 8), 1, 1), ValueError, "moved: expected pictures"), (lambda: tta(nn.Identity(), torch.zeros(3, 8, 8)), ValueError, "tta: expected pictures"),
    (lambda: Cutout()([1, 2]), ValueError, "got list"),
    (lambda: RandomFlip(1.5), ValueError, "p from 0 to 1"), (lambda: RandomFlip(axis=1), ValueError, "axis -1 or -2"),
    (lambda: RandomCrop(mode="reflect"), ValueError, "expected the mode 'zeros', 'border' or 'reflection', got 'reflect'"),
    (lambda: RandomCrop(2, size=20)(torch.zeros(1, 1, 8, 8)), ValueError, r"a window of at most 8 \+ 2 \* 2 pixels, got 20"),
    (lambda: Lighting()(torch.zeros(1, 1, 2, 2, dtype=torch.uint8)), TypeError, "expected floats, got torch.uint8"),
    (lambda: Lighting(-0.1), ValueError, "brightness and contrast of 0 or more"), (lambda: Cutout(-1), ValueError, "size of 0 or more"),
    (lambda: Compose([RandomFlip()]), TypeError, r"write Compose\(a, b\), not Compose\(\[a, b\]\)"),
    (lambda: Transform(0)(torch.zeros(1, 1, 2, 2)), AttributeError, "change")])
def test_bad_input_gets_expected_got_and_mend(act, error, words):
    with pytest.raises(error, match=words): act()


def test_numbers_may_be_numpys():
    import numpy
    x = torch.rand(2, 3, 8, 8)
    assert RandomCrop(size=numpy.int64(4))(x).shape == (2, 3, 4, 4)
    assert torch.equal(RandomFlip(generator=numpy.int64(3))(x), RandomFlip(generator=3)(x))
