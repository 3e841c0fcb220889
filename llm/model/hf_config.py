"""Converts architectures to config.json of the Hugging Face family that computes the same, and back.

Where no family does, config.json has model_type "stemma", which transformers refuses instead of loading the model
wrongly. What a family's config has no key for (z_loss, init) stands under the key "stemma", which transformers keeps.
It works on dicts of ModelConfig's fields, and imports no torch.
"""

from llm.errors import InputError
from llm.model.families import ACTIVATIONS, FAMILIES, SPECIAL_NAMES, family_of

OWN = "stemma"
OWN_ARCHITECTURE = "StemmaCausalLM"
# These may be left out or null in any family's config: see with_sizes.
DERIVED = {"n_kv_heads", "d_head", "d_ff", *SPECIAL_NAMES}
LATER = ("qkv_bias",)  # fields that older files do not have: written where they are not false
OWN_DEFAULTS = {"z_loss": 0.0, "init": "zero_residual"}


def write(fields: dict) -> dict:
    """Return config.json of an architecture, as a dict."""
    name = family_of(fields)
    if name is None:
        return own(fields)
    family = FAMILIES[name]
    config = {"architectures": [family.architecture], "dtype": "float32", "model_type": name} | family.written
    config |= {key: fields[field] for field, key in family.names.items()}
    if name == "llama":
        config["mlp_bias"] = fields["bias"]
    if name == "gpt2":
        config["activation_function"] = ACTIVATIONS[fields["activation"]][0]
    if fields["position"] == "rope":
        config |= written_rope(fields["rope_theta"], fields["rope_scaling"])
    rest = {key: fields[key] for key, default in OWN_DEFAULTS.items() if fields[key] != default}
    return config | ({OWN: rest} if rest else {})


def own(fields: dict) -> dict:
    """Return a config.json that only this repository reads: all fields under the key "stemma"."""
    config = {"architectures": [OWN_ARCHITECTURE], "dtype": "float32", "model_type": OWN}
    config |= {key: fields[field] for field, key in SPECIAL_NAMES.items()}
    left_out = SPECIAL_NAMES.keys() | {field for field in LATER if not fields[field]}
    return config | {OWN: {field: value for field, value in fields.items() if field not in left_out}}


def written_rope(theta: float, scaling: dict | None) -> dict:
    """Return the keys of RoPE. It stands twice: transformers 5 reads rope_parameters, others rope_theta,
    rope_scaling."""
    kind = scaling or {"rope_type": "default"}
    rope = {"rope_parameters": {"rope_theta": theta} | kind, "rope_theta": theta}
    return rope | ({"rope_scaling": scaling} if scaling else {})


def read(config: dict) -> dict:
    """Return ModelConfig's fields from config.json, old or new style, of any family in the table.

    Raises InputError for what this repository's transformer would compute differently, and for a missing key."""
    if config.get("model_type") == "mistral":
        config = as_llama(config)
    name = config.get("model_type")
    if name == OWN:
        return config.get(OWN, {}) | {field: config.get(key) for field, key in SPECIAL_NAMES.items()}
    if not isinstance(name, str) or name not in FAMILIES:
        raise InputError(
            f"config.json: model_type {name!r} is not supported, only {', '.join(FAMILIES)}, mistral and {OWN}; "
            "convert the model first"
        )
    family = FAMILIES[name]
    for key, value in family.needed.items():
        refuse_unless(key, nested(config, key, value), value)
    config = {**family.defaults, **{family.aliases.get(key, key): value for key, value in config.items()}}
    fields = {field: values[0] for field, values in family.computes.items()}
    try:
        fields |= {field: config.get(key) if field in DERIVED else config[key] for field, key in family.names.items()}
    except KeyError as error:
        raise InputError(f"config.json lacks {error}; it is not a complete config of {family.architecture}") from error
    if name == "llama":
        refuse_unless("mlp_bias", config.get("mlp_bias", False), fields["bias"])
    if name == "gpt2":
        fields["activation"] = activation(config.get("activation_function", "gelu_new"))
    if fields["position"] == "rope":
        fields |= read_rope(config)
    for field in ("d_model", "n_heads"):
        if not isinstance(fields[field], int) or fields[field] < 1:
            raise InputError(f"config.json: {family.names[field]} {fields[field]!r} is not a positive whole number")
    rest = config.get(OWN, {})
    for key in sorted(rest.keys() - OWN_DEFAULTS.keys()):
        raise InputError(f"config.json: {OWN}.{key}: {name} has this elsewhere or not at all; delete it")
    return with_sizes(fields) | rest


def as_llama(config: dict) -> dict:
    """Return the config.json of a Llama that computes what a Mistral does. Within its sliding window a Mistral sees
    all, so the window becomes the context length."""
    context, window = config.get("max_position_embeddings", 131072), config.get("sliding_window", 4096)
    found = {"max_position_embeddings": context, "rms_norm_eps": 1e-6} | config | {"model_type": "llama"}
    if window:
        found["max_position_embeddings"] = min(context, window)
    return found


def with_sizes(fields: dict) -> dict:
    """Fill in sizes that the family derives where they are left out or null, and make ids single."""
    fields["n_kv_heads"] = fields.get("n_kv_heads") or fields["n_heads"]
    fields["d_head"] = fields.get("d_head") or fields["d_model"] // fields["n_heads"]
    fields["d_ff"] = fields.get("d_ff") or 4 * fields["d_model"]
    eos = first_id(fields["eos_id"], 2)
    return fields | {
        "bos_id": first_id(fields["bos_id"], 1),
        "eos_id": eos,
        "pad_id": first_id(fields["pad_id"], eos),
    }


def read_rope(config: dict) -> dict:
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(rope, dict):
        raise InputError(f"config.json: rope_parameters {rope!r} are no object; copy it again")
    scaling = {key: value for key, value in rope.items() if key not in ("rope_theta", "partial_rotary_factor")}
    for where in (rope, config):
        refuse_unless("partial_rotary_factor", where.get("partial_rotary_factor", 1.0), 1.0)
    return {"rope_theta": rope.get("rope_theta", config.get("rope_theta", 10000.0)), "rope_scaling": scaling or None}


def activation(name: str) -> str:
    known = {theirs: ours for ours, names in ACTIVATIONS.items() for theirs in names}
    if name not in known:
        raise InputError(f"config.json: activation_function {name!r} is not supported, only {', '.join(known)}")
    return known[name]


def nested(config: dict, key: str, default: object) -> object:
    """Return config[a][b] for "a.b"; `default` where a step is missing."""
    for part in key.split("."):
        config = config.get(part, default) if isinstance(config, dict) else default
    return config


def refuse_unless(key: str, value: object, supported: object) -> None:
    if value != supported:
        raise InputError(f"config.json: {key} {value!r} is not supported, only {supported!r}; convert the model first")


def first_id(value: int | list[int] | None, default: int) -> int:
    """Return the first of several ids: Llama 3 lists several end-of-sequence ids, and the first one ends a document."""
    if value is None or value == []:
        return default
    return value[0] if isinstance(value, list) else value
