"""Defines each kind of personal data: a pattern, and what else must hold of a match.

Every pattern begins where kernels/pii.py finds a candidate.

Sources: cards ISO/IEC 7812-1, IBAN ISO 13616 and 7064 (mod 97-10), social security numbers by the SSA's rules of 2011,
phones ITU-T E.164 and the common national spellings, addresses RFC 791, 4291 and 5321. The tables are ours:
python-stdnum's IBANs are the same at a quarter of the speed, phonenumbers takes 13 times as long and changes every
other week, which would make every annotation stale (docs/log.md).
"""

import ipaddress
import re

from llm.process.pii.kind import CONTEXT, Kind

EMAIL_REACH = 700


def follows(cue: re.Pattern[str], match: re.Match[str]) -> bool:
    """Does a cue, a pattern that ends in $, stand before the match?"""
    return cue.search(match.string, max(0, match.start() - CONTEXT), match.start()) is not None


def cue(words: str, between: str) -> re.Pattern[str]:
    """Make the pattern of a cue: one of these words, then no more than `between`, then the match."""
    return re.compile(rf"(?ai)(?<![a-z])(?:{words}){between}$")


def luhn(digits: str) -> bool:
    """Is the last digit the check digit of the others (ISO/IEC 7812-1, annex B)?"""
    doubled = [int(digit) * (1 + i % 2) for i, digit in enumerate(reversed(digits))]
    return sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


def is_card(match: re.Match[str]) -> bool:
    """Issuer, length and check digit. Numbers of 13 digits are as often those of goods (EAN), ungrouped ones of 19
    those of records: these a word has to announce, or to follow."""
    digits = re.sub("[ -]", "", match[0])
    if CARD_ISSUER.fullmatch(digits) is None or len(set(digits)) == 1 or not luhn(digits):
        return False
    common = len(digits) == 13 or (len(digits) == 19 and digits == match[0])
    return not common or follows(OF_CARDS, match) or OF_CARDS_BEHIND.match(match.string, match.end()) is not None


def is_iban(match: re.Match[str]) -> bool:
    """Is the remainder by 97 equal to 1, with letters as 10 to 35 and the first four characters moved to the end, and
    has the account number its country's form? The pattern has checked the length. Letters are of one case."""
    written = re.sub("[ -]", "", match[0])
    compact = written.upper()
    if written not in (compact, compact.lower()) or not ACCOUNTS[compact[:2]].fullmatch(compact, 4):
        return False
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


def is_ssn(match: re.Match[str]) -> bool:
    """Has it hyphens, or is it announced? Otherwise nine digits are not taken for a social security number."""
    return match["gap"] == "-" or follows(OF_SSN, match)


def is_public_ip(match: re.Match[str]) -> bool:
    """Is it a public address? One like 127.0.0.1 identifies nobody."""
    try:
        address = ipaddress.ip_address(match[0])
    except ValueError:
        return False
    return address.is_global and not address.is_multicast


def is_public_ipv6(match: re.Match[str]) -> bool:
    """Is it a public address with a letter or three groups? `a[2000::5]` takes every fifth element of a list. Outside
    of 2000::/3, which is what is given out today, it needs a letter and four groups, one of them of three digits:
    times, names of hardware and fingerprints have the rest."""
    if not is_public_ip(match):
        return False
    if re.match("[23][0-9A-Fa-f]{3}:", match[0]):
        return re.search("[A-Fa-f]|:.*[0-9].*:.*[0-9]", match[0]) is not None
    groups = re.findall("[0-9A-Fa-f]+", match[0])
    return len(groups) >= 4 and max(map(len, groups)) > 2 and re.search("[A-Fa-f]", match[0]) is not None


def is_public_ipv4(match: re.Match[str]) -> bool:
    """Is it a public address, and not a section or version number? Four small numbers (26.6.2.2) need a word about
    hosts before them; after a word about versions no numbers count. An ending .0 is a network's address or a
    version's."""
    if not is_public_ip(match) or match[0].endswith(".0") or follows(OF_VERSIONS, match):
        return False
    return any(int(number) >= SMALL for number in match[0].split(".")) or follows(OF_HOSTS, match)


