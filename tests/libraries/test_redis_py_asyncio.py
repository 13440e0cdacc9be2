"""redis-py's asyncio client: many coroutines, one pool."""
import asyncio
import contextlib

import pytest
import redis
import redis.asyncio

from fronts import scenario
from harness import PATIENCE


@contextlib.asynccontextmanager
async def connected(front, **options):
    client = redis.asyncio.Redis(**front.options(**options))
    try:
        yield client
    finally:
        await client.close()
        await client.connection_pool.disconnect()


async def until(condition, what):
    """Waits for an asynchronous condition."""
    async def poll():
        while not await condition():
            await asyncio.sleep(0.01)
    try:
        await asyncio.wait_for(poll(), 10 * PATIENCE)
    except asyncio.TimeoutError:
        raise AssertionError(f"waited for: {what}") from None


@scenario
async def test_many_coroutines(front):
    async with connected(front) as client:
        async def work(n):
            await client.set(f"k{n}", n)
            assert await client.get(f"k{n}") == str(n)
            assert await client.echo(f"e{n}") == f"e{n}"
            return await client.incr("n")

        counts = await asyncio.gather(*(work(n) for n in range(200)))
        assert sorted(counts) == list(range(1, 201))
        values = await asyncio.gather(*(client.get(f"k{n}") for n in range(200)))
        assert values == [str(n) for n in range(200)]
        return await client.dbsize()


@scenario
async def test_pipelines(front):
    async with connected(front) as client:
        seen = []
        for transaction in (True, False):
            async with client.pipeline(transaction=transaction) as pipe:
                seen.append(await pipe.set("k", 0).incr("k").rpush("l", "a").lrange("l", 0, -1).execute())
                for n in range(1000):
                    pipe.set(f"key:{n}", n).get(f"key:{n}")
                assert (await pipe.execute())[1::2] == [str(n) for n in range(1000)]
                pipe.set("s", "text").incr("s").get("s")
                seen.append([str(reply) for reply in await pipe.execute(raise_on_error=False)])

        async def one(n):
            async with client.pipeline(transaction=n % 2 == 0) as pipe:
                return await pipe.set(f"p{n}", n).get(f"p{n}").echo(n).execute()

        replies = await asyncio.gather(*(one(n) for n in range(100)))
        assert replies == [[True, str(n), str(n)] for n in range(100)]
        return seen


@scenario
async def test_optimistic_locking(front):
    async with connected(front) as client:
        await client.set("stock", 0)

        async def increment():
            async with client.pipeline() as pipe:
                while True:
                    try:
                        await pipe.watch("stock")
                        value = int(await pipe.get("stock"))
                        pipe.multi()
                        pipe.set("stock", value + 1)
                        return await pipe.execute()
                    except redis.WatchError:
                        continue

        await asyncio.gather(*(increment() for _ in range(20)))
        return await client.get("stock")


@scenario
async def test_pubsub(front):
    async with connected(front) as client:
        heard = []

        async def listen(pubsub, count):
            async for message in pubsub.listen():
                heard.append((message["type"], message["channel"], message["data"]))
                if len(heard) == count:
                    return

        async with client.pubsub() as pubsub:
            await pubsub.subscribe("news")
            await pubsub.psubscribe("n*")
            await asyncio.wait_for(listen(pubsub, 2), 10 * PATIENCE)
            receivers = [await client.publish("news", n) for n in range(100)]
            await asyncio.wait_for(listen(pubsub, 202), 10 * PATIENCE)
            await pubsub.unsubscribe()
            await pubsub.punsubscribe()
            await asyncio.wait_for(listen(pubsub, 204), 10 * PATIENCE)
        return receivers, heard


@scenario
async def test_blocking_beside_other_work(front):
    async with connected(front) as client:
        waiters = [asyncio.create_task(client.blpop(f"q{n}", 10)) for n in range(20)]
        await until(lambda: blocked(client, 20), "all are blocked")
        await asyncio.gather(*(client.incr("n") for _ in range(100)))
        await asyncio.gather(*(client.rpush(f"q{n}", f"job {n}") for n in range(20)))
        assert await asyncio.gather(*waiters) == [(f"q{n}", f"job {n}") for n in range(20)]
        return await client.get("n"), await client.blpop("none", 0.05)


async def blocked(client, count):
    return (await client.info("clients"))["blocked_clients"] == count


@scenario
async def test_a_cancelled_wait(front):
    """Its connection goes, and what is pushed next stays for others."""
    async with connected(front) as client, connected(front) as other:
        task = asyncio.create_task(client.blpop("q", 30))
        await until(lambda: blocked(other, 1), "it is blocked")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.connection_pool.disconnect()
        await until(lambda: blocked(other, 0), "nobody is blocked")
        await other.rpush("q", "kept")
        return await client.lrange("q", 0, -1)


@scenario
async def test_locks_and_scripts(front):
    async with connected(front) as client:
        await client.set("counter", 0)

        async def increment():
            async with client.lock("mutex", timeout=20, sleep=0.002):
                await client.set("counter", int(await client.get("counter")) + 1)

        await asyncio.gather(*(increment() for _ in range(20)))
        add = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
        seen = [await client.get("counter"), await add(keys=["counter"], args=[2])]
        await client.script_flush()
        return seen + [await add(keys=["counter"], args=[2])]


@scenario
async def test_scans(front):
    async with connected(front) as client:
        async with client.pipeline(transaction=False) as pipe:
            for n in range(1000):
                pipe.set(f"key:{n}", n).zadd("zset", {f"m{n}": n})
            await pipe.execute()
        front.settle()

        async def scan(count):
            keys = {key async for key in client.scan_iter("key:*", count=count)}
            members = {member async for member, _ in client.zscan_iter("zset", count=count)}
            assert keys == {f"key:{n}" for n in range(1000)} and members == {f"m{n}" for n in range(1000)}

        await asyncio.gather(*(scan(count) for count in (3, 10, 50, 1000)))


@scenario
async def test_streams(front):
    async with connected(front) as client:
        await client.xgroup_create("x", "g", "$", mkstream=True)
        got = []

        async def consumer(name):
            while len(got) < 50:
                for _, entries in await client.xreadgroup("g", name, {"x": ">"}, count=3, block=200):
                    for entry, fields in entries:
                        got.append(int(fields["n"]))
                        await client.xack("x", "g", entry)

        async def producer():
            for n in range(50):
                await client.xadd("x", {"n": n})

        await asyncio.wait_for(asyncio.gather(producer(), *(consumer(f"c{n}") for n in range(3))), 20 * PATIENCE)
        assert sorted(got) == list(range(50))
        return (await client.xpending("x", "g"))["pending"]


@scenario
async def test_reconnection(front):
    """What was idle while the front went away connects again by itself."""
    async with connected(front, retry_on_timeout=True) as client:
        await asyncio.gather(*(client.set(f"k{n}", n) for n in range(5)))
        await asyncio.get_running_loop().run_in_executor(None, front.restart)
        for n in range(5):
            for _ in range(10):
                try:
                    await client.set(f"k{n}", "again")
                    break
                except redis.ConnectionError:
                    continue
        return await client.mget([f"k{n}" for n in range(5)])
