"""Finds boxes that say themselves that they are none of the page's content: an element that begins with a label such
as *Related posts* or *Leave a reply*, whatever its class is called (an id made from that label says nothing).

Only labels of several words or with a number count (*27 comments*), which no section of a text has as its heading. A
dialog about cookies is one of them by what it speaks of.
"""

import numpy as np

from kernels.html_tree import CUES, END, FIRST, NODE, PARENT, START, add_up, is_within
from kernels.jit import jit
from kernels.labels import bits_of, phrases
from kernels.markup import DROP, REPLIES, lower

LABELS = """
related posts, related articles, related stories, related news, related content, related coverage, related reading,
related videos, related products, similar posts, similar articles, similar stories, similar news, recent posts,
recent articles, recent comments, recent news, recent stories, latest posts, latest articles, latest news, latest
stories, latest comments, popular posts, popular articles, popular stories, popular news, most read, most popular,
most viewed, most commented, more posts, more articles, more stories, more news, top stories, trending now, also like,
read next, up next, recommended articles, recommended posts, recommended stories, leave a, a comment, a reply,
verwandte artikel, verwandte beiträge, ähnliche artikel, ähnliche beiträge, Ähnliche artikel, Ähnliche beiträge,
weitere artikel, weitere beiträge, weitere meldungen, weitere nachrichten, neueste artikel, neueste beiträge, neueste
kommentare, letzte beiträge, letzte kommentare, aktuelle beiträge, beliebte beiträge, auch interessieren,
meistgelesene artikel, kommentar schreiben, kommentar hinterlassen, kommentar verfassen, articles similaires, articles
liés, articles récents, articles connexes, commentaires récents, le même, lire aussi, laisser un, artículos
relacionados, noticias relacionadas, entradas recientes, entradas relacionadas, últimas noticias, Últimas noticias,
deja un, deja una, articoli correlati, articoli recenti, lascia un, notícias relacionadas, posts relacionados, posts
recentes, leia também, deixe um, gerelateerde artikelen, gerelateerde berichten, lees ook, powiązane artykuły,
последние новости, Последние новости, похожие статьи, Похожие статьи, читайте также, Читайте также
"""
COUNTED = """
comment, comments, response, responses, reply, replies, kommentar, kommentare, kommentaren, commentaire, commentaires,
réponses, comentario, comentarios, comentário, comentários, commento, commenti, reactie, reacties, комментарий,
комментария, комментариев, komentarz, komentarze, komentarzy, kommenttia
"""  # with their number
COUNTED_TO = """
comments on, comments to, responses to, response to, replies to, reply to, thoughts on, kommentare zu, kommentar zu,
réponses à, commentaires sur, comentarios en
"""
BOX, REPLY, REPLY_TO, LONGEST, WORDS = 1, 2, 4, 60, 4  # longest label in bytes, and the first words of it that are read
COOKIE = int.from_bytes(b"cookie", "big")
SHALLOW, SHARE = 3, 0.5  # elements around it, and how much of it speaks of cookies
TABLE = phrases({LABELS: BOX, COUNTED: REPLY, COUNTED_TO: REPLY_TO})


@jit
def add_cues_of_labels(nodes: np.ndarray, blocks: np.ndarray, text: np.ndarray) -> None:
    """Add the cue of what readers wrote (out of a page unless it is nearly all of it) to each element that begins with
    such a label and holds more than that. nodes, blocks and text are what kernels.html.scan made."""
    for b in range(len(blocks) - 1):
        box = blocks[b, NODE]
        while box > 0 and nodes[box, FIRST] == b and not is_within(nodes, blocks[b + 1, NODE], box):
            box = nodes[box, PARENT]
        if box > 0 and nodes[box, FIRST] == b and is_label(text, blocks[b, START], blocks[b, END]):
            nodes[box, CUES] |= REPLIES


@jit
def is_label(text, start, end):
    """Does a line name other articles or say how many replies there are?"""
    k = start
    while k < end and 48 <= text[k] <= 57:
        k += 1
    counted = k > start and k < end and text[k] == 32  # 2. or 2.1 numbers a section
    if end - start > (2 * LONGEST if counted else LONGEST) or text[end - 1] == 46:
        return False
    found, words = bits_of(text, start, end, 2 if counted else WORDS, TABLE)
    if counted:
        return found & REPLY_TO != 0 or (found & REPLY != 0 and words == 1)
    if k == start and found & REPLY and words == 1:
        for k in range(start, end):  # Comments (12)
            counted |= 48 <= text[k] <= 57
    return counted or found & BOX != 0


@jit
def add_cues_of_cookies(nodes: np.ndarray, blocks: np.ndarray, text: np.ndarray) -> None:
    """Add the cue of boilerplate to each element near the top of the page in which half of the text speaks of cookies:
    a dialog that asks for consent. Not for pages of documentation, where cookies may be the subject."""
    n = len(nodes)
    size, told, depth = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for i in range(1, n):
        depth[i] = depth[nodes[i, PARENT]] + 1
    for b in range(len(blocks)):
        length = blocks[b, END] - blocks[b, START]
        size[blocks[b, NODE]] += length
        told[blocks[b, NODE]] += length if has_cookie(text, blocks[b, START], blocks[b, END]) else 0
    add_up(nodes, size)
    add_up(nodes, told)
    for i in range(1, n):
        if depth[i] <= SHALLOW and told[i] >= SHARE * size[i] and told[i] > 0:
            nodes[i, CUES] |= DROP


@jit
def has_cookie(text, start, end):
    """Does the word stand in the text, in any case?"""
    for k in range(start + 3, end - 2):
        if text[k] | 32 == 107:  # its rarest letter
            value = 0
            for i in range(k - 3, k + 3):
                value = value << 8 | lower(text[i])
            if value == COOKIE:
                return True
    return False
