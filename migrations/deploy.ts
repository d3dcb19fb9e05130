/**
 * `anchor migrate`: creates a rollup of the deployed programs on the provider's cluster.
 *
 * Runs once: a rollup that is there already, as it was to be created, is left alone. What it is created with is
 * in `rollup.json`, as for `assay init`, and can be set by environment variables, each `ASSAY_` and the name
 * below in capitals, such as `ASSAY_WINDOW=150`.
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

/** What a rollup is created with unless something else is said. */
const defaults = JSON.parse(readFileSync(join(root, "migrations/rollup.json"), "utf8"));

/** The leaves of an object as text, by their paths. */
function flat(value: any, path = ""): Record<string, string> {
  if (typeof value !== "object" || anchor.BN.isBN(value) || value instanceof anchor.web3.PublicKey) return { [path]: value.toString() };
  return Object.assign({}, ...Object.entries(value).map(([key, part]) => flat(part, path ? `${path}.${key}` : key)));
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
  const window = setting("window", defaults.window);
  const config = {
    bridge: new anchor.web3.PublicKey(idl("bridge").address),
    escrow: new anchor.web3.PublicKey(idl("escrow").address),
    params: {
      window: new anchor.BN(window),
      bondSlice: big("bond_slice", defaults.bondSlice),
      maxUnits: big("max_units", window * defaults.unitsPerWindowSlot),
      maxRecords: setting("max_records", defaults.maxRecords),
      maxData: setting("max_data", defaults.maxData),
      modelDelay: big("model_delay", defaults.modelDelay),
      sequencerShare: setting("sequencer_share", defaults.sequencerShare),
      clock: big("clock", defaults.clock),
      extension: big("extension", defaults.extension),
      disputeBond: big("dispute_bond", defaults.disputeBond),
    },
    unbondDelay: big("unbond_delay", window * defaults.unbondWindows),
    inboxGrace: big("inbox_grace", defaults.inboxGrace),
    inboxBatch: setting("inbox_batch", defaults.inboxBatch),
    inboxFeeBase: big("inbox_fee_base", defaults.inboxFeeBase),
    inboxFeeStep: big("inbox_fee_step", defaults.inboxFeeStep),
  };
  if (await provider.connection.getAccountInfo(rollup)) {
    // Anybody may take a number: what is there must be what was meant.
    const found: any = await (settlement.account as any).rollup.fetch(rollup);
    const meant = flat({ authority: provider.wallet.publicKey, config });
    const is = flat({ authority: found.authority, config: found.config });
    const differences = Object.keys(meant).filter((name) => is[name] !== meant[name]);
    if (differences.length > 0) {
      const words = differences.map((name) => `${name} is ${is[name]}, not ${meant[name]}`).join("; ");
      throw new Error(`rollup ${rollup.toBase58()} is there and is another one (${words}): set ASSAY_ROLLUP_ID to a free number`);
    }
    console.log(`rollup ${rollup.toBase58()} is there already`);
    return;
  }
  await settlement.methods.initializeRollup(id, config).accounts({ authority: provider.wallet.publicKey }).rpc();
  console.log(`rollup ${rollup.toBase58()} created; its authority is ${provider.wallet.publicKey.toBase58()}`);
};
