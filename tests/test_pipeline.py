"""The whole road on presets/tiny.yaml, by the real Snakemake: golden digests, two builds, kill -9, store, tools.

Golden digests stand in tests/golden.json; `python -m tests.golden DIRECTORY` writes them from a build.
"""

import json
import random
import re
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
from safetensors.torch import load_file

from llm.deploy.serve.repetition import repeated_share
from stemma.code import numeric
from tests import fork_server
from tests.browser import CHROMIUM, SIZES, THEMES, examine
from tests.build import build, command
from tests.golden import GOLDEN, ROOT, digests, is_trained
from tests.stemma.conftest import jobs


def test_golden_digests(tiny):
    """Up to token shards and config.json on every machine; trained artifacts too, in the class `portable`."""
    golden = json.loads(GOLDEN.read_text())
    found = digests(tiny)
    assert found.keys() == golden["sha256"].keys()
    wrong = sorted(name for name, sha256 in found.items() if sha256 != golden["sha256"][name])
    exact = [name for name in wrong if not is_trained(name)]
    assert not exact, "no processor changes these bytes: the change meant them to differ, or broke something"
    if wrong and numeric.instruction_set() != golden["processor"]:
        pytest.skip(
            f"trained artifacts differ from the golden ones, first {wrong[0]}: this processor "
            f"({numeric.instruction_set()}) is not the one they were made on ({golden['processor']})"
        )
    assert not wrong, "trained artifacts changed on the processor of the golden digests"


def test_all_of_it_verifies(tiny):
    done = subprocess.run(
        [sys.executable, "-m", "stemma", "verify", "--json"], cwd=tiny, capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)
    assert (found["verified"], found["faults"], found["stale"]) == (True, [], [])
    assert found["artifacts"] == len(digests(tiny))


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to open the page with")
@pytest.mark.parametrize(
    ("theme", "width"),
    [(THEMES[0], SIZES[0]), pytest.param(THEMES[1], SIZES[1], marks=pytest.mark.thorough)],
)
def test_report_in_a_browser(tiny, theme, width):
    """Every block opens by mouse and by keyboard, the console is silent, nothing overflows, contrast is enough."""
    assert examine(tiny / "results/report/index.html", theme, width) >= 30


def test_the_report_shows_all_of_alignment(tiny):
    """Each of the poster's four blocks, with figures, a curve and samples of this run; nothing that no block names."""
    page = (tiny / "results/report/index.html").read_text()
    stage = page.partition('id="align"')[2].partition("</section>")[0]
    begin = '<details class="block'
    blocks = dict(re.findall(rf'{begin}[^>]*data-title="([^"]*)"(.*?)(?={begin}|$)', stage, re.S))
    sft, reward, policies, constitutional = blocks
    assert (sft, reward) == ("Supervised Fine-Tuning (SFT)", "Reward Model Training")
    assert (policies, constitutional) == ("RLHF / DPO", "Constitutional AI (CAI)")
    for title, block in blocks.items():
        assert "not part of this run" not in block, title
        assert block.count('class="figure"') == 4, title
        assert 'class="samples"' in block and "Loss" in block and "<polyline" in block, title
    for title in ("Reward of answers: ppo", "Reward of answers: grpo", "Rollouts", "Before and after each method"):
        assert title in blocks[policies], title
    for title in ("Loss: dpo-checkable", "Answers to held-out prompts", "Critiques", "Preferences"):
        assert title in blocks[constitutional], title


def test_no_answer_goes_round_in_circles(tiny):
    """Of the prompts and the sampling of the default config: "University of University of ..." into the limit."""
    answers = json.loads((tiny / "results/serve/answers.json").read_text())
    assert len(answers) == 4
    assert max(repeated_share(row["answer"].split(), 3) for row in answers) < 0.1, answers


