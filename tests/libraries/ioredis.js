'use strict';
// ioredis, every scenario with and without automatic pipelines.
const assert = require('node:assert/strict');
const { Redis, Cluster } = require('ioredis');
const { main, rejection, until } = require('./scenario.js');

const range = (count) => Array.from({ length: count }, (_, n) => n);

// Connections, and what is needed to close all that a scenario opened.
class Session {
  constructor(front, enableAutoPipelining) {
    this.front = front;
    this.enableAutoPipelining = enableAutoPipelining;
    this.open = [];
  }

  client(more = {}) {
    return this.watch(new Redis({
      host: this.front.host, port: this.front.port, enableAutoPipelining: this.enableAutoPipelining,
      retryStrategy: () => 50, maxRetriesPerRequest: 200, ...more,
    }));
  }

  watch(client) {
    client.on('error', () => {});
    this.open.push(client);
    return client;
  }

  closeAll() {
    for (const client of this.open) client.disconnect();
  }
}

// [null, value] or [error, undefined] of pipelines and transactions.
const plain = (replies) => replies.map(([error, value]) => error ? error.message : value);

const scenarios = {
  async types(session) {
    const client = session.client();
    const seen = [
      await client.set('s', 'v'), await client.get('s'), await client.get('none'), await client.set('s', 'w', 'NX'),
      await client.mset({ a: 1, b: 2 }), await client.mget('a', 'none', 'b'), await client.incrby('a', 5), await client.incrbyfloat('f', 1.5),
      await client.set('e', 'x', 'EX', 100), await client.ttl('e'), await client.hset('h', { a: 1, b: 'two' }), await client.hgetall('h'),
      await client.hgetall('none'), await client.rpush('l', ...range(5)), await client.lrange('l', 0, -1), await client.sadd('set', 'a', 'b'),
      (await client.smembers('set')).sort(), await client.zadd('z', 1, 'one', 2.5, 'two'), await client.zrange('z', 0, -1, 'WITHSCORES'),
      await client.zscore('z', 'two'), await client.zpopmin('z'), await client.geoadd('g', 13.361389, 38.115556, 'Palermo'),
      await client.geopos('g', 'Palermo', 'x'), await client.pfadd('p', 'a', 'b'), await client.pfcount('p'), await client.type('z'),
      await client.object('ENCODING', 's'), await client.del('a', 'b'), await client.echo('x'), await client.ping(), await client.exists('s'),
      await client.call('GETRANGE', 's', '0', '-1'), await client.copy('s', 's2'), await client.sort('l', 'DESC'),
    ];
    const bytes = Buffer.from(range(256));
    await client.setBuffer('bytes', bytes);
    await session.front.ask('settle');
    assert.deepEqual(await client.getBuffer('bytes'), bytes);
    const large = 'weir '.repeat(1000000);
    await client.set('large', large);
    await session.front.ask('settle');
    assert((await Promise.all(range(3).map(() => client.get('large')))).every((value) => value === large));
    const exact = session.client({ stringNumbers: true, keyPrefix: 'pre:' });
    await exact.set('n', '9007199254740993');
    return [...seen, await exact.incr('n'), await client.get('pre:n'), await exact.mget('n', 'x')];
  },

  async errors(session) {
    const client = session.client();
    await client.set('s', 'v');
    const seen = [];
    for (const [command, ...args] of [['lpush', 's', 'x'], ['get'], ['nosuch', 'a'], ['eval', "return redis.error_reply('MINE own')", '0'],
      ['evalsha', '0'.repeat(40), '0'], ['select', '999'], ['exec'], ['config', 'SET', 'nosuch', '1'], ['cluster', 'INFO'],
      ['sentinel', 'masters'], ['client', 'NOSUCH']]) {
      seen.push([command, (await rejection(client.call(command, ...args))).message]);
    }
    const [set, error, get] = await Promise.all([client.set('k', '1'), rejection(client.lpush('s', 'x')), client.get('k')]);
    return [...seen, set, error.message, get];
  },

  async pipelines(session) {
    const client = session.client();
    const seen = [plain(await client.pipeline().set('k', 0).incr('k').get('k').lpush('k', 'x').hset('h', 'f', 1).hgetall('h').exec())];
    const pipeline = client.pipeline();
    for (const n of range(2000)) pipeline.set(`k${n}`, n).get(`k${n}`);
    const replies = plain(await pipeline.exec());
    range(2000).forEach((n) => assert.deepEqual(replies.slice(2 * n, 2 * n + 2), ['OK', String(n)]));
    await session.front.ask('settle');
    assert.deepEqual(plain(await client.pipeline(range(2000).map((n) => ['get', `k${n}`])).exec()), range(2000).map(String));
    seen.push(plain(await client.pipeline().rpush('l', 'a').eval("return redis.call('LLEN', KEYS[1])", 1, 'l').blpop('l', 1)
      .publish('c', 'm').multi().incr('k').get('k').exec().get('k').exec()));
    return seen;
  },

  // Commands of one turn of the event loop, on one connection.
  async oneTurn(session) {
    const client = session.client();
    const replies = await Promise.all(range(2000).flatMap((n) => [client.set(`k${n}`, n), client.get(`k${n}`)]));
    range(2000).forEach((n) => assert.deepEqual(replies.slice(2 * n, 2 * n + 2), ['OK', String(n)]));
    await session.front.ask('settle');
    assert.deepEqual(await Promise.all(range(2000).map((n) => client.get(`k${n}`))), range(2000).map(String));
    const mixed = await Promise.all([client.get('k1'), client.incr('n'), client.get('n'), client.eval('return ARGV[1]', 0, 'x'),
      client.multi().incr('n').get('n').exec(), client.hgetall('none'), rejection(client.lpush('k1', 'x')).then(({ message }) => message),
      client.incr('n'), client.get('n')]);
    return [mixed, await client.dbsize()];
  },

  async transactions(session) {
    const client = session.client();
    const other = client.duplicate();
    session.watch(other);
    const seen = [plain(await client.multi().set('k', 1).get('k').hset('h', 'f', 'v').hgetall('h').exec()),
      plain(await client.multi().set('s', 'text').incr('s').get('s').exec()), plain(await client.multi([['get', 'k'], ['incr', 'k']]).exec())];
    const aborted = await rejection(client.multi().set('s', 'other').call('nosuch').exec());
    seen.push(aborted.message, aborted.previousErrors.map(({ message }) => message), await client.get('s'));
    // Interactive: every command goes out at once and is answered with QUEUED.
    if (!session.enableAutoPipelining) {
      seen.push(await client.multi({ pipeline: false }), await client.set('k', '7'), await client.get('k'), plain(await client.exec()));
      seen.push(await client.multi({ pipeline: false }), await client.incr('k'), await client.discard(), await client.get('k'));
      await client.watch('k');
      await other.set('k', '2');
      seen.push(await client.multi().set('k', 3).exec());
      await client.watch('k');
      seen.push(await client.get('k'), plain(await client.multi().incr('k').exec()));
      await client.watch('k');
      await other.set('k', '9');
      seen.push(await client.unwatch(), plain(await client.multi().incr('k').exec()));
      seen.push(plain(await client.multi().select(3).set('three', 1).dbsize().exec()), await client.dbsize(), await client.select(0), await client.dbsize());
    }
    return seen;
  },

  async pubSub(session) {
    const client = session.client();
    const subscriber = session.watch(client.duplicate());
    const heard = [];
    subscriber.on('message', (channel, message) => heard.push(['message', channel, message]));
    subscriber.on('pmessage', (pattern, channel, message) => heard.push([pattern, channel, message]));
    subscriber.on('smessage', (channel, message) => heard.push(['shard', channel, message]));
    const seen = [await subscriber.subscribe('news', 'other'), await subscriber.psubscribe('n*'), await subscriber.ssubscribe('shard')];
    seen.push(await client.publish('news', 'one'), await client.spublish('shard', 'two'), await client.publish('void', 'x'),
      await client.pubsub('NUMSUB', 'news'), await client.pubsub('NUMPAT'), (await client.pubsub('CHANNELS')).sort());
    await until(() => heard.length === 3, 'all messages');
    const first = heard.splice(0).sort();
    await Promise.all(range(500).map((n) => client.publish('news', n)));
    await until(() => heard.length === 1000, 'the burst');
    assert.deepEqual(heard.filter(([kind]) => kind === 'message').map(([, , message]) => message), range(500).map(String));
    seen.push((await rejection(subscriber.get('k'))).message, await subscriber.unsubscribe('news', 'other'), await subscriber.punsubscribe(),
      await subscriber.sunsubscribe(), await subscriber.set('after', 'leaving'), await client.get('after'), await client.publish('news', 'x'));
    return [seen, first];
  },

  async blocking(session) {
    const client = session.client();
    const waiter = session.watch(client.duplicate());
    const waits = [waiter.blpop('q1', 'q2', 10), waiter.blmove('q3', 'q4', 'LEFT', 'RIGHT', 10), waiter.bzpopmin('z', 10),
      waiter.xread('BLOCK', 50, 'STREAMS', 'x', '$'), waiter.blpop('none', 0.05), waiter.get('k')];
    await client.set('k', 'v');
    await client.rpush('q2', 'a');
    await client.rpush('q3', 'b');
    await client.zadd('z', 1, 'm');
    const workers = range(3).map(() => session.watch(client.duplicate()));
    const done = [];
    const work = Promise.all(workers.map(async (worker) => {
      for (;;) {
        const [, job] = await worker.blpop('jobs', 10);
        if (job === 'stop') return;
        done.push(Number(job));
      }
    }));
    for (const n of range(200)) client.rpush('jobs', n);
    await client.rpush('jobs', 'stop', 'stop', 'stop');
    await work;
    assert.deepEqual(done.sort((a, b) => a - b), range(200));
    return [await Promise.all(waits), await client.lrange('q4', 0, -1)];
  },

  async streams(session) {
    const client = session.client();
    const seen = [await client.xgroup('CREATE', 'x', 'g', '$', 'MKSTREAM')];
    for (const n of range(10)) seen.push(await client.xadd('x', `${n + 1}-0`, 'n', n));
    seen.push(await client.xreadgroup('GROUP', 'g', 'one', 'COUNT', 3, 'STREAMS', 'x', '>'), await client.xack('x', 'g', '1-0'),
      await client.xpending('x', 'g'), await client.xrange('x', '2', '4'), await client.xread('STREAMS', 'x', '8'),
      await client.xautoclaim('x', 'g', 'two', 0, '0'), await client.xlen('x'), await client.xtrim('x', 'MAXLEN', 5));
    const got = [];
    await client.xgroup('CREATE', 'jobs', 'g', '$', 'MKSTREAM');
    const consumers = ['a', 'b', 'c'].map(async (name) => {
      const own = session.watch(client.duplicate());
      while (got.length < 60) {
        const reply = await own.xreadgroup('GROUP', 'g', name, 'COUNT', 4, 'BLOCK', 200, 'STREAMS', 'jobs', '>');
        for (const [id, [, n]] of reply?.[0][1] ?? []) {
          got.push(Number(n));
          await own.xack('jobs', 'g', id);
        }
      }
    });
    for (const n of range(60)) await client.xadd('jobs', '*', 'n', n);
    await Promise.all(consumers);
    assert.deepEqual(got.sort((a, b) => a - b), range(60));
    return [...seen, (await client.xpending('jobs', 'g'))[0]];
  },

  // EVALSHA first; after NOSCRIPT the library sends EVAL.
  async scripts(session) {
    const client = session.client({ scripts: { add: { numberOfKeys: 1, lua: "return redis.call('INCRBY', KEYS[1], ARGV[1])" } } });
    client.defineCommand('peek', { numberOfKeys: 1, readOnly: true, lua: "return redis.call('GET', KEYS[1])" });
    const seen = [await client.add('n', 2), await client.add('n', 2), await client.peek('n'), await client.script('FLUSH'), await client.add('n', 2)];
    await client.script('FLUSH');
    seen.push(await Promise.all(range(5).map(() => client.add('n', 1))));
    await client.script('FLUSH');
    seen.push(plain(await client.pipeline().add('n', 1).get('n').peek('n').add('n', 1).exec()));
    await client.script('FLUSH');
    seen.push(plain(await client.multi().add('n', 1).get('n').exec()));
    return [...seen, await client.eval('return {1, {2, KEYS[1]}, false, redis.status_reply("FINE")}', 1, 'k')];
  },

  async scans(session) {
    const client = session.client();
    await client.mset(Object.fromEntries(range(2000).map((n) => [`key:${n}`, n])));
    await client.hset('hash', Object.fromEntries(range(600).map((n) => [`f${n}`, n])));
    await session.front.ask('settle');
    const collect = async (stream) => {
      const found = new Set();
      for await (const batch of stream) for (const item of batch) found.add(item);
      return found.size;
    };
    const seen = await Promise.all([1, 10, 100, 5000].map((count) => collect(client.scanStream({ match: 'key:*', count }))));
    return [...seen, await collect(client.scanStream({ type: 'hash' })), await collect(client.hscanStream('hash', { match: 'f1*', count: 7 }))];
  },

  async monitor(session) {
    const client = session.client();
    await client.ping();
    const watcher = session.watch(await client.monitor());
    const lines = [];
    watcher.on('monitor', (time, args, source, database) => lines.push([args, database]));
    await client.set('watched', 'a "quoted" value');
    await client.lpush('l', 'x');
    const own = () => lines.filter(([[name]]) => /^(set|lpush)$/i.test(name));
    await until(() => own().length === 2, 'two lines');
    return own();
  },

  async connectionState(session) {
    const named = session.client({ connectionName: 'weir-test', db: 4 });
    const other = session.client();
    await named.set('four', 1);
    const seen = [await named.client('GETNAME'), await other.client('GETNAME'), await other.exists('four'), await other.select(4),
      await other.get('four'), await other.select(0), await other.exists('four')];
    const copy = session.watch(named.duplicate());
    seen.push(await copy.get('four'), await copy.client('GETNAME'), / db=4 /.test(await copy.client('INFO')));
    return [...seen, await copy.quit()];
  },

  // The front goes away and comes back: the database, the name and the
  // subscriptions are there again, and what waited in the queue is answered.
  async reconnection(session) {
    const client = session.client({ connectionName: 'phoenix', db: 2 });
    const subscriber = session.watch(client.duplicate());
    const heard = [];
    subscriber.on('message', (channel, message) => heard.push([channel, message]));
    await subscriber.subscribe('news');
    await client.set('k', 1);
    await session.front.ask('restart');
    const queued = [client.set('k', 2), client.get('k'), client.incr('k')];
    const seen = [await Promise.all(queued), await client.client('GETNAME'), / db=2 /.test(await client.client('INFO'))];
    await until(async () => (await client.publish('news', 'again')) === 1, 'the subscriber is back');
    await until(() => heard.length === 1, 'the message');
    return [...seen, heard];
  },

  async timeouts(session) {
    const client = session.client({ commandTimeout: 100, disconnectTimeout: 100 });
    const other = session.client();
    const seen = [(await rejection(client.blpop('q', 30))).message];
    client.disconnect();
    await until(async () => /blocked_clients:0/.test(await other.info('clients')), 'nobody is blocked');
    await other.rpush('q', 'kept');
    return [...seen, await other.lrange('q', 0, -1)];
  },

  // Whoever is killed by an administrator connects again, and is what he was.
  async killed(session) {
    const admin = session.client();
    const client = session.client({ connectionName: 'victim', db: 2 });
    const subscriber = session.watch(client.duplicate({ connectionName: 'hears' }));
    const heard = [];
    subscriber.on('message', (channel, message) => heard.push([channel, message]));
    await subscriber.subscribe('news');
    await client.set('k', 1);
    const idOf = async (name) => new RegExp(`id=(\\d+) .*name=${name} `).exec(await admin.client('LIST'))?.[1];
    const first = await idOf('victim');
    const seen = [await admin.client('KILL', 'ID', first), await admin.client('KILL', 'ID', await idOf('hears'))];
    const queued = await Promise.all([client.get('k'), client.incr('k')]);
    assert.notEqual(await idOf('victim'), first);
    await until(async () => await admin.publish('news', 'again') === 1, 'the subscription is back');
    await until(() => heard.length === 1, 'the message');
    return [...seen, queued, heard];
  },

  async otherKindsOfClient(session) {
    const { host, port } = session.front;
    const cluster = new Cluster([{ host, port }], { clusterRetryStrategy: () => null });
    cluster.on('error', () => {});
    const error = await rejection(cluster.get('k'));
    cluster.disconnect();
    const sentinel = new Redis({ sentinels: [{ host, port }], name: 'mymaster', sentinelRetryStrategy: () => null, retryStrategy: () => null });
    const errors = [];
    sentinel.on('error', ({ message }) => errors.push(message));
    const refused = await rejection(sentinel.get('k'));
    sentinel.disconnect();
    return [error.message, error.lastNodeError?.message, refused.message, errors.map((message) => message.replaceAll(String(port), 'PORT'))];
  },
};

function withPipelines(automatic, scenario) {
  return async (front) => {
    const session = new Session(front, automatic);
    try {
      return await scenario(session);
    } finally {
      session.closeAll();
    }
  };
}

main(Object.fromEntries([false, true].flatMap((automatic) =>
  Object.entries(scenarios).map(([name, scenario]) => [`${name}${automatic ? '-autopipeline' : ''}`, withPipelines(automatic, scenario)]))));
