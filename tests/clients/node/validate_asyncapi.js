// Reads AsyncAPI documents from stdin, a JSON array of them, and prints for each what AsyncAPI's own
// parser says of it, as a JSON array of arrays; ends with 1 if any of it is an error.
"use strict";

const { Parser } = require("@asyncapi/parser");
const { text } = require("node:stream/consumers");

const ERROR = 0;

async function main() {
  const parser = new Parser();
  const documents = JSON.parse(await text(process.stdin));
  const all = [];
  for (const document of documents) {
    const { diagnostics } = await parser.parse(document);
    all.push(diagnostics.map(({ code, message, path, severity }) => ({ code, message, path, severity })));
  }
  process.stdout.write(`${JSON.stringify(all)}\n`);
  process.exitCode = all.flat().some(({ severity }) => severity === ERROR) ? 1 : 0;
}

main();
