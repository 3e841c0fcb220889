"""What the scanner knows of LaTeX's commands and environments: tables only.

A command that stands in no table loses its name and keeps its braces' text, so tables are needed for what is no prose:
arguments that name files, labels, lengths and colours, signs and accents, and environments that are no paragraphs.
"""

from dataclasses import dataclass


def table(lines: str) -> dict[str, str]:
    """Read `value: name name ...`, a line each, as {name: value}. The value may be empty."""
    rows = (line.partition(":") for line in lines.strip().splitlines())
    return {name: value.strip() for value, _, names in rows for name in names.split()}


# What is dropped after a command, by Source.skip's letters: s a star, o a [..], p a (..), m a {..} or one command, d a
# length without braces, r the sizes of a rule, t `to` and a length, x a register, b `by` and a length. Braces beyond
# that are text: \textcolor{red}{text} drops one.
DROPPED = table(r"""
o: linebreak nolinebreak pagebreak nopagebreak listoffigures listoftables pacs allowdisplaybreaks toprule
o: printbibliography midrule bottomrule addlinespace tableline printglossary printglossaries printacronyms printindex
o: listoftodos printnomenclature printnoidxglossary printnoidxglossaries footnotemark hyperref glsresetall acresetall
o: ccsdesc
m: index glossary bibliography bibliographystyle usetikzlibrary lstset tikzset graphicspath hypersetup geometry
m: pagestyle thispagestyle pagenumbering linespread markright hyphenation addbibresource theoremstyle newif
m: loadglsentries glsadd glsreset glsunset acreset acuse SetKw newsavebox newwrite newread fancyhf setstretch phantom
m: hphantom vphantom smash hypertarget href urlstyle
m: enlargethispage foreignquote foreigntextquote foreignblockquote hyphenquote hyphentextquote hyphenblockquote
m: tcbset tcbuselibrary fontfamily fontseries fontshape
m: selectlanguage foreignlanguage usepgfplotslibrary pgfplotsset mathtoolsset DeclareGraphicsExtensions includeonly
m: AtBeginDocument AtEndDocument pgfkeys sisetup email orcid orcidID subjclass newtoks
m: newbox cline nobibliography stepcounter refstepcounter usecounter value the arabic roman Roman alph Alph fnsymbol
m: typeout message errmessage csvautotabular hyperlink acmDOI acmISBN copyrightyear setcopyright acmYear received
m: VignetteIndexEntry tabletypesize
m: tablenotemark ifthenelse iftoggle ifbool ifdef ifundef ifcsdef ifblank pdfinfo pdfoutput affiliation
om: color usepackage RequirePackage documentclass documentstyle LoadClass author date address affil institute
om: institution captionsetup fancyhead fancyfoot lhead rhead chead lfoot rfoot cfoot thanks correspondingauthor
om: altaffilmark ead cortext colorbox textcolor titlerunning authorrunning shorttitle shortauthors shortauthor
om: cellcolor rowcolor columncolor pagecolor runningtitle runningauthor VerbatimInput includepdf includesvg rotatebox
om: setlist typein ProvidesPackage ProvidesClass NeedsTeXFormat ccsxml deleted
omm: rule inputminted nomenclature pdfbookmark fancypagestyle
mo: newcounter scalebox
mm: setcounter addtocounter setlength addtolength settowidth settoheight settodepth setkeys fontsize markboth
mm: multicolumn PassOptionsToPackage PassOptionsToClass specialcomment psfrag DeclareUnicodeCharacter counterwithout
mm: altaffiltext ifstrequal acmConference addtocontents SetKwInOut SetKwInput SetKwData SetKwFunction SetKwComment
mm: icmlsetsymbol icmlauthor icmlaffiliation icmlcorrespondingauthor PackageWarning ClassWarning DTLloaddb
mm: pgfplotstableread SetKwProg SetKwBlock SetKwArray
mmm: rowcolors addcontentsline definecolor colorlet titlespacing specialrule
mom: newcolumntype
smm: resizebox DeclareMathOperator
sm: vspace hspace
som: tag
soom: includegraphics
oom: epsfig psfig epsffile epsfbox plotone
mm: plottwo
moo: raisebox
moom: multirow
omm: fcolorbox
ooom: parbox
poo: makebox framebox
p: put
s: tcp tcc
opm: cmidrule
r: hrule vrule
t: hbox vbox vtop vcenter
xb: advance multiply divide
x: setbox box copy unhbox unvbox unhcopy unvcopy
xd: count dimen skip wd ht dp
d: kern hskip vskip raise lower moveleft moveright hsize vsize parindent parskip textwidth textheight oddsidemargin
d: evensidemargin topmargin headheight headsep footskip baselineskip columnsep tabcolsep arraycolsep mathsurround
d: abovedisplayskip belowdisplayskip floatsep textfloatsep intextsep marginparwidth marginparsep fboxsep fboxrule
d: leftmargin rightmargin itemsep topsep parsep leftskip rightskip hangindent penalty hyphenpenalty tolerance
d: widowpenalty clubpenalty binoppenalty relpenalty hangafter baselinestretch labelsep partopsep emergencystretch
d: spaceskip xspaceskip parfillskip tabskip lineskip lineskiplimit topskip splittopskip maxdepth pretolerance looseness
d: doublehyphendemerits finalhyphendemerits adjdemerits linepenalty brokenpenalty interlinepenalty exhyphenpenalty
d: predisplaypenalty postdisplaypenalty hfuzz vfuzz hbadness vbadness overfullrule hoffset voffset lefthyphenmin
d: righthyphenmin paperwidth paperheight columnwidth linewidth itemindent listparindent labelwidth dblfloatsep
d: dbltextfloatsep footnotesep bibsep unitlength columnseprule
""")

