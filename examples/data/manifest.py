#!/usr/bin/env python3
"""Lists the captioned pictures that `fetch pictures` unpacked, one JSON line each, with a cleaned caption and a split.

    manifest.py PICTURES_DIR OUT.jsonl

Fields: path (relative to PICTURES_DIR), source, caption (lower case, no article, at most 8 words), concept (the key
that decides the split), category, keywords, split. Splits: the first byte of SHA-256(concept) gives train (below 205),
validation (below 230) or test, alike in every source. Tuxpaint and art4apps are held out whole: `e1` and `e2` are
their pictures whose concept the other sources name too (those other pictures are then in train, whatever their byte),
`unused` the rest. The output depends on the packages only.
"""
import collections
import glob
import hashlib
import html
import json
import os
import re
import struct
import sys

MAX_WORDS = 8
MAX_PIXELS = 40_000_000
MIN_SIDE = 32

ARTICLES = ("a ", "an ", "the ", "some ")
SMALL_WORDS = set("a an and at for from in of on the to under with".split())
# Words that say how a picture was made, not what it shows.
STYLE = re.compile(
    r"\b(drawn with straight lines|clip ?art|line ?art|outlined?|contour|black and white|b and w|b&w|bw|svg|png|icons?|"
    r"vector|logo|md|sm|simple|basic|remix|architetto francesco rollandin|style|version|example|submission|v\d\S*)\b")
SKIN_TONES = {"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"}
# Emoji that are writing or abstract marks: their pictures hold letters, digits or arrows, not things.
EMOJI_MARKS = re.compile(
    r"\b(squared|ideograph|katakana|keycap|latin|input symbol|regional|clock face|arrows?|digit|letters?|button|"
    r"triangle|exclamation|question mark|vertical bar|wavy dash|loop|multiplication|division|plus|minus|modifier|"
    r"family|medium square|small square|large square|information source|copyright|registered|trade mark|"
    r"part alternation)\b")
# Openclipart folders without nameable pictures: buttons, flags, arrows, letters, patterns, unnamed sets.
OPENCLIPART_SKIP = (
    "computer/icons", "computer/buttons", "computer/diagrams", "computer/folders", "shapes", "special",
    "signs_and_symbols/flags", "signs_and_symbols/led", "signs_and_symbols/map_symbols", "geography",
    "people/clothing/pantyhose")
OPENCLIPART_REFUSE = re.compile(
    r"\b(flags?|buttons?|letters?|alphabet|untitled|unknown|title|page|drawing|image|picture|template|test|collection|"
    r"part|set|iconset|theme|symbols?|various|shape|sample|design|public domain|nude|naked|sexy?|breasts?|nazi|"
    r"flourish|blue man|back|another|ii|card figures?|illustration|diagram|rules|pattern|number|theory|sheet|border|"
    r"etiquette|home|unofficial|powered|font|tribal|crop marks|lam|info|question)\b")
