"""The kind `phone`: international numbers, national ones by their form, others after a word that announces them.

Sources: ITU-T E.164, RFC 3966 and the common national spellings. Which of phonenumbers' formats are left out,
docs/process.md says.
"""

import re

from llm.process.pii.kind import Kind, cue, follows


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
        if is_figure(match):
            return False
        of_islands = ISLAND.fullmatch(digits) is not None and not figure
        return len(digits) >= 9 or of_islands or (len(digits) >= 7 and follows(OF_PHONES, match))
    if match["zeros"]:
        return 11 <= len(digits) <= 15 and (not is_dump(match["number"]) or follows(OF_PHONES, match))
    if match["trunk"]:
        least = 8 if match["eight"] or match["number"][0] == "(" else 9
        most = 13 if match["gap"] is None else 11
        return least <= len(digits) <= most and (not is_series(match["number"]) or follows(OF_PHONES, match))
    if match["announced"]:
        most = 15 if digits.startswith("00") else 12
        return 7 <= len(digits) <= most
    return True


def is_figure(match: re.Match[str]) -> bool:
    """Is it an amount with decimals (+394.251.960,09), or two coordinates of which the second has a sign
    (+66.4032-175.2757)?"""
    amount = THOUSANDS.fullmatch(match["number"]) and re.match(",[0-9]", match.string[match.end() : match.end() + 2])
    return bool(amount) or COORDINATES.fullmatch(match["number"]) is not None


def is_series(number: str) -> bool:
    """Does it count (01 02 03 04 05), or are its numbers, three and more without brackets, all filled up with zeros
    (038 0466 0927)?"""
    groups = re.findall("[0-9]+", number)
    counts = list(map(int, groups)) == list(range(int(groups[0]), int(groups[0]) + len(groups)))
    return counts or (len(groups) > 2 and number[0] != "(" and all(group[0] == "0" for group in groups))


def is_dump(number: str) -> bool:
    """Has it groups of four digits alone?"""
    return {len(group) for group in re.findall("[0-9]+", number)} == {4}


def may_be_announced(match: re.Match[str]) -> bool:
    """Does a word that announces a phone stand before the match, if it needs one (as all do after =, but international
    ones), and is it no date? What is no phone for one of these is none with fewer digits at its end either."""
    national = match["plus"] is None and match["zeros"] is None
    if national and match.string[max(0, match.start() - 1) : match.start()] == "=" and not follows(OF_PHONES, match):
        return False
    return match["announced"] is None or (DATE.match(match["number"]) is None and follows(OF_PHONES, match))


OF_PHONES = cue(
    r"(?=[tpsfmcwhroтТτΤ电電手전휴هجט])(?:t[eéÉ]l(?:[eé]foon|[eé]fon[eo]?|[eé]phone)?|(?:smart|cell|tele|home|work|office)?phone|(?:tele)?fax|mobile?"
    r"|m[oóÓ]vil|mob|cell(?:ular)?|whatsapp|handy|tlf|puh|ph|rufnummer|contact(?=[ ._-]?(?:number|no|nr|num)\b)"
    "|[Тт]ел(?:ефон)?|[Ττ]ηλ(?:έφωνο)?|(?:电话|電話|手机|手機)(?:号码|號碼|番号)?|(?:전화|휴대폰)(?:번호)?|هاتف|جوال|טלפון)",
    r"(?:[ ._-]{0,2}(?:number|nummer|n[uú]mero|no|nr|num|is|at|me at|us at)\b){0,2}"
    r"(?:[ .:=#)/]{0,4}|：[ ]?|[\"'\]]{0,2} ?(?:=>|[:=]) ?[\"'\[]{0,2}|>)",  # also a field in data: "phone": "
)
DATE = re.compile(r"(?:19|20)[0-9]{2}[-/. ][01]?[0-9][-/. ][0-3]?[0-9]")
CODES = (  # E.164
    "7|2(?:[07]|[1-69][0-9])|3(?:[0-469]|[578][0-9])|4(?:[013-9]|2[0-9])|5(?:[1-8]|[09][0-9])"
    "|6(?:[0-6]|[789][0-9])|8(?:[1246]|[0578][0-9])|9(?:[0-58]|[67][0-9]|9[2-68])"
)
COUNTRY_CODE = re.compile(f"1[2-9][0-9]{{2}}[2-9][0-9]{{6}}$|{CODES}")  # of North America: area and exchange from 2 on
THOUSANDS = re.compile(r"\+[0-9]{1,3}(?:\.[0-9]{3})+")
COORDINATES = re.compile(r"\+[0-9]{1,3}\.[0-9]+-[0-9]{1,3}\.[0-9]+")
# countries whose numbers have four or five digits: Ascension, Falklands, Saint Helena, islands of the Pacific
ISLAND = re.compile("(?:247|500|67[678]|68[2568])[0-9]{5}|(?:290|683|690)[0-9]{4,5}")
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
# 00 in place of the plus, the country's code, which has an end, and groups: no series of numbers.
ZEROS = (
    r"(?=00)(?<![0-9][ -])(?<![0-9a-f][0-9a-f]:)(?P<zeros>00"
    rf"(?:(?:39|225|229|24[12])[ -]0[0-9]{{1,3}}|(?:{CODES})[ -](?:\(0\) ?)?[1-9][0-9]{{0,11}})"
    r"(?:[ -][0-9]{2,8}){0,5}(?![ -][0-9]))"
)
PHONE = (
    r"(?P<plus>\+(?:1[-. ]?(?:\([2-9][0-9]{2}\)|[2-9][0-9]{2})[-. ]?[2-9][0-9]{2}[-. ]?[0-9]{4}"
    r"|[2-9][0-9]{0,14}(?:[ .-]?\([0-9]{1,5}\)[ .-]?[0-9]{1,12})?(?:[ ./-][0-9](?=[ ./-][0-9]))?"
    r"(?:[ ./-](?:[0-9]{2,12}|[0-9](?=[ ./-][0-9]{2}))){0,5})"
    r"|\(\+[1-9][0-9]{0,2}\)[ -]?(?:\(?[0-9]{1,5}\)?[ -]?)?[0-9]{2,12}(?:[ -][0-9]{2,8}){0,4})"
    rf"|{NATIONAL}"
    r"|(?P<trunk>\(0[1-9][0-9]{0,3}\) ?[0-9]{2,8}(?:[ -][0-9]{2,5}){0,3}"
    r"|\(0(?:6 [0-9]{1,2}|-[1-9][0-9]{2})\) [0-9]{3} ?[0-9]{2,4}"  # Hungary, Lithuania
    rf"|{TRUNK}|{ZEROS})"
    r"|(?P<announced>(?:\([0-9]{1,5}\)[ .-]?)?[0-9]{1,12}(?:[ ./-][0-9]{1,8}){0,5})"
)
EXTENSION = (  # after English words, a letter or a mark, RFC 3966's, or a word of Russian, Spanish, Portuguese, German
    r"(?:,? ?(?:[xX]|[Ee]?[xX]tn?\.?|[Ee]xt(?:ensi[oó]n)?\.?|[Dд]об\.?|[Aa]nexo|[Rr]amal|[Ii]nt\.?|DW|Durchwahl)"
    r"[: ]? ?#?|,? ?#|;ext=)[0-9]{1,6}"
)
PHONES = Kind(
    "phone",
    re.compile(rf"(?:(?<![0-9A-Za-z.+_/-])|(?<=/)(?=\+))(?P<number>{PHONE})(?:{EXTENSION})?(?![0-9A-Za-z_]|[-.][0-9])"),
    is_phone,
    shorter=may_be_announced,
)
