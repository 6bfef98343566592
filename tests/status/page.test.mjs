// tests/status/page.test.mjs - the status page in a real browser, against a server with real traffic:
// numbers, channels, errors and the trace are those of the traffic. Nothing waits for time; every wait
// is for a sight.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const secret = "app-secret", payload = "hidden-payload";
const children = [];
let browser;

function freePort() {
  return new Promise((resolve) => {
    const s = createServer().listen(0, "127.0.0.1", () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });
}

const answers = (url) => fetch(url).then((r) => r.ok, () => false);

async function startServer(httpApi = {}) {
  const port = await freePort(), metrics = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "status-"));
  const app = (id, more) => ({ id, key: `${id}-key`, secret, enabled: true, enable_client_messages: true,
    max_client_events_per_second: 0, max_connections: 0, ...more });
  writeFileSync(join(folder, "config.json"), JSON.stringify({
    host: "127.0.0.1", port, metrics: { host: "127.0.0.1", port: metrics },
    http_api: { status_enabled: true, ...httpApi },
    app_manager: {
      array: { apps: [app("shop"), app("blog", { max_connections: 100 }), app("old", { enabled: false })] },
    },
  }));
  const child = spawn(process.env.SOCKUDO, ["--config", join(folder, "config.json")],
    { stdio: ["ignore", "ignore", "inherit"] });
  children.push(child);
  const ended = new Promise((resolve) => child.on("exit", resolve));
  for (const at of [port, metrics]) while (!(await answers(`http://127.0.0.1:${at}/live`))) {
    assert.equal(child.exitCode, null, "the server runs");
    await new Promise((r) => setTimeout(r, 20));
  }
  return {
    port,
    page: `http://127.0.0.1:${metrics}/status`,
    async stop() {
      child.kill("SIGTERM");
      assert.equal(await ended, 0);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function publish(server, app, event, headers = {}) {
  const body = JSON.stringify(event), path = `/apps/${app}/events`;
  const query = `auth_key=${app}-key&auth_timestamp=${Math.floor(Date.now() / 1000)}&auth_version=1.0` +
    `&body_md5=${createHash("md5").update(body).digest("hex")}`;
  const sign = createHmac("sha256", secret).update(`POST\n${path}\n${query}`).digest("hex");
  const r = await fetch(`http://127.0.0.1:${server.port}${path}?${query}&auth_signature=${sign}`,
    { method: "POST", body, headers: { "content-type": "application/json", ...headers } });
  assert.equal(r.status, 200, await r.text());
}

// Sockets of people somewhere: they live in a page of their own.
async function crowd(server) {
  const page = await (await browser.newContext()).newPage();
  await page.evaluate(() => { globalThis.sockets = []; });
  return {
    connect: (app) => page.evaluate(([url]) => new Promise((resolve) => {
      const s = new WebSocket(url);
      s.onmessage = (e) => {
        const m = JSON.parse(e.data);
        (s.heard ??= []).push(m);
        if (m.event === "pusher:connection_established") resolve(sockets.push(s) - 1);
      };
    }), [`ws://127.0.0.1:${server.port}/app/${app}-key?protocol=7`]),
    send: (at, text) => page.evaluate(([i, t]) => sockets[i].send(t), [at, text]),
    heard: (at, event) =>
      page.waitForFunction(([i, name]) => sockets[i].heard.some((m) => m.event === name), [at, event]),
    id: (at) => page.evaluate((i) => JSON.parse(sockets[i].heard[0].data).socket_id, at),
    close: (at) => page.evaluate((i) => sockets[i].close(1000), at),
  };
}

async function subscribe(people, at, channel) {
  const auth = channel.startsWith("private-")
    ? `shop-key:${createHmac("sha256", secret).update(`${await people.id(at)}:${channel}`).digest("hex")}` : undefined;
  await people.send(at, JSON.stringify({ event: "pusher:subscribe", data: { channel, auth } }));
  await people.heard(at, "pusher_internal:subscription_succeeded");
}

async function look(server, options = {}, mayComplain = []) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 1100 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  page.complaints = [];
  page.on("pageerror", (e) => page.complaints.push(String(e)));
  page.on("console", (m) => {
    if (m.type() === "error" && !mayComplain.some((r) => r.test(m.text()))) page.complaints.push(m.text());
  });
  page.strangers = [];
  page.on("request", (r) => {
    if (!r.url().startsWith(new URL("/", server.page)) && r.url() !== "data:,") page.strangers.push(r.url());
  });
  await page.goto(server.page);
  return page;
}

const picture = (page, name) =>
  process.env.PICTURES && page.screenshot({ path: join(process.env.PICTURES, `${name}.png`), fullPage: true });
const tile = (page, name) => page.locator(".tile", { hasText: name }).locator(".value");
const appRow = (page, id) =>
  page.locator("#apps tr").filter({ has: page.getByRole("button", { name: id, exact: true }) });
const cell = (rowOf, column) => rowOf.locator("td").nth(column);
const traced = (page, what) =>
  page.locator("#trace tr").filter({ has: page.locator(".badge", { hasText: new RegExp(`^${what}$`) }) });
const hasText = (locator, text) => locator.filter({ hasText: text }).first().waitFor();

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    // Chromium refuses its own sandbox to root; a container's /dev/shm is often too small for it.
    args: ["--disable-dev-shm-usage", ...(process.getuid() === 0 ? ["--no-sandbox"] : [])],
  });
});
after(() => {
  for (const child of children) child.kill("SIGKILL"); // those of a test that failed
  return browser?.close();
});

