"""Says which handler a command has, by its name."""

from collections.abc import Callable

from llm.collect.formats.tex import (
    acronyms,
    arguments,
    citations,
    conditionals,
    environments,
    formulas,
    macros,
    prose,
    references,
)
from llm.collect.formats.tex.commands import (
    ACCENTS,
    COMPOSED,
    DROPPED,
    FONTS,
    LITERALS,
    NAMES,
    SIGNS,
    STEPS,
    STRUCTURE,
    UNITS,
)

Handler = Callable[..., None]  # of the scanner and the command's name

KINDS: dict[str, Handler] = {
    "section": prose.section, "caption": prose.caption, "footnote": prose.footnote, "item": prose.item,
    "label": prose.label, "reference": references.reference, "range": references.span_of_numbers,
    "row_end": prose.row_end, "register": macros.register, "subcaption": prose.subcaption, "quoted": arguments.quoted,
    "initial": arguments.initial, "first": arguments.first, "picture": arguments.picture, "opened": arguments.opened,
    "quantity": arguments.quantity, "written": arguments.written, "acronym": acronyms.acronym,
    "entry": acronyms.entry, "declaretheorem": macros.declaretheorem, "title": prose.title,
    "as_it_is": prose.as_it_is, "inputted": prose.inputted, "within": prose.within, "appendix": prose.appendix,
    "citation": citations.citation, "begin": environments.begin, "end": environments.end,
    "short_verb": arguments.short_verb,
    "listing": environments.listing, "verbatim_environment": environments.verbatim_environment,
    "newcommand": macros.newcommand, "document_command": macros.document_command, "definition": macros.definition,
    "let": macros.let, "character": macros.character, "newenvironment": macros.newenvironment,
    "newtheorem": macros.newtheorem, "at_letter": macros.at_letter, "at_other": macros.at_other,
    "ensured": formulas.ensured, "otherwise": conditionals.otherwise, "chosen": conditionals.chosen,
    "if_star": conditionals.if_star, "if_next": conditionals.if_next,
}  # fmt: skip
STRUCTURAL: dict[str, Handler] = {
    **{name: KINDS[kind] for name, kind in STRUCTURE.items()},
    **dict.fromkeys(conditionals.TESTS, conditionals.test),
}
COMMANDS: dict[str, Handler] = {
    **dict.fromkeys(DROPPED, prose.dropped),
    **dict.fromkeys(FONTS, prose.font),
    **dict.fromkeys(SIGNS, prose.sign),
    **{name: KINDS[kind] for name, kind in COMPOSED.items()},
    **dict.fromkeys(LITERALS, prose.literal),
    **dict.fromkeys(UNITS, prose.unit),
    **dict.fromkeys(acronyms.USES, acronyms.use),
    **dict.fromkeys(NAMES, prose.named),
    **dict.fromkeys(STEPS, prose.step),
    **dict.fromkeys((name for name in ACCENTS if name.isalpha()), prose.accent),
    **dict.fromkeys(("abstract", "Abstract"), prose.abstract),
    **STRUCTURAL,
}
