"""Takes connections and what comes over them, and ends each after so many bytes or two seconds: a server that
does nothing. What a well-behaved client sees of another server meanwhile is what an attacker does to it by
using the same processors.

Prints its address as a JSON string.
"""
import asyncio
import json
import sys

MAX_SECONDS = 2
AT_ONCE = 64 * 1024


async def main(seconds, max_bytes):
    async def take(reader, writer):
        try:
            async with asyncio.timeout(MAX_SECONDS):
                taken = 0
                while taken < max_bytes and (data := await reader.read(AT_ONCE)):
                    taken += len(data)
        except (TimeoutError, OSError):
            pass
        writer.transport.abort()

    server = await asyncio.start_server(take, "127.0.0.1", 0, backlog=1024)
    host, port = server.sockets[0].getsockname()
    print(json.dumps(f"{host}:{port}"), flush=True)
    await asyncio.sleep(seconds)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), int(sys.argv[2])))
