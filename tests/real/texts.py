"""Persian and English texts for holding figures against each other, and hundreds of awkward lines made of them."""

from __future__ import annotations

import random

PERSIAN = (
    "صبح که از خواب بیدار شدم، بوی نان تازه همهٔ خانه را پر کرده بود.",
    "پدرم می‌گفت هیچ سفری بی‌خطر نیست، اما در خانه ماندن هم خطر خودش را دارد.",
    "کتابدار عینکش را جابه‌جا کرد و پرسید: «این کتاب را کجا پیدا کرده‌ای؟»",
    "باران تا نیمه‌شب بارید و کوچه‌های شهر را آب گرفت.",
    "اگر دما به صفر درجه برسد، آب یخ می‌زند و حجمش بیشتر می‌شود.",
    "دانشجویان سال سوم امسال باید سه درس اختیاری بگذرانند.",
    "این روستا نه برق داشت و نه جاده، ولی مردمش مهمان‌نواز بودند.",
    "برای پختن قورمه‌سبزی، سبزی را باید آرام و طولانی سرخ کرد.",
    "یوزپلنگ آسیایی یکی از کمیاب‌ترین گربه‌سانان جهان است.",
    "خواهرم نقاشی می‌کشد و گاهی تابلوهایش را به دوستانش هدیه می‌دهد.",
    "قطار ساعت هفت و ربع از ایستگاه راه‌آهن مشهد حرکت می‌کند.",
    "هر زبان پنجره‌ای است که از آن می‌شود جهان را طور دیگری دید.",
    "معلم از بچه‌ها خواست خاطره‌ای از تابستان بنویسند.",
    "نمی‌دانم چرا این آهنگ قدیمی هنوز مرا به گریه می‌اندازد.",
    "زمین هر سال یک بار به دور خورشید می‌گردد.",
    "باغبان پیر هر درخت را به نامی صدا می‌زد.",
)
ENGLISH = (
    "The old lighthouse had not been lit since the harbour was moved to the other side of the bay.",
    "She folded the letter twice, put it in her pocket, and never mentioned it again.",
    "Water expands when it freezes, which is why pipes burst in winter.",
    "My grandfather repaired clocks in a narrow shop behind the railway station.",
    "If you want to bake good bread, you need flour, water, salt and a great deal of patience.",
    "The committee will meet on Thursday to discuss the new rules for the library.",
    "Nobody knew where the cat had come from, but by evening it owned the sofa.",
    "Light from the nearest star takes more than four years to reach us.",
    "He learned to swim in a river so cold that even the fish looked unhappy.",
    "The bridge was closed for repairs, so we crossed by boat.",
    "Children who read for pleasure tend to do better at school.",
    "There was a small garden behind the house, full of beans and sunflowers.",
    "The train leaves at a quarter past seven and arrives before noon.",
    "Every language is a window through which the world looks different.",
    "They sold honey, candles and woollen socks at the market.",
    "The mountain disappeared in the fog long before we reached it.",
)
_NUMBERS = ("۱۴۰۳", "2024", "١٢٣٤", "۳٫۱۴", "1,234.5", "۱۲٬۵۰۰", "07", "½", "x2", "٪۵۰", "۲۰۲۴/۰۱/۰۵", "1/2")
_MARKS = (
    "\u200c",
    "\u200d",
    "\u00a0",
    "  ",
    "   ",
    "\t",
    "؟",
    "!",
    "…",
    "«",
    "»",
    "«‌",
    "،",
    "؛",
    "ـ",
    "ً",
    "ّ",
    " ِ",
    "—",
    "'s",
    "`",
)
_OTHERS = ("😀", "👍🏽", "👩‍👩‍👧", "🇮🇷", "日本語", "Straße", "naïve", "Привет", "ﷲ", "ﻻ", "ي", "ك", "ۀ", "π≈3", "10°C")
_CODE = (
    "for i in range(10):\n    print(i ** 2)  # توان دو",
    'def سلام(نام):\n\treturn f"سلام {نام}"',
    "SELECT * FROM t WHERE id = 42;\n\n",
    '<div dir="rtl">متن</div>',
    "https://example.org/fa/صفحه?id=12&x=3",
    '{"کلید": [1, 2.50, null]}\r\n',
)


def awkward_lines(count: int = 400, seed: int = 7) -> list[str]:
    """`count` lines that mix scripts, digits, half-spaces, odd spaces, code and emoji."""
    random_ = random.Random(seed)
    words = " ".join(PERSIAN + ENGLISH).split()
    kinds = (words, words, words, _NUMBERS, _MARKS, _OTHERS)
    lines = [*PERSIAN, *ENGLISH, *_CODE, "   سلام", "سلام   ", "\n\n", "12345678901", "\u200c", "\ufeffسلام"]
    while len(lines) < count:
        parts = [random_.choice(random_.choice(kinds)) for _ in range(random_.randint(2, 24))]
        joints = [random_.choice((" ", " ", " ", "", "\u200c", "\n")) for _ in parts]
        lines.append("".join(part + joint for part, joint in zip(parts, joints, strict=True)))
    return lines
