// tests/clients/node/server.mjs - starts the server on a free port and makes clients for it.
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import PusherJs from "pusher-js";
import PusherServer from "pusher";

const here = dirname(fileURLToPath(import.meta.url));
// A folder with cert.pem and key.pem: everything by https and wss (NODE_EXTRA_CA_CERTS trusts them).
const tls = process.env.CLIENTS_TLS;
const ssl = tls
  ? { ssl: { enabled: true, cert_path: join(tls, "cert.pem"), key_path: join(tls, "key.pem") } } : {};
export const webSocketUrl = (port, path) => `${tls ? "wss" : "ws"}://127.0.0.1:${port}${path}`;
export const masterKey = Buffer.alloc(32, 7).toString("base64");

function freePort() {
  return new Promise((resolve) => {
    const s = createServer().listen(0, "127.0.0.1", () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });
}

function isListening(port) {
  return new Promise((resolve) => {
    const s = connect(port, "127.0.0.1", () => { s.destroy(); resolve(true); });
    s.on("error", () => resolve(false));
  });
}

export async function startServer(change = {}) {
  const port = change.port ?? await freePort();
  const folder = mkdtempSync(join(tmpdir(), "clients-"));
  const config = JSON.parse(readFileSync(join(here, "..", "config.json"), "utf8"));
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, ...ssl, port, ...change }));
  const child = spawn(process.env.SOCKUDO, ["--config", join(folder, "config.json")],
    { stdio: ["ignore", "inherit", "inherit"] });
  const ended = new Promise((resolve) => child.on("exit", (code) => resolve(code)));
  for (let i = 0; !(await isListening(port)); i++) {
    if (i > 500 || child.exitCode !== null) throw new Error("the server does not listen");
    await new Promise((r) => setTimeout(r, 20));
  }
  return {
    port,
    kill: (name) => child.kill(name),
    ended,
    async stop() {
      child.kill("SIGTERM");
      const code = await ended;
      rmSync(folder, { recursive: true, force: true });
      return code;
    },
  };
}

export function backEnd(port) {
  return new PusherServer({
    appId: "4711", key: "shop-key", secret: "shop-secret", host: "127.0.0.1", port: String(port),
    useTLS: Boolean(tls), encryptionMasterKeyBase64: masterKey,
  });
}

export function optionsOf(port, user) {
  const server = backEnd(port);
  return {
    cluster: "", wsHost: "127.0.0.1", wsPort: port, wssPort: port,
    forceTLS: Boolean(tls), enabledTransports: tls ? ["ws", "wss"] : ["ws"],
    channelAuthorization: {
      customHandler: ({ socketId, channelName }, done) => {
        if (channelName.endsWith("-forbidden")) return done(null, { auth: "shop-key:0000" });
        const member = channelName.startsWith("presence-")
          ? { user_id: user.id, user_info: { name: user.id.toUpperCase() } } : undefined;
        return done(null, server.authorizeChannel(socketId, channelName, member));
      },
    },
    userAuthentication: {
      customHandler: ({ socketId }, done) => done(null, server.authenticateUser(socketId, user)),
    },
  };
}

export function frontEnd(port, user = { id: "anna" }) {
  return new PusherJs("shop-key", optionsOf(port, user));
}

// Resolves with the data of the next such event of a channel, connection or user;
// pusher-js hands metadata behind it.
export async function next(emitter, event, ms = 5000) {
  return (await nextWithMetadata(emitter, event, ms))[0];
}

export function nextWithMetadata(emitter, event, ms = 5000) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event} within ${ms} ms`)), ms);
    const once = (...args) => {
      clearTimeout(timer);
      emitter.unbind(event, once);
      resolve(args);
    };
    emitter.bind(event, once);
  });
}

export const subscribed = (channel) => next(channel, "pusher:subscription_succeeded");

export async function connected(client) {
  if (client.connection.state !== "connected") await next(client.connection, "connected");
  return client;
}
