// tests/clients/node/clients.test.mjs - pusher-js, laravel-echo and pusher (Node), unmodified.
// Covers WS-27, WS-63, WS-87, WS-104, WS-109, WS-110, WS-117, HTTP-22, HTTP-23, HTTP-33, HTTP-42;
// clients.md CL-1, CL-3, CL-8, CL-9 (the half of Node).
import { test, before, after, afterEach } from "node:test";
import assert from "node:assert/strict";
import PusherJs from "pusher-js";
import Echo from "laravel-echo";
import WebSocket from "ws";
import {
  startServer, backEnd, frontEnd, optionsOf, next, nextWithMetadata, subscribed, connected,
  webSocketUrl,
} from "./server.mjs";

let server, api;
const open = [];

before(async () => {
  server = await startServer();
  api = backEnd(server.port);
});
after(async () => assert.equal(await server.stop(), 0));
afterEach(() => {
  for (const c of open.splice(0)) c.disconnect();
});

async function client(user) {
  const c = frontEnd(server.port, user);
  open.push(c);
  return connected(c);
}

async function json(promise) {
  const response = await promise;
  assert.equal(response.status, 200);
  return response.json();
}

test("WS-27 connects and knows its socket id", async () => {
  const c = await client();
  assert.match(c.connection.socket_id, /^\d+\.\d+$/);
});

test("HTTP-22 public channel: object and string data, one and three channels", async () => {
  const c = await client();
  const a = c.subscribe("news"), b = c.subscribe("sport");
  await Promise.all([subscribed(a), subscribed(b)]);
  let got = next(a, "headline");
  assert.deepEqual(await json(api.trigger("news", "headline", { text: "ripe", n: [1, 2] })), {});
  assert.deepEqual(await got, { text: "ripe", n: [1, 2] });
  got = Promise.all([next(a, "plain"), next(b, "plain")]);
  assert.deepEqual(await json(api.trigger(["news", "sport", "other"], "plain", "just text")), {});
  assert.deepEqual(await got, ["just text", "just text"]);
});

test("HTTP-23 the socket that is named gets nothing", async () => {
  const c = await client(), d = await client();
  const a = c.subscribe("echoes"), b = d.subscribe("echoes");
  await Promise.all([subscribed(a), subscribed(b)]);
  const seen = [];
  a.bind("n", (x) => seen.push(x));
  const got = next(b, "n");
  await api.trigger("echoes", "n", 1, { socket_id: c.connection.socket_id });
  assert.equal(await got, 1);
  const last = next(a, "n");
  await api.trigger("echoes", "n", 2);
  await last;
  assert.deepEqual(seen, [2]);
});

test("private channel with client events", async () => {
  const c = await client(), d = await client();
  const a = c.subscribe("private-orders"), b = d.subscribe("private-orders");
  await Promise.all([subscribed(a), subscribed(b)]);
  const got = next(b, "client-typing");
  assert.ok(a.trigger("client-typing", { on: true }));
  assert.deepEqual(await got, { on: true });
});

test("WS-54 a refused private channel says so", async () => {
  const c = await client();
  const error = await next(c.subscribe("private-forbidden"), "pusher:subscription_error");
  assert.equal(error.type, "AuthError");
  assert.equal(error.status, 401);
});

test("presence: members join, talk and leave", async () => {
  const anna = await client({ id: "anna" }), bert = await client({ id: "bert" });
  const a = anna.subscribe("presence-room");
  const mine = await subscribed(a);
  assert.equal(mine.count, 1);
  assert.deepEqual(a.members.me, { id: "anna", info: { name: "ANNA" } });
  const added = next(a, "pusher:member_added");
  const b = bert.subscribe("presence-room");
  assert.equal((await subscribed(b)).count, 2);
  assert.deepEqual(await added, { id: "bert", info: { name: "BERT" } });
  const said = nextWithMetadata(a, "client-hello");
  b.trigger("client-hello", { text: "hi" });
  const [data, metadata] = await said;
  assert.deepEqual(data, { text: "hi" });
  assert.equal(metadata.user_id, "bert");
  const info = await json(api.get({ path: "/channels/presence-room", params: { info: "user_count" } }));
  assert.deepEqual(info, { occupied: true, user_count: 2 });
  const users = await json(api.get({ path: "/channels/presence-room/users" }));
  assert.deepEqual(users, { users: [{ id: "anna" }, { id: "bert" }] });
  const removed = next(a, "pusher:member_removed");
  bert.disconnect();
  assert.equal((await removed).id, "bert");
  assert.equal(a.members.count, 1);
});

