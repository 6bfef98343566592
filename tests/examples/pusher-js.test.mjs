// tests/examples/pusher-js.test.mjs - pusher-js in a real browser, unmodified: its build for pages and
// its build for workers do everything that clients.md CL-1 names, against a server that lets only this
// page's origin in (CL-2, CL-9).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, createHmac, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { createServer as createSocket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const chat = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "examples", "chat");
const nacl = createRequire(join(chat, "package.json"))("tweetnacl");
const dist = join(chat, "node_modules", "pusher-js", "dist");
const app = { id: "4711", key: "shop-key", secret: "shop-secret" };
const sharedSecret = randomBytes(32);
const folder = mkdtempSync(join(tmpdir(), "pusher-js-"));
let browser, backEnd, server, port, origin;

const sign = (text) => createHmac("sha256", app.secret).update(text).digest("hex");
const base64 = (bytes) => Buffer.from(bytes).toString("base64");

// ---- the back end of the page: signs, publishes, serves --------------------------------------

async function publish({ channel, name, data }) {
  if (channel.startsWith("private-encrypted-")) {
    const nonce = randomBytes(24);
    data = JSON.stringify({ nonce: base64(nonce),
      ciphertext: base64(nacl.secretbox(Buffer.from(JSON.stringify(data)), nonce, sharedSecret)) });
  }
  const body = JSON.stringify({ name, channel, data: typeof data === "string" ? data : JSON.stringify(data) });
  const md5 = createHash("md5").update(body).digest("hex");
  const query = `auth_key=${app.key}&auth_timestamp=${Math.floor(Date.now() / 1000)}&auth_version=1.0&body_md5=${md5}`;
  const path = `/apps/${app.id}/events`;
  const r = await fetch(`http://127.0.0.1:${port}${path}?${query}&auth_signature=${sign(`POST\n${path}\n${query}`)}`,
    { method: "POST", body, headers: { "content-type": "application/json" } });
  assert.equal(r.status, 200, await r.text());
}

function authorize(user, form) {
  const socket = form.get("socket_id"), channel = form.get("channel_name");
  if (channel.startsWith("presence-")) {
    const member = JSON.stringify({ user_id: user });
    return { auth: `${app.key}:${sign(`${socket}:${channel}:${member}`)}`, channel_data: member };
  }
  const answer = { auth: `${app.key}:${sign(`${socket}:${channel}`)}` };
  return channel.startsWith("private-encrypted-") ? { ...answer, shared_secret: base64(sharedSecret) } : answer;
}

function authenticate(user, form) {
  const data = JSON.stringify({ id: user, watchlist: user === "anna" ? ["bert"] : [] });
  return { auth: `${app.key}:${sign(`${form.get("socket_id")}::user::${data}`)}`, user_data: data };
}

const files = {
  "/page.html": () => '<!doctype html><script src="/page.js"></script><script src="/story.js"></script>',
  "/worker.html": () => "<!doctype html>",
  "/page.js": () => readFileSync(join(dist, "web", "pusher-with-encryption.min.js")),
  "/worker.js": () => Buffer.concat([readFileSync(join(dist, "worker", "pusher-with-encryption.worker.min.js")),
    Buffer.from(`\n${story}\nstory(${port}).then(postMessage, (e) => postMessage(String(e)));`)]),
  "/story.js": () => String(story),
};

async function answer(request, response) {
  const url = new URL(request.url, "http://x"), user = url.searchParams.get("user");
  let text = "";
  for await (const piece of request) text += piece;
  const json = (what) => response.setHeader("content-type", "application/json").end(JSON.stringify(what));
  if (url.pathname === "/auth") return json(authorize(user, new URLSearchParams(text)));
  if (url.pathname === "/user-auth") return json(authenticate(user, new URLSearchParams(text)));
  if (url.pathname === "/publish") return json(await publish(JSON.parse(text)) ?? {});
  const file = files[url.pathname];
  if (!file) return response.writeHead(404).end();
  response.setHeader("content-type", url.pathname.endsWith(".js") ? "text/javascript" : "text/html");
  return response.end(file());
}

// ---- what happens in the page, or in the worker ----------------------------------------------

