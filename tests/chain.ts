/**
 * A running development network for the TypeScript tests: `assay dev` as a process of its own, started once per
 * test file and ended with it.
 */
import * as anchor from "@anchor-lang/core";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import type { Bridge } from "../target/types/bridge";
import type { Escrow } from "../target/types/escrow";
import type { Settlement } from "../target/types/settlement";

export const { BN } = anchor;
export const { Keypair, LAMPORTS_PER_SOL, PublicKey, SystemProgram } = anchor.web3;
export type Keypair = anchor.web3.Keypair;
export type PublicKey = anchor.web3.PublicKey;

const target = process.env.ASSAY_TARGET ?? "target";
const binary = process.env.ASSAY_BIN ?? join(target, "debug/assay");

/** What `assay dev --json` prints when it is ready. */
interface Ready {
  rpc: string;
  ws: string;
  api: string;
  rollup: string;
}

/** A network with a funded wallet and the three programs' clients. */
export class Network {
  private constructor(
    private readonly process: ChildProcess,
    private readonly directory: string,
    readonly ready: Ready,
    readonly provider: anchor.AnchorProvider,
    readonly settlement: anchor.Program<Settlement>,
    readonly bridge: anchor.Program<Bridge>,
    readonly escrow: anchor.Program<Escrow>,
  ) {}

  /** The rollup that the development network runs. */
  get rollup(): PublicKey {
    return new PublicKey(this.ready.rollup);
  }

  static async start(): Promise<Network> {
    const directory = mkdtempSync(join(tmpdir(), "assay-ts-"));
    const child = spawn(
      binary,
      [
        ["dev", "--json", "--executor", "cpu", "--dir", directory],
        ["--rpc-port", "0", "--ws-port", "0", "--port", "0", "--slot-ms", "100", "--window", "24"],
      ].flat(),
      { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ASSAY_LOG: "error" } },
    );
    const ready = await new Promise<Ready>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`assay dev ended with ${code} before it was ready`)));
      createInterface({ input: child.stdout! }).on("line", (line) => {
        const message = JSON.parse(line);
        if (message.rpc) resolve(message);
      });
    });
    const connection = new anchor.web3.Connection(ready.rpc, { wsEndpoint: ready.ws, commitment: "confirmed" });
    const wallet = Keypair.generate();
    const provider = new anchor.AnchorProvider(connection, new anchor.Wallet(wallet), {
      commitment: "confirmed",
      preflightCommitment: "confirmed",
    });
    const program = <T extends anchor.Idl>(name: string) =>
      new anchor.Program<T>(JSON.parse(readFileSync(join(target, "idl", `${name}.json`), "utf8")), provider);
    const network = new Network(
      child,
      directory,
      ready,
      provider,
      program<Settlement>("settlement"),
      program<Bridge>("bridge"),
      program<Escrow>("escrow"),
    );
    await network.fund(wallet.publicKey, 1_000);
    return network;
  }

  /** Gives a wallet some SOL. */
  async fund(to: PublicKey, sol: number): Promise<void> {
    const { connection } = this.provider;
    const signature = await connection.requestAirdrop(to, sol * LAMPORTS_PER_SOL);
    const latest = await connection.getLatestBlockhash();
    await connection.confirmTransaction({ signature, ...latest }, "confirmed");
  }

  /** A new wallet with some SOL. */
  async wallet(sol = 10): Promise<Keypair> {
    const wallet = Keypair.generate();
    await this.fund(wallet.publicKey, sol);
    return wallet;
  }

  /** A GET from the sequencer's API. */
  async api<T>(path: string): Promise<T> {
    const response = await fetch(`${this.ready.api}${path}`);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  /** The command line's answer, as the network's funded user. */
  async assay<T>(...args: string[]): Promise<T> {
    const settings = ["--json", "--config", join(this.directory, "assay.toml")];
    const { stdout } = await promisify(execFile)(binary, [...args, ...settings]);
    return JSON.parse(stdout.trim().split("\n").at(-1)!) as T;
  }

  /** A file of the network's own folder. */
  file(name: string): string {
    return join(this.directory, name);
  }

  /** Address of the inbox page that the next message goes to. */
  async inboxPage(rollup = this.rollup): Promise<PublicKey> {
    const { inboxCount } = await this.settlement.account.rollup.fetch(rollup);
    return PublicKey.findProgramAddressSync(
      [Buffer.from("inbox"), rollup.toBuffer(), u64(Math.floor(inboxCount.toNumber() / 128))],
      this.settlement.programId,
    )[0];
  }

  async stop(): Promise<void> {
    // The connection's websocket would try to reconnect for ever, and keep this process alive.
    const socket = (this.provider.connection as unknown as { _rpcWebSocket: { close(): void } })._rpcWebSocket;
    socket.close();
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill("SIGTERM");
    await ended;
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Asks again until there is an answer; the chain's own slots are what is waited for. */
export async function until<T>(what: string, ask: () => Promise<T | undefined | null | false>): Promise<T> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const answer = await ask().catch(() => undefined);
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`${what} did not happen within a minute`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The code of the Anchor error with which a call failed. */
export async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (error instanceof anchor.AnchorError) return error.error.errorCode.code;
    const logs: string[] = (error as { logs?: string[] }).logs ?? [];
    const parsed = anchor.AnchorError.parse(logs);
    if (parsed) return parsed.error.errorCode.code;
    throw error;
  }
  throw new Error("the call went through, and should not have");
}

export const u64 = (value: bigint | number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};

/** Answer of `GET /v1/outbox/{index}`. */
export interface OutboxProof {
  index: number;
  batch: number;
  count: number;
  siblings: string[];
}

/** A proof's siblings without the empty levels at the top, as instruction data. */
export function trim(proof: OutboxProof): number[][] {
  const depth = Math.ceil(Math.log2(Math.max(proof.count, 1)));
  return proof.siblings.slice(0, depth).map((hash) => [...Buffer.from(hash, "hex")]);
}
