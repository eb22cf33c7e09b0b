"""Sends messages over TLS by python-hl7's client, and prints each answer's MSA-1 and MSA-2.

usage: tls_client.py PORT CA [--cert CERTIFICATE KEY] FILE...
"""

import asyncio
import ssl
import sys

import hl7
import hl7.mllp


async def main():
    port, authority, files = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    context = ssl.create_default_context(cafile=authority)
    if files[0] == "--cert":
        context.load_cert_chain(files[1], files[2])
        files = files[3:]
    reader, writer = await hl7.mllp.open_hl7_connection(
        "127.0.0.1", port, encoding="utf-8", ssl=context, server_hostname="localhost"
    )
    for file in files:
        with open(file, encoding="utf-8", newline="") as text:
            writer.writemessage(hl7.parse(text.read()))
        await writer.drain()
        answer = await reader.readmessage()
        print(answer.segment("MSA")[1], answer.segment("MSA")[2], flush=True)
    writer.close()


asyncio.run(main())
