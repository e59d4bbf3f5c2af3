"""What normalising repairs, what it leaves alone, and that doing it twice changes nothing more.

A half-space is written ``|`` in these tests.
"""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from studio.data.persian.normalise import Normalising, normalise
from studio.data.persian.protected import MASK, protect, restore

JOINER = "\u200c"
NOTHING = Normalising(letters=False, kashida=False, half_spaces=False, spaces=False, stretched=False)


def persian(text: str) -> str:
    return text.replace("|", JOINER)


REPAIRED = [
    ("كيك شيرين و چاي", "کیک شیرین و چای"),
    ("موسى و يحيى", "موسی و یحیی"),
    ("سال ١٣٩٨ و ٧٢ نفر", "سال ۱۳۹۸ و ۷۲ نفر"),
    ("ﻧﺎﻣﻪ ﭘﮋوﻫﺸﮕﺮان", "نامه پژوهشگران"),
    ("ﻻﻟﻪ ﻭ ﺷﻼﻕ", "لاله و شلاق"),
    ("ﷲ ﴾۱﴿ ﻋﺪدﹼ", "ﷲ ﴾۱﴿ عددّ"),
    ("بیمار همە روز ھست ہم", "بیمار همه روز هست هم"),
    ("ان\u0627\u0653ن مؤ\u0648\u0654 ج\u064a\u0654ت", "انآن مؤؤ جئت"),
    ("محم\u0651\u064eد مدر\u0651\u064eس", "محم\u064e\u0651د مدر\u064e\u0651س"),
    ("دایر\u06d5\u0654 سرخ", "دایرۀ سرخ"),
    # hidden characters
    ("\ufeff\u202bدرود\u202c بر\u200f شما\u200e", "درود بر شما"),
    ("می\u200bباشد و رقابت\u200eهای این\u00adگونه و آن\u00acها", "می|باشد و رقابت|های این|گونه و آن|ها"),
    ("می\u200e|رود و \u200bاو", "می|رود و او"),
    # kashida
    ("بهــــار خـجستـه", "بهار خجسته"),
    # half-spaces
    ("|درود| |بر| شما|", "درود بر شما"),
    ("نمی|||دانم", "نمی|دانم"),
    ("کتاب|، دفتر |و قلم|.", "کتاب، دفتر و قلم."),
    ("جدی|ِ میان", "جدیِ میان"),
    ("من می نویسم و او نمی خواند", "من می|نویسم و او نمی|خواند"),
    ("او برمی گردد و می بینمش", "او برمی|گردد و می|بینمش"),
    ("دیشب می گفت که نمی شد", "دیشب می|گفت که نمی|شد"),
    ("میز ها و صندلی های خانه هایشان", "میز|ها و صندلی|های خانه|هایشان"),
    ("کوچک ترین شهر، بلند تر و خوب تری", "کوچک|ترین شهر، بلند|تر و خوب|تری"),
    ("کوچه ای که رفته اند و دیده ایم و نامه اش", "کوچه|ای که رفته|اند و دیده|ایم و نامه|اش"),
    ("کره ای ها آمدند", "کره|ای|ها آمدند"),
    # spaces and stretched letters
    ("آمدی ؟ نه ، هنوز نه .", "آمدی؟ نه، هنوز نه."),
    ("گفت :\n«برو» ، و رفت !", "گفت:\n«برو»، و رفت!"),
    ("یک\u00a0 دو  سه   چهار", "یک دو سه چهار"),
    ("عاااالی بووووود", "عاالی بوود"),
    # chats
    ("چرا نمی خوای بیای؟ می گه نمی تونه 😂", "چرا نمی|خوای بیای؟ می|گه نمی|تونه 😂"),
    ("مرسیییییی بچه هاش خوبن ؟", "مرسیی بچه|هاش خوبن؟"),
    # code-mixed
    ("روي Linux نصب مي شود (v3.2)", "روی Linux نصب می|شود (v3.2)"),
    ("كلاس `کلاس ي` و فايل‌ها", "کلاس `کلاس ي` و فایل|ها"),
    # religious
    ("قالَ اللّٰهُ تعالي: «إنّ اللّهَ»", "قالَ ال\u0644\u0651\u0670هُ تعالی: «إنّ اللّهَ»"),
    ("هـٰذا الكتاب", "ه\u0670ذا الکتاب"),
    # a table keeps its bars, a verse its gap
    ("| نام كالا | قيمت |\n|---|:---:|\n| چاي   |  ١٢ |", "| نام کالا | قیمت |\n|---|:---:|\n| چای   |  ۱۲ |"),
    ("اي باد كجايي      كه بهار آمده است", "ای باد کجایی      که بهار آمده است"),
]

