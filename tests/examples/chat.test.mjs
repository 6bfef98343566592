// tests/examples/chat.test.mjs - two people in the chat example, in a real browser: they see each
// other, see each other type, talk and leave (CL-2, the browser half). Nothing waits for time; every
// wait is for a sight.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const chatFolder = join(root, "examples", "chat");
const children = [];
const complaints = [];
let browser, address;

function freePort() {
  return new Promise((resolve) => {
    const s = createServer().listen(0, "127.0.0.1", () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });
}

// Starts a program and resolves with the match once its output has one.
function start(command, args, env, pattern) {
  const child = spawn(command, args,
    { cwd: root, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  return new Promise((resolve, reject) => {
    let seen = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      seen += text;
      const found = seen.match(pattern);
      if (found) resolve(found);
    });
    child.on("exit", (code) => reject(new Error(`${command} ended with ${code}:\n${seen}`)));
  });
}

const startChat = (url) =>
  start(process.execPath, [join(chatFolder, "server.mjs")], { SOCKUDO_URL: url, CHAT_PORT: "0" }, /open (http:\S+)/);

async function isUp(url) {
  return fetch(`${url}/live`).then((r) => r.ok, () => false);
}

before(async () => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  // The very configuration of `make run`, on another port.
  const env = { PORT: String(port), METRICS_ENABLED: "false" };
  const server = start(process.env.SOCKUDO, ["--config", "config/demo.json"], env, /$^/);
  const isReady = (async () => {
    while (!(await isUp(url))) await new Promise((r) => setTimeout(r, 20));
  })();
  await Promise.race([server, isReady]);
  server.catch(() => {});
  [, address] = await startChat(url);
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    // Chromium refuses its own sandbox to root; a container's /dev/shm is often too small for it.
    args: ["--disable-dev-shm-usage", ...(process.getuid() === 0 ? ["--no-sandbox"] : [])],
  });
});

after(async () => {
  await browser?.close();
  await Promise.all(children.map((child) => new Promise((resolve) => {
    if (child.exitCode !== null) return resolve();
    child.on("exit", resolve);
    return child.kill("SIGTERM");
  })));
});

// A person with a window of their own. What the page reports as an error fails the test.
async function person(name, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 640 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  page.on("pageerror", (e) => complaints.push(`${name}: ${e}`));
  page.on("console", (m) => m.type() === "error" && complaints.push(`${name}: ${m.text()}`));
  await page.goto(address);
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Join the chat" }).click();
  await page.locator("#members li").first().waitFor();
  return page;
}

const hasMembers = (page, count) => page.locator(`#count:text-is("${count}")`).waitFor();
const picture = (page, name) =>
  process.env.PICTURES && page.screenshot({ path: join(process.env.PICTURES, `${name}.png`) });

test("two people meet, type, talk and leave", async () => {
  const anna = await person("Anna");
  await hasMembers(anna, 1);
  const bo = await person("Bo <b>", { colorScheme: "dark" });
  await hasMembers(bo, 2);
  await hasMembers(anna, 2);
  assert.deepEqual((await anna.locator("#members .name").allTextContents()).sort(), ["Anna", "Bo <b>"]);
  await anna.getByText("Bo <b> came in").waitFor();

  await bo.getByRole("textbox", { name: "Message" }).pressSequentially("Hi");
  await anna.locator("#typing").filter({ hasText: "Bo <b> is typing" }).waitFor();
  assert.equal(await bo.locator("#typing").textContent(), "", "nobody sees himself type");

  await bo.getByRole("textbox", { name: "Message" }).fill("<img src=x onerror=alert(1)> & hello");
  await bo.getByRole("button", { name: "Send" }).click();
  for (const page of [anna, bo]) {
    await page.locator(".message .bubble", { hasText: "<img src=x onerror=alert(1)> & hello" }).waitFor();
    assert.equal(await page.locator("#log img").count(), 0, "text stays text");
  }
  await anna.locator("#typing:empty").waitFor({ state: "attached" });
  assert.equal(await bo.locator(".message.mine").count(), 1, "the sender sees it once");

  await anna.getByRole("textbox", { name: "Message" }).fill("Hello Bo");
  await anna.getByRole("textbox", { name: "Message" }).press("Enter");
  await bo.locator(".message:not(.mine)", { hasText: "Hello Bo" }).waitFor();
  await picture(anna, "light");
  await picture(bo, "dark");

  // The same tab is the same person, a reload later; others see one Bo, not two.
  await bo.reload();
  await hasMembers(anna, 1);
  await bo.getByLabel("Your name").fill("Bo");
  await bo.getByRole("button", { name: "Join the chat" }).click();
  await hasMembers(anna, 2);

  await bo.getByRole("button", { name: "Leave" }).click();
  await anna.getByText("Bo left", { exact: true }).waitFor();
  await hasMembers(anna, 1);
  await bo.getByRole("button", { name: "Join the chat" }).waitFor();
  await picture(bo, "door");
  assert.deepEqual(complaints, []);
});

test("on a narrow screen nothing is wider than the window", async () => {
  const page = await person("Cleo", { viewport: { width: 360, height: 640 } });
  await page.getByRole("textbox", { name: "Message" }).fill("a".repeat(300));
  await page.getByRole("textbox", { name: "Message" }).press("Enter");
  await page.locator(".message").waitFor();
  await picture(page, "narrow");
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 360, `${width} pixels`);
});

test("somebody who forgot to start the server is told so", async () => {
  const port = await freePort();
  const [, lonely] = await startChat(`http://127.0.0.1:${port}`);
  const page = await (await browser.newContext()).newPage();
  await page.goto(lonely);
  await page.getByLabel("Your name").fill("Emil");
  await page.getByRole("button", { name: "Join the chat" }).click();
  await page.getByRole("alert").filter({ hasText: `127.0.0.1:${port}. Is the server running?` }).waitFor();
});

async function post(path, fields, headers = {}) {
  return fetch(new URL(path, address), { method: "POST", headers, body: new URLSearchParams(fields) });
}

test("the back end signs and publishes only what belongs to the chat", async () => {
  const session = "0123abcd-0123-0123-0123-0123456789ab";
  const good = { socket_id: "1.2", channel_name: "presence-chat", session, name: "Dora" };
  const signed = await (await post("/auth", good)).json();
  assert.match(signed.auth, /^demo-key:[0-9a-f]{64}$/);
  assert.equal(JSON.parse(signed.channel_data).user_info.name, "Dora");
  for (const [status, change] of [
    [403, { channel_name: "private-other" }], [403, { session: "x" }], [422, { socket_id: "1.2:presence-chat" }],
    [422, { name: " " }], [422, { name: "n".repeat(25) }], [413, { name: "n".repeat(9000) }],
  ]) {
    assert.equal((await post("/auth", { ...good, ...change })).status, status, JSON.stringify(change).slice(0, 60));
  }
  const strange = await post("/auth", good, { origin: "https://elsewhere.example" });
  assert.equal(strange.status, 403);
  assert.equal((await post("/say", { text: "hi" })).status, 403);
  assert.equal((await fetch(new URL("/server.mjs", address))).status, 404);
  const page = await fetch(address);
  assert.match(page.headers.get("content-security-policy"), /default-src 'none'; script-src 'self';/);
});
