#!/usr/bin/env python3
"""Reads a report as a browser would: read_page.py REPORT.html RESULTS.json

Every element is closed where it should be, nothing is loaded from elsewhere, every number's exact value is the one that
stands at its path in the JSON, and every score of the JSON is in the report.
"""
import html.parser
import json
import sys

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Report(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.errors, self.numbers, self.ids, self.links = [], [], {}, set(), []

    def fail(self, text):
        self.errors.append(f"line {self.getpos()[0]}, column {self.getpos()[1]}: {text}")

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("script", "link", "iframe", "object"):
            self.fail(f"<{tag}> in a report")
        for name in ("src", "href"):
            if name in named and not named[name].startswith(("data:image/", "#")):
                self.fail(f"{name} leads elsewhere: {named[name][:80]}")
        if named.get("href", "").startswith("#"):
            self.links.append(named["href"][1:])
        if "id" in named:
            if named["id"] in self.ids:
                self.fail(f"the id {named['id']} a second time")
            self.ids.add(named["id"])
        if tag == "data":
            path = named["data-path"]
            if path in self.numbers:
                self.fail(f"{path} is there twice")
            self.numbers[path] = float(named["value"])

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.fail(f"</{tag}> closes {self.open[-1] if self.open else 'nothing'}")
        else:
            self.open.pop()


def at(results, path):
    """Names may hold slashes themselves: the longest member that fits is taken."""
    if path == "":
        return results
    if isinstance(results, list):
        head, _, rest = path.partition("/")
        return at(results[int(head)], rest)
    for name in sorted(results, key=len, reverse=True):
        if path == name or path.startswith(name + "/"):
            return at(results[name], path[len(name) + 1:])
    raise KeyError(path)


def main():
    page = open(sys.argv[1], encoding="utf-8").read()
    results = json.load(open(sys.argv[2], encoding="utf-8"))
    report = Report()
    report.feed(page)
    report.close()
    if report.open:
        report.fail(f"never closed: {report.open}")
    if "http:" in page.replace("http://www.w3.org/", "") or "https:" in page or "@import" in page or "url(" in page:
        report.fail("an address of the network")
    for link in report.links:
        if link not in report.ids:
            report.fail(f"a link to #{link}, which is nowhere")
    for path, value in report.numbers.items():
        try:
            if at(results, path) != value:
                report.fail(f"{path} is {value}, in the JSON {at(results, path)}")
        except (KeyError, IndexError, ValueError):
            report.fail(f"{path} is not in the JSON")
    for t, task in enumerate(results["tasks"]):
        for r, run in enumerate(task.get("runs", [])):
            for metric, score in run["scores"].items():
                for part in score:
                    if f"tasks/{t}/runs/{r}/scores/{metric}/{part}" not in report.numbers:
                        report.fail(f"{task['name']}: {metric} of run {r} is not in the report")
    if not report.numbers:
        report.fail("there are no numbers")
    for error in report.errors[:20]:
        print(error)
    print(f"{len(report.numbers)} numbers, {len(report.errors)} errors")
    sys.exit(1 if report.errors else 0)


if __name__ == "__main__":
    main()
