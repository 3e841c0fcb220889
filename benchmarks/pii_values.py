"""Values of personal data in the forms of their standards, and look-alikes, for benchmarks/pii_unseen.py; written
without a look at the project's patterns. Needs phonenumbers and python-stdnum; imports nothing of the project.

Sources of forms: phonenumbers' formats of every region, stdnum's structures of every country's IBAN, RFC 4291 and 5952
(IPv6), 5321, 5322 and 6531 (e-mail). All values are drawn.
"""

import ipaddress
import random
import re
from collections.abc import Iterator
from typing import NamedTuple

from stdnum import luhn

from benchmarks.pii_forms import examples

DIGITS, CAPITALS = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NAMES = "anna bob cora dilan emre fatma greta hugo ines jonas katja lior marek nadia omar petra rosa sven".split()  # noqa: SIM905
DOMAINS = [
    "example.com", "mail.example.org", "sub.a.b.example.net", "x-y.example.io", "example.museum", "uni-köln.example.de",
    "1and1.example.com", "example.photography", "EXAMPLE.COM", "example.co.uk", "example.international",
]  # fmt: skip
WORDS_OF_PHONES = [
    "Tel. {}", "Phone: {}", "Telefon: {}", "Tél : {}", "Teléfono: {}", "Telefone {}", "Тел.: {}", "电话：{}",
    "電話番号: {}", "هاتف: {}", "Τηλ. {}", "Tlf. {}", "Puh. {}", "GSM {}", "Handy: {}", "Mobil: {}", "Móvil {}",
    "Telefoon: {}", "전화: {}", "mob. {}", "Telefax {}", "Ph: {}", "T: {}", "Cell: {}", "Contact no. {}",
    "Call {} now", "Kontakt: {}", '"phone": "{}"', '"phoneNumber":"{}"', "phone_number={}", "<phone>{}</phone>",
    "phone,{}", "Tel.Nr. {}", "Rufnummer: {}", "telephone number {}", "WhatsApp: {}", "Fax-Nr.: {}",
]  # fmt: skip
WORDS_OF_CARDS = [
    "Visa {} exp 04/27", "card number: {}", "Kreditkarte {}", "carte bancaire n° {}", "tarjeta {} (vence 05/28)",
    '"card_number": "{}"', "Карта {}", "卡号：{}", "{} 04/29 123", "{} CVV 123", "PAN={}",
]  # fmt: skip
MARKUP = [
    "Contact: {}.", "({})", "{}:", "email={}", '<a href="mailto:{}">x</a>', "From: {}", "'{}'", "E-Mail:{}",
    "&lt;{}&gt;", "邮箱：{}", "メール{}まで", "[{}](x)", "*{}*", "https://x.example/?mail={}&a=1", "u'{}'",
]  # fmt: skip
LOGS = [
    '{} - - [06/May/2024:10:11:12 +0200] "GET / HTTP/1.1" 200', "for root from {} port 53211", "connection [{}]",
    "client={}, upstream=x", "from mail (HELO x) ({})", "IN A {}", "user@{}",
]  # fmt: skip
ISSUERS = [
    ("4", 13), ("4", 16), ("4", 19), ("51", 16), ("54", 16), ("2223", 16), ("2719", 16), ("34", 15), ("37", 15),
    ("6011", 16), ("65", 16), ("645", 16), ("62", 16), ("62", 19), ("36", 14), ("38", 14), ("301", 14), ("3528", 16),
    ("3589", 16), ("2131", 15), ("1800", 15), ("5018", 16), ("5893", 16), ("6304", 16), ("6763", 16), ("2204", 16),
    ("6521", 16), ("9792", 16), ("506699", 16), ("6062", 16), ("5019", 16), ("8600", 16), ("2221", 16),
]  # fmt: skip


class Value(NamedTuple):
    """`part`: what of `written` is the value, if not all; `template`: the text that it stands in, if it brings one."""

    kind: str
    form: str
    written: str
    part: str = ""
    template: str = ""


def values(chance: random.Random) -> Iterator[Value]:
    """Draw all of them."""
    from benchmarks.pii_look_alikes import LOOK_ALIKES

    yield from phones(chance)
    yield from cards(chance)
    yield from ibans(chance)
    for _ in range(200):
        yield from addresses(chance)
    for _ in range(60):
        yield from emails(chance)
    for _ in range(150):
        yield from ssns(chance)
    for form, make in LOOK_ALIKES.items():
        for _ in range(30):
            yield Value("none", form, make(chance))


def digits(chance: random.Random, n: int, first: str = DIGITS) -> str:
    return chance.choice(first) + "".join(chance.choice(DIGITS) for _ in range(n - 1))