KEPT = [
    "مسئول جزء رأی مؤمن تأکید شیء قرائت",
    "الله مکرر محقق تعدد ممکن",
    "جشن ماه می امسال و ۵ می بود و اول می باید آمد",
    "خانوادهٔ ما در خانۀ شما",
    "حتماً عمداً اصلاً مثلاً",
    "او می گون و می ناب و می باقی و جام می خورد",
    "چشم تر و لب خشک و دامن تر",
    "های های گریه و های و هوی ایشان و برآمد های هوی و کجاست های های تو و دیده|های هایم",
    "که ای یار و به ای دل و همراه ای دوست و میخانه ای ساقی",
    "وامی گرفت و علمی داشت و قلمی خرید",
    "یه عده ام رفتن",
    "هفتاد و اند سال، سی و اند",
    # half-spaces that mean something
    "۸۰|ها و API|ها و (فایل)|ها و «شاخ»|های آن و `ref`|ها و کار|گر",
    # numbers, dates, signs
    "۱٬۲۵۰٬۰۰۰ ریال، ۲٫۷۱ و ۵۰٪",
    "ساعت ۰۸:۴۵ روز ۱۴۰۱/۱۲/۰۲ نسبت ۲ : ۳ و ۳ . ۱۴",
    "۴ × ۲ = ۸ و ۹ ÷ ۳ ≥ ۱ ± ½",
    "قیمت 1,200.50 دلار و 3  4 و GPT-4o mini",
    # emoji
    "خانواده 👩\u200d👩\u200d👦 و 👍🏾 و ❤️\u200d🔥 و 🏳️\u200d🌈 و 🇮🇷",
    # addresses, names, tags
    "نشانی https://fa.example.org/wiki/كتاب_علي?q=٥&x=ــ است",
    "به ali.reza+x@example.co.ir و ali@مثال.كام بنویس",
    "با @كاربر_يك و #زندگي_سلام ها و #فيلم ببین",
    '<a title="كتاب  علي" href="/x">باز</a> و <br/>',
    "<code>x = 'كـتاب  ي'</code> و <pre>\nي  ك ،\n</pre>",
    # code
    "دستور `print('ي  ك ،')` و ``a ` ي`` را",
    "```python\nنام = 'علي'  # كد\nif x :\n    می رود\n```\nتمام",
    "ناتمام:\n```\nي ك می رود",
    # lines, lists, tables
    "# سرنویس\n\n- یک\n  - دو  \n1. سه\n\n\tچهار\r\n> پنج\n",
    "| الف | ب |\n|:--|--:|\n| یک    | دو  |\n",
    "نام\tسن\tشهر\nعلی\t\t۲۰\t تهران",
    "نام        سن\nعلی        ۲۰",
    # verse: a gap between the halves
    "بنی‌آدم اعضای یکدیگرند      که در آفرینش ز یک گوهرند".replace("\u200c", "|"),
    # religious: honorifics, end of verse, stops and small letters
    "پیامبر ﷺ و ﷲ و ﷽ و ریال ﷼",
    "ٱلْحَمْدُ لِلَّهِ رَبِّ ٱلْعَٰلَمِينَ ۝ ۖ ۚ ۩".replace("َّ", "\u064e\u0651").replace("ِّ", "\u0650\u0651").replace("ي", "ی"),
    "شیـ\u0654ا و سیـ\u064e\u0654ة",
    # a kashida as a dash
    "کوویدـ۱۹ و ۱۲ هـ.ق و تهران ـ قم و روزـشب و «ـها»",
    # other languages keep their letters
    "بە کوردی دەنووسم و دڵم خۆشە",
    "یہ اردو ہے اور ٹھیک ہے",
    "Plain English  text , with\u00a0spaces .\u200b\ufeff",
    "Äpfel cafe\u0301 soft\u00adhyphen Grö\u00adße و فارسی",
    "سلام... خوبی؟! :) ;-) <3 و ...",
    "گفت: \"برو\" و 'بیا' — «نه» (شاید) [۲]",
]


@pytest.mark.parametrize(("given_text", "expected"), REPAIRED)
def test_is_repaired(given_text, expected) -> None:
    # A bar of a table is no half-space: both sides are written alike.
    before, after = (given_text, expected) if given_text.startswith("| ") else (persian(given_text), persian(expected))
    assert normalise(before) == after
    assert normalise(after) == after


@pytest.mark.parametrize("text", [text if text.startswith("| ") else persian(text) for text in KEPT])
def test_is_left_alone(text) -> None:
    assert normalise(text) == text


