"ConvLayer, ResBlock and the seven networks of the ladder: shapes, parameters, arithmetic, errors, and that they learn."
import copy
import pytest, torch
import torch.nn.functional as F
from torch import nn
from lesson_nb.resnet import ConvLayer, KernelMuon, ResBlock, conv_bn_net, conv_bn_net2, conv_net, conv_net2, muon_and_adam, res_net, res_net2, simple_net

# by hand: convolutions in * out * k * k (+ out with a bias), norms 2 * out, linear layers in * out + out
PARAMETERS = {simple_net: 3072 * 40 + 40 + 410,
              conv_net: 3 * 20 * 9 + 20 + 20 * 40 * 9 + 40 + 40 * 80 * 9 + 80 + 810,
              conv_net2: 3 * 20 * 9 + 20 + 20 * 40 * 9 + 40 + 40 * 80 * 9 + 80 + 810,
              conv_bn_net: 760 + sum(i * o * 9 + 2 * o for i, o in ((10, 20), (20, 40), (40, 80), (80, 160))) + 1610,
              conv_bn_net2: 760 + sum(i * o * 9 + o * o * 9 + 4 * o for i, o in ((10, 20), (20, 40), (40, 80), (80, 160))) + 1610,
              res_net: 760 + sum(i * o * 9 + 2 * o * o * 9 + 6 * o for i, o in ((10, 20), (20, 40), (40, 80), (80, 160))) + 1610,
              res_net2: 3 * 16 * 49 + 32 + sum(i * o * 9 + 2 * o * o * 9 + 6 * o for i, o in ((16, 32), (32, 64), (64, 128), (128, 256))) + 2570}
IDS = dict(ids=lambda make: make.__name__)


