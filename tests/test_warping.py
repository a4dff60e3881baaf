"""Resampling beside torch's: values, gradients, layouts, dtypes, volumes, refusals; and the matrices and transforms of lesson 15a."""
import itertools, math
import pytest, torch
import torch.nn.functional as F
from lesson_nb import functional
from lesson_nb.augmentation import Augment, Compose
from lesson_nb.warping import (Geometric, RandomAffine, RandomWarp, Together, affine_grid, affine_matrix, corners_matrix, grid_sample, perspective_grid, resample,
                               tilt_matrix)

MODES = [(dims, mode, padding) for dims in (2, 3) for mode in ("bilinear", "nearest", "bicubic") for padding in ("zeros", "border", "reflection") if (dims, mode) != (3, "bicubic")]
each_mode = pytest.mark.parametrize("dims, mode, padding", MODES, ids=str)


def seeded(seed=0): return torch.Generator().manual_seed(seed)
def random(*shape, dtype=torch.float64, seed=0): return torch.randn(*shape, generator=seeded(seed + sum(shape)), dtype=dtype)


def with_gradients(sample, input, grid, *how):
    input, grid = input.detach().requires_grad_(), grid.detach().requires_grad_()
    output = sample(input, grid, *how)
    return output, *torch.autograd.grad(output, (input, grid), random(*output.shape, dtype=output.dtype, seed=5).to(output.device))


# grid_sample --------------------------------------------------------------------------------------------------------------------------
@each_mode
@pytest.mark.parametrize("align_corners", [True, False, None])
def test_same_as_torchs(dims, mode, padding, align_corners):
    how = (mode, padding, align_corners)
    theirs = (mode, padding, bool(align_corners))
    for shape, scale in itertools.product([(2, 3, 5, 4, 3), (3, 1, 1, 6, 2), (0, 2, 3, 3, 3), (1, 2, 1, 1, 1)], (0.9, 3.0, 40.0)):
        input, grid = random(*shape[:2 + dims]), scale * random(shape[0], *(4, 7, 2)[:dims], dims)
        for ours, expected in zip(with_gradients(grid_sample, input, grid, *how), with_gradients(F.grid_sample, input, grid, *theirs)):
            torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-10 * scale)


@each_mode
def test_edges_and_centres_of_pixels(dims, mode, padding):
    "Places exactly on centres, edges and folds, where floor, round and the slopes have to decide as torch's do."
    if dims == 3: pytest.skip("the plane shows it")
    for align_corners, size in [*itertools.product((True, False), (1, 2)), (False, 4), (False, 8), (True, 3), (True, 5)]:   # exact in binary
        steps = torch.arange(-4 * size, 4 * size + 1, dtype=torch.float64) / 2                        # in pixels: whole and half ones
        positions = 2 * steps / (size - 1) - 1 if align_corners and size > 1 else (2 * steps + 1) / size - 1
        grid = torch.stack([positions, torch.zeros_like(positions)], -1)[None, None]
        for ours, expected in zip(with_gradients(grid_sample, random(1, 2, 3, size), grid, mode, padding, align_corners), with_gradients(F.grid_sample, random(1, 2, 3, size), grid, mode, padding, align_corners)):
            torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align_corners", [True, False])
