/** The bridge from TypeScript: deposits, a withdrawal forced from L1, and its payment. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { PublicKey as Address } from "@solana/web3.js";
import { TOKEN_PROGRAM_ID, createMint, getAccount, getAssociatedTokenAddressSync, getOrCreateAssociatedTokenAccount, mintTo } from "@solana/spl-token";
import { BN, type Keypair, LAMPORTS_PER_SOL, Network, type OutboxProof, type PublicKey, SystemProgram, refusal, trim, u64, until } from "./chain";

interface AccountView {
  index: number;
  owner: string;
  mint: string;
  balance: number;
  nonce: number;
}

describe("bridge", () => {
  let network: Network;
  let alice: Keypair;
  before(async () => {
    network = await Network.start();
    alice = await network.wallet(50);
  });
  after(() => network.stop());

  const balance = (owner: PublicKey, mint: PublicKey) =>
    network
      .api<AccountView[]>(`/v1/accounts/${owner.toBase58()}`)
      .then((accounts) => accounts.find((account) => account.mint === mint.toBase58())?.balance);

  const depositSol = async (amount: number) =>
    network.bridge.methods
      .depositSol({ owner: alice.publicKey, amount: new BN(amount) })
      .accountsPartial({ depositor: alice.publicKey, rollup: network.rollup, inboxPage: await network.inboxPage() })
      .signers([alice])
      .rpc();

  /** Forces a withdrawal of everything in `mint` to `recipient`: `Forced::Withdraw`, in borsh. */
  const forceWithdrawal = async (mint: PublicKey, recipient: PublicKey, amount: number) =>
    network.settlement.methods
      .enqueue(Buffer.concat([Buffer.from([1]), alice.publicKey.toBuffer(), mint.toBuffer(), recipient.toBuffer(), u64(amount)]))
      .accountsPartial({
        payer: alice.publicKey,
        sender: alice.publicKey,
        rollup: network.rollup,
        page: await network.inboxPage(),
      })
      .signers([alice])
      .rpc();

  /** The proof of the newest withdrawal to `recipient`, once its batch is final. */
  const proof = (recipient: PublicKey) =>
    until("a final withdrawal", async () => {
      const all = await network.api<{ index: number; payable: boolean }[]>(`/v1/withdrawals/${recipient.toBase58()}`);
      const last = all.at(-1);
      return last?.payable && network.api<OutboxProof>(`/v1/outbox/${last.index}`);
    });

  /** The page on which the bridge marks this withdrawal as paid. */
  const paidPage = (p: OutboxProof) =>
    Address.findProgramAddressSync(
      [Buffer.from("paid"), network.rollup.toBuffer(), u64(Math.floor(p.index / 4_096))],
      network.bridge.programId,
    )[0];

  const args = (p: OutboxProof, amount: number) => ({
    batch: new BN(p.batch),
    index: new BN(p.index),
    amount: new BN(amount),
    siblings: trim(p),
  });

  it("refuses to deposit nothing", async () => {
    assert.equal(await refusal(depositSol(0)), "NothingToDeposit");
  });

  it("credits SOL on L2, and pays a withdrawal of it on L1 exactly once", async () => {
    await depositSol(3 * LAMPORTS_PER_SOL);
    await until("the credit", async () => (await balance(alice.publicKey, SystemProgram.programId)) === 3 * LAMPORTS_PER_SOL);

    const recipient = (await network.wallet(1)).publicKey;
    const amount = 2 * LAMPORTS_PER_SOL;
    await forceWithdrawal(SystemProgram.programId, recipient, amount);
    const found = await proof(recipient);
    const withdraw = (lamports: number) =>
      network.bridge.methods
        .withdrawSol(args(found, lamports))
        .accountsPartial({ payer: network.provider.publicKey, recipient, rollup: network.rollup, paidPage: paidPage(found) })
        .rpc();
    assert.equal(await refusal(withdraw(amount + 1)), "WrongProof");
    await withdraw(amount);
    assert.equal(await network.provider.connection.getBalance(recipient), LAMPORTS_PER_SOL + amount);
    assert.equal(await refusal(withdraw(amount)), "AlreadyPaid");
    assert.equal(await balance(alice.publicKey, SystemProgram.programId), LAMPORTS_PER_SOL);
  });

  it("carries an SPL token there and back", async () => {
    const { connection } = network.provider;
    const mint = await createMint(connection, alice, alice.publicKey, null, 6);
    const vault = Address.findProgramAddressSync(
      [Buffer.from("token_vault"), network.rollup.toBuffer(), mint.toBuffer()],
      network.bridge.programId,
    )[0];
    const wallet = await getOrCreateAssociatedTokenAccount(connection, alice, mint, alice.publicKey);
    await mintTo(connection, alice, mint, wallet.address, alice, 1_000);
    await network.bridge.methods
      .registerMint()
      .accountsPartial({ payer: network.provider.publicKey, mint, vault, rollup: network.rollup, tokenProgram: TOKEN_PROGRAM_ID })
      .rpc();
    await network.bridge.methods
      .depositToken({ owner: alice.publicKey, amount: new BN(700) })
      .accountsPartial({
        depositor: alice.publicKey,
        source: wallet.address,
        mint,
        vault,
        rollup: network.rollup,
        inboxPage: await network.inboxPage(),
        tokenProgram: TOKEN_PROGRAM_ID,
      })
      .signers([alice])
      .rpc();
    await until("the credit", async () => (await balance(alice.publicKey, mint)) === 700);

    const recipient = Address.unique();
    await forceWithdrawal(mint, recipient, 700);
    const found = await proof(recipient);
    await network.bridge.methods
      .withdrawToken(args(found, 700))
      .accountsPartial({
        payer: network.provider.publicKey,
        recipient,
        mint,
        vault,
        rollup: network.rollup,
        paidPage: paidPage(found),
        tokenProgram: TOKEN_PROGRAM_ID,
      })
      .rpc();
    const paid = await getAccount(connection, getAssociatedTokenAddressSync(mint, recipient, true));
    assert.equal(paid.amount, 700n);
    assert.equal(await balance(alice.publicKey, mint), 0);
  });
});
