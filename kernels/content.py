"""Chooses which blocks of a page that kernels/html.py read are its content; kernels/compose.py makes a text of them.

1. `prose`: a block's bytes outside links, if it is long enough and mostly no link. An element has the prose below it.
   A page that does not call itself an article counts shorter blocks: reference pages are made of them.
2. What is boilerplate is out (kernels/boilerplate.py), and one element holds the content (kernels/content_root.py).
3. Of the blocks in that element, those stay that are no list of links, no caption, no short label (on an article's
   page) and no heading without text below it; what stands between the page's <h1> and the element, if it is prose, too.
   In a gallery or a slide show all is captions, if it is not too large a share.
4. An article's page loses teasers of other articles (kernels/teasers.py), what closes it (kernels/closing.py) and what
   it repeats (kernels/page_repeats.py).
"""

import numpy as np

from kernels.boilerplate import DIRECT, KEPT_SHARE, boilerplate, in_sentences, is_called_content
from kernels.closing import drop_closing
from kernels.content_root import root_of
from kernels.headings import H1, H6, LABEL, drop_empty, drop_last
from kernels.html_tree import CUES, END, GLUED, KIND_OF, LINK, NODE, PARENT, START, add_up
from kernels.jit import jit
from kernels.markup import PICTURES
from kernels.page_repeats import drop_repeated
from kernels.running_text import is_running
from kernels.tags import TAG
from kernels.teasers import drop_teasers

MIN_PROSE, MIN_PHRASE = 60, 25  # bytes, on a page that calls itself an article and on another
MAX_LINKED = 0.33  # of a block of prose
LINKED_LIST = 0.5
MOST_LEADS = 4  # blocks of a standfirst
ARTICLE, P, LI, PRE, LISTING, XMP = (TAG[name] for name in ["article", "p", "li", "pre", "listing", "xmp"])
TABLE, TD, TH, DD, DT = (TAG[name] for name in ["table", "td", "th", "dd", "dt"])
FIGCAPTION, FIGURE = TAG["figcaption"], TAG["figure"]


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
    out = boilerplate(nodes, blocks, prose, mass, sentence)
    root = root_of(nodes, blocks, prose, out, is_article, is_shared)
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
    plain = plain_cells(nodes, blocks)
    kept = np.zeros(m, dtype=np.bool_)
    any_kept = False
    for b in range(m):
        node = blocks[b, NODE]
        if inside[node] and not (pictured[node] and is_article):
            kept[b] = sentence[node] or plain[nodes[node, PARENT]] > 1
            kept[b] |= is_content(blocks[b], nodes, size, links, own, is_article, headline)
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
def plain_cells(nodes, blocks):
    """Return the number of cells without links in each row of a table, i64 [n_nodes]: with two and more it is no row of
    links, however long the name is that it links."""
    result = np.zeros(len(nodes), dtype=np.int64)
    for b in range(len(blocks)):
        if nodes[blocks[b, NODE], KIND_OF] in (TD, TH) and blocks[b, LINK] == 0:
            result[nodes[blocks[b, NODE], PARENT]] += 1
    return result


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