def test_gradients_are_those_of_finite_differences(mode, padding, align_corners):
    input, grid = random(2, 2, 4, 5).requires_grad_(), (1.3 * random(2, 3, 2, 2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, g: grid_sample(x, g, mode, padding, align_corners), (input, grid))


def test_only_the_gradient_that_is_asked_for():
    input, grid = random(1, 2, 4, 4), random(1, 3, 3, 2)
    for wants_input, wants_grid in ((True, False), (False, True)):
        output = grid_sample(input.clone().requires_grad_(wants_input), grid.clone().requires_grad_(wants_grid))
        assert output.requires_grad
    assert not grid_sample(input, grid).requires_grad


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_gradients_of_gradients_which_torch_has_not(mode):
    input, grid = random(1, 2, 4, 5).requires_grad_(), (0.9 * random(1, 2, 2, 2)).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x, g: grid_sample(x, g, mode, "border", False), (input, grid))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_dtypes_and_layouts(dtype):
    input, grid = random(2, 3, 6, 5).to(dtype), (0.8 * random(2, 4, 4, 2)).to(dtype)
    expected = F.grid_sample(input.double(), grid.double(), align_corners=False)
    room = {"rtol": 0, "atol": 40 * torch.finfo(dtype).eps}
    for x in (input, input.to(memory_format=torch.channels_last), input.mT.contiguous().mT, torch.stack([input, -input], -1)[..., 0]):
        output = grid_sample(x, grid, align_corners=False)
        assert output.dtype == dtype and output.shape == (2, 3, 4, 4)
        torch.testing.assert_close(output.double(), expected, **room)
    torch.testing.assert_close(grid_sample(input[:1].expand(2, -1, -1, -1), grid[:1].expand(2, -1, -1, -1)).double(), F.grid_sample(input[:1].double(), grid[:1].double(), align_corners=False).expand(2, -1, -1, -1), **room)


def test_infinite_pixels_outside_of_the_taps_do_not_matter():
    input = torch.full((1, 1, 3, 3), math.inf)
    input[..., 0, 0] = 2.0
    far = torch.full((1, 1, 1, 2), 7.0)
    assert grid_sample(input, far).item() == F.grid_sample(input, far, align_corners=False).item() == 0


def test_gradients_add_up_where_many_look_at_one_pixel():
    input = torch.zeros(1, 1, 3, 3, requires_grad=True)
    grid_sample(input, torch.zeros(1, 10, 10, 2)).sum().backward()
    assert input.grad[0, 0, 1, 1] == 100 and input.grad.sum() == 100


# affine_grid --------------------------------------------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore:Since version 1.3.0")
@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("size", [(3, 2, 4, 5), (1, 1, 1, 1), (2, 1, 1, 6), (2, 1, 3, 4, 5), (1, 2, 1, 5, 1)])
def test_affine_grid_is_torchs(size, align_corners):
    d = len(size) - 2
    for dtype in (torch.float64, torch.float32):
        ours, theirs = (random(size[0], d, d + 1, dtype=dtype).requires_grad_() for _ in range(2))
        grid, expected = affine_grid(ours, torch.Size(size), align_corners), F.affine_grid(theirs, size, align_corners=align_corners)
        torch.testing.assert_close(grid, expected)
        (grid.sin().sum() * 3).backward(), (expected.sin().sum() * 3).backward()
        torch.testing.assert_close(ours.grad, theirs.grad)
    assert affine_grid(ours.detach(), list(size)).equal(affine_grid(ours.detach(), size, False)), "None is False"


def test_facade():
    assert functional.grid_sample is grid_sample and functional.affine_grid is affine_grid


# matrices -----------------------------------------------------------------------------------------------------------------------------
def angles(*values): return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_turns_are_against_the_clock(quarters):
    x = random(2, 3, 6, 6)
    torch.testing.assert_close(resample(x, affine_matrix(angles(90.0 * quarters))), torch.rot90(x, quarters, (2, 3)))


def test_zoom_and_moves():
    x = random(2, 3, 8, 12)
    larger = resample(x, affine_matrix(angles(0.0), zoom=angles(2.0)), size=(8, 12))
    torch.testing.assert_close(larger, F.interpolate(x[:, :, 2:6, 3:9], scale_factor=2, mode="bilinear")[:, :, :, :], rtol=0, atol=4.0)
    torch.testing.assert_close(larger[:, :, 1:-1, 1:-1], F.interpolate(x, scale_factor=2, mode="bilinear")[:, :, 4:12, 6:18][:, :, 1:-1, 1:-1])
    moved = resample(x, affine_matrix(angles(0.0, 0.0), down=angles(0.125, 0.0), right=angles(0.0, -0.25)), padding_mode="zeros")
    torch.testing.assert_close(moved[0, :, 1:], x[0, :, :-1])
    torch.testing.assert_close(moved[1, :, :, :-3], x[1, :, :, 3:])


