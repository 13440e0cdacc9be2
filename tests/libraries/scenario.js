'use strict';
// A script of scenarios: `node SCRIPT --list` names them, `node SCRIPT NAME PORT`
// runs one against 127.0.0.1:PORT. It prints one JSON line, {"saw": ...}, what
// the scenario returned, and exits with 0; or exits with 1 and a message.
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
  constructor(port) {
    this.host = '127.0.0.1';
    this.port = port;
  }

  // 'settle': the replicas have caught up. 'restart': every connection is lost.
  async ask(what) {
    this.answers ??= readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
    print({ ask: what });
    await this.answers.next();
  }
}

async function main(table) {
  const [name, port] = process.argv.slice(2);
  if (name === '--list') {
    print(Object.keys(table));
    return;
  }
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  setTimeout(() => fail(`${name} took longer than ${SECONDS} s`), SECONDS * 1000).unref();
  const saw = await table[name](new Front(Number(port)));
  print({ saw: saw ?? null });
  process.stdin.destroy();
  // A connection that is still open keeps the process: clients have to close
  // what they open, so this is part of the check.
  setTimeout(() => fail('a connection was left open'), 5000).unref();
}

module.exports = { main: (table) => main(table).catch(fail), rejection, until };