async function story(wsPort) {
  const heard = (x, event) => new Promise((resolve) => {
    const once = (data) => { x.unbind(event, once); resolve(data); };
    x.bind(event, once);
  });
  const open = async (user) => {
    const c = new Pusher("shop-key", { cluster: "", wsHost: "127.0.0.1", wsPort, forceTLS: false,
      enabledTransports: ["ws"],
      channelAuthorization: { endpoint: `/auth?user=${user}`, transport: "ajax" },
      userAuthentication: { endpoint: `/user-auth?user=${user}`, transport: "ajax" } });
    await heard(c.connection, "connected");
    return c;
  };
  const join = async (c, name) => {
    const channel = c.subscribe(name);
    await heard(channel, "pusher:subscription_succeeded");
    return channel;
  };
  const say = (channel, name, data) =>
    fetch("/publish", { method: "POST", body: JSON.stringify({ channel, name, data }) });
  const told = [];
  const anna = await open("anna"), bert = await open("bert");

  for (const name of ["news", "private-a", "private-encrypted-a", "private-cache-a"]) {
    const got = heard(await join(anna, name), "n");
    await say(name, "n", { on: name });
    told.push((await got).on);
  }
  const late = heard(bert.subscribe("private-cache-a"), "n");
  told.push(`cached ${(await late).on}`);
  const miss = heard(bert.subscribe("cache-empty"), "pusher:cache_miss");
  await miss;
  told.push("miss");

  const a = await join(anna, "presence-a"), added = heard(a, "pusher:member_added");
  const b = await join(bert, "presence-a");
  told.push(`${(await added).id} of ${b.members.count}`);
  const typing = heard(a, "client-typing");
  b.trigger("client-typing", { who: "bert" });
  told.push((await typing).who);

  anna.signin();
  await anna.user.signinDonePromise;
  const online = heard(anna.user.watchlist, "online");
  bert.signin();
  told.push(`online ${(await online).user_ids}`);
  const own = anna.user.serverToUserChannel;
  if (!own.subscribed) await heard(own, "pusher:subscription_succeeded");
  const letter = heard(anna.user, "letter");
  await say("#server-to-user-anna", "letter", { to: "anna" });
  told.push(`letter ${(await letter).to}`);
  anna.disconnect();
  bert.disconnect();
  return told;
}

const STORY = ["news", "private-a", "private-encrypted-a", "private-cache-a", "cached private-cache-a", "miss",
  "bert of 2", "bert", "online bert", "letter anna"];

// ---- around it -------------------------------------------------------------------------------

const freePort = () => new Promise((resolve) => {
  const s = createSocket().listen(0, "127.0.0.1", () => {
    const free = s.address().port;
    s.close(() => resolve(free));
  });
});

before(async () => {
  port = await freePort();
  backEnd = createServer((q, r) => answer(q, r).catch((e) => r.writeHead(500).end(String(e))));
  await new Promise((resolve) => backEnd.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${backEnd.address().port}`;
  const record = { ...app, enabled: true, enable_client_messages: true, enable_user_authentication: true,
    enable_watchlist_events: true, allowed_origins: [origin] };
  writeFileSync(join(folder, "config.json"), JSON.stringify({ host: "127.0.0.1", port, metrics: { enabled: false },
    rate_limiter: { enabled: false }, app_manager: { array: { apps: [record] } } }));
  server = spawn(process.env.SOCKUDO, ["--config", join(folder, "config.json")],
    { stdio: ["ignore", "ignore", "inherit"] });
  while (!(await fetch(`http://127.0.0.1:${port}/live`).then((r) => r.ok, () => false))) {
    assert.equal(server.exitCode, null, "the server runs");
    await new Promise((r) => setTimeout(r, 20));
  }
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    // Chromium refuses its own sandbox to root; a container's /dev/shm is often too small for it.
    args: ["--disable-dev-shm-usage", ...(process.getuid() === 0 ? ["--no-sandbox"] : [])],
  });
});

after(async () => {
  await browser?.close();
  backEnd?.close();
  const ended = new Promise((resolve) => server.on("exit", resolve));
  server.kill("SIGTERM");
  assert.equal(await ended, 0);
  rmSync(folder, { recursive: true, force: true });
});

test("CL-2 the build for pages, from an origin that is allowed", { timeout: 60000 }, async () => {
  const page = await browser.newPage();
  await page.goto(`${origin}/page.html`);
  assert.deepEqual(await page.evaluate((at) => globalThis.story(at), port), STORY);
});

test("CL-2 the build for workers", { timeout: 60000 }, async () => {
  const page = await browser.newPage();
  await page.goto(`${origin}/worker.html`);
  assert.deepEqual(await page.evaluate(() => new Promise((resolve) => {
    const w = new Worker("/worker.js");
    w.onmessage = (e) => resolve(e.data);
    w.onerror = (e) => resolve(e.message);
  })), STORY);
});

test("CL-9 a page of another origin is refused", { timeout: 60000 }, async () => {
  const page = await browser.newPage();
  await page.goto(`${origin.replace("127.0.0.1", "localhost")}/page.html`);
  const code = await page.evaluate((at) => new Promise((resolve) => {
    const options = { cluster: "", wsHost: "127.0.0.1", wsPort: at, forceTLS: false, enabledTransports: ["ws"] };
    new globalThis.Pusher("shop-key", options).connection.bind("error", (e) => resolve(e.error.data.code));
  }), port);
  assert.equal(code, 4009);
});
