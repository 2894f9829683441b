"""The screening rules as an upload applies them, right before an item is made."""

from ecauto_pipeline.domain.screening.rules import Product
from ecauto_pipeline.domain.uploads.rules import Content
from ecauto_pipeline.sync.screening import Screener
from ecauto_pipeline.sync.uploads.uploader import Accepted


def accepted(screener: Screener, content: Content) -> Accepted:
    """The product's text as it may be listed, or why it must not be."""
    result = screener.judge(
        Product(
            asin=content.asin,
            title=content.title or "",
            description=content.description or "",
            brand=content.brand or "",
            category=content.category or "",
        )
    )
    refusal = screener.refusal(content.asin, result)
    return Accepted(result.title, result.description, refusal)