def test_turning_a_wide_picture_keeps_right_angles():
    "A square in a picture twice as wide as high has equal sides after a turn, in pixels."
    matrix, corners = affine_matrix(angles(30.0), ratio=0.5)[0, :2, :2], torch.tensor([[0.2, 0.0], [0.0, 0.4]], dtype=torch.float64)   # 20 pixels each, of 200 x 100
    sides = (corners @ matrix.T) * torch.tensor([100.0, 50.0], dtype=torch.float64)
    torch.testing.assert_close(sides.square().sum(1).sqrt(), torch.full((2,), 20.0, dtype=torch.float64))
    assert abs((sides[0] * sides[1]).sum()) < 1e-9


def test_zoom_after_turn_after_move():
    "A point of the old picture lands where the formula says: turned, enlarged, moved."
    a, zoom, right, down = 0.4, 1.7, 0.1, -0.2
    matrix = affine_matrix(angles(math.degrees(a)), angles(zoom), angles(down), angles(right))[0]
    x, y = 0.3, -0.5
    new = zoom * (x * math.cos(a) + y * math.sin(a)) + 2 * right, zoom * (-x * math.sin(a) + y * math.cos(a)) + 2 * down
    torch.testing.assert_close(matrix @ angles(*new, 1.0), angles(x, y, 1.0))


@pytest.mark.parametrize("turn, nod, distance", [(0, 0, 3), (40, 0, 3), (0, -30, 4), (25, 35, 5), (-50, 10, 6)])
def test_tilt_is_what_an_eye_sees(turn, nod, distance):
    "Points of the picture's plane, carried into the eye's coordinates and projected; the matrix has to lead back."
    a, b = math.radians(turn), math.radians(nod)
    right, down = angles(math.cos(a), 0, math.sin(a)), None
    forward = angles(-math.sin(a) * math.cos(b), math.sin(b), math.cos(a) * math.cos(b))              # to the middle, y pointing down
    down = angles(forward[1] * right[2] - forward[2] * right[1], forward[2] * right[0] - forward[0] * right[2], forward[0] * right[1] - forward[1] * right[0])
    eye, matrix = -distance * forward, tilt_matrix(angles(turn), angles(nod), distance)[0]
    for x, y in ((0, 0), (0.5, 0.2), (-0.6, 0.7), (0.3, -0.9)):
        ray = angles(x, y, 0.0) - eye
        depth = (ray * forward).sum()
        seen = matrix @ angles(distance * (ray * right).sum() / depth, distance * (ray * down).sum() / depth, 1.0)
        torch.testing.assert_close(seen[:2] / seen[2], angles(x, y))
    assert eye[0] * turn >= 0 and eye[1] * nod <= 0, "above 0 is right, and up"


def test_corners():
    corners = angles(-1.2, -0.8, 0.9, -1.1, 1.3, 0.7, -0.6, 1.0).view(1, 4, 2)
    square = angles(-1, -1, 1, 1, -1, 1, 1, 1, 1, -1, 1, 1).view(4, 3)
    found = square @ corners_matrix(corners)[0].T
    torch.testing.assert_close(found[:, :2] / found[:, 2:], corners[0])
    torch.testing.assert_close(corners_matrix(square[None, :, :2]), torch.eye(3, dtype=torch.float64)[None])
    matrix = tilt_matrix(angles(30), angles(-20))[0]
    seen = square @ matrix.T
    again = corners_matrix((seen[:, :2] / seen[:, 2:])[None])[0]
    torch.testing.assert_close(again / again[2, 2], matrix / matrix[2, 2])


def test_affine_is_the_special_case_of_perspective():
    matrix = affine_matrix(angles(10.0, -50.0), angles(1.1, 0.7), angles(0.1, 0.0), angles(0.0, -0.2), 0.6)
    torch.testing.assert_close(perspective_grid(matrix, (2, 1, 5, 7)), F.affine_grid(matrix[:, :2], (2, 1, 5, 7), align_corners=False))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_resample_keeps_dtype_and_finds_its_places_precisely(dtype):
    x = torch.rand(2, 3, 64, 64, generator=seeded()).to(dtype)
    looked = resample(x, tilt_matrix(torch.tensor([20.0, -10.0]), torch.tensor([5.0, 30.0])))
    expected = resample(x.double(), tilt_matrix(torch.tensor([20.0, -10.0]), torch.tensor([5.0, 30.0])))
    assert looked.dtype == dtype
    torch.testing.assert_close(looked.double(), expected, rtol=0, atol=2 * torch.finfo(dtype).eps + 1e-4)


