"""The words that the records of a generated Shopify store are made of."""

FIRST_NAMES = (
    "花子",
    "太郎",
    "Zoë",
    "José",
    "美咲",
    "🦊",
    "O'Neil",
    "健",
    "Łukasz",
    None,
    "",
    "さくら",
)
LAST_NAMES = ("山田", "佐藤", "Müller", "鈴木", "Nuñez", None, "高橋", "d'Arc", "髙﨑", "Smith")
COMPANIES = (None, None, "株式会社サンプル", "Acme \U0001f680", "")
CITIES = (
    ("渋谷区", "東京都", "JP-13", "Japan", "JP", "150-0002"),
    ("北区", "大阪府", "JP-27", "Japan", "JP", "530-0001"),
    ("Ottawa", "Ontario", "ON", "Canada", "CA", "K1A 0B1"),
    ("Zürich", None, None, "Switzerland", "CH", "8001"),
    ("Louisville", "Kentucky", "KY", "United States", "US", "40202"),
)
NOTES = (None, None, None, "", "要確認 ✅", 'He said "call me"; then left\nline two')
TAGS = ("VIP", "卸売", "newsletter", "Noël", "b2b", "🎁 gift", "再購入", "Zeta")
STATES = ("disabled", "disabled", "enabled", "invited", "declined")
LOCALES = ("ja", "en", "fr-CA", "de")

EMAIL_STATES = ("subscribed", "not_subscribed", "pending", "unsubscribed", "invalid")
SMS_STATES = ("subscribed", "not_subscribed", "pending", "unsubscribed", "redacted")
OPT_IN_LEVELS = ("single_opt_in", "confirmed_opt_in", "unknown", None)
COLLECTED_FROM = ("SHOPIFY", "OTHER", None)

NOUNS = ("Tシャツ", "マグカップ", "Kerze", "Mug", "抹茶 🍵", "Sac à dos", "手帳", "Sticker")
COLOURS = ("赤", "青", "Green", "Noir", "白", "Ecru", "金", "Silver")
VENDORS = ("京都工房", "Acme", "Maison Zoë", "日本商店", "")
TYPES = ("雑貨", "Apparel", "", "Food")
PRODUCT_STATES = ("active", "active", "active", "draft", "archived", "unlisted")
HTML = (None, "", "<p>柔らかい &amp; 軽い</p>", "<p>It's <b>big</b> \U0001f600</p>")
WEIGHTS = ((200.0, "g"), (1.25, "lb"), (3.5, "oz"), (0.4, "kg"), (0.0, "g"))

FINANCIAL = ("paid", "paid", "paid", "pending", "authorized", "partially_paid", "expired")
FULFILLMENT = ("fulfilled", "fulfilled", "partial", "restocked", None, None)
ON_THE_WAY = (None, None, "IN_PROGRESS", "ON_HOLD", "SCHEDULED")
"""What GraphQL says of some orders that REST calls not fulfilled."""
CANCEL_REASONS = ("customer", "declined", "fraud", "inventory", "staff", "other")
SOURCES = ("web", "web", "pos", "shopify_draft_order", "580111", None)
SHIPPING = (0, 500, 800, 1200)
