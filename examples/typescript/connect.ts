/**
 * A connection from TypeScript, by plain messages to its workflow (docs/messages.md) and without
 * any code of ours: what a workflow is told is plain JSON; what it answers is encrypted, and
 * opened by the codec endpoint, so that no key leaves Moorline.
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, Connection } from "@temporalio/client";
import type { Payload, PayloadCodec } from "@temporalio/common";

const env = process.env;
const namespace = env.TEMPORAL_NAMESPACE ?? "default";
const taskQueue = env.MOORLINE_TASK_QUEUE ?? "moorline";
const provider = env.PROVIDER ?? "sandbox";
const endpoint =
  env.MOORLINE_CODEC_ENDPOINT ?? readFileSync("../../.moorline/codec-endpoint", "utf8").trim();

type Json = { metadata: Record<string, string>; data?: string };

const toJson = ({ metadata, data }: Payload): Json => ({
  metadata: Object.fromEntries(
    Object.entries(metadata ?? {}).map(([name, value]) => [name, base64(value)]),
  ),
  data: base64(data ?? new Uint8Array()),
});

const fromJson = ({ metadata, data }: Json): Payload => ({
  metadata: Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [name, Buffer.from(value, "base64")]),
  ),
  data: Buffer.from(data ?? "", "base64"),
});

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

/** Opens answers; what is sent stays plain, which workflows accept. */
class RemoteCodec implements PayloadCodec {
  async encode(payloads: Payload[]): Promise<Payload[]> {
    return payloads;
  }

  async decode(payloads: Payload[]): Promise<Payload[]> {
    const answer = await fetch(`${endpoint}/decode`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Namespace": namespace },
      body: JSON.stringify({ payloads: payloads.map(toJson) }),
    });
    if (!answer.ok) throw new Error(`the codec endpoint answered ${answer.status}`);
    return ((await answer.json()) as { payloads: Json[] }).payloads.map(fromJson);
  }
}

type Begun = { attempt_id: string; url: string };
type View = { status: string; reason: string };
type Receipt = { tokens: { token: string; result: string }[]; shredded: boolean };

const connection = await Connection.connect({ address: env.TEMPORAL_ADDRESS ?? "127.0.0.1:7233" });
const client = new Client({
  connection,
  namespace,
  dataConverter: { payloadCodecs: [new RemoteCodec()] },
});

const connectionId = randomUUID();
const handle = await client.workflow.start("ConnectionWorkflow", {
  workflowId: `connection-${connectionId}`,
  taskQueue,
  args: [{ connection_id: connectionId, user_id: randomUUID(), provider_slug: provider }],
});
console.log("connection", connectionId);

/** The status, as soon as it is another than these. */
async function leaves(...statuses: string[]): Promise<string> {
  for (;;) {
    const view = await handle.query<View>("view");
    if (!statuses.includes(view.status)) {
      console.log("status", view.status, view.reason);
      return view.status;
    }
    await sleep(500);
  }
}

const begun = await handle.executeUpdate<Begun, [object]>("begin_authorization", {
  args: [{ pages: "loopback" }],
});
console.log("attempt", begun.attempt_id);
console.log("url", begun.url);
console.log(`Temporal serves no pages. Answer it by: moorline authorize ${connectionId}`);

if ((await leaves("pending")) === "active") {
  await handle.signal("revoke", { actor: "examples/typescript" });
  await leaves("active");
}
await handle.signal("disconnect", { actor: "examples/typescript" });
const receipt = (await handle.result()) as Receipt;
for (const { token, result } of receipt.tokens) console.log("receipt", token, result);
console.log("receipt", receipt.shredded ? "secrets destroyed" : "secrets kept");
await connection.close();
