"""The page of `dictum train --report` in a real browser: in light and dark, on a desk and on a phone.

Needs requirements.txt and Chromium (Debian: chromium). With a folder as argument it leaves screenshots there,
to be looked at.
"""
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "target" / "debug" / "dictum"
DATA = ROOT / "tests" / "it" / "cli" / "planted.csv"
# A label that wants to run, a token wider than any page, and a sentence from right to left.
LABEL = "<script>document.title='ran'</script><img src=x onerror=document.title='ran'>"
HOSTILE = (f"Where is the coffee machine?,{LABEL}\nThe coffee machine took my coin.,{LABEL}\n"
           + "borrowed" * 60 + f",{LABEL}\n"
           + "متى يجب أن أعيد الكتاب الذي استعرته؟,event\n")
SIZES = {"desk": (1200, 900), "phone": (360, 740)}
SECTIONS = ["labels", "matrix", "confusions", "ngrams", "disputed", "data", "settings"]


def make_page(folder):
    csv = folder / "data.csv"
    csv.write_text(DATA.read_text(encoding="utf8") + HOSTILE, encoding="utf8")
    subprocess.run([PROGRAM, "train", csv, "--models", folder / "models", "--report", folder / "page.html"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder / "page.html"


def luminance(colour):
    """The relative luminance of `rgb(r, g, b)`, by WCAG 2.2."""
    def linear(part):
        part = int(part) / 255
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
    red, green, blue = (linear(part) for part in colour[4:-1].split(","))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def look(browser, path, scheme, size, pictures):
    page = browser.new_page(viewport=dict(zip(("width", "height"), SIZES[size])), color_scheme=scheme)
    told, asked_for = [], []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: asked_for.append(request.url))
    page.goto(path.as_uri())

    assert asked_for == [path.as_uri()], f"the page loads {asked_for}"
    assert not told, f"the browser complains: {told}"
    assert page.title().endswith("· Dictum"), f"something ran: {page.title()}"
    assert LABEL in page.inner_text("#labels + div"), "the planted label is not shown"

    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"the page is {wide} pixels too wide"
    # Of a table every column is reached, in the page or by scrolling within its frame.
    for table in page.query_selector_all("table"):
        assert table.evaluate("t => !t.closest('.scroll') || t.closest('.scroll').clientWidth > 200")
    for name in SECTIONS:
        page.click(f"nav a[href='#{name}']") if page.query_selector(f"nav a[href='#{name}']") else None
        box = page.locator(f"#{name}").bounding_box()
        assert box and box["height"] > 10, f"section {name} is not shown"
    charts = [svg.bounding_box() for svg in page.query_selector_all("figure svg")]
    assert len(charts) >= 2, f"{len(charts)} charts"
    assert all(box["width"] > 200 and box["height"] > 100 for box in charts), f"charts of {charts}"

    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (luminance(paper) < 0.1) == (scheme == "dark"), f"paper is {paper}"
    faintest = min((contrast(ink, paper), ink) for ink in page.evaluate(
        "[...document.querySelectorAll('p, th, td, span, a, figcaption')].map(e => getComputedStyle(e).color)"))
    assert faintest[0] >= 4.5, f"{faintest[1]} on {paper} has a contrast of {faintest[0]:.1f}"
    if pictures:
        page.screenshot(path=pictures / f"{scheme}-{size}.png", full_page=True)
    page.close()
    print(f"ok  {scheme:5} {size:5}  contrast at least {faintest[0]:.1f}, {len(charts)} charts")


def main():
    chromium = shutil.which("chromium") or sys.exit("chromium is not installed (Debian: chromium)")
    pictures = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = make_page(Path(folder))
        browser = playwright.chromium.launch(executable_path=chromium)
        for scheme in ("light", "dark"):
            for size in SIZES:
                look(browser, path, scheme, size, pictures)
        browser.close()


if __name__ == "__main__":
    main()
