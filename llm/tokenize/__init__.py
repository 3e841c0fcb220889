"""Stage 3: trains the tokenizer, writes it in every tool's format, and applies it to the corpus.

scripts/tokenize/ calls it; later stages read tokens and chats through it. Tests: tests/llm/tokenize/.
"""
