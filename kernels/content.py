"""Chooses which blocks of a page are its content, and composes them as text, from what kernels/html.py found.

1. `prose`: a block's bytes outside links, if it is long enough and mostly no link. An element has the prose below it.
2. Elements that tag, class or id call boilerplate are out, unless they hold too large a share of the page's prose to be
   that (KEPT_SHARE): a name may mean anything.
3. From the page down: to the child with the elements that are called content, while these hold MARKED_SHARE of the
   prose at hand, or to the child that alone holds ROOT_SHARE of it. A page that does not call itself an article counts
   shorter blocks as prose and stops at the element that is called content: reference pages are made of short blocks.
4. Of the blocks in that element, those stay that are no list of links, no caption, no short label (on an article's
   page) and no heading without text below it; what stands between the page's <h1> and the element, if it is prose, too.
   In a gallery or a slide show all is captions, if it is not too large a share.
5. An article's page loses teasers of other articles (kernels/teasers.py), what closes it (kernels/closing.py) and what
   it repeats (kernels/page_repeats.py).
"""

import numpy as np

from kernels.closing import drop_closing
from kernels.headings import H1, H6, LABEL, drop_empty, drop_last
from kernels.html_tree import CUES, END, GLUED, KIND_OF, LINK, NODE, PARENT, START
from kernels.jit import jit
from kernels.markup import HIDES, UNREAD
from kernels.page_repeats import drop_repeated
from kernels.running_text import is_running
from kernels.slugs import REPLIES
from kernels.tags import BLOCK, HOLDS, KIND, TAG
from kernels.teasers import drop_teasers

DROP, CONTENT, PICTURES = 1, 2, 8  # cues, and REPLIES: boilerplate, content, captions, what readers wrote
MIN_PROSE, MIN_PHRASE = 60, 25  # bytes, on a page that calls itself an article and on another
MAX_LINKED = 0.33  # of a block of prose
KEPT_SHARE = 0.4
ASIDE_SHARE = 0.6
SENTENCES = 80  # bytes of a paragraph around a link
REPLIES_SHARE = 0.9
HIDDEN_ARTICLE = 600  # bytes: shorter than an article that waits for a script to show it
MARKED_SHARE = 0.55
ROOT_SHARE = 0.8
DIRECT = 400  # bytes of paragraphs of an element's own: it is no frame around another
LINKED_LIST = 0.5
MOST_LEADS = 4  # blocks of a standfirst
ARTICLE, MAIN, SECTION, P, LI, PRE = (TAG[name] for name in ["article", "main", "section", "p", "li", "pre"])
A = TAG["a"]
TD, TH, TR, DD, DT = (TAG[name] for name in ["td", "th", "tr", "dd", "dt"])
NAV, FOOTER, ASIDE, DIALOG, MENU = (TAG[name] for name in ["nav", "footer", "aside", "dialog", "menu"])
HEADER, FORM, FIGCAPTION, FIGURE, TABLE = (TAG[name] for name in ["header", "form", "figcaption", "figure", "table"])
LISTING, XMP = TAG["listing"], TAG["xmp"]


@jit
def choose(nodes: np.ndarray, blocks: np.ndarray, text: np.ndarray, is_article: bool, is_shared: bool) -> tuple:
    """Return whether each block is content, bool [n_blocks], and the number of the page's first <h1> block, or -1."""
    n, m = len(nodes), len(blocks)
    prose, size, links, mass = np.zeros(m), np.zeros(n), np.zeros(n), np.zeros(n)
    for b in range(m):
        length, linked, node = blocks[b, END] - blocks[b, START], blocks[b, LINK], blocks[b, NODE]
        if length - linked >= (MIN_PROSE if is_article else MIN_PHRASE) and linked < MAX_LINKED * length:
            prose[b] = length - linked
        mass[node] += prose[b]
        size[node] += length
        links[node] += linked
    own = mass.copy()  # what stands in an element itself
    add_up(nodes, mass)
    add_up(nodes, size)
    add_up(nodes, links)
    sentence = in_sentences(nodes, blocks)
    out = boilerplate(nodes, mass, sentence)
    root = root_of(nodes, blocks, prose, out, is_article)
    headline = is_article or nodes[root, KIND_OF] == ARTICLE  # the page's title says it
    is_article = headline or (is_shared and is_running(nodes, blocks, root, out))
    if is_article:
        drop_teasers(nodes, blocks, mass, root, out)
    h1 = -1
    for b in range(m):
        if nodes[blocks[b, NODE], KIND_OF] == H1 and not out[blocks[b, NODE]]:
            h1 = b
            break
    inside, pictured = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    inside[root] = True
    for i in range(1, n):
        up, tag = nodes[i, PARENT], nodes[i, KIND_OF]
        inside[i] |= inside[up] and not out[i]
        pictured[i] = (pictured[up] or tag in (FIGURE, FIGCAPTION)) and tag != TABLE and tag != PRE
        pictured[i] |= nodes[i, CUES] & PICTURES and mass[i] <= KEPT_SHARE * mass[root]
    kept = np.zeros(m, dtype=np.bool_)
    any_kept = False
    for b in range(m):
        node = blocks[b, NODE]
        if inside[node] and not (pictured[node] and is_article):
            kept[b] = sentence[node] or is_content(blocks[b], nodes, size, links, own, is_article, headline)
            any_kept |= kept[b]
    if not any_kept:
        for b in range(m):
            kept[b] = not out[blocks[b, NODE]]
        return kept, h1
    lead(nodes, blocks, prose, out, inside, pictured, root, kept)
    if is_article:
        drop_closing(nodes, blocks, text, kept)
    drop_last(nodes, blocks, kept)
    if is_article:
        drop_empty(nodes, blocks, kept)
        drop_repeated(nodes, blocks, text, kept)
    return kept, h1


