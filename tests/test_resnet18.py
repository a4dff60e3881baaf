"ResNet-18 and 34 held to the published architecture: names, order, shapes, numbers; the other blocks; small pictures; phases."
import pytest, torch
import torch.nn.functional as F
from torch import nn
from lesson_nb.data import get_dls
from lesson_nb.learner import Learner, Recorder
from lesson_nb.resnet18 import BasicBlock, DarkBlock, Phase, PreActBlock, ResNet, dark_net, fit_phases, resized, resnet18, resnet34, shortcut
from lesson_nb.samplers import TensorDataset

NETWORKS = {"resnet18": (resnet18, (2, 2, 2, 2), 11_689_512), "resnet34": (resnet34, (3, 4, 6, 3), 21_797_672)}


def published(blocks, classes=1000):
    "Name -> shape of every entry of torchvision's state_dict, in its order, written down from He and others (2015), table 1 and section 3.3."
    def norm(name, n): return [(f"{name}.weight", (n,)), (f"{name}.bias", (n,)), (f"{name}.running_mean", (n,)), (f"{name}.running_var", (n,)), (f"{name}.num_batches_tracked", ())]
    entries, before = [("conv1.weight", (64, 3, 7, 7)), *norm("bn1", 64)], 64
    for stage, count in enumerate(blocks):
        width = 64 * 2**stage
        for index in range(count):
            here = f"layer{stage + 1}.{index}"
            entries += [(f"{here}.conv1.weight", (width, before, 3, 3)), *norm(f"{here}.bn1", width), (f"{here}.conv2.weight", (width, width, 3, 3)), *norm(f"{here}.bn2", width)]
            if width != before: entries += [(f"{here}.downsample.0.weight", (width, before, 1, 1)), *norm(f"{here}.downsample.1", width)]
            before = width
    return entries + [("fc.weight", (classes, 512)), ("fc.bias", (classes,))]


class Elsewhere(nn.Module):
    "A ResNet of basic blocks as another library might write it: plain PyTorch, torchvision's names."
    def __init__(self, blocks, classes=1000):
        super().__init__()
        self.conv1, self.bn1, before = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), 64
        for stage, count in enumerate(blocks, 1):
            rows = []
            for index in range(count):
                width, stride = 32 * 2**stage, 2 if stage > 1 and index == 0 else 1
                row = nn.ModuleDict(dict(conv1=nn.Conv2d(before, width, 3, stride, 1, bias=False), bn1=nn.BatchNorm2d(width), conv2=nn.Conv2d(width, width, 3, 1, 1, bias=False), bn2=nn.BatchNorm2d(width)))
                if stride == 2: row["downsample"] = nn.Sequential(nn.Conv2d(before, width, 1, 2, bias=False), nn.BatchNorm2d(width))
                rows.append(row)
                before = width
            setattr(self, f"layer{stage}", nn.ModuleList(rows))
        self.fc = nn.Linear(512, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for row in stage:
                change = row["bn2"](row["conv2"](F.relu(row["bn1"](row["conv1"](x)))))
                x = F.relu(change + (row["downsample"](x) if "downsample" in row else x))
        return self.fc(x.mean((2, 3)))


@pytest.mark.parametrize("name", NETWORKS)
def test_layout_is_the_published_one(name):
    make, blocks, parameters = NETWORKS[name]
    network = make()
    assert [(key, tuple(value.shape)) for key, value in network.state_dict().items()] == published(blocks)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert [child for child, _ in network.named_children()] == ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc"]
    assert {str(v.dtype) for k, v in network.state_dict().items() if "num_batches" in k} == {"torch.int64"}


@pytest.mark.parametrize("name", NETWORKS)
def test_checkpoint_goes_both_ways(name, tmp_path):
    make, blocks, _ = NETWORKS[name]
    torch.manual_seed(0)
    ours, theirs, x = make(num_classes=5).double(), Elsewhere(blocks, 5).double(), torch.randn(2, 3, 40, 40, dtype=torch.float64)
    for source, target in ((ours, theirs), (theirs, ours)):
        with torch.no_grad():
            for p in source.parameters(): p.add_(0.01 * torch.randn_like(p))
        torch.save(source.state_dict(), tmp_path / "file.pth")
        target.load_state_dict(torch.load(tmp_path / "file.pth", weights_only=True), strict=True)
        for training in (True, False):
            outputs = [network.train(training)(x) for network in (ours, theirs)]
            torch.testing.assert_close(*outputs)
        grads = [torch.autograd.grad(network(x).square().sum(), [network.conv1.weight, network.fc.weight]) for network in (ours, theirs)]
        torch.testing.assert_close(*grads)
        torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


@pytest.mark.parametrize("name", NETWORKS)
def test_torchvision_agrees_where_it_is_installed(name):
    models = pytest.importorskip("torchvision.models")
    theirs, ours, x = getattr(models, name)().eval(), NETWORKS[name][0]().eval(), torch.randn(2, 3, 64, 64)
    for source, target in ((theirs, ours), (ours, theirs)):
        target.load_state_dict(source.state_dict(), strict=True)
        torch.testing.assert_close(ours(x), theirs(x))


def test_start_of_the_weights():
    torch.manual_seed(0)
    network = resnet18()
    for name, p in network.named_parameters():
        if p.ndim == 4: assert abs(p.std().item() / (2 / (p.shape[0] * p.shape[2] * p.shape[3])) ** 0.5 - 1) < 0.05, name
        elif "bn" in name or "downsample.1" in name: assert (p == ("weight" in name)).all(), name
    silent = resnet18(zero_init_residual=True)
    assert all((block.bn2.weight == 0).all() for block in silent.modules() if isinstance(block, BasicBlock))
    assert (silent.bn1.weight == 1).all() and (silent.layer1[0].bn1.weight == 1).all()
    x = torch.randn(2, 64, 8, 8).relu()
    assert torch.equal(silent.layer1(x), x)


def test_other_norms_and_classes():
    network = resnet18(num_classes=3, norm_layer=lambda channels: nn.GroupNorm(8, channels))
    assert network(torch.randn(1, 3, 32, 32)).shape == (1, 3) and not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())