test("WS-87 encrypted channel: the server library encrypts, pusher-js decrypts", async () => {
  const c = await client();
  const a = c.subscribe("private-encrypted-notes");
  await subscribed(a);
  const got = next(a, "note");
  await api.trigger("private-encrypted-notes", "note", { secret: "grün" });
  assert.deepEqual(await got, { secret: "grün" });
});

test("cache channel: miss, then replay; encrypted cache too", async () => {
  const c = await client();
  const a = c.subscribe("cache-price");
  await next(a, "pusher:cache_miss");
  await api.trigger("cache-price", "tick", { eur: 3 });
  const late = await client();
  assert.deepEqual(await next(late.subscribe("cache-price"), "tick"), { eur: 3 });
  await api.trigger("private-encrypted-cache-price", "tick", { eur: 4 });
  const e = late.subscribe("private-encrypted-cache-price");
  assert.deepEqual(await next(e, "tick"), { eur: 4 });
});

test("WS-104, WS-109 sign-in and events for a user", async () => {
  const c = await client({ id: "carla", user_info: { name: "Carla" } });
  c.signin();
  await c.user.signinDonePromise;
  assert.equal(c.user.user_data.id, "carla");
  await subscribed(c.user.serverToUserChannel);
  const got = next(c.user, "letter");
  await api.sendToUser("carla", "letter", { from: "us" });
  assert.deepEqual(await got, { from: "us" });
});

test("WS-110 watch list", async () => {
  const w = await client({ id: "walter", watchlist: ["dora"] });
  const offline = next(w.user.watchlist, "offline");
  w.signin();
  assert.deepEqual((await offline).user_ids, ["dora"]);
  const online = next(w.user.watchlist, "online");
  const d = await client({ id: "dora" });
  d.signin();
  assert.deepEqual((await online).user_ids, ["dora"]);
  const gone = next(w.user.watchlist, "offline");
  d.disconnect();
  assert.deepEqual((await gone).user_ids, ["dora"]);
});

test("HTTP-59 terminating a user's connections stops pusher-js", async () => {
  const c = await client({ id: "emil" });
  c.signin();
  await c.user.signinDonePromise;
  const ended = next(c.connection, "disconnected");
  assert.deepEqual(await json(api.terminateUserConnections("emil")), {});
  await ended;
});

