"""Checks and normalises `rope_scaling`: the ways to stretch rotary positions to a longer context, and their keys.

Keys and their meaning are Hugging Face's, so that config.json needs no translation. The arithmetic is in
llm/model/positions.py. It imports no torch.
"""

from llm.errors import InputError

# rope_type -> (needed keys, optional keys)
KEYS = {
    "linear": ({"factor"}, set()),
    "dynamic": ({"factor"}, set()),
    "yarn": ({"factor", "original_max_position_embeddings"}, {"attention_factor", "beta_fast", "beta_slow"}),
    "llama3": ({"factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor"}, set()),
}
WHOLE = {"original_max_position_embeddings"}


def canonical(scaling: dict | None) -> dict | None:
    """Return one form for equal meanings: None for no scaling, sorted keys, floats except for lengths in tokens, no
    nulls. What `check` will refuse is left alone."""
    if not isinstance(scaling, dict):
        return scaling
    found = {key: value for key, value in scaling.items() if value is not None}
    if "type" in found:  # the key's name until transformers 4.42
        found.setdefault("rope_type", found.pop("type"))
    if found.get("rope_type") == "default":
        return None
    plain = {key for key, value in found.items() if isinstance(value, int) and not isinstance(value, bool)} - WHOLE
    return {key: float(found[key]) if key in plain else found[key] for key in sorted(found)}


def check(scaling: object, context_length: int) -> None:
    """Raise InputError, one line that begins with the config key, for what cannot be computed."""
    if not isinstance(scaling, dict) or scaling.get("rope_type") not in tuple(KEYS):
        kind = scaling.get("rope_type") if isinstance(scaling, dict) else scaling
        raise InputError(
            f"model.rope_scaling: {kind!r} is no rope_type; choose one of {', '.join(KEYS)}, or leave it out"
        )
    kind = scaling["rope_type"]
    needed, optional = KEYS[kind]
    for key in sorted(needed - scaling.keys()):
        raise InputError(f"model.rope_scaling.{key} is missing; {kind} needs {', '.join(sorted(needed))}")
    for key in sorted(scaling.keys() - needed - optional - {"rope_type"}):
        raise InputError(
            f"model.rope_scaling.{key}: unknown key; {kind} takes {', '.join(sorted(needed | optional))}: delete it"
        )
    for key in sorted(scaling.keys() - {"rope_type"}):
        value, wanted = scaling[key], int if key in WHOLE else float
        if not isinstance(value, wanted) or isinstance(value, bool) or not 0 < value < float("inf"):
            raise InputError(
                f"model.rope_scaling.{key}: {value!r} is not a positive {'whole ' * (wanted is int)}number"
            )
    if scaling["factor"] < 1:
        raise InputError(f"model.rope_scaling.factor: {scaling['factor']} would shorten the context; state 1 or more")
    original = scaling.get("original_max_position_embeddings", 1)
    if original > context_length:
        raise InputError(
            f"model.rope_scaling.original_max_position_embeddings: {original} exceeds model.context_length: "
            f"{context_length}, so there is nothing to stretch; leave rope_scaling out or raise context_length"
        )
    for low, high in (("low_freq_factor", "high_freq_factor"), ("beta_slow", "beta_fast")):
        if scaling.get(low, 1.0) >= scaling.get(high, 32.0):
            raise InputError(f"model.rope_scaling.{low}: {scaling.get(low, 1.0)} must be below {high}; exchange them")
