from llm.deploy.settings.generate import GenerateSettings
from llm.deploy.settings.quantize import QuantizeSettings
from llm.deploy.settings.serve_benchmark import ServeBenchmarkSettings
from llm.settings import slice_of


rule quantize:
    input:
        model="results/models/dpo/manifest.json",
        tokens="results/tokens/manifest.json",
    output:
        quantized="results/quantized/{method}/manifest.json",
    params:
        settings=lambda w: slice_of(QuantizeSettings, config["quantize"]["methods"][w.method], config["quantize"]),
    wildcard_constraints:
        method="|".join(config["quantize"]["methods"]),
    resources:
        mem_mb=1500,
    shell:
        "python -m stemma run scripts/deploy/quantize.py {params.flags}"


rule serve_benchmark:
    input:
        quantized="results/quantized/int8/manifest.json",
    output:
        benchmark="results/serve/benchmark.json",
    params:
        settings=lambda w: slice_of(ServeBenchmarkSettings, served(), config),
    resources:
        mem_mb=1500,
    shell:
        "python -m stemma run scripts/deploy/serve_benchmark.py {params.flags}"


rule generate:
    input:
        quantized="results/quantized/int8/manifest.json",
    output:
        answers="results/serve/answers.json",
    params:
        settings=lambda w: slice_of(GenerateSettings, served(), config),
    resources:
        mem_mb=1500,
    shell:
        "python -m stemma run scripts/deploy/generate.py {params.flags}"
