// Writing: the composer, attachments, menus; and who listens to what.

let answering = null; // { kind: "reply" | "edit", message }
let attached = [];

// As clients do: what is longer than a message is sent as several.
function* portions(text, max = 4096) {
  while (text.length > max) {
    let cut = text.lastIndexOf("\n", max);
    if (cut <= 0) cut = max;
    if (/[\uD800-\uDBFF]/.test(text[cut - 1])) cut -= 1;
    yield text.slice(0, cut);
    text = text.slice(cut);
  }
  yield text;
}

async function sendText(text, reply) {
  atEnd = true;
  for (const part of portions(text)) {
    if (!part.trim()) continue;
    await post("send", { chat: page.chat, from: page.from, text: part, reply_to: reply, thread: page.thread });
    reply = undefined;
  }
}

async function sendFiles(files, caption) {
  const pictures = files.every((file) => /^image\/(png|jpeg|webp|gif)$/.test(file.type));
  const query = new URLSearchParams({ chat: page.chat, from: page.from, caption });
  if (pictures) query.set("as", "photo");
  if (page.thread !== null) query.set("thread", page.thread);
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  const answer = await fetch(`/lab/files?${query}`, { method: "POST", body: form });
  if (!answer.ok) toast((await answer.json()).error);
}

async function submit() {
  const composer = byId("composer");
  const text = composer.value;
  const now = answering;
  const files = attached;
  if (!text.trim() && !files.length) return;
  composer.value = "";
  attached = [];
  answerTo(null);
  grow();
  showAttached();
  byId("command-list").hidden = true;
  try {
    if (files.length) await sendFiles(files, text);
    else if (now?.kind === "edit") await post("edit", { chat: page.chat, from: page.from, message: now.message.id, text });
    else await sendText(text, now?.message.id);
  } catch {
    composer.value ||= text; // nothing typed is lost
    grow();
  }
}

function grow() {
  const composer = byId("composer");
  composer.style.height = "auto";
  composer.style.height = `${Math.min(composer.scrollHeight, 160)}px`;
}

function answerTo(target) {
  answering = target;
  byId("context").hidden = !target;
  if (!target) return;
  byId("context").querySelector("b").textContent = target.kind === "edit" ? "Edit message" : `Reply to ${nameOf(target.message)}`;
  byId("context").querySelector("span").textContent = summaryOf(target.message);
  byId("composer").focus();
}

function showAttached() {
  byId("attachments").hidden = !attached.length;
  byId("attachments").replaceChildren(...attached.map((file, index) => {
    const made = element("button", { title: "Remove" }, `${file.name || "file"} · ${size(file.size)} ✕`);
    made.addEventListener("click", () => { attached.splice(index, 1); showAttached(); });
    return made;
  }));
}

function showCommands(prefix) {
  const list = byId("command-list");
  const fitting = (page.view?.commands ?? []).filter((one) => one.command.startsWith(prefix));
  list.hidden = !fitting.length;
  list.replaceChildren(...fitting.map((one) => {
    const made = element("button", { "data-command": one.command }, element("b", {}, `/${one.command}`), element("span", {}, one.description));
    made.addEventListener("click", () => {
      list.hidden = true;
      byId("composer").value = "";
      sendText(`/${one.command}`);
    });
    return made;
  }));
}

// ---- menus ----

function popup(box, items, place) {
  box.replaceChildren(...items.map(([label, attributes, act]) => {
    const made = element("button", attributes, label);
    made.addEventListener("click", () => { box.hidden = true; act(); });
    return made;
  }));
  box.hidden = false;
  if (!place) return;
  const phone = byId("phone").getBoundingClientRect();
  box.style.left = `${Math.max(8, Math.min(place.clientX - phone.left, phone.width - box.offsetWidth - 8))}px`;
  box.style.top = `${Math.max(8, Math.min(place.clientY - phone.top, phone.height - box.offsetHeight - 8))}px`;
}

function openMenu(message, place) {
  const items = [["Reply", { "data-act": "reply" }, () => answerTo({ kind: "reply", message })]];
  if (message.from === page.from) {
    items.push(["Edit", { "data-act": "edit" }, () => {
      answerTo({ kind: "edit", message });
      byId("composer").value = message.text;
      grow();
    }]);
  }
  items.push(["Copy", { "data-act": "copy" }, () => copyText(message.text)]);
  popup(byId("menu"), items, place);
}

