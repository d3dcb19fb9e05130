//! Which slot each value is in, and how many requests fit in a run.

use super::{Buffer, Plan, lower::Lowered};
use crate::gpu::limits::Limits;

/// Puts values into slots, the number of which is kept small: a value takes the smallest free
/// slot that it fits in, else the largest, which grows.
pub(super) fn place(lowered: Lowered, limits: &Limits) -> Result<Plan, String> {
    let Lowered {
        mut steps,
        values,
        constants,
        inputs,
        outputs,
    } = lowered;

    // The last step that touches each value; outputs are read after all steps.
    let mut last_use = vec![None; values.len()];
    for (at, step) in steps.iter().enumerate() {
        let (reads, y) = step.views();
        for view in reads.iter().chain([&y]) {
            if let Buffer::Slot(value) = view.buffer {
                last_use[value] = Some(at);
            }
        }
    }
    for (value, _) in &outputs {
        last_use[*value] = Some(steps.len());
    }

    let mut slots: Vec<u32> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut slot_of = vec![None; values.len()];
    let mut take = |free: &mut Vec<usize>, words: u32| {
        let fitting = (0..free.len())
            .filter(|i| slots[free[*i]] >= words)
            .min_by_key(|i| slots[free[*i]]);
        let largest = || (0..free.len()).max_by_key(|i| slots[free[*i]]);
        match fitting.or_else(largest) {
            Some(i) => {
                let slot = free.swap_remove(i);
                slots[slot] = slots[slot].max(words);
                slot
            }
            None => {
                slots.push(words);
                slots.len() - 1
            }
        }
    };
    for (value, _) in inputs.iter().enumerate() {
        if last_use[value].is_some() {
            slot_of[value] = Some(take(&mut free, values[value]));
        }
    }
    for (at, step) in steps.iter().enumerate() {
        let (reads, y) = step.views();
        if let Buffer::Slot(value) = y.buffer {
            slot_of[value] = Some(take(&mut free, values[value]));
        }
        let mut ended: Vec<usize> = reads
            .iter()
            .chain([&y])
            .filter_map(|view| match view.buffer {
                Buffer::Slot(value) if last_use[value] == Some(at) => Some(value),
                _ => None,
            })
            .collect();
        ended.sort_unstable();
        ended.dedup();
        free.extend(ended.into_iter().filter_map(|value| slot_of[value]));
    }

    for view in steps.iter_mut().flat_map(|step| step.views_mut()) {
        if let Buffer::Slot(value) = view.buffer {
            view.buffer = Buffer::Slot(slot_of[value].unwrap_or_default());
        }
    }
    let inputs: Vec<_> = inputs
        .into_iter()
        .enumerate()
        .map(|(value, layout)| (slot_of[value], layout))
        .collect();
    let outputs: Vec<_> = outputs
        .into_iter()
        .map(|(value, layout)| (slot_of[value].unwrap_or_default(), layout))
        .collect();

    let bytes = |words: u64| words * 4;
    let largest = slots.iter().copied().max().unwrap_or(1);
    let all: u64 = slots.iter().copied().map(u64::from).sum();
    let result: u64 = outputs.iter().map(|(_, layout)| layout.words()).sum();
    let per_binding = limits.binding_bytes / bytes(u64::from(largest)).max(1);
    let per_result = limits.buffer_bytes / bytes(result).max(1);
    // One request must fit its bindings; more must also keep within the budget of memory.
    let per_memory = (limits.memory_bytes / bytes(all).max(1)).max(1);
    let requests = per_binding
        .min(per_result)
        .min(per_memory)
        .min(u64::from(limits.requests));
    if requests == 0 {
        return Err(format!(
            "its values need buffers of {} bytes for one request, and the device has at most {}",
            bytes(u64::from(largest).max(result)),
            limits.binding_bytes.min(limits.buffer_bytes)
        ));
    }
    Ok(Plan {
        steps,
        slots,
        constants,
        inputs,
        outputs,
        requests: requests as u32,
    })
}
