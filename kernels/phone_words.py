"""Tells where a word that announces a phone number may stand before a number, for the scan of kernels/pii.py.

What it asks must stay weaker than OF_PHONES in llm/process/pii/phones.py: the tests hold both together.
"""

import numpy as np

from kernels.jit import jit

# Three bytes of each word that announces a phone number; 0: any byte. тел is without its first byte, whose bits are
# not those of capitals; of the others beyond ASCII the first letters stand.
WORDS = (
    *(b"tel", b"ph\0", b"fax", b"mob", b"cel", b"wha", b"han", b"tlf", b"puh", b"ruf", b"con", b"t\xc3\0", b"m\xc3\0"),
    b"\xb5\xd0\xbb",
    *(word.encode()[:3] for word in ("τη", "Τη", "电", "電", "手", "전", "휴", "هاتف", "جوال", "טלפון")),
)
STEMS = np.array([[*word] for word in WORDS], dtype=np.uint8)
SIGN, LAST, FIRST = 1, 2, 4
CLASS = np.zeros(256, dtype=np.uint8)
for members, bit in (
    (b" .:=#)/_\"'>[]", SIGN),  # between a phone number and what announces it
    (b"LNEOXRPYMSTHBFlneoxrpymsthbf" + bytes(range(128, 256)), LAST),  # ends a word that does: tel, phone, no, nr, ...
    (bytes(word[0] for word in WORDS) + bytes(word[0] ^ 32 for word in WORDS), FIRST),
):
    CLASS[list(members)] |= np.uint8(bit)
REACH = 64  # bytes before a number in which its announcement may begin
BETWEEN = 8  # signs after it


@jit
def is_announced(data, begin, start):
    """Does a word that announces a phone number end right before `start`, but for a line's end and eight signs between,
    or one of the words after it (number, is, at, ...), and is a stem of those that announce one near?"""
    i = start - 1
    if i >= begin and data[i] == 10:
        i -= 1
    least = max(begin, i - BETWEEN)
    while i > least and CLASS[data[i]] & SIGN:
        i -= 1
    if i < begin or not CLASS[data[i]] & LAST:
        return False
    for i in range(max(begin, start - REACH), start - 2):
        if not CLASS[data[i]] & FIRST:
            continue
        first = data[i] | 32
        for k in range(len(STEMS)):
            third = STEMS[k, 2] == 0 or data[i + 2] | 32 == STEMS[k, 2] | 32
            if third and first == STEMS[k, 0] | 32 and data[i + 1] | 32 == STEMS[k, 1] | 32:
                return True
    return False