def test_refusals():
    with pytest.raises(NotImplementedError, match="resnet18: weights=.*load_state_dict"): resnet18(weights="DEFAULT")
    for option in ("groups", "width_per_group", "replace_stride_with_dilation"):
        with pytest.raises(NotImplementedError, match=f"resnet34: {option}="): resnet34(**{option: 2})
    with pytest.raises(ValueError, match="four stages"): ResNet([2, 2])
    with pytest.raises(ValueError, match=r"give downsample=shortcut\(8, 16, 2\)"): BasicBlock(8, 16, 2)
    with pytest.raises(ValueError, match="even number of channels"): DarkBlock(5)
    with pytest.raises(ValueError, match=r"at most \(8, 8\), got \(9, 9\)"): resized(torch.randn(1, 3, 8, 8), 9)
    with pytest.raises(TypeError): resnet18("DEFAULT")


@pytest.mark.parametrize("inputs, outputs, stride, kind", [(8, 8, 1, None), (8, 16, 1, nn.Sequential), (8, 8, 2, nn.Sequential)])
def test_shortcuts(inputs, outputs, stride, kind):
    way = shortcut(inputs, outputs, stride)
    assert way is None if kind is None else way(torch.randn(2, inputs, 7, 7)).shape == (2, outputs, -(-7 // stride), -(-7 // stride))


def test_pre_activation_is_what_the_paper_says():
    torch.manual_seed(0)
    for block, stride in ((PreActBlock(4, 4), 1), (PreActBlock(4, 6, 2), 2)):
        block.double().train()
        x = torch.randn(3, 4, 7, 7, dtype=torch.float64)
        def norm(y, bn): return F.batch_norm(y, None, None, bn.weight, bn.bias, True)
        active = F.relu(norm(x, block.bn1))
        change = F.conv2d(F.relu(norm(F.conv2d(active, block.conv1.weight, stride=stride, padding=1), block.bn2)), block.conv2.weight, padding=1)
        short = x if stride == 1 else F.conv2d(active, block.downsample.weight, stride=2)
        torch.testing.assert_close(block(x), short + change)


def test_dark_net_53():
    network = dark_net()
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 52 and not any(c.bias is not None for c in convolutions)
    assert {m.negative_slope for m in network.modules() if isinstance(m, nn.LeakyReLU)} == {0.1}
    widths = [32 * 2**i for i in range(6)]
    expected = 3 * 32 * 9 + 64 + sum(a * b * 9 + 2 * b + n * (b * b // 2 * 10 + b + 2 * b) for a, b, n in zip(widths, widths[1:], (1, 2, 8, 8, 4))) + 1024 * 1000 + 1000
    assert sum(p.numel() for p in network.parameters()) == expected
    block, x = DarkBlock(8).eval(), torch.randn(2, 8, 5, 5)
    torch.testing.assert_close(block(x), x + block.change(x))
    assert dark_net((1,), 4, 3, 1)(torch.randn(2, 1, 20, 12)).shape == (2, 3)


@pytest.mark.parametrize("size", [16, 24, (5, 31), 1])
def test_resized_takes_means_of_areas(size):
    x = torch.randn(7, 3, 32, 32)
    torch.testing.assert_close(resized(x, size, batch_size=3), F.interpolate(x, size=size, mode="area"))
    assert resized(x, 32) is x


def dls(size, count=32):
    data = TensorDataset(torch.randn(count, 3, size, size), torch.randint(2, (count,)))
    return get_dls(data, data, batch_size=16)


def learner(data, cbs=()): return Learner(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)), data, F.cross_entropy, cbs=list(cbs))


def test_phases_run_in_order_each_with_its_cycle():
    seen, recorder = [], Recorder()
    phases = [Phase(dls(8), 1, 0.1), (dls(12), 3, 0.4)]
    trained = learner(dls(4), [recorder])
    trained.model[0].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape[-1]) if module.training else None)
    found = fit_phases(trained, phases)
    assert seen == [8] * 2 + [12] * 6 and len(found) == 2 and trained.data is phases[1][0]
    rates = [rate for rate, in recorder.settings["lr"]]
    assert len(rates) == 6 and max(rates) <= 0.4 and max(rates) > 0.35 and rates[-1] < 0.01


@pytest.mark.parametrize("bad", [[1], [(1, 2, 3)], ["abc"]])
def test_what_is_no_phase_is_refused_before_anything_is_trained(bad):
    trained = learner(dls(8))
    before = trained.model[0].weight.clone()
    with pytest.raises(TypeError, match="expected phases"): fit_phases(trained, [Phase(dls(8), 1, 0.1), *bad])
    assert torch.equal(trained.model[0].weight, before)


def test_what_torchvisions_callers_pass_on_is_taken():
    assert repr(resnet18(num_classes=3, norm_layer=None, progress=False)) == repr(resnet18(num_classes=3))
