"""Patterns of names, prices, dates and so on, by language; others take the English ones.

A string holds several patterns with spaces between them; | parts the words of one. The
fields: {n} a whole number, {q} one below 1000, {a} an amount such as 19.99, {d} day, {m} month as a
number, {M} as a word, {y} year, {s} its last two digits, {h} hour, {H} up to 12, {i} minute; of one
person {f} the given name, {l} the surname, {I} {J} initials; {e} {o} {t} {v} {x} one, two, three,
four, six digits; {S} a street, {C} a town, {u} a word in lower case, {c} up to three capitals, {k}
one.
"""

PRICES = {
    "english": "${a} ${a} ${n} £{a} £{n} €{a} {a}€ {n}€ {n}¢ {a}|USD ${n}|each",
    "russian": "{n}|руб. {n}|руб {n}р. {a}|руб. {n}|₽ {a}|₽ {n}₽ от|{n}|₽ {n}|руб./кг",
}
DATES = {
    "english": "{d}/{m}/{s} {m}/{d}/{y} {y}-{m}-{d} {M}|{d},|{y} {d}|{M}|{y} {M}|{d} {M}|{y}",
    "russian": "{d}.{m}.{y} {d}.{m}.{s} {d}|{M}|{y}|г. {d}|{M} {d}|{M}|{y} с|{d}|{M}",
}
MONTHS = {
    "english": (
        "January February March April May June July August September October November December "
        "Jan Feb Mar Apr Jun Jul Aug Sept Oct Nov Dec"
    ),
    "russian": (
        "января февраля марта апреля мая июня июля августа сентября октября ноября декабря"
    ),
}
TIMES = {
    "english": "{h}:{i} {h}:{i} {H}:{i}|AM {H}:{i}|pm {h}:{i}–{h}:{i} Mon–Fri {q}|min",
    "russian": "{h}:{i} {h}:{i} {h}:{i}–{h}:{i} с|{h}:{i}|до|{h}:{i} пн–пт сб {q}|мин.",
}
PHONES = {
    "english": ("({t})|{t}-{v} {t}-{v} 1-800-{t}-{v} +1|{t}|{t}|{v} +44|{o}|{v}|{v} Tel.|{t}-{v}"),
    "russian": (
        "+7|({t})|{t}-{o}-{o} +7({t}){t}-{o}-{o} 8-800-{t}-{o}-{o} 8|{t}|{t}-{o}-{o} {o}-{o}-{o} "
        "тел.|{o}-{o}-{o}"
    ),
}
ADDRESSES = {
    "english": (
        "{q}|{S}|Street {q}|{S}|Ave. {S}|Road Suite|{q} P.O.|Box|{n} Floor|{h} {C},|{v} {C}"
    ),
    "russian": (
        "ул.|{S},|{h} ул.|{S},|д.|{h} {S}|улица д.|{h},|кв.|{q} {x},|г.|{C} г.|{C} {h}|этаж "
        "стр.|{h}"
    ),
}
STREETS = {
    "english": "Park Main Oak High Church Station Mill Lake Hill Washington Maple Queen",
    "russian": "Садовая Лесная Новая Советская Мира Победы Ленина Гагарина Пушкина Кирова",
}
TOWNS = {
    "english": "London Boston Leeds Chicago Dallas Bristol Denver Dublin Sydney Toronto",
    "russian": "Москва Казань Тверь Омск Пермь Самара Уфа Псков Тула Сочи Минск Калуга",
}
UNITS = {
    "english": "{q}|kg {q}kg {q}|ml {q}|km {q}°C {q}|mph {q}|g {q}|oz {q}|ft {q}% {q}|cm",
    "russian": "{q}|кг {q}|г {q}|мл {q}|км {q}|м {q}°C {q}|шт. {q}|л {q}% {q}|км/ч {q}|см",
}
NAMES = {
    "english": (
        "{f}|{l} {f}|{l} {f}|{I}.|{l} {I}.|{J}.|{l} {l} {I}.|{l} Mr.|{l} Mrs.|{l} Dr.|{l} {l},|{f} "
        "{l}|&|Co."
    ),
    "russian": "{f}|{l} {f}|{l} {l} {I}.|{J}.|{l} {l}|{I}.|{I}. {l}|{I}.{I}. {l}|{f}",
}
CODES = {"english": "{c}-{n} {c}{n} №{n}{c} №{n} {n}{c} {c}/{n} #{n} & {c}. {t}-{x} {c}|{v}"}
NUMBERS = {"english": "{n} {n} {x} {v} {o} {t} {n}% {n}. ({n}) {n}) -{n} {n}/{n} No.|{n} {t},{t}"}
WEB = {"english": "www.{u}.com {u}.ru info@{u}.com https://{u}.org @{u} #{u} {u}.com/{u}"}
SIGNS = {
    "english": (
        "SALE {o}%|OFF up|to|{o}% UP|TO|-{o}% -{o}% {o}% EXIT OPEN CLOSED PUSH PULL STOP TAXI BUS "
        "WC NO|PARKING NO|ENTRY NO|SMOKING KEEP|OUT WAY|OUT TO|LET FOR|SALE FIRE|EXIT CAUTION "
        "SHOP HOTEL CAFE BAR BANK 24|HOURS AT|ALL|TIMES"
    ),
    "russian": (
        "СКИДКИ -{o}% {o}% до|-{o}% ДО|{o}% ВЫХОД ВХОД ОТКРЫТО ЗАКРЫТО СТОП НЕ|КУРИТЬ НЕ|ВХОДИТЬ "
        "АПТЕКА КАФЕ БАНК ПРОДУКТЫ ТАКСИ КАССА АРЕНДА 24|ЧАСА ОТ|СЕБЯ НА|СЕБЯ ХОД|К|МЕТРО"
    ),
}
ENTRIES = "{e} {e} {o} {t} {e}.{e} {o}.{e} {o}% ({o}) ({e}) {e}. {k}. ({k}) {k} X XX $ # ${q} #{e}"
PATTERNS = {
    "number": NUMBERS,
    "price": PRICES,
    "date": DATES,
    "time": TIMES,
    "phone": PHONES,
    "web": WEB,
    "code": CODES,
    "name": NAMES,
    "address": ADDRESSES,
    "unit": UNITS,
    "sign": SIGNS,
}
