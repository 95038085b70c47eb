// Logs in, opens the socket with the package ws, which offers compression, and prints every message
// as a line of JSON until some PINGs are answered: node client.js URL FORM PINGS
"use strict";

const WebSocket = require("ws");

const [url, form, pings] = process.argv.slice(2);

function print(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function main() {
  const login = await fetch(`${url}/api/session`, {
    method: "POST",
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
    body: form,
  });
  if (!login.ok) throw new Error(`login: ${login.status}`);
  await login.arrayBuffer();
  const cookie = login.headers.getSetCookie()[0].split(";")[0];
  const devices = await fetch(`${url}/api/devices`, { headers: { cookie } });
  print({ devices: (await devices.json()).length, cookie });

  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/api/socket`, {
    headers: { cookie },
    perMessageDeflate: true,
  });
  let answered = 0;
  socket.on("message", (data, isBinary) => {
    if (isBinary) {
      print({ binary: data.toString("base64") });
      return;
    }
    const text = data.toString();
    print({ text });
    const message = text.includes('"PING"') ? JSON.parse(text).status[0].message : null;
    if (message === null) return;
    socket.send(`pong ${message}`);
    answered += 1;
    if (answered === Number(pings)) socket.close(1000, "enough");
  });
  socket.on("error", (error) => {
    throw error;
  });
  socket.on("close", (code) => print({ closed: code, extensions: socket.extensions }));
}

main();
