"""Hashes of keys which a server and Spark compute alike: into which bucket a key falls, and what is summed of it there.

CRC-32 is the cheaper one for both, and servers know it from release 18 on; older ones have nothing in common with Spark
but SHA-256 and md5, which some servers may not compute. By how much it is cheaper was not measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.database import KNOWS_CRC

# Both make 4,096 buckets. Twelve more hexadecimal digits are summed: no bucket of any shop overflows 64 bits. Spark takes
# far longer to read digits to the base of 16 than to make the hash, so they are written to the base of 10.
SUMMED = 12
HEX, DECIMAL = "abcdef", "012345"


@dataclass(frozen=True)
class Digest:
    """A hash of a text of ASCII, and of the hash the `bucket`, a text, and what is `summed`, a bigint of at most 41 bits.

    Each in SQL and as columns of Spark. `place`: the bucket of a text at once.
    """

    name: str
    hash_sql: Callable[[str], str]
    bucket_sql: Callable[[str], str]
    summed_sql: Callable[[str], str]
    place_sql: Callable[[str], str]
    hash: Callable[[Column], Column]
    bucket: Callable[[Column], Column]
    summed: Callable[[Column], Column]
    place: Callable[[Column], Column]


# The bits of a checksum that name the bucket, above all those of the checksum of the text read backwards, which is another one:
# of two keys in a bucket one pair in four billion has it in common.
CRC_32 = Digest(
    name="crc-32",
    hash_sql=lambda text: f"(crc32({_bytes(text)}) >> 20 << 32 | crc32({_bytes(f'reverse({text})')}))",
    bucket_sql=lambda hashed: f"({hashed} >> 32)::text",
    summed_sql=lambda hashed: f"({hashed} & 4294967295)",
    place_sql=lambda text: f"(crc32({_bytes(text)}) >> 20)::text",
    hash=lambda text: F.shiftleft(F.shiftright(F.crc32(text.cast("binary")), 20), 32).bitwiseOR(
        F.crc32(F.reverse(text).cast("binary"))
    ),
    bucket=lambda hashed: F.shiftright(hashed, 32).cast("string"),
    summed=lambda hashed: hashed.bitwiseAND(F.lit(4_294_967_295)),
    place=lambda text: F.shiftright(F.crc32(text.cast("binary")), 20).cast("string"),
)
SHA_256 = Digest(
    name="sha-256",
    hash_sql=lambda text: f"encode(sha256({_bytes(text)}), 'hex')",
    bucket_sql=lambda hashed: f"left({hashed}, 3)",
    place_sql=lambda text: f"left(encode(sha256({_bytes(text)}), 'hex'), 3)",
    summed_sql=lambda hashed: f"translate(substr({hashed}, 4, {SUMMED}), '{HEX}', '{DECIMAL}')::bigint",
    hash=lambda text: F.sha2(text, 256),
    bucket=lambda hashed: F.substring(hashed, 1, 3),
    summed=lambda hashed: F.translate(F.substring(hashed, 4, SUMMED), HEX, DECIMAL).cast("bigint"),
    place=lambda text: F.substring(F.sha2(text, 256), 1, 3),
)


def digest_of(release: int) -> Digest:
    """The cheaper of the two for a server of a release, as in 180004."""
    return CRC_32 if release >= KNOWS_CRC else SHA_256


def _bytes(text: str) -> str:
    return f"convert_to({text}, 'SQL_ASCII')"
