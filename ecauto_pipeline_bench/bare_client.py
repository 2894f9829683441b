"""The least that any mirror of customers has to do: fetch pages, parse them, write their rows.

Run as a process of its own: `python -m ecauto_pipeline_bench.bare_client graphql|rest URL TOKEN
DATABASE QUERY_FILE`, without the program's modules. It fills the program's own table, which is
there already: the same columns, but as they come, without a look at what is in them.
"""

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson

from ecauto_pipeline_bench.usage import tell

VERSION = "2026-10"
PAGE = 250
ADDRESS = (
    *("id", "company", "address1", "address2", "city", "province"),
    *("province_code", "country", "country_code", "zip", "phone"),
)
COLUMNS = (
    *("store_id", "id", "email", "phone", "first_name", "last_name", "state", "note", "tags"),
    *("tax_exempt", "verified_email", "orders_count", "total_spent", "currency"),
    *("last_order_id", "last_order_name", "accepts_marketing", "accepts_marketing_updated_at"),
    *("marketing_opt_in_level", "email_marketing_state", "email_marketing_opt_in_level"),
    *("email_marketing_updated_at", "sms_marketing_state", "sms_marketing_opt_in_level"),
    *("sms_marketing_updated_at", "sms_marketing_collected_from"),
    *(f"default_address_{name}" for name in ADDRESS),
    *("created_at", "updated_at", "payload", "synced_at"),
)
KEYS = ("store_id", "id")
NOW = "2026-11-21 00:00:00.000000"

Body = dict[str, Any]
Rows = list[tuple[Any, ...]]


def rest_pages(http: httpx.Client, url: str) -> Iterator[list[Body]]:
    """The customers, as REST gives them."""
    address = f"{url}/admin/api/{VERSION}/customers.json?limit={PAGE}"
    while address:
        answer = http.get(address)
        yield orjson.loads(answer.content)["customers"]
        address = answer.links.get("next", {}).get("url", "")


def graphql_pages(http: httpx.Client, url: str, query: str) -> Iterator[list[Body]]:
    """The customers, as GraphQL gives them."""
    after = None
    more = True
    while more:
        variables = {"first": PAGE, "after": after, "query": None, "sortKey": "ID"}
        body = orjson.dumps({"query": query, "variables": variables})
        answer = http.post(f"{url}/admin/api/{VERSION}/graphql.json", content=body)
        page = orjson.loads(answer.content)["data"]["customers"]
        yield page["nodes"]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]


def rest_row(body: Body) -> tuple[Any, ...]:
    """A row from a resource."""
    email: Body = body["email_marketing_consent"] or {}
    sms: Body = body["sms_marketing_consent"] or {}
    address: Body = body["default_address"] or {}
    return (
        "bench",
        body["id"],
        body["email"],
        body["phone"],
        body["first_name"],
        body["last_name"],
        body["state"],
        body["note"],
        body["tags"],
        body["tax_exempt"],
        body["verified_email"],
        body["orders_count"],
        body["total_spent"],
        body["currency"],
        body["last_order_id"],
        body["last_order_name"],
        email.get("state") == "subscribed",
        email.get("consent_updated_at"),
        email.get("opt_in_level"),
        email.get("state"),
        email.get("opt_in_level"),
        email.get("consent_updated_at"),
        sms.get("state"),
        sms.get("opt_in_level"),
        sms.get("consent_updated_at"),
        sms.get("consent_collected_from"),
        *map(address.get, ADDRESS),
        body["created_at"],
        body["updated_at"],
        orjson.dumps(body).decode(),
        NOW,
    )


def node_row(node: Body) -> tuple[Any, ...]:
    """A row from a node."""
    email: Body = node["defaultEmailAddress"] or {}
    phone: Body = node["defaultPhoneNumber"] or {}
    address: Body = node["defaultAddress"] or {}
    spent, order = node["amountSpent"], node["lastOrder"]
    return (
        "bench",
        int(node["legacyResourceId"]),
        email.get("emailAddress"),
        phone.get("phoneNumber"),
        node["firstName"],
        node["lastName"],
        node["state"],
        node["note"],
        ", ".join(node["tags"]),
        node["taxExempt"],
        node["verifiedEmail"],
        int(node["numberOfOrders"]),
        spent["amount"],
        spent["currencyCode"],
        number(order["id"]) if order else None,
        order["name"] if order else None,
        email.get("marketingState") == "SUBSCRIBED",
        email.get("marketingUpdatedAt"),
        email.get("marketingOptInLevel"),
        email.get("marketingState"),
        email.get("marketingOptInLevel"),
        email.get("marketingUpdatedAt"),
        phone.get("marketingState"),
        phone.get("marketingOptInLevel"),
        phone.get("marketingUpdatedAt"),
        phone.get("marketingCollectedFrom"),
        number(address["id"]) if address else None,
        address.get("company"),
        address.get("address1"),
        address.get("address2"),
        address.get("city"),
        address.get("province"),
        address.get("provinceCode"),
        address.get("country"),
        address.get("countryCodeV2"),
        address.get("zip"),
        address.get("phone"),
        node["createdAt"],
        node["updatedAt"],
        orjson.dumps(node).decode(),
        NOW,
    )


def number(gid: str) -> int:
    """The number in a global id."""
    return int(gid.rpartition("/")[2].partition("?")[0])


def upsert(values: str) -> str:
    """The statement, with these values."""
    changed = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name not in KEYS)
    return (
        f"INSERT INTO shopify_customers ({', '.join(COLUMNS)}) VALUES {values}"  # noqa: S608 - ours
        f" ON CONFLICT ({', '.join(KEYS)}) DO UPDATE SET {changed}"
    )


def write_sqlite(path: str, pages: Iterator[Rows]) -> int:
    """Upsert page after page into a file."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = NORMAL")
    statement = upsert(f"({', '.join('?' * len(COLUMNS))})")
    total = 0
    for rows in pages:
        with connection:
            connection.executemany(statement, rows)
        total += len(rows)
    connection.close()
    return total


def write_postgres(address: str, pages: Iterator[Rows]) -> int:
    """Upsert page after page into a table."""
    import psycopg2  # noqa: PLC0415 - not loaded when SQLite is measured
    from psycopg2 import extras  # noqa: PLC0415

    connection = psycopg2.connect(address)
    cursor = connection.cursor()
    total = 0
    for rows in pages:
        extras.execute_values(cursor, upsert("%s"), rows, page_size=PAGE)
        connection.commit()
        total += len(rows)
    connection.close()
    return total


def main(transport: str, url: str, token: str, database: str, query_file: str) -> None:
    """Fetch and write all customers, and print what it took."""
    headers = {"X-Shopify-Access-Token": token, "Content-Type": "application/json"}
    with httpx.Client(headers=headers) as http:
        if transport == "rest":
            pages = ([rest_row(body) for body in page] for page in rest_pages(http, url))
        else:
            nodes = graphql_pages(http, url, Path(query_file).read_text(encoding="utf-8"))
            pages = ([node_row(node) for node in page] for page in nodes)
        write = write_postgres if database.startswith("postgresql") else write_sqlite
        rows = write(database.removeprefix("sqlite:///"), pages)
    tell(rows=rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
