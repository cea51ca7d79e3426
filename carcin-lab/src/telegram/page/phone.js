// The phone around the chat: feed, header, composer, menus.

let feed = null;
let answering = null; // { kind: "reply" | "edit", message }
let attached = [];
let sound = false;
let unread = 0;
let refreshTimer = null;

async function post(path, body) {
  const answer = await fetch(`/lab/${path}`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  });
  const result = await answer.json().catch(() => ({ error: `HTTP ${answer.status}` }));
  if (!answer.ok) {
    toast(result.error ?? `HTTP ${answer.status}`);
    throw new Error(result.error);
  }
  return result;
}

// ---- the feed ----

function connect() {
  feed?.close();
  feed = new EventSource(`/lab/events?chat=${page.chat}`);
  feed.onmessage = (event) => take(JSON.parse(event.data));
  feed.onerror = () => {
    document.body.dataset.state = "offline";
    header();
    // The browser tries again by itself unless it was given a wrong answer.
    if (feed.readyState === EventSource.CLOSED) setTimeout(connect, 1000);
  };
}

function take(view) {
  document.body.dataset.state = "online";
  if (!page.chat) {
    const first = view.users[0]?.id;
    const chat = view.chats.find((one) => one.id === first) ?? view.chats[0];
    page.view = view;
    if (chat) choose(chat.id);
    return;
  }
  page.skew = view.now - Date.now();
  page.view = view;
  page.from ||= page.chat > 0 ? page.chat : view.users[0]?.id ?? 0;
  const fresh = takeMessages(view);
  arrange();
  for (const callback of view.callbacks) answered(callback);
  side();
  header();
  topics();
  for (const message of fresh) if (message.from === null && !message.service) arrived(message);
  keepAtEnd();
}

function refresh() {
  clearTimeout(refreshTimer);
  if (!page.view) return;
  arrange();
  header();
}

function choose(chat, thread = null) {
  page.chat = chat;
  page.thread = thread;
  page.from = Number(new URLSearchParams(location.search).get("from")) || 0;
  atEnd = true;
  connect();
}

function arrived(message) {
  if (!atEnd) unread += 1;
  byId("down").lastElementChild.textContent = unread || "";
  if (message.silent) return;
  const bell = byId("bell");
  bell.dataset.rings = Number(bell.dataset.rings) + 1;
  bell.classList.remove("ringing");
  void bell.offsetWidth; // restarts the animation
  bell.classList.add("ringing");
  if (sound) ding();
}

function ding() {
  const audio = new AudioContext();
  const tone = audio.createOscillator();
  const volume = audio.createGain();
  tone.frequency.value = 880;
  volume.gain.setValueAtTime(0.15, audio.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.35);
  tone.connect(volume).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.35);
  tone.onended = () => audio.close();
}

// ---- header and side ----

const DOING = {
  typing: "typing…", upload_document: "sending a file…", upload_photo: "sending a photo…", upload_video: "sending a video…",
  record_voice: "recording a voice message…", upload_voice: "sending a voice message…",
};

function header() {
  const chat = page.view?.chats.find((one) => one.id === page.chat);
  const group = page.chat < 0;
  const title = group ? chat?.title : page.view?.bot.first_name;
  byId("title").textContent = title ?? "";
  document.title = title ?? "Chat";
  byId("avatar").textContent = (title ?? "").slice(0, 1).toUpperCase();
  const subtitle = byId("subtitle");
  delete subtitle.dataset.action;
  const doing = page.view?.doing;
  const left = doing ? doing.until - (Date.now() + page.skew) : 0;
  if (document.body.dataset.state === "offline") {
    subtitle.textContent = "connecting…";
  } else if (left > 0 && (doing.thread ?? null) === page.thread) {
    const what = DOING[doing.action] ?? `${doing.action.replaceAll("_", " ")}…`;
    subtitle.textContent = group ? `${page.view.bot.first_name} is ${what}` : what;
    subtitle.dataset.action = doing.action;
    refreshTimer = setTimeout(refresh, left + 20);
  } else {
    subtitle.textContent = chat?.blocked ? "bot blocked" : group ? `${page.view.users.length + 1} members` : "bot";
  }
  const pinned = chat?.pinned.map((id) => page.messages.get(id)).filter(Boolean).pop();
  byId("pinned").hidden = !pinned;
  if (pinned) byId("pinned").lastElementChild.textContent = summaryOf(pinned);
  byId("commands").hidden = !page.view?.commands.length;
}

