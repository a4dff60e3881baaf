"Lesson 17a: maps held to sums and gradients written out by hand; nothing left behind in the network."
import pytest, torch
import torch.nn.functional as F
from torch import nn
from lesson_nb.heatmaps import activation_map, class_maps, enlarged, grad_cam, hottest, one_item, show_heat, zoomed
from lesson_nb.transfer import concat_head, normalized


@pytest.fixture(autouse=True)
def seeded(): torch.manual_seed(0)


@pytest.mark.parametrize("shape, size", [((2, 3, 8, 8), 64), ((1, 1, 1, 5), (7, 13)), ((3, 2, 6, 4), (6, 4)), ((2, 1, 8, 8), (3, 5)), ((0, 2, 4, 4), 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_enlarged_as_interpolate(shape, size, dtype):
    maps = torch.randn(shape, dtype=dtype, requires_grad=True)
    if not len(maps):
        assert enlarged(maps, size).shape == (0, 2, 8, 8)
        return
    twin = maps.detach().mT.contiguous().mT.requires_grad_(True)                   # not contiguous
    ours, theirs = enlarged(twin, size), F.interpolate(maps, size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(ours, theirs)
    weights = torch.randn_like(ours)
    torch.testing.assert_close(torch.autograd.grad((ours * weights).sum(), twin), torch.autograd.grad((theirs * weights).sum(), maps))


def small_network(head): return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), *head).double().eval()
def mean_head(): return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)]


@pytest.mark.parametrize("n", [1, 4])
def test_class_maps_add_up_to_the_score(n):
    network, x = small_network(mean_head()), torch.randn(n, 3, 5, 7, dtype=torch.float64)
    maps = class_maps(network[:2](x), network[4].weight)
    assert maps.shape == (n, 3, 5, 7)
    torch.testing.assert_close(maps.mean((2, 3)) + network[4].bias, network(x))
    torch.testing.assert_close(maps, F.conv2d(network[:2](x), network[4].weight[:, :, None, None]))
    with pytest.raises(ValueError, match=r"expected weights \(classes, 6\)"): class_maps(network[:2](x), torch.randn(3, 5))


@pytest.mark.parametrize("head", [mean_head, lambda: list(concat_head(6, 3))[:-1]])
@pytest.mark.parametrize("rectified", [True, False])
@pytest.mark.parametrize("target", [None, 2, torch.tensor([0, 2, 1])])
def test_grad_cam_is_the_formula(head, rectified, target):
    network, x = small_network(head()), torch.randn(3, 3, 6, 5, dtype=torch.float64)
    maps = network[:2](x).detach().requires_grad_(True)
    scores = network[2:](maps)
    chosen = scores.argmax(1) if target is None else torch.as_tensor(target).expand(3)
    expected = []
    for i in range(3):
        gradient = torch.autograd.grad(scores[i, chosen[i]], maps, retain_graph=True)[0][i]
        expected.append((gradient.mean((1, 2))[:, None, None] * maps[i]).sum(0))
    expected = torch.stack(expected).detach()
    torch.testing.assert_close(grad_cam(network, network[1], x, target, rectified), expected.clamp(min=0) if rectified else expected)


def test_grad_cam_equals_cam_for_a_mean_and_a_linear_layer():
    network, x = small_network(mean_head()), torch.randn(2, 3, 6, 5, dtype=torch.float64)
    for kind in range(3):
        cam = class_maps(network[:2](x), network[4].weight)[:, kind].detach()
        torch.testing.assert_close(grad_cam(network, network[1], x, kind, rectified=False), cam / 30, rtol=1e-12, atol=1e-14)


def test_a_look_leaves_nothing_behind():
    network, x = small_network(mean_head()), torch.randn(2, 3, 6, 5, dtype=torch.float64)
    network.requires_grad_(False)                                                   # frozen, as a body is
    state = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        seen, busy = grad_cam(network, network[1], x), activation_map(network, network[1], x)
    assert seen.shape == busy.shape == (2, 6, 5) and not seen.requires_grad and not busy.requires_grad and seen.abs().max() > 0
    torch.testing.assert_close(busy, network[:2](x).mean(1))
    assert all(p.grad is None for p in network.parameters()) and x.grad is None and not x.requires_grad
    assert all(not m._forward_hooks and not m._backward_hooks for m in network.modules())
    torch.testing.assert_close(network.state_dict(), state, rtol=0, atol=0)