function openChats() {
  popup(byId("chats"), (page.view?.chats ?? []).map((chat) => [
    chat.kind === "private" ? `${page.view.bot.first_name} · as ${chat.title}` : chat.title,
    { "data-chat": chat.id }, () => choose(chat.id),
  ]));
}

function openMore(event) {
  const chat = page.view?.chats.find((one) => one.id === page.chat);
  if (!chat) return;
  const label = chat.blocked ? "Unblock bot" : "Block bot";
  const items = [[label, { "data-act": "block" }, () => post("block", { chat: page.chat, by: page.from, blocked: !chat.blocked })]];
  if (chat.kind === "forum" || page.view.topics) {
    items.unshift(["New topic", { "data-act": "topic" }, async () => {
      const name = prompt("Name of the topic");
      if (name?.trim()) page.thread = (await post("topics", { chat: page.chat, by: page.from, name: name.trim() })).thread;
    }]);
  }
  popup(byId("menu"), items, event);
}

// ---- wiring ----

byId("send").addEventListener("click", submit);
byId("composer").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    submit();
  } else if (event.key === "Escape") {
    answerTo(null);
  } else if (event.key === "ArrowUp" && !event.target.value) {
    const mine = [...page.messages.values()].filter((one) => one.from === page.from && one.text && shownHere(one)).pop();
    if (mine) {
      event.preventDefault();
      answerTo({ kind: "edit", message: mine });
      event.target.value = mine.text;
      grow();
    }
  }
});
byId("composer").addEventListener("input", (event) => {
  grow();
  const typed = /^\/(\w*)$/.exec(event.target.value);
  if (typed) showCommands(typed[1]);
  else byId("command-list").hidden = true;
});
byId("composer").addEventListener("paste", (event) => {
  if (!event.clipboardData.files.length) return;
  attached.push(...event.clipboardData.files);
  showAttached();
});
byId("phone").addEventListener("dragover", (event) => event.preventDefault());
byId("phone").addEventListener("drop", (event) => {
  event.preventDefault();
  attached.push(...event.dataTransfer.files);
  showAttached();
});
byId("attach").addEventListener("click", () => byId("file").click());
byId("file").addEventListener("change", (event) => {
  attached.push(...event.target.files);
  event.target.value = "";
  showAttached();
  byId("composer").focus();
});
byId("commands").addEventListener("click", () => {
  if (byId("command-list").hidden) showCommands("");
  else byId("command-list").hidden = true;
});
byId("start").addEventListener("click", () => sendText("/start"));
byId("context-cancel").addEventListener("click", () => answerTo(null));
byId("back").addEventListener("click", (event) => { event.stopPropagation(); openChats(); });
byId("more").addEventListener("click", (event) => { event.stopPropagation(); openMore(event); });
byId("alert").querySelector("button").addEventListener("click", () => { byId("alert").hidden = true; });
byId("pinned").addEventListener("click", () => {
  const chat = page.view.chats.find((one) => one.id === page.chat);
  page.nodes.get(chat.pinned[chat.pinned.length - 1])?.scrollIntoView({ block: "center", behavior: "smooth" });
});
byId("bell").classList.add("muted");
byId("bell").addEventListener("animationend", () => byId("bell").classList.remove("ringing"));
byId("bell").addEventListener("click", () => {
  sound = !sound;
  byId("bell").classList.toggle("muted", !sound);
  if (sound) ding();
});
byId("down").addEventListener("click", () => { atEnd = true; keepAtEnd(); });
byId("scroll").addEventListener("scroll", () => {
  const scroll = byId("scroll");
  atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
  if (atEnd) unread = 0;
  byId("down").hidden = atEnd;
  byId("down").lastElementChild.textContent = unread || "";
});
addEventListener("resize", keepAtEnd);
document.addEventListener("click", (event) => {
  for (const box of document.querySelectorAll(".popup")) if (!box.contains(event.target)) box.hidden = true;
});

const asked = new URLSearchParams(location.search);
page.chat = Number(asked.get("chat")) || 0;
page.from = Number(asked.get("from")) || 0;
page.thread = Number(asked.get("thread")) || null;
connect();