def phones(chance: random.Random) -> Iterator[Value]:
    """A valid number of each region's fixed and mobile lines, in each form."""
    import phonenumbers
    from phonenumbers import PhoneNumberFormat

    for example in examples():
        number = like(example, chance)
        whole = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
        national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        uri = phonenumbers.format_number(number, PhoneNumberFormat.RFC3966)
        code = f"+{number.country_code}"
        forms = {
            "international": whole, "ungrouped": phonenumbers.format_number(number, PhoneNumberFormat.E164),
            "dots": re.sub("[ -]", ".", whole), "hyphens": whole.replace(" ", "-"), "00": f"00{whole[1:]}",
            "no-break blanks": whole.replace(" ", "\u00a0"), "national": national,
            "code in brackets": f"({code}){whole[len(code):]}",
        }  # fmt: skip
        if national.startswith("0"):
            forms["0 in brackets"] = f"{code} (0){whole[len(code) :]}"
        yield from (Value("phone", form, written) for form, written in forms.items())
        yield Value("phone", "RFC 3966", uri, uri[4:])
        yield Value("phone", "national, after a word", national, "", chance.choice(WORDS_OF_PHONES))
        ungrouped = phonenumbers.national_significant_number(number)
        yield Value("phone", "digits, after a word", ungrouped, "", chance.choice(WORDS_OF_PHONES))


def like(example, chance: random.Random):
    """A valid number that begins as `example` does."""
    import phonenumbers

    known = phonenumbers.national_significant_number(example)
    for _ in range(300):
        keep = chance.randint(1, 3)
        tail = "".join(chance.choice(DIGITS) for _ in known[keep:])
        try:
            number = phonenumbers.parse(f"+{example.country_code}{known[:keep]}{tail}")
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return number
    return example


def cards(chance: random.Random) -> Iterator[Value]:
    for first, length in ISSUERS:
        gaps = {
            "ungrouped": "",
            "blanks": " ",
            "hyphens": "-",
            "dots": ".",
            "no-break blanks": "\u00a0",
            "two blanks": "  ",
        }
        for form, gap in gaps.items():
            yield Value("credit_card", form, grouped(card(chance, first, length), gap))
        for form, gap in (("ungrouped, after a word", ""), ("blanks, after a word", " ")):
            yield Value(
                "credit_card", form, grouped(card(chance, first, length), gap), "", chance.choice(WORDS_OF_CARDS)
            )


def card(chance: random.Random, first: str, length: int) -> str:
    body = first + digits(chance, length - len(first) - 1)
    return body + luhn.calc_check_digit(body)


def grouped(number: str, gap: str) -> str:
    cuts = [4, 10] if len(number) in (14, 15) else [cut for cut in (4, 8, 12, 16) if cut < len(number)]
    return gap.join(number[a:b] for a, b in zip([0, *cuts], [*cuts, len(number)], strict=True))


def ibans(chance: random.Random) -> Iterator[Value]:
    """Of each country that has some."""
    from stdnum import iban, numdb

    known = numdb.get("iban")
    for country in (a + b for a in CAPITALS for b in CAPITALS):
        structure = known.info(country + "0" * 32)[0][1].get("bban")
        if structure is None:
            continue
        written = with_check(country, structure, chance)
        assert iban.is_valid(written, check_country=False), country
        fours = [written[i : i + 4] for i in range(0, len(written), 4)]
        yield Value("iban", "ungrouped", written)
        yield Value("iban", "blanks", " ".join(fours))
        yield Value("iban", "small letters", written.lower(), "", chance.choice(["IBAN: {}", "{}", "Kontonr. {}"]))
        yield Value("iban", "no-break blanks", "\u00a0".join(fours))
        yield Value("iban", "hyphens", "-".join(fours))


def with_check(country: str, structure: str, chance: random.Random) -> str:
    classes = {"n": DIGITS, "a": CAPITALS, "c": DIGITS + CAPITALS}
    parts = re.findall("([0-9]+)!?([nac])", structure)
    account = "".join(chance.choice(classes[kind]) for count, kind in parts for _ in range(int(count)))
    rest = int("".join(str(int(character, 36)) for character in f"{account}{country}00")) % 97
    return f"{country}{98 - rest:02}{account}"