# transforms ---------------------------------------------------------------------------------------------------------------------------
ALL = {"affine": lambda g=None: RandomAffine(20, 0.3, 0.1, generator=g), "warp": lambda g=None: RandomWarp(30, 4, generator=g),
       "together": lambda g=None: Together(RandomAffine(generator=g), RandomWarp(generator=None if g is None else seeded(9)))}
each = pytest.mark.parametrize("make", ALL.values(), ids=ALL)


@each
def test_draws_are_each_pictures_own_and_can_be_repeated(make):
    same = random(1, 3, 9, 12, dtype=torch.float32).expand(20, -1, -1, -1)
    first, again, other = make(seeded(3))(same), make(seeded(3))(same), make(seeded(4))(same)
    assert torch.equal(first, again) and not torch.equal(first, other) and len({picture.numpy().tobytes() for picture in first}) == 20
    assert first.shape == same.shape and make(seeded(3))(same[:0]).shape == (0, 3, 9, 12)


@each
def test_state_and_global_generator(make):
    x = random(5, 1, 8, 8, dtype=torch.float32)
    torch.manual_seed(2)
    transform, before = make(), torch.get_rng_state()
    transform(x)
    state = transform.state_dict()
    expected, fresh = transform(x), make(seeded(7))
    fresh.load_state_dict(state)
    assert torch.equal(fresh(x), expected) and torch.equal(torch.get_rng_state(), before)
    augment = Augment(make(seeded(1)))
    augment.load_state_dict(Augment(make(seeded(2))).state_dict())
    assert torch.equal(augment.inputs(x), make(seeded(2))(x))


@each
def test_same_views_on_a_gpu(make):
    if not torch.cuda.is_available(): pytest.skip("no CUDA device here")
    x = random(5, 3, 16, 16, dtype=torch.float32)
    torch.testing.assert_close(make(seeded())(x.cuda()).cpu(), make(seeded())(x), rtol=1e-3, atol=1e-3)


def test_affine_stays_within_what_was_asked_for():
    x = torch.zeros(2000, 1, 10, 20)
    matrix = RandomAffine(30, 0.5, 0.2, generator=0).matrix(x).double()
    zoom = (matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] * matrix[:, 1, 0]) ** -0.5
    angle = torch.rad2deg(torch.atan2(matrix[:, 1, 0] * 0.5, matrix[:, 0, 0]))
    assert angle.abs().max() <= 30 and angle.abs().max() > 29 and abs(angle.mean()) < 1
    assert zoom.min() >= 1 / 1.5 - 1e-6 and zoom.max() <= 1.5 + 1e-6 and abs(zoom.log().mean()) < 0.02
    assert torch.equal(RandomAffine(0, 0)(x[:3] + 1), x[:3] + 1)


def test_warp_never_looks_behind_the_eye():
    for degrees, distance in ((25, 3), (45, 3), (60, 6)):
        matrix = RandomWarp(degrees, distance, generator=0).matrix(torch.zeros(500, 1, 2, 2)).double()
        corners = torch.tensor([[x, y, 1.0] for x in (-1, 1) for y in (-1, 1)], dtype=torch.float64)
        assert (corners @ matrix.mT)[..., 2].min() > 0
    with pytest.raises(ValueError, match="before the eye, got 60 degrees at a distance of 3"): RandomWarp(60, 3)


def test_together_is_a_product():
    x = random(6, 2, 16, 16, dtype=torch.float32)
    both = Together(RandomAffine(generator=1), RandomWarp(generator=2), padding_mode="zeros", mode="bicubic")
    matrix = RandomAffine(generator=1).matrix(x) @ RandomWarp(generator=2).matrix(x)
    torch.testing.assert_close(both(x), resample(x, matrix, "bicubic", "zeros"))
    smooth = F.interpolate(random(6, 2, 3, 3, dtype=torch.float32), (64, 64), mode="bicubic")
    one, two = Together(RandomAffine(generator=1), RandomWarp(generator=2))(smooth), Compose(RandomAffine(generator=1), RandomWarp(generator=2))(smooth)
    assert (one - two)[:, :, 16:48, 16:48].abs().max() < 0.05, "in the middle, and where nothing is sharp, one look shows what two would"
    torch.testing.assert_close(Together()(x), x)


