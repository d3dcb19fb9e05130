//! A demand for what a batch names and nobody serves, to its end.

use super::desk::{Desk, Played};
use super::verifier::Withheld;
use anyhow::{Result, bail, ensure};
use assay_client::accounts;
use assay_client::instructions::demands as make;
use assay_client::instructions::disputes::close_buffer;
use assay_client::pda;
use settlement::state::Demand;
use settlement::state::demand::DemandClass;
use solana_pubkey::Pubkey;

/// Demands the pieces, waits for their answer as long as there is time for it, and takes the batch down
/// if none came.
pub async fn demand(mut desk: Desk<'_>, withheld: &Withheld) -> Result<Played> {
    let (rollup, key, number) = (desk.rollup(), desk.challenger.address(), desk.header.number);
    let address = pda::demand(&rollup, &key, number);
    let header = desk.header;
    let Withheld { named, pieces, .. } = withheld;
    let what = format!(
        "demands {} pieces of what transaction {} names",
        pieces.count, named.index
    );
    let bytes = borsh::to_vec(named)?;
    // Beside the header there is less room than beside a proof.
    if desk.has_room(bytes.len() + 500) {
        let open = make::open_demand(&key, number, &header, *pieces, named);
        desk.send(what, vec![open]).await?;
    } else {
        let buffer = desk.upload("where it is named", &bytes).await?;
        let open = make::open_demand_from_buffer(&key, number, &header, *pieces, &buffer);
        let instructions = vec![open, close_buffer(&key, &buffer)];
        desk.send(what, instructions).await?;
    }
    let rpc = desk.sender.rpc();
    let mut left = pieces.count.into();
    loop {
        let (now, chain) = accounts::chain_at(rpc, &rollup).await?;
        let demand: Demand = rpc.expect(&address, "demand").await?;
        left = demand.left.count_ones().min(left);
        match demand.class(&chain, now) {
            DemandClass::Open(_) => tokio::time::sleep(desk.poll).await,
            DemandClass::Expired => break,
            DemandClass::Over => bail!("everything that was demanded has been answered"),
            DemandClass::Moot => bail!("the batch was reverted by something else"),
        }
    }
    let sequencer = Pubkey::new_from_array(header.sequencer);
    let what = format!("takes the batch down: {left} pieces were not shown in time");
    let end = make::time_out_demand(&rollup, &address, &sequencer);
    desk.send(what, vec![end]).await?;
    let chain = accounts::chain(desk.sender.rpc(), &rollup).await?;
    ensure!(
        chain.live(number, &header.hash()).is_none(),
        "the batch still stands"
    );
    Ok(desk.close(true, "withheld", vec![make::close_demand(&address, &key)]))
}
