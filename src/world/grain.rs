//! How coarsely the store works, and on whose threads: what a simulation makes small, and does itself.

/// Who does what has to wait for a disk, or for a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// Threads of their own, so that nobody else waits.
    Own,
    /// Whoever asks, at once: one order of everything, so that a seed has one history.
    Callers,
}

/// The store's steps. Lengths are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grain {
    /// Who works.
    pub threads: Threads,
    /// The journal is begun anew past this length.
    pub journal_max: u64,
    /// So many zeros are written ahead in the journal at a time.
    pub journal_ahead: u64,
    /// Disk space is set aside in a volume in steps of so many bytes, so that a small disk is not promised away.
    pub allocate_step: u64,
    /// Changes of a rebuild that go into one transaction.
    pub rebuild_step: usize,
}

// === impl Grain ===

impl Grain {
    /// What a box works with.
    pub const OF_A_BOX: Self = Self {
        threads: Threads::Own,
        journal_max: 16 << 20,
        journal_ahead: 256 << 10,
        allocate_step: 64 << 20,
        rebuild_step: 5_000,
    };

    /// So fine that every crash meets the end of every step.
    pub const FINE: Self = Self { journal_max: 8 << 10, journal_ahead: 1 << 10, rebuild_step: 7, ..Self::OF_A_BOX };
}
