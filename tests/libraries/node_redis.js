'use strict';
// node-redis (npm: redis), every scenario in RESP2 and RESP3.
const assert = require('node:assert/strict');
const { createClient, createClientPool, createCluster, createSentinel, defineScript, RESP_TYPES, WatchError } = require('redis');
const { main, rejection, until } = require('./scenario.js');

const range = (count) => Array.from({ length: count }, (_, n) => n);

// What XREADGROUP has brought for one stream, as [id, field's value].
function entriesOf(reply, field) {
  if (Array.isArray(reply)) return reply[0].messages.map(({ id, message }) => [id, message[field]]);
  return Object.values(reply ?? {})[0]?.map(([id, fields]) => [id, fields[fields.indexOf(field) + 1]]) ?? [];
}

// A connected client, and what is needed to close all that a scenario opened.
class Session {
  constructor(front, RESP) {
    this.front = front;
    this.RESP = RESP;
    this.open = [];
  }

  options(more = {}) {
    const { socket, ...rest } = more;
    const reconnectStrategy = 50;
    // unstableResp3: XREAD in RESP3 gives the reply as it came.
    return { RESP: this.RESP, unstableResp3: true, socket: { host: this.front.host, port: this.front.port, reconnectStrategy, ...socket }, ...rest };
  }

  async client(more) {
    return this.watch(createClient(this.options(more))).connect();
  }

  async duplicate(client, more) {
    return this.watch(client.duplicate(more)).connect();
  }

  watch(client) {
    client.on('error', (error) => this.errors?.push(error.message));
    this.open.push(client);
    return client;
  }

  closeAll() {
    for (const client of this.open) if (client.isOpen) client.destroy();
  }
}

