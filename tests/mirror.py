"""Where each module of llm/, stemma/, scripts/ and kernels/ is tested: by the test of its name, by another test beside
that which imports it, or else as ELSEWHERE says.

tests/test_mirror.py holds this; `python -m tests.mirror llm/io/digest.py` says where a module's tests are.
"""

import ast
import fnmatch
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOPS = ("llm", "stemma", "scripts", "kernels")
# Modules that no test beside them imports: the test that sees what they do, and why it is not one of their own name.
ELSEWHERE = {
    # a command says a line of what its room does, and is tested with that; here are its options and its help
    "stemma/commands/*.py": "stemma/commands/test_help.py",
    # a script is its main(), which the tests of its room call
    "scripts/align/*.py": "llm/align/test_scripts.py",
    "scripts/architecture/*.py": "test_pipeline.py",
    "scripts/collect/collect.py": "llm/collect/test_extract.py",
    "scripts/collect/fetch.py": "llm/collect/test_fetch.py",
    "scripts/deploy/generate.py": "llm/deploy/serve/test_generate.py",
    "scripts/deploy/serve_benchmark.py": "llm/deploy/serve/test_benchmark.py",
    "scripts/deploy/quantize.py": "llm/deploy/quantize/test_quantize.py",
    "scripts/deploy/export_quantized.py": "llm/deploy/quantize/test_gguf.py",
    "scripts/deploy/calibration.py": "llm/deploy/quantize/test_layerwise.py",
    "scripts/evaluate/*.py": "llm/evaluate/test_evaluate.py",
    "scripts/package/*.py": "llm/package/test_hf_directory.py",
    "scripts/pretrain/pretrain.py": "llm/pretrain/test_pretrain.py",
    "scripts/pretrain/qat.py": "llm/pretrain/test_qat.py",
    "scripts/pretrain/initial_checkpoint.py": "llm/package/importing/test_continued.py",
    "scripts/pretrain/loss_plot.py": "test_pipeline.py",
    "scripts/pretrain/ngram_baseline.py": "scripts/test_tokenize.py",
    "scripts/process/annotate.py": "scripts/test_clean.py",
    "scripts/process/clean*.py": "scripts/test_clean.py",
    "scripts/process/decontaminate.py": "llm/process/dedup/test_contamination.py",
    "scripts/process/substrings.py": "llm/process/dedup/test_substrings.py",
    "scripts/process/mix.py": "llm/process/corpus/test_mix.py",
    "scripts/process/croissant.py": "test_pipeline.py",
    "scripts/process/names.py": "llm/process/pii/test_person_names.py",
    "scripts/process/score.py": "scripts/test_score.py",
    "scripts/process/*_model.py": "scripts/test_score.py",
    "scripts/process/minhash.py": "llm/process/dedup/test_clusters.py",
    "scripts/process/candidates.py": "llm/process/dedup/test_clusters.py",
    "scripts/process/edges.py": "llm/process/dedup/test_clusters.py",
    "scripts/process/deduplicate.py": "llm/process/dedup/test_clusters.py",
    "scripts/tokenize/*.py": "scripts/test_tokenize.py",
    # a slice of the config: each of its keys is changed in turn there
    "llm/*/settings/*.py": "llm/config/test_staleness.py",
    "llm/config/align_block.py": "llm/config/test_staleness.py",
    "llm/config/page.py": "llm/config/test_derived.py",
    # parts of one whole, which is tested as such
    "llm/align/base.py": "llm/align/test_scripts.py",
    "llm/collect/formats/tex/*.py": "llm/collect/formats/test_latex.py",
    "llm/collect/formats/html_text.py": "llm/collect/formats/test_epub.py",
    "llm/deploy/quantize/quality.py": "llm/deploy/quantize/test_layerwise.py",
    "llm/deploy/quantize/speed.py": "llm/deploy/quantize/test_layerwise.py",
    "llm/package/gguf/*.py": "llm/package/gguf/test_gguf.py",
    "llm/package/importing/*.py": "llm/package/importing/test_import.py",
    "llm/tokenize/chat_template.py": "llm/tokenize/test_hub.py",
    "llm/collect/pypi.py": "llm/collect/test_fetch.py",
    "llm/model/hf_config.py": "llm/model/test_config.py",
    "llm/model/rope_scaling.py": "llm/model/test_positions.py",
    "llm/model/tensor_names.py": "llm/model/test_transformer.py",
    "llm/plan/*.py": "llm/plan/test_page.py",
    "llm/pretrain/engines/megatron/*.py": "llm/pretrain/engines/megatron/test_curves.py",
    # the trainer is seen to work by what it trains
    "llm/training/engines/*.py": "llm/pretrain/engines/test_layouts.py",
    "llm/training/*.py": "llm/pretrain/test_survival.py",
    "llm/pretrain/worker.py": "llm/pretrain/test_pretrain.py",
    "llm/tokenize/documents.py": "scripts/test_tokenize.py",
    "llm/tokenize/fertility.py": "scripts/test_tokenize.py",
    "llm/process/quality/counterfactual.py": "llm/process/quality/test_toxicity.py",
    "llm/process/quality/identity_terms.py": "llm/process/quality/test_toxicity.py",
    "llm/deploy/serve/*.py": "llm/deploy/serve/test_server.py",
    "llm/inference/*.py": "llm/inference/test_engine.py",
    "llm/model/attending.py": "llm/model/test_transformer.py",
    "stemma/provenance/crate/*.py": "stemma/provenance/crate/test_crate.py",
    "stemma/provenance/read_once.py": "stemma/provenance/test_verify.py",
    "stemma/provenance/publish.py": "stemma/store/test_remote.py",
    "stemma/provenance/render_tree.py": "stemma/provenance/test_lineage.py",
    "stemma/report/*.py": "stemma/report/test_report.py",
    # what everything stands on: seen through whoever uses it
    "llm/checks.py": "llm/model/test_config.py",
    "llm/progress.py": "llm/collect/test_fetch.py",
    "llm/io/digest.py": "llm/package/test_hf_directory.py",
    "llm/io/json.py": "llm/align/test_lora.py",
    "llm/io/link_tree.py": "llm/process/corpus/test_clean.py",
    "llm/io/parquet.py": "llm/process/corpus/test_mix.py",
    "llm/io/range_shuffle.py": "llm/process/dedup/test_clusters.py",
    "llm/runtime/agreement.py": "llm/package/test_hf_directory.py",
    "llm/runtime/process.py": "llm/runtime/test_lease.py",
    "llm/runtime/rank.py": "llm/runtime/test_launch.py",
    "llm/runtime/device.py": "llm/test_devices.py",
    "llm/runtime/*.py": "llm/pretrain/test_survival.py",  # stopping, the watchdog, the allocator: processes that die
    "stemma/base/colour.py": "stemma/workflow/test_terminal.py",
    "stemma/base/*.py": "stemma/store/test_local.py",
    "stemma/cluster/*.py": "cluster/test_sites.py",  # a real Slurm
    "stemma/code/frozen_code.py": "stemma/execute/test_edits.py",
    "stemma/code/source.py": "stemma/code/test_closure.py",
    "stemma/execute/*.py": "stemma/execute/test_outputs.py",
    "stemma/planning/*.py": "stemma/workflow/test_why.py",
    "stemma/workflow/*.py": "stemma/workflow/test_attach.py",  # snakemake is run on a small workflow
    "kernels/phrases.py": "kernels/test_signals.py",
    "kernels/splitmix.py": "kernels/test_words.py",
    "kernels/decoder.py": "llm/inference/test_fused.py",
    "kernels/content.py": "llm/collect/formats/test_html.py",
    "kernels/headings.py": "llm/collect/formats/test_html_articles.py",
    "kernels/html_tree.py": "kernels/test_html.py",
    "kernels/page_repeats.py": "llm/collect/formats/test_html.py",
    "kernels/teasers.py": "llm/collect/formats/test_html.py",
    "kernels/closing.py": "llm/collect/formats/test_html_articles.py",
    "kernels/running_text.py": "llm/collect/formats/test_html_articles.py",
    "kernels/windows.py": "llm/process/dedup/test_substrings.py",
    "kernels/*.py": "llm/tokenize/test_encoder.py",  # bpe, encode, hashmap, pretokens
}


