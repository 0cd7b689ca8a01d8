"""The echo server with asyncio's streams: `asyncio_streams.py PORT [--uvloop]`."""

import asyncio
import sys


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main(port):
    server = await asyncio.start_server(echo, "127.0.0.1", port, backlog=1024)
    print("echo at {}:{}".format(*server.sockets[0].getsockname()), flush=True)
    await server.serve_forever()


if "--uvloop" in sys.argv:
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
asyncio.run(main(int(sys.argv[1])))
