"""Synthetic documents whose personal data is known, seeded: every kind in many spellings, among look-alikes.

Made without the patterns that are measured on it: check digits are computed here. All of it is invented; numbers follow
the public rules of their kind. `documents` yields (text, spans); `LOOK_ALIKES` make what must not be found.
"""

import ipaddress

# ruff: noqa: SIM905
import random
from collections.abc import Callable, Iterator

from llm.process.pii.spans import Span

WORDS = "The meeting was held by foo(bar) in room and x = 3 see §4.2 price 12.50 then 中文 👍 né — we saw it".split()
FIRST = "Anna James Maria Robert Linda Michael Sofia David Emma Thomas Laura Peter Julia Daniel Sarah Kevin".split()
LAST = "Novak Hughes Fischer Moreno Keller Olsen Whitaker Brandt Sullivan Petrov Lindgren Castillo Barnes Doyle".split(
    " "
)


def digits(chance: random.Random, n: int, first: str = "0123456789") -> str:
    return chance.choice(first) + "".join(chance.choice("0123456789") for _ in range(n - 1))


def filled(chance: random.Random, form: str) -> str:
    """N: 2 to 9, X: any digit; everything else stands for itself."""
    return "".join(
        chance.choice("23456789") if c == "N" else chance.choice("0123456789") if c == "X" else c for c in form
    )


def email(chance: random.Random) -> str:
    first, last = chance.choice(FIRST).lower(), chance.choice(LAST).lower()
    local = chance.choice(
        [f"{first}.{last}", f"{first}_{last}{digits(chance, 2)}", f"{last}+news", f"{first[0]}-{last}", "jörg"]
    )
    host = chance.choice(
        ["example.com", "mail.example.co.uk", "uni-bonn.example.de", "a.b.example.org", "sub.x1.io", "müller.example"]
    )
    return f"{local}@{host}"


def ipv4(chance: random.Random) -> str:
    while True:
        address = ipaddress.IPv4Address(chance.getrandbits(32))
        if address.is_global and not address.is_multicast:
            return str(address)


def ipv6(chance: random.Random) -> str:
    address = ipaddress.IPv6Address((0x2A00 << 112) | chance.getrandbits(chance.choice([112, 40])))
    return chance.choice([str(address), address.exploded])


