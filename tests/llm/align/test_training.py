"""SFT, reward and DPO against independent implementations (transformers' logits, formulas by hand), and end to end."""

import json
import math

import numpy as np
import pytest
import torch

from llm.align.batches import Example, Pair, collate
from llm.align.dpo import dpo, implicit_rewards, loss_and_rewards, rewards_and_divergence
from llm.align.likelihood import response_log_probs
from llm.align.loop import learning_rate
from llm.align.lora import add_lora, lora_layers
from llm.align.reward import RewardModel, bradley_terry, load_reward_model, loss_and_accuracy, reward
from llm.align.settings.adapter import AdapterSettings, LoraConfig, Schedule
from llm.align.settings.dpo import DpoSettings
from llm.align.sft import evaluate, response_loss, sft
from llm.errors import InputError

LORA = LoraConfig(r=4, alpha=8, target_modules=("q_proj", "v_proj", "down_proj"))
BETA = 0.3


def example(seed: int, prompt: int = 6, answer: int = 9, kind: str = "k") -> Example:
    random = np.random.Generator(np.random.PCG64(seed))
    answer += seed % 5
    ids = random.integers(8, 264, size=prompt + answer)
    ids[-1] = 2
    return Example(ids, np.arange(prompt + answer) >= prompt, kind)


def pairs(n: int, first: int = 0) -> list[Pair]:
    """Chosen answers are made of low ids, rejected ones of high ids: easy to tell apart."""
    result = []
    for seed in range(first, first + n):
        sides = [example(2 * seed), example(2 * seed + 1)]
        for side, low in zip(sides, (8, 136), strict=True):
            side.ids[:6] = sides[0].ids[:6]
            side.ids[6:-1] = low + side.ids[6:-1] % 128
        result.append(Pair(*sides, "even" if seed % 2 else "odd"))
    return result


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

    save_adapter(adapted, LORA, tmp_path, base="../../models/base")
    return PeftModel.from_pretrained(in_transformers(new_model()), tmp_path).eval(), in_transformers(new_model())


def test_log_probs_and_sft_loss_equal_the_formula(adapted, peers):
    examples = [example(seed) for seed in range(5)]
    expected = [log_prob_by_hand(peers[0], item) for item in examples]
    found = response_log_probs(adapted, collate(examples, 3))
    torch.testing.assert_close(found.double(), torch.tensor(expected).double(), atol=1e-4, rtol=1e-5)
    tokens = sum(int(item.mask.sum()) for item in examples)
    assert response_loss(adapted, examples).item() == pytest.approx(-sum(expected) / tokens, abs=1e-5)
    assert evaluate(adapted, examples, dtype="float32")[0] == pytest.approx(-sum(expected) / tokens, abs=1e-5)


def test_sft_loss_equals_transformers_own_loss(adapted, peers):
    """transformers computes the shifted loss itself from labels, -100 where nothing is to be learned."""
    batch = collate([example(seed) for seed in range(4)], 3)
    labels = torch.where(batch.mask_BT, batch.tokens_BT, -100)
    with torch.no_grad():
        theirs = peers[0](batch.tokens_BT, labels=labels).loss.item()
    assert response_loss(adapted, [example(seed) for seed in range(4)]).item() == pytest.approx(theirs, abs=1e-5)


def test_prompt_and_padding_do_not_enter_the_loss(model):
    short, long = example(0, answer=4), example(4, answer=30)
    alone = response_log_probs(model, collate([short], 3))
    together = response_log_probs(model, collate([short, long], 3))
    torch.testing.assert_close(alone[0], together[0], atol=1e-5, rtol=1e-5)


def test_dpo_loss_equals_the_formula(adapted, peers):
    some = pairs(4)
    losses, margins = [], []
    for pair in some:
        ratio_c = log_prob_by_hand(peers[0], pair.chosen) - log_prob_by_hand(peers[1], pair.chosen)
        ratio_r = log_prob_by_hand(peers[0], pair.rejected) - log_prob_by_hand(peers[1], pair.rejected)
        margins.append(BETA * (ratio_c - ratio_r))
        losses.append(-math.log(1 / (1 + math.exp(-margins[-1]))))
    chosen_B, rejected_B = implicit_rewards(adapted, some, BETA)
    assert (chosen_B - rejected_B).tolist() == pytest.approx(margins, abs=1e-4)
    loss, extras = loss_and_rewards(adapted, some, BETA)
    assert loss.item() == pytest.approx(sum(losses) / 4, abs=1e-4)
    assert extras["accuracy"] == sum(margin > 0 for margin in margins) / 4


def test_a_fresh_adapter_ties_and_a_tie_is_half_a_hit_in_the_history_too(model):
    """Ties counted as misses: the first step of every run said that all pairs were ranked wrong."""
    add_lora(model, LORA, seed=0)
    assert loss_and_rewards(model, pairs(6), BETA)[1]["accuracy"] == 0.5
    assert loss_and_accuracy(RewardModel(model), pairs(6))[1]["accuracy"] == 0.5


