"""Stage 3 from clean shards to the n-gram baseline, script by script."""

import json
import sysconfig
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from llm.errors import InputError
from llm.tokenize.documents import planned_texts, split_batches
from llm.tokenize.indexed import IndexedTokens
from llm.tokenize.load import Tokenizer
from llm.tokenize.settings import Sample, TokenizerSettings
from scripts.pretrain.ngram_baseline import main as ngram_baseline
from scripts.tokenize.encode import main as encode
from scripts.tokenize.fertility import main as fertility
from scripts.tokenize.mix_tokens import main as mix_tokens
from scripts.tokenize.token_shards import main as token_shards
from scripts.tokenize.tokenizer import main as tokenizer

NAMES = {
    "model": "tokenizer.model",
    "vocab": "vocab.json",
    "merges": "merges.txt",
    "tokenizer": "tokenizer.json",
    "tokenizer_config": "tokenizer_config.json",
}
EXTRA = ["", "[EOS] <|user|>", "▁ literal", "日本語 😀", "\0"]  # among the texts of the code source


def write_source(clean: Path, source: str, domain: str, texts: list[str], shards: int) -> None:
    frame = pl.DataFrame(
        {
            "id": [f"{source}/{i:08d}" for i in range(len(texts))],
            "text": texts,
            "source": source,
            "domain": domain,
            "split": ["validation" if i % 7 == 3 else "train" for i in range(len(texts))],
            "n_bytes": [len(text.encode()) for text in texts],
        }
    )
    (clean / source).mkdir(parents=True)
    size = -(-len(texts) // shards)
    for shard in range(shards):
        frame[shard * size : (shard + 1) * size].write_parquet(clean / source / f"part-{shard:05d}.parquet")
    pl.DataFrame({"id": ["x"], "reason": ["short"]}).write_parquet(clean / source / "dropped.parquet")


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = tmp_path_factory.mktemp("clean")
    library = Path(sysconfig.get_paths()["stdlib"])
    code = [(library / name).read_text(encoding="utf-8") for name in ("csv.py", "bisect.py", "calendar.py", "ast.py")]
    paragraphs = [part for text in code for part in text.split("\n\n")]
    write_source(result, "code", "code", EXTRA + paragraphs, shards=3)
    prose = [" ".join(f"{word} of {word[::-1]}" for word in part.split()[:60]) for part in paragraphs[:80]]
    write_source(result, "prose", "books", prose, shards=1)
    return result


@pytest.fixture(scope="session")
def plan(clean: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        (directory.name, i, len(text.encode()))
        for directory in sorted(clean.iterdir())
        for i, text in enumerate(text for batch in split_batches(directory, "train") for text in batch)
    ]
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(rows)).tolist()
    order += order[:5]  # a second use
    path = tmp_path_factory.mktemp("mix") / "plan.parquet"
    schema = {"source": pl.String, "document": pl.UInt32, "bytes": pl.UInt32}
    frame = pl.DataFrame([rows[i] for i in order], schema=schema, orient="row")
    frame.write_parquet(path)
    return path


def trained(clean: Path, plan: Path, target: Path, **options: object) -> dict:
    paths = {name: target / file for name, file in NAMES.items()}
    told = TokenizerSettings(**{"vocab_size": 600, "sample_bytes": 10**6} | options)
    return tokenizer(clean, plan, **paths, settings=told)


