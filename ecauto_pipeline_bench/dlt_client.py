# pyright: basic, reportMissingImports=false
# dlt lives in an environment of its own, so its types are not known here.
"""The same customers by dlt, with its own REST client and its merge, as a process of its own.

`python -m ecauto_pipeline_bench.dlt_client URL TOKEN DATABASE FOLDER`, in that environment.
"""

import sys

import dlt
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.auth import APIKeyAuth
from dlt.sources.helpers.rest_client.paginators import HeaderLinkPaginator

from ecauto_pipeline_bench.usage import tell

CHANGED = dlt.sources.incremental("updated_at", initial_value="2000-01-01")


@dlt.resource(primary_key="id", write_disposition="merge")
def customers(url: str, token: str, updated_at: object = CHANGED):  # noqa: ANN201, ARG001, RUF100
    """All pages; `updated_at` is what dlt itself keeps of how far it came."""
    client = RESTClient(
        base_url=f"{url}/admin/api/2026-10/",
        auth=APIKeyAuth(name="X-Shopify-Access-Token", api_key=token),
        paginator=HeaderLinkPaginator(),
        data_selector="customers",
    )
    yield from client.paginate("customers.json", params={"limit": 250})


def main(url: str, token: str, address: str, folder: str) -> None:
    """Mirror all customers, and print what it took."""
    if address.startswith("postgresql"):
        # It insists on a host, which the path of the socket that follows overrides.
        destination = dlt.destinations.postgres(address.replace("@/", "@localhost/"))
    else:
        destination = dlt.destinations.sqlalchemy(address)
    pipeline = dlt.pipeline(
        "bench", destination=destination, pipelines_dir=folder, dataset_name="mirror"
    )
    pipeline.run(customers(url, token))
    with pipeline.sql_client() as sql:
        rows = sql.execute_sql("SELECT count(*) FROM customers")[0][0]
    tell(rows=rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
