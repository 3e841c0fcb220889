"""Words in a page's class, id, role and itemprop attributes that tell boilerplate from content, as the hashed table
that kernels/html.py asks. They are the conventions of content management systems (WordPress, Drupal, MediaWiki,
Sphinx, Javadoc, ...) and of news sites. No word decides alone: kernels/content.py keeps what holds most of a page."""

from kernels.markup import CONTENT, DROP, FORMULA, PICTURES, REPLIES
from kernels.tags import fnv, table

WORDS = """
advert advertisement advertising adsense adsbygoogle advertorial breadcrumb breadcrumbs recommended recommendation
recommendations share sharing sharebar sharedaddy addtoany addthis newsletter subscribe subscription signup sidebar
navbar navigation submenu masthead cookie cookies consent gdpr sponsored tagcloud taglist pagination pager paging
toolbar outbrain taboola byline skiplink copyright disclaimer noprint headerlink editsection catlinks printfooter
navbox jumplinks mostread contentinfo bookmarks related datenschutz werbung anzeige publicidad publicite
relacionadas relacionados relacionada relacionado verwandte similaires correlati related relatedposts relatedarticles
relatedstories relatedcontent relatednews relatedlinks recirc recirculation footer colophon sharethis shareaholic
heateor socialshare sharebuttons newsticker mostpopular megamenu offcanvas flyout topbar adslot adunit adbox
adcontainer adwrapper livefyre spotim
"""  # in any name: "post-sidebar", "sidebarLeft"
PAIRS = """
read more, read next, see also, more stories, more from, more on, t navbar, most read, most popular, most viewed,
article tools, story tools, also like, about author, page header, site header, up next, nav bar, main menu, social
media, social links, social share, social icons, post navigation, entry utility, site footer, page footer, global
footer, you may, latest news, top stories, image caption, photo caption, caption text, wp caption, cookie banner,
author bio, author info, follow us, sign up, comment form, comment list, user comments, comment section, comments
area, ad container, ad wrapper, ad slot, ad unit, more articles, more news, more posts, other articles, other news,
other stories, also read, read also, similar posts, similar articles, recent posts, recent articles, recent news,
popular posts, popular articles, latest posts, latest articles, trending now, trending stories, most commented, most
shared, might like, may like, must read, dont miss, editors picks, top news, read this, next article, previous
article, post nav, article nav, nav previous, nav next, author profile, author details, author card, author block,
social bar, social buttons, social sharing, leia mais, leia tambem, lea tambien, lire aussi, leggi anche, lees ook,
mehr zum, weitere artikel, mobile menu, top bar, off canvas, mega menu, pop up, modal body, modal content, modal
dialog, breaking news, leave reply, comment count, video js, nav item, nav menu, nav links, nav list, main nav, sub
nav, site nav, global nav, top nav, primary nav, down nav, side nav, footer nav, right column, left column, right rail,
left rail, right col, left col
"""  # neighbours in a name: "page-header-top"
NAMES = """
ad ads adv banner comment nav menu footer foot social popup modal overlay tags tag toolbar login print toc teaser
teasers caption skip widget trending popular hidden dropdown carousel author meta metadata date timestamp dateline
rss feedback register donate donation complementary search respond rating ratings credit share-buttons post-meta
entry-meta post-footer entry-footer article-footer article-meta article-info post-info post-tags article-tags
t-navbar author-bio author-box about-author sr-only visually-hidden screen-reader-text screenreader hide d-none wp-
caption-text promo promotion nv reply logo credits newsletter secondary side left-sidebar right-sidebar reflist mw-
editsection mw-jump-link noprint printonly no-print print-only inline-related linenos linenumber gutter
hljs-ln-numbers rouge-gutter
"""  # whole names
READERS = """
comentarios commentaires commentlist comments disqus kommentare
"""
REPLY = """
comment respond, comment reply, comment stream, comment thread, comment wrapper, comment body, comment text, comment
content, comment item, comment entry, comment article, comment head, comment author
"""  # neighbours in a name: a reader's words, or what is around them
PICTURED = """
gallery slideshow photogallery imagegallery
"""
CONSENT = """
onetrust cookiebot cybot didomi iubenda usercentrics cmplz cookielaw cookieconsent cookiebanner cookienotice cookiebar
eupopup trustarc truste borlabs
"""  # dialogs of their own services: nothing else has such a name
FORMULAS = "math tex latex mathtex mathimg mwe-math-fallback-image-inline mwe-math-fallback-image-display"  # images
BODY = """
article body, articlebody, entry content, post content, story body, article content, body text, post body, article
text, story content, news content, content body, mw content, mw parser, main content, story text, entry body, page
content, blog post, field body, article main, body content, document body, text content, artikel text, content text,
post entry, single content, article detail, detail content, news detail, news body, news text, post text
"""


def pairs(text: str) -> list[str]:
    return [" ".join(pair.split()) for pair in text.split(",")]


def cues() -> dict[str, int]:
    """Word, pair of words or "=name" -> cue."""
    return {
        **dict.fromkeys(WORDS.split(), DROP),
        **dict.fromkeys(pairs(PAIRS), DROP),
        **{f"={name}": DROP for name in NAMES.split()},
        **dict.fromkeys(READERS.split(), REPLIES),
        **dict.fromkeys(pairs(REPLY), REPLIES),
        **dict.fromkeys(PICTURED.split(), PICTURES),
        **dict.fromkeys(CONSENT.split(), REPLIES),
        **{f"={name}": FORMULA for name in FORMULAS.split()},
        **{f"={name}": REPLIES for name in ("comment", "respond", "reply")},
        **dict.fromkeys(pairs(BODY), CONTENT),
    }


TABLE = table({fnv(word.encode()): cue for word, cue in cues().items()})