test("numbers, channels, errors and the trace are those of the traffic", async () => {
  const server = await startServer();
  const people = await crowd(server), page = await look(server);
  await page.locator("#state", { hasText: "running" }).waitFor();
  assert.equal(await page.locator("#apps tr").count(), 3);
  await hasText(appRow(page, "old"), "disabled");
  if (process.getuid() === 0) await hasText(page.locator("#log tr"), "running as root");
  else await hasText(page.locator("#log-none"), "No warning");

  await appRow(page, "shop").getByRole("button").click();
  await page.locator("#trace-note", { hasText: "of app shop" }).waitFor();
  await page.waitForResponse((r) => r.url().includes("/status/trace?app=shop") && r.ok());
  for (let i = 0; i < 3; i++) await people.connect("shop");
  for (let i = 0; i < 3; i++) await subscribe(people, i, "news");
  const odd = "<img src=x onerror=alert(1)>";
  await subscribe(people, 0, "private-chat");
  await people.send(0, JSON.stringify({ event: "client-typing", channel: "private-chat", data: payload }));
  const badly = { channel: "private-chat", auth: "shop-key:00" };
  await people.send(1, JSON.stringify({ event: "pusher:subscribe", data: badly }));
  await people.send(1, "{");
  const sale = { name: odd, channels: ["news", "other"], data: payload };
  await publish(server, "shop", sale, { "x-forwarded-for": "192.0.2.1" });
  await people.connect("blog");
  await people.connect("shop");
  await people.close(4);

  await hasText(tile(page, "Connections"), /^4$/);
  await hasText(cell(appRow(page, "shop"), 1), /^3$/);
  await hasText(cell(appRow(page, "blog"), 1), /^1 \/ 100$/);
  await hasText(cell(appRow(page, "shop"), 2), /^2$/);
  await hasText(cell(appRow(page, "shop"), 3), /^4$/);
  await hasText(page.locator("#channels tr").nth(0), /^news3$/);
  await hasText(page.locator("#channels tr").nth(1), /^private-chat1$/);
  await hasText(page.locator("#errors"), "invalid message format 1");
  await hasText(page.locator("#log tr"), "X-Forwarded-For");

  await traced(page, "closed").filter({ hasText: "code 1000" }).waitFor();
  assert.equal(await traced(page, "connected").count(), 4);
  assert.equal(await traced(page, "subscribed").count(), 4);
  await traced(page, "client event").filter({ hasText: "client-typing on private-chat (16\u00a0B)" }).waitFor();
  await traced(page, "subscription refused").filter({ hasText: "private-chat code 4009" }).waitFor();
  await traced(page, "published").filter({ hasText: `${odd} on news and 1 more (16\u00a0B)` }).waitFor();
  await traced(page, "connected").filter({ hasText: await people.id(0) }).waitFor();
  assert.equal(await page.locator("#trace img").count(), 0, "text stays text");
  assert.ok(!(await page.content()).includes(payload), "no payload");
  await picture(page, "light");

  await page.getByRole("button", { name: "Pause" }).click();
  await appRow(page, "blog").getByRole("button").click();
  await page.locator("#channels-none", { hasText: "No channel" }).waitFor();
  assert.equal(await page.locator("#trace tr").count(), 0);
  await page.getByRole("button", { name: "Go on" }).click();
  await page.waitForResponse((r) => r.url().includes("/status/trace?app=blog") && r.ok());
  await people.connect("blog");
  await traced(page, "connected").waitFor();
  assert.equal(await page.locator("#trace tr").count(), 1, "of the other app alone");

  const rates = await tile(page, "Messages in /s").textContent();
  assert.match(rates, /^[0-9,.]+$/);
  const plot = page.locator(".tile", { hasText: "Connections" }).locator("path.line");
  assert.match(await plot.getAttribute("d"), /^M[-0-9.]+ [0-9.]+(L[-0-9.]+ [0-9.]+)+$/, "some points");
  assert.deepEqual(page.complaints, []);
  assert.deepEqual(page.strangers, [], "nothing from elsewhere");

  await server.stop();
  await page.locator("#state", { hasText: "no answer" }).waitFor();
});

test("with a token the page asks for it once", async () => {
  const server = await startServer({ usage_token: "let-me-in" });
  const page = await look(server, { colorScheme: "dark" }, [/401/]);
  const field = page.getByLabel("http_api.usage_token");
  await field.fill("wrong");
  await page.getByRole("button", { name: "Show the status" }).click();
  await page.getByRole("alert").filter({ hasText: "refuses this token" }).waitFor();
  assert.ok(!(await page.locator("#main").isVisible()));
  await picture(page, "door");
  await field.fill("let-me-in");
  await page.getByRole("button", { name: "Show the status" }).click();
  await page.locator("#state", { hasText: "running" }).waitFor();
  await page.reload();
  await page.locator("#state", { hasText: "running" }).waitFor();
  await appRow(page, "shop").waitFor();
  assert.ok(!(await page.locator("#door").isVisible()));
  await picture(page, "dark");
  assert.deepEqual(page.complaints, []);
  await server.stop();
});

test("on a narrow screen nothing is wider than the window", async () => {
  const server = await startServer();
  const page = await look(server, { viewport: { width: 360, height: 740 } });
  await appRow(page, "shop").waitFor();
  await picture(page, "narrow");
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 360, `${width} pixels`);
  assert.deepEqual(page.complaints, []);
  await server.stop();
});
