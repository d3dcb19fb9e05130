//! A batch of the arena on a chain, with liars who post theirs in its place.

use crate::arena::lies::Lie;
use crate::arena::world::{Batch, SEQUENCER};
use assay_dispute::Side;
use assay_dispute::game::Reason;
use assay_dispute::player::asserter::{LEGACY_ROOM, VERSION_1_ROOM};
use assay_dispute::player::{Asserter, Challenger, Claims, Models};
use assay_tests::duel::{Duel, Played};
use assay_tests::rollup::TestRollup;
use assay_tests::staged::draft;
use assay_tests::svm::{MAX_UNITS, Wire, accepted};
use settlement::errors::SettlementError as E;
use settlement::heap::MAX_FRAME;
use solana_keypair::Keypair;
use solana_signer::Signer;

/// The parent of a batch on a chain, and somebody who looks after what is posted on it.
pub struct Scene<'a> {
    pub batch: &'a Batch,
    pub r: TestRollup,
    pub challenger: Keypair,
    /// Bytes of heap that every transaction asks for.
    pub heap: u32,
    id: u64,
}

impl<'a> Scene<'a> {
    pub fn new(batch: &'a Batch) -> Self {
        // The same secret as the arena's.
        let sequencer = Keypair::new_from_array([SEQUENCER + 1; 32]);
        let mut r = TestRollup::staged(
            &batch.header,
            batch.parent.as_ref(),
            &batch.chain,
            sequencer,
            10_000,
        );
        let challenger = r.svm.rich_key();
        Self {
            batch,
            r,
            challenger,
            heap: MAX_FRAME as u32,
            id: 0,
        }
    }

    /// How transactions travel, one way and the other by turns.
    pub fn wire(&self) -> Wire {
        match self.id % 2 {
            0 => Wire::Legacy,
            _ => Wire::V1,
        }
    }

    /// A dispute between these two over the batch that is pending with this header.
    pub fn duel<M: Models>(
        &mut self,
        wire: Wire,
        header: assay_ledger::header::Header,
        challenger: &mut Challenger<M>,
        claims: Claims,
    ) -> Played {
        let room = match wire {
            Wire::Legacy => LEGACY_ROOM,
            Wire::V1 => VERSION_1_ROOM,
        };
        let mut asserter = Asserter::new(claims, self.batch.library.clone(), room);
        let key = self.challenger.insecure_clone();
        self.id += 1;
        let duel = Duel::new(&mut self.r, wire, header, &key, self.id).heap(self.heap);
        let played = duel.play(challenger, &mut asserter);
        assert!(played.units() < u64::from(MAX_UNITS));
        played
    }

    /// The lie is posted, and an honest challenger wins against every way to stand by it (the first few of
    /// them); or it cannot even be posted. Returns the games.
    pub fn convicts(&mut self, lie: &Lie, ways: usize) -> Vec<Played> {
        self.convicts_with(lie, ways, self.batch.library.clone())
    }

    /// The same of a challenger who has only these models.
    pub fn convicts_with<M: Models>(&mut self, lie: &Lie, ways: usize, models: M) -> Vec<Played> {
        let own = self
            .batch
            .knowledge_with(&models, lie.header, lie.data.clone());
        let mut challenger = Challenger::new(own, models);
        assert!(challenger.wrong().is_some(), "{}", lie.name);
        let mut games = Vec::new();
        for (way, claims) in lie.claims.iter().enumerate().take(ways) {
            let draft = draft(&lie.header, &lie.data);
            let poster = self.r.sequencer.insecure_clone();
            self.r.publish(&draft);
            let posted = self.r.post(&draft);
            accepted(self.r.close_data(&poster, draft.data_address()));
            if let Err(refusal) = posted {
                let refused = [E::InboxChain, E::InvalidState, E::OutboxShrank].map(u32::from);
                let code = refusal.code().expect("the program's refusal");
                assert!(refused.contains(&code), "{}: {refusal:?}", lie.name);
                return games;
            }
            let reverts = self.r.chain_account().reverts;
            let bond = self.r.sequencer_account(&poster.pubkey()).bond;
            let wire = self.wire();
            let played = self.duel(wire, lie.header, &mut challenger, claims.clone());
            assert_eq!(
                played.verdict.winner,
                Side::Challenger,
                "{}: {played:#?}",
                lie.name
            );
            if let Some(expected) = lie.reason.filter(|_| way == 0) {
                assert_eq!(played.verdict.reason, expected, "{}: {played:#?}", lie.name);
            }
            // The batch is gone with its slice of the bond, and the challenger has won.
            let chain = self.r.chain_account();
            assert_eq!(
                (chain.tip_number + 1, chain.reverts),
                (lie.header.number, reverts + 1)
            );
            let slice = lie.header.params.bond_slice;
            assert_eq!(
                self.r.sequencer_account(&poster.pubkey()).bond,
                bond - slice
            );
            let (account, ..) = self.r.dispute(&played.dispute);
            let due = lie.header.params.dispute_bond + slice / 2;
            assert_eq!((account.challenger_due, account.asserter_due), (due, 0));
            games.push(played);
        }
        games
    }
}

/// What games cost at most, and by what they were decided.
#[derive(Default)]
pub struct Summary {
    pub games: usize,
    pub by: std::collections::BTreeMap<String, usize>,
    pub transactions: [usize; 2],
    pub units: std::collections::BTreeMap<String, u64>,
}

impl Summary {
    pub fn add(&mut self, played: &Played) {
        self.games += 1;
        let reason = played.verdict.reason;
        *self.by.entry(format!("{reason:?}")).or_default() += 1;
        if reason != Reason::Time {
            let most = self.units.entry(format!("{reason:?}")).or_default();
            *most = played.last_units().max(*most);
        }
        let wire = usize::from(played.sent.iter().any(|sent| sent.bytes > 1_232));
        self.transactions[wire] = self.transactions[wire].max(played.sent.len());
    }

    pub fn print(&self, name: &str) {
        println!(
            "{name}: {} games, decided by {:?}; units of the last transaction at most {:?}; \
             transactions at most {:?} (legacy size, larger)",
            self.games, self.by, self.units, self.transactions
        );
    }
}