const scenarios = {
  async types(session) {
    const client = await session.client();
    const seen = [
      await client.set('s', 'v'), await client.get('s'), await client.get('none'), await client.set('s', 'w', { NX: true }),
      await client.mSet({ a: '1', b: '2' }), await client.mGet(['a', 'none', 'b']), await client.incrBy('a', 5),
      await client.incrByFloat('f', 1.5), await client.setEx('e', 100, 'x'), await client.ttl('e'), await client.exists(['a', 'x']),
      await client.hSet('h', { a: 1, b: 'two' }), await client.hGetAll('h'), await client.hGetAll('none'), await client.hGet('h', 'a'),
      await client.rPush('l', range(5).map(String)), await client.lRange('l', 0, -1), await client.lPos('l', '3'),
      await client.sAdd('set', ['a', 'b']), (await client.sMembers('set')).sort(), await client.sIsMember('set', 'a'),
      await client.smIsMember('set', ['a', 'z']),
      await client.zAdd('z', [{ score: 1, value: 'one' }, { score: 2.5, value: 'two' }, { score: Infinity, value: 'inf' }]),
      await client.zRangeWithScores('z', 0, -1), await client.zScore('z', 'two'), await client.zIncrBy('z', 0.5, 'one'),
      await client.zPopMin('z'), await client.zRank('z', 'inf'), await client.zmScore('z', ['two', 'none']),
      await client.geoAdd('g', { longitude: 13.361389, latitude: 38.115556, member: 'Palermo' }), await client.geoPos('g', ['Palermo', 'x']),
      await client.pfAdd('p', ['a', 'b']), await client.pfCount('p'), await client.setBit('bits', 7, 1), await client.bitCount('bits'),
      await client.sort('l', { DIRECTION: 'DESC' }), await client.type('z'), await client.objectEncoding('s'), await client.del(['a', 'b']),
      await client.copy('s', 's2'), await client.getDel('s2'), await client.expireTime('e') > 0, await client.ping(), await client.echo('x'),
    ];
    const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    const bytes = Buffer.from(range(256));
    await client.set('bytes', bytes);
    assert.deepEqual(await binary.get('bytes'), bytes);
    await session.front.ask('settle');
    assert.deepEqual(await binary.get('bytes'), bytes);
    seen.push(await client.hGetAll('h'), await client.zRangeWithScores('z', 0, -1), await client.sIsMember('set', 'a'));
    return seen;
  },

  async largeValues(session) {
    const client = await session.client();
    const large = 'weir '.repeat(1000000);
    await client.set('large', large);
    assert.equal(await client.get('large'), large);
    await client.rPush('list', range(1000).map(() => large.slice(0, 5000)));
    await session.front.ask('settle');
    const [first, second, list] = await Promise.all([client.get('large'), client.get('large'), client.lRange('list', 0, -1)]);
    assert(first === large && second === large && list.length === 1000 && list.every((item) => item === large.slice(0, 5000)));
    return client.strLen('large');
  },

  async errors(session) {
    const client = await session.client();
    await client.set('s', 'v');
    const seen = [];
    for (const words of [['LPUSH', 's', 'x'], ['GET'], ['NOSUCH', 'a'], ['EVAL', "return redis.error_reply('MINE own')", '0'],
      ['EVALSHA', '0'.repeat(40), '0'], ['SELECT', '999'], ['EXEC'], ['CONFIG', 'SET', 'nosuch', '1'], ['HELLO', '9'],
      ['XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 's', '>'], ['CLUSTER', 'INFO'], ['SENTINEL', 'MASTERS'], ['CLIENT', 'NOSUCH'],
      ['CLIENT', 'MAINT_NOTIFICATIONS', 'ON']]) {
      seen.push([words, (await rejection(client.sendCommand(words))).message]);
    }
    const replies = await Promise.all([client.set('k', '1'), rejection(client.lPush('s', 'x')), client.get('k')]);
    return [...seen, replies[0], replies[1].message, replies[2], await client.get('s')];
  },

  // Everything that is sent in one turn of the event loop goes out as one pipeline.
  async automaticPipelines(session) {
    const client = await session.client();
    const replies = await Promise.all(range(2000).flatMap((n) => [client.set(`k${n}`, String(n)), client.get(`k${n}`)]));
    range(2000).forEach((n) => assert.deepEqual(replies.slice(2 * n, 2 * n + 2), ['OK', String(n)]));
    await session.front.ask('settle');
    assert.deepEqual(await Promise.all(range(2000).map((n) => client.get(`k${n}`))), range(2000).map(String));
    const mixed = await Promise.all([client.get('k1'), client.eval('return ARGV[1]', { arguments: ['x'] }), client.incr('n'),
      client.get('n'), client.multi().get('n').incr('n').exec(), client.blPop('none', 0.05), client.get('n'), client.ping('p')]);
    return [mixed, await client.dbSize()];
  },

  async transactions(session) {
    const client = await session.client();
    const seen = [await client.multi().set('k', '1').get('k').hSet('h', 'f', 'v').hGetAll('h').exec(),
      await client.multi().exec(), await client.multi().set('p', '1').get('p').execAsPipeline()];
    seen.push((await rejection(client.multi().set('s', 'text').incr('s').exec())).message);
    const errors = await rejection(client.multi().set('s', 'text').incr('s').get('s').exec());
    seen.push(errors.replies.map((reply) => reply instanceof Error ? reply.message : reply));
    seen.push((await rejection(client.multi().set('s', 'other').addCommand(['NOSUCH']).exec())).message, await client.get('s'));
    const other = await session.duplicate(client);
    await client.watch('k');
    await other.set('k', '2');
    assert((await rejection(client.multi().set('k', '3').exec())) instanceof WatchError);
    await client.watch(['k', 's']);
    seen.push(await client.get('k'), await client.multi().incr('k').exec());
    await client.watch('k');
    await other.set('k', '9');
    seen.push(await client.unwatch(), await client.multi().incr('k').exec());
    seen.push(await client.multi().select(3).set('three', '1').exec(), await client.dbSize(), await other.dbSize());
    return seen;
  },

  async isolatedPool(session) {
    const pool = session.watch(createClientPool(session.options(), { minimum: 1, maximum: 8 }));
    await pool.connect();
    await pool.set('n', '0');
    const increment = async (client) => {
      for (;;) {
        await client.watch('n');
        const value = Number(await client.get('n'));
        try {
          return await client.multi().set('n', String(value + 1)).exec();
        } catch (error) {
          if (!(error instanceof WatchError)) throw error;
        }
      }
    };
    await Promise.all(range(50).map(() => pool.execute(increment)));
    const blocked = range(4).map((n) => pool.blPop(`q${n}`, 10));
    const pushes = range(4).map((n) => pool.rPush(`q${n}`, `job ${n}`));
    await Promise.all(pushes);
    const seen = [await pool.get('n'), await Promise.all(blocked), await pool.multi().get('n').ping().exec()];
    await pool.close();
    return seen;
  },

  async pubSub(session) {
    const client = await session.client();
    const subscriber = await session.duplicate(client);
    const heard = [];
    const hear = (kind) => (message, channel) => heard.push([kind, String(channel), String(message)]);
    await subscriber.subscribe('news', hear('channel'));
    await subscriber.pSubscribe('n*', hear('pattern'));
    await subscriber.sSubscribe('shard', hear('shard'));
    await subscriber.subscribe('binary', (message) => heard.push(['binary', message.toString('hex'), '']), true);
    const counts = [await client.publish('news', 'one'), await client.sPublish('shard', 'two'),
      await client.publish('binary', Buffer.from([0, 255, 13, 10])), await client.publish('void', 'x')];
    await until(() => heard.length === 4, 'all messages');
    counts.push(await client.pubSubNumSub(['news']), await client.pubSubNumPat(), (await client.pubSubChannels()).sort());
    for (const n of range(500)) client.publish('news', String(n));
    await until(() => heard.length === 4 + 1000, 'the burst');
    assert.deepEqual(heard.filter(([kind]) => kind === 'channel').slice(1).map(([, , message]) => message), range(500).map(String));
    // In RESP3 a subscriber may go on with ordinary commands.
    if (session.RESP === 3) counts.push(await subscriber.set('by', 'subscriber'), await subscriber.get('by'));
    counts.push(await subscriber.ping());
    await subscriber.unsubscribe('news');
    await subscriber.unsubscribe('binary');
    await subscriber.pUnsubscribe();
    await subscriber.sUnsubscribe('shard');
    counts.push(await client.publish('news', 'nobody'), await subscriber.set('after', 'leaving'), await client.get('after'));
    return [counts, heard.slice(0, 4).sort()];
  },

  async blocking(session) {
    const client = await session.client();
    const waiter = await session.duplicate(client);
    const waits = [waiter.blPop(['q1', 'q2'], 10), waiter.blMove('q3', 'q4', 'LEFT', 'RIGHT', 10), waiter.bzPopMin('z', 10),
      waiter.xRead({ key: 'x', id: '$' }, { BLOCK: 50 }), waiter.blPop('none', 0.05), waiter.get('k')];
    await client.set('k', 'v');
    await client.rPush('q2', 'a');
    await client.rPush('q3', 'b');
    await client.zAdd('z', { score: 1, value: 'm' });
    return [await Promise.all(waits), await client.lRange('q4', 0, -1), await client.multi().blPop('none', 5).exec()];
  },

  async streams(session) {
    const client = await session.client();
    const seen = [await client.xGroupCreate('x', 'g', '$', { MKSTREAM: true })];
    for (const n of range(10)) seen.push(await client.xAdd('x', `${n + 1}-0`, { n: String(n) }));
    seen.push(await client.xReadGroup('g', 'one', { key: 'x', id: '>' }, { COUNT: 3 }), await client.xAck('x', 'g', '1-0'),
      await client.xPending('x', 'g'), await client.xRange('x', '2', '4'), await client.xRead({ key: 'x', id: '8' }),
      await client.xReadGroup('g', 'two', { key: 'x', id: '>' }, { COUNT: 2 }),
      await client.xAutoClaim('x', 'g', 'two', 0, '0'), await client.xLen('x'),
      (await client.xInfoGroups('x')).map(({ name, consumers, pending }) => ({ name, consumers, pending })),
      await client.xClaim('x', 'g', 'three', 0, ['2-0', '99-0']), await client.xTrim('x', 'MAXLEN', 5));
    const got = [];
    await client.xGroupCreate('jobs', 'g', '$', { MKSTREAM: true });
    const consume = async (name) => {
      const own = await session.duplicate(client);
      while (got.length < 60) {
        const reply = await own.xReadGroup('g', name, { key: 'jobs', id: '>' }, { COUNT: 4, BLOCK: 200 });
        for (const [id, n] of entriesOf(reply, 'n')) {
          got.push(Number(n));
          await own.xAck('jobs', 'g', id);
        }
      }
    };
    const consumers = ['a', 'b', 'c'].map(consume);
    for (const n of range(60)) await client.xAdd('jobs', '*', { n: String(n) });
    await Promise.all(consumers);
    assert.deepEqual(got.sort((a, b) => a - b), range(60));
    return [...seen, (await client.xPending('jobs', 'g')).pending];
  },

  async scripts(session) {
    const add = defineScript({
      NUMBER_OF_KEYS: 1,
      SCRIPT: "return redis.call('INCRBY', KEYS[1], ARGV[1])",
      parseCommand(parser, key, by) {
        parser.pushKey(key);
        parser.push(String(by));
      },
      transformReply: undefined,
    });
    const client = await session.client({ scripts: { add } });
    const seen = [await client.add('n', 2), await client.add('n', 2), await client.scriptFlush(), await client.add('n', 2)];
    await client.scriptFlush();
    seen.push(await Promise.all(range(5).map(() => client.add('n', 1))));
    await client.scriptFlush();
    seen.push(await client.multi().add('n', 1).get('n').add('n', 1).exec());
    seen.push(await client.eval('return {1, {2, KEYS[1]}, false, redis.status_reply("FINE")}', { keys: ['k'] }),
      await client.evalRo("return redis.call('GET', KEYS[1])", { keys: ['n'] }));
    seen.push(await client.functionLoad(`#!lua name=lib
      redis.register_function{function_name='see', callback=function(keys) return redis.call('GET', keys[1]) end, flags={'no-writes'}}`),
      await client.fCall('see', { keys: ['n'] }), await client.fCallRo('see', { keys: ['n'] }));
    seen.push((await client.functionList()).map(({ library_name }) => library_name));
    const three = await client.eval('redis.setresp(3); return {double=1.5}', { arguments: [] });
    return [...seen, three];
  },

  async scans(session) {
    const client = await session.client();
    await client.mSet(range(2000).flatMap((n) => [`key:${n}`, String(n)]));
    await client.hSet('hash', range(600).flatMap((n) => [`f${n}`, String(n)]));
    await client.zAdd('zset', range(600).map((n) => ({ score: n, value: `m${n}` })));
    await session.front.ask('settle');
    for (const COUNT of [5, 100, 5000]) {
      const keys = new Set();
      for await (const batch of client.scanIterator({ MATCH: 'key:*', COUNT })) batch.forEach((key) => keys.add(key));
      assert.equal(keys.size, 2000);
    }
    const fields = {};
    for await (const batch of client.hScanIterator('hash', { COUNT: 9 })) for (const { field, value } of batch) fields[field] = value;
    assert.equal(Object.keys(fields).length, 600);
    const members = new Set();
    for await (const batch of client.zScanIterator('zset', { COUNT: 9 })) batch.forEach(({ value }) => members.add(value));
    assert.equal(members.size, 600);
    return fields;
  },

  async clientSideCache(session) {
    const other = await session.client();
    await other.mSet({ a: '1', b: '2' });
    if (session.RESP !== 3) return null;    // the library refuses it in RESP2
    const client = await session.client({ clientSideCache: { ttl: 0, maxEntries: 100, evictPolicy: 'LRU' } });
    const cache = client.clientSideCache;
    const seen = [await client.get('a'), await client.get('a'), await client.get('b'), await client.get('none')];
    seen.push(cache.stats().hitCount, cache.stats().missCount);
    await other.set('a', 'changed');
    await until(async () => await client.get('a') === 'changed', 'the invalidation of a');
    await other.set('none', 'now');
    await until(async () => await client.get('none') === 'now', 'the invalidation of none');
    seen.push(await client.get('b'), cache.size());
    await client.set('b', 'own');
    await until(async () => await client.get('b') === 'own', 'the invalidation by its own write');
    await other.flushAll();
    await until(async () => await client.get('b') === null, 'the flush');
    return seen;
  },

  async invalidations(session) {
    const other = await session.client();
    await other.set('a', '1');
    if (session.RESP !== 3) return null;
    const client = await session.client({ emitInvalidate: true });
    const told = [];
    client.on('invalidate', (key) => told.push(key === null ? null : String(key)));
    const seen = [await client.get('a')];
    await other.set('a', '2');
    await until(() => told.length === 1, 'one invalidation');
    seen.push(await client.get('a'));
    await other.flushAll();
    await until(() => told.length === 2, 'the flush');
    return [...seen, told];
  },

  async monitor(session) {
    const client = await session.client();
    const watcher = await session.duplicate(client);
    const lines = [];
    await watcher.monitor((line) => lines.push(String(line)));
    await client.set('watched', 'a "quoted" value');
    await client.hGetAll('watched').catch(() => {});
    await client.lPush('l', 'x');
    const own = () => lines.filter((line) => /"(SET|LPUSH)"/.test(line)).map((line) => line.replace(/^[\d.]+ \[(\d+) .*?\]/, '[$1]'));
    await until(() => own().length === 2, 'two lines');
    return own();
  },

  async connectionState(session) {
    const named = await session.client({ name: 'weir-test', database: 4 });
    const plain = await session.client();
    await named.set('four', '1');
    const seen = [await named.clientGetName(), await plain.clientGetName(), await plain.exists('four'), (await named.clientInfo()).db];
    await plain.select(4);
    seen.push(await plain.get('four'));
    await plain.select(0);
    seen.push(await plain.exists('four'));
    const [row] = (await plain.clientList()).filter(({ name }) => name === 'weir-test');
    seen.push(row.name, row.db, row.id === await named.clientId(), (await named.clientInfo()).resp);
    return seen;
  },

  async users(session) {
    const admin = await session.client();
    await admin.aclSetUser('guest', ['on', '>secret', '~own:*', '+get', '+hello', '+client']);
    try {
      await admin.set('own:1', 'mine');
      const guest = await session.client({ username: 'guest', password: 'secret' });
      const seen = [await guest.get('own:1'), (await rejection(guest.get('other'))).message, (await rejection(guest.set('own:1', 'x'))).message];
      const stranger = session.watch(createClient(session.options({ username: 'guest', password: 'wrong', socket: { reconnectStrategy: false } })));
      seen.push((await rejection(stranger.connect())).message);
      return seen;
    } finally {
      await admin.aclDelUser('guest');
    }
  },

  // The front goes away and comes back: subscriptions, names, databases and scripts
  // are there again, and what waited in the library's queue is answered.
  async reconnection(session) {
    session.errors = [];
    const client = await session.client({ name: 'phoenix', database: 2 });
    const subscriber = await session.duplicate(client);
    const heard = [];
    await subscriber.subscribe('news', (message) => heard.push(message));
    await client.set('k', '1');
    await session.front.ask('restart');
    await client.set('k', '2');
    const seen = [await client.get('k'), await client.clientGetName(), (await client.clientInfo()).db];
    await until(async () => (await client.publish('news', 'again')) === 1, 'the subscriber is back');
    await until(() => heard.length === 1, 'the message');
    return [...seen, heard];
  },

  async abort(session) {
    const client = await session.client({ commandOptions: { timeout: 5000 } });
    const controller = new AbortController();
    const aborted = rejection(client.withAbortSignal(controller.signal).get('k'));
    controller.abort();
    const seen = [(await aborted).name, await client.set('k', 'v'), await client.get('k')];
    client.destroy();
    seen.push((await rejection(client.get('k'))).name);
    const other = await session.client();
    const last = [other.set('k', 'w'), other.get('k')];
    await other.close();        // waits for what was sent
    return [...seen, await Promise.all(last)];
  },

  // Whoever is killed by an administrator connects again, and is what he was.
  async killed(session) {
    session.errors = [];
    const admin = await session.client();
    const client = await session.client({ name: 'victim', database: 2 });
    const subscriber = await session.duplicate(client, { name: 'hears' });
    const heard = [];
    await subscriber.subscribe('news', (message) => heard.push(message));
    await client.set('k', '1');
    const rows = await admin.clientList();
    const seen = [];
    for (const name of ['victim', 'hears']) {
      const { id } = rows.find((row) => row.name === name);
      seen.push(await admin.clientKill({ filter: 'ID', id }));
    }
    await until(async () => (await admin.clientList()).filter(({ name }) => ['victim', 'hears'].includes(name)).length === 2, 'both are back');
    await until(async () => await admin.publish('news', 'again') === 1, 'the subscription is back');
    await until(() => heard.length === 1, 'the message');
    return [...seen, await client.get('k'), (await client.clientInfo()).db, heard];
  },

  async otherKindsOfClient(session) {
    const root = { socket: { host: session.front.host, port: session.front.port } };
    const cluster = session.watch(createCluster({ rootNodes: [root] }));
    const sentinel = session.watch(createSentinel({
      name: 'mymaster', sentinelRootNodes: [{ host: session.front.host, port: session.front.port }], maxCommandRediscovers: 1,
    }));
    const seen = [(await rejection(cluster.connect())).message];
    session.open = session.open.filter((client) => client !== sentinel && client !== cluster);
    const direct = await session.client();
    return [...seen, (await rejection(direct.sendCommand(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster']))).message, typeof sentinel];
  },
};

function inProtocol(RESP, scenario) {
  return async (front) => {
    const session = new Session(front, RESP);
    try {
      return await scenario(session);
    } finally {
      session.closeAll();
    }
  };
}

main(Object.fromEntries([2, 3].flatMap((RESP) =>
  Object.entries(scenarios).map(([name, scenario]) => [`${name}-RESP${RESP}`, inProtocol(RESP, scenario)]))));