# Titles of the one prolific creator who wrote Italian, by English name; the pictures are good and the nouns common.
ITALIAN = {
    english: names.split(", ") for english, names in {
        "eagle": "acquila, aquila frontale", "swan": "cigno, cigno di spalle", "two swans": "cigni bianchi e neri",
        "seagull": "gabbiano", "rooster": "gallo di profilo", "owl": "gufo civetta", "turkey": "tacchino",
        "chicken": "pollo", "flock of birds": "stormo di uccelli", "bird": "uccello bianco e nero, uccello profilo",
        "grasshopper": "cavalletta", "ladybug": "coccinella, coccinellona", "ant": "formichina, formicona",
        "butterfly": "farfalla - butterfly, farfalla contorno, farfalla semplice, farfalla stilizzata",
        "butterflies": "quattro farfalle", "dragonfly": "libellula", "insect": "insetto", "snail": "lumaca",
        "praying mantis": "mantide religiosa", "mosquito": "moschito, zanzara, zanzara cretina",
        "spider": "ragnetto incazzato, ragno figo", "cat and dog": "cani e gatti , cat and dog",
        "dinosaur": "dinosauro, dinosauri, dino", "orange fish": "pescetto arancione",
        "padlock": "lucchetto grigio, lucchetto ottone", "green lizard": "ramarro",
        "lizard": "lucertola, lucertola arrotolata, lucertola maya, lucertolona, lucertolone", "antelope": "antilope",
        "bear": "orso", "lion": "leone", "tiger": "tigre, le mie tigri preferite", "kangaroo": "canguro",
        "rabbit": "coniglio", "elephant": "elefante", "horse": "cavallo", "cat": "gatto cat, gattina cat",
        "black cat": "gatto nero", "sheep": "pecora", "ibex": "stambecco valdostano", "mouse": "topo",
        "bull": "toro al tramonto", "cow": "vacca pezzata rossa valdostana", "penguin": "pinguino col piccolo",
        "frog": "rana", "office chair": "poltrona ufficio", "wooden chair": "sedia in legno",
        "wooden table": "tavolo in legno", "house": "casa dei sogni, casa in campagna, abitazione villa con giardino",
        "green house": "casa verde", "chalet": "chalet di montagna", "printer": "stampante", "basket": "cesto",
        "suitcase": "valigie bags", "film camera": "cinepresa", "digital camera": "macchina fotografica digitale",
        "video camera": "telecamera", "bottle of wine": "bottiglia di vino pregiato", "beer cans": "lattine di birra",
        "coffee machine": "macchina caffe", "cup of coffee": "tazza di caffe", "teapot": "teiera tazza",
        "ice cream": "gelato all'italiana", "cake": "torta", "plum": "la prugna", "pear": "pera", "peach": "pesca",
        "campfire": "fuoco da campeggio", "tomatoes": "pomodori", "garlic": "aglio", "radish": "ravanello",
        "corn on the cob": "pannocchia di gran turco", "chili pepper": "peperoncino - pepper", "pumpkin": "zucca",
        "calculator": "calcolatrice", "hourglass": "clessidra", "factory": "fabbrica", "wool": "lana",
        "magnifying glass": "lens, lente, lente meno, lente normale", "letter": "lettera", "stapler": "pinzatrice",
        "scissors": "scissors - forbici", "telephone": "telefono", "dancer": "ballerina", "tooth": "dente",
        "silk shirt": "camicia in seta", "pregnant woman": "donna incinta", "fairy": "fata fatina",
        "ice skater": "pattinatrice, pattinatrici sul ghiaccio", "ice skate": "pattino", "tree": "albero",
        "scuba diver": "sub subacqueo", "bouquet of flowers": "mazzo di fiori", "gift": "pacco regalo",
        "balloons": "palloncini", "rings": "anelli", "television": "televisore telecomando", "syringe": "siringa",
        "microscope": "microscopio", "wall clock": "orologio da parete", "wallet": "portafoglio",
        "binoculars": "binocolo bn", "compass": "bussola", "magnet": "calamita", "key": "chiave",
        "iron": "ferro da stiro", "spirit level": "livella", "screws": "viti", "saw": "utensile sega",
        "gear": "ruota dentata, ruota dentata grigia", "bucket and sponge": "secchio e spugna",
        "hot air balloon": "pallone aerestatico", "bicycle": "bicicletta cycle", "tractor": "trattore",
        "sleeping bag": "sacco a pelo per campeggio", "palette": "tavolozza", "tent": "tenda da campeggio",
        "projector": "proiettore", "test tubes": "provette", "footprints in the snow": "orme sulla neve",
        "cat bowl": "scodella gatto", "globe": "mondo", "wrench and screwdriver": "utensili chiave e cacciavite",
    }.items()
}
SPELLING = {
    "baloon": "balloon", "ballon": "balloon", "coloured": "colored", "lightbulb": "light bulb",
    "magnifing": "magnifying", "pan cakes": "pancakes",
    "tatoo": "tattoo", "teddybear": "teddy bear", "vavuum": "vacuum",
    "xmas": "christmas"}
ENGLISH = {title: english for english, titles in ITALIAN.items() for title in titles}


NOT_KEYWORDS = {"unsorted", "hash", "openclipart", "architetto francesco rollandin", "signs and symbols"}


def words_of(text):
    return re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower())


def concept_key(caption):
    """The caption without article, punctuation and the words that only say that it is a symbol."""
    text = strip_article(caption.lower().replace("_", " "))
    text = re.sub(r"[^\w\s]", "", text)
    return " ".join(w for w in text.split() if w not in ("emoji", "symbol", "sign", "face"))


