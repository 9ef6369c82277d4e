"""Which headers can be compiled in one translation unit and still be compiled alone: chains in which each header is
included, directly or not, by the next. Whatever stands before a header's own lines it includes itself."""
import pathlib
import re

import house


def closures(headers):
    """header: the headers of ours that it includes, directly or not, itself too."""
    direct = {h: {pathlib.Path(i) for i in re.findall(r"^\s*#\s*include <flamingo/(.+)>", text(h), re.M)}
              for h in headers}
    found = {}

    def closure(header):
        if header not in found:
            found[header] = {header}.union(*(closure(i) for i in direct.get(header, ())))
        return found[header]

    return {h: closure(h) for h in headers}


def text(header):
    return (house.INCLUDE / "flamingo" / header).read_text()


def chains(headers):
    """The fewest chains that hold every header once, each from the included to the including: by a maximum matching
    of headers with headers that they include (Dilworth)."""
    includes = closures(house.headers())
    below = {h: sorted(includes[h].intersection(headers) - {h}) for h in headers}
    above = {}  # included header: the one that follows it in its chain

    def find_place(header, tried):
        for i in below[header]:
            if i not in tried:
                tried.add(i)
                if i not in above or find_place(above[i], tried):
                    above[i] = header
                    return True
        return False

    for header in sorted(headers, key=lambda h: len(includes[h])):
        find_place(header, set())
    before = {h: i for i, h in above.items()}
    found = []
    for header in headers:
        if header not in above:
            chain = [header]
            while chain[-1] in before:
                chain.append(before[chain[-1]])
            found.append(chain[::-1])
    return found
