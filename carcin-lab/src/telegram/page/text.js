"use strict";
// Text with entities as elements. Everything from outside becomes a text node or a checked attribute, never markup.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") made.className = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function icon(path, name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", name === "ticks" ? "0 0 24 16" : "0 0 24 24");
  if (name) svg.setAttribute("class", name);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

function safeLink(url) {
  const whole = /^[a-z][a-z0-9+.-]*:/i.test(url) ? url : `https://${url}`;
  return /^(https?:|tg:|mailto:)/i.test(whole) ? whole : null;
}

function link(url, attributes = {}) {
  const href = safeLink(url);
  return href
    ? element("a", { href, target: "_blank", rel: "noopener noreferrer", ...attributes })
    : element("span");
}

// What was opened by hand stays open when the message is edited.
const revealed = new Set();

function revealable(made, key) {
  if (revealed.has(key)) made.dataset.revealed = "true";
  made.addEventListener("click", (event) => {
    if (event.target.closest("a, code") && made.dataset.revealed) return;
    event.stopPropagation();
    if (made.dataset.revealed && made.tagName === "BLOCKQUOTE") {
      delete made.dataset.revealed;
      revealed.delete(key);
    } else {
      made.dataset.revealed = "true";
      revealed.add(key);
    }
  });
  return made;
}

function copyText(text) {
  navigator.clipboard?.writeText(text).then(() => toast("Copied to clipboard"), () => toast("Cannot copy here"));
}

const BLOCKS = new Set(["pre", "blockquote", "expandable_blockquote"]);

// The elements of an entity: the outer one, and the one that takes the text.
function shell(entity, text, key) {
  const plain = (name, attributes) => {
    const made = element(name, attributes);
    return [made, made];
  };
  const inside = text.slice(entity.offset, entity.offset + entity.length);
  switch (entity.type) {
    case "bold": return plain("b");
    case "italic": return plain("i");
    case "underline": return plain("u");
    case "strikethrough": return plain("s");
    case "spoiler": {
      const made = revealable(element("span", { class: "spoiler" }), key);
      return [made, made];
    }
    case "code": {
      const made = element("code");
      made.addEventListener("click", () => copyText(inside));
      return [made, made];
    }
    case "pre": {
      const copy = element("button", { title: "Copy" }, "copy");
      copy.addEventListener("click", () => copyText(inside));
      const pre = element("pre");
      const head = element("div", {}, element("span", {}, entity.language || "code"), copy);
      return [element("div", { class: "pre", "data-language": entity.language }, head, pre), pre];
    }
    case "blockquote": return plain("blockquote");
    case "expandable_blockquote": {
      const body = element("div");
      return [revealable(element("blockquote", { class: "expandable" }, body), key), body];
    }
    case "text_link": return Array(2).fill(link(entity.url || ""));
    case "url": return Array(2).fill(link(inside));
    case "email": return Array(2).fill(link(`mailto:${inside}`));
    case "bot_command": {
      const made = element("a", { href: "#", "data-command": inside });
      made.addEventListener("click", (event) => {
        event.preventDefault();
        sendText(inside);
      });
      return [made, made];
    }
    case "mention": case "hashtag": case "cashtag": case "text_mention": return plain("a");
    default: return plain("span", { "data-entity": entity.type });
  }
}

// Offsets are UTF-16 units, as are JavaScript's. Entities are opened and closed at their bounds; where two overlap
// without nesting, the inner one is closed and opened again.
function richText(text, entities, key) {
  const out = element("div", { class: "text", dir: "auto" });
  const sorted = entities.map((entity, index) => ({ ...entity, index, end: entity.offset + entity.length }));
  const bounds = new Set([0, text.length]);
  for (const entity of sorted) bounds.add(entity.offset).add(entity.end);
  const cuts = [...bounds].filter((cut) => cut >= 0 && cut <= text.length).sort((a, b) => a - b);
  let open = [];
  const top = () => (open.length ? open[open.length - 1].inner : out);
  let lastBlockEnd = -1;
  cuts.slice(0, -1).forEach((cut, number) => {
    const next = cuts[number + 1];
    const keep = open.findIndex((one) => one.entity.end <= cut);
    if (keep >= 0) {
      for (const closed of open.slice(keep)) if (BLOCKS.has(closed.entity.type) && closed.entity.end <= cut) lastBlockEnd = cut;
      open = open.slice(0, keep);
    }
    const wanted = sorted.filter((one) => one.offset <= cut && one.end >= next && one.length > 0);
    wanted.sort((a, b) => a.offset - b.offset || b.length - a.length || a.index - b.index);
    // Of two with the same bounds, the block is the outer one.
    wanted.sort((a, b) => (a.offset === b.offset && a.end === b.end ? BLOCKS.has(b.type) - BLOCKS.has(a.type) : 0));
    for (const entity of wanted) {
      if (open.some((one) => one.entity === entity)) continue;
      const [outer, inner] = shell(entity, text, `${key}/${entity.index}`);
      top().append(outer);
      open.push({ entity, inner });
    }
    let piece = text.slice(cut, next);
    if (cut === lastBlockEnd && piece.startsWith("\n")) piece = piece.slice(1);
    if (piece) top().append(piece);
  });
  const last = sorted.find((one) => one.end === text.length && BLOCKS.has(one.type));
  if (last) out.classList.add("block-end");
  return out;
}

// A quote shows an arrow only if there is more to see.
function measureQuotes(root) {
  for (const quote of root.querySelectorAll("blockquote.expandable")) {
    const body = quote.firstElementChild;
    if (quote.dataset.revealed || body.scrollHeight > body.clientHeight + 2) quote.classList.add("long");
  }
}
