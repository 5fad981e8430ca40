"""Documents held to the specifications' own schemas, which lie in spec-fixtures."""

import json
import os

import jsonschema

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "spec-fixtures")
KINDS = {
    "application/vnd.oci.image.manifest.v1+json": "image-manifest-schema.json", "application/vnd.oci.image.index.v1+json": "image-index-schema.json",
    "application/vnd.oci.image.config.v1+json": "config-schema.json",
}


def without_addresses(schema):
    """A schema whose parts are looked for beside it, not at the address that it gives itself."""
    if isinstance(schema, list):
        return [without_addresses(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: without_addresses(part) for key, part in schema.items() if not (key == "id" and isinstance(part, str))}


def read(path):
    with open(path, encoding="utf-8") as file:
        return without_addresses(json.load(file))


def validate(document, specification, schema):
    """Raises `jsonschema.ValidationError` for a document (a dictionary, or its bytes) that `schema` of a specification forbids."""
    folder = os.path.join(FOLDER, specification)
    referrer = read(os.path.join(folder, schema))
    resolver = jsonschema.RefResolver(
        base_uri=f"file://{folder}/", referrer=referrer, handlers={"file": lambda address: read(address.removeprefix("file://"))})
    jsonschema.validate(json.loads(document) if isinstance(document, bytes) else document, referrer, resolver=resolver)


def validate_image(descriptor, blob):
    """Holds what a descriptor tells of, and all documents that this tells of, to image-spec's schemas; returns their media types.

    `blob` gives the bytes of a digest."""
    kind = descriptor["mediaType"]
    validate(descriptor, "image-spec", "content-descriptor.json")
    if kind not in KINDS:
        return []
    data = blob(descriptor["digest"])
    assert len(data) == descriptor["size"]
    document = json.loads(data)
    validate(document, "image-spec", KINDS[kind])
    parts = [*document.get("manifests", []), *([document["config"]] if kind.endswith("manifest.v1+json") else []), *document.get("layers", [])]
    return [kind, *(one for part in parts for one in validate_image(part, blob))]