def strip_article(text):
    text = " ".join(text.split())
    for article in ARTICLES:
        if text.startswith(article):
            return text[len(article):]
    return text


def read_png(path):
    """Returns (width, height, Title text or None) of a PNG file, or None where it is not one."""
    with open(path, "rb") as file:
        if file.read(8) != b"\x89PNG\r\n\x1a\n":
            return None
        width = height = 0
        title = None
        while True:
            head = file.read(8)
            if len(head) < 8:
                break
            length, kind = struct.unpack(">I4s", head)
            if kind in (b"IHDR", b"tEXt"):
                data = file.read(length)
                file.seek(4, os.SEEK_CUR)
                if kind == b"IHDR":
                    width, height = struct.unpack(">II", data[:8])
                elif data.startswith(b"Title\0"):
                    title = decode(data[6:])
            else:
                file.seek(length + 4, os.SEEK_CUR)
        return width, height, title


def decode(data):
    # PNG says Latin-1; many writers stored UTF-8 all the same.
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def usable(path):
    """Whether the picture is a real file of a size worth decoding; links repeat files of other folders."""
    if os.path.islink(path):
        return False
    if not path.endswith(".png"):
        return True
    png = read_png(path)
    return png is not None and min(png[:2]) >= MIN_SIDE and png[0] * png[1] <= MAX_PIXELS


def find(root, pattern):
    return sorted(glob.glob(os.path.join(root, pattern), recursive=True))


def picture(root, path, source, caption, category, keywords):
    seen = []
    for word in keywords:
        word = " ".join(word.lower().replace("_", " ").split())
        if re.fullmatch(r"[a-z][a-z '-]+", word) and word not in seen and word not in NOT_KEYWORDS:
            seen.append(word)
    return {"path": os.path.relpath(path, root), "source": source, "caption": caption, "concept": concept_key(caption),
            "category": category, "keywords": seen}


def tuxpaint(root):
    stamps = os.path.join(root, "tuxpaint-stamps-default/usr/share/tuxpaint/stamps")
    for path in find(stamps, "**/*.png"):
        text = os.path.splitext(path)[0] + ".txt"
        category = os.path.relpath(os.path.dirname(path), stamps)
        if not os.path.isfile(text) or "alphabets" in category or "flags" in category or not usable(path):
            continue
        with open(text, encoding="utf-8") as file:
            line = file.readline().strip().lower().replace("’", "'")
        # The first sentence names the thing; what follows is talk.
        caption = strip_article(re.split(r"[.!?:;(](?:\s|$)|\s\(", line)[0].strip(" .!“”\""))
        if caption and len(caption.split()) <= MAX_WORDS and re.search("[a-z]{2}", caption):
            yield picture(root, path, "tuxpaint", caption, category, [])


def art4apps(root):
    folder = os.path.join(root, "pysiogame/usr/share/games/pysiogame/res/images/art4apps")
    for path in find(folder, "*/*.jpg"):
        category, name = os.path.relpath(path, folder)[:-4].split(os.sep)
        yield picture(root, path, "art4apps", name.replace("_", " ").lower(), category, [])


def emoji(root, source, images, index):
    """Pictures whose file name is a sequence of code points, joined with the names of an emoji index."""
    def code(text):
        return tuple(c.lstrip("0") for c in re.split("[-_]", text.lower()) if c != "fe0f")

    paths = find(root, index)
    if not paths:
        return
    with open(paths[-1], encoding="utf-8") as file:
        entries = json.load(file).values()
    names = {code(alias): e for e in entries for alias in [*e["unicode_alternates"], e["unicode"]]}
    for path in find(root, images):
        entry = names.get(code(re.sub("^emoji_u", "", os.path.basename(path)[:-4])))
        if entry is None or not usable(path) or entry["category"] in ("flags", "modifier"):
            continue
        if SKIN_TONES & set(code(entry["unicode"])) or EMOJI_MARKS.search(entry["name"]):
            continue
        caption = strip_article(re.sub(r"[(:,)]", " ", entry["name"].lower().replace("(", " (")))
        caption = re.sub(r"\bornament\b| symbol$", "", caption).strip()
        if caption and len(caption.split()) <= MAX_WORDS:
            yield picture(root, path, source, caption, entry["category"], entry["keywords"])


