"""SFT, reward and DPO against independent implementations (transformers' logits, formulas by hand), and end to end."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch

from llm.align.batches import Example, Pair, collate
from llm.align.likelihood import response_log_probs
from llm.align.lora import LoraLinear, add_lora, load_adapter, lora_layers, merge_lora
from llm.align.paired import Paired
from llm.align.reward import REWARD, RewardModel, bradley_terry, load_reward_model
from llm.align.sft import Supervised, evaluate
from llm.align.train_adapter import adapt, optimizer_of
from llm.errors import InputError
from llm.model.grid import Grid
from llm.model.on_grid import put_on_grid
from llm.model.rounding import layers_to_quantize, quantize_weight
from llm.model.transformer import CausalLM
from llm.training.engines.single import SingleEngine
from llm.training.metrics import NAME
from tests.llm.align.toy import (
    BETA,
    CONFIG,
    LORA,
    adapter_of,
    adapter_settings,
    example,
    items_of,
    job_of,
    pairs,
    random_model,
    schedule,
)


def log_prob_by_hand(peer, item: Example) -> float:
    """Sum of log p over the response, one token after the other, float64, without padding."""
    with torch.no_grad():
        logits = peer(torch.from_numpy(item.ids)[None]).logits[0].double()
    total = 0.0
    for position in range(1, len(item.ids)):
        if item.mask[position]:
            row = logits[position - 1]
            total += (row[item.ids[position]] - torch.log(torch.exp(row - row.max()).sum()) - row.max()).item()
    return total


@pytest.fixture
def adapted(model):
    """The random model with a trained-looking adapter."""
    add_lora(model, LORA, seed=0)
    for layer in lora_layers(model).values():
        layer.lora_B.data.normal_(0, 0.1, generator=torch.Generator().manual_seed(3))
    return model


@pytest.fixture
def peers(adapted, new_model, in_transformers, tmp_path):
    """(with adapter, without) in transformers and PEFT."""
    from peft import PeftModel

    from llm.align.lora import save_adapter

    save_adapter(adapter_of(adapted), LORA, tmp_path, base="../../models/base")
    return PeftModel.from_pretrained(in_transformers(new_model()), tmp_path).eval(), in_transformers(new_model())


def test_log_probs_and_sft_loss_equal_the_formula(adapted, peers):
    examples = [example(seed) for seed in range(5)]
    expected = [log_prob_by_hand(peers[0], item) for item in examples]
    found = response_log_probs(adapted, collate(examples, 3))
    torch.testing.assert_close(found.double(), torch.tensor(expected).double(), atol=1e-4, rtol=1e-5)
    tokens = sum(int(item.mask.sum()) for item in examples)
    objective = Supervised(adapted, torch.float32)
    assert objective(collate(examples, 3), 5)[0].item() == pytest.approx(-sum(expected) / tokens, abs=1e-5)
    found = evaluate(SingleEngine(objective, optimizer_of(schedule(1, 1, 1.0, 0))), examples, 3)
    assert found["validation_loss"] == pytest.approx(-sum(expected) / tokens, abs=1e-5)


def test_sft_loss_equals_transformers_own_loss(adapted, peers):
    """transformers computes the shifted loss itself from labels, -100 where nothing is to be learned."""
    batch = collate([example(seed) for seed in range(4)], 3)
    labels = torch.where(batch.mask_BT, batch.tokens_BT, -100)
    with torch.no_grad():
        theirs = peers[0](batch.tokens_BT, labels=labels).loss.item()
    assert Supervised(adapted, torch.float32)(batch, 4)[0].item() == pytest.approx(theirs, abs=1e-5)


def test_prompt_and_padding_do_not_enter_the_loss(model):
    short, long = example(0, answer=4), example(4, answer=30)
    alone = response_log_probs(model, collate([short], 3))
    together = response_log_probs(model, collate([short, long], 3))
    torch.testing.assert_close(alone[0], together[0], atol=1e-5, rtol=1e-5)


def rewards_of(objective: Paired, some: list[Pair]) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the chosen answers, and of the rejected ones."""
    return objective.paired.rewards(objective.sides(collate(some, 3)), objective.settings)


def test_dpo_loss_equals_the_formula(adapted, peers):
    some = pairs(4)
    losses, margins = [], []
    for pair in some:
        ratio_c = log_prob_by_hand(peers[0], pair.chosen) - log_prob_by_hand(peers[1], pair.chosen)
        ratio_r = log_prob_by_hand(peers[0], pair.rejected) - log_prob_by_hand(peers[1], pair.rejected)
        margins.append(BETA * (ratio_c - ratio_r))
        losses.append(-math.log(1 / (1 + math.exp(-margins[-1]))))
    objective = Paired(adapted, torch.float32, adapter_settings("dpo"))
    chosen_B, rejected_B = rewards_of(objective, some)
    assert (chosen_B - rejected_B).tolist() == pytest.approx(margins, abs=1e-4)
    loss, figures = objective(collate(some, 3), 4)
    assert loss.item() == pytest.approx(sum(losses) / 4, abs=1e-4)
    assert figures[2] == sum(margin > 0 for margin in margins) / 4