# What a document cannot define otherwise, by what is done with it (scanner.py)
STRUCTURE = table(r"""
register: newlength newdimen newskip newcount
section: part chapter section subsection subsubsection paragraph subparagraph
citation: cite citep citealp citealt citenum citeyearpar citeyear parencite autocite footcite supercite onlinecite
citation: nocite Citep Citealt Citealp Parencite Autocite shortcite citeN citeasnoun citet Citet textcite Textcite
citation: citeauthor Citeauthor footfullcite fullcite cites parencites autocites footcites citeA citeNP shortciteN
reference: ref eqref pageref autoref cref Cref vref Vref labelcref
newcommand: newcommand renewcommand providecommand DeclareRobustCommand newrobustcmd renewrobustcmd providerobustcmd
newcommand: algnewcommand algrenewcommand newcommandx renewcommandx providecommandx
definition: def gdef edef xdef
document_command: NewDocumentCommand RenewDocumentCommand ProvideDocumentCommand DeclareDocumentCommand
newenvironment: newenvironment renewenvironment
verbatim_environment: DefineVerbatimEnvironment lstnewenvironment
caption: caption captionof subcaption tablecaption figcaption
footnote: footnote footnotetext marginpar marginnote sidenote endnote
listing: lstinputlisting
as_it_is: verb url nolinkurl path lstinline mintinline
within: numberwithin counterwithin
inputted: input include subfile
character: char chardef symbol
let: let
newtheorem: newtheorem spnewtheorem newmdtheoremenv
declaretheorem: declaretheorem
begin: begin
end: end
item: item
label: label
title: title
appendix: appendix
ensured: ensuremath
otherwise: else
chosen: IfBooleanTF IfBooleanT IfBooleanF IfNoValueTF IfNoValueT IfNoValueF IfValueTF IfValueT IfValueF
if_star: @ifstar
if_next: @ifnextchar
at_letter: makeatletter
at_other: makeatother
""")

# Others that have a handler, by what is done with them; a document may define them otherwise
COMPOSED = table(r"""
row_end: tabularnewline cr crcr tablehead startdata tablecomments tablenotetext
opened: twocolumn
subcaption: subfigure subfloat subcaptionbox
quoted: enquote textquote
range: crefrange Crefrange
initial: lettrine IEEEPARstart PARstart
first: texorpdfstring replaced
picture: tikz
quantity: SI qty si unit SIrange qtyrange numrange
written: string
short_verb: MakeShortVerb DeleteShortVerb DefineShortVerb UndefineShortVerb lstMakeShortInline lstDeleteShortInline
acronym: newacronym newabbreviation acrodef newacro acro
entry: newglossaryentry longnewglossaryentry DeclareAcronym
""")