def is_personal_email(match: re.Match[str]) -> bool:
    return not match[0].startswith("git@")  # that is a repository's address


def is_phone(match: re.Match[str]) -> bool:
    """Is it a phone number? An international one needs a country's code and a possible length; a national one is
    checked by the pattern, and for its length if it begins with a trunk 0; other digits, and international ones of 7 or
    8 digits where the country has longer ones, must be announced as a phone number. Digits of an extension do not
    count."""
    if not may_be_announced(match):
        return False
    digits = re.sub("[^0-9]", "", match["number"].replace("(0)", ""))
    if match["plus"]:
        if len(digits) > 15 or COUNTRY_CODE.match(digits) is None:
            return False
        added = match.start() == 0 or match.string[match.start() - 1] == "\n"  # a line of a diff: +6901234
        figure = "." in match["number"] or (added and digits in match["number"])  # +67859.989 is one, too
        of_islands = ISLAND.fullmatch(digits) is not None and not figure
        return len(digits) >= 9 or of_islands or (len(digits) >= 7 and follows(OF_PHONES, match))
    if match["trunk"]:
        groups = [int(group) for group in re.findall("[0-9]+", match["number"])]
        counts = groups == list(range(groups[0], groups[0] + len(groups)))  # 01 02 03 04 05
        least = 8 if match["eight"] or match["number"][0] == "(" else 9
        most = 13 if match["gap"] is None else 11
        return least <= len(digits) <= most and not counts
    if match["announced"]:
        most = 15 if digits.startswith("00") else 12
        return 7 <= len(digits) <= most
    return True


def may_be_announced(match: re.Match[str]) -> bool:
    """Does a word that announces a phone stand before the match, if it needs one, and is it no date? What is no phone
    for one of these is none with fewer digits at its end either."""
    return match["announced"] is None or (DATE.match(match["number"]) is None and follows(OF_PHONES, match))


SMALL = 50  # of all public addresses 1 in 700 has four numbers below this
OF_HOSTS = re.compile(r"(?ai)(?:\b(?:ip|ipv4|addr|address|host|server|dns|ping|telnet|ssh)\b[^\n]{0,8}|//|@)$")
OF_VERSIONS = cue("version|ver|v|release|rel|build|update|upgrade|firmware|patch|section|sec|chapter|figure|fig|table",
                  r"s?[ .:=\"'(]{0,3}")  # fmt: skip
