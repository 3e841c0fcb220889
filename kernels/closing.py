"""Finds what stands behind an article within its own element: lines that close it (whose copyright it is, who reported,
where to write to, whom to follow) and what follows a label of other articles or of readers' words.

Labels are told by their first word or two, in any case of ASCII letters, and count only behind half of what is kept
and where little follows in the same element: one may stand between paragraphs of the article, over a box.
"""

import numpy as np

from kernels.html_tree import END, KIND_OF, NODE, PARENT, START, is_within
from kernels.jit import jit
from kernels.labels import bits_of, phrases
from kernels.markup import FNV, MASK, PRIME, is_letter, lower
from kernels.tags import TAG, fnv

LABELS = """
related, more from, more on, more about, more of, more stories, more news, more in, more articles, more like,
more information, you may, you might, like this, recommended, read more, read next, read also, also read, also see,
also on, dont miss, most read, most popular, most viewed, most commented, top stories, latest news, latest stories,
trending, leave a, join the, visitor opinions, reader comments, mehr zum, lesen sie, das könnte, verwandte,
weitere artikel, weitere themen,
lire aussi, à lire, À lire, sur le, notícias relacionadas, leia também, leia mais, noticias relacionadas, te puede,
lea también, leggi anche, articoli correlati, читайте также, Читайте также, 相关推荐, 相关阅读, 相关新闻, 相关文章,
推荐阅读, 为您推荐, 関連記事, 관련기사, 관련 기사
"""
# with a number, or without
ALONE = "also, more, comments, kommentare, commentaires, comentarios, comentários, discussion, 评论, コメント"
# within the first words of what stands in brackets
AGENCY = "reporting, reported by, editing, edited by, writing by, written by, compiled by, story was, end, ends"
RESERVED = """
rights reserved, rechte vorbehalten, droits réservés, derechos reservados, direitos reservados, diritti riservati,
права защищены
"""
FOLLOW, NETWORK, OWNED, LABEL, ONLY, DESK = 1, 2, 4, 8, 16, 32
WORDS = {"follow": FOLLOW, "twitter": NETWORK, "facebook": NETWORK, "instagram": NETWORK}
LONGEST_LABEL, LONGEST_LINE = 80, 350  # bytes
COLON = 58
MOST = 8  # lines that close an article
HALF, FOLLOWING = 0.5, 0.15  # of what is kept: before a label, and behind it
TD, TH, PRE, LISTING, XMP = TAG["td"], TAG["th"], TAG["pre"], TAG["listing"], TAG["xmp"]
COPYRIGHT = fnv(b"copyright")
PHRASES = phrases({LABELS: LABEL, ALONE: ONLY, RESERVED: OWNED, AGENCY: DESK}, WORDS)


@jit
def drop_closing(nodes: np.ndarray, blocks: np.ndarray, text: np.ndarray, kept: np.ndarray) -> None:
    """Clear `kept`, bool [n_blocks], of what stands behind the article, in place; at least its first block stays."""
    first, last, total = -1, -1, 0
    for b in range(len(blocks)):
        if kept[b]:
            first, last = b if first < 0 else first, b
            total += blocks[b, END] - blocks[b, START]
    own, before = np.zeros(len(nodes), dtype=np.int64), 0  # bytes of the kept blocks whose parent it is
    b = first
    while b <= last and b >= 0:
        up, size = nodes[blocks[b, NODE], PARENT], blocks[b, END] - blocks[b, START]
        # one that goes anyway (a short line) counts where nothing stands before it
        stands = before >= HALF * total and size <= LONGEST_LABEL and (kept[b] or own[up] == 0)
        if stands and is_label(text, blocks[b, START], blocks[b, END]):
            end, below = reach(nodes, blocks, kept, b)
            if below <= FOLLOWING * total:
                kept[b:end] = False
                b = end
                continue
        if kept[b]:
            before += size
            own[up] += size
        b += 1
    dropped = 0
    for b in range(last, first, -1):
        if not kept[b]:
            continue
        tag = nodes[blocks[b, NODE], KIND_OF]
        if (
            tag in (TD, TH, PRE, LISTING, XMP)
            or dropped == MOST
            or not is_closing(text, blocks[b, START], blocks[b, END])
        ):
            break
        kept[b] = False
        dropped += 1


@jit
def reach(nodes, blocks, kept, b):
    """Return the number of the first block that is not in the parent of block b's element, and the bytes of the kept
    ones from b up to it."""
    up, end, size = nodes[blocks[b, NODE], PARENT], b, 0
    while end < len(blocks):
        if not is_within(nodes, blocks[end, NODE], up):
            break
        size += (blocks[end, END] - blocks[end, START]) if kept[end] else 0
        end += 1
    return end, size


@jit
def is_label(text, start, end):
    """Do the first words say that other articles or readers' words follow, and is it no sentence?"""
    if text[end - 1] in (33, 46):  # ! .
        return False
    for k in range(start, end - 1):
        if text[k] == COLON:  # Read more: another headline
            return False
    found, words = bits_of(text, start, end, 2, PHRASES)
    return bool(found & LABEL or (found & ONLY and words == 1))


@jit
def is_closing(text, start, end):
    """Is it a line that ends an article?"""
    size, last = end - start, end - 1
    if size > LONGEST_LINE:
        return False
    if text[last] == 46:
        last -= 1
    if (text[start] == 40 and text[last] == 41) or (text[start] == 91 and text[last] == 93):  # (Reporting by ...)
        found, _ = bits_of(text, start, end, 3, PHRASES)
        return bool(found & DESK)
    for k in range(start + 1, end - 1):
        if text[k] == 64 and is_letter(text[k - 1]) and is_letter(text[k + 1]):  # an address
            return True
    found, _ = bits_of(text, start, end, size, PHRASES)
    return bool(found & OWNED or found & (FOLLOW | NETWORK) == FOLLOW | NETWORK) or is_owned(text, start, end)


@jit
def is_owned(text, start, end):
    """Does it begin with the sign of copyright, or with the word and a year, a colon or the sign?"""
    word, k = FNV, start
    while k < end and is_letter(text[k]):
        word = (word ^ lower(text[k])) * PRIME & MASK
        k += 1
    if k > start and word != COPYRIGHT:
        return False
    while k < end and text[k] == 32:
        k += 1
    if k > start:
        return k < end and (48 <= text[k] <= 58 or text[k] in (0xC2, 38, 40))  # digit, colon, ©, &copy;, (c)
    if start + 5 < end and text[start] == 38:
        return (text[start + 1] == 99 and text[start + 4] == 121) or (text[start + 3] == 54 and text[start + 4] == 57)
    return start + 1 < end and text[start] == 0xC2 and text[start + 1] == 0xA9
