"""The blocks of the configuration, in the order in which config.yaml has them: what slices hold, joined by block.

The keys stand in the slices (llm/*/settings*) and are said there, once; here stand those alone that shape the workflow
and reach no script.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

from llm.collect.settings import Source
from llm.config.align_block import Align
from llm.config.schema import schema_of
from llm.deploy.settings.calibration import Calibration
from llm.deploy.settings.generate import Sampling
from llm.deploy.settings.qat import Qat
from llm.deploy.settings.quantize import Method, Scoring
from llm.deploy.settings.serve_benchmark import LoadTest
from llm.evaluate.settings import EvaluationKeys, SuiteSettings
from llm.model.config import ModelConfig
from llm.package.importing.settings import Imported
from llm.package.inventory.settings import InventorySettings
from llm.package.settings import PackageSettings
from llm.plan.block import Plan
from llm.pretrain.segments import Pretrain
from llm.process.settings.candidates import CandidatesSettings
from llm.process.settings.clean import BOUND, SIGNAL, Policy
from llm.process.settings.decontaminate import DecontaminateSettings
from llm.process.settings.edges import Similarity
from llm.process.settings.minhash import Bands, Signatures
from llm.process.settings.mix import Shares
from llm.process.settings.names import NamesSettings
from llm.process.settings.perplexity_model import PerplexitySettings
from llm.process.settings.substrings import SubstringsSettings
from llm.process.settings.toxicity_model import Labels
from llm.settings import key
from llm.tokenize.settings import TokenizerSettings

NAME = {
    "pattern": r"^(?!manifest\.json$)[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$",
    "errorMessage": "cannot name a source: begin with a letter or digit; letters, digits, `_`, `-` and `.` may follow, "
    "100 in all",
}


@dataclass(frozen=True, kw_only=True)
class Signing:
    """Whose records count."""

    trusted: list[str] = key([])
    """Files of public keys (PEM) whose records are served beside one's own."""
    key: str = key("~/.config/stemma/key.pem")
    """Private ed25519 key (PEM) that signs records; made on first use."""


@dataclass(frozen=True, kw_only=True)
class Duplicates(CandidatesSettings, Similarity, Bands):
    """Near-duplicates: which pairs are found, and which of them are duplicates."""

    ranges: int = key(1, minimum=1, shown=False)
    """So many jobs find pairs, and so many compare them; the result does not depend on it."""
    substring: SubstringsSettings | None = key(None, shown=False)
    """Cut out of a document what stands in another before, or twice in it; null: nothing is cut out."""


@dataclass(frozen=True, kw_only=True)
class Toxicity(Labels):
    """Labelled examples: CSV files of a source that need not be in corpus."""

    source: str = key()
    """Name of the source; its include chooses the CSV files."""


@dataclass(frozen=True, kw_only=True)
class Reference(PerplexitySettings):
    """What the models behind perplexity, quality and toxicity learn from."""

    curated: list[str] = key()
    """Sources of good text: perplexity's n-grams, quality's positive examples; those not in corpus do not count."""
    raw: list[str] | None = key(None, shown=False)
    """Quality's negative examples; null: all other sources of the corpus."""
    toxicity: Toxicity | None = key()
    """Labelled examples; null: no toxicity score."""


@dataclass(frozen=True, kw_only=True)
class Decontaminate(DecontaminateSettings):
    """Text of evaluation sets, which must not be trained on."""

    evaluations: list[str] = key(uniqueItems=True)
    """Sources, not in corpus, whose items are looked for in the others; thresholds.contamination says what goes."""


@dataclass(frozen=True, kw_only=True)
class Process(Policy, NamesSettings):
    """Stage 2. Signals are computed once (annotate); thresholds only touch the cheap `clean`: docs/process.md."""

    overrides: dict = key(
        additionalProperties={"type": ["object", "null"], "additionalProperties": BOUND, "propertyNames": SIGNAL}
    )
    """By domain, bounds that replace those of thresholds; a signal or a bound set to null does not filter."""
    minhash: Signatures = key(Signatures())
    """Signatures."""
    duplicates: Duplicates = key(Duplicates())
    """Near-duplicates."""
    reference: Reference = key()
    """What perplexity, quality and toxicity are measured by."""
    decontaminate: Decontaminate = key()
    """Text of evaluation sets."""
    mix: Shares = key(Shares())
    """How often each part of the corpus is read."""


@dataclass(frozen=True, kw_only=True)
class Package(PackageSettings):
    """Stage 7. Model directories and what is in them: docs/package.md."""

    inventory: InventorySettings = key(InventorySettings(), shown=False)
    """What is looked at in a model beside its weights."""


@dataclass(frozen=True, kw_only=True)
class Evaluate(EvaluationKeys, SuiteSettings):
    """Stage 6, judged: docs/evaluate.md."""

    suite: str | None = key(None, shown=False)
    """A YAML file of checks, prompts and tasks; null: evaluation/suite.yaml."""


@dataclass(frozen=True, kw_only=True)
class Quantize(Scoring):
    """Stage 8. Quantized weights: docs/deploy.md."""

    calibration: Calibration = key(Calibration())
    """The text by which weights are quantized."""
    methods: dict[str, Method] = key(minProperties=1, propertyNames={"pattern": "^[a-z0-9-]+$"})
    """By name, e.g. rtn-int4: {bits: 4, group_size: 64}."""
    qat: Qat | None = key(None, shown=False)
    """Training that computes with weights as a method will round them, so that nothing is lost by it; null: none."""


@dataclass(frozen=True, kw_only=True)
class Serve(Sampling, LoadTest):
    """Stage 8. The served model: docs/deploy.md."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """The default run: 28 MB of real text from five domains to a small served model, on a CPU, in minutes."""

    seed: int = key(1, minimum=0)
    """Seeds every random choice."""
    numeric: Literal["native", "portable"] = key("native")
    """native: as fast as this processor can; portable: the same bytes on every x86-64 with AVX2, a little slower."""
    store: str = key("results/.store", shown=False)
    """Directory of the content store."""
    shared_store: str | None = key(None, shown=False)
    """A second store that others use too: a directory, or s3://bucket/prefix."""
    signing: Signing = key(Signing(), shown=False)
    """Whose records count."""
    corpus: list[str] = key(minItems=1, uniqueItems=True)
    """Names of the sources to use, in this order."""
    sources: dict[str, Source] = key(propertyNames=NAME)
    """Where text comes from, by name; docs/collect.md says how to add a source."""
    process: Process = key()
    """Stage 2."""
    tokenizer: TokenizerSettings = key(TokenizerSettings())
    """Stage 3."""
    model: ModelConfig = key()
    """Stage 4."""
    plan: Plan = key(Plan(), shown=False)
    """What `snakemake plan` counts with."""
    pretrain: Pretrain = key(Pretrain())
    """Stage 5."""
    imported: Imported | None = key(None, shown=False)
    """A model made elsewhere, in place of stages 4 and 5."""
    align: Align = key()
    """Stage 6."""
    evaluate: Evaluate = key(Evaluate())
    """Stage 6, judged."""
    package: Package = key(Package(), shown=False)
    """Stage 7."""
    quantize: Quantize = key()
    """Stage 8."""
    serve: Serve = key()
    """Stage 8."""


@cache
def schema() -> dict:
    """What a run's config may hold, as a JSON Schema."""
    return schema_of(Config)
