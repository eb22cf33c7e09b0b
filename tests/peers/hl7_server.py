"""An MLLP server by python-hl7's asyncio server that answers AA. Prints its port once it listens.

usage: hl7_server.py PORT
"""

import asyncio
import sys

import hl7.mllp


async def serve(reader, writer):
    try:
        while not reader.at_eof():
            message = await reader.readmessage()
            print("received", message.segment("MSH")[10], flush=True)
            writer.writemessage(message.create_ack())
            await writer.drain()
    except asyncio.IncompleteReadError:
        pass
    finally:
        writer.close()


async def main():
    port = int(sys.argv[1])
    async with await hl7.mllp.start_hl7_server(serve, host="127.0.0.1", port=port, encoding="utf-8") as server:
        print("listening", port, flush=True)
        await server.serve_forever()


asyncio.run(main())
