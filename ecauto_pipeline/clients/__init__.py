"""The marketplaces' APIs: the only HTTP."""