def addresses(chance: random.Random) -> Iterator[Value]:
    """One public host of each version, in every form."""
    while not is_host(old := ipaddress.IPv4Address(chance.getrandbits(32))):
        pass
    v4, v6 = str(old), host(chance)
    yield Value("ipv4", "alone", v4)
    yield Value("ipv4", "port", f"{v4}:{chance.randint(80, 65_000)}", v4)
    yield Value("ipv4", "url", f"http://{v4}/x/", v4)
    yield Value("ipv4", "prefix", f"{v4}/32", v4)
    yield Value("ipv4", "log", v4, "", chance.choice(LOGS))
    short, full = str(v6), ":".join(f"{int(group, 16):x}" for group in v6.exploded.split(":"))
    forms = {"short": short, "leading zeros": v6.exploded, "capitals": short.upper(), "all groups": full}
    yield from (Value("ipv6", form, written) for form, written in forms.items())
    yield Value("ipv6", "port", f"[{short}]:{chance.randint(80, 9000)}", short)
    yield Value("ipv6", "url", f"https://[{short}]/p", short)
    yield Value("ipv6", "prefix", f"{short}/128", short)
    yield Value("ipv6", "zone", f"{short}%eth{chance.randint(0, 3)}", short)
    yield Value("ipv6", "of IPv4", f"::ffff:{v4}")
    yield Value("ipv6", "dotted end", f"{full.rsplit(':', 2)[0]}:{v4}")
    yield Value("ipv6", "dotted end of RFC 6052", f"64:ff9b::{v4}")
    ends = ["It answered from {}.", "Address: {}: refused", "addr={};", "({})", "from {}, port 22"]
    yield Value("ipv6", "end of a phrase", short, "", chance.choice(ends))


def is_host(address: ipaddress.IPv4Address) -> bool:
    """Public, and not like a version: one number from 50 on, the last not 0."""
    return address.is_global and not address.is_multicast and max(address.packed) >= 50 and address.packed[3] > 0


def host(chance: random.Random) -> ipaddress.IPv6Address:
    while True:
        groups = [chance.choice([0x2001, 0x2400, 0x2600, 0x2607, 0x2A00, 0x2A02, 0x2C0F, 0x2620, 0x2800])]
        groups += [chance.getrandbits(16) for _ in range(7)]
        if chance.random() < 0.6:
            first = chance.randint(1, 6)
            last = chance.randint(first, 6)
            groups[first : last + 1] = [0] * (last + 1 - first)
        address = ipaddress.IPv6Address(b"".join(group.to_bytes(2, "big") for group in groups))
        if address.is_global:
            return address


def emails(chance: random.Random) -> Iterator[Value]:
    one, two = chance.choice(NAMES), chance.choice(NAMES)
    domain, number = chance.choice(DOMAINS), digits(chance, 2)
    signs, accents = (
        chance.choice("!#$%&*?^`{|}~"),
        chance.choice(["josé", "jürgen", "françois", "łukasz", "ñandú", "İpek"]),
    )
    usual = {
        "name": one + number, "dots": f"{one}.{two}", "plus": f"{one}+{two}", "capitals": one.upper(),
        "one letter": one[0], "digits": digits(chance, 9), "underscores": f"_{one}_", "hyphen at the end": f"{one}-",
        "accents": f"{accents}.{one}", "of 64": "".join(chance.choice("abcdefghij") for _ in range(64)),
    }  # fmt: skip
    rare = {
        "apostrophe": f"{chance.choice('od')}'{two}", "signs": f"{one}{signs}{two}", "quoted": f'"{one} {two}"',
        "slash or equals": f"{one}{chance.choice('/=')}{two}", "Cyrillic": f"иван.петров{number}",
        "Greek": f"χρήστης{number}", "Japanese": f"山田{number}",
    }  # fmt: skip
    yield from (Value("email", form, f"{local}@{domain}") for form, local in usual.items())
    yield from (Value("email", f"rare, {form}", f"{local}@{domain}") for form, local in rare.items())
    hosts = {
        "Cyrillic": "пример.рф",
        "Chinese": "例子.中国",
        "Punycode": "xn--e1afmkfd.xn--p1ai",
        "number": "[198.51.7.9]",
    }
    yield from (Value("email", f"rare, domain: {form}", f"{one}@{written}") for form, written in hosts.items())
    plain = f"{one}.{two}@{domain}"
    yield Value("email", "mailto", f"mailto:{plain}?subject=x", plain)
    yield Value("email", "angle brackets", f"{one.title()} {two.title()} <{plain}>", plain)
    yield Value("email", "in markup and code", plain, "", chance.choice(MARKUP))


def ssns(chance: random.Random) -> Iterator[Value]:
    area = chance.choice([*range(1, 666), *range(667, 900)])
    written = f"{area:03}-{chance.randint(1, 99):02}-{chance.randint(1, 9999):04}"
    words = ["SSN: {}", "social security number {}", '"ssn": "{}"', "SSN={}", "SSN#{}", "Social Security No. {}"]
    yield Value("ssn", "hyphens", written)
    yield Value("ssn", "digits, after a word", written.replace("-", ""), "", chance.choice(words))
    yield Value("ssn", "blanks, after a word", written.replace("-", " "), "", chance.choice(words))
