rule model_config:
    input:
        tokenizer="results/tokenizer/vocab.json",
    output:
        config="results/model/config.json",
    params:
        model=config["model"],
    log:
        "results/logs/model_config.log",
    benchmark:
        "results/benchmarks/model_config.tsv"
    threads: 1
    resources:
        mem_mb=300,
    shell:
        "python -m stemma run scripts/architecture/model_config.py {params.flags}"