@pytest.fixture(scope="session")
def model(clean: Path, plan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("tokenizer")
    metrics = trained(clean, plan, target)
    assert metrics["vocab_size"] == 600
    assert 1.5 < metrics["bytes_per_token"] < 6
    return target / "tokenizer.model"


@pytest.fixture(scope="session")
def tokens(clean: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = tmp_path_factory.mktemp("tokens")
    for source in ("code", "prose"):
        (result / source).mkdir()
        encode(clean / source, model, result / source, source=source)
    return result


def test_same_files_again(clean: Path, plan: Path, model: Path, tmp_path: Path) -> None:
    trained(clean, plan, tmp_path)
    for name in NAMES.values():
        assert (tmp_path / name).read_bytes() == (model.parent / name).read_bytes(), name


def test_shards_hold_the_documents_in_order(clean: Path, model: Path, tokens: Path) -> None:
    tool = Tokenizer(model)
    for source in ("code", "prose"):
        frame = pl.concat([pl.read_parquet(part) for part in sorted((clean / source).glob("part-*.parquet"))])
        meta = json.loads((tokens / source / "meta.json").read_text())
        assert (meta["source"], meta["domain"]) == (source, frame["domain"][0])
        for split in ("train", "validation"):
            texts = frame.filter(pl.col("split") == split)["text"].to_list()
            shard = IndexedTokens(tokens / source / split)
            assert [document.tolist() for document in shard] == [
                [tool.bos, *tool.encode(text), tool.eos] for text in texts
            ]
            assert meta[split] == {
                "documents": len(texts),
                "bytes": sum(len(text.encode()) for text in texts),
                "tokens": len(shard.tokens),
            }
            assert all((document[1:-1] > 7).all() for document in shard), "a control id inside a document"


def test_shards_do_not_depend_on_threads_or_batches(
    clean: Path, model: Path, tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    encode(clean / "code", model, tmp_path, source="code")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "meta.json", "train.bin", "train.idx", "validation.bin", "validation.idx",
    ]  # fmt: skip
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (tokens / "code" / path.name).read_bytes()
    whole = [text for batch in split_batches(clean / "code", "train") for text in batch]
    assert [text for batch in split_batches(clean / "code", "train", 50) for text in batch] == whole


def test_token_shards(tokens: Path, tmp_path: Path) -> None:
    metrics = token_shards([tokens / "code", tokens / "prose"], tmp_path)
    for path in tokens.rglob("*.*"):
        assert (tmp_path / path.relative_to(tokens)).read_bytes() == path.read_bytes()
    train = metrics["train"]
    assert sorted(train) == ["all", "books", "code"]
    assert train["all"]["tokens"] == train["books"]["tokens"] + train["code"]["tokens"] > 0
    assert train["all"]["bytes_per_token"] == train["all"]["bytes"] / train["all"]["tokens"]
    json.dumps(metrics)


def test_mix_in_tokens(tokens: Path, plan: Path, tmp_path: Path) -> None:
    asked = {"code": {"asked_share": 0.7}, "books": {"asked_share": 0.3}, "web": {"asked_share": 0.0}}
    (tmp_path / "report.json").write_text(json.dumps({"domains": asked}))
    metrics = mix_tokens(plan, tmp_path / "report.json", tokens, tmp_path / "tokens.json")
    assert json.loads((tmp_path / "tokens.json").read_text()) == metrics
    shards = {name: IndexedTokens(tokens / name / "train") for name in ("code", "prose")}
    uses = pl.read_parquet(plan).rows()
    assert metrics["tokens"] == sum(len(shards[source][document]) for source, document, _ in uses)
    books = metrics["domains"]["books"]
    assert books["tokens"] == sum(len(shards["prose"][document]) for source, document, _ in uses if source == "prose")
    assert books["token_share"] == round(books["tokens"] / metrics["tokens"], 6)
    assert books["asked_share"] == 0.3
    assert metrics["domains"]["web"] == dict.fromkeys(
        ("uses", "bytes", "tokens", "byte_share", "token_share", "asked_share"), 0
    )


def test_a_mix_of_other_token_shards(tokens: Path, tmp_path: Path) -> None:
    rows = {"source": ["prose"], "document": [10**6], "bytes": [5]}
    pl.DataFrame(rows, schema_overrides={"document": pl.UInt32}).write_parquet(tmp_path / "plan.parquet")
    (tmp_path / "report.json").write_text('{"domains": {}}')
    with pytest.raises(InputError, match="documents of prose without tokens"):
        mix_tokens(tmp_path / "plan.parquet", tmp_path / "report.json", tokens, tmp_path / "tokens.json")


@pytest.mark.parametrize("model_type", ["unigram", "byte_bpe"])
def test_other_kinds_write_the_same_files_and_shards(clean: Path, plan: Path, tmp_path: Path, model_type: str) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        trained(clean, plan, tmp_path / name, model_type=model_type)
    for name in NAMES.values():
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    (tmp_path / "tokens").mkdir()
    encode(clean / "code", tmp_path / "one" / "tokenizer.model", tmp_path / "tokens", source="code")
    tool = Tokenizer(tmp_path / "one" / "tokenizer.model")
    texts = [text for batch in split_batches(clean / "code", "train") for text in batch]
    shard = IndexedTokens(tmp_path / "tokens" / "train")
    assert [tool.decode(document[1:-1]) for document in shard] == texts
    assert all((document[1:-1] > 7).all() for document in shard)
    assert all((document[0], document[-1]) == (tool.bos, tool.eos) for document in shard)


def test_fertility(clean: Path, plan: Path, model: Path, tmp_path: Path) -> None:
    metrics = fertility(clean, plan, model, tmp_path / "fertility.json", settings=Sample(sample_bytes=10**6))
    assert json.loads((tmp_path / "fertility.json").read_text()) == metrics
    assert sorted(metrics["domains"]) == ["books", "code"]
    assert list(metrics["languages"]) == ["unknown"]
    tool = Tokenizer(model)
    for source, domain in (("code", "code"), ("prose", "books")):
        texts = [text for batch in split_batches(clean / source, "validation") for text in batch]
        found = metrics["domains"][domain]
        assert found["tokens"] == sum(len(tool.encode(text)) for text in texts)
        assert found["words"] == sum(len(text.split()) for text in texts)
        assert found["bytes"] > found["gpt2_tokens"] > found["words"] / 2
        assert found["bytes_per_token"] == round(found["bytes"] / found["tokens"], 4)


def test_ngram_baseline(tokens: Path, model: Path, tmp_path: Path) -> None:
    metrics = ngram_baseline(tokens, model, tmp_path / "ngram.json")
    assert json.loads((tmp_path / "ngram.json").read_text()) == metrics
    assert metrics["unigram"] > metrics["bigram"] > metrics["trigram"] > 0
    assert sorted(metrics["per_domain"]) == ["books", "code"]
    weighted = sum(d["trigram"] * d["bytes"] for d in metrics["per_domain"].values())
    assert weighted / metrics["bytes"] == pytest.approx(metrics["trigram"], abs=1e-5)


def test_ngram_baseline_without_validation_text(model: Path, clean: Path, tmp_path: Path) -> None:
    frame = pl.read_parquet(clean / "prose" / "part-00000.parquet").with_columns(split=pl.lit("train"))
    (tmp_path / "prose").mkdir()
    frame.write_parquet(tmp_path / "prose" / "part-00000.parquet")
    (tmp_path / "tokens" / "prose").mkdir(parents=True)
    encode(tmp_path / "prose", model, tmp_path / "tokens" / "prose", source="prose")
    with pytest.raises(InputError, match="validation split is empty"):
        ngram_baseline(tmp_path / "tokens", model, tmp_path / "ngram.json")


def test_a_source_without_documents(model: Path, clean: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    pl.read_parquet(clean / "prose" / "part-00000.parquet").clear().write_parquet(tmp_path / "none/part-00000.parquet")
    (tmp_path / "tokens").mkdir()
    metrics = encode(tmp_path / "none", model, tmp_path / "tokens", source="none")
    assert metrics["domain"] is None
    assert metrics["train"] == {"documents": 0, "bytes": 0, "tokens": 0}
    assert len(IndexedTokens(tmp_path / "tokens" / "train")) == 0


def test_planned_texts(clean: Path, plan: Path) -> None:
    texts = {name: [t for batch in split_batches(clean / name, "train") for t in batch] for name in ("code", "prose")}
    expected = [texts[source][document] for source, document, _ in pl.read_parquet(plan).iter_rows()]
    assert list(planned_texts(clean, plan, 10**9)) == expected
    assert list(planned_texts(clean, plan, 10**9, window=1000)) == expected
    for limit in (1, 100, 5000):
        sample = list(planned_texts(clean, plan, limit))
        assert limit - 3 <= sum(len(text.encode()) for text in sample) <= limit
        assert sample[:-1] == expected[: len(sample) - 1]


def test_a_plan_that_does_not_fit_the_shards(clean: Path, tmp_path: Path) -> None:
    rows = {"source": ["prose"], "document": [10**6], "bytes": [5]}
    pl.DataFrame(rows, schema_overrides={"document": pl.UInt32}).write_parquet(tmp_path / "plan.parquet")
    with pytest.raises(InputError, match="document 1000000 of prose is not in the clean shards"):
        list(planned_texts(clean, tmp_path / "plan.parquet", 100))


def test_a_vocabulary_that_the_corpus_does_not_support(clean: Path, plan: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tokenizer\.vocab_size: 90000 .* at most \d+"):
        trained(clean, plan, tmp_path, vocab_size=90000)


@pytest.mark.parametrize(("key", "value"), [("sample_bytes", 0), ("character_coverage", 0.5), ("vocab_size", -3)])
def test_settings_that_cannot_be(clean: Path, plan: Path, tmp_path: Path, key: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^tokenizer.{key}: {value} "):
        trained(clean, plan, tmp_path, **{"model_type": "bpe", key: value})