def card(chance: random.Random) -> str:
    prefix, n = chance.choice(
        [("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("34", 15), ("6011", 16), ("36", 14), ("3530", 16)]
    )
    body = prefix + digits(chance, n - len(prefix) - 1)
    number = body + next(d for d in "0123456789" if check_sum(body + d) % 10 == 0)
    gap = chance.choice(["", " ", "-"])
    cuts = [4, 10] if n == 15 else [4, 10] if n == 14 else [4, 8, 12]
    return gap.join(number[a:b] for a, b in zip([0, *cuts], [*cuts, n], strict=True))


def check_sum(number: str) -> int:
    """Luhn's, by a table of the sums of doubled digits."""
    return sum(int("0246813579"[int(d)]) if i % 2 else int(d) for i, d in enumerate(reversed(number)))


def iban(chance: random.Random) -> str:
    country, form = chance.choice([
        ("DE", "X" * 18), ("GB", "WEST" + "X" * 14), ("FR", "X" * 23), ("NL", "RABO" + "X" * 10), ("NO", "X" * 11),
        ("ES", "X" * 20), ("IT", "K" + "X" * 22), ("CH", "X" * 17), ("PL", "X" * 24), ("MT", "MALT" + "X" * 23),
        ("BE", "X" * 12),
    ])  # fmt: skip
    account = filled(chance, form)
    value = int("".join(str(int(c, 36)) for c in account + country + "00"))
    compact = f"{country}{98 - value % 97:02}{account}"
    gap = chance.choice(["", " ", " "])
    return gap.join(compact[i : i + 4] for i in range(0, len(compact), 4))


def ssn(chance: random.Random) -> str:
    area = chance.choice([*range(1, 666), *range(667, 900)])
    return f"{area:03}-{chance.randint(1, 99):02}-{chance.randint(1, 9999):04}"


PHONES = [
    "(NXX) NXX-XXXX", "NXX-NXX-XXXX", "NXX.NXX.XXXX", "1-NXX-NXX-XXXX", "+1 NXX NXX XXXX", "+1 (NXX) NXX-XXXX",
    "+1NXXNXXXXXX",
    "+44 20 7XXX XXXX", "+44 (0)20 7XXX XXXX", "+447700XXXXXX", "020 7XXX XXXX", "(020) 7XXX XXXX", "01632 960XXX",
    "0161 496 0XXX",
    "+49 30 NXXXXXX", "+49 (0)171 NXXXXXX", "+49-89-NXXXXXX", "(030) NXXXXXX", "0171/NXXXXXX", "+33 1 NX XX XX XX",
    "01 4X XX XX XX",
    "06.NX.XX.XX.XX", "+34 9NX XXX XXX", "+39 06 NXXX XXXX", "+31 20 NXX XXXX", "+41 44 NXX XX XX", "044 NXX XX XX",
    "+81 3-NXXX-XXXX", "03-NXXX-XXXX", "090-NXXX-XXXX", "+86 138 XXXX XXXX", "138-NXXX-XXXX", "+91 98NXX XXXXX",
    "+55 11 9NXXX-XXXX",
    "(11) 9NXXX-XXXX", "+7 495 NXX-XX-XX", "8 (495) NXX-XX-XX", "+61 2 9NXX XXXX", "+972-4-NXXXXXX", "+353 1 NXX XXXX",
]  # fmt: skip
ANNOUNCED = [
    "Tel: ",
    "phone ",
    "Phone: ",
    "Fax ",
    "mobile: ",
    "Tél. ",
    "Telefon: ",
    "call my cell ",
    "Phone number: ",
    "тел. ",
]
LOCAL = [
    "NXX XXXX",
    "NXX-XXXX",
    "NXX NXX XXXX",
    "030 NXXXXXXX",
    "9NX XXX XXX",
    "98NXX XXXXX",
    "NXXXXXXXX",
    "0NXXXXXXXX",
    "02 NXXX XXXX",
]


def phone(chance: random.Random) -> str:
    return filled(chance, chance.choice(PHONES))


MAKERS: dict[str, Callable[[random.Random], str]] = {
    "email": email, "ipv4": ipv4, "ipv6": ipv6, "credit_card": card, "iban": iban, "ssn": ssn, "phone": phone
}  # fmt: skip


def broken(chance: random.Random, number: str) -> str:
    """The number with its last digit another one: no check digit fits any more."""
    return number[:-1] + str((int(number[-1]) + chance.randint(1, 9)) % 10)


LOOK_ALIKES: list[Callable[[random.Random], str]] = [
    lambda c: f"v{c.randint(1, 9)}.{c.randint(0, 20)}.{c.randint(0, 40)}.{c.randint(0, 99)}",
    lambda c: f"{c.randint(1, 9)}.{c.randint(0, 20)}.{c.randint(0, 40)}",
    lambda c: f"version {c.randint(1, 200)}.0.{c.randint(1000, 9999)}.{c.randint(1, 200)}",
    lambda c: f"section {c.randint(1, 49)}.{c.randint(1, 49)}.{c.randint(1, 49)}.{c.randint(1, 49)}",
    lambda c: f"ISBN 978-3-16-{digits(c, 6)}-{digits(c, 1)}",
    lambda c: f"ISBN 0-{digits(c, 3)}-{digits(c, 5)}-{digits(c, 1)}",
    lambda c: f"{c.getrandbits(160):040x}",
    lambda c: f"{c.getrandbits(128):032X}",
    lambda c: f"{c.randint(1950, 2030)}-{c.randint(1, 12):02}-{c.randint(1, 28):02}",
    lambda c: f"{c.randint(1, 28):02}.{c.randint(1, 12):02}.{c.randint(1950, 2030)}",
    lambda c: f"{c.randint(1, 12):02}-{c.randint(1, 28):02}-{c.randint(1950, 2030)}",
    lambda c: f"2024-0{c.randint(1, 9)}-11T{c.randint(10, 23)}:{c.randint(10, 59)}:{c.randint(10, 59)}Z",
    lambda c: f"17{digits(c, 8)}",
    lambda c: f"17{digits(c, 11)}",
    lambda c: f"{c.random():.16f}",
    lambda c: f"{c.uniform(-1e9, 1e9):.6f}",
    lambda c: f"{c.randint(1, 99)},{digits(c, 3)},{digits(c, 3)}.{digits(c, 2)}",
    lambda c: f"0x{c.getrandbits(64):016X}",
    lambda c: f"{c.randint(10, 99)} + {c.randint(100, 999)} * {c.randint(1000, 9999)}",
    lambda c: " ".join(digits(c, 3, "1") for _ in range(c.randint(2, 6))),
    lambda c: " ".join(digits(c, 2) for _ in range(3)),
    lambda c: f"id {digits(c, 7, '123456789')}",
    lambda c: f"order #{digits(c, 9, '123456789')}",
    lambda c: f"PN-{digits(c, 3)}-{digits(c, 4)}",
    lambda c: f"{digits(c, 3)}-{digits(c, 4)}",
    lambda c: f"000-{digits(c, 2)}-{digits(c, 4)}",
    lambda c: f"9{digits(c, 2)}-{digits(c, 2)}-{digits(c, 4)}",
    lambda c: broken(c, card(c)),
    lambda c: broken(c, iban(c)),
    lambda c: f"10.{c.randint(0, 255)}.{c.randint(0, 255)}.{c.randint(0, 255)}",
    lambda c: f"192.168.{c.randint(0, 255)}.{c.randint(0, 255)}",
    lambda c: f"300.{c.randint(256, 999)}.1.1",
    lambda c: f"fe80::{c.getrandbits(16):x}",
    lambda c: f"std::vector::x{c.randint(1, 9)}",
    lambda c: ":".join(f"{c.getrandbits(8):02X}" for _ in range(6)),
    lambda c: f"a[{c.randint(2000, 3999)}::{c.randint(1, 9)}]",
    lambda c: f"git@github.com:a{c.randint(1, 9)}/b",
    lambda c: f"logo@{c.randint(2, 3)}x.png",
    lambda c: f"getty@tty{c.randint(1, 9)}.service",
    lambda c: f"left@right.T{c.randint(1, 9)}",
    lambda c: f"@decorator{c.randint(1, 9)}",
    lambda c: f"user{c.randint(1, 9)}@localhost",
    lambda c: (
        f"{c.getrandbits(32):08x}-{c.getrandbits(16):04x}-4{c.getrandbits(12):03x}-a{c.getrandbits(12):03x}-{c.getrandbits(48):012x}"
    ),
    lambda c: f"+{c.randint(1, 999)} points",
    lambda c: f"+{digits(c, 5, '123456789')}.{digits(c, 3)}",
    lambda c: "01 02 03 04 05",
    lambda c: f"RFC {digits(c, 4, '12345678')}, pages {digits(c, 3)}-{digits(c, 3)}",
    lambda c: f"doi:10.{digits(c, 4, '1')}/{digits(c, 8)}",
]


def documents(n: int, seed: int) -> Iterator[tuple[str, list[Span]]]:
    """n documents of words, personal data and look-alikes."""
    chance = random.Random(seed)
    for _ in range(n):
        text, known = "", []
        for _ in range(chance.randint(1, 15)):
            draw = chance.random()
            if draw < 0.3:
                kind = chance.choice(list(MAKERS))
                piece = MAKERS[kind](chance)
                if kind == "phone" and chance.random() < 0.4:
                    text += chance.choice(ANNOUNCED)
                    piece = filled(chance, chance.choice([*PHONES, *LOCAL]))
                if kind == "ssn" and chance.random() < 0.3:
                    text += chance.choice(["SSN: ", "social security number "])
                    piece = piece.replace("-", chance.choice([" ", "", "-"]))
                known.append(Span(kind, len(text), len(text) + len(piece)))
            elif draw < 0.6:
                piece = chance.choice(LOOK_ALIKES)(chance)
            else:
                piece = " ".join(chance.choices(WORDS, k=chance.randint(1, 8)))
            text += piece + chance.choice([", ", ". ", "\n", "; ", ") ", " and ", " is "])
        yield text, known
