//! One history of a box on a simulated disk, by its seed: operations, faults, crashes in the middle of anything, starts,
//! and after each start everything held against a model of what must be true.

pub mod chance;
pub mod model;
mod outbox;
pub mod rig;
pub mod tally;
mod uploads;
mod verify;
mod workload;

use std::path::Path;

use kandian::engine::Engine;
use kandian::world::Disk;
use kandian::world::fake::Fate;
use tokio::runtime::Runtime;

use self::chance::{Chance, Digest};
use self::model::Model;
use self::outbox::Manner;
use self::rig::{CAPACITY, Rig, SECOND, Scale, Template};
use self::tally::Tally;
use self::verify::{see_alerts, verify};
use self::workload::Run;

const FATES: [Fate; 4] = [Fate::LoseAll, Fate::KeepAll, Fate::Random, Fate::Torn];
/// One seed in so many has a long history with large files.
const LONG_ONE_IN: u64 = 256;
/// One in so many begins with nothing, so that the first start is cut too.
const NEW_ONE_IN: u64 = 16;

/// What histories are played with: stores just begun, and what runs them. One a thread.
pub struct Stage {
    runtime: Runtime,
    small: Template,
    large: Template,
}

/// What one history came to.
pub struct Told {
    pub tally: Tally,
    /// A sum over all that was done and seen, and over every operation of the disk where that was traced.
    pub digest: Digest,
}

/// How a history goes.
struct Plan {
    rounds: u64,
    steps: u64,
    /// Operations of the disk after which the power goes, most.
    cut: u64,
    names: u64,
    verbose: bool,
}

/// A history under way.
struct History<'a> {
    stage: &'a Stage,
    rig: Rig,
    chance: Chance,
    model: Model,
    tally: Tally,
    digest: Digest,
    plan: Plan,
}

impl Stage {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let small = Template::new(Scale::SMALL, &runtime);
        let large = Template::new(Scale::LARGE, &runtime);
        Self { runtime, small, large }
    }

    /// Plays the history of a seed; panics where something is not as it must be.
    pub fn play(&self, seed: u64, traced: bool, verbose: bool) -> Told {
        let mut chance = Chance(seed);
        let long = chance.one_in(LONG_ONE_IN);
        let template = if long { &self.large } else { &self.small };
        let (rig, subs) = template.rig(seed);
        let plan = match long {
            true => Plan { rounds: 4, steps: 100, cut: 300, names: 24, verbose },
            false => {
                let rounds = 1 + chance.below(2);
                Plan { rounds, steps: 2 + chance.below(16), cut: 60, names: 2 + chance.below(6), verbose }
            }
        };
        let model = Model { subs, ..Model::default() };
        let (tally, digest) = (Tally { seeds: 1, ..Tally::default() }, Digest::default());
        let mut history = History { stage: self, rig, chance, model, tally, digest, plan };
        if traced {
            history.rig.disk.begin_trace(verbose);
        }
        history.play(seed);
        history.tally.faults = history.rig.disk.faults();
        history.tally.seeds_cut_in_recovery = u64::from(history.tally.cuts_in_recovery > 0);
        history.digest.add(history.rig.disk.trace());
        Told { tally: history.tally, digest: history.digest }
    }
}

