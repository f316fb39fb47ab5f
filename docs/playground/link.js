// A program in the fragment of an address, #program=..., as base64url of UTF-8: servers never see a fragment.

export function encode(program) {
  const bytes = new TextEncoder().encode(program);
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function decode(text) {
  const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

// Return the program of an address, or null; a fragment that is damaged throws an error that says so.
export function programOf(hash) {
  const text = new URLSearchParams(hash.slice(1)).get("program");
  if (text === null) { return null; }
  try {
    return decode(text);
  } catch {
    throw new Error("the link is damaged: what follows #program= is not a program; copy the whole link again");
  }
}
