//! What holds after each turn, and when all is over.

use super::court::WEALTH;
use super::*;
use assay_dispute::game::{Dispute, MAX_MOVES, Stage, Verdict, longest};

impl Game<'_, '_> {
    /// What never is otherwise.
    pub(super) fn check(&self, at: usize) {
        let case = &self.court.cases[at];
        let dispute = &case.dispute;
        assert!(dispute.moves <= MAX_MOVES);
        let bytes = borsh::to_vec(dispute).unwrap();
        assert!(bytes.len() <= Dispute::MAX_SIZE);
        assert_eq!(borsh::from_slice::<Dispute>(&bytes).unwrap(), *dispute);
        if self.court.now >= case.opened + longest(&dispute.header.params) {
            let class = self.court.class(at);
            assert!(!matches!(class, Class::Turn(..)), "{class:?}");
        }
    }
    /// Everything is decided: everybody takes what is theirs, more than once.
    pub(super) fn settle(&mut self) {
        let params = self.table.header.params;
        let mut claims: Vec<(usize, Key)> = Vec::new();
        for at in 0..self.seats.len() {
            if self.court.class(at) == Class::Moot {
                self.tally.moot += 1;
                self.court.act(at, STRANGER, Deed::Resolve).unwrap();
            }
            let keys = [Side::Asserter, Side::Challenger].map(|side| self.court.key(at, side));
            for key in [keys[0], keys[1], keys[1], keys[0], STRANGER] {
                claims.insert(self.rng.random_range(0..=claims.len()), (at, key));
            }
            let case = &self.court.cases[at];
            self.tally.most_moves = self.tally.most_moves.max(case.dispute.moves);
            if self.attended {
                let took = case.decided.unwrap() - case.opened;
                assert!(took <= longest(&params), "{took}");
                self.tally.longest = self.tally.longest.max(took);
            }
        }
        for (at, key) in claims {
            let done = self.court.act(at, STRANGER, Deed::Claim(key));
            assert_eq!(done.is_ok(), key != STRANGER, "{done:?}");
        }
        if self.court.live {
            self.court.now = self.court.now.max(params.window);
            let held = self.court.now - params.window;
            // A dispute is opened before the window ends.
            if self.attended {
                assert!(held < longest(&params), "{held}");
                self.tally.held = self.tally.held.max(held);
            }
            if !self.court.last {
                self.court.act(0, STRANGER, Deed::Finalize).unwrap();
            }
            self.tally.last += 1;
        }
        self.balances();
    }

    /// Who has what in the end.
    fn balances(&self) {
        let params = self.table.header.params;
        let (bond, slice) = (params.dispute_bond, params.bond_slice);
        let cases = self.court.cases.iter();
        let won = |side| {
            let cases = self.court.cases.iter();
            cases.filter(move |case| match case.dispute.stage {
                Stage::Over(verdict) => verdict.winner == side,
                _ => false,
            })
        };
        let moot = cases.clone().count() - won(Side::Asserter).count();
        let convictions = won(Side::Challenger).count();
        // One success is enough, and there is no second one.
        assert_eq!(convictions, usize::from(!self.court.live));
        assert!(self.court.live || moot >= 1);
        let sequencer = self.court.wallet(&self.table.header.sequencer);
        assert_eq!(
            sequencer,
            WEALTH + bond * won(Side::Asserter).count() as u64
        );
        assert_eq!(self.court.slice(), if self.court.live { slice } else { 0 });
        for case in cases {
            let wallet = self.court.wallet(&case.dispute.challenger);
            let expected = match case.dispute.stage {
                Stage::Over(Verdict { winner, .. }) => match winner {
                    Side::Challenger => WEALTH + slice / 2,
                    Side::Asserter => WEALTH - bond,
                },
                _ => WEALTH,
            };
            assert_eq!(wallet, expected);
        }
        assert_eq!(self.court.wallet(&STRANGER), WEALTH);
        // An honest challenger has won, or somebody else has for it.
        if !self.table.right && self.court.records.iter().any(|record| record.by == HONEST) {
            assert!(!self.court.live, "{}", self.table.name);
            assert!(self.court.wallet(&HONEST) >= WEALTH);
        }
        if self.honest {
            assert!(self.court.live && self.court.last, "{}", self.table.name);
        }
    }
}
