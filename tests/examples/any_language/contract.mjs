// A contract test of Node with the package ws: track-fake-server run --check -- node contract.mjs
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { once } from "node:events";

// NODE_PATH, where it is set, leads a require to the package, and not an import.
const WebSocket = createRequire(import.meta.url)("ws");

const { TRACK_URL, TRACK_WS_URL, TRACK_ADMIN_URL, TRACK_EMAIL, TRACK_PASSWORD } = process.env;

async function admin(path, body) {
  const answer = await fetch(TRACK_ADMIN_URL + path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const json = await answer.json();
  assert.ok(answer.ok, json.error);
  return json;
}

const login = await fetch(`${TRACK_URL}/api/session`, {
  method: "POST",
  body: new URLSearchParams({ email: TRACK_EMAIL, password: TRACK_PASSWORD }),
});
assert.equal(login.status, 200);
const cookie = login.headers.getSetCookie()[0].split(";")[0];

const socket = new WebSocket(TRACK_WS_URL, { headers: { cookie } });
const kinds = new Set();
socket.on("message", (data) => {
  const message = JSON.parse(data.toString().replace(/^~/, ""));
  Object.keys(message).forEach((kind) => kinds.add(kind));
  for (const status of message.status ?? []) {
    if (status.type === "PING") socket.send(`pong ${status.message}`);
  }
});
await once(socket, "open");

// Fails with what the client did instead, where it does not answer.
await admin("/expect", { what: "pong", within_s: 5 });

socket.close(1000);
await once(socket, "close");
assert.ok(kinds.has("status"));
console.log("a PING was answered");