def test_dpo_gradient_pushes_by_beta_sigmoid_of_the_wrong_margin(adapted):
    """Rafailov et al., section 4: grad = -beta sigmoid(r_rejected - r_chosen) (grad log pi(c) - grad log pi(r))."""
    pair = pairs(1)[0]
    weight = lora_layers(adapted)["model.layers.0.self_attn.q_proj"].lora_B
    loss, _ = loss_and_rewards(adapted, [pair], BETA)
    (found,) = torch.autograd.grad(loss, weight)
    chosen_B, rejected_B = implicit_rewards(adapted, [pair], BETA)
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
        found = implicit_rewards(adapted, [pair], BETA)
        *rewards, total, positions = rewards_and_divergence(adapted, [pair], BETA)
    torch.testing.assert_close(torch.cat(rewards), torch.cat(found), atol=1e-4, rtol=1e-4)
    assert positions == pair.chosen.mask.sum()
    assert total == pytest.approx(expected, abs=1e-4)


def test_reward_model_equals_peft_sequence_classification(new_model, config, tmp_path):
    from peft import PeftModel
    from transformers import LlamaConfig, LlamaForSequenceClassification

    reward(
        new_model(),
        pairs(16),
        pairs(4, 100),
        tmp_path,
        base="../../models/sft",
        settings=AdapterSettings(lora=LORA, schedule=schedule(6, 4, 1e-2, 1), seed=0, dtype="float32"),
    )
    judge = load_reward_model(new_model(), tmp_path)
    peer = LlamaForSequenceClassification(LlamaConfig(**config.to_hf(), num_labels=1)).eval()
    missing, unexpected = peer.load_state_dict(new_model().state_dict(), strict=False)
    assert missing == ["score.weight"] and not unexpected
    peer = PeftModel.from_pretrained(peer, tmp_path).eval()
    examples = [pair.chosen for pair in pairs(5)]
    batch = collate(examples, config.pad_id)
    with torch.no_grad():
        theirs = peer(batch.tokens_BT).logits[:, 0]
        one_by_one = [judge(collate([item], config.pad_id)).item() for item in examples]
        found = judge(batch)
    assert found.abs().max() > 1e-3
    torch.testing.assert_close(found, theirs, atol=1e-5, rtol=1e-5)
    assert found.tolist() == pytest.approx(one_by_one, abs=1e-5)


def test_bradley_terry_formula():
    chosen, rejected = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0])
    expected = (math.log(1 + math.exp(-0.5)) + math.log(1 + math.exp(5.0))) / 2
    assert bradley_terry(chosen, rejected).item() == pytest.approx(expected, abs=1e-6)


def test_a_fresh_reward_model_ties_and_a_tie_is_half_a_hit(model):
    from llm.align.reward import evaluate as evaluate_reward

    assert evaluate_reward(RewardModel(model), pairs(6), dtype="float32")["held_out_accuracy"] == 0.5


def schedule(steps: int, batch_size: int, learning_rate: float, warmup_steps: int) -> Schedule:
    return Schedule(steps=steps, batch_size=batch_size, learning_rate=learning_rate, warmup_steps=warmup_steps)


STEPS = {"sft": 40, "reward": 60, "dpo": 40}


def run(method: str, model, directory) -> dict:
    directory.mkdir()
    keys = {"lora": LORA, "schedule": schedule(STEPS[method], 8, 1e-2, 2), "seed": 1, "dtype": "float32"}
    told = DpoSettings(beta=BETA, **keys) if method == "dpo" else AdapterSettings(**keys)
    common = {"base": "../../models/base", "settings": told}
    if method == "sft":
        data = [pair.chosen for pair in pairs(24)], [pair.chosen for pair in pairs(8, 100)]
        return sft(model, *data, directory, **common)
    train = {"reward": reward, "dpo": dpo}[method]
    return train(model, pairs(200), pairs(40, 300), directory, **common)


@pytest.mark.parametrize("method", ["sft", "reward", "dpo"])
def test_each_method_learns_and_two_runs_give_the_same_bytes(method, new_model, tmp_path):
    metrics = run(method, new_model(), tmp_path / "one")
    run(method, new_model(), tmp_path / "two")
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["adapter_config.json", "adapter_model.safetensors", "history.jsonl"]
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    history = [json.loads(line) for line in (tmp_path / "one" / "history.jsonl").read_text().splitlines()]
    assert [row["step"] for row in history] == list(range(STEPS[method]))
    assert metrics["last_loss"] < metrics["first_loss"]
    if method == "sft":
        assert metrics["validation_loss_after"] < metrics["validation_loss_before"] - 0.1
    else:
        assert metrics["held_out_accuracy"] >= 0.75 and set(metrics["held_out_accuracy_by_kind"]) == {"even", "odd"}
    if method == "dpo":
        assert history[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)  # policy and reference are still one
        assert metrics["margin"] == pytest.approx(metrics["chosen_reward"] - metrics["rejected_reward"])
        assert metrics["kl_per_token"] > 0


def test_learning_rate_rises_and_falls():
    rates = [learning_rate(schedule(10, 1, 1.0, 3), step) for step in range(10)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:] == pytest.approx([6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7])


def test_bad_schedules_and_diverging_losses_are_named(new_model, tmp_path):
    with pytest.raises(InputError, match="warmup_steps: 2 is not less than steps: 2"):
        schedule(2, 1, 1.0, 2)
    broken = new_model()
    broken.model.norm.weight.data.fill_(float("nan"))
    with pytest.raises(InputError, match="sft: the loss is nan at step 0"):
        run("sft", broken, tmp_path / "x")