def by_hand(x, state, stride, training):
    "What a ConvLayer has to compute, from its state, by other means."
    y = F.relu(F.conv2d(x, state["conv.weight"], state.get("conv.bias"), stride, state["conv.weight"].shape[-1] // 2))
    if "norm.weight" not in state: return y
    return F.batch_norm(y, state["norm.running_mean"].clone(), state["norm.running_var"].clone(), state["norm.weight"], state["norm.bias"], training)


@pytest.mark.parametrize("make", PARAMETERS, **IDS)
def test_numbers_of_parameters(make): assert sum(p.numel() for p in make().parameters()) == PARAMETERS[make]


@pytest.mark.parametrize("make", PARAMETERS, **IDS)
def test_scores_and_gradients_for_every_parameter(make):
    torch.manual_seed(0)
    network = make()
    scores = network(torch.randn(4, 3, 32, 32))
    assert scores.shape == (4, 10)
    scores.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("make", [conv_bn_net, conv_bn_net2, res_net, res_net2], **IDS)
@pytest.mark.parametrize("channels, height, width", [(1, 28, 28), (3, 33, 17), (4, 64, 48)])
def test_any_channels_size_and_number_of_classes(make, channels, height, width):
    assert make(classes=7, channels=channels)(torch.randn(2, channels, height, width)).shape == (2, 7)


def test_widths_are_heeded():
    assert simple_net((12, 5, 4, 3))(torch.randn(6, 3, 2, 2)).shape == (6, 3)
    for make in (conv_net, conv_net2): assert make((1, 4, 6), 3)(torch.randn(2, 1, 20, 20)).shape == (2, 3)
    assert [p.shape[0] for p in res_net((4, 6, 8)).parameters() if p.ndim == 4] == [4, 6, 6, 6, 8, 8, 8]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kernel, stride, norm", [(3, 2, True), (3, 1, True), (5, 1, True), (7, 2, False), (1, 2, True)])
def test_conv_layer_is_convolution_relu_norm(training, kernel, stride, norm):
    torch.manual_seed(1)
    layer = ConvLayer(3, 5, kernel, stride, norm).double().train(training)
    if norm:
        with torch.no_grad(): layer.norm.weight.uniform_(), layer.norm.bias.normal_(), layer.norm.running_mean.normal_(), layer.norm.running_var.uniform_(0.5, 2)
    state = {name: value.clone() for name, value in layer.state_dict().items()}
    x = torch.randn(4, 3, 9, 10, dtype=torch.float64)
    torch.testing.assert_close(layer(x), by_hand(x, state, stride, training))
    assert layer(x).shape == (4, 5, -(-9 // stride), -(-10 // stride)) and ("conv.bias" in state) == (not norm)


def test_norm_stands_behind_the_relu():
    assert ConvLayer(3, 5)(torch.randn(8, 3, 8, 8)).min() < 0, "behind a ReLU nothing would be negative"
    assert ConvLayer(3, 5, norm=False)(torch.randn(8, 3, 8, 8)).min() == 0


@pytest.mark.parametrize("kernel", [2, 4])
def test_even_kernels_are_refused(kernel):
    with pytest.raises(ValueError, match=f"odd kernel_size.*got {kernel}.*try {kernel + 1}"): ConvLayer(3, 5, kernel)


def test_block_adds_its_input():
    block, x = ResBlock(4).double(), torch.randn(3, 4, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(block(x), x + by_hand(x, {f"{k.removeprefix('change.')}": v for k, v in block.state_dict().items()}, 1, True))
    assert list(block.state_dict())[0] == "change.conv.weight"
    assert torch.equal(ResBlock(4, nn.Identity())(x), 2 * x)


def test_block_gradient_is_right():
    block = ResBlock(2).double().eval()
    x = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, (x,))


@pytest.mark.parametrize("change", [ConvLayer(4, 4), ConvLayer(4, 6, stride=1), ConvLayer(4, 1, stride=1)], ids=["size", "channels", "would-broadcast"])
def test_change_of_another_shape_is_refused(change):
    with pytest.raises(ValueError, match=r"ResBlock: expected a change of the input's shape \(2, 4, 8, 8\)"): ResBlock(4, change)(torch.randn(2, 4, 8, 8))


def test_silent_blocks_pass_everything_on():
    blocks = nn.Sequential(*(ResBlock(3) for _ in range(30)))
    for block in blocks: nn.init.zeros_(block.change.norm.weight)
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    blocks(x).backward(direction := torch.randn(2, 3, 4, 4))
    assert torch.equal(blocks(x), x) and torch.equal(x.grad, direction)


def test_dropout_only_in_res_net2_and_only_in_training():
    x = torch.randn(2, 3, 32, 32)
    for make, differs in ((res_net2, True), (lambda: res_net2(dropout=0.0), False), (res_net, False)):
        torch.manual_seed(0)
        network = make().train()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d): module.eval()
        assert torch.equal(network(x), network(x)) != differs
        network.eval()
        assert torch.equal(network(x), network(x))


def test_state_goes_into_a_second_network():
    first, second = res_net2(), res_net2()
    first(torch.randn(4, 3, 32, 32))
    assert not second.load_state_dict(first.state_dict()).missing_keys
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(first.eval()(x), second.eval()(x))


@pytest.mark.parametrize("make", [conv_bn_net2, res_net, res_net2], **IDS)
def test_it_learns_a_batch_by_heart(make):
    torch.manual_seed(0)
    x, y, network = torch.randn(32, 3, 16, 16), torch.randint(10, (32,)), make()
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    for _ in range(25):
        loss = F.cross_entropy(network(x), y)
        optimizer.zero_grad(), loss.backward(), optimizer.step()
    assert loss < 0.3


# ---- two optimizers as one

def optimizers_of(network, **more): return muon_and_adam(network.parameters(), 0.02, **more)


@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (3, 8, 1, 1), (5, 4, 3), (4, 2, 3, 2, 2), (6, 10)])
@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels last"])
def test_a_kernel_steps_as_its_matrix_does_in_pytorch(shape, last):
    if last and len(shape) != 4: pytest.skip("only kernels with four sizes have this order")
    torch.manual_seed(1)
    kernel = nn.Parameter(torch.randn(shape).contiguous(memory_format=torch.channels_last if last else torch.contiguous_format))
    matrix = nn.Parameter(kernel.detach().flatten(1).clone())
    strides = kernel.stride()
    ours, theirs = KernelMuon([kernel], 0.1, momentum=0.8), torch.optim.Muon([matrix], 0.1, momentum=0.8)
    for _ in range(3):
        grad = torch.randn(shape)
        kernel.grad, matrix.grad = grad, grad.flatten(1)
        ours.step(), theirs.step()
    torch.testing.assert_close(kernel.detach().flatten(1), matrix.detach(), rtol=0, atol=5e-3)      # PyTorch computes in bfloat16
    assert kernel.stride() == strides and ours.state[kernel]["momentum_buffer"].shape == shape


def test_what_is_no_kernel_is_refused():
    with pytest.raises(ValueError, match=r"KernelMuon: expected matrices and kernels, got shape \(4,\); give biases"):
        KernelMuon([nn.Parameter(torch.ones(4))])


def test_every_parameter_goes_to_one_optimizer():
    network = res_net()
    chain = optimizers_of(network, weight_decay=0.3)
    groups = chain.param_groups
    seen = [id(p) for group in groups for p in group["params"]]
    assert sorted(seen) == sorted(map(id, network.parameters()))
    assert all(p.ndim == 4 and p.shape[1] > 3 for p in groups[0]["params"]) and len(groups[0]["params"]) == 12
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(0.02, 0.3), (0.004, 0.3)]
    groups[1]["lr"] = 0.5                                                # a schedule sets it like this
    assert chain.optimizers[1].param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize("network, kinds", [(nn.Linear(3, 2), ["AdamW"]), (nn.Conv2d(4, 2, 3, bias=False), ["KernelMuon"])])
