// examples/chat/server.mjs - the back end of the chat: serves the page, signs subscriptions,
// publishes messages. Only modules of Node; pusher-js is a file that the page loads.
//
// A back end of yours does the same three things, usually with a Pusher server library. The one
// rule: the secret stays here, and who somebody is comes from your login, never from the page.
import { createHash, createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const env = process.env;
const sockudo = new URL(env.SOCKUDO_URL ?? "http://127.0.0.1:6001");
const app = {
  id: env.APP_ID ?? "1",
  key: env.APP_KEY ?? "demo-key",
  secret: env.APP_SECRET ?? "demo-secret",
};
const room = "presence-chat";
const maxBody = 8192;

const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const md5 = (text) => createHash("md5").update(text).digest("hex");
const sign = (text) => createHmac("sha256", app.secret).update(text).digest("hex");

// ---- what a request may say ----------------------------------------------------------------

class Refusal extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

function check(ok, status, text) {
  if (!ok) throw new Refusal(status, text);
}

// Stands in for a login: a tab keeps a random session, and the hash of it is its user id. So
// nobody can take the id of somebody else, although every member sees every id.
function userOf(form) {
  const session = form.get("session") ?? "";
  check(/^[0-9a-f-]{36}$/.test(session), 403, "no session");
  return "u-" + sha256(session).slice(0, 12);
}

function textOf(form, field, max) {
  const text = (form.get(field) ?? "").trim();
  check(text !== "" && text.length <= max, 422, `${field} must have 1 to ${max} characters`);
  return text;
}

function socketOf(form) {
  const socket = form.get("socket_id") ?? "";
  check(/^\d+\.\d+$/.test(socket), 422, "socket_id is none");
  return socket;
}

// ---- the two routes ------------------------------------------------------------------------

// pusher-js asks here before it subscribes. The answer is the signature of
// socket_id:channel:channel_data; it is good for this one connection.
function authorize(form) {
  const socket = socketOf(form);
  check(form.get("channel_name") === room, 403, "not your channel");
  const member = { user_id: userOf(form), user_info: { name: textOf(form, "name", 24) } };
  const data = JSON.stringify(member);
  return { auth: `${app.key}:${sign(`${socket}:${room}:${data}`)}`, channel_data: data };
}

// A message goes through the back end, which would store and moderate it, and from there to
// everybody in the room, the sender included.
async function say(form) {
  const message = { from: userOf(form), text: textOf(form, "text", 1000), at: Date.now() };
  await publish(room, "message", message);
  return {};
}

// A request to the HTTP API is signed over method, path and sorted query.
async function publish(channel, name, data) {
  const body = JSON.stringify({ name, channels: [channel], data: JSON.stringify(data) });
  const path = `/apps/${app.id}/events`;
  const query = `auth_key=${app.key}&auth_timestamp=${Math.floor(Date.now() / 1000)}` +
    `&auth_version=1.0&body_md5=${md5(body)}`;
  const url = new URL(`${path}?${query}&auth_signature=${sign(`POST\n${path}\n${query}`)}`, sockudo);
  const headers = { "content-type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body }).catch(() => null);
  check(answer?.ok, 502, `the server answered ${answer ? answer.status : "nothing"}`);
}

// ---- files and HTTP ------------------------------------------------------------------------

const settings = {
  key: app.key,
  host: sockudo.hostname,
  port: Number(sockudo.port) || (sockudo.protocol === "https:" ? 443 : 80),
  tls: sockudo.protocol === "https:",
  room,
};
const here = (path) => readFileSync(new URL(path, import.meta.url));
const files = {
  "/": ["text/html; charset=utf-8", here("public/index.html")],
  "/chat.js": ["text/javascript; charset=utf-8", here("public/chat.js")],
  "/chat.css": ["text/css; charset=utf-8", here("public/chat.css")],
  "/pusher.js": ["text/javascript; charset=utf-8", here("node_modules/pusher-js/dist/web/pusher.min.js")],
  "/settings": ["application/json", JSON.stringify(settings)],
};
const routes = { "/auth": authorize, "/say": say };
const socketOrigin = `${settings.tls ? "wss" : "ws"}://${settings.host}:${settings.port}`;
const alwaysSent = {
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; " +
    `connect-src 'self' ${socketOrigin}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
};

async function readForm(request) {
  // Pages of other sites get no signature from us.
  const origin = request.headers.origin;
  check(!origin || origin === `http://${request.headers.host}`, 403, "another site");
  let body = "";
  for await (const piece of request.setEncoding("utf8")) {
    body += piece;
    check(body.length <= maxBody, 413, "too long");
  }
  return new URLSearchParams(body);
}

async function answer(request) {
  const path = request.url.split("?")[0];
  if (request.method === "GET" && Object.hasOwn(files, path)) return [200, ...files[path]];
  check(request.method === "POST" && Object.hasOwn(routes, path), 404, "nothing here");
  return [200, "application/json", JSON.stringify(await routes[path](await readForm(request)))];
}

const server = createServer(async (request, response) => {
  let result;
  try {
    result = await answer(request);
  } catch (e) {
    if (!(e instanceof Refusal)) console.error(e);
    result = [e.status ?? 500, "text/plain; charset=utf-8", e instanceof Refusal ? e.message : "failed"];
  }
  const [status, type, body] = result;
  response.writeHead(status, { ...alwaysSent, "content-type": type }).end(body);
});
server.listen(Number(env.CHAT_PORT ?? 8080), "127.0.0.1", () => {
  console.log(`chat: open http://127.0.0.1:${server.address().port}/ in two windows (server: ${sockudo.origin})`);
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(0));