@jit
def add_up(nodes, values):
    """Add to every element's value those of the elements below it, in place."""
    for i in range(len(nodes) - 1, 0, -1):
        values[nodes[i, PARENT]] += values[i]


@jit
def in_sentences(nodes, blocks):
    """Return whether an element is a link with text of its own paragraph before and behind it, bool [n_nodes]: what a
    link within a sentence is called (`popup`, `footnote`) says how it works."""
    result, unlinked = np.zeros(len(nodes), dtype=np.bool_), np.zeros(len(nodes))
    for b in range(len(blocks)):
        unlinked[blocks[b, NODE]] += blocks[b, END] - blocks[b, START] - blocks[b, LINK]
    for b in range(1, len(blocks) - 1):
        node = blocks[b, NODE]
        if nodes[node, KIND_OF] == A and blocks[b, GLUED] and blocks[b + 1, GLUED]:
            result[node] = unlinked[nodes[node, PARENT]] >= SENTENCES
    return result


@jit
def boilerplate(nodes, mass, sentence):
    """Return whether an element, or one around it, is marked as boilerplate: bool [n_nodes]."""
    out = np.zeros(len(nodes), dtype=np.bool_)
    framed = np.zeros(len(nodes), dtype=np.bool_)  # inside an element that cannot hold the page's own header
    for i in range(1, len(nodes)):
        up, tag, cue = nodes[i, PARENT], nodes[i, KIND_OF], nodes[i, CUES]
        framed[i] = framed[up] or tag in (ARTICLE, MAIN, SECTION)
        called = cue & ((0 if sentence[i] else DROP) | HIDES | UNREAD) or tag in (NAV, FOOTER, ASIDE, DIALOG, MENU)
        called = called or tag == FORM or (tag == HEADER and not framed[up])
        share = REPLIES_SHARE if cue & REPLIES else (ASIDE_SHARE if tag == ASIDE else KEPT_SHARE)
        share = 1.0 if cue & HIDES and mass[i] < HIDDEN_ARTICLE else share
        out[i] = out[up] or ((called or cue & REPLIES) and mass[i] <= share * mass[0])
    return out


@jit
def root_of(nodes, blocks, prose, out, is_article):
    """Return the element that holds the content."""
    n = len(nodes)
    mass, marked = np.zeros(n), np.zeros(n)  # marked: the prose of the best element at or below that is called content
    for b in range(len(blocks)):
        if not out[blocks[b, NODE]]:
            mass[blocks[b, NODE]] += prose[b]
    add_up(nodes, mass)
    direct = np.zeros(n)  # the prose of paragraphs that stand in an element itself
    for b in range(len(blocks)):
        node = blocks[b, NODE]
        if nodes[node, KIND_OF] == P and not out[node] and not blocks[b, GLUED]:
            direct[nodes[node, PARENT]] += prose[b]
    heaviest, likeliest = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for i in range(n - 1, 0, -1):
        up, tag = nodes[i, PARENT], nodes[i, KIND_OF]
        if out[i] or not KIND[tag] & HOLDS or mass[i] == 0:
            continue
        if nodes[i, CUES] & CONTENT or tag in (ARTICLE, MAIN):
            marked[i] = max(marked[i], mass[i])
        if marked[i] > 0 and marked[i] >= marked[up]:
            marked[up], likeliest[up] = marked[i], i
        if mass[i] >= mass[heaviest[up]] or heaviest[up] == 0:
            heaviest[up] = i
    root = 0
    while True:
        child = likeliest[root]
        if child and marked[child] >= MARKED_SHARE * mass[root]:
            root = child
            continue
        child = heaviest[root]
        if nodes[root, CUES] & CONTENT and (not is_article or direct[root] >= DIRECT):
            return root
        if child and mass[child] >= ROOT_SHARE * mass[root]:
            root = child
            continue
        return root


