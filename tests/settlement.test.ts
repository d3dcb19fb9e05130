/** The settlement program from TypeScript, by its generated IDL. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BN, Keypair, LAMPORTS_PER_SOL, Network, type PublicKey, SystemProgram, refusal, u64 } from "./chain";
import { PublicKey as Address } from "@solana/web3.js";

describe("settlement", () => {
  let network: Network;
  let rollup: PublicKey;
  const id = new BN(Date.now());

  before(async () => {
    network = await Network.start();
    rollup = Address.findProgramAddressSync([Buffer.from("rollup"), u64(id.toNumber())], network.settlement.programId)[0];
  });
  after(() => network.stop());

  const config = () => ({
    bridge: network.bridge.programId,
    escrow: network.escrow.programId,
    params: {
      window: new BN(24),
      bondSlice: new BN(LAMPORTS_PER_SOL),
      maxUnits: new BN(1_000_000),
      maxRecords: 100,
      maxData: 100_000,
      modelDelay: new BN(1),
      sequencerShare: 2_000,
      clock: new BN(150),
      extension: new BN(20),
      disputeBond: new BN(50_000_000),
    },
    unbondDelay: new BN(24),
    inboxGrace: new BN(100),
    inboxBatch: 10,
    inboxFeeBase: new BN(10_000),
    inboxFeeStep: new BN(500),
  });

  /** `Forced::Transfer` of the ledger's inbox, in borsh. */
  const forcedTransfer = (owner: PublicKey, to: PublicKey, amount: number) =>
    Buffer.concat([Buffer.from([0]), owner.toBuffer(), SystemProgram.programId.toBuffer(), to.toBuffer(), u64(amount)]);

  const enqueue = (owner: PublicKey, sender = network.provider.publicKey) =>
    network.settlement.methods
      .enqueue(forcedTransfer(owner, Keypair.generate().publicKey, 5))
      .accountsPartial({
        payer: network.provider.publicKey,
        sender,
        rollup,
        page: Address.findProgramAddressSync(
          [Buffer.from("inbox"), rollup.toBuffer(), u64(0)],
          network.settlement.programId,
        )[0],
      });

  it("creates a rollup, and refuses one with a senseless configuration", async () => {
    const bad = { ...config(), unbondDelay: new BN(1) };
    assert.equal(await refusal(network.settlement.methods.initializeRollup(id, bad).rpc()), "BadConfig");

    await network.settlement.methods.initializeRollup(id, config()).rpc();
    const account = await network.settlement.account.rollup.fetch(rollup);
    assert.equal(account.authority.toBase58(), network.provider.publicKey.toBase58());
    assert.equal(account.config.params.window.toNumber(), 24);
    assert.equal(account.inboxCount.toNumber(), 0);
  });

  it("takes a sequencer's bond with the authority's leave, and no second one for the same key", async () => {
    const key = await network.wallet(20);
    // The provider's wallet is the rollup's authority.
    const register = (by?: Keypair) =>
      network.settlement.methods
        .registerSequencer(new BN(2 * LAMPORTS_PER_SOL))
        .accountsPartial({ key: key.publicKey, authority: by?.publicKey ?? network.provider.publicKey, rollup })
        .signers(by ? [key, by] : [key])
        .rpc();
    const stranger = await network.wallet(20);
    assert.equal(await refusal(register(stranger)), "NotAuthority");
    await register();
    const address = Address.findProgramAddressSync(
      [Buffer.from("sequencer"), rollup.toBuffer(), key.publicKey.toBuffer()],
      network.settlement.programId,
    )[0];
    const account = await network.settlement.account.sequencer.fetch(address);
    assert.equal(account.bond.toNumber(), 2 * LAMPORTS_PER_SOL);
    await assert.rejects(register());
  });

  it("lets anybody force a transaction of their own, and nobody one of another's", async () => {
    const stranger = await network.wallet();
    assert.equal(
      await refusal(enqueue(network.provider.publicKey, stranger.publicKey).signers([stranger]).rpc()),
      "NotOwner",
    );
    await enqueue(network.provider.publicKey).rpc();
    await enqueue(stranger.publicKey, stranger.publicKey).signers([stranger]).rpc();
    const account = await network.settlement.account.rollup.fetch(rollup);
    assert.equal(account.inboxCount.toNumber(), 2);
    // The second one waits behind the first and pays for that.
    assert.equal(account.inboxFees.toNumber(), 10_000 + 10_500);
  });

  it("shows a page of the inbox as a typed account", async () => {
    const pages = await network.settlement.account.inboxPage.all();
    const page = pages.find(({ account }) => account.rollup.equals(rollup));
    assert.ok(page);
    assert.equal(page.account.entries[1].fees.toNumber(), 20_500);
  });
});
