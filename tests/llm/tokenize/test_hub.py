"""Tokenizers made elsewhere: ids as the library gives them, control tokens that no text spells, chat templates."""

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken, models, pre_tokenizers
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.decoders import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import AutoTokenizer

from llm.errors import InputError
from llm.tokenize.chat import encode_chat
from llm.tokenize.encoder import encoder_of
from llm.tokenize.hub import HubTokenizer
from llm.tokenize.load import Tokenizer
from llm.tokenize.open import check_fits, open_tokenizer

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TRIMMING = (  # Llama 3's
    "{{ '<|begin|>' }}{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n\n' + "
    "message['content'] | trim + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n\n' }}{% endif %}"
)
MARKING = (  # with the tags that transformers adds to Jinja's
    "{% for message in messages %}{% if loop.index > 9 %}{% break %}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TALK = [
    {"role": "user", "content": "What is it? 12"},
    {"role": "assistant", "content": " A list\nof steps. "},
    {"role": "user", "content": "\n\nand then?"},
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A byte-level BPE tokenizer as the Hub has them."""
    fast = FastTokenizer(models.BPE())
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = ByteLevel()
    trainer = BpeTrainer(vocab_size=400, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    fast.train_from_iterator(["a list of steps, and then another list of steps"] * 20, trainer)
    fast.add_special_tokens([AddedToken(token, special=True) for token in ("<|begin|>", "<|im_start|>", "<|im_end|>")])
    fast.save(str(tmp_path / "tokenizer.json"))
    write_settings(tmp_path)
    return tmp_path


def write_settings(directory: Path, **changes: object) -> None:
    settings = {
        "bos_token": {"__type": "AddedToken", "content": "<|begin|>"},
        "eos_token": "<|im_end|>",
        "chat_template": CHATML,
    }
    settings |= {"tokenizer_class": "PreTrainedTokenizerFast"} | changes
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))


def test_the_ids_are_the_library_s(directory: Path) -> None:
    ours, theirs = open_tokenizer(directory), AutoTokenizer.from_pretrained(directory)
    assert isinstance(ours, HubTokenizer)
    for text in ("a list of steps", "  two\n\nlines \x00", "naïve 日本", ""):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False)
        assert ours.decode(ours.encode(text)) == text
    assert (ours.bos, ours.eos, ours.pad) == (ours.ids["<|begin|>"], ours.ids["<|im_end|>"], ours.ids["<|im_end|>"])
    assert ours.vocab_size == len(theirs)


def test_no_text_spells_a_control_token(directory: Path) -> None:
    ours = open_tokenizer(directory)
    ids = ours.encode("say <|im_end|> now")
    assert ours.eos not in ids
    assert ours.decode(ids) == "say <|im_end|> now"
    asked, _ = encode_chat(ours, [{"role": "user", "content": "say <|im_end|> now"}])
    assert asked.count(ours.eos) == 1


@pytest.mark.parametrize("template", [CHATML, TRIMMING, MARKING])
@pytest.mark.parametrize("prompted", [False, True])
def test_a_conversation_has_the_ids_that_transformers_gives(directory: Path, template: str, prompted: bool) -> None:
    write_settings(directory, chat_template=template)
    ours, theirs = open_tokenizer(directory), AutoTokenizer.from_pretrained(directory)
    ids, mask = encode_chat(ours, TALK, add_generation_prompt=prompted)
    assert ids == theirs.apply_chat_template(TALK, add_generation_prompt=prompted, return_dict=False)
    taught = theirs.decode([i for i, bit in zip(ids, mask, strict=True) if bit])
    assert taught.strip().removesuffix("<|im_end|>").strip() == "A list\nof steps."
    assert taught.endswith("<|im_end|>")


def test_corpora_are_encoded_alike(directory: Path) -> None:
    ours = open_tokenizer(directory)
    encoder, texts = encoder_of(ours, 2), ["a list", "", "of steps <|im_end|>"]
    ids, lengths = encoder.encode(*encoder.utf8(texts), ours.bos, ours.eos)
    assert ids.tolist() == [i for text in texts for i in [ours.bos, *ours.encode(text), ours.eos]]
    assert np.array_equal(lengths, [len(ours.encode(text)) + 2 for text in texts])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"eos_token": None}, "no eos_token"),
        ({"eos_token": "<end>"}, "has no '<end>', the eos_token"),
    ],
)
def test_parts_that_do_not_fit_are_refused(directory: Path, changes: dict, words: str) -> None:
    write_settings(directory, **changes)
    with pytest.raises(InputError, match=words):
        open_tokenizer(directory)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (None, "no chat template"),
        ("{% for", "not valid Jinja"),
        ("{{ raise_exception('roles must alternate') }}", "refuses the conversation: roles must alternate"),
        ("{{ messages + 'x' }}", "refuses the conversation: can only concatenate list"),
        ("{% for message in messages %}{{ message['content'] | upper }}{% endfor %}", "changes what a message says"),
    ],
)
def test_templates_that_cannot_be_used_are_refused(directory: Path, template: str | None, words: str) -> None:
    write_settings(directory, chat_template=template)
    with pytest.raises(InputError, match=words):
        encode_chat(open_tokenizer(directory), TALK)


def test_broken_files_are_refused(directory: Path) -> None:
    (directory / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="not a tokenizer that `tokenizers` reads"):
        open_tokenizer(directory)
    (directory / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"tokenizer\.json is missing"):
        open_tokenizer(directory)


def test_a_vocabulary_beyond_the_embedding_is_refused(directory: Path, tokenizer_files: dict[str, Path]) -> None:
    ours = open_tokenizer(directory)
    check_fits(ours, ours.vocab_size + 64, directory)  # padded rows
    with pytest.raises(InputError, match=f"{ours.vocab_size} tokens, the model 10"):
        check_fits(ours, 10, directory)
    own = open_tokenizer(tokenizer_files["model"].parent)
    assert isinstance(own, Tokenizer)
    with pytest.raises(InputError, match="do not belong together"):
        check_fits(own, own.vocab_size + 64, directory)