impl History<'_> {
    fn say(&self, what: impl FnOnce() -> String) {
        if self.plan.verbose {
            for line in self.rig.disk.told() {
                println!("      {line}");
            }
            println!("{}", what());
        }
    }

    fn play(&mut self, seed: u64) {
        let mut engine = match self.chance.one_in(NEW_ONE_IN) {
            true => self.begin(seed),
            false => self.rig.open().expect("nothing is wrong with the disk"),
        };
        let stage = self.stage;
        stage.runtime.block_on(self.run(&engine).prepare());
        for round in 0..self.plan.rounds {
            self.say(|| format!("round {round}"));
            let troubled = self.order_trouble();
            self.work(&engine);
            self.end(engine, troubled);
            engine = self.come_back();
        }
        if self.chance.one_in(4) {
            self.drain(&engine);
        }
        if self.chance.one_in(16) {
            // A good end.
            self.stage.runtime.block_on(engine.close()).expect("nothing is wrong with the disk");
            drop(engine);
            let engine = self.rig.open().expect("nothing is wrong with the disk");
            self.verify(&engine, false);
        }
    }

    /// A store that is begun on empty disks, with power cuts in between.
    fn begin(&mut self, seed: u64) -> Engine {
        self.say(|| "from nothing".to_owned());
        self.rig = Rig::new(seed, self.rig.scale);
        for _ in 0..2 {
            self.rig.disk.fail_after(self.chance.below(60));
            let opened = self.rig.open();
            self.cut(true);
            drop(opened);
        }
        let engine = self.rig.open().unwrap_or_else(|e| panic!("a store that was cut when it was begun: {e}"));
        self.model.subs = self.stage.runtime.block_on(self.rig.furnish(&engine)).expect("nothing is wrong");
        engine
    }

    /// Says what will go wrong in the next stretch; whether anything but the power may.
    fn order_trouble(&mut self) -> bool {
        let (disk, chance) = (&self.rig.disk, &mut self.chance);
        let (_, free) = Disk::space(&**disk, Path::new("/data")).expect("nothing is wrong with the disk yet");
        if chance.one_in(5) {
            disk.fail_after(u64::MAX);
        } else {
            disk.fail_after(chance.below(self.plan.cut));
        }
        match chance.below(16) {
            0..3 => disk.fail_operation(chance.below(self.plan.cut / 2), chance.word()),
            3 => disk.die_after(Path::new(SECOND), chance.below(self.plan.cut / 2)),
            4 => {
                disk.set_capacity(CAPACITY - free + chance.below(400_000));
            }
            5 => {
                let at = chance.below(200_000);
                disk.fail_reads(".kdv", at..at + 16_000);
            }
            _ => return false,
        }
        true
    }

    fn run<'r>(&'r mut self, engine: &'r Engine) -> Run<'r> {
        Run {
            rig: &self.rig,
            engine,
            model: &mut self.model,
            chance: &mut self.chance,
            tally: &mut self.tally,
            digest: &mut self.digest,
            names: self.plan.names,
            verbose: self.plan.verbose,
        }
    }

    fn work(&mut self, engine: &Engine) {
        let (stage, steps) = (self.stage, self.plan.steps);
        stage.runtime.block_on(self.run(engine).steps(steps));
    }

    /// Cuts the power, or finds it cut, and boots.
    fn cut(&mut self, in_recovery: bool) {
        let fate = *self.chance.pick(&FATES);
        let happened = self.rig.disk.is_cut();
        self.say(|| format!("cut, {fate:?}, in recovery: {in_recovery}, in the middle: {happened}"));
        self.rig.disk.crash(self.chance.word(), fate);
        self.tally.cuts += 1;
        self.tally.cuts_in_recovery += u64::from(in_recovery && happened);
    }

    /// The process ends, in some way.
    fn end(&mut self, engine: Engine, troubled: bool) {
        let cut = self.rig.disk.is_cut();
        if !cut && self.chance.one_in(if troubled { 2 } else { 3 }) {
            self.say(|| "killed".to_owned());
            self.rig.disk.kill();
            self.tally.kills += 1;
            drop(engine);
        } else {
            self.cut(false);
            // What is left of the old engine finds no disk any more.
            drop(engine);
        }
        if troubled && self.chance.one_in(2) {
            // It is started while things are still wrong. It may refuse to; it must not lose anything by that.
            let opened = self.rig.open();
            self.say(|| format!("started in trouble: {:?}", opened.as_ref().err().map(ToString::to_string)));
            self.rig.disk.kill();
            self.tally.kills += 1;
            drop(opened);
        }
        self.rig.disk.mend();
        self.rig.disk.set_capacity(CAPACITY);
    }

    /// Opens the store again, with power cuts and errors in between, and holds it against the model.
    fn come_back(&mut self) -> Engine {
        let anew = self.chance.one_in(6);
        if anew {
            self.rebuild();
        }
        for _ in 0..3 {
            if !self.chance.one_in(3) {
                break;
            }
            let ill = self.chance.one_in(4);
            if ill {
                self.rig.disk.fail_operation(self.chance.below(24), self.chance.word());
            } else {
                self.rig.disk.fail_after(self.chance.below(24));
            }
            let opened = self.rig.open();
            if ill && self.chance.one_in(2) {
                self.say(|| "killed in recovery".to_owned());
                self.rig.disk.kill();
                self.tally.kills += 1;
            } else {
                self.cut(true);
            }
            drop(opened);
            self.rig.disk.mend();
        }
        let engine = self.rig.open().unwrap_or_else(|e| panic!("it does not open: {e}"));
        self.verify(&engine, anew);
        engine
    }

    fn rebuild(&mut self) {
        self.say(|| "the index is lost".to_owned());
        self.tally.rebuilds += 1;
        self.rig.lose_index();
        while self.chance.one_in(3) {
            if self.chance.one_in(4) {
                self.rig.disk.fail_operation(self.chance.below(40), self.chance.word());
            } else {
                self.rig.disk.fail_after(self.chance.below(40));
            }
            // It may have come to its end.
            let _ = self.rig.rebuild();
            self.cut(true);
            self.rig.disk.mend();
            self.rig.lose_index();
        }
        self.rig.rebuild().unwrap_or_else(|e| panic!("rebuild: {e}"));
    }

    fn verify(&mut self, engine: &Engine, anew: bool) {
        self.say(|| "verified".to_owned());
        let how = (anew, self.chance.one_in(2));
        let (rig, model) = (&self.rig, &mut self.model);
        self.stage.runtime.block_on(verify((engine, rig), model, how, &mut self.tally, &mut self.digest));
        self.digest.add(self.rig.disk.ops());
    }

    /// A platform that takes everything gets every alert that waits.
    fn drain(&mut self, engine: &Engine) {
        self.say(|| "the outbox is emptied".to_owned());
        self.rig.platform.state().manner = Manner::Takes;
        let (rig, model, tally) = (&self.rig, &mut self.model, &mut self.tally);
        self.stage.runtime.block_on(async {
            for _ in 0..64 {
                rig.clock.advance(std::time::Duration::from_secs(301));
                engine.tick(kandian::engine::Chore::Deliver).await.expect("nothing is wrong with the disk");
                see_alerts(engine, rig, model, tally).await.expect("the outbox can be read");
                if !model.alarms.values().any(|alarm| alarm.state == "pending") {
                    return;
                }
            }
            panic!("alerts that nobody delivers: {:?}", model.alarms);
        });
    }
}
