"""Names the sources of the planner's formulas: short name -> full citation."""

SOURCES = {
    "Ainslie 2023": "Ainslie et al. 2023, GQA: Training Generalized Multi-Query Transformer Models, arXiv:2305.13245",
    "Besiroglu 2024": "Besiroglu et al. 2024, Chinchilla Scaling: A Replication Attempt, arXiv:2404.10102",
    "Brown 2020": "Brown et al. 2020, Language Models are Few-Shot Learners (GPT-3), arXiv:2005.14165",
    "Chen 2016": "Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost, arXiv:1604.06174",
    "Chowdhery 2022": "Chowdhery et al. 2022, PaLM: Scaling Language Modeling with Pathways, arXiv:2204.02311",
    "Daly 2006": "Daly 2006, A higher order estimate of the optimum checkpoint interval for restart dumps, FGCS 22(3)",
    "Dao 2022": "Dao et al. 2022, FlashAttention, arXiv:2205.14135",
    "DeepSeek 2024": (
        "DeepSeek-AI 2024, DeepSeek-V2, arXiv:2405.04434, and DeepSeek-V3 Technical Report, arXiv:2412.19437"
    ),
    "Dubey 2024": "Dubey et al. 2024, The Llama 3 Herd of Models, arXiv:2407.21783",
    "Frantar 2023": "Frantar et al. 2023, GPTQ, arXiv:2210.17323",
    "Gemma 2025": "Gemma Team 2025, Gemma 3 Technical Report, arXiv:2503.19786",
    "Hoffmann 2022": "Hoffmann et al. 2022, Training Compute-Optimal Large Language Models, arXiv:2203.15556",
    "Huang 2019": "Huang et al. 2019, GPipe, arXiv:1811.06965",
    "Kaplan 2020": "Kaplan et al. 2020, Scaling Laws for Neural Language Models, arXiv:2001.08361",
    "Korthikanti 2022": (
        "Korthikanti et al. 2022, Reducing Activation Recomputation in Large Transformer Models, arXiv:2205.05198"
    ),
    "Lepikhin 2021": "Lepikhin et al. 2021, GShard, arXiv:2006.16668",
    "Le Scao 2022": "Le Scao et al. 2022, BLOOM: A 176B-Parameter Open-Access Language Model, arXiv:2211.05100",
    "Liu 2023": "Liu et al. 2023, Ring Attention with Blockwise Transformers, arXiv:2310.01889",
    "Loshchilov 2019": "Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization, arXiv:1711.05101",
    "Micikevicius 2018": "Micikevicius et al. 2018, Mixed Precision Training, arXiv:1710.03740",
    "Narayanan 2021": (
        "Narayanan et al. 2021, Efficient Large-Scale Language Model Training on GPU Clusters Using Megatron-LM, "
        "arXiv:2104.04473"
    ),
    "Patarasuk 2009": "Patarasuk and Yuan 2009, Bandwidth optimal all-reduce algorithms for clusters of workstations",
    "Press 2017": "Press and Wolf 2017, Using the Output Embedding to Improve Language Models, arXiv:1608.05859",
    "Radford 2019": "Radford et al. 2019, Language Models are Unsupervised Multitask Learners (GPT-2), its repository",
    "Rajbhandari 2020": "Rajbhandari et al. 2020, ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
    "Shazeer 2019": "Shazeer 2019, Fast Transformer Decoding: One Write-Head is All You Need, arXiv:1911.02150",
    "Shazeer 2020": "Shazeer 2020, GLU Variants Improve Transformer, arXiv:2002.05202",
    "Shoeybi 2019": "Shoeybi et al. 2019, Megatron-LM, arXiv:1909.08053",
    "Touvron 2023": "Touvron et al. 2023, LLaMA: Open and Efficient Foundation Language Models, arXiv:2302.13971",
    "Vaswani 2017": "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
    "Young 1974": "Young 1974, A first order approximation to the optimum checkpoint interval, CACM 17(9)",
    "Zhang 2019": "Zhang and Sennrich 2019, Root Mean Square Layer Normalization, arXiv:1910.07467",
    "catalogue": "Makers' data sheets, dense bf16; llm/plan/cluster.py",
    "config": "Stated in the config's plan block, or its default there: an assumption",
    "model": "This planner's cost model, llm/plan/step.py; its error on published runs is in docs/plan.md",
    "shape": "Arithmetic on the model's own shape",
}
