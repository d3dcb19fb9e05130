/** The escrow from TypeScript: a job for a model that is not there, declined and refunded. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { PublicKey as Address } from "@solana/web3.js";
import { BN, type Keypair, LAMPORTS_PER_SOL, Network, type OutboxProof, refusal, trim, u64, until } from "./chain";

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

  const create = async (nonce: number, change: { deadline?: number } = {}) => {
    const slot = await network.provider.connection.getSlot("confirmed");
    return network.escrow.methods
      .createJob({
        nonce: new BN(nonce),
        model: 9_999,
        input: Buffer.alloc(64),
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

  it("never takes a nonce twice, so that an old result settles no new job", async () => {
    await assert.rejects(create(0));
  });
});
