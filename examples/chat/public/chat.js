// examples/chat/public/chat.js - the page: joins a presence channel, shows who is there, who is
// typing and what is said. Text of other people goes into the page through textContent alone.
"use strict";

const byId = (id) => document.getElementById(id);
const typists = new Map(); // user id -> timer that forgets it
let pusher, channel, settings;
let lastWhisper = 0;
let lastAuthor = null;

// A tab is a person here; a real application has a login.
const session = sessionStorage.getItem("session") ?? newSession();
function newSession() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const hex = [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
  const made = hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  sessionStorage.setItem("session", made);
  return made;
}

// ---- connecting ----------------------------------------------------------------------------

async function join(name) {
  settings ??= await (await fetch("/settings")).json();
  pusher = new Pusher(settings.key, {
    cluster: "",
    wsHost: settings.host,
    wsPort: settings.port,
    wssPort: settings.port,
    forceTLS: settings.tls,
    enabledTransports: ["ws", "wss"],
    unavailableTimeout: 3000, // sooner than the usual ten seconds
    channelAuthorization: { endpoint: "/auth", transport: "ajax", params: { session, name } },
  });
  pusher.connection.bind("state_change", ({ current }) => showState(current));
  pusher.connection.bind("error", ({ error }) => error?.data?.message && complain(error.data.message));

  channel = pusher.subscribe(settings.room);
  channel.bind("pusher:subscription_succeeded", () => {
    if (byId("room").hidden) note("You are in. Open this page in a second window to have company.");
    showRoom(true);
    showMembers();
  });
  channel.bind("pusher:subscription_error", ({ error }) => complain(error || "The room did not let you in."));
  channel.bind("pusher:member_added", (m) => { showMembers(); note(`${m.info.name} came in`); });
  channel.bind("pusher:member_removed", (m) => {
    forgetTypist(m.id);
    showMembers();
    note(`${m.info.name} left`);
  });
  channel.bind("message", showMessage);
  // The server stamps user_id: a client event cannot pretend to come from somebody else.
  channel.bind("client-typing", (_, { user_id }) => showTypist(user_id));
}

function leave() {
  pusher?.disconnect();
  pusher = channel = null;
  typists.forEach(clearTimeout);
  typists.clear();
  byId("log").replaceChildren();
  lastAuthor = null;
  showRoom(false);
}

// ---- showing -------------------------------------------------------------------------------

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

const nameOf = (id) => channel?.members.get(id)?.info.name ?? null;

function avatar(id, name) {
  const hue = [...id].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) % 360, 7);
  const face = make("span", "avatar", [...name][0].toUpperCase());
  face.style.setProperty("--hue", hue);
  face.setAttribute("aria-hidden", "true");
  return face;
}

function showRoom(isIn) {
  byId("door").hidden = isIn;
  byId("room").hidden = !isIn;
  byId("trouble").hidden = true;
  byId(isIn ? "text" : "name").focus();
}

function showState(state) {
  byId("state").textContent = state;
  byId("state").dataset.state = state;
  if (state === "connected") byId("trouble").hidden = true;
  if (state === "unavailable") complain(`No connection to ${settings.host}:${settings.port}. Is the server running?`);
}

function complain(text) {
  byId("trouble").textContent = text;
  byId("trouble").hidden = false;
}

function showMembers() {
  const rows = [];
  channel.members.each((m) => {
    const row = make("li");
    const isMe = m.id === channel.members.me.id;
    row.append(avatar(m.id, m.info.name), make("span", "name", m.info.name), make("span", "you", isMe ? "you" : ""));
    rows.push(row);
  });
  byId("members").replaceChildren(...rows);
  byId("count").textContent = channel.members.count;
}

function append(row) {
  const log = byId("log");
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(row);
  while (log.children.length > 500) log.firstChild.remove();
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

function note(text) {
  lastAuthor = null;
  append(make("li", "note", text));
}

function showMessage({ from, text, at }) {
  const name = nameOf(from);
  if (name === null) return; // it is not in the room
  forgetTypist(from);
  const isMine = from === channel.members.me.id;
  const row = make("li", isMine ? "message mine" : "message");
  const bubble = make("div", "bubble");
  if (lastAuthor !== from) {
    const time = new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const head = make("p", "head");
    head.append(make("b", "", isMine ? "You" : name), make("time", "", time));
    bubble.append(head);
    row.classList.add("first");
  }
  bubble.append(make("p", "", text));
  row.append(avatar(from, name), bubble);
  append(row);
  lastAuthor = from;
}

function showTypist(id) {
  clearTimeout(typists.get(id));
  typists.set(id, setTimeout(() => forgetTypist(id), 3000));
  showTyping();
}

function forgetTypist(id) {
  clearTimeout(typists.get(id));
  if (typists.delete(id)) showTyping();
}

function showTyping() {
  const names = [...typists.keys()].map(nameOf).filter(Boolean);
  const verb = names.length === 1 ? "is" : "are";
  byId("typing").textContent = names.length ? `${names.join(", ")} ${verb} typing` : "";
}

// ---- doing ---------------------------------------------------------------------------------

byId("join").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = byId("name").value.trim();
  if (pusher) leave();
  if (name) join(name).catch(() => complain("The back end of the chat does not answer."));
});

byId("write").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = byId("text").value.trim();
  if (!text) return;
  byId("text").value = "";
  lastWhisper = 0;
  const body = new URLSearchParams({ session, text });
  const answer = await fetch("/say", { method: "POST", body }).catch(() => null);
  if (answer?.ok) return;
  byId("text").value = text;
  complain(answer ? `Not sent: ${await answer.text()}.` : "Not sent: the back end does not answer.");
});

byId("text").addEventListener("input", () => {
  byId("trouble").hidden = true;
  if (Date.now() - lastWhisper < 1500) return;
  lastWhisper = Date.now();
  channel.trigger("client-typing", {});
});

byId("leave").addEventListener("click", leave);
