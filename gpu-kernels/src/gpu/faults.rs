//! Faults that tests inject. Without tests there are none: [`Faults::due`] is `false`.

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device is destroyed before a run's work is submitted.
    LostBeforeSubmit,
    /// The device is destroyed after a run's work was submitted.
    LostAfterSubmit,
    /// One byte of the self-test's result is another.
    WrongResult,
}

/// Faults yet to come.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    #[cfg(test)]
    pending: std::sync::Arc<std::sync::Mutex<Vec<Fault>>>,
}

impl Faults {
    /// Whether `fault` happens now; each happens once.
    #[cfg(not(test))]
    pub fn due(&self, _: Fault) -> bool {
        false
    }

    /// Whether `fault` happens now; each happens once.
    #[cfg(test)]
    pub fn due(&self, fault: Fault) -> bool {
        let mut pending = self.pending.lock().unwrap();
        let at = pending.iter().position(|other| *other == fault);
        at.map(|at| pending.remove(at)).is_some()
    }

    /// Makes `fault` happen once more.
    #[cfg(test)]
    pub fn inject(&self, fault: Fault) {
        self.pending.lock().unwrap().push(fault);
    }

    /// Whether all that were injected have happened.
    #[cfg(test)]
    pub fn exhausted(&self) -> bool {
        self.pending.lock().unwrap().is_empty()
    }
}