def test_a_fresh_adapter_ties_and_a_tie_is_half_a_hit_in_the_history_too(model):
    """Ties counted as misses: the first step of every run said that all pairs were ranked wrong."""
    add_lora(model, LORA, seed=0)
    batch = collate(pairs(6), 3)
    assert Paired(model, torch.float32, adapter_settings("dpo"))(batch, 6)[1][2] == 0.5
    assert RewardModel(model)(batch, 6)[1] == 0.5


def test_dpo_gradient_pushes_by_beta_sigmoid_of_the_wrong_margin(adapted):
    """Rafailov et al., section 4: grad = -beta sigmoid(r_rejected - r_chosen) (grad log pi(c) - grad log pi(r))."""
    pair = pairs(1)[0]
    weight = lora_layers(adapted)["model.layers.0.self_attn.q_proj"].lora_B
    objective = Paired(adapted, torch.float32, adapter_settings("dpo"))
    loss, _ = objective(collate([pair], 3), 1)
    (found,) = torch.autograd.grad(loss, weight)
    chosen_B, rejected_B = rewards_of(objective, [pair])
    difference = response_log_probs(adapted, collate([pair.chosen], 3)) - response_log_probs(
        adapted, collate([pair.rejected], 3)
    )
    (direction,) = torch.autograd.grad(difference.sum(), weight)
    expected = -BETA * torch.sigmoid(rejected_B - chosen_B).item() * direction
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-3)


def test_kl_is_exact(adapted, peers):
    pair = pairs(1)[0]
    with torch.no_grad():
        policy, reference = (
            peer(torch.from_numpy(pair.chosen.ids)[None]).logits[0].double().log_softmax(-1) for peer in peers
        )
        expected = (policy.exp() * (policy - reference)).sum(-1)[:-1][pair.chosen.mask[1:]].sum().item()
    objective = Paired(adapted, torch.float32, adapter_settings("dpo"))
    found = torch.cat(rewards_of(objective, [pair]))
    ((loss, *rewards, total, positions),) = objective(collate([pair], 3)).tolist()
    assert loss == pytest.approx(objective(collate([pair], 3), 1)[0].item(), abs=1e-5)
    assert rewards == pytest.approx(found.tolist(), abs=1e-4)
    assert positions == pair.chosen.mask.sum()
    assert total == pytest.approx(expected, abs=1e-4)


def test_reward_model_equals_peft_sequence_classification(new_model, config, tmp_path):
    from peft import PeftModel
    from transformers import LlamaConfig, LlamaForSequenceClassification

    told = adapter_settings(schedule=schedule(6, 4, 1e-2, 1))
    adapt(job_of("reward", told, tmp_path), config, new_model, pairs(16), pairs(4, 100))
    judge = load_reward_model(new_model(), tmp_path)
    peer = LlamaForSequenceClassification(LlamaConfig(**config.to_hf(), num_labels=1)).eval()
    missing, unexpected = peer.load_state_dict(new_model().state_dict(), strict=False)
    assert missing == ["score.weight"] and not unexpected
    peer = PeftModel.from_pretrained(peer, tmp_path).eval()
    examples = [pair.chosen for pair in pairs(5)]
    batch = collate(examples, config.pad_id)
    with torch.no_grad():
        theirs = peer(batch.tokens_BT).logits[:, 0]
        one_by_one = [judge.rewards(collate([item], config.pad_id)).item() for item in examples]
        found = judge.rewards(batch)
    assert found.abs().max() > 1e-3
    torch.testing.assert_close(found, theirs, atol=1e-5, rtol=1e-5)
    assert found.tolist() == pytest.approx(one_by_one, abs=1e-5)


def test_bradley_terry_formula():
    chosen, rejected = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0])
    expected = [math.log(1 + math.exp(-0.5)), math.log(1 + math.exp(5.0))]
    assert bradley_terry(chosen, rejected).tolist() == pytest.approx(expected, abs=1e-6)
    by_margin = [math.log(1 + math.exp(0.5)), math.log(1 + math.exp(6.0))]
    assert bradley_terry(chosen, rejected, torch.tensor([1.0, 1.0])).tolist() == pytest.approx(by_margin, abs=1e-6)


