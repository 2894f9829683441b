"""The operations of Amazon's API that are called, by Amazon's own names."""

SEARCH_CATALOG = "searchCatalogItems"
COMPETITIVE_PRICING = "getCompetitivePricing"
ITEM_OFFERS = "getItemOffers"
ITEM_OFFERS_BATCH = "getItemOffersBatch"
