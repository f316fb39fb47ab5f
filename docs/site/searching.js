// Ranks what the search found: pages that explain come before pages that list, unless the words are a name.
const asked = (new URLSearchParams(location.search).get("q") || "").toLowerCase().trim();
const EXPLAINING = [
  ["tutorials/", 12], ["explanation/", 10], ["howto/", 9], ["guide/", 8], ["gallery", 6], ["conventions", 5],
  ["benchmarks/", 1], ["contributing", 1], ["versions", 1], ["changelog", 0], ["api/", 0], ["genindex", -5],
];

var Scorer = {
  score: ([page, title, anchor, description, score, file, kind]) => {
    if (kind === "object") {
      const parts = title.toLowerCase().split(".");
      const isIt = title.toLowerCase() === asked || parts.slice(-1)[0] === asked.replace(/\(\)$/, "");
      return isIt ? 100 - parts.length : score / 100;
    }
    const place = EXPLAINING.find(([prefix]) => page.startsWith(prefix));
    return score + (place ? place[1] : 4);
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};

// An excerpt shows the words where they stand together; the usual one shows the last of them, be it part of a word.
document.addEventListener("DOMContentLoaded", () => {
  const usual = Search.makeSearchSummary;
  Search.makeSearchSummary = (page, words, anchor) => {
    const text = Search.htmlToText(page, anchor);
    const escaped = asked.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const place = text.search(new RegExp(`(?<![\\p{L}\\p{N}_])${escaped}`, "iu"));
    if (!asked || place < 0) return usual(page, words, anchor);
    const start = Math.max(place - 120, 0);
    const excerpt = document.createElement("p");
    excerpt.className = "context";
    excerpt.textContent = `${start ? "…" : ""}${text.slice(start, start + 240).trim()}${start + 240 < text.length ? "…" : ""}`;
    return excerpt;
  };
});

// A page that was opened as a file may not read other pages for excerpts: one script holds all of their texts.
if (location.protocol === "file:") {
  const texts = new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = "searchtexts.js";
    script.onload = () => resolve(SEARCH_TEXTS);
    script.onerror = () => resolve({});
    document.head.append(script);
  });
  window.fetch = async (address) => {
    const page = address.replace(/^(\.\/)+/, "").replace(/\.html$/, "");
    const text = (await texts)[page];
    return { text: () => (text ? `<div role="main">${text}</div>` : "") };
  };
}
