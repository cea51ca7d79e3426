// The phone around the chat: feed, header, presses.

let feed = null;
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
