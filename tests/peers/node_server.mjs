// An MLLP server by node-hl7-server that answers AA. Prints its port once it listens.
// usage: node node_server.mjs PORT
import { Server } from "node-hl7-server";

const port = Number(process.argv[2]);
const server = new Server({ bindAddress: "127.0.0.1" });
const inbound = server.createInbound({ port }, async (request, response) => {
  console.log("received " + request.getMessage().get("MSH.10").toString());
  await response.sendResponse("AA");
});
inbound.on("listen", () => console.log("listening " + port));
inbound.on("error", (error) => console.error(String(error)));