CARDS = "cards?|cc|visa|maestro|master ?card|jcb|amex|debit|credit|pan|karte|carte|tarjeta"
OF_CARDS = re.compile(rf"(?ai)(?<![a-z])(?:{CARDS})(?![a-z])[^\n0-9]{{0,32}}$")
OF_CARDS_BEHIND = re.compile(rf"(?ai)[^\n0-9]{{0,32}}?(?<![a-z])(?:{CARDS})(?![a-z])")
OF_SSN = cue(r"ssn|ss#|social[ -]security|soc\.? ?sec\.?", r"[^\n0-9]{0,24}")
OF_PHONES = cue(
    r"t[eéÉ]l(?:[eé]fon[eo]?|[eé]phone)?|(?:smart|cell|tele)?phone|(?:tele)?fax|mobile?|m[oóÓ]vil|cell(?:ular)?|whatsapp"
    r"|handy|[Тт]ел(?:ефон)?",
    r"(?:[ -]?(?:number|no|nr|num|is|at|me at|us at)\b){0,2}[ .:=#)/]{0,4}",
)
DATE = re.compile(r"(?:19|20)[0-9]{2}[-/. ][01]?[0-9][-/. ][0-3]?[0-9]")
COUNTRY_CODE = re.compile(  # E.164; within North America as there: area and exchange begin with 2 to 9
    "1[2-9][0-9]{2}[2-9][0-9]{6}$|7|2(?:[07]|[1-69][0-9])|3(?:[0-469]|[578][0-9])|4(?:[013-9]|2[0-9])|5(?:[1-8]|[09][0-9])"
    "|6(?:[0-6]|[789][0-9])|8(?:[1246]|[0578][0-9])|9(?:[0-58]|[67][0-9]|9[2-68])"
)
# countries whose numbers have four or five digits: Ascension, Falklands, Saint Helena, islands of the Pacific
ISLAND = re.compile("(?:247|500|67[678]|68[2568])[0-9]{5}|(?:290|683|690)[0-9]{4,5}")
CARD_ISSUER = re.compile(
    r"4[0-9]{12}(?:[0-9]{3}){0,2}"  # Visa
    r"|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|6(?:011|5[0-9]{2}|4[4-9][0-9])[0-9]{12}"  # Discover
    r"|62[0-9]{14}(?:[0-9]{3})?"  # UnionPay
    r"|3(?:0[0-59]|[689][0-9])[0-9]{11}"  # Diners Club
    r"|35[0-9]{14}|(?:2131|1800)[0-9]{11}"  # JCB
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])[0-9]{8,15}"  # Maestro
    r"|220[0-5][0-9]{12}(?:[0-9]{2,3})?"  # Mir, Borica
    r"|(?:5019|63(?:3[34]|[6-9][0-9])|67(?:0[69]|67|71))[0-9]{12}"  # Dankort, Switch, InterPayment, Laser
    r"|60[0-9]{14}|50(?:41|6[0167]|7[89]|[89][0-9])[0-9]{12}"  # RuPay, Hipercard, UkrCard; Elo, Verve
    r"|(?:5614|8600|9704|9792|9860)[0-9]{12}"  # UzCard, Napas, Troy, Humo
)
IBAN_FORMS = {  # of the part after the check digits, n digits, a letters, c either: countries
    "11n": "NO", "12n": "BE", "14n": "DK FI FO GL SD", "2a12n": "FK", "4a10n": "NL", "3n10c2n": "MK", "15n": "SI",
    "16n": "AT BA EE LT MN XK", "3n13c": "KZ LU", "5n12c": "CH LI", "17n": "HR", "4a13c": "LV", "4a6n8c": "BG",
    "4a14c": "BH", "18n": "CR DE ME RS VA", "4a14n": "GB IE", "2a16n": "GE", "19n": "AE IL SO TL", "4a15c": "GI",
    "4a15n": "IQ", "3n16c": "OM", "8n12c": "AD", "20n": "CZ ES SE SK TN", "20c": "MD", "4a16c": "PK RO",
    "2n18c": "SA", "4a16n": "VG", "21n": "LY PT ST", "22n": "IS", "6n16c": "TR", "23n": "BI DJ MR",
    "10n11c2n": "FR MC", "7n16c": "GR", "1a10n12c": "IT SM", "8n16c": "AL CY", "4a20c": "AZ", "4c4n16c": "BY",
    "4c20n": "DO", "24c": "GT", "4a20n": "HN NI SV", "24n": "HU PL", "4n20c": "LB", "23n1a1c": "BR", "25n": "EG",
    "4a21c": "PS QA", "6n19c": "UA", "4a4n18c": "JO YE", "4a22c": "KW", "4a19n3a": "MU", "4a5n18c": "MT",
    "4a20n3a": "SC", "4a24c": "LC", "14n15c": "RU",
}  # fmt: skip


def length_of(form: str) -> int:
    """Characters of an IBAN whose account number has this form."""
    return 4 + sum(map(int, re.findall("[0-9]+", form)))


def iban_form(length: int, countries: list[str]) -> str:
    """Country and check digits, then groups of four, all with one separator or none, up to the country's length."""
    groups, rest = divmod(length - 4, 4)
    gap, again = f"(?P<gap{length}>[ -]?)", f"(?P=gap{length})"
    last = f"{again}[0-9A-Za-z]{{{rest}}}" if rest else ""
    return f"(?i:{'|'.join(countries)})[0-9]{{2}}{gap}[0-9A-Za-z]{{4}}(?:{again}[0-9A-Za-z]{{4}}){{{groups - 1}}}{last}"


