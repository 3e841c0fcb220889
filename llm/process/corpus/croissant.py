"""Describes a data set of parquet shards in Croissant 1.1 (mlcommons.org/croissant), so that others can load it.

The description of a directory stands beside it: `clean/` and `clean.croissant.json`. Fields and types come from the
shards' own schema, sizes and digests from the directory's manifest, licences from the documents. What only a publisher
knows (url, creator, datePublished, citeAs) is left out; mlcroissant warns of some of it.

The record set `documents` reads all shards. Beside it each shard has a record set of its own: that is how mlcroissant
1.1.1 hashes a file before it reads it. It cannot do so for a set of files that no archive contains.
"""

import json
from pathlib import Path

import polars as pl

from llm.errors import InputError

VERSION = "http://mlcommons.org/croissant/1.1"
PARQUET = "application/x-parquet"  # mlcroissant's name of it
SHARDS = "*/part-*.parquet"
TYPES = ((pl.String, "sc:Text"), (pl.Boolean, "sc:Boolean"), (pl.Datetime, "sc:Date"), (pl.Date, "sc:Date"))
MEANINGS = {
    "id": "identifier, unique in the data set",
    "text": "the document, personal data redacted",
    "title": "its title, where the source has one",
    "url": "where it comes from",
    "source": "name of its source",
    "domain": "web, encyclopedic, books, code, academic or a name of one's own",
    "license": "SPDX identifier",
    "language": "ISO 639 code, found by a classifier",
    "cluster": "documents that are near duplicates share it; one of them is here",
    "split": "train or validation, the same for a whole cluster",
    "quality": "score of a classifier, 0 to 1, where documents were scored",
    "n_bytes": "of the text in UTF-8",
}
# This is the context in the specification, reduced to the terms that occur in such a description.
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def shards_of(directory: Path) -> list[dict]:
    """Return {path, size, sha256} of the shards in the directory's manifest, in order. Raises InputError for none."""
    listed = json.loads((directory / "manifest.json").read_bytes())["files"]
    found = [entry for entry in listed if Path(entry["path"]).match(SHARDS)]
    if not found:
        raise InputError(f"{directory}/manifest.json lists no {SHARDS}; rebuild it")
    return found


def describe(directory: Path) -> dict:
    """Return the description of a directory of shards, as JSON-LD. Raises InputError if the shards' schemas differ."""
    shards = shards_of(directory)
    schema = pl.read_parquet_schema(directory / shards[0]["path"])
    for shard in shards:
        if pl.read_parquet_schema(directory / shard["path"]) != schema:
            raise InputError(f"{shard['path']}: other columns than {shards[0]['path']} has; rebuild {directory}")
    sources = sources_of(directory, shards)
    documents = sum(row["documents"] for row in sources)
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": directory.name,
        "description": f"{documents:,} documents of {len(sources)} sources, filtered, deduplicated, personal data "
        "redacted: text to train a language model on.",
        "license": sorted({address_of(row["license"]) for row in sources}),
        "distribution": [*(file_object(directory.name, shard) for shard in shards), file_set(directory.name)],
        "recordSet": [
            record_set("documents", schema, {"fileSet": {"@id": "shards"}}),
            sources_set(sources),
            *(shard_set(directory.name, shard, schema) for shard in shards),
        ],
    }


def sources_of(directory: Path, shards: list[dict]) -> list[dict]:
    """Return {source, domain, license, documents} of every source, sorted."""
    keys = ["source", "domain", "license"]
    frames = [
        pl.read_parquet(directory / shard["path"], columns=keys).group_by(keys).agg(documents=pl.len())
        for shard in shards
    ]
    return pl.concat(frames).group_by(keys).agg(pl.sum("documents")).sort(keys).to_dicts()


def address_of(license: str) -> str:
    """Return the page of an SPDX identifier; one that is not in SPDX's list has none and is returned as it is."""
    return license if license.startswith("LicenseRef-") else f"https://spdx.org/licenses/{license}"


def file_object(name: str, shard: dict) -> dict:
    """Describe one shard. Its url is relative to the description."""
    return {
        "@type": "cr:FileObject",
        "@id": f"{name}/{shard['path']}",
        "name": shard["path"],
        "contentUrl": f"{name}/{shard['path']}",
        "contentSize": f"{shard['size']} B",
        "encodingFormat": PARQUET,
        "sha256": shard["sha256"],
    }


def file_set(name: str) -> dict:
    """Describe the set of all shards, from which `documents` is read."""
    return {
        "@type": "cr:FileSet",
        "@id": "shards",
        "name": "shards",
        "encodingFormat": PARQUET,
        "includes": f"{name}/{SHARDS}",
    }


def record_set(identifier: str, schema: dict[str, pl.DataType], place: dict) -> dict:
    """Describe a record set of documents, a field per column. `place`: the file or files it is read from."""
    fields = [
        field_of(identifier, column, type_of(column, kind)) | {"source": place | {"extract": {"column": column}}}
        for column, kind in schema.items()
    ]
    return {"@type": "cr:RecordSet", "@id": identifier, "name": identifier, "field": fields}


def shard_set(name: str, shard: dict, schema: dict[str, pl.DataType]) -> dict:
    """Describe the documents of one shard as a record set with its name: `jargon/part-00000`."""
    identifier = str(Path(shard["path"]).with_suffix(""))
    return record_set(identifier, schema, {"fileObject": {"@id": f"{name}/{shard['path']}"}})


def sources_set(sources: list[dict]) -> dict:
    """Describe where the documents come from, and under which licence."""
    types = {"source": "sc:Text", "domain": "sc:Text", "license": "sc:Text", "documents": "sc:Integer"}
    fields = [field_of("sources", name, kind) for name, kind in types.items()]
    data = [{f"sources/{name}": value for name, value in row.items()} for row in sources]
    return {"@type": "cr:RecordSet", "@id": "sources", "name": "sources", "field": fields, "data": data}


def field_of(records: str, column: str, kind: str) -> dict:
    """Describe a field, except for where it is read from."""
    field = {"@type": "cr:Field", "@id": f"{records}/{column}", "name": column, "dataType": kind}
    return field | ({"description": MEANINGS[column]} if column in MEANINGS else {})


def type_of(column: str, kind: pl.DataType) -> str:
    """Return Croissant's type of a parquet column. Raises InputError for a type that it does not have."""
    if kind.is_integer():
        return "sc:Integer"
    if kind.is_float():
        return "sc:Float"
    for known, name in TYPES:
        if kind == known:
            return name
    raise InputError(f"column {column}: Croissant has no type for {kind}; leave it out of the shards")