# Commands whose names go and whose braces' text stays, so often met that they need not be found unknown
FONTS = table(r"""
font: textbf textit emph texttt textsc textsf textrm textsl textup textmd textnormal underline mbox text uline bf
font: it em tt sc rm sf sl bfseries itshape ttfamily scshape rmfamily sffamily upshape slshape mdseries normalfont tiny
font: scriptsize footnotesize small normalsize large Large LARGE huge Huge noindent indent centering raggedright
font: maketitle tableofcontents hrulefill smallskip medskip bigskip newpage clearpage hfill vfill xspace relax protect
font: bgroup egroup leavevmode ignorespaces unskip hline null strut sloppy boldmath long global outer protected fi
""")
SIGNS = {
    "ss": "ß", "SS": "SS", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł",
    "aa": "å", "AA": "Å", "i": "ı", "j": "ȷ", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "dj": "đ", "DJ": "Đ",
    "ng": "ŋ", "NG": "Ŋ", "ldots": "...", "dots": "...", "textellipsis": "...", "dotfill": " ", "S": "§", "P": "¶",
    "dag": "†", "ddag": "‡", "textdagger": "†", "copyright": "©", "textcopyright": "©", "textregistered": "®",
    "texttrademark": "™", "pounds": "£", "textsterling": "£", "euro": "€", "texteuro": "€", "textdollar": "$",
    "textdegree": "°", "degree": "°", "celsius": "°C", "textmu": "µ", "texttimes": "×", "textpm": "±",
    "textendash": "–", "textemdash": "—", "textquoteleft": "‘", "textquoteright": "’", "textquotedblleft": "“",
    "textquotedblright": "”", "lq": "‘", "rq": "’", "guillemotleft": "«", "guillemotright": "»", "flqq": "«",
    "frqq": "»", "glqq": "„",
    "grqq": "“", "glq": "‚", "grq": "‘", "og": "« ", "fg": " »", "textless": "<", "textgreater": ">", "textbar": "|",
    "textunderscore": "_", "textbullet": "•", "textasteriskcentered": "*", "textperiodcentered": "·",
    "textexclamdown": "¡", "textquestiondown": "¿", "textsection": "§", "textparagraph": "¶", "textordfeminine": "ª",
    "textordmasculine": "º", "textvisiblespace": " ", "slash": "/", "quad": " ", "qquad": " ", "enspace": " ",
    "thinspace": " ", "space": " ", "nobreakspace": " ", "newline": "\n", "par": "\n\n", "and": "\n", "lbrack": "[",
    "rbrack": "]", "lbrace": "{", "rbrace": "}", "textbraceleft": "{", "textbraceright": "}", "or": " ", "ier": "er",
    "iere": "re", "iers": "ers", "ieres": "res", "ieme": "e", "iemes": "es", "primo": "1°", "textelp": "[...]",
    "guilsinglleft": "‹", "guilsinglright": "›", "quotesinglbase": "‚", "quotedblbase": "„", "textcelsius": "°C",
    "textperthousand": "‰", "textdiv": "÷", "textlnot": "¬", "textonequarter": "¼", "textthreequarters": "¾",
    "textonesuperior": "¹", "texttwosuperior": "²", "textthreesuperior": "³", "textcent": "¢", "textyen": "¥",
    "textcurrency": "¤", "textbrokenbar": "¦", "textohm": "Ω", "textrightarrow": "→", "textleftarrow": "←",
    "textuparrow": "↑", "textdownarrow": "↓", "textminus": "−", "textbardbl": "‖", "textpertenthousand": "‱",
    "textreferencemark": "※", "textestimated": "℮", "textopenbullet": "◦", "textlangle": "〈", "textrangle": "〉",
    "textnumero": "№", "No": "№", "checkmark": "✓", "nodata": "...", "textonehalf": "½",
}  # fmt: skip
# signs that the layout of prose would change
LITERALS = {
    "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textasciigrave": "`", "textquotesingle": "'",
    "textquotedbl": '"', "cs": "\\",
}  # fmt: skip
NAMES = {
    "LaTeX": "LaTeX", "TeX": "TeX", "LaTeXe": "LaTeX2e", "BibTeX": "BibTeX", "AmSTeX": "AmSTeX", "eg": "e.g.",
    "ie": "i.e.", "etal": "et al.", "cf": "cf.", "etc": "etc.", "wrt": "w.r.t.", "vs": "vs.", "Eg": "E.g.",
    "Ie": "I.e.", "XeTeX": "XeTeX", "LuaTeX": "LuaTeX", "pdfTeX": "pdfTeX", "pdfLaTeX": "pdfLaTeX", "MF": "METAFONT",
    "XeLaTeX": "XeLaTeX", "LuaLaTeX": "LuaLaTeX", "ConTeXt": "ConTeXt", "eTeX": "e-TeX", "LyX": "LyX",
    "KOMAScript": "KOMA-Script", "AmS": "AMS", "TikZ": "TikZ",
}  # fmt: skip
# as pseudocode packages have them, in both spellings: \If, \IF
_STEPS = {
    "State": "\n", "Statex": "\n", "If": "\nif ", "ElsIf": "\nelse if ", "ElseIf": "\nelse if ", "Else": "\nelse ",
    "EndIf": "\nend if ", "For": "\nfor ", "ForAll": "\nfor all ", "EndFor": "\nend for ", "While": "\nwhile ",
    "EndWhile": "\nend while ", "Repeat": "\nrepeat ", "Until": "\nuntil ", "Return": "\nreturn ", "Loop": "\nloop ",
    "EndLoop": "\nend loop ", "Require": "\nRequire: ", "Ensure": "\nEnsure: ", "KwIn": "\nInput: ",
    "KwOut": "\nOutput: ", "KwData": "\nData: ", "KwResult": "\nResult: ", "Procedure": "\nprocedure ",
    "EndProcedure": "\nend procedure ", "Function": "\nfunction ", "EndFunction": "\nend function ",
    "KwTo": " to ", "KwRet": "\nreturn ", "ForEach": "\nfor each ", "eIf": "\nif ", "uIf": "\nif ",
    "uElseIf": "\nelse if ", "uElse": "\nelse ", "lIf": "\nif ", "lElse": "\nelse ", "lFor": "\nfor ",
    "lForEach": "\nfor each ", "lWhile": "\nwhile ", "Comment": " ",
}  # fmt: skip
STEPS = _STEPS | {name.upper(): text for name, text in _STEPS.items()}
UNITS = {
    "meter": "m", "metre": "m", "second": "s", "gram": "g", "kilogram": "kg", "kelvin": "K", "ampere": "A",
    "mole": "mol", "candela": "cd", "hertz": "Hz", "newton": "N", "pascal": "Pa", "joule": "J", "watt": "W",
    "coulomb": "C", "volt": "V", "farad": "F", "ohm": "Ω", "tesla": "T", "electronvolt": "eV", "eV": "eV",
    "minute": "min", "hour": "h", "day": "d", "liter": "l", "litre": "l", "percent": "%", "angstrom": "Å", "per": "/",
    "kilo": "k", "mega": "M", "giga": "G", "tera": "T", "milli": "m", "micro": "µ", "nano": "n", "pico": "p",
    "femto": "f", "centi": "c", "squared": "²", "cubed": "³",
}  # fmt: skip
SYMBOLS = {
    "%": "%", "&": "&", "#": "#", "_": "_", "$": "$", "{": "{", "}": "}", ",": " ", ";": " ", ":": " ", ">": " ",
    " ": " ", "\t": " ", "\n": "\n", "!": "", "/": "", "-": "", "@": "", ")": "", "]": "", "": "", "+": "", "|": "",
}  # fmt: skip
# \' and so on, in the order of the marks that stand for them until the letter is known
ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "c": "\u0327", "v": "\u030c", "u": "\u0306", "H": "\u030b", "k": "\u0328", "r": "\u030a", "d": "\u0323",
    "b": "\u0331", "t": "\u0361",
}  # fmt: skip


