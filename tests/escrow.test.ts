/** The escrow from TypeScript: a job for a model that is not there, declined; a job that is run, settled and paid. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { readFileSync, writeFileSync } from "node:fs";
import { PublicKey as Address } from "@solana/web3.js";
import { BN, type Keypair, LAMPORTS_PER_SOL, Network, type OutboxProof, refusal, trim, u64, until } from "./chain";

/** Dimensions of an output's type in an account. */
const MAX_RANK = 6;

/** Answer of `GET /v1/jobs/{address}` for a job that ran. */
interface JobView {
  index: number;
  settleable: boolean;
  result: {
    done: boolean;
    price: number;
    sequencer_share: number;
    sequencer: string;
    publisher: string;
    version: number;
    output_root: string;
  };
  outputs: { dtype: string; dims: number[]; data: string; siblings: string[] }[];
}

const hash = (hex: string) => [...Buffer.from(hex, "hex")];

describe("escrow", () => {
  let network: Network;
  let client: Keypair;
  before(async () => {
    network = await Network.start();
    client = await network.wallet(10);
  });
  after(() => network.stop());

  const job = (nonce: number) =>
    Address.findProgramAddressSync(
      [Buffer.from("job"), network.rollup.toBuffer(), client.publicKey.toBuffer(), u64(nonce)],
      network.escrow.programId,
    )[0];

  const create = async (nonce: number, change: { deadline?: number; model?: number; program?: number[]; input?: Buffer } = {}) => {
    const slot = await network.provider.connection.getSlot("confirmed");
    return network.escrow.methods
      .createJob({
        nonce: new BN(nonce),
        model: change.model ?? 9_999,
        programRoot: change.program ?? Array(32).fill(0),
        input: change.input ?? Buffer.alloc(64),
        maxPrice: new BN(LAMPORTS_PER_SOL),
        deadline: new BN(change.deadline ?? slot + 100_000),
        outputIndex: 0,
        outputBytes: 64,
      })
      .accountsPartial({
        payer: client.publicKey,
        client: client.publicKey,
        feed: null,
        rollup: network.rollup,
        inboxPage: await network.inboxPage(),
      })
      .signers([client])
      .rpc();
  };

  it("refuses a deadline that leaves no time to run the job", async () => {
    assert.equal(await refusal(create(0, { deadline: 1 })), "DeadlineTooEarly");
  });

  it("locks the price, and gives it back when L2 declines", async () => {
    await create(0);
    const open = await network.escrow.account.job.fetch(job(0));
    assert.deepEqual(open.status, { open: {} });
    const locked = await network.provider.connection.getBalance(job(0));
    assert.ok(locked > LAMPORTS_PER_SOL);

    const view = await until("the job's result", async () => {
      const view = await network.api<{ index: number; settleable: boolean; result: { sequencer: string; done: boolean } }>(
        `/v1/jobs/${job(0).toBase58()}`,
      );
      return view.settleable && view;
    });
    assert.equal(view.result.done, false);
    const proof = await network.api<OutboxProof>(`/v1/outbox/${view.index}`);
    const settle = () =>
      network.escrow.methods
        .settleJob({
          batch: new BN(proof.batch),
          index: new BN(proof.index),
          result: { done: false, price: new BN(0), sequencerShare: new BN(0), version: new BN(0), outputRoot: Array(32).fill(0) },
          siblings: trim(proof),
          output: null,
        })
        .accountsPartial({
          job: job(0),
          client: client.publicKey,
          sequencer: new Address(view.result.sequencer),
          publisher: null,
          feed: null,
          rollup: network.rollup,
        })
        .rpc();
    const before = await network.provider.connection.getBalance(client.publicKey);
    await settle();
    const after = await network.provider.connection.getBalance(client.publicKey);
    assert.equal(after - before, LAMPORTS_PER_SOL);
    const done = await network.escrow.account.job.fetch(job(0));
    assert.deepEqual(done.status, { declined: {} });
    assert.equal(await refusal(settle()), "JobNotOpen");
  });

  it("runs a job, splits the payment and shows the output on L1", async () => {
    const bundle = network.file("digits.assay");
    await network.assay("model", "import", "models/digits/digits-int8.onnx", "--output", bundle);
    await network.assay("deposit", "2");
    const deployed = await network.assay<{ index: number }>("model", "deploy", bundle, "--price", "0.001");
    const model = await network.api<{ program_root: string }>(`/v1/models/${deployed.index}`);
    const price = LAMPORTS_PER_SOL / 1_000;
    // The first held-out image: after 24 bytes of header.
    const input = readFileSync("models/digits/heldout.bin").subarray(24, 24 + 64);
    writeFileSync(network.file("input.bin"), input);
    const inferred = await network.assay<{ outputs: { values: number[] }[] }>(
      ...["infer", String(deployed.index), "--bytes", network.file("input.bin"), "--bundle", bundle],
    );

    await create(1, { model: deployed.index, program: hash(model.program_root), input });
    const view = await until("the job's result", async () => {
      const view = await network.api<JobView>(`/v1/jobs/${job(1).toBase58()}`);
      return view.settleable && view;
    });
    assert.equal(view.result.done, true);
    assert.equal(view.result.price, price);
    const proof = await network.api<OutboxProof>(`/v1/outbox/${view.index}`);
    const [output] = view.outputs;
    const { sequencer, publisher } = view.result;
    const balance = (key: string) => network.provider.connection.getBalance(new Address(key));
    const before = await Promise.all([sequencer, publisher].map(balance));
    await network.escrow.methods
      .settleJob({
        batch: new BN(proof.batch),
        index: new BN(proof.index),
        result: {
          done: true,
          price: new BN(view.result.price),
          sequencerShare: new BN(view.result.sequencer_share),
          version: new BN(view.result.version),
          outputRoot: hash(view.result.output_root),
        },
        siblings: trim(proof),
        output: {
          count: view.outputs.length,
          output: {
            ty: {
              dtype: output.dtype === "i8" ? 0 : 1,
              rank: output.dims.length,
              dims: [...output.dims, ...Array(MAX_RANK).fill(0)].slice(0, MAX_RANK),
            },
            data: Buffer.from(output.data, "base64"),
          },
          siblings: output.siblings.map(hash),
        },
      })
      .accountsPartial({
        job: job(1),
        client: client.publicKey,
        sequencer: new Address(sequencer),
        publisher: new Address(publisher),
        feed: null,
        rollup: network.rollup,
      })
      .rpc();
    const settled = await network.escrow.account.job.fetch(job(1));
    assert.deepEqual(settled.status, { settled: {} });
    assert.equal(settled.price.toNumber(), price);
    // The output on L1 is the one that the same input has on L2.
    assert.deepEqual([...new Int8Array(settled.output.data)], inferred.outputs[0].values);
    const paid = (await Promise.all([sequencer, publisher].map(balance))).map((now, i) => now - before[i]);
    assert.equal(paid[1], price - Number(view.result.sequencer_share));
  });

  it("never takes a nonce twice, so that an old result settles no new job", async () => {
    await assert.rejects(create(0));
  });
});
