"""Parses the small parts of markup: names, attributes and their words, ends of raw text, characters of running text."""

from kernels.jit import jit
from kernels.tags import find, fnv, table

# what `attributes` finds; an id's cue is told apart, because an id is often made from a heading
CUE, HREF, SELF_CLOSED, PUBLISHED, ID_CUE, ID_START, ID_END, ALT_START, ALT_END, FOUND_FIELDS = range(10)
FNV, PRIME, MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF
NO_CUE, WORDS, LINK, STYLE, HIDDEN, ARIA_HIDDEN, PROPERTY, VALUE, ID, ALT = range(10)
KNOWN = table(
    {
        fnv(name): value
        for names, value in {
            b"class role itemprop": WORDS,
            b"id": ID,
            b"href": LINK,
            b"style": STYLE,
            b"hidden": HIDDEN,
            b"aria-hidden": ARIA_HIDDEN,
            b"property name": PROPERTY,
            b"content": VALUE,
            b"alt": ALT,
        }.items()
        for name in names.split()
    }
)
NAME = fnv(b"=")
TYPE, TIME, TRUE, ARTICLE = fnv(b"og:type"), fnv(b"article:published_time"), fnv(b"true"), fnv(b"article")
UNSEEN = table(
    {
        fnv(style + end): 1
        for style in (b"display:none", b"visibility:hidden", b"visibility:collapse")
        for end in (b"", b"!important")
    }
)
BLANK, INVISIBLE = 1, 2
REFERENCES = table(
    {
        fnv(name): value
        for names, value in {
            b"nbsp #160 #xa0 ensp emsp thinsp": BLANK,
            b"shy #173 #xad #8203 #x200b #65279": INVISIBLE,
        }.items()
        for name in names.split()
    }
)
SHARED, AN_ARTICLE = 1, 2  # a page that tells social networks what it is, and one that calls itself an article
# cues of elements: boilerplate, content, what readers wrote (and dialogs), captions
DROP, CONTENT, REPLIES, PICTURES = 1, 2, 4, 8
FORMULA = 16  # an image that shows one; its alternative text is the formula
HIDES, UNREAD = 1 << 8, 1 << 9  # cues: not to be seen, not to be read out (as all is that a dialog stands before)


@jit
def is_space(byte):
    return byte == 32 or 9 <= byte <= 13


@jit
def lower(byte):
    return byte + 32 if 65 <= byte <= 90 else byte


@jit
def is_letter(byte):
    return 97 <= (byte | 32) <= 122


@jit
def seek(data, start, byte):
    """Return where `byte` next stands in data, or the end of data."""
    while start < len(data) and data[start] != byte:
        start += 1
    return start


@jit
def mark_end(data, start, byte):
    """Return the place behind the next `-->` or `]]>` (`byte` is its first) from start on, or -1; `<!-->` ends
    itself."""
    i = start
    while True:
        i = seek(data, i, 62)
        if i >= len(data):
            return -1
        if i >= start + 2 and data[i - 1] == byte and data[i - 2] == byte:
            return i + 1
        if byte == 45 and i >= start + 4 and data[i - 1] == 33 and data[i - 2] == 45 and data[i - 3] == 45:
            return i + 1
        i += 1


@jit
def name_hash(data, i):
    """Read an element's name that begins at i; return its hash, whether it has a hyphen, and where it ends."""
    value, dashed = FNV, False
    while i < len(data):
        byte = lower(data[i])
        if is_space(byte) or byte == 47 or byte == 62:
            break
        dashed |= byte == 45
        value = (value ^ byte) * PRIME & MASK
        i += 1
    return value, dashed, i


@jit
def raw_end(data, i, hashed):
    """Return where the `</name` of a raw-text element stands, from i on, or -1."""
    while True:
        i = seek(data, i, 60)
        if i + 2 >= len(data):
            return -1
        if data[i + 1] == 47:
            value, _, _ = name_hash(data, i + 2)
            if value == hashed:
                return i
        i += 1