@pytest.mark.parametrize(
    ("off", "text"),
    [
        ("letters", "كتاب ٣ \ufeffﻻﻟﻪ"),
        ("kashida", "بهـــار"),
        ("half_spaces", persian("می رود |سلام| کتاب ها")),
        ("spaces", "یک  دو\u00a0سه ، چهار"),
        ("stretched", "عاااالی"),
    ],
)
def test_each_repair_can_be_switched_off(off, text) -> None:
    assert normalise(text) != text
    assert normalise(text, Normalising(**{off: False})) == text
    assert normalise(text, NOTHING) == text


def test_vowel_signs_go_but_hamza_and_ezafe_stay() -> None:
    text = "خانهٔ مُسئول رأیِ مُؤَثِّر حَتماً شیٔ ٱلرَّحْمٰن ۖ آن"
    plain = normalise(text, Normalising(diacritics="strip"))
    assert plain == "خانهٔ مسئول رأی مؤثر حتما شیٔ ٱلرحمن  آن".replace("  ", " ")
    assert normalise(text).count("\u064e") == text.count("\u064e")


def test_composes_arabic_script_but_not_latin() -> None:
    text = "cafe\u0301 ا\u0653ب و\u064e\u0654"
    assert normalise(text) == "cafe\u0301 آب ؤ\u064e"


def test_protected_spans_return_in_order() -> None:
    text = f"یک `a` دو {MASK} https://x.ir/ي سه @b"
    masked, spans = protect(text)
    assert spans == ["`a`", MASK, "://x.ir/ي", "@b"]
    assert restore(masked, spans) == text
    with pytest.raises(ValueError, match="4 protected spans, but 3 masks"):
        restore(masked.replace(MASK, "", 1), spans)


@pytest.mark.parametrize(
    "text",
    [
        "ا" + "\u064e\u0651\u0654" * 60_000,
        "ب" + "ـ" * 200_000,
        JOINER * 200_000,
        "<code>" * 30_000 + "ي",
        "`" * 99_999 + "ي",
        "<a " * 60_000 + "ي",
        "a" * 100_000 + "@" + "ي" * 100_000,
        ("ي " + " " * 5) * 30_000,
    ],
    ids=["marks", "kashida", "joiners", "code", "ticks", "tags", "mail", "gaps"],
)
def test_hostile_text_takes_no_longer_than_its_length(text) -> None:
    start = time.process_time()
    normalise(text)
    assert time.process_time() - start < 2  # each takes under 0.1 s; a quadratic one would take minutes


PARTS = """
می نمی برمی رود خواهم گفت خورد ها های هایی تر ترین ای ام اند که خانه کره رفته بزرگ خوب ماه جام و از الله
كتاب علي ﻻﻟﻪ ﷲ ۱۲ ٣ v2.0 API `ي` @ي #ك https://x.ir/ي <b> </b> ``` سلاااام هـ 👩\u200d👦 é e\u0301
"""
WORDS = st.sampled_from(PARTS.split())
SIGNS = st.sampled_from(
    [
        *" \n\t.،؛؟!:|()«»[]<>`@#-_/ـ",
        *["  ", "   ", "    ", JOINER, JOINER, JOINER * 2, "\u200d", "\u200b", "\u200e", "\u202b", "\u00ad", "\u00a0"],
        *["\u064e", "\u0651", "\u0653", "\u0654", "\u0670", "\u06e5", "\u0301", "ا", "ه", "ي", "و", "a", "://", MASK],
    ]
)
TEXTS = st.lists(st.one_of(WORDS, SIGNS, st.just(" "), st.characters()), max_size=40).map("".join)
OPTIONS = st.builds(
    Normalising,
    letters=st.booleans(),
    kashida=st.booleans(),
    half_spaces=st.booleans(),
    diacritics=st.sampled_from(["keep", "strip"]),
    spaces=st.booleans(),
    stretched=st.booleans(),
)


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.one_of(st.just(Normalising()), OPTIONS))
@example(persian("ا|\u0653"), Normalising())
@example("<\u200ba `x> ي`", Normalising())
@example("بـ\u0654ـ\u064e", Normalising(diacritics="strip"))
def test_twice_is_once(text, options) -> None:
    once = normalise(text, options)
    assert normalise(once, options) == once


@settings(max_examples=300, deadline=None)
@given(TEXTS, OPTIONS)
def test_what_is_not_persian_survives_in_order(text, options) -> None:
    once = normalise(text, options)
    for kind in (str.isascii, lambda letter: unicodedata.category(letter) == "So", lambda letter: letter == "\u200d"):
        assert [c for c in once if kind(c) and c != " "] == [c for c in text if kind(c) and c != " "]


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_text_without_arabic_script_is_the_same_object(text) -> None:
    latin = "".join(c for c in text if not "\u0600" <= c <= "\u08ff" and not "\ufb50" <= c <= "\ufefc")
    assert normalise(latin) is latin