def test_own_geometric_transform():
    class Half(Geometric):
        def matrix(self, x): return affine_matrix(torch.full((len(x),), 180.0))
    x = random(3, 1, 5, 5, dtype=torch.float32)
    torch.testing.assert_close(Half()(x), x.flip((2, 3)), rtol=0, atol=1e-4)


# errors -------------------------------------------------------------------------------------------------------------------------------
X = torch.zeros(2, 3, 4, 5)


@pytest.mark.filterwarnings("ignore:Default grid_sample")
@pytest.mark.parametrize("act", [
    lambda f: f.grid_sample(X, torch.zeros(2, 4, 2)), lambda f: f.grid_sample(X, torch.zeros(3, 4, 4, 2)), lambda f: f.grid_sample(X, torch.zeros(2, 4, 4, 3)),
    lambda f: f.grid_sample(X[0], torch.zeros(2, 4, 4, 2)), lambda f: f.grid_sample(X, torch.zeros(2, 4, 4, 2), "cubic"), lambda f: f.grid_sample(X, torch.zeros(2, 4, 4, 2), "bilinear", "reflect"),
    lambda f: f.grid_sample(X[:, :, :0], torch.zeros(2, 4, 4, 2)), lambda f: f.grid_sample(X, torch.zeros(2, 4, 4, 2).double()), lambda f: f.grid_sample(torch.zeros(2, 3, 4, 4, 4), torch.zeros(2, 4, 4, 4, 3), "bicubic"),
    lambda f: f.affine_grid(torch.zeros(2, 2, 3).long(), (2, 3, 4, 5), align_corners=False), lambda f: f.affine_grid(torch.zeros(2, 3, 3), (2, 3, 4, 5), align_corners=False),
    lambda f: f.affine_grid(torch.zeros(2, 2, 3), (2, 3, 4, 5, 6), align_corners=False), lambda f: f.affine_grid(torch.zeros(2, 2, 3), (2, 3, 0, 5), align_corners=False), lambda f: f.affine_grid(torch.zeros(0, 2, 3), (0, 3, 4, 5), align_corners=False),
    lambda f: f.affine_grid(torch.zeros(2, 2, 3), (2, 3, 4), align_corners=False), lambda f: f.affine_grid(torch.zeros(2, 2, 3), (3, 3, 4, 5), align_corners=False)])
def test_what_torch_refuses_is_refused_with_its_error(act):
    with pytest.raises(Exception) as theirs: act(F)
    with pytest.raises(theirs.type, match="expected"): act(functional)


@pytest.mark.parametrize("act, error, words", [
    (lambda: resample(X.byte(), torch.eye(3)[None]), TypeError, "resample: expected floats, got torch.uint8; bytes become floats"),
    (lambda: perspective_grid(torch.eye(3)[None], (2, 1, 4, 4)), ValueError, r"expected matrices \(2, 3, 3\), got \(1, 3, 3\)"),
    (lambda: RandomAffine()(X[0]), ValueError, r"RandomAffine: expected pictures \(n, c, h, w\), got shape \(3, 4, 5\)"),
    (lambda: Together(RandomAffine())(X[0]), ValueError, "Together: expected pictures"),
    (lambda: RandomAffine(zoom=-0.1), ValueError, "zoom of 0 or more"), (lambda: RandomWarp(-5), ValueError, "before the eye"),
    (lambda: Together(RandomAffine(), torch.clone), TypeError, "expected Geometric transforms"),
    (lambda: affine_grid(torch.zeros(1, 2, 3), (2, 3, 4, 5)), RuntimeError, r"got 1 for 2; try theta.expand\(2, -1, -1\)")])
def test_bad_input_gets_expected_got_and_mend(act, error, words):
    with pytest.raises(error, match=words): act()