test("HTTP-42 a batch arrives in its order", async () => {
  const c = await client();
  const a = c.subscribe("batch");
  await subscribed(a);
  const seen = [];
  a.bind("n", (x) => seen.push(x));
  const end = next(a, "end");
  const events = [...Array(9).keys()].map((i) => ({ channel: "batch", name: "n", data: i }));
  await json(api.triggerBatch([...events, { channel: "batch", name: "end", data: "" }]));
  await end;
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

test("channel list and counts", async () => {
  const c = await client();
  await subscribed(c.subscribe("listed"));
  const list = await json(api.get({ path: "/channels", params: { filter_by_prefix: "list" } }));
  assert.deepEqual(list, { channels: { listed: {} } });
  const info = { info: "subscription_count" };
  assert.deepEqual(await json(api.trigger("listed", "n", 1, info)),
    { channels: { listed: { subscription_count: 1 } } });
});

test("unsubscribe and subscribe at once ends subscribed", async () => {
  const c = await client();
  await subscribed(c.subscribe("again"));
  c.unsubscribe("again");
  const a = c.subscribe("again");
  await subscribed(a);
  const got = next(a, "n");
  await api.trigger("again", "n", 1);
  assert.equal(await got, 1);
});

for (const broadcaster of ["pusher", "reverb"]) test(`WS-63, CL-3 laravel-echo, ${broadcaster}`, async () => {
  const echo = new Echo({ broadcaster, key: "shop-key", Pusher: PusherJs, ...optionsOf(server.port, { id: "echo" }) });
  open.push({ disconnect: () => echo.disconnect() });
  await connected(echo.connector.pusher);
  const heard = (channel, event) => new Promise((r) => channel.listen(event, r));
  const ready = (channel) => new Promise((r) => channel.subscribed(r));

  const pub = echo.channel("echo-news"), priv = echo.private("echo-orders");
  const secret = echo.encryptedPrivate("echo-notes");
  await Promise.all([ready(pub), ready(priv), ready(secret)]);
  let got = Promise.all([heard(pub, ".a"), heard(priv, ".a"), heard(secret, ".a")]);
  await api.trigger(["echo-news", "private-echo-orders"], "a", { n: 1 });
  await api.trigger("private-encrypted-echo-notes", "a", { n: 2 });
  assert.deepEqual(await got, [{ n: 1 }, { n: 1 }, { n: 2 }]);
  got = heard(pub, "OrderShipped");
  await api.trigger("echo-news", "App\\Events\\OrderShipped", { id: 5 });
  assert.deepEqual(await got, { id: 5 });
  const note = new Promise((r) => priv.notification(r));
  const created = "Illuminate\\Notifications\\Events\\BroadcastNotificationCreated";
  await api.trigger("private-echo-orders", created, { id: 6 });
  assert.deepEqual(await note, { id: 6 });
  got = heard(pub, ".b");
  await api.trigger("echo-news", "b", 1, { socket_id: echo.socketId() }); // toOthers()
  await api.trigger("echo-news", "b", 2);
  assert.equal(await got, 2);

  const room = echo.join("echo-room");
  const here = await new Promise((r) => room.here(r));
  assert.deepEqual(here, [{ name: "ECHO" }]);
  const joining = new Promise((r) => room.joining(r)), leaving = new Promise((r) => room.leaving(r));
  const guest = await client({ id: "guest" });
  const g = guest.subscribe("presence-echo-room");
  await subscribed(g);
  assert.deepEqual(await joining, { name: "GUEST" });
  const whisper = new Promise((r) => room.listenForWhisper("typing", r));
  g.trigger("client-typing", { on: 1 });
  assert.deepEqual(await whisper, { on: 1 });
  guest.disconnect();
  assert.deepEqual(await leaving, { name: "GUEST" });

  const error = await new Promise((r) => echo.private("forbidden").error(r));
  assert.equal(error.type, "AuthError");
  assert.equal(echo.socketId(), echo.connector.pusher.connection.socket_id);
});

test("ws: an independent WebSocket library agrees on the handshake and the close", async () => {
  const s = new WebSocket(webSocketUrl(server.port, "/app/shop-key?protocol=7"));
  const first = await new Promise((r, no) => { s.once("message", r); s.once("error", no); });
  assert.equal(JSON.parse(first).event, "pusher:connection_established");
  const pong = new Promise((r) => s.once("pong", r));
  s.ping("payload");
  assert.equal((await pong).toString(), "payload");
  const closed = new Promise((r) => s.once("close", r));
  s.close(1000);
  assert.equal(await closed, 1000);
});

test("WS-26 activity timeout reaches pusher-js", async () => {
  const other = await startServer({ activity_timeout: 33 });
  const c = await connected(new PusherJs("shop-key", optionsOf(other.port, { id: "x" })));
  assert.equal(c.connection.activityTimeout, 33000);
  c.disconnect();
  assert.equal(await other.stop(), 0);
});

test("WS-117 on SIGTERM pusher-js reconnects at once", async () => {
  const other = await startServer();
  const c = await connected(new PusherJs("shop-key", optionsOf(other.port, { id: "x" })));
  const connecting = next(c.connection, "connecting");
  other.kill("SIGTERM");
  await connecting;
  c.disconnect();
  assert.equal(await other.ended, 0);
});

test("CL-8 a server that is away for a while: pusher-js comes back by itself, with its channels", async () => {
  const first = await startServer();
  const options = { ...optionsOf(first.port, { id: "x" }), enabledTransports: ["ws", "wss"], unavailableTimeout: 500 };
  const c = await connected(new PusherJs("shop-key", options));
  const a = c.subscribe("news");
  await subscribed(a);
  const away = next(c.connection, "unavailable", 20000);
  first.kill("SIGKILL");
  await first.ended;
  await away;
  const back = next(a, "pusher:subscription_succeeded", 40000);
  const second = await startServer({ port: first.port });
  await back;
  const got = next(a, "n");
  await backEnd(second.port).trigger("news", "n", 1);
  assert.equal(await got, 1);
  c.disconnect();
  assert.equal(await second.stop(), 0);
});

test("CL-9 with allowed_origins a client outside a browser, which sends none, is refused", async () => {
  const apps = [{ id: "4711", key: "shop-key", secret: "shop-secret", enabled: true,
    allowed_origins: ["https://app.example.com"] }];
  const other = await startServer({ app_manager: { array: { apps } } });
  const c = new PusherJs("shop-key", optionsOf(other.port, { id: "x" }));
  const [{ error }] = await Promise.all([next(c.connection, "error"), next(c.connection, "disconnected")]);
  assert.equal(error.data.code, 4009);
  assert.equal(await other.stop(), 0);
});
