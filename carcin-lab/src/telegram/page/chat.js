// Messages and drafts of the chat shown.

const page = { chat: 0, from: 0, thread: null, view: null, messages: new Map(), nodes: new Map(), pending: new Map(), answers: new Map(), skew: 0 };
const byId = (id) => document.getElementById(id);

function clock(at) {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

function day(at) {
  const date = new Date(at);
  const today = new Date().toDateString() === date.toDateString();
  return today ? "Today" : date.toLocaleDateString([], { day: "numeric", month: "long" });
}

function size(bytes) {
  const units = ["B", "KB", "MB", "GB"];
  let unit = 0;
  while (bytes >= 1024 && unit < 3) { bytes /= 1024; unit += 1; }
  return `${unit ? bytes.toFixed(1) : bytes} ${units[unit]}`;
}

function nameOf(message) {
  if (message.from === null) return page.view.bot.first_name;
  return page.view.users.find((user) => user.id === message.from)?.first_name ?? "Someone";
}

// What a file or another thing is called where there is no room to show it.
const KINDS = {
  photo: "Photo", video: "Video", voice: "Voice message", animation: "GIF", video_note: "Video message", sticker: "Sticker",
};

function summaryOf(message) {
  if (!message) return "Deleted message";
  if (message.service) return serviceText(message.service);
  if (message.other) return otherText(message.other);
  return message.text || (message.media ? KINDS[message.media.kind] ?? message.media.file_name : "Message");
}

function otherText(other) {
  if (other.venue) return `📍 ${other.venue.title}`;
  if (other.location) return `📍 ${other.location.latitude}, ${other.location.longitude}`;
  if (other.contact) return `👤 ${other.contact.first_name} · ${other.contact.phone_number}`;
  if (other.dice) return other.dice.emoji;
  if (other.poll) return `📊 ${other.poll.question}`;
  return Object.keys(other).join(", ");
}

const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
// What is drawn on a file's button.
const DRAWN = { default: "M12 4v13M6 11l6 6 6-6", play: "M8 5l11 7-11 7z", sound: "M9 18V6l10-2v12M9 18a3 3 0 1 1-3-3 3 3 0 0 1 3 3zM19 16a3 3 0 1 1-3-3 3 3 0 0 1 3 3z" };
const DRAWING = { video: "play", animation: "play", video_note: "play", voice: "play", audio: "sound" };

function mediaOf(media, alone) {
  const source = `/lab/files/${encodeURIComponent(media.file_id)}`;
  if (["photo", "sticker", "animation"].includes(media.kind) && PICTURES.has(media.mime)) {
    const image = element("img", { src: source, alt: KINDS[media.kind] });
    image.addEventListener("load", keepAtEnd);
    return element("div", { class: alone ? "media alone" : "media", "data-kind": media.kind },
      element("a", { href: source, target: "_blank" }, image));
  }
  const row = element("a", { class: "document", href: source, download: media.file_name },
    element("i", {}, icon(DRAWN[DRAWING[media.kind] ?? "default"])),
    element("div", {}, element("b", {}, KINDS[media.kind] ?? media.file_name), element("span", {}, size(media.size))));
  return element("div", { class: "media", "data-kind": media.kind }, row);
}

function serviceText(service) {
  if (service.forum_topic_created) return `Topic “${service.forum_topic_created.name}” created`;
  if (service.forum_topic_edited) return `Topic renamed to “${service.forum_topic_edited.name}”`;
  if (service.forum_topic_closed) return "Topic closed";
  if (service.forum_topic_reopened) return "Topic reopened";
  return Object.keys(service).join(", ");
}

function keyboardOf(message) {
  const rows = message.keyboard.map((row) => element("div", {}, ...row.map((button) => {
    if (button.url) {
      const made = link(button.url, { "data-url": button.url, "data-style": button.style });
      made.append(button.text);
      return made;
    }
    if (button.copy_text) {
      const made = element("button", { "data-copy": button.copy_text.text, "data-style": button.style }, button.text);
      made.addEventListener("click", () => copyText(button.copy_text.text));
      return made;
    }
    const key = `${message.id}/${button.callback_data}`;
    const made = element("button", {
      "data-callback": button.callback_data, "data-style": button.style, "data-pending": page.pending.has(key) && "true",
    }, button.text);
    made.addEventListener("click", () => press(message.id, button.callback_data, made));
    return made;
  })));
  return element("div", { class: "keyboard" }, ...rows);
}

function metaOf(message) {
  const mine = message.from === page.from;
  return element("span", { class: "meta" },
    message.from === null && message.silent ? icon("M5 15V10a7 7 0 0 1 14 0v5l2 3H3zM4 4l16 16", "mute") : null,
    mine && message.edited ? element("span", {}, "edited") : null,
    clock(message.at),
    mine ? icon("M1 9l4 5L14 3M11 13l1 1L21 3", "ticks") : null);
}

function quotedOf(message) {
  const answered = page.messages.get(message.reply_to);
  const made = element("button", { class: "quoted", "data-reply-to": message.reply_to },
    element("b", {}, answered ? nameOf(answered) : "…"), element("span", {}, message.quote ? `“${message.quote}”` : summaryOf(answered)));
  made.addEventListener("click", () => page.nodes.get(message.reply_to)?.scrollIntoView({ block: "center", behavior: "smooth" }));
  return made;
}

function messageNode(message) {
  if (message.service) return element("div", { class: "service", "data-id": message.id }, serviceText(message.service));
  const group = page.chat < 0 && message.from !== page.from;
  const bubble = element("div", { class: "bubble" },
    group ? element("div", { class: "author" }, nameOf(message)) : null,
    message.forwarded === null ? null : element("div", { class: "forwarded" }, "Forwarded from ", element("b", {}, message.forwarded)),
    message.reply_to === null ? null : quotedOf(message),
    message.media ? mediaOf(message.media, !message.text) : null,
    message.other ? element("div", { class: "other" }, otherText(message.other)) : null,
    message.text ? richText(message.text, message.entities, message.id) : element("div", { class: "meta-space" }),
    metaOf(message));
  const node = element("div", {
    class: message.from === page.from ? "message mine" : "message", "data-id": message.id, "data-from": message.from === null ? "bot" : "user",
    "data-silent": String(message.silent), "data-keyboard": message.keyboard && "true", "data-edited": message.from === page.from && message.edited && "true",
  }, bubble,
  message.keyboard ? keyboardOf(message) : null,
  message.reaction ? element("span", { class: "reaction" }, message.reaction) : null);
  bubble.addEventListener("contextmenu", (event) => {
    if (String(getSelection())) return;
    event.preventDefault();
    openMenu(message, event);
  });
  return node;
}

function shownHere(message) {
  return page.thread === null ? message.thread === null || !topicsOf().length : message.thread === page.thread;
}

function topicsOf() {
  return page.view?.chats.find((chat) => chat.id === page.chat)?.topics ?? [];
}

// Puts nodes in order, with days between them and tails at the end of each run.
function arrange() {
  const shown = [...page.messages.values()].filter(shownHere).sort((a, b) => a.id - b.id);
  const list = byId("messages");
  const wanted = [];
  shown.forEach((message, index) => {
    const before = shown[index - 1];
    const after = shown[index + 1];
    const node = page.nodes.get(message.id);
    if (!before || day(before.at) !== day(message.at)) wanted.push(dayNode(day(message.at)));
    const runs = (a, b) => a && b && !a.service && !b.service && a.from === b.from && Math.abs(a.at - b.at) < 600000 && day(a.at) === day(b.at);
    node.classList.toggle("first", !runs(before, message));
    node.classList.toggle("tail", !runs(message, after) && !message.keyboard);
    wanted.push(node);
  });
  for (const draft of page.view.drafts ?? []) {
    const left = draft.until - (Date.now() + page.skew);
    if ((draft.thread ?? null) !== page.thread || left <= 0) continue;
    wanted.push(draftNode(draft));
    setTimeout(refresh, left + 50);
  }
  const keep = new Set(wanted);
  for (const old of [...list.children]) if (!keep.has(old)) old.remove();
  wanted.forEach((node, index) => {
    if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
  });
  measureQuotes(list);
  document.body.classList.toggle("talking", shown.length > 0);
  byId("start").hidden = shown.length > 0 || page.chat <= 0;
}

const days = new Map();
function dayNode(name) {
  if (!days.has(name)) days.set(name, element("div", { class: "day" }, name));
  return days.get(name);
}

const draftNodes = new Map();
function draftNode(draft) {
  const look = JSON.stringify([draft.text, draft.entities, draft.can_stop]);
  const known = draftNodes.get(draft.id);
  if (known?.look === look) return known.node;
  const text = draft.text
    ? richText(draft.text, draft.entities, `draft${draft.id}`)
    : element("div", { class: "thinking" }, "Thinking…");
  const stop = element("button", { "data-stop": "true" }, "◼ Stop");
  stop.addEventListener("click", () => post("stop-draft", { chat: page.chat, draft: draft.id }));
  const node = known?.node ?? element("div", { class: "draft", "data-draft": draft.id });
  node.replaceChildren(element("div", { class: "bubble" }, text), ...(draft.can_stop ? [stop] : []));
  draftNodes.set(draft.id, { look, node });
  return node;
}

// Whether the end of the chat is in view, so that it should stay in view.
let atEnd = true;
function keepAtEnd() {
  const scroll = byId("scroll");
  if (atEnd) scroll.scrollTop = scroll.scrollHeight;
}

function takeMessages(view) {
  if (view.full) {
    page.messages.clear();
    page.nodes.clear();
    draftNodes.clear();
  }
  const fresh = [];
  for (const message of view.messages) {
    const known = page.messages.has(message.id);
    if (message.deleted) {
      page.messages.delete(message.id);
      page.nodes.delete(message.id);
      continue;
    }
    page.messages.set(message.id, message);
    if (!known && !view.full) fresh.push(message);
  }
  // After all are known, so that a reply finds what it answers.
  for (const message of view.messages) {
    if (message.deleted) continue;
    const old = page.nodes.get(message.id);
    const node = messageNode(message);
    page.nodes.set(message.id, node);
    if (old) old.replaceWith(node);
    else if (!view.full) node.classList.add("fresh");
  }
  return fresh;
}
