"""Half-spaces put where a Persian word was written as two: «می رود», «کتاب ها», «بزرگ ترین», «خانه ای».

Only where the words around leave no other reading: a part that is also a word, such as «می» (wine, May) or «تر» (wet),
wants a known word beside it.
"""

from __future__ import annotations

import re

from studio.data.persian.letters import JOINER, LETTERS, MARKS
from studio.data.persian.verbs import verb_forms

_WORD = LETTERS + MARKS
_END = f"(?![{_WORD}{JOINER}])"
_FORMS = verb_forms()
_PREFIXES = ("", "ن", "بر", "در", "باز", "فرا", "فرو")  # «نمی», «برمی», «درمی»…, but «وامی» is also a loan
_ALONE = "|".join(f"(?<=(?<![{_WORD}{JOINER}]){prefix}می )" for prefix in _PREFIXES)
_VERB = re.compile(f"می (?:{_ALONE})([{LETTERS}]+){_END}")
_PLURAL = re.compile(f" ها(?<=[{_WORD}] ها)(?:ی(?:ی|م|ت|ش|مان|تان|شان|مون|تون|شون)?|ت|ش)?{_END}(?! ها| هنا| هو| و هو)")
_GRADE = re.compile(f" تر(?<=[{_WORD}] تر)(?:ین|ی)?{_END}(?! و خشک)")
# «ای» before one of them is «o»: «میخانه ای ساقی».
_CALLED = "بابا|وای|خدا|دل|کاش|جان|ساقی|دوست|یار|پسر|پدر|مادر|برادر|صبا|صنم|بت|شاه|شه|شیخ|عزیز|نگار|ماه|گل|عشق"
_ENDING = re.compile(f" ا(?<=[{LETTERS}]ه ا)(?:ی(?! (?:{_CALLED}){_END})|م|ت|ش|ند|یم|ید){_END}(?! ال)")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# «می» after one of them is wine or May.
_WINE_OR_MAY = _words("""
جام ساغر قدح پیاله پیمانه خم سبو صراحی ساقی ساقیا مینا شیشه کوزه شراب ماه اول دوم سوم چهارم پنجم ششم
هفتم هشتم نهم دهم
""")
# «ها» is also a cry, and «های و هوی» an uproar.
_NOT_BEFORE_PLURAL = _words("""
و از در به با که تا بر هر ای وای های هان هو یا ز را چه چون اگر ولی اما نه آه هی هم
""")
# «تر» is also wet, as in «چشم تر»; «ترین» is nothing else.
_COMPARED = _words("""
آرام آسان آهسته آگاه ارزان امن ایمن باریک بالا بد برجسته بزرگ بلند بهینه بیش پایدار پایین پاک پررنگ
پهن پیچیده پیر پیش پیشرفته تاریک تلخ تند تنگ تیره تیز ثروتمند جالب جامع جدی جدید جذاب جلو جوان چاق
حساس خالص خطرناک خفیف خلاصه خوب خوش خوشحال داغ دقیق دور راحت رایج روشن زشت زود زیاد زیبا ژرف ساده
سالم سبک سخت سریع سفت سنگین سیاه شایسته شدید شفاف شلوغ شیرین صمیمی ضخیم ضعیف طبیعی طولانی عاقل عالی
عجیب عقب عمومی عمیق غلیظ غنی فراوان فشرده فعال قدیمی قوی کامل کلان کلی کم کمرنگ کهن کوتاه کوچک گران
گرم گسترده لاغر لطیف متفاوت مثبت محبوب محدود محکم مستحکم مشخص مشکل مطمئن معتبر معمولی مفصل مفید
مناسب منطقی منفی مهربان مهم موثر موفق مؤثر ناچیز نازک نامناسب نرم نزدیک هوشمند واضح واقعی وخیم وسیع
ویژه
""")
# These end in a spoken «ه», but «ای» after them is a call, or «ام» stands for «هم».
_NO_ENDING = _words("""
آنکه اینکه هرکه بلکه چنانکه زانکه کانکه وانکه هرچه آنچه گرچه اگرچه چنانچه ورنه گرنه وگرنه الله عده
دیگه
""")


def join_words(text: str) -> str:
    """Exchange the space inside such a word for a half-space."""
    if " " not in text:
        return text
    text = _VERB.sub(_verb, text)
    text = _ENDING.sub(_ending, text)  # before the plural: «کره ای ها»
    text = _PLURAL.sub(_plural, text)
    return _GRADE.sub(_grade, text)


def _before(text: str, place: int) -> str:
    # What stands before a place back to the next space; no word asked for has more than 24 characters.
    return text[max(0, place - 24) : place].rpartition(" ")[2]


def _verb(found: re.Match[str]) -> str:
    form, text, start = found[1], found.string, found.start()
    if form not in _FORMS:
        return found[0]
    if text[start - 1 : start] == " ":
        before = _before(text, start - 1)
        if before in _WINE_OR_MAY or before[-1:].isdecimal():
            return found[0]
    return f"می{JOINER}{form}"


def _plural(found: re.Match[str]) -> str:
    before = _before(found.string, found.start())
    return found[0] if before in _NOT_BEFORE_PLURAL or before.endswith("های") else JOINER + found[0][1:]


def _grade(found: re.Match[str]) -> str:
    before = _before(found.string, found.start()).rpartition(JOINER)[2]
    fits = before in _COMPARED if found[0] != " ترین" else before not in _NOT_BEFORE_PLURAL
    return JOINER + found[0][1:] if fits else found[0]


def _ending(found: re.Match[str]) -> str:
    before = _before(found.string, found.start())
    if (
        len(before) < 3
        or before in _NO_ENDING
        or before.endswith("لله")
        or (found[0] == " ای" and before.endswith("اه"))
    ):
        return found[0]
    return JOINER + found[0][1:]
