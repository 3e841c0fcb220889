"""Defines each kind of personal data: a pattern, and what else must hold of a match.

Every pattern begins where kernels/pii.py finds a candidate.

Sources: cards ISO/IEC 7812-1, IBAN ISO 13616 and 7064 (mod 97-10), social security numbers by the SSA's rules of 2011,
addresses RFC 791, 4291, 5321 and 6531; phones are in llm/process/pii/phones.py. The tables are ours:
python-stdnum's IBANs are the same at a quarter of the speed, phonenumbers takes 13 times as long and changes every
other week, which would make every annotation stale (docs/log.md).
"""

import ipaddress
import re

from llm.process.pii.kind import Kind, cue, follows
from llm.process.pii.phones import PHONES

EMAIL_REACH = 700


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
    times, names of hardware and fingerprints have the rest. Its end may be a dotted IPv4 address."""
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


SMALL = 50  # of all public addresses 1 in 700 has four numbers below this
OF_HOSTS = re.compile(r"(?ai)(?:\b(?:ip|ipv4|addr|address|host|server|dns|ping|telnet|ssh)\b[^\n]{0,8}|//|@)$")
OF_VERSIONS = cue("version|ver|v|release|rel|build|update|upgrade|firmware|patch|section|sec|chapter|figure|fig|table",
                  r"s?[ .:=\"'(]{0,3}")  # fmt: skip
CARDS = "cards?|cc|visa|maestro|master ?card|jcb|amex|debit|credit|pan|karte|carte|tarjeta"
OF_CARDS = re.compile(rf"(?ai)(?<![a-z])(?:{CARDS})(?![a-z])[^\n0-9]{{0,32}}$")
OF_CARDS_BEHIND = re.compile(rf"(?ai)[^\n0-9]{{0,32}}?(?<![a-z])(?:{CARDS})(?![a-z])")
OF_SSN = cue(r"ssn|ss#|social[ -]security|soc\.? ?sec\.?", r"[^\n0-9]{0,24}")
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
M = L + "\\u0370-\\u052f"  # of Greek and Cyrillic, too: all of two bytes, of words with blanks between
NO_DOMAIN = (  # a systemd unit's name (getty@tty1.service), a picture for dense screens (logo@2x.png), a file's ending
    "service|socket|target|timer|mount|slice|scope|device|path|png|jpe?g|gif|svg|webp|html?|css|[jt]s|py|rb|so|dll"
    "|json|ya?ml|xml|txt|md|conf|cfg|ini|log|lock|local(?:host|domain)?|internal"
)
TOP = r"(?:[A-Za-z]{2,24}|[Xx][Nn]--[A-Za-z0-9-]{2,59}|[\u0370-\u052f]{2,24})"  # in ASCII, in RFC 3492's, in letters
DOMAIN = rf"(?:[{M}](?:[{M}-]{{0,61}}[{M}])?\.){{1,8}}(?!(?i:{NO_DOMAIN})(?![{L}-])){TOP}"
# An apostrophe joins letters (o'brien@), but not a string of Python's to its prefix (u'jane@...').
STRING = "[bBfFrRuU]"
BEGIN = (
    rf"(?<![{M}._%+-])(?!{STRING}{{1,2}}')"
    rf"(?:(?<![A-Za-z]')|(?<=(?<![{M}._%+'-]){STRING}')|(?<=(?<![{M}._%+'-]){STRING}{{2}}'))"
)
KINDS = (
    Kind(
        "email",
        re.compile(
            rf"{BEGIN}(?=[^@]{{1,64}}@)[{M}_%+-][{M}._%+-]{{0,63}}"
            rf"(?:(?<=[A-Za-z])'(?=[A-Za-z])[{M}._%+-]{{0,63}}){{0,31}}(?<!\.)@{DOMAIN}(?![{L}_(-])"
        ),
        is_personal_email,
        EMAIL_REACH,
    ),
    Kind(
        "ipv6",
        re.compile(
            r"(?<![0-9A-Za-z_:.])[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]{1,33}"
            r"(?:[0-9A-Fa-f]|::|:[0-9]{1,3}(?:\.[0-9]{1,3}){3})(?![0-9A-Za-z_]|:[0-9A-Za-z_:]|\.[0-9])"
        ),
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
    PHONES,
)