def test_guessing_of_a_reward_model_counts_the_margins(model):
    """Pairs with margins cost a model that rates all alike more than log 2, and that is no divergence."""
    some = [replace(pair, value=3.0 * (number % 2)) for number, pair in enumerate(pairs(6))]
    told, objective = adapter_settings("reward"), RewardModel(model)
    chance = REWARD.chance(told, CONFIG.vocab_size, some)
    assert chance == pytest.approx((math.log(2) + math.log(1 + math.exp(3.0))) / 2)
    assert objective(collate(some, 3), 6)[0].item() == pytest.approx(chance, rel=1e-6)
    found = REWARD.evaluate(SingleEngine(objective, optimizer_of(schedule(1, 1, 1.0, 0))), some, 3)
    assert found["held_out_loss"] == pytest.approx(chance, rel=1e-6)


def test_a_fresh_reward_model_ties_and_a_tie_is_half_a_hit(model):
    engine = SingleEngine(RewardModel(model), optimizer_of(schedule(1, 1, 1.0, 0)))
    assert REWARD.evaluate(engine, pairs(6), 3)["held_out_accuracy"] == 0.5


STEPS = {"sft": 40, "reward": 60, "dpo": 40, "ipo": 40, "simpo": 40, "orpo": 40, "kto": 40}


def run(method: str, load: Callable[[], CausalLM], directory: Path) -> dict:
    directory.mkdir()
    told = adapter_settings(method, schedule=schedule(STEPS[method], 8, 1e-2, 2))
    training = items_of(method, 24 if method == "sft" else 200)
    validation = items_of(method, 8, 100) if method == "sft" else items_of(method, 40, 300)
    return adapt(job_of(method, told, directory), CONFIG, load, training, validation)


@pytest.mark.parametrize("method", STEPS)
def test_each_method_learns_and_two_runs_give_the_same_bytes(method, new_model, tmp_path):
    metrics = run(method, new_model, tmp_path / "one")
    run(method, new_model, tmp_path / "two")
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["adapter_config.json", "adapter_model.safetensors", NAME]
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    history = pl.read_parquet(tmp_path / "one" / NAME)
    assert history["step"].to_list() == list(range(1, STEPS[method] + 1))
    assert metrics["last_loss"] < metrics["first_loss"]
    if method == "sft":
        assert metrics["validation_loss"] < metrics["validation_loss_before"] - 0.1
    else:
        assert metrics["held_out_accuracy"] >= (0.65 if method in ("orpo", "kto") else 0.75)
        assert set(metrics["held_out_accuracy_by_kind"]) == {"even", "odd"}
    if method == "dpo":
        assert history["loss"][0] == pytest.approx(math.log(2), abs=1e-6)  # policy and reference are still one
        assert metrics["margin"] == pytest.approx(metrics["chosen_reward"] - metrics["rejected_reward"])
        assert metrics["kl_per_token"] > 0


def test_learning_rate_rises_and_falls():
    rates = [schedule(10, 1, 1.0, 3).factor(step) for step in range(1, 11)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:] == pytest.approx([6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7])


def test_bad_schedules_and_diverging_losses_are_named(new_model, tmp_path):
    with pytest.raises(InputError, match="warmup_steps: 2 is not less than steps: 2"):
        schedule(2, 1, 1.0, 2)

    def broken() -> CausalLM:
        model = new_model()
        model.model.norm.weight.data.fill_(float("nan"))
        return model

    with pytest.raises(InputError, match=r"sft diverged at step \d+: loss nan.*lower align.sft.schedule.learning_rate"):
        run("sft", broken, tmp_path / "x")


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_an_adapter_is_trained_on_the_grid_that_the_merged_model_is_quantized_to(method: str, tmp_path: Path) -> None:
    """Merged and rounded, its matrices are to the bit those that the last forward pass used, and it learned there."""
    grid = Grid(4, 8)
    settings = adapter_settings(method, grid=grid, schedule=schedule(12, 8, 1e-2, 2))
    (tmp_path / "adapter").mkdir()
    given = items_of(method, 40)
    metrics = adapt(job_of(method, settings, tmp_path / "adapter"), CONFIG, random_model, given, given[:10])
    assert metrics["last_loss"] < metrics["first_loss"]
    trained, merged = random_model(), random_model()
    load_adapter(put_on_grid(trained, grid), tmp_path / "adapter")
    load_adapter(merged, tmp_path / "adapter")
    merge_lora(merged)
    for name, layer in layers_to_quantize(merged).items():
        used = trained.get_submodule(name)
        weight = used.base.on_grid(used.merged()) if isinstance(used, LoraLinear) else used.on_grid(used.weight)
        assert torch.equal(weight, quantize_weight(layer.weight, 4, 8).dequantized()), name
        layer.weight.data = weight.detach()
    tokens_BT = torch.randint(8, 264, (2, 20), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(trained(tokens_BT), merged(tokens_BT))
