// Sends a message by node-hl7-client and prints MSA-1 and MSA-2 of the answer.
// usage: node node_client.mjs PORT VERSION FILE
import { readFileSync } from "node:fs";
import { Client, Message } from "node-hl7-client";

const [port, version, file] = process.argv.slice(2);
const client = new Client({ host: "127.0.0.1", version });
const connection = client.createConnection({ port: Number(port) }, async (response) => {
  const answer = response.getMessage();
  console.log(answer.get("MSA.1").toString() + " " + answer.get("MSA.2").toString());
  await connection.close();
  process.exit(0);
});
await connection.sendMessage(new Message({ text: readFileSync(file, "utf8") }));
