"""What a table holds as two numbers that do not depend on the order of its rows: how many, and a hash of their content.

The hash is the sum, over the rows, of the first 15 hexadecimal digits of the MD5 of the row's text in UTF-8, read as an
integer. The text of a row is that of the columns, in the order given, joined by U+001F. Two databases that hold the
same content have the same hash whatever the width of their types or the settings of their sessions.
"""

from collections.abc import Mapping
from typing import Any

# The text of a value by its type; null is `\N` in all. A decimal has four places, a timestamp is in UTC.
TEXTS = {
    "text": "{}",
    "integer": "{}::bigint::text",
    "bigint": "{}::bigint::text",
    "numeric": "round({}::numeric, 4)::text",
    "date": "to_char({}, 'YYYY-MM-DD')",
    "timestamptz": """to_char({} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
    "boolean": "case {} when true then 'true' when false then 'false' end",
}


def content_hash(cursor: Any, relation: str, columns: Mapping[str, str]) -> tuple[int, int]:
    """The number of rows and the hash of a relation, over the columns given, in their order.

    `columns` gives the type of each as the contracts write it; the precision and scale of a numeric do not matter.
    """
    texts = [f"coalesce({TEXTS[kind.partition('(')[0]].format(column)}, e'\\\\N')" for column, kind in columns.items()]
    row = " || e'\\x1f' || ".join(texts)
    cursor.execute(
        f"""select count(*), coalesce(sum(('x' || left(md5(convert_to({row}, 'UTF8')), 15))::bit(60)::bigint), 0)
              from {relation}"""
    )
    rows, digest = cursor.fetchone()
    return rows, int(digest)