def openclipart_subjects(root):
    """Keywords by picture and creator by picture, from the drawings' RDF (same relative paths as the PNGs)."""
    base = os.path.join(root, "openclipart-svg/usr/share/openclipart/svg")
    keywords, creators = {}, {}
    for path in find(base, "**/*.svg"):
        if os.path.islink(path):
            continue
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(1 << 16)
        name = os.path.relpath(path, base)[:-4]
        subject = re.search(r"<dc:subject>(.*?)</dc:subject>", text, re.S)
        creator = re.search(r"<dc:creator>.*?<dc:title>(.*?)</dc:title>", text, re.S)
        found = re.findall(r"<rdf:li>(.*?)</rdf:li>", subject.group(1), re.S) if subject else []
        keywords[name] = [html.unescape(k).strip().lower() for k in found]
        creators[name] = " ".join(creator.group(1).split()) if creator else ""
    return keywords, creators


def clean_title(title, vocabulary):
    """The words of an openclipart title as a caption, or None where they do not read as an English name."""
    text = html.unescape(title)
    italian = re.sub(r"\s*\(.*?\)|\s*\d+$|architetto|francesco|rollandin", "", text.lower()).strip()
    if italian in ENGLISH:
        return ENGLISH[italian]
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()
    text = re.sub(r"\(.*?\)|\[.*?\]", " ", text).split(" | ")[0]
    text = re.split(r" by | - |, | : ", text)[0]
    text = re.sub(r"[_/.,:;!?*\"#]+", " ", text)
    text = STYLE.sub(" ", text)
    if re.match(r"\s*\d", text) or re.search(r"[^\x00-\x7f]|@|http", text):
        return None
    text = re.sub(r"(?<=[a-z])\d+\b|\b\d+\s*$|\s-\s", " ", text)
    words = []
    for word in strip_article(text).split():
        word = word.strip("-'")
        known = word in vocabulary or word in SMALL_WORDS
        words += [word] if known else [w for w in word.split("-") if w]
    while words and words[-1] in SMALL_WORDS:
        words.pop()
    if not words or len(words) > 5 or not all(w in vocabulary or w in SMALL_WORDS for w in words):
        return None
    if len(words) > 1 and words[-1] in ("one", "two", "three", "four"):
        words.pop()
    caption = re.sub("^new ", "", strip_article(" ".join(words)))
    for wrong, right in SPELLING.items():
        caption = re.sub(rf"\b{wrong}", right, caption)
    return None if len(caption) < 3 or OPENCLIPART_REFUSE.search(caption) else caption


def english_words(known, keywords, creators, titles):
    """Words of the clean sources, words that several openclipart creators use, and words of creators who use those.

    Half of the titles hold Italian, French or the author's own name; a word that only its author uses is one of these,
    unless most of that author's other words are known.
    """
    users, written = collections.defaultdict(set), collections.defaultdict(set)
    for name, subjects in keywords.items():
        title = words_of(STYLE.sub(" ", (titles.get(name) or "").lower()))
        for word in title + [w for text in subjects for w in words_of(text)]:
            users[word].add(creators[name])
        written[creators[name]].update(w for w in title if len(w) > 2)
    names = {w for creator in creators.values() for w in words_of(creator)}
    vocabulary = set(known) | {w for w, who in users.items() if len(who) >= 3 and len(w) > 2 and w not in names}
    vocabulary |= {w + "s" for w in vocabulary if len(w) > 2}
    for creator, words in written.items():
        if len(words) >= 12 and len(words & vocabulary) >= 0.65 * len(words):
            vocabulary |= words - names
    return vocabulary