def test_grad_cam_refuses():
    network, x = small_network(mean_head()), torch.randn(2, 3, 6, 5, dtype=torch.float64)
    with pytest.raises(ValueError, match="eval mode"): grad_cam(network.train(), network[1], x)
    network.eval()
    with pytest.raises(ValueError, match=r"puts out maps .* got \(2, 6\)"): grad_cam(network, network[3], x)
    with pytest.raises(ValueError, match="got nothing"): grad_cam(network, nn.ReLU(), x)
    assert all(not m._forward_hooks for m in network.modules())


def test_one_item():
    photo = torch.randint(256, (3, 30, 41), dtype=torch.uint8)
    item = one_item(photo, 10)
    torch.testing.assert_close(item, normalized(F.interpolate(photo[None] / 255, (10, 10), mode="area")))
    with pytest.raises(ValueError, match="photos"): one_item(photo / 255, 10)


def test_hottest_is_the_largest_window_of_all():
    maps = torch.randn(5, 9, 7)
    for side in (1, 3, 7):
        found = hottest(maps, side)
        for heat, (top, left) in zip(maps, found.tolist()):
            sums = {(i, j): heat[i:i + side, j:j + side].sum().item() for i in range(10 - side) for j in range(8 - side)}
            assert abs(sums[top, left] - max(sums.values())) < 1e-5
    for side in (0, 8):
        with pytest.raises(ValueError, match=f"fits into maps .* got {side}"): hottest(maps, side)


def test_zoomed():
    x, corners = torch.rand(2, 3, 12, 10), torch.tensor([[0, 4], [6, 1]])
    made = zoomed(x, corners, 6, 3)
    assert made.shape == (2, 3, 3, 3)
    torch.testing.assert_close(made[1, :, 0, 0], x[1, :, 6:8, 1:3].mean((1, 2)))
    assert torch.equal(zoomed(x, corners, 6, 6)[0], x[0, :, :6, 4:10])


@pytest.mark.parametrize("count", [1, 7])
def test_show_heat_draws_each_photo(count):
    import matplotlib.pyplot as plt
    sheet = show_heat(torch.rand(count, 3, 16, 16), torch.randn(count, 4, 4), ["cat"] * count, columns=min(count, 3), signed=count == 1)
    drawn = [ax for ax in sheet.axes if ax.images]
    assert len(drawn) == count and all(len(ax.images) == 2 and ax.images[1].get_array().shape == (16, 16) for ax in drawn)
    assert all(not ax.axison for ax in sheet.axes)
    plt.close(sheet)


def test_maps_of_a_layer_with_a_relu_in_place_behind_it():
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval(), torch.randn(2, 3, 8, 8)
    maps = net[0](x).detach()
    torch.testing.assert_close(activation_map(net, net[0], x), maps.mean(1))
    y = net[0](x).detach().requires_grad_()
    gradient, = torch.autograd.grad(net[4](y.relu().mean((2, 3)))[:, 1].sum(), y)
    torch.testing.assert_close(grad_cam(net, net[0], x, 1, rectified=False), (gradient.mean((2, 3), keepdim=True) * maps).sum(1))


def test_grad_cam_of_a_layer_that_is_called_twice_is_of_the_last_call():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bend, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Tanh(), nn.Linear(3, 2)
        def forward(self, x): return self.head(self.bend(self.conv(self.bend(self.conv(x)))).square().mean((2, 3)))
    torch.manual_seed(0)
    net, x = Twice().eval(), torch.randn(2, 3, 6, 6)
    last = net.bend(net.conv(net.bend(net.conv(x)))).detach().requires_grad_()
    gradient, = torch.autograd.grad(net.head(last.square().mean((2, 3)))[:, 0].sum(), last)
    torch.testing.assert_close(grad_cam(net, net.bend, x, 0, rectified=False), (gradient.mean((2, 3), keepdim=True) * last.detach()).sum(1))
