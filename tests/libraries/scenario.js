'use strict';
// A script of scenarios: `node SCRIPT --list` names them, `node SCRIPT PORT` reads
// names from stdin and runs each against 127.0.0.1:PORT. It prints one JSON line
// for each, {"saw": ...}, what the scenario returned; or exits with 1 and a message.
//
// A scenario may ask its driver (test_node.py) for something only that can do,
// with a line {"ask": word}; an empty line on stdin says that it has been done.
const readline = require('node:readline');

const SECONDS = 60;

function print(object) {
  process.stdout.write(JSON.stringify(object) + '\n');
}

function fail(error) {
  process.stderr.write(`${error && error.stack || error}\n`, () => process.exit(1));
}

// Waits for a condition, which may be asynchronous.
async function until(condition, what) {
  const deadline = Date.now() + 10000;
  while (!await condition()) {
    if (Date.now() > deadline) throw new Error(`waited for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

// What the promise was rejected with.
async function rejection(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('this should have failed');
}

class Front {
  constructor(port, lines) {
    this.host = '127.0.0.1';
    this.port = port;
    this.lines = lines;
  }

  // 'settle': the replicas have caught up. 'restart': every connection is lost.
  async ask(what) {
    print({ ask: what });
    await this.lines.next();
  }
}

async function main(table) {
  const [port] = process.argv.slice(2);
  if (port === '--list') return print(Object.keys(table));
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const front = new Front(Number(port), lines);
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    const name = line.value;
    const limit = setTimeout(() => fail(`${name} took longer than ${SECONDS} s`), SECONDS * 1000);
    print({ saw: await table[name](front) ?? null });
    clearTimeout(limit);
  }
}

module.exports = { main: (table) => main(table).catch(fail), rejection, until };