def account_pattern(form: str) -> re.Pattern[str]:
    """What an account number of this form is, in capitals."""
    classes = {"n": "[0-9]", "a": "[A-Z]", "c": "[0-9A-Z]"}
    return re.compile("".join(f"{classes[kind]}{{{count}}}" for count, kind in re.findall("([0-9]+)([nac])", form)))


ACCOUNTS = {country: account_pattern(form) for form, names in IBAN_FORMS.items() for country in names.split()}
IBAN_LENGTHS: dict[int, list[str]] = {}
for form, names in IBAN_FORMS.items():
    IBAN_LENGTHS.setdefault(length_of(form), []).extend(names.split())

L = "A-Za-z0-9\\u00c0-\\u024f"  # letters of Latin alphabets and digits
NO_DOMAIN = (  # a systemd unit's name (getty@tty1.service), a picture for dense screens (logo@2x.png), a file's ending
    "service|socket|target|timer|mount|slice|scope|device|path|png|jpe?g|gif|svg|webp|html?|css|[jt]s|py|rb|so|dll"
    "|json|ya?ml|xml|txt|md|conf|cfg|ini|log|lock|local(?:host|domain)?|internal"
)
DOMAIN = rf"(?:[{L}](?:[{L}-]{{0,61}}[{L}])?\.){{1,8}}(?!(?i:{NO_DOMAIN})(?![{L}-]))[A-Za-z]{{2,24}}"
NATIONAL = (
    r"(?:(?:00)?1[-. ]?)?"
    r"(?:\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[-. ]|[2-9][0-9]{2}(?P<us>[-.])[2-9][0-9]{2}(?P=us))[0-9]{4}"
    r"|0[17][0-9]{3} [0-9]{6}"  # United Kingdom
    r"|0[1-9]\.[0-9]{2}\.[0-9]{2}\.[0-9]{2}\.[0-9]{2}"  # France
    r"|0[1-9][0-9]{1,3}/[0-9]{6,8}"  # Germany, Austria
    r"|0[6-9][0-9]{4} [0-9]{5}"  # India
    r"|\([1-9][0-9]\) ?(?!(?:19|20)[0-9]{2}-(?:19|20))(?:9?[0-9]{4}-[0-9]{4}|[2-9][0-9]{2} [0-9]{4})"  # Brazil, Chile
    r"|\(60[1-8]\) ?[0-9]{7}"  # Colombia
    r"|8(?: ?\([0-9]{3}\) ?|-[0-9]{3}-)(?:[0-9]{3}-[0-9]{2}-[0-9]{2}|[0-9]{3} [0-9]{4})"  # Russia, Kazakhstan
    r"|8 \([0-9]{5}\) [0-9] [0-9]{2} [0-9]{2}|8 0[0-9]{2,3} [0-9]{2,3}-[0-9]{2}-[0-9]{2}"  # Kazakhstan, Belarus
    r"|1[3-9][0-9](?P<cn>[ -])[0-9]{4}(?P=cn)[0-9]{4}"  # China
)
# A trunk 0 that is not in brackets: not within a series of numbers, nor after a byte and a colon (fc:01 1180226).
TRUNK = (
    r"(?<![0-9][ -])(?<![0-9a-f][0-9a-f]:)0[1-9](?:"
    r"(?: [0-9]{7,9}|[0-9]{1,3}[ -][0-9]{6,8}"  # area and number
    r"|[0-9]{0,2}-[0-9]{3,4} [0-9]{3,4}"  # Malaysia
    r"|[0-9]{1,2}-[0-9]{2,3}(?: [0-9]{2}){2}|-[0-9]{3} [0-9]{3} [0-9]{2}"  # Sweden
    r"|[0-9]{0,2} (?:15-)?[0-9]{3,4}-[0-9]{3,4}|(?P<eight> [0-9]{3} [0-9]{3}))(?![ -][0-9])"  # Argentina, Lebanon
    r"|[0-9]{0,3}(?P<gap>[ -])[0-9]{2,5}(?:(?P=gap)[0-9]{2,4}){1,3}(?!(?P=gap)[0-9]))"  # groups with one separator
)
PHONE = (
    r"(?P<plus>\+(?:1[-. ]?(?:\([2-9][0-9]{2}\)|[2-9][0-9]{2})[-. ]?[2-9][0-9]{2}[-. ]?[0-9]{4}"
    r"|[2-9][0-9]{0,14}(?:[ .-]?\([0-9]{1,5}\)[ .-]?[0-9]{1,12})?(?:[ ./-][0-9](?=[ ./-][0-9]))?"
    r"(?:[ ./-](?:[0-9]{2,12}|[0-9](?=[ ./-][0-9]{2}))){0,5}))"
    rf"|{NATIONAL}"
    r"|(?P<trunk>\(0[1-9][0-9]{0,3}\) ?[0-9]{2,8}(?:[ -][0-9]{2,5}){0,3}"
    r"|\(0(?:6 [0-9]{1,2}|-[1-9][0-9]{2})\) [0-9]{3} ?[0-9]{2,4}"  # Hungary, Lithuania
    rf"|{TRUNK})"
    r"|(?P<announced>(?:\([0-9]{1,5}\)[ .-]?)?[0-9]{1,12}(?:[ ./-][0-9]{1,8}){0,5})"
)
EXTENSION = (  # after English words, a letter or a mark, RFC 3966's, or a word of Russian, Spanish, Portuguese, German
    r"(?:,? ?(?:[xX]|[Ee]?[xX]tn?\.?|[Ee]xt(?:ensi[oó]n)?\.?|[Dд]об\.?|[Aa]nexo|[Rr]amal|[Ii]nt\.?|DW|Durchwahl)"
    r"[: ]? ?#?|,? ?#|;ext=)[0-9]{1,6}"
)
KINDS = (
    Kind(
        "email",
        re.compile(rf"(?<![{L}._%+-])[{L}_%+-](?:[{L}._%+-]{{0,62}}[{L}_%+-])?@{DOMAIN}(?![{L}_(-])"),
        is_personal_email,
        EMAIL_REACH,
    ),
    Kind(
        "ipv6",
        re.compile(r"(?<![0-9A-Za-z_:.])[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]{1,33}[0-9A-Fa-f:](?![0-9A-Za-z_:]|\.[0-9])"),
        is_public_ipv6,
    ),
    Kind(
        "ipv4",
        re.compile(r"(?<![0-9A-Za-z_.-])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9A-Za-z_-]|\.[0-9])"),
        is_public_ipv4,
    ),
    Kind(
        "iban",
        re.compile(
            rf"(?<![0-9A-Za-z_])(?:{'|'.join(iban_form(*row) for row in sorted(IBAN_LENGTHS.items()))})(?![0-9A-Za-z_])"
        ),
        is_iban,
    ),
    Kind(
        "credit_card",
        re.compile(
            r"(?<![0-9A-Za-z.+_-])(?<![0-9],)(?<![0-9A-Za-z)\]]\*)(?<![0-9A-Za-z)\]]\*\*)(?:[0-9]{12,19}"
            r"|[0-9]{4}(?P<gap>[ -])[0-9]{4,6}(?P=gap)[0-9]{4,5}(?:(?P=gap)[0-9]{4}(?:(?P=gap)[0-9]{3})?)?)"
            r"(?![0-9A-Za-z^_-]|\*\*?[0-9A-Za-z(]|\.[0-9])"  # nor a factor in a formula
        ),
        is_card,
    ),
    Kind(
        "ssn",
        re.compile(
            r"(?<![0-9A-Za-z.+_-])(?!000|666|9)[0-9]{3}(?P<gap>[- ]?)(?!00)[0-9]{2}(?P=gap)(?!0000)[0-9]{4}"
            r"(?![0-9A-Za-z_-])"
        ),
        is_ssn,
    ),
    Kind(
        "phone",
        re.compile(
            rf"(?:(?<![0-9A-Za-z.+_/=-])|(?<=[/=])(?=\+))(?P<number>{PHONE})(?:{EXTENSION})?(?![0-9A-Za-z_]|[-.][0-9])"
        ),
        is_phone,
        shorter=may_be_announced,
    ),
)
