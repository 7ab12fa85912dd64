//! What many histories came to, for the line at the end.

use kandian::world::fake::Faults;

/// Counts of one history, or of many.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub seeds: u64,
    /// Power cuts, and kills of the process.
    pub cuts: u64,
    pub kills: u64,
    /// Power cuts while a store was being opened or its index made anew.
    pub cuts_in_recovery: u64,
    /// Seeds that had one.
    pub seeds_cut_in_recovery: u64,
    pub rebuilds: u64,
    /// Times that everything was held against the model.
    pub verified: u64,
    /// Operations that were acknowledged, refused, and whose end nobody knows.
    pub acknowledged: u64,
    pub refused: u64,
    pub unknown: u64,
    /// Alerts that platforms took, and attempts that they did not.
    pub delivered: u64,
    pub undelivered: u64,
    /// Files that overwrites took.
    pub overwritten: u64,
    pub faults: Faults,
    /// Seeds that were run twice and had the same history both times.
    pub repeated: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.cuts += other.cuts;
        self.kills += other.kills;
        self.cuts_in_recovery += other.cuts_in_recovery;
        self.seeds_cut_in_recovery += other.seeds_cut_in_recovery;
        self.rebuilds += other.rebuilds;
        self.verified += other.verified;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.delivered += other.delivered;
        self.undelivered += other.undelivered;
        self.overwritten += other.overwritten;
        self.repeated += other.repeated;
        self.faults.writes += other.faults.writes;
        self.faults.syncs += other.faults.syncs;
        self.faults.reads += other.faults.reads;
        self.faults.names += other.faults.names;
        self.faults.full += other.faults.full;
        self.faults.dead += other.faults.dead;
    }

    /// The share of seeds whose recovery was cut, in percent.
    pub fn percent_cut_in_recovery(&self) -> u64 {
        self.seeds_cut_in_recovery * 100 / self.seeds.max(1)
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Faults { writes, syncs, reads, names, full, dead } = self.faults;
        writeln!(
            f,
            "{} seeds: {} power cuts, {} kills, {} power cuts in recovery ({} % of the seeds), {} rebuilds, verified {} times",
            self.seeds,
            self.cuts,
            self.kills,
            self.cuts_in_recovery,
            self.percent_cut_in_recovery(),
            self.rebuilds,
            self.verified
        )?;
        writeln!(
            f,
            "operations: {} acknowledged, {} refused, {} with an unknown end; alerts: {} taken, {} attempts in vain; {} files overwritten",
            self.acknowledged, self.refused, self.unknown, self.delivered, self.undelivered, self.overwritten
        )?;
        write!(
            f,
            "faults: {writes} writes, {syncs} syncs, {reads} reads, {names} names, {full} without room, {dead} on a dead disk; {} seeds run twice with one history",
            self.repeated
        )
    }
}
