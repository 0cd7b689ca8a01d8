"""The echo server as an asyncio.Protocol: `asyncio_protocol.py PORT [--uvloop]`."""

import asyncio
import sys


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def main(port):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", port, backlog=1024)
    print("echo at {}:{}".format(*server.sockets[0].getsockname()), flush=True)
    await server.serve_forever()


if "--uvloop" in sys.argv:
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
asyncio.run(main(int(sys.argv[1])))
