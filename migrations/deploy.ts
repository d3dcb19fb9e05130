/**
 * `anchor migrate`: creates a rollup of the deployed programs on the provider's cluster.
 *
 * Runs once: a rollup that is there already is left alone. What it is created with can be set by
 * environment variables, each `ASSAY_` and the name below in capitals, such as `ASSAY_WINDOW=150`.
 */
import * as anchor from "@anchor-lang/core";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The repository, from here or from the folder in which Anchor runs this. */
const root = [process.cwd(), join(process.cwd(), "..")].find((dir) => existsSync(join(dir, "Anchor.toml"))) ?? ".";

function idl(program: string): anchor.Idl {
  const path = join(root, "target/idl", `${program}.json`);
  if (!existsSync(path)) throw new Error(`${path} is missing: run \`cargo xtask idl\` (or \`anchor build\`) first`);
  return JSON.parse(readFileSync(path, "utf8"));
}

function setting(name: string, value: number): number {
  const text = process.env[`ASSAY_${name.toUpperCase()}`];
  if (text === undefined) return value;
  if (!/^\d+$/.test(text)) throw new Error(`ASSAY_${name.toUpperCase()} must be a whole number, not ${text}`);
  return Number(text);
}

const big = (name: string, value: number) => new anchor.BN(setting(name, value));

module.exports = async function (provider: anchor.AnchorProvider): Promise<void> {
  anchor.setProvider(provider);
  const settlement = new anchor.Program(idl("settlement"), provider);
  const id = big("rollup_id", 0);
  const [rollup] = anchor.web3.PublicKey.findProgramAddressSync(
    [Buffer.from("rollup"), id.toArrayLike(Buffer, "le", 8)],
    settlement.programId,
  );
  if (await provider.connection.getAccountInfo(rollup)) {
    console.log(`rollup ${rollup.toBase58()} is there already`);
    return;
  }
  await settlement.methods
    .initializeRollup(id, {
      bridge: new anchor.web3.PublicKey(idl("bridge").address),
      escrow: new anchor.web3.PublicKey(idl("escrow").address),
      params: {
        // Slots are about 0.4 s: a day to re-execute a batch.
        window: big("window", 216_000),
        bondSlice: big("bond_slice", 1_000_000_000),
        maxUnits: big("max_units", 1_000_000_000_000),
        maxRecords: setting("max_records", 16_384),
        maxData: setting("max_data", 1_800_000),
        modelDelay: big("model_delay", 10),
        sequencerShare: setting("sequencer_share", 2_000),
        // Half a day for each side of a dispute, and ten minutes after each move of the other.
        clock: big("clock", 108_000),
        extension: big("extension", 1_500),
        disputeBond: big("dispute_bond", 1_000_000_000),
      },
      unbondDelay: big("unbond_delay", 432_000),
      inboxGrace: big("inbox_grace", 1_500),
      inboxBatch: setting("inbox_batch", 256),
      inboxFeeBase: big("inbox_fee_base", 10_000),
      inboxFeeStep: big("inbox_fee_step", 100),
    })
    .accounts({ authority: provider.wallet.publicKey })
    .rpc();
  console.log(`rollup ${rollup.toBase58()} created; its authority is ${provider.wallet.publicKey.toBase58()}`);
};
