"""Check the README as the package index shows it: `check_readme.py dist/*.whl`, with readme_renderer installed.

The index renders the description in the metadata. Its addresses must be absolute, and those in the repository must lead
to a file that is here.
"""

from __future__ import annotations

import re
import sys
import zipfile
from email.parser import BytesParser
from pathlib import Path

from readme_renderer.markdown import render

ROOT = Path(__file__).resolve().parent.parent

with zipfile.ZipFile(sys.argv[1]) as wheel:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = BytesParser().parsebytes(wheel.read(name))
page = render(metadata.get_payload(decode=True).decode())
if not page:
    sys.exit("the README does not render")
urls = dict(line.split(", ", 1) for line in metadata.get_all("Project-URL"))
files = re.compile(rf"{re.escape(urls['Source'])}/(?:raw|blob)/v{re.escape(metadata['Version'])}/([^#]*)")
addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
anchors = {f"#{anchor}" for anchor in re.findall(r'id="([^"]*)"', page)}
wrong = [
    address
    for address in addresses
    if (not address.startswith("https://") and address not in anchors)
    or ((found := files.fullmatch(address)) and not (ROOT / found[1]).exists())
]
print(f"the README renders: {len(page):,} characters, {len(addresses)} addresses")
if wrong or not any(map(files.fullmatch, addresses)):
    sys.exit(f"addresses that lead nowhere from the package index: {wrong}")