function topics() {
  const bar = byId("topics");
  const known = topicsOf();
  bar.hidden = !known.length;
  bar.replaceChildren(...[{ id: null, name: "General" }, ...known].map((topic) => {
    const made = element("button", { "data-thread": topic.id ?? "general", "aria-current": topic.id === page.thread && "true" },
      topic.closed ? `🔒 ${topic.name}` : topic.name);
    made.addEventListener("click", () => {
      page.thread = topic.id;
      atEnd = true;
      topics();
      refresh();
      keepAtEnd();
    });
    return made;
  }));
}

function side() {
  const { status, actions, down } = page.view;
  document.body.classList.toggle("lab", Boolean(status || actions.length || down));
  byId("status").textContent = [status, down ? "Telegram is down" : ""].filter(Boolean).join("\n");
  const box = byId("actions");
  if (box.childElementCount === actions.length) return;
  box.replaceChildren(...actions.map((action) => {
    const made = element("button", { "data-action": action.id }, action.label);
    made.addEventListener("click", async () => {
      made.disabled = true;
      byId("result").textContent = "…";
      try {
        byId("result").textContent = (await post(`actions/${encodeURIComponent(action.id)}`, {})).text;
      } catch (error) {
        byId("result").textContent = error.message;
      } finally {
        made.disabled = false;
      }
    });
    return made;
  }));
}

// ---- presses ----

// Clients stop waiting for the answer at some time; the press is then as if nothing had happened.
const PATIENCE = 30000;

async function press(message, data, button) {
  const key = `${message}/${data}`;
  if (page.pending.has(key)) return;
  page.pending.set(key, null);
  button.dataset.pending = "true";
  const settle = () => {
    page.pending.delete(key);
    const selector = `[data-callback="${CSS.escape(data)}"]`;
    page.nodes.get(message)?.querySelectorAll(selector).forEach((one) => delete one.dataset.pending);
  };
  try {
    const { callback } = await post("press", { chat: page.chat, from: page.from, message, button: data });
    if (page.answers.has(callback)) { // the answer may overtake the id
      settle();
      return tell(page.answers.get(callback));
    }
    page.pending.set(key, { callback, settle });
    setTimeout(() => page.pending.get(key)?.callback === callback && settle(), PATIENCE);
  } catch {
    settle();
  }
}

function answered(callback) {
  if (!callback.answer) return;
  const waiting = [...page.pending.values()].find((one) => one?.callback === callback.id);
  if (waiting) {
    waiting.settle();
    tell(callback.answer);
  } else if (!page.answers.has(callback.id)) {
    page.answers.set(callback.id, callback.answer);
    if (page.answers.size > 200) page.answers.delete(page.answers.keys().next().value);
  }
}

function tell(answer) {
  if (!answer.text) return;
  if (!answer.show_alert) return toast(answer.text);
  const box = byId("alert");
  box.querySelector("b").textContent = page.view.bot.first_name;
  box.querySelector("p").textContent = answer.text;
  box.hidden = false;
}

let toastTimer = null;
function toast(text) {
  const box = byId("toast");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { box.hidden = true; }, 4000);
}

// ---- the composer ----

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
  popup(byId("menu"), [[label, { "data-act": "block" }, () => post("block", { chat: page.chat, by: page.from, blocked: !chat.blocked })]], event);
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