@dataclass(frozen=True)
class Environment:
    """`kind`: math (kept as written), verbatim (its content kept), dropped, table (rows become lines), list, paragraph,
    titled (a paragraph with a heading in braces), theorem, proof. `arguments`: what follows \\begin{..} and is no text,
    as in DROPPED; of a theorem its heading."""

    kind: str
    arguments: str = ""


def environments(kind: str, arguments: str, names: str) -> dict[str, Environment]:
    return dict.fromkeys(names.split(), Environment(kind, arguments))


THEOREMS = ("theorem", "lemma", "proposition", "corollary", "definition", "remark", "example", "claim", "conjecture")
# formulas that have a number for each row
ROWS = {"align", "alignat", "eqnarray", "flalign", "gather", "IEEEeqnarray", "dgroup", "xalignat"}
ENVIRONMENTS = {
    **environments("math", "", "equation displaymath math multline dmath dgroup darray dseries eqnarray align alignat "
                   "flalign gather xalignat xxalignat IEEEeqnarray empheq numcases subnumcases mathpar prooftree"),
    **environments("verbatim", "", "verbatim semiverbatim lstcode Sinput Soutput Scode Code CodeInput CodeOutput"),
    **environments("verbatim", "o", "lstlisting Verbatim BVerbatim LVerbatim"),
    **environments("verbatim", "om", "minted"),
    **environments("dropped", "", "tikzpicture picture thebibliography comment filecontents pspicture psmatrix forest "
                   "asy overpic CCSXML pgfpicture tikzcd circuitikz feynmandiagram fmffile fmfgraph dependency psgraph "
                   "ganttchart feynman music lilypond chessboard"),
    **environments("table", "om", "tabular longtable supertabular xtabular deluxetable mpsupertabular NiceTabular "
                   "tblr longtblr talltblr"),
    **environments("table", "mom", "tabular* tabularx tabulary supertabular* xtabular* NiceTabular* NiceTabularX"),
    **environments("table", "omm", "xltabular"),
    **environments("table", "tom", "tabu longtabu"),
    **environments("table", "", "tabbing"),
    **environments("list", "o", "itemize enumerate description compactitem compactenum compactdesc inparaenum "
                   "inparaitem asparaenum"),
    **environments("list", "mm", "list"),
    **environments("paragraph", "o", "figure table abstract algorithm algorithmic sidewaysfigure sidewaystable quote "
                   "quotation center flushleft flushright verse titlepage frontmatter appendices landscape listing "
                   "SCfigure marginfigure margintable tcolorbox mdframed"),
    **environments("paragraph", "ooom", "minipage"),
    **environments("paragraph", "m", "spacing otherlanguage adjustbox hyphenrules"),
    **environments("paragraph", "mo", "multicols"),
    **environments("paragraph", "mm", "adjustwidth CJK"),
    **environments("paragraph", "mp", "textblock"),
    **environments("paragraph", "omom", "wrapfigure wraptable"),
    **environments("paragraph", "om", "subfigure subtable floatingfigure"),
    **environments("proof", "", "proof"),
    **{name: Environment("theorem", name.capitalize()) for name in THEOREMS},
}  # fmt: skip
FLOATS = {
    "figure": "figure", "table": "table", "algorithm": "algorithm", "listing": "listing", "SCfigure": "figure",
    "sidewaysfigure": "figure", "sidewaystable": "table", "wrapfigure": "figure", "wraptable": "table",
    "longtable": "table", "marginfigure": "figure", "margintable": "table", "floatingfigure": "figure",
    "supertabular": "table", "deluxetable": "table",
}  # fmt: skip
# \beq ... \eeq, where nothing defines them
SHORTHANDS = {
    "beq": "equation", "be": "equation", "beqn": "equation", "bea": "eqnarray", "beqa": "eqnarray", "beqar": "eqnarray",
    "bdm": "displaymath", "beqarray": "eqnarray", "bal": "align", "balign": "align", "beqs": "equation*",
}  # fmt: skip
