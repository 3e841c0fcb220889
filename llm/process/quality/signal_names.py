"""Names the heuristic signals, and the counts of kernels/signals.py that each is, or is the quotient of.

They are apart from their computation so that code which only reads the columns does not depend on compiled code.
"""

COUNTS = {  # signal: count
    "n_chars": "chars",
    "n_words": "words",
    "n_lines": "lines",
    "max_line_length": "longest_line",
    "stop_word_count": "stop_words",
    "sentence_count": "sentences",
    "curly_bracket_count": "curly_brackets",
    "lorem_ipsum_count": "lorem_ipsums",
    "c4_sentence_count": "c4_sentences",
}
RATIOS = {  # signal: (count, count)
    "mean_word_length": ("word_chars", "words"),
    "symbol_to_word_ratio": ("symbols", "words"),
    "alpha_word_ratio": ("alpha_words", "words"),
    "unique_word_ratio": ("unique_words", "words"),
    "digit_char_ratio": ("digits", "chars"),
    "newline_to_word_ratio": ("newlines", "words"),
    **{
        f"{kind}_line_ratio": (f"{kind}_lines", "lines")
        for kind in (
            "bullet", "ellipsis", "terminal", "short", "under_3_words", "under_5_words", "long_word", "javascript",
            "policy", "c4", "duplicate",
        )
    },
    "duplicate_paragraph_ratio": ("duplicate_paragraphs", "paragraphs"),
    **{
        f"{kind}_char_ratio": (f"{kind}_chars", "chars")
        for kind in (
            "duplicate_line", "duplicate_paragraph", *(f"top_{n}gram" for n in (2, 3, 4)),
            *(f"duplicate_{n}gram" for n in (5, 6, 7, 8, 9, 10)),
        )
    },
}  # fmt: skip
SIGNALS = (*COUNTS, *RATIOS)
SCORES = ("perplexity", "quality", "toxicity")  # of reference models
FILTERED = ("language", "language_score", *SIGNALS, *SCORES, "contamination")  # what a threshold can be for
