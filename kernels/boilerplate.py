"""Which elements of a page are boilerplate: those that tag, class, id or a label call so (cues), unless they hold too
large a share of the page's prose to be that. A name may mean anything; so the share is larger where another element,
which is called content, has paragraphs of its own.
"""

import numpy as np

from kernels.html_tree import CUES, END, GLUED, KIND_OF, LINK, NODE, PARENT, START, add_up
from kernels.jit import jit
from kernels.markup import CONTENT, DROP, HIDES, REPLIES, UNREAD
from kernels.tags import TAG

KEPT_SHARE = 0.4
ASIDE_SHARE = 0.6
REPLIES_SHARE = 0.9
SENTENCES = 80  # bytes of a paragraph around a link
HIDDEN_ARTICLE = 600  # bytes: shorter than an article that waits for a script to show it
DIRECT = 400  # bytes of paragraphs: more than a teaser has
A, P, ARTICLE, MAIN, SECTION = (TAG[name] for name in ["a", "p", "article", "main", "section"])
NAV, FOOTER, ASIDE, DIALOG, MENU = (TAG[name] for name in ["nav", "footer", "aside", "dialog", "menu"])
HEADER, FORM = TAG["header"], TAG["form"]


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
def boilerplate(nodes, blocks, prose, mass, sentence):
    """Return whether an element, or one around it, is marked as boilerplate: bool [n_nodes]."""
    n = len(nodes)
    out = np.zeros(n, dtype=np.bool_)
    framed = np.zeros(n, dtype=np.bool_)  # inside an element that cannot hold the page's own header
    called = np.zeros(n, dtype=np.bool_)
    within = np.zeros(n, dtype=np.bool_)  # in an element that is called boilerplate
    for i in range(1, n):
        up, tag, cue = nodes[i, PARENT], nodes[i, KIND_OF], nodes[i, CUES]
        framed[i] = framed[up] or tag in (ARTICLE, MAIN, SECTION)
        called[i] = cue & ((0 if sentence[i] else DROP) | HIDES | UNREAD | REPLIES) != 0
        called[i] |= tag in (NAV, FOOTER, ASIDE, DIALOG, MENU, FORM) or (tag == HEADER and not framed[up])
        within[i] = within[up] or called[i]
    above, below = proven(nodes, blocks, prose, within)
    for i in range(1, n):
        up, tag, cue = nodes[i, PARENT], nodes[i, KIND_OF], nodes[i, CUES]
        share = REPLIES_SHARE if cue & REPLIES else (ASIDE_SHARE if tag == ASIDE else KEPT_SHARE)
        if below[0] > above[i] + below[i]:  # what it is not is elsewhere
            share = REPLIES_SHARE
        share = 1.0 if cue & HIDES and mass[i] < HIDDEN_ARTICLE else share
        out[i] = out[up] or (called[i] and mass[i] <= share * mass[0])
    return out


@jit
def proven(nodes, blocks, prose, within):
    """Return how many elements above and at or below each one are called content, have DIRECT bytes of paragraphs
    and stand in nothing that is called boilerplate: i64 [n_nodes], twice."""
    n = len(nodes)
    direct = np.zeros(n)
    for b in range(len(blocks)):
        node = blocks[b, NODE]
        if nodes[node, KIND_OF] == P and not within[node] and not blocks[b, GLUED]:
            direct[node] += prose[b]
    add_up(nodes, direct)
    above, below = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for i in range(1, n):
        up = nodes[i, PARENT]
        is_proven = direct[i] >= DIRECT and is_called_content(nodes[i])
        below[i] = is_proven
        above[i] = above[up] + is_proven
    add_up(nodes, below)
    return above, below


@jit
def is_called_content(node):
    return node[CUES] & CONTENT or node[KIND_OF] in (ARTICLE, MAIN)
