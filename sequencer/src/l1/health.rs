//! Failures of calls to the node, as a metric.

use assay_client::rpc::Health;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The failures of calls to a node by kind, once it is known which one: the metrics are made before.
#[derive(Clone, Debug, Default)]
pub struct NodeFailures(Arc<OnceLock<Health>>);

impl NodeFailures {
    /// Shows the failures of this node's calls from now on. Only the first node is shown.
    pub fn watch(&self, health: Health) {
        // There is one node for each service.
        let _ = self.0.set(health);
    }
}

impl Collector for NodeFailures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(health) = self.0.get() else {
            return Ok(());
        };
        let (name, help) = ("node_failures", "Failed calls to the node of L1, by kind");
        let kind = prometheus_client::metrics::MetricType::Counter;
        let mut family = encoder.encode_descriptor(name, help, None, kind)?;
        for (kind, count) in health.failures() {
            let labels = [("kind", kind.name())];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
