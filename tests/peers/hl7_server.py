"""An MLLP server by python-hl7's asyncio server that answers AA. Prints its port once it listens.

usage: hl7_server.py PORT [CERTIFICATE KEY [CA]]

With a certificate it speaks TLS; with a CA, clients must show a certificate of it.
"""

import asyncio
import ssl
import sys

import hl7.mllp


async def serve(reader, writer):
    try:
        while not reader.at_eof():
            message = await reader.readmessage()
            print("received", message.segment("MSH")[10], flush=True)
            writer.writemessage(message.create_ack())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


def tls(certificate=None, key=None, authority=None):
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority)
    return context


async def main():
    port = int(sys.argv[1])
    server = await hl7.mllp.start_hl7_server(
        serve, host="127.0.0.1", port=port, encoding="utf-8", ssl=tls(*sys.argv[2:])
    )
    async with server:
        print("listening", port, flush=True)
        await server.serve_forever()


asyncio.run(main())