def test_networks_with_one_sort_of_parameters(network, kinds):
    assert [type(optimizer).__name__ for optimizer in optimizers_of(network).optimizers] == kinds


def tiny(): return nn.Sequential(nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(6, 2))
def loss_of(network, seed): return network(torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(seed))).square().sum()


def test_a_chain_goes_on_from_its_states():
    torch.manual_seed(2)
    one, other = tiny(), tiny()
    first, second = optimizers_of(one), optimizers_of(other)

    def step(network, chain, seed):
        loss = loss_of(network, seed)
        chain.zero_grad()
        loss.backward()
        chain.step()

    for seed in range(3): step(one, first, seed)
    other.load_state_dict(one.state_dict())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for seed in range(3, 5): step(one, first, seed), step(other, second, seed)
    for a, b in zip(one.parameters(), other.parameters()): torch.testing.assert_close(a, b, rtol=0, atol=0)
    fresh = tiny()
    fresh.load_state_dict(one.state_dict())                              # without the states it goes elsewhere
    step(fresh, optimizers_of(fresh), 5), step(one, first, 5)
    assert not torch.allclose(fresh[0].weight, one[0].weight) and not torch.allclose(fresh[2].weight, one[2].weight)


def test_a_closure_is_called_once_and_gradients_go():
    network, calls = tiny(), []
    chain = optimizers_of(network)

    def closure():
        calls.append(1)
        chain.zero_grad()
        loss = loss_of(network, 0)
        loss.backward()
        return loss

    before = [p.detach().clone() for p in network.parameters()]
    with torch.no_grad(): loss = chain.step(closure)
    assert calls == [1] and loss.item() > 0 and not any(torch.equal(a, b) for a, b in zip(before, network.parameters()))
    chain.zero_grad(set_to_none=False)
    assert all(p.grad.count_nonzero() == 0 for p in network.parameters())
    chain.zero_grad()
    assert all(p.grad is None for p in network.parameters()) and chain.step() is None


@pytest.mark.parametrize("wrong, said", [(lambda states: states[:1], "states of 2 optimizers, got 1 of them"),
                                         (lambda states: states[0], "states of 2 optimizers, got a dict"),
                                         (lambda states: states[::-1], None)])
def test_states_of_another_chain_are_refused_and_nothing_is_lost(wrong, said):
    network = tiny()
    chain = optimizers_of(network)
    loss_of(network, 0).backward()
    chain.step()
    before = copy.deepcopy(chain.state_dict())
    with pytest.raises(ValueError, match=said): chain.load_state_dict(wrong(copy.deepcopy(chain.state_dict())))
    torch.testing.assert_close(chain.state_dict(), before, rtol=0, atol=0)
    chain.zero_grad()
    loss_of(network, 1).backward()
    chain.step()                                                         # and it goes on
