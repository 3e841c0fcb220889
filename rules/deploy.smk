from llm.deploy.settings.generate import GenerateSettings
from llm.deploy.settings.calibration import CalibrationSettings
from llm.deploy.settings.quantize import Method, QuantizeSettings
from llm.deploy.settings.serve_benchmark import ServeBenchmarkSettings
from llm.settings import slice_of


rule calibration:
    input:
        tokens="results/tokens/manifest.json",
    output:
        calibration="results/calibration/manifest.json",
    params:
        settings=lambda w: slice_of(
            CalibrationSettings,
            config["quantize"]["calibration"],
            config,
            length=min(config["quantize"]["calibration"]["length"], ARCHITECTURE.context_length),
        ),
    resources:
        mem_mb=500,
    shell:
        "python -m stemma run scripts/deploy/calibration.py {params.flags}"


# A method that looks at no text does not depend on it.
CALIBRATED = [name for name, method in config["quantize"]["methods"].items() if Method(**method).calibrated]


rule quantize:
    input:
        model="results/models/dpo/manifest.json",
        tokens="results/tokens/manifest.json",
        calibration=lambda w: ["results/calibration/manifest.json"] if w.method in CALIBRATED else [],
    output:
        quantized="results/quantized/{method}/manifest.json",
    params:
        settings=lambda w: slice_of(
            QuantizeSettings, config["quantize"]["methods"][w.method], config["quantize"], **PACKAGE
        ),
    wildcard_constraints:
        method="|".join(config["quantize"]["methods"]),
    resources:
        mem_mb=1500 + 4 * WEIGHTS_MB,
    shell:
        "python -m stemma run scripts/deploy/quantize.py {params.flags}"


rule export_quantized:
    input:
        quantized="results/quantized/{method}/manifest.json",
    output:
        gguf="results/gguf/{method}.gguf",
    params:
        name=lambda w: w.method,
    wildcard_constraints:
        method="|".join(config["quantize"]["methods"]),
    resources:
        mem_mb=1500 + 4 * WEIGHTS_MB,
    shell:
        "python -m stemma run scripts/deploy/export_quantized.py {params.flags}"


rule serve_benchmark:
    input:
        quantized="results/quantized/int8/manifest.json",
    output:
        benchmark="results/serve/benchmark.json",
    params:
        settings=lambda w: slice_of(ServeBenchmarkSettings, served(), config),
    resources:
        mem_mb=1500 + 4 * WEIGHTS_MB,
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
        mem_mb=1500 + 4 * WEIGHTS_MB,
    shell:
        "python -m stemma run scripts/deploy/generate.py {params.flags}"


# It runs until it is told to stop and makes nothing, so it is no job of a build: no output, no record.
rule serve:
    input:
        [f"results/models/{stage}/manifest.json" for stage in ("base", "sft", "dpo")],
        [f"results/quantized/{method}/manifest.json" for method in config["quantize"]["methods"]],
    shell:
        "python -m llm.deploy.serve.server --results results"
