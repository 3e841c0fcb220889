"""Stage 3: the tokenizer is trained, written in every tool's format, and applied to the corpus.

scripts/tokenize/ calls it; later stages read tokens and chats through it. Tests: tests/llm/tokenize/.
"""