@jit
def attributes(data, i, cues, found, quotes, is_meta):
    """Read a start tag's attributes from i on into `found` (columns CUE to ALT_END) and return where the tag ends.
    Negative if it does not; if `quotes` is False it ends at the first '>'."""
    n = len(data)
    found[:] = 0
    prop, says_article, shared = 0, False, False
    while i < n:
        byte = data[i]
        if byte == 62:
            if is_meta and (prop == TIME or (prop == TYPE and says_article)):
                found[PUBLISHED] = AN_ARTICLE
            elif shared:
                found[PUBLISHED] = SHARED
            return i + 1
        if is_space(byte) or byte == 47:
            found[SELF_CLOSED] = byte == 47
            i += 1
            continue
        found[SELF_CLOSED] = 0
        value = FNV
        first = True
        while i < n:  # its name
            byte = lower(data[i])
            if is_space(byte) or byte == 47 or byte == 62 or (byte == 61 and not first):
                break
            value = (value ^ byte) * PRIME & MASK
            first = False
            i += 1
        what = find(KNOWN, value)
        k = i
        while k < n and is_space(data[k]):
            k += 1
        start = end = i
        if k < n and data[k] == 61:
            i = k + 1
            while i < n and is_space(data[i]):
                i += 1
            start = i
            if quotes and i < n and (data[i] == 34 or data[i] == 39):
                start = i + 1
                i = end = seek(data, start, data[i])
                i += 1
            else:
                while i < n and data[i] != 62 and not is_space(data[i]):
                    i += 1
                end = i
        if what == NO_CUE or i > n:
            continue
        if what == WORDS:
            found[CUE] |= words(data, start, end, cues)
        elif what == ID:
            found[ID_CUE] |= words(data, start, end, cues)
            found[ID_START], found[ID_END] = start, end
        elif what == LINK:
            found[HREF] = 1
        elif what == ALT:
            found[ALT_START], found[ALT_END] = start, end
        elif what == HIDDEN:
            found[CUE] |= HIDES
        elif what == ARIA_HIDDEN:
            found[CUE] |= UNREAD if value_hash(data, start, end) == TRUE else 0
        elif what == STYLE:
            found[CUE] |= HIDES if hides(data, start, end) else 0
        elif is_meta and what == PROPERTY:
            prop = value_hash(data, start, end)
            shared = end > start + 2 and lower(data[start]) == 111 and lower(data[start + 1]) == 103
            shared = shared and data[start + 2] == 58  # og:
        elif is_meta and what == VALUE:
            says_article = value_hash(data, start, end) == ARTICLE
    return -1 if quotes else n


@jit
def value_hash(data, start, end):
    value = FNV
    for i in range(start, end):
        value = (value ^ lower(data[i])) * PRIME & MASK
    return value


@jit
def hides(data, start, end):
    """Does a style say that the element is not to be seen?"""
    value = FNV
    for i in range(start, end + 1):
        byte = lower(data[i]) if i < end else 59
        if byte == 59:
            if find(UNSEEN, value):
                return True
            value = FNV
        elif not is_space(byte):
            value = (value ^ byte) * PRIME & MASK
    return False


@jit
def words(data, start, end, cues):
    """Return the cues of all names in data[start:end] (written "=name"), of their words, and of pairs of neighbouring
    words in a name, joined. A word ends at a byte that is no letter, and before a capital that follows a small
    letter."""
    result, word, pair, name, length, previous, before = 0, FNV, FNV, NAME, 0, FNV, 0
    for i in range(start, end + 1):
        byte = data[i] if i < end else 32
        letter = is_letter(byte) or byte >= 128
        if length and (not letter or (65 <= byte <= 90 and before >= 97)):
            result |= find(cues, word)
            if previous != FNV:
                result |= find(cues, pair)
            previous, length = word, 0
        low = lower(byte)
        if is_space(byte):  # words of two names are no pair
            result |= find(cues, name)
            previous, name = FNV, NAME
        else:
            name = (name ^ low) * PRIME & MASK
        if letter:
            if length == 0:
                word, pair = FNV, (previous ^ 32) * PRIME & MASK
            word = (word ^ low) * PRIME & MASK
            pair = (pair ^ low) * PRIME & MASK
            length += 1
        before = byte
    return result


@jit
def is_invisible(one, two, three):
    """Are these three bytes a zero-width space or a byte order mark?"""
    return (one == 0xE2 and two == 0x80 and three == 0x8B) or (one == 0xEF and two == 0xBB and three == 0xBF)


@jit
def append(data, i, end, text, at, begin, verbatim):
    """Write data[i:end] as running text to text[at:] (the block begins at `begin`); return where it ends. Blanks
    collapse unless `verbatim`, no-break spaces become spaces; NUL, soft hyphens and zero-width spaces vanish."""
    while i < end:
        byte = data[i]
        size, blank = 1, False
        if byte == 38:
            k, value = i + 1, FNV
            while k < end and k < i + 10 and (is_letter(data[k]) or 48 <= data[k] <= 57 or data[k] == 35):
                value = (value ^ lower(data[k])) * PRIME & MASK
                k += 1
            what = find(REFERENCES, value)
            if what:
                i = k + 1 if k < end and data[k] == 59 else k
                if what == INVISIBLE:
                    continue
                size, blank = 0, True
        elif byte == 0xC2 and i + 1 < end and (data[i + 1] == 0xA0 or data[i + 1] == 0xAD):
            i += 2
            if data[i - 1] == 0xAD:
                continue
            size, blank = 0, True
        elif i + 2 < end and is_invisible(byte, data[i + 1], data[i + 2]):
            i += 3
            continue
        elif byte <= 32:
            if byte == 0 or (verbatim and byte == 13):
                i += 1
                continue
            blank = not verbatim or byte > 13
        i += size
        if not blank:
            text[at] = byte
            at += 1
        elif verbatim or (at > begin and text[at - 1] != 32 and text[at - 1] != 10):
            text[at] = 32
            at += 1
    return at
