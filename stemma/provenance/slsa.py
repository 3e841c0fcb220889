"""Spells a record as an in-toto Statement v1 with a SLSA provenance v1 predicate, and reads it back.

Nothing else in the engine knows these names. Fields that SLSA does not have bear the prefix `stemma_`, as its rules for
extensions ask. schemas/record.json says what a statement must look like; signing is stemma/provenance/dsse.py.
"""

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from stemma.provenance.record import Checkout, Input, Module, Output, Record

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:stemma:rule:v1"
BUILDER = "urn:stemma:engine:v1"
SCHEMA = Path(__file__).with_name("schemas") / "record.json"


def statement_of(record: Record) -> dict[str, Any]:
    """Return the statement that a record is written as."""
    asked = {"rule": record.rule, "script": record.script, "wildcards": record.wildcards, "params": record.params}
    internal = {
        "seed": record.seed,
        "numeric": record.numeric,
        "device": record.device,
        "threads": record.threads,
        "environment": record.environment,
        "distributions": record.distributions,
        "python": record.python,
    }
    return {
        "_type": STATEMENT,
        "subject": [
            {"name": made.path, "digest": {"sha256": made.sha256}, "annotations": {"output": made.argument}}
            for made in record.outputs
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": asked | ({} if record.shell is None else {"shell": record.shell}),
                "internalParameters": internal | ({} if record.guard is None else {"guard": record.guard}),
                "resolvedDependencies": list(dependencies(record)),
            },
            "runDetails": {
                "builder": {"id": BUILDER},
                "metadata": {
                    "invocationId": f"{record.action}/{record.started}",
                    "startedOn": record.started,
                    "finishedOn": record.finished,
                },
                "stemma_keys": {"action": record.action, "expected": record.expected, "closure": record.closure},
                "stemma_usage": record.usage,
                "stemma_metrics": record.metrics,
            },
        },
    }


def dependencies(record: Record) -> Iterator[dict[str, Any]]:
    """Yield inputs, code, surroundings and the state of the checkout as resolved dependencies, each with its digest."""
    for item in record.inputs:
        if item.is_source:
            told = {"argument": item.argument, "form": item.form, "outside": item.outside}
            yield depends(item.path, item.sha256, "source", **told)
        else:
            yield depends(item.path, item.sha256, "input", argument=item.argument, record=item.record)
    for path, module in record.modules.items():
        yield depends(path, module.sha256, "module", meaning=module.meaning)
    for path, sha256 in record.data_files.items():
        yield depends(path, sha256, "data")
    for name, sha256 in sorted(record.objects.items()):
        yield depends(name, sha256, name)
    if record.checkout:
        digests = {"gitCommit": record.checkout.commit}
        annotations = {"kind": "checkout", "diff_sha256": record.checkout.changes}
        yield {"name": "checkout", "digest": digests, "annotations": annotations}


def depends(name: str, sha256: str, kind: str, **annotations: object) -> dict[str, Any]:
    """Return one resolved dependency: an in-toto ResourceDescriptor."""
    return {"name": name, "digest": {"sha256": sha256}, "annotations": {"kind": kind, **annotations}}


def record_in(statement: dict[str, Any]) -> Record:
    """Return the record that a statement spells, which must keep to the schema."""
    definition, run = (statement["predicate"][name] for name in ("buildDefinition", "runDetails"))
    asked, internal, keys = definition["externalParameters"], definition["internalParameters"], run["stemma_keys"]
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for item in definition["resolvedDependencies"]:
        kind = item["annotations"]["kind"]
        by_kind.setdefault("input" if kind == "source" else kind, []).append(item)
    checkouts = by_kind.get("checkout")
    return Record(
        rule=asked["rule"],
        script=asked["script"],
        wildcards=asked["wildcards"],
        params=asked["params"],
        shell=asked.get("shell"),
        seed=internal["seed"],
        numeric=internal["numeric"],
        device=internal["device"],
        threads=internal["threads"],
        environment=internal["environment"],
        guard=internal.get("guard"),
        distributions=internal["distributions"],
        python=internal["python"],
        outputs=tuple(
            Output(made["annotations"]["output"], made["name"], made["digest"]["sha256"])
            for made in statement["subject"]
        ),
        inputs=tuple(map(input_in, by_kind.get("input", ()))),
        modules={
            item["name"]: Module(item["digest"]["sha256"], item["annotations"]["meaning"])
            for item in by_kind.get("module", ())
        },
        data_files={item["name"]: item["digest"]["sha256"] for item in by_kind.get("data", ())},
        objects={
            kind: item["digest"]["sha256"] for kind in ("environment", "closure") for item in by_kind.get(kind, ())
        },
        checkout=checkout_in(checkouts[0]) if checkouts else None,
        action=keys["action"],
        expected=keys["expected"],
        closure=keys["closure"],
        started=run["metadata"]["startedOn"],
        finished=run["metadata"]["finishedOn"],
        usage=run["stemma_usage"],
        metrics=run["stemma_metrics"],
    )


def input_in(item: dict[str, Any]) -> Input:
    """Return the input or source that a resolved dependency spells."""
    told = dict(item["annotations"])
    kind = told.pop("kind")
    record = told.pop("record") if kind == "input" else None
    return Input(told.pop("argument"), item["name"], item["digest"]["sha256"], record, **told)


def checkout_in(item: dict[str, Any]) -> Checkout:
    """Return the checkout that a resolved dependency spells."""
    return Checkout(item["digest"]["gitCommit"], item["annotations"]["diff_sha256"])


@cache
def schema() -> Callable[[object], object]:
    """Return the compiled check of the record schema. It raises JsonSchemaValueException for a violation."""
    import fastjsonschema  # imported here: only hits need it

    return fastjsonschema.compile(json.loads(SCHEMA.read_bytes()))


def mistake(statement: dict[str, Any]) -> str | None:
    """Return the first violation of the schema by a statement, in one line; None if there is none. What no schema can
    say: the script is one of the modules."""
    from fastjsonschema import JsonSchemaValueException

    try:
        schema()(statement)
    except JsonSchemaValueException as error:
        return error.message[:200]
    definition = statement["predicate"]["buildDefinition"]
    script = definition["externalParameters"]["script"]
    modules = (one["name"] for one in definition["resolvedDependencies"] if one["annotations"]["kind"] == "module")
    return None if script in modules else f"its script {script} is none of its modules"
