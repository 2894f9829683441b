"""What products are called: Japanese words from which titles and texts are put together."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Category:
    """A leaf of Amazon's tree of categories, with what is sold there."""

    path: tuple[tuple[str, str], ...]
    """From the root down: (displayName, classificationId)."""
    product_type: str
    display_group: str
    nouns: tuple[str, ...]


CATEGORIES = (
    Category(
        (("ホーム&キッチン", "3828871"), ("キッチン用品", "13938481"), ("調理器具", "13945171")),
        "KITCHEN",
        "kitchen_display_on_website",
        ("フライパン", "片手鍋", "木製まな板", "計量スプーン 4本組", "シリコン調理べら"),
    ),
    Category(
        (("文房具・オフィス用品", "86731051"), ("筆記具", "89083051"), ("ボールペン", "89085051")),
        "WRITING_INSTRUMENT",
        "office_product_display_on_website",
        ("ゲルインクボールペン 3色", "多機能ペン", "水性サインペン 12色", "シャープペンシル 0.5mm"),
    ),
    Category(
        (("おもちゃ", "13299531"), ("ブロック", "13321831")),
        "TOY_BUILDING_BLOCK",
        "toy_display_on_website",
        ("知育ブロック 120ピース", "木製つみき", "マグネットブロック", "ジグソーパズル 300ピース"),
    ),
    Category(
        (("ペット用品", "2127212051"), ("犬用品", "2155107051"), ("おもちゃ", "2155155051")),
        "PET_TOY",
        "pet_products_display_on_website",
        ("犬用ロープおもちゃ", "猫じゃらし 5本セット", "給水ボトル", "ペットブラシ"),
    ),
    Category(
        (("スポーツ&アウトドア", "14304371"), ("アウトドア", "14315411"), ("チェア", "344845011")),
        "OUTDOOR_LIVING",
        "sports_display_on_website",
        ("折りたたみチェア", "LEDランタン", "レジャーシート 大判", "保冷バッグ 20L"),
    ),
    Category(
        (
            ("パソコン・周辺機器", "2127209051"),
            ("アクセサリ", "2151949051"),
            ("マウス", "2151959051"),
        ),
        "INPUT_MOUSE",
        "ce_display_on_website",
        ("ワイヤレスマウス 静音", "USBハブ 4ポート", "ノートPCスタンド", "マウスパッド 大型"),
    ),
)

BRANDS = (
    "山善工房",
    "KOMOREBI",
    "日和",
    "アオゾラ製作所",
    "Hinoki&Co.",
    "和み堂",
    "NAGARE",
    "三日月",
)
TRAITS = (
    "軽量",
    "日本製",
    "新モデル",
    "ギフト対応",
    "コンパクト",
    "大容量",
    "洗える",
    "収納袋付き",
)
COLOURS = ("ブラック", "ホワイト", "ネイビー", "ベージュ", "グリーン", "レッド")
BENEFITS = (
    "毎日使いやすいシンプルなデザインです。",
    "軽くて丈夫な素材を採用しました。",
    "お手入れが簡単で、清潔に保てます。",
    "プレゼントにもおすすめです。",
    "省スペースで収納できます。",
    "安心の日本語説明書付き。",
)
RARE_SIGNS = ("𠮷", "🎁")
"""Characters of four bytes in UTF-8, which BASE refuses in titles."""
