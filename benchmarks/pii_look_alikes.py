"""What looks like personal data and is none: forms of numbers, names and times, drawn, for benchmarks/pii_unseen.py."""

# ruff: noqa: E501
import datetime
import ipaddress
import random
from collections.abc import Callable

from stdnum import ean, isbn, issn, luhn

from benchmarks.pii_values import NAMES, digits, with_check


def hexadecimal(chance: random.Random, n: int) -> str:
    return f"{chance.getrandbits(4 * n):0{n}x}"


def moment(chance: random.Random) -> datetime.datetime:
    day = [chance.randint(1970, 2038), chance.randint(1, 12), chance.randint(1, 28)]
    return datetime.datetime(*day, chance.randint(0, 23), chance.randint(0, 59), chance.randint(0, 59))


def isbn13(chance: random.Random) -> str:
    body = "978" + digits(chance, 9)
    return body + ean.calc_check_digit(body)


def amount(chance: random.Random, thousands: str, point: str) -> str:
    whole = chance.randint(10**6, 10 ** chance.randint(7, 12))
    return f"{whole:,}".replace(",", thousands) + point + digits(chance, 2)


def other_digit(chance: random.Random, digit: str) -> str:
    return str((int(digit) + chance.randint(1, 9)) % 10)


LOOK_ALIKES: dict[str, Callable[[random.Random], str]] = {
    "isbn13 bare": isbn13,
    "isbn13 hyphens": lambda c: isbn.format(isbn13(c)),
    "isbn13 blanks": lambda c: isbn.format(isbn13(c)).replace("-", " "),
    "isbn10": lambda c: (lambda b: b + isbn._calc_isbn10_check_digit(b))(digits(c, 9)),
    "isbn10 hyphens": lambda c: (lambda b: isbn.format(b + isbn._calc_isbn10_check_digit(b)))(digits(c, 9)),
    "issn": lambda c: (lambda b: issn.format(b + issn.calc_check_digit(b)))(digits(c, 7)),
    "doi": lambda c: (
        f"10.{digits(c, 4, '1')}/j.{c.choice(NAMES)}.{c.randint(1990, 2024)}.{digits(c, 2)}.{digits(c, 3)}"
    ),
    "doi digits": lambda c: (
        f"https://doi.org/10.{digits(c, 4, '1')}/{digits(c, 3)}-{digits(c, 4)}-{digits(c, 5)}-{digits(c, 1)}"
    ),
    "order": lambda c: f"#{digits(c, c.randint(6, 10), '123456789')}",
    "order 2": lambda c: f"ORD-{c.randint(2015, 2025)}-{digits(c, 7)}",
    "invoice": lambda c: f"INV/{c.randint(2015, 2025)}/{digits(c, 5)}",
    "amazon order": lambda c: f"{digits(c, 3)}-{digits(c, 7)}-{digits(c, 7)}",
    "version 3": lambda c: f"{c.randint(0, 20)}.{c.randint(0, 40)}.{c.randint(0, 300)}",
    "version 4 small": lambda c: f"{c.randint(0, 15)}.{c.randint(0, 9)}.{c.randint(0, 40)}.{c.randint(0, 40)}",
    "version v": lambda c: f"v{c.randint(0, 120)}.{c.randint(0, 9)}.{c.randint(0, 255)}.{c.randint(0, 255)}",
    "version word": lambda c: f"version {c.randint(60, 120)}.0.{c.randint(0, 255)}.{c.randint(1, 255)}",
    "version large": lambda c: f"{c.randint(60, 120)}.0.{c.randint(1000, 9999)}.{c.randint(1, 255)}",
    "semver": lambda c: (
        f"{c.randint(0, 9)}.{c.randint(0, 9)}.{c.randint(0, 9)}-rc.{c.randint(1, 9)}+build.{digits(c, 6)}"
    ),
    "deb version": lambda c: (
        f"1:{c.randint(1, 9)}.{c.randint(0, 99)}.{c.randint(0, 99)}-{c.randint(1, 9)}ubuntu{c.randint(1, 9)}.{c.randint(1, 9)}"
    ),
    "md5": lambda c: hexadecimal(c, 32),
    "sha1": lambda c: hexadecimal(c, 40),
    "sha256": lambda c: hexadecimal(c, 64),
    "short hash": lambda c: hexadecimal(c, c.randint(7, 12)),
    "uuid": lambda c: (
        f"{hexadecimal(c, 8)}-{hexadecimal(c, 4)}-4{hexadecimal(c, 3)}-a{hexadecimal(c, 3)}-{hexadecimal(c, 12)}"
    ),
    "hash digits": lambda c: digits(c, c.choice([20, 32, 40])),
    "mac": lambda c: ":".join(hexadecimal(c, 2) for _ in range(6)),
    "mac hyphen": lambda c: "-".join(hexadecimal(c, 2) for _ in range(6)).upper(),
    "mac cisco": lambda c: ".".join(hexadecimal(c, 4) for _ in range(3)),
    "eui64": lambda c: ":".join(hexadecimal(c, 2) for _ in range(8)),
    "fingerprint": lambda c: ":".join(hexadecimal(c, 2) for _ in range(16)),
    "fingerprint sha1 upper": lambda c: ":".join(hexadecimal(c, 2) for _ in range(20)).upper(),
    "pci": lambda c: f"0000:{hexadecimal(c, 2)}:{hexadecimal(c, 2)}.{c.randint(0, 7)}",
    "hex words": lambda c: ":".join(hexadecimal(c, 4) for _ in range(c.choice([2, 3, 4]))),
    "gid": lambda c: "fe80:0000:0000:0000:" + ":".join(hexadecimal(c, 4) for _ in range(4)),
    "ula": lambda c: str(ipaddress.IPv6Address((0xFD << 120) | c.getrandbits(120))),
    "doc v6": lambda c: str(ipaddress.IPv6Address((0x20010DB8 << 96) | c.getrandbits(96))),
    "iso time": lambda c: moment(c).isoformat() + c.choice(["Z", "+02:00", "-0500", ""]),
    "compact time": lambda c: moment(c).strftime("%Y%m%d%H%M%S"),
    "compact T": lambda c: moment(c).strftime("%Y%m%dT%H%M%SZ"),
    "epoch": lambda c: str(c.randint(10**9, 19 * 10**8)),
    "epoch ms": lambda c: str(c.randint(10**12, 19 * 10**11)),
    "epoch us": lambda c: str(c.randint(10**15, 19 * 10**14)),
    "epoch ns": lambda c: str(c.randint(10**18, 19 * 10**17)),
    "epoch float": lambda c: f"{c.randint(10**9, 19 * 10**8)}.{digits(c, 6)}",
    "rfc2822": lambda c: moment(c).strftime("%a, %d %b %Y %H:%M:%S +0200"),
    "us date": lambda c: moment(c).strftime("%m/%d/%Y %H:%M"),
    "date dots": lambda c: moment(c).strftime("%d.%m.%Y %H:%M"),
    "date hyphens": lambda c: moment(c).strftime("%Y-%m-%d-%H-%M-%S"),
    "date 2": lambda c: moment(c).strftime("%d-%m-%Y"),
    "date blanks": lambda c: moment(c).strftime("%Y %m %d"),
    "time frames": lambda c: moment(c).strftime("%H:%M:%S:") + digits(c, 2),
    "srt": lambda c: (
        "00:01:" + moment(c).strftime("%S,") + digits(c, 3) + " --> 00:02:" + moment(c).strftime("%S,") + digits(c, 3)
    ),
    "log stamp": lambda c: moment(c).strftime("%Y/%m/%d %H:%M:%S.") + digits(c, 6),
    "year range": lambda c: f"{c.randint(1800, 1990)}-{c.randint(1991, 2024)}",
    "coordinates": lambda c: f"{c.uniform(-90, 90):.{c.randint(4, 8)}f}, {c.uniform(-180, 180):.{c.randint(4, 8)}f}",
    "iso6709": lambda c: f"+{c.uniform(10, 90):.4f}-{c.uniform(100, 180):.4f}/",
    "dms": lambda c: f"{c.randint(0, 89)}°{c.randint(0, 59):02}′{c.randint(0, 59):02}.{digits(c, 3)}″N",
    "utm": lambda c: f"33U {digits(c, 6)} {digits(c, 7)}",
    "geo plus": lambda c: f"+{c.randint(10, 89)}.{digits(c, 6)} +{c.randint(10, 179)}.{digits(c, 6)}",
    "part": lambda c: f"{digits(c, 4)}-{digits(c, 4)}-{digits(c, 2)}",
    "part 2": lambda c: f"P/N {digits(c, 3)}-{digits(c, 5)}-{digits(c, 3)}",
    "part 3": lambda c: f"{c.choice('ABCX')}{digits(c, 3)}-{digits(c, 4)}",
    "sku": lambda c: f"SKU{digits(c, 8)}",
    "ean13": lambda c: (lambda b: b + ean.calc_check_digit(b))(digits(c, 12)),
    "upc blanks": lambda c: f"{digits(c, 1)} {digits(c, 5)} {digits(c, 5)} {digits(c, 1)}",
    "vin": lambda c: "".join(c.choice("ABCDEFGHJKLMNPRSTUVWXYZ0123456789") for _ in range(17)),
    "imei": lambda c: (lambda b: b + luhn.calc_check_digit(b))("35" + digits(c, 12)),
    "imei hyphens": lambda c: (lambda b: f"{b[:2]}-{b[2:8]}-{b[8:14]}-{luhn.calc_check_digit(b)}")(
        "35" + digits(c, 12)
    ),
    "iccid": lambda c: (lambda b: b + luhn.calc_check_digit(b))("89" + digits(c, 16)),
    "ups": lambda c: "1Z" + hexadecimal(c, 6).upper() + digits(c, 10),
    "fedex": lambda c: f"{digits(c, 4)} {digits(c, 4)} {digits(c, 4)}",
    "usps": lambda c: f"9400 {digits(c, 4)} {digits(c, 4)} {digits(c, 4)} {digits(c, 4)} {digits(c, 2)}",
    "isin": lambda c: c.choice(["US", "DE", "GB"]) + digits(c, 10),
    "vat": lambda c: c.choice(["DE", "FR", "ATU", "IT"]) + digits(c, 9),
    "lei": lambda c: digits(c, 4) + "00" + "".join(c.choice("ABCDEFGHIJ0123456789") for _ in range(12)) + digits(c, 2),
    "national id pl": lambda c: digits(c, 11),
    "nhs": lambda c: f"{digits(c, 3)} {digits(c, 3)} {digits(c, 4)}",
    "de taxid": lambda c: f"{digits(c, 2)} {digits(c, 3)} {digits(c, 3)} {digits(c, 3)}",
    "ein": lambda c: f"{digits(c, 2)}-{digits(c, 7)}",
    "zip4": lambda c: f"{digits(c, 5)}-{digits(c, 4)}",
    "card broken": lambda c: (lambda b: b + other_digit(c, luhn.calc_check_digit(b)))("4" + digits(c, 14)),
    "card broken groups": lambda c: (
        lambda b: (lambda s: " ".join(s[i : i + 4] for i in range(0, 16, 4)))(
            b + other_digit(c, luhn.calc_check_digit(b))
        )
    )("5" + digits(c, 14, "12345")),
    "iban broken": lambda c: (lambda x: x[:-1] + str((int(x[-1]) + c.randint(1, 9)) % 10))(with_check("DE", "18!n", c)),
    "amount en": lambda c: amount(c, ",", "."),
    "amount de": lambda c: amount(c, ".", ","),
    "amount fr": lambda c: amount(c, "\u202f", ","),
    "amount blanks": lambda c: amount(c, " ", ","),
    "amount ch": lambda c: amount(c, "'", "."),
    "amount in": lambda c: f"₹{c.randint(1, 99)},{digits(c, 2)},{digits(c, 2)},{digits(c, 3)}",
    "amount $": lambda c: f"${amount(c, ',', '.')}",
    "amount plus": lambda c: f"+{amount(c, ',', '.')}",
    "amount plus de": lambda c: f"+{amount(c, '.', ',')}",
    "percent": lambda c: f"+{c.randint(1, 99)}.{digits(c, 2)}%",
    "big int": lambda c: digits(c, c.randint(8, 19), "123456789"),
    "thousands blanks": lambda c: f"{c.randint(1, 999)} {digits(c, 3)} {digits(c, 3)}",
    "plus delta": lambda c: f"+{digits(c, c.randint(5, 9), '123456789')}",
    "pop rows": lambda c: f"{digits(c, 5)} {digits(c, 5)} {digits(c, 5)}",
    "stock": lambda c: f"{c.uniform(10, 999):.2f} +{c.uniform(0, 9):.2f} ({c.uniform(0, 9):.2f}%)",
    "chess": lambda c: f"{c.randint(1, 40)}. Nf3 d5 {c.randint(1, 40)}. e4 1-0",
    "fen": lambda c: "r1bqkbnr/pppp1ppp/2n5/4p3/4P3/5N2/PPPP1PPP/RNBQKB1R w KQkq - 2 3",
    "tennis": lambda c: f"6-4 3-6 7-6({c.randint(1, 9)}) 6-{c.randint(0, 4)}",
    "scores": lambda c: f"{c.randint(0, 120)}-{c.randint(0, 120)}, {c.randint(0, 120)}-{c.randint(0, 120)}",
    "record": lambda c: (
        f"{c.randint(10, 99)}-{c.randint(10, 99)}-{c.randint(0, 9)} ({c.randint(100, 999)}-{c.randint(100, 999)})"
    ),
    "cricket": lambda c: f"{c.randint(100, 500)}/{c.randint(0, 9)} (50.0 ov)",
    "box score": lambda c: " ".join(digits(c, c.randint(1, 2)) for _ in range(10)),
    "oid": lambda c: "1.3.6.1.4.1." + ".".join(str(c.randint(1, 999)) for _ in range(4)),
    "netmask": lambda c: c.choice(["255.255.255.0", "255.255.252.0", "0.0.0.0", "255.255.255.255"]),
    "private v4": lambda c: c.choice(
        [
            f"10.{c.randint(0, 255)}.{c.randint(0, 255)}.{c.randint(1, 255)}",
            f"192.168.{c.randint(0, 255)}.{c.randint(1, 255)}",
            f"172.{c.randint(16, 31)}.{c.randint(0, 255)}.{c.randint(1, 255)}",
            f"127.0.0.{c.randint(1, 9)}",
        ]
    ),
    "network v4": lambda c: f"{c.randint(60, 120)}.{c.randint(0, 255)}.{c.randint(0, 255)}.0/24",
    "v4 too big": lambda c: f"{c.randint(256, 999)}.{c.randint(1, 255)}.{c.randint(1, 255)}.{c.randint(1, 255)}",
    "npm": lambda c: f"{c.choice(['lodash', 'react', 'vue'])}@{c.randint(0, 20)}.{c.randint(0, 20)}.{c.randint(0, 20)}",
    "go mod": lambda c: f"golang.org/x/net@v0.{c.randint(1, 40)}.0",
    "docker": lambda c: f"alpine@sha256:{hexadecimal(c, 64)}",
    "ssh git": lambda c: f"git@github.com:{c.choice(NAMES)}/x.git",
    "decorator": lambda c: f"@app.route('/{c.choice(NAMES)}')",
    "matmul": lambda c: f"x@w{c.randint(1, 9)}.T",
    "retina": lambda c: f"icon{c.randint(1, 99)}@2x.png",
    "handle": lambda c: f"@{c.choice(NAMES)}.{c.choice(NAMES)}",
    "matrix id": lambda c: f"@{c.choice(NAMES)}:example.org",
    "unit": lambda c: f"user@{c.randint(1000, 1999)}.service",
    "localhost": lambda c: f"{c.choice(NAMES)}@localhost",
    "ssh host": lambda c: f"{c.choice(NAMES)}@host{c.randint(1, 9)}",
    "css": lambda c: "@media (min-width: 600px)",
    "twitter": lambda c: f"@{c.choice(NAMES)}",
    "hexdump": lambda c: (
        f"{hexadecimal(c, 8)}: {hexadecimal(c, 4)} {hexadecimal(c, 4)} {hexadecimal(c, 4)} {hexadecimal(c, 4)}"
    ),
    "octal": lambda c: f"0{digits(c, 3, '1234567')} 0{digits(c, 3, '1234567')}",
    "hunk": lambda c: f"@@ -{c.randint(1, 900)},{c.randint(1, 99)} +{c.randint(1, 900)},{c.randint(1, 99)} @@",
    "slice": lambda c: f"a[{c.randint(0, 9)}:{c.randint(10, 99)}:{c.randint(1, 9)}]",
    "ratio": lambda c: f"{c.randint(1, 20)}:{c.randint(1, 20)}:{c.randint(1, 20)}",
    "pages": lambda c: f"pp. {digits(c, 3, '123')}-{digits(c, 3, '456')}",
    "journal": lambda c: f"{c.randint(1, 99)}({c.randint(1, 12)}):{digits(c, 4, '123')}-{digits(c, 4, '456')}",
    "arxiv": lambda c: f"arXiv:{c.randint(10, 24)}0{c.randint(1, 9)}.{digits(c, 5)}",
    "pmid": lambda c: f"PMID: {digits(c, 8, '123')}",
    "bible": lambda c: f"John {c.randint(1, 20)}:{c.randint(1, 30)}-{c.randint(31, 50)}",
    "ipa": lambda c: f"section {c.randint(1, 20)}.{c.randint(1, 20)}.{c.randint(1, 20)}.{c.randint(1, 20)}",
    "sci": lambda c: f"{c.uniform(1, 9):.10f}e+{c.randint(10, 99)}",
    "pi": lambda c: f"{c.uniform(1, 9):.15f}",
    "matrix": lambda c: " ".join(str(c.randint(0, 255)) for _ in range(8)),
    "matrix zeros": lambda c: " ".join(f"{c.randint(0, 999):03}" for _ in range(5)),
    "bits": lambda c: " ".join("".join(c.choice("01") for _ in range(c.choice([4, 8]))) for _ in range(4)),
    "cas": lambda c: f"{digits(c, 5, '123456789')}-{digits(c, 2)}-{digits(c, 1)}",
    "case no": lambda c: f"No. {c.randint(10, 24)}-{digits(c, 4)}",
    "bank blz": lambda c: f"BLZ {digits(c, 3, '1234567')} {digits(c, 3)} {digits(c, 2)}",
    "ascii range": lambda c: f"0{digits(c, 3)}-0{digits(c, 3)}",
    "register": lambda c: f"HRB {digits(c, 6)}",
    "rows 0": lambda c: f"0{digits(c, 2)} 0{digits(c, 3)} 0{digits(c, 3)}",
    "math": lambda c: f"{c.randint(100, 999)} - {c.randint(100, 999)} = {c.randint(1, 99)}",
    "phone-like id": lambda c: f"{digits(c, 3)}-{digits(c, 2)}-{digits(c, 5)}",
    "serial": lambda c: f"S/N {digits(c, 10)}",
    "zip list": lambda c: f"{digits(c, 5)} {digits(c, 5)}",
    "prices": lambda c: f"{c.randint(1, 99)}.99 {c.randint(1, 99)}.49 {c.randint(100, 999)}.00",
    "temperature": lambda c: f"-{c.randint(1, 20)}..+{c.randint(10, 40)}",
    "range": lambda c: f"{digits(c, 4, '123456789')}-{digits(c, 4, '123456789')}",
    "decimal list": lambda c: ", ".join(f"{c.uniform(-9, 9):.3f}" for _ in range(5)),
    "bignum groups": lambda c: " ".join(digits(c, 4) for _ in range(5)),
    "dewey": lambda c: f"{digits(c, 3)}.{digits(c, 5)}",
    "mersenne": lambda c: f"2^{digits(c, 5)} - 1 = {digits(c, 18)}",
}