def openclipart(root, known):
    base = os.path.join(root, "openclipart-png/usr/share/openclipart/png")
    keywords, creators = openclipart_subjects(root)
    titles, files = {}, {}
    for path in find(base, "**/*.png"):
        name = os.path.relpath(path, base)[:-4]
        if not name.startswith(OPENCLIPART_SKIP) and usable(path):
            files[name], titles[name] = path, read_png(path)[2]
    vocabulary = english_words(known, keywords, creators, titles)
    repeats = collections.Counter(titles.values())
    for name, title in titles.items():
        # A title word that is among the picture's own keywords is no author's name either.
        words = vocabulary | {w for k in keywords.get(name, []) for w in words_of(k)}
        stem = re.sub(r"[-_ ]+", " ", os.path.basename(name)).lower()
        caption = None
        if title and repeats[title] <= 3:
            caption = clean_title(title, words)
        elif title and words_of(title) and stem.startswith(words_of(title)[0]):
            # Twenty pictures may well be titled "house"; a set's title ("Etiquette Icons") is not in the file name.
            caption = clean_title(title, words)
        elif "-fs-" not in name and not re.search("_.*_", os.path.basename(name)):
            # Pictures of a set have its title, but a file name of their own, without the author in it.
            caption = clean_title(re.sub(r"\d+$", "", stem), words)
        if caption:
            category = "/".join(name.split("/")[:-1][:2])
            yield picture(root, files[name], "openclipart", caption, category, keywords.get(name, []))


def drop_copies(root, pictures):
    seen = set()
    for item in pictures:
        with open(os.path.join(root, item["path"]), "rb") as file:
            digest = hashlib.sha256(file.read()).digest()
        if digest not in seen:
            seen.add(digest)
            yield item


def fold(concept):
    byte = hashlib.sha256(concept.encode()).digest()[0]
    return "train" if byte < 205 else "validation" if byte < 230 else "test"


def manifest(root):
    gems = "usr/share/rubygems-integration/all/gems"
    held_out = [*tuxpaint(root), *art4apps(root)]
    emojis = [
        *emoji(root, "tanuki", f"ruby-tanuki-emoji/{gems}/*/app/assets/images/tanuki_emoji/emoji_u*.png",
               f"ruby-tanuki-emoji/{gems}/*/vendor/gemojione/index-*.json"),
        *emoji(root, "gemojione", f"ruby-gemojione/{gems}/*/assets/png/*.png",
               f"ruby-gemojione/{gems}/*/config/index.json")]
    known = {w for p in held_out + emojis for text in [p["caption"], *p["keywords"]] for w in words_of(text)}
    pictures = [*held_out, *emojis, *openclipart(root, known | {"t-shirt"})]
    pictures = [p for p in drop_copies(root, pictures) if p["concept"]]
    named = {p["concept"] for p in pictures if p["source"] not in ("tuxpaint", "art4apps")}
    tested = {p["concept"] for p in pictures if p["source"] in ("tuxpaint", "art4apps")} & named
    for p in pictures:
        if p["source"] in ("tuxpaint", "art4apps"):
            test = "e1" if p["source"] == "tuxpaint" else "e2"
            p["split"] = test if p["concept"] in named else "unused"
        else:
            p["split"] = "train" if p["concept"] in tested else fold(p["concept"])
    return pictures


def table(pictures):
    splits = ["train", "validation", "test", "e1", "e2", "unused"]
    counts = collections.Counter((p["source"], p["split"]) for p in pictures)
    concepts = collections.defaultdict(set)
    for p in pictures:
        concepts[p["split"]].add(p["concept"])
    print("source".ljust(12) + "".join(s.rjust(12) for s in splits))
    for source in sorted({p["source"] for p in pictures}):
        print(source.ljust(12) + "".join(str(counts[source, s]).rjust(12) for s in splits))
    print("pictures".ljust(12) + "".join(str(sum(p["split"] == s for p in pictures)).rjust(12) for s in splits))
    print("concepts".ljust(12) + "".join(str(len(concepts[s])).rjust(12) for s in splits))


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: manifest.py PICTURES_DIR OUT.jsonl")
    root, target = sys.argv[1:]
    pictures = manifest(root)
    missing = {"tuxpaint", "art4apps", "tanuki", "gemojione", "openclipart"} - {p["source"] for p in pictures}
    if missing:
        sys.exit(f"manifest.py: {root} holds no pictures of {', '.join(sorted(missing))}; run 'fetch pictures {root}'")
    with open(target + ".part", "w", encoding="utf-8") as file:
        for p in pictures:
            file.write(json.dumps(p, ensure_ascii=False) + "\n")
    os.replace(target + ".part", target)
    table(pictures)


if __name__ == "__main__":
    main()