def modules() -> list[str]:
    """All modules, by path; packages' own files hold nothing."""
    files = (path for top in TOPS for path in sorted((ROOT / top).rglob("*.py")))
    return [str(path.relative_to(ROOT)) for path in files if path.name not in ("__init__.py", "__main__.py")]


def where_tested(module: str) -> str | None:
    """Where a module is tested."""
    path = Path(module)
    own = Path("tests") / path.parent / f"test_{path.name}"
    if (ROOT / own).exists():
        return str(own)
    name = ".".join(path.with_suffix("").parts)
    for beside in sorted((ROOT / own.parent).rglob("*.py"), key=lambda file: not file.name.startswith("test_")):
        if name in imported(beside):
            return str(beside.relative_to(ROOT))
    pattern = pattern_of(module)
    return f"tests/{ELSEWHERE[pattern]}" if pattern else None


def pattern_of(module: str) -> str | None:
    """The first pattern of ELSEWHERE that a module fits."""
    return next((pattern for pattern in ELSEWHERE if fnmatch.fnmatch(module, pattern)), None)


@cache
def imported(file: Path) -> frozenset[str]:
    """All names that a file may import modules by."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


if __name__ == "__main__":
    for asked in sys.argv[1:] or modules():
        print(f"{asked:<50} {where_tested(asked)}")
