"""GGUF files made elsewhere come in and compute the same; what cannot be imported is refused in one line."""

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from llm.errors import InputError
from llm.model.directory import load_model
from llm.package.importing.settings import ImportSettings
from llm.tokenize.open import open_tokenizer
from scripts.package.import_model import main

TOKENS = ["<|s|>", "<|e|>", *(chr(i) for i in range(0x21, 0x7F)), "Ġ", "Ċ", "li", "st", "list"]
SMALL = {"d_model": 64, "n_layers": 1, "n_heads": 4, "n_kv_heads": 2, "d_ff": 96, "context_length": 64}


def imported(file: Path) -> Path:
    result = file.parent / "imported"
    result.mkdir()
    settings = ImportSettings(license="MIT", origin="path:test", expected=SMALL, vocab_size=len(TOKENS))
    main(file, result, settings=settings)
    return result


def q4_1_gguf(path: Path, tokens: list[str]) -> dict[str, np.ndarray]:
    """Write a small llama by the gguf package alone, its matrices Q4_1 and Q8_0; return what they dequantize to."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(64)
    writer.add_block_count(1)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(1e4)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in tokens])
    writer.add_token_merges(["l i", "s t", "li st"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_chat_template("{{ messages[0]['content'] }}")
    random, kept = np.random.default_rng(0), {}
    shapes = {"token_embd": (len(tokens), 64), "output_norm": (64,), "blk.0.attn_norm": (64,), "blk.0.ffn_norm": (64,),
              "blk.0.attn_q": (64, 64), "blk.0.attn_k": (32, 64), "blk.0.attn_v": (32, 64), "blk.0.ffn_up": (96, 64),
              "blk.0.attn_output": (64, 64), "blk.0.ffn_gate": (96, 64), "blk.0.ffn_down": (64, 96)}  # fmt: skip
    for name, shape in shapes.items():
        value = random.normal(size=shape).astype(np.float32)
        if len(shape) == 1:
            writer.add_tensor(f"{name}.weight", value)
            kept[name] = value
            continue
        kind = gguf.GGMLQuantizationType.Q8_0 if name == "token_embd" else gguf.GGMLQuantizationType.Q4_1
        packed = gguf.quants.quantize(value, kind)
        writer.add_tensor(f"{name}.weight", packed, raw_dtype=kind)
        kept[name] = gguf.quants.dequantize(packed, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return kept


def test_a_gguf_is_dequantized_and_turned(tmp_path: Path) -> None:
    kept = q4_1_gguf(tmp_path / "model.gguf", TOKENS)
    result = imported(tmp_path / "model.gguf")
    weights = load_model(result).state_dict()
    assert torch.equal(weights["model.layers.0.mlp.down_proj.weight"], torch.from_numpy(kept["blk.0.ffn_down"]))
    # Of each head the file has pairs side by side: rows 0, 1 of it are rows 0 and 8 here.
    query = weights["model.layers.0.self_attn.q_proj.weight"]
    assert torch.equal(query[[0, 8, 1, 9]], torch.from_numpy(kept["blk.0.attn_q"][:4]))
    tokenizer = open_tokenizer(result)
    words = ["list", "Ġ", "1", "2", "<", "|", "e", "|", ">"]
    assert tokenizer.encode("list 12<|e|>") == [TOKENS.index(word) for word in words]
    assert "Q4_1" in (result / "README.md").read_text()


MANY = (2**40).to_bytes(8, "little")


def longer(data: bytes, key: bytes) -> bytes:
    """A file whose list of this key claims to go on for ever: behind the key stand two types, then the number."""
    place = data.index(key) + len(key) + 8
    return data[:place] + MANY + data[place + 8 :]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data[:-1000], "not a whole GGUF file"),
        (lambda data: data[:300], "not a whole GGUF file"),
        (lambda data: data.replace(b"\x05\x00\x00\x00\x00\x00\x00\x00llama", b"\x05\x00\x00\x00\x00\x00\x00\x00mamba"),
         "architecture 'mamba' is not supported"),
        (lambda data: data.replace(b"smollm", b"smellm"), "tokenizer.ggml.pre 'smellm' is not one of"),
        (lambda data: data[:8] + MANY + data[16:], "not a whole GGUF file .it states"),
        (lambda data: data[:16] + MANY + data[24:], "not a whole GGUF file .it states"),
        (lambda data: longer(data, b"tokenizer.ggml.tokens"), "not a whole GGUF file .a list of"),
        (lambda data: longer(data, b"tokenizer.ggml.token_type"), "not a whole GGUF file .*beyond its end"),
        (lambda data: data.replace(b"tokenizer.ggml.tokens\x09", b"tokenizer.ggml.tokens\x63"), "type 99 of a value"),
        (lambda data: data.replace(b"li st", b"li?st"), "tokenizer.ggml.merges: 'li.st' joins no two tokens"),
        (lambda data: data.replace(b"GGUF", b"GUFF", 1), "neither a GGUF file nor a zip"),
    ],
)  # fmt: skip
def test_damaged_ggufs_are_refused_in_one_line(tmp_path: Path, damage: Callable[[bytes], bytes], words: str) -> None:
    path = tmp_path / "model.gguf"
    q4_1_gguf(path, TOKENS)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=words) as caught:
        imported(path)
    assert "\n" not in str(caught.value)
