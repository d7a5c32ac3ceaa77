"""Who may do what in the object store: the one definition, from which MinIO's policies and docs/privileges.md are made.

`pipeline`, `notebooks` and `docs` are the users of the stack. The others split the pipeline for a shop that gives each
layer a key of its own: each is made where the folder of secrets has its name and password (`secrets --by-layer`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

BUCKETS = ("bronze", "silver", "quarantine", "data-docs")
LAKE = BUCKETS[:3]
# Of the live layer, which no night reads (docs/live.md).
LIVE = "live"
LOOK = ("s3:GetBucketLocation", "s3:ListBucket")
UPLOADS = ("s3:ListBucketMultipartUploads",)
READ = ("s3:GetObject",)
# A part of a large file that is not finished is taken back by who began it.
WRITE = ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
DELETE = ("s3:DeleteObject",)
VERSIONS = ("s3:GetObjectVersion", "s3:DeleteObjectVersion")
LIST_VERSIONS = ("s3:ListBucketVersions", "s3:GetBucketVersioning")
# Where a lake keeps its ledger's id, and each layer's copy of its pointers.
MARKS = "bronze/_lakehouse"


class User(NamedTuple):
    """What a user may do, by bucket; `marks`: the files beside bronze's tables that it writes too."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


USERS = {
    "pipeline": User(*[(*BUCKETS, LIVE)] * 3),
    "notebooks": User((*LAKE, LIVE)),
    "docs": User(("data-docs",)),
    # One key a layer. Those who append delete nothing: neither data nor an entry of a table's log.
    "bronze": User(("bronze", "data-docs"), ("bronze", "data-docs")),
    "silver": User(BUCKETS, ("silver", "quarantine", "data-docs"), marks=("identity.json", "silver.json")),
    "gold": User(("bronze", "silver", "data-docs"), ("data-docs",), marks=("identity.json", "gold.json")),
    "reader": User(("silver",)),
    "maintenance": User(BUCKETS, BUCKETS, BUCKETS),
    "recovery": User(BUCKETS, BUCKETS, BUCKETS, BUCKETS),
}
BY_LAYER = ("bronze", "silver", "gold", "reader", "maintenance", "recovery")


def policy(name: str) -> dict[str, Any]:
    """The policy of a user, in the words of the store."""
    user = USERS[name]
    young = _objects(tuple(b for b in user.reads if b not in user.versions))
    statements = [
        _allow((*LOOK, *(UPLOADS if user.writes else ())), _buckets(user.reads)),
        _allow(READ, _objects(user.reads)),
        _allow(WRITE, [*_objects(user.writes), *(f"arn:aws:s3:::{MARKS}/{file}" for file in user.marks)]),
        _allow(DELETE, _objects(user.deletes)),
        _allow(LIST_VERSIONS, _buckets(user.versions)),
        _allow(VERSIONS, _objects(user.versions)),
        # MinIO takes the right to read for one to read old versions too, unless that is denied. It takes the right to list
        # for one to list old versions, and there a denial does nothing.
        _deny(READ, young) | {"Condition": {"StringLike": {"s3:versionid": ["?*"]}}},
        _deny(VERSIONS[1:], young),
    ]
    return {"Version": "2012-10-17", "Statement": [s for s in statements if s["Resource"]]}


def _allow(actions: tuple[str, ...], resources: list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resources}


def _deny(actions: tuple[str, ...], resources: list[str]) -> dict[str, Any]:
    return {**_allow(actions, resources), "Effect": "Deny"}


def _buckets(names: tuple[str, ...]) -> list[str]:
    return [f"arn:aws:s3:::{name}" for name in names]


def _objects(names: tuple[str, ...]) -> list[str]:
    return [f"arn:aws:s3:::{name}/*" for name in names]