@jit
def is_content(block, nodes, size, links, own, is_article, headline):
    """Is a block inside the content's element content itself? headline: whether an <h1> is none."""
    node = block[NODE]
    tag, up = nodes[node, KIND_OF], nodes[node, PARENT]
    length = block[END] - block[START]
    linked = block[LINK] / length
    if tag in (LI, TD, TH, DD, DT):
        return links[up] < LINKED_LIST * size[up] or (not is_article and linked < 0.9)
    if tag in (PRE, LISTING, XMP):
        return True
    if tag == P or block[GLUED]:
        return linked < 0.5 or (linked < 0.8 and length > 80)
    if H1 <= tag <= H6:
        return linked < 0.8 and not (headline and tag == H1)
    return linked < 0.5 and (length >= LABEL or not is_article or own[node] >= DIRECT)  # among paragraphs without <p>


@jit
def lead(nodes, blocks, prose, out, inside, pictured, root, kept):
    """Keep the prose between the <h1> before the content's element and that element: the page's standfirst, and the
    paragraphs of another element that is called content within the one that holds both."""
    start = 0
    while start < len(blocks) and not inside[blocks[start, NODE]]:
        start += 1
    head = start - 1
    while head >= 0 and nodes[blocks[head, NODE], KIND_OF] != H1:
        head -= 1
    if head < 0:
        return
    frame, up = 0, nodes[root, PARENT]
    while up > 0:
        frame = up if is_called_content(nodes[up]) else frame
        up = nodes[up, PARENT]
    found, parts = 0, False
    for b in range(head + 1, start):
        node = blocks[b, NODE]
        tag = nodes[node, KIND_OF]
        if not out[node] and not pictured[node] and prose[b] >= 80 and tag != TD and tag != LI:
            part = frame > 0 and tag == P and node > frame and is_called_content(nodes[nodes[node, PARENT]])
            parts |= part
            kept[b] = part or not parts
            found += not parts
    if found > MOST_LEADS:  # no standfirst: what else stands at the head of a page
        kept[head + 1 : start] = False


@jit
def is_called_content(node):
    return node[CUES] & CONTENT or node[KIND_OF] in (ARTICLE, MAIN)


@jit
def compose(nodes: np.ndarray, blocks: np.ndarray, text: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return the kept blocks as one text, u8 [n_bytes]: paragraphs separated by an empty line, "- " before list items,
    the cells of a table's row (if each holds one block at most) joined by " | ", <pre> unchanged."""
    n, m = len(nodes), len(blocks)
    row, item, own = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    code = np.zeros(n, dtype=np.int64)  # the <pre> around it, whose lines may be elements
    cells, filled = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for i in range(1, n):
        up, tag = nodes[i, PARENT], nodes[i, KIND_OF]
        own[i] = i if KIND[tag] & BLOCK else own[up]  # the element that an inline one stands in
        row[i] = i if tag == TR else row[up]
        code[i] = i if tag == PRE else code[up]
        item[i] = i if tag == LI else (0 if tag == TABLE else item[up])
        cells[up] += tag in (TD, TH)
    size = 0
    for b in range(m):
        filled[blocks[b, NODE]] += kept[b] and not blocks[b, GLUED]
        size += (blocks[b, END] - blocks[b, START] + 5) if kept[b] else 0
    add_up(nodes, filled)
    result = np.empty(size, dtype=np.uint8)
    at, before, is_line = 0, -1, False  # is_line: the block before is one
    for b in range(m):
        if not kept[b]:
            continue
        node = blocks[b, NODE]
        last = blocks[before, NODE] if before >= 0 else -1
        joined = before >= 0 and blocks[b, GLUED] and own[node] == own[last]
        if joined:
            result[at] = 32
            at += 1
        elif before >= 0 and row[node] and row[node] == row[last] and filled[row[node]] <= cells[row[node]]:
            result[at], result[at + 1], result[at + 2] = 32, 124, 32
            at += 3
        elif before >= 0:
            tight = (
                (row[node] and row[last])
                or (is_line and code[node] and code[node] == code[last])
                or (item[node] and item[last] and item[node] != item[last])
            )
            result[at] = result[at + 1] = 10
            at += 1 if tight else 2
        if item[node] and not joined and (before < 0 or item[node] != item[last]):
            result[at], result[at + 1] = 45, 32
            at += 2
        is_line = True
        for k in range(blocks[b, START], blocks[b, END]):
            is_line &= text[k] != 10
            result[at] = text[k]
            at += 1
        before = b
    return result[:at]
