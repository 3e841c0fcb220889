"""Finds where personal data may begin, in one pass over UTF-8: every place at which a pattern of
llm/process/pii/find.py could match, and few others. The caller tries the pattern itself at each place.

All patterns begin at an @ (walked back to the beginning of the address) or at the first digit of a run of digits, with
a sign, a bracket, a country code or hexadecimal digits and colons before it. So only these two kinds of byte are looked
at closely (kernels/bytes_marked.py finds them). What is asked of the bytes around them must stay weaker than the
patterns: the tests hold both together.
"""

import numpy as np

from kernels.bytes_marked import AT, mark, next_marked
from kernels.jit import jit
from kernels.phone_words import is_announced

EMAIL, IPV6, IPV4, IBAN, CARD, SSN, PHONE = range(7)  # the order of llm.process.pii.find.KINDS

DIGIT, LETTER, HEX, LOCAL, GAP, PREFIX, JOINED = 1, 2, 4, 8, 16, 32, 64
CLASS = np.zeros(256, dtype=np.uint8)
for members, bit in (
    (b"0123456789", DIGIT),
    (b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_", LETTER),
    (b"0123456789ABCDEFabcdef", HEX),
    (b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+-", LOCAL),
    (b" ()./-", GAP),
    (b"bBfFrRuU", PREFIX),  # of a string in Python
    (b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", JOINED),  # by an apostrophe
):
    CLASS[list(members)] |= np.uint8(bit)
LOCAL_MAX = 64  # most characters before the @
LEAST_IBAN = 11  # fewest characters after country code and check digits (Norway)
IPV6_MAX = 40  # most bytes of an address
FIELD_MAX = 16  # more digits than a phone number has


def candidates(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the places in text order, i64 [n_candidates, 3]: document, byte position in `data`, kind.

    data u8 [n_bytes]: the documents' UTF-8 one after the other; offsets i64 [n_documents + 1]: where each begins.
    """
    marks = mark(data)
    found = np.empty((1024 + len(data) // 256, 3), dtype=np.int64)
    n = scan(data, marks, offsets, found)
    if n > len(found):  # rare: a text of numbers
        found = np.empty((n, 3), dtype=np.int64)
        scan(data, marks, offsets, found)
    return found[:n]


@jit
def scan(data, marks, offsets, found):
    """Fill `found` as far as it reaches; return the number of candidates there are. marks: where an @ or a digit is."""
    n = 0
    for document in range(len(offsets) - 1):
        begin, end = offsets[document], offsets[document + 1]
        i = next_marked(marks, begin, end)
        while i < end:
            if data[i] == AT:
                start = email_start(data, begin, end, i)
                if start >= 0:
                    n = put(found, n, document, start, EMAIL)
                i += 1
            else:
                stop = after_digits(data, i, end, end - i)
                n = number(data, begin, end, i, stop, document, found, n)
                i = stop
            i = next_marked(marks, i, end)
    return n


@jit
def put(found, n, document, position, kind):
    if n < len(found):
        found[n, 0], found[n, 1], found[n, 2] = document, position, kind
    return n + 1


@jit
def email_start(data, begin, end, at):
    """Return where an address's bytes before the @ begin; -1 if they or what follows cannot be an address."""
    if at + 1 >= end or (data[at + 1] < 128 and CLASS[data[at + 1]] & (LETTER | DIGIT) == 0):
        return -1
    i = at
    n = 0
    while i > begin and n <= LOCAL_MAX:
        byte = data[i - 1]
        if CLASS[byte] & LOCAL or (byte == 39 and joins(data, begin, i - 1)):
            i -= 1
        elif 128 <= byte < 192 and i - 2 >= begin and is_letter(data[i - 2], byte):
            i -= 2
        else:
            break
        n += 1
    return i if 0 < n <= LOCAL_MAX and data[i] != 46 else -1


@jit
def is_letter(lead, byte):
    """Is it U+00C0 to U+024F or U+0370 to U+052F, a letter of Latin alphabets beyond ASCII, Greek or Cyrillic?"""
    if lead <= 0xC9:
        return lead >= 0xC3 and (lead < 0xC9 or byte <= 0x8F)
    return (0xCE <= lead <= 0xD3) or (lead == 0xCD and byte >= 0xB0) or (lead == 0xD4 and byte <= 0xAF)


@jit
def joins(data, begin, i):
    """Does an apostrophe at i stand between two letters of ASCII, and not behind the prefix of a string of Python's?"""
    if i == begin or not (CLASS[data[i - 1]] & JOINED and CLASS[data[i + 1]] & JOINED):
        return False
    first = i
    while first > begin and i - first < 2 and CLASS[data[first - 1]] & PREFIX:
        first -= 1
    if first == i:
        return True
    before = data[first - 1] if first > begin else 0
    if before >= 128:
        return before < 192 and first - 2 >= begin and is_letter(data[first - 2], before)
    return CLASS[before] & LOCAL != 0 or before == 39


@jit
def number(data, begin, end, start, stop, document, found, n):
    """Add the candidates that begin at the digits [start, stop), or at a sign, bracket or country code before them;
    return their number."""
    length = stop - start
    before = data[start - 1] if start > begin else 0
    after = data[stop] if stop < end else 0
    if length <= 4 and (before == 58 or after == 58 or (CLASS[before] | CLASS[after]) & HEX):
        first_group = ipv6_start(data, begin, end, start)
        if first_group >= 0:
            n = put(found, n, document, first_group, IPV6)
    if CLASS[before] & (LETTER | DIGIT):
        if length >= 2 and is_iban(data, begin, end, start):
            n = put(found, n, document, start - 2, IBAN)
        return n
    if before == 46:  # a dot stands before no kind
        return n
    if length <= 3 and after == 46 and is_ipv4(data, stop, end):
        n = put(found, n, document, start, IPV4)
    if before == 45:  # nor a hyphen
        return n
    if (12 <= length <= 19 or (length == 4 and (after == 32 or after == 45))) and is_card(data, start, end):
        n = put(found, n, document, start, CARD)
    if length == 9 or (length == 3 and (after == 32 or after == 45) and is_ssn(data, stop, end)):
        n = put(found, n, document, start, SSN)
    if length < FIELD_MAX and (length >= 7 or CLASS[after] & GAP) and before != 47:
        n = phone(data, begin, end, start, length, before, after, document, found, n)
    return n


@jit
def phone(data, begin, end, start, length, before, after, document, found, n):
    """Add the candidates for a phone that begin at `length` digits from `start` on, or at a sign or bracket before."""
    digits = digits_ahead(data, start, end)
    if digits < 7:
        return n
    first, second = data[start], data[start + 1]
    in_row = before == 32 and start - 2 >= begin and CLASS[data[start - 2]] & DIGIT  # such have few forms
    alone = not in_row or after == 46 or after == 47 or 5 <= length <= 6
    trunk = first == 48 and ((49 <= second <= 57 and alone) or (second == 48 and data[start + 2] != 48))  # 030, 0049
    if before == 43:
        if after == 41 and start - 2 >= begin and data[start - 2] == 40:  # (+49)
            n = put(found, n, document, start - 2, PHONE)
        return put(found, n, document, start - 1, PHONE)
    if before == 61 and not (trunk and second == 48) and not is_announced(data, begin, start):
        return n
    if before == 40 and (after == 41 or first == 48):
        n = put(found, n, document, start - 1, PHONE)
    if is_announced(data, begin, start) or (
        CLASS[after] & GAP
        and (
            (digits >= 10 and length == 3 and (after == 45 or after == 46))
            or (digits >= 8 and trunk)
            or (digits >= 11 and first == 49 and (length == 1 or 3 <= length <= 4))  # 1415-555-2671; 138 1234 5678
            or (digits >= 11 and first == 56 and length == 1)
        )
    ):
        n = put(found, n, document, start, PHONE)
    return n


@jit
def is_iban(data, begin, end, start):
    if start - 2 < begin or not (CLASS[data[start - 1]] & LETTER and CLASS[data[start - 2]] & LETTER):
        return False
    if start - 2 > begin and CLASS[data[start - 3]] & (LETTER | DIGIT):
        return False
    n = 0
    i = start + 2
    while i < end and n < LEAST_IBAN:
        if CLASS[data[i]] & (LETTER | DIGIT):
            n += 1
        elif (data[i] != 32 and data[i] != 45) or data[i - 1] == data[i]:
            break
        i += 1
    return n == LEAST_IBAN


@jit
def ipv6_start(data, begin, end, start):
    """Where the hexadecimal digits and colons begin among which `start` is the first decimal one, if an address may
    stand there, or -1: four digits of which the first is 2 or 3, and a colon, or three colons and three digits in a
    row."""
    first = start
    while first > begin and start - first < IPV6_MAX and (CLASS[data[first - 1]] & HEX or data[first - 1] == 58):
        first -= 1
        if CLASS[data[first]] & DIGIT:
            return -1
    colons = row = longest = 0
    i = first
    while i < end and i - first < IPV6_MAX:
        if data[i] == 58:
            if i - first == 4 and colons == 0 and 50 <= data[first] <= 51:
                return first
            colons, row = colons + 1, 0
        elif CLASS[data[i]] & HEX:
            row += 1
            longest = max(longest, row)
        else:
            break
        i += 1
    return first if colons >= 3 and longest >= 3 else -1


@jit
def is_ipv4(data, dot, end):
    """Do three groups follow of a dot and one to three digits, from the first dot on?"""
    i = dot
    for _ in range(3):
        if i + 1 >= end or data[i] != 46 or not CLASS[data[i + 1]] & DIGIT:
            return False
        i = after_digits(data, i + 1, end, 4)
    return True


@jit
def is_card(data, start, end):
    """Do 12 digits and more stand here whose last is the check digit of those before (Luhn's): a run of them, or three
    or more groups with one gap between?"""
    i = start
    n = groups = gap = 0
    even = odd = 0  # the sum if every second digit from the first, or from the second on, is doubled
    while True:
        begin = i
        while i < end and i - begin < 20 and CLASS[data[i]] & DIGIT:
            digit = data[i] - 48
            doubled = 2 * digit - 9 if digit > 4 else 2 * digit
            even, odd = (even + doubled, odd + digit) if n & 1 == 0 else (even + digit, odd + doubled)
            n += 1
            i += 1
        groups += 1
        if n >= 12 and groups != 2 and (odd if n & 1 else even) % 10 == 0:
            return True
        if n >= 19 or i >= end or i - begin < 4 or (groups > 1 and data[i] != gap):
            return False
        gap = data[i]
        if gap != 32 and gap != 45:
            return False
        i += 1


@jit
def is_ssn(data, gap, end):
    middle = after_digits(data, gap + 1, end, 3)
    return (
        middle - gap == 3
        and middle < end
        and data[middle] == data[gap]
        and (after_digits(data, middle + 1, end, 5) - middle == 5)
    )


@jit
def after_digits(data, i, end, most):
    """Return the position after the digits from i on, of which at most `most` are read."""
    limit = min(end, i + most)
    while i < limit and CLASS[data[i]] & DIGIT:
        i += 1
    return i


@jit
def digits_ahead(data, start, end):
    """Count the digits that follow with at most two blanks, brackets, dots, slashes or hyphens between; up to 16."""
    n = gap = 0
    i = start
    while i < end and n < FIELD_MAX:
        kind = CLASS[data[i]]
        if kind & DIGIT:
            n += 1
            gap = 0
        elif kind & GAP and gap < 2:
            gap += 1
        else:
            break
        i += 1
    return n
