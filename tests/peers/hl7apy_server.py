"""An MLLP server by hl7apy that answers AA; it takes one message a connection. Prints its port once it listens.

usage: hl7apy_server.py PORT
"""

import sys

from hl7apy.mllp import AbstractHandler, MLLPServer
from hl7apy.parser import parse_message


class Answer(AbstractHandler):
    def reply(self):
        header = parse_message(self.incoming_message, find_groups=False).msh
        print("received", header.msh_10.value, flush=True)
        answer = f"MSH|^~\\&|PEER||US||2026||ACK|1|P|2.5\rMSA|AA|{header.msh_10.value}\r"
        return f"\x0b{answer}\x1c\r"


class Any(dict):
    def __contains__(self, key):
        return True

    def __getitem__(self, key):
        return (Answer,)


port = int(sys.argv[1])
handlers = Any({"ADT^A01": (Answer,)})
server = MLLPServer("127.0.0.1", port, handlers)
print("listening", port, flush=True)
server.serve_forever()
