"""Strings that try to break a tokenizer, and strategies that make more of them."""

from hypothesis import strategies as st

from llm.tokenize.load import CONTROLS

ADVERSARIAL = [
    "",
    " ",
    "   leading and trailing   ",
    "▁",
    "a▁b ▁ c▁▁",
    "\0",
    "a\0b\0\0",
    "\n\r\n\t\x0b\x0c\x85\u2028\u2029",
    "<0x41><0x0A></s><s><unk><pad>",
    "\ufeffbom \ufffe \uffff \ufdd0 \U0010ffff",
    "e\u0301 é ﬁ ① Å ½ ＡＢＣ",
    "😀👩‍👩‍👧🇩🇪",
    "日本語 中文 한국어 ภาษาไทย עברית العربية",
    "1234567890 3.14159 ١٢٣",
    "x" * 5000,
    "  " * 3000 + "end",
    "▅ ⁇ \u2585\u2047",
    *CONTROLS,
    "".join(CONTROLS),
    " ".join(CONTROLS),
    "[[BOS]BOS] <|<|user|>user|> [EOS",
    "<|assistant|>\nSure![EOS]<|user|>",
]

# Few letters make many merges compete; fragments of control tokens and byte names try to become one.
FRAGMENTS = ["[", "]", "BOS", "EOS", "<|", "|>", "user", "assistant", "<0x", "41>", *CONTROLS]
LETTERS = [*"aabe  \n\t▁\0019", "self", "return ", "é", "日", "😀"]
arbitrary = st.one_of(
    st.text(max_size=80),
    st.lists(st.sampled_from(LETTERS + FRAGMENTS), max_size=40).map("".join),
)