def test_the_token_that_texts_begin_with_is_trained(tiny):
    """Pretraining never saw [BOS]: its vector moved as [PAD]'s did, and `generate()` begins there."""
    vectors = load_file(tiny / "results/models/base/model.safetensors")["model.embed_tokens.weight"]
    config = json.loads((tiny / "results/models/base/config.json").read_text())
    bos, pad, mask = vectors[config["bos_token_id"]], vectors[config["pad_token_id"]], vectors[4]
    assert (bos - pad).norm() > 3 * (mask - pad).norm()


def test_second_run_does_nothing(tiny):
    done = build(tiny)
    assert jobs(done) == []
    assert "Nothing to be done" in done.stderr


@pytest.mark.thorough
def test_killed_again_and_again_then_equal(tiny, tmp_path):
    """Another directory, kill -9 at random moments, the same command again: the same bytes."""
    chance = random.Random(1)
    for _ in range(3):
        process = subprocess.Popen(command(tmp_path), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(chance.uniform(4, 16))
        process.send_signal(signal.SIGKILL)
        process.wait()
    build(tmp_path)
    assert digests(tmp_path) == digests(tiny)


@pytest.mark.thorough
def test_rebuild_from_nothing_is_equal(tiny):
    """The engine's own check: a clean directory, an empty store, every ancestor of the last artifact built again."""
    done = subprocess.run(
        [sys.executable, "-m", "stemma", "rebuild", "results/serve/answers.json", "results/quantized/int8"],
        cwd=tiny, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith(" artifacts built again, all equal")


def test_prompts_with_braces_are_answered(tiny):
    """They reach the answers as they were written. Nothing but the answers is built for them."""
    prompts = ["{x}", "{{x}}", "set {1,2}", 'it\'s $HOME `id` 100% "größer"\n']
    serve = json.dumps({"prompts": prompts}, ensure_ascii=False)
    done = build(tiny, "--config", f"serve={serve}", "--", "results/serve/answers.json")
    assert jobs(done) == [("generate", "run")]
    assert [row["prompt"] for row in json.loads((tiny / "results/serve/answers.json").read_text())] == prompts
    assert ("generate", "hit") in jobs(build(tiny))


@pytest.mark.thorough
def test_methods_learn_by_the_reward_model_and_from_ones_own_data_and_functions(tiny, tmp_path):
    """In the sandbox of the rule: the functions' file and the data are inputs, so an edit of them is a build."""
    for name in ("prompts", "pairs"):
        (tmp_path / name).mkdir()
    for split, numbers in (("train", range(12)), ("validation", range(12, 16))):
        rows = [{"prompt": f"{n} + {n}?", "answer": str(n + n)} for n in numbers]
        (tmp_path / f"prompts/{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        pairs = [{"prompt": f"{n} + {n}?", "chosen": str(n + n), "rejected": "none"} for n in numbers]
        (tmp_path / f"pairs/{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs))
    functions = tmp_path / "own.py"
    functions.write_text("def close(prompt, answer, row):\n    return -abs(len(answer) - len(row['answer']))\n")
    schedule = {"steps": 2, "batch_size": 2, "learning_rate": 0.001, "warmup_steps": 1}
    common = {"schedule": schedule, "samples": 2, "max_new_tokens": 8, "held_out": 2, "normalising_prompts": 4}
    own = common | {"prompts": str(tmp_path / "prompts"), "functions": str(functions), "rewards": {"close": 1.0}}
    store = {"store": str(tiny / "results/.store")}  # what the policies begin with is there
    overlay = tmp_path / "overlay.json"
    align = {"grpo": own, "ppo": common, "ipo": {"data": str(tmp_path / "pairs"), "schedule": schedule}}
    align |= {"given": {"mine": {"source": "mine", "include": ["*.jsonl"], "held_out": 0.3}}}
    align |= {"kto": {"data": "mine", "schedule": schedule}}
    source = {"path": str(tmp_path / "pairs"), "format": "text", "include": ["*"], "domain": "x", "license": "own"}
    overlay.write_text(json.dumps(store | {"align": align, "sources": {"mine": source}}))
    given = ("--configfile", str(ROOT / "presets/tiny.yaml"), str(overlay))
    targets = [f"results/align/{name}/manifest.json" for name in ("grpo", "ppo", "ipo", "kto")]
    targets.append("results/models/ppo/manifest.json")

    def ran() -> list[str]:
        return sorted(rule for rule, how in jobs(build(tmp_path, *given, "--", *targets)) if how == "run")

    assert ran() == ["given", "kto", "merge", "paired", "policy", "policy"]
    asked = [
        {json.loads(line)["prompt"] for line in (tmp_path / f"results/align/given-mine/{split}.jsonl").open()}
        for split in ("train", "validation")
    ]
    assert len(asked[0] | asked[1]) == 16 and not asked[0] & asked[1]
    kept = pl.read_parquet(tmp_path / "results/align/grpo/rollouts.parquet")
    assert set(kept["prompt"]) <= {f"{n} + {n}?" for n in range(12)} and (kept["reward_close"] <= 0).all()
    columns = pl.read_parquet(tmp_path / "results/align/ppo/rollouts.parquet").columns
    assert {"reward_reward_model", "values"} <= set(columns)
    functions.write_text(functions.read_text() + "    # otherwise\n")
    assert ran() == ["policy"]
    with (tmp_path / "pairs/train.jsonl").open("a") as file:
        file.write(json.dumps({"prompt": "And?", "chosen": "So.", "rejected": "No."}) + "\n")
    assert ran() == ["given", "kto", "paired"]
    functions.write_text("def close(prompt, answer, row):\n    return row['points']\n")
    done = fork_server.run(command(tmp_path, *given, "--", targets[0]), ROOT)
    assert done.returncode != 0
    assert "reward close, of the answer" in done.stderr and "KeyError: 'points'" in done.stderr


def test_results_come_back_from_the_store(tiny):
    before = digests(tiny)
    for path in (tiny / "results").iterdir():
        if path.name != ".store":
            subprocess.run(["rm", "-r", path], check=True)
    assert {how for _, how in jobs(build(tiny))} == {"hit"}
    assert digests(tiny) == before


def test_transformers_and_peft_load_what_came_out(tiny):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from llm.model.directory import load_model

    models = tiny / "results/models"
    tokenizer = AutoTokenizer.from_pretrained(models / "dpo")
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is an algorithm?"}], add_generation_prompt=True, return_tensors="pt",
        return_dict=False,
    )  # fmt: skip
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(models / "dpo", dtype=torch.float32)(ids).logits
        torch.testing.assert_close(load_model(models / "dpo")(ids), theirs, rtol=1e-5, atol=1e-5)
        base = AutoModelForCausalLM.from_pretrained(models / "sft", dtype=torch.float32)
        adapted = PeftModel.from_pretrained(base, tiny / "results/align/dpo")(ids).logits
    torch.testing.assert_close(adapted, theirs, rtol=1e-4, atol=1e-4)


def test_no_near_duplicate_of_validation_in_training(tiny):
    """Exact Jaccard similarity of all pairs across the split, by brute force over shared shingles."""
    import polars as pl

    def shingles(text: str) -> frozenset:
        words = text.lower().split()
        return frozenset(zip(*(words[i:] for i in range(5)), strict=False))

    table = pl.concat([pl.read_parquet(f) for f in sorted((tiny / "results/clean").glob("*/part-*.parquet"))])
    train = [shingles(text) for text in table.filter(pl.col("split") == "train")["text"]]
    holders: dict[tuple, list[int]] = {}
    for number, found in enumerate(train):
        for shingle in found:
            holders.setdefault(shingle, []).append(number)
    validation = [shingles(text) for text in table.filter(pl.col("split") == "validation")["text"]]
    assert validation
    for found in validation:
        near = {number for shingle in found for number in holders.get(shingle, ())}
        for number in near:
            assert len(found & train[number]) / len(found | train[number]) < 0.85
