//! The world and its random steps.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fastrand::Rng;

use super::{
    super::{Input, Output, Urgency},
    Order,
    cluster::{Cluster, Patch, object, order},
    plan::{Plan, settle, urgency},
    replica::{DeadLetters, Replica},
    server::{Event, GAP, Server},
};

pub(super) struct World {
    pub(super) now: Duration,
    pub(super) rng: Rng,
    pub(super) plan: Plan,
    pub(super) server: Server,
    pub(super) cluster: Cluster,
    pub(super) replicas: Vec<Replica>,
    /// Which newer event answers for an event at an object, since its message was acked.
    pub(super) answers: BTreeMap<(usize, Order), Order>,
    /// The same for its restart of a workload.
    pub(super) restart_answers: BTreeMap<(usize, Order), Order>,
    /// What was not restarted for a reason.
    pub(super) not_restarted: BTreeSet<(usize, Order)>,
    processes: u64,
    /// Whether a process has ended.
    pub(super) ended: bool,
    verbose: bool,
}

impl World {
    pub(super) fn new(seed: u64, verbose: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let plan = Plan::new(&mut rng);
        let mut world = Self {
            now: Duration::from_secs(rng.u64(..100)),
            rng,
            server: Server {
                takes_dead_letters: true,
                ..Server::default()
            },
            cluster: Cluster::new(&plan.stuck, plan.workloads.len()),
            replicas: Vec::new(),
            plan,
            answers: BTreeMap::new(),
            restart_answers: BTreeMap::new(),
            not_restarted: BTreeSet::new(),
            processes: 0,
            ended: false,
            verbose,
        };
        world.start_replicas();
        world
    }

    pub(super) fn run(&mut self) {
        for _ in 0..self.plan.steps {
            match self.rng.u8(..100) {
                0..15 => self.publish(),
                15..40 => self.deliver(),
                40..58 => self.answer_a_patch(),
                58..62 => self.answer_a_restart(),
                62..70 => self.watch(),
                70..72 => self.roll_out(),
                72..74 => self.store_dead_letters(),
                74..76 => self.answer_a_probe(),
                76..79 => self.look(),
                79..81 => self.strip(),
                81..90 => self.wait(),
                90..92 => self.cluster.is_away = !self.cluster.is_away,
                92 => self.permit(),
                93 => self.relist(),
                _ if self.plan.calm => {}
                95 if self.plan.misses => self.miss(),
                94 | 95 => self.trouble(),
                96 => self.crash(),
                97 => self.stop(),
                98 => self.apply_late(),
                _ => self.start_replicas(),
            }
        }
    }

    fn publish(&mut self) {
        if self.server.published() == self.plan.messages {
            return;
        }
        let events = (0..self.rng.usize(1..=3))
            .map(|_| Event {
                objects: (0..self.plan.objects).filter(|_| self.rng.bool()).collect(),
                undecodable: self.rng.u8(..12) == 0,
                settle: settle(&mut self.rng, self.plan.settles),
                urgency: urgency(&mut self.rng),
                restarts: self.rng.u8(..4) > 0,
            })
            .collect();
        let poisonous = !self.plan.calm && self.rng.u8(..20) == 0;
        self.server.publish(self.now, events, poisonous);
    }

    /// The cluster was down for too long: messages are removed.
    fn miss(&mut self) {
        if !self.server.has_gap() {
            let everything = Event {
                objects: (0..self.plan.objects).collect(),
                undecodable: false,
                settle: None,
                urgency: Urgency::Mass("gap".parse().unwrap()),
                restarts: false,
            };
            self.server.remove(self.now, everything);
        }
    }

    fn deliver(&mut self) {
        let available = self.server.available(self.now);
        if self.replicas.is_empty() {
            return;
        }
        let replica = &self.replicas[self.rng.usize(..self.replicas.len())];
        if available.is_empty() {
            let process = replica.process;
            return self.tell(process, Input::CaughtUp);
        }
        // An open pull request still brings deliveries when there is no capacity any more.
        let pulled_before =
            self.rng.u8(..8) == 0 && replica.at_work() < self.plan.settings.max_deliveries;
        if replica.engine.capacity() > 0 || pulled_before {
            let any = self.rng.usize(..available.len());
            let sequence = available[if self.plan.calm { 0 } else { any }];
            self.deliver_to(replica.process, sequence);
        }
    }

    pub(super) fn deliver_to(&mut self, process: u64, sequence: u64) {
        let attempt = self.server.deliver(self.now, sequence);
        let pending = self.server.available(self.now).len() as u64;
        let unlucky = !self.plan.calm && self.rng.u8(..50) == 0;
        let Some(replica) = self.replicas.iter_mut().find(|it| it.process == process) else {
            return;
        };
        let message = self.server.message(sequence);
        let input = if message.poisonous || unlucky {
            replica.hold(self.now, sequence, attempt, None);
            Input::Panicked { sequence, attempt }
        } else {
            let delivery =
                replica.matched(self.now, sequence, attempt, pending, message, &self.plan);
            if !replica.held.contains_key(&sequence) {
                replica.expect_report(&delivery);
                replica.note_follows(&delivery);
            }
            replica.hold(self.now, sequence, attempt, Some(&delivery));
            // An object that appears after a gap was found needs no refresh for it.
            if sequence != GAP {
                replica.taken.insert(sequence, attempt);
            }
            Input::Delivery(delivery)
        };
        self.tell(process, input);
    }

    pub(super) fn store_dead_letters(&mut self) {
        let stored = self.server.takes_dead_letters;
        let waiting: Vec<_> = self
            .replicas
            .iter()
            .flat_map(|it| {
                it.dead_letters()
                    .into_iter()
                    .map(|sequence| (it.process, sequence))
            })
            .collect();
        for (process, sequence) in waiting {
            let Some(replica) = self.replicas.iter_mut().find(|it| it.process == process) else {
                continue;
            };
            if let Some(holding) = replica.held.get_mut(&sequence)
                && let DeadLetters::Sent(dead_letters) =
                    std::mem::replace(&mut holding.dead_letters, DeadLetters::Lost)
                && stored
            {
                let indices = dead_letters.iter().map(|letter| letter.index);
                self.server.message_mut(sequence).dead.extend(indices);
                holding.dead_letters = DeadLetters::Stored(dead_letters);
            }
            self.tell(process, Input::DeadLettered { sequence, stored });
            self.match_recent(process);
        }
    }

    fn wait(&mut self) {
        let seconds = [0.02, 0.3, 2.0, 9.0, 70.0][self.rng.usize(..5)] * self.rng.f64();
        self.advance_to(self.now + Duration::from_secs_f64(seconds));
    }

    /// Advances the time, with a tick for each engine when it is due.
    pub(super) fn advance_to(&mut self, then: Duration) {
        loop {
            let wakes = self
                .replicas
                .iter()
                .filter_map(|it| Some((it.engine.wake_at()?, it.process)));
            match wakes.min() {
                Some((at, process)) if at <= then => {
                    self.now = self.now.max(at);
                    self.tell(process, Input::Tick);
                }
                _ => break,
            }
        }
        self.now = then;
    }

    fn crash(&mut self) {
        if !self.replicas.is_empty() {
            let any = self.rng.usize(..self.replicas.len());
            self.end(any);
        }
    }

    /// The process ends, and its state is lost.
    fn end(&mut self, at: usize) {
        self.replicas.swap_remove(at);
        self.ended = true;
    }

    fn stop(&mut self) {
        if !self.replicas.is_empty() {
            let any = self.rng.usize(..self.replicas.len());
            let replica = &mut self.replicas[any];
            replica.stopping = true;
            let process = replica.process;
            self.tell(process, Input::Stop);
        }
    }

    fn trouble(&mut self) {
        let any = self.rng.usize(..self.plan.objects);
        match self.rng.u8(..3) {
            0 => self.server.takes_dead_letters ^= true,
            1 => self.cluster.objects[any].refuses ^= true,
            _ => {
                // A deleted object may be created again before the watch shows it.
                for _ in 0..self.rng.u8(1..=2) {
                    self.cluster.toggle(self.now, any);
                    self.show(any);
                }
            }
        }
    }

    /// Revokes or grants the permission to patch an object.
    fn permit(&mut self) {
        let any = self.rng.usize(..self.plan.objects);
        self.cluster.objects[any].forbidden ^= true;
    }

    pub(super) fn start_replicas(&mut self) {
        while self.replicas.iter().filter(|it| !it.stopping).count() < self.plan.replicas {
            self.processes += 1;
            self.replicas
                .push(Replica::new(self.processes, &self.plan, &self.cluster));
        }
    }

    pub(super) fn processes(&self) -> BTreeSet<u64> {
        self.replicas.iter().map(|it| it.process).collect()
    }

    /// Gives an engine an input, executes its outputs, and checks its promises.
    pub(super) fn tell(&mut self, process: u64, input: Input) {
        let Some(at) = self.replicas.iter().position(|it| it.process == process) else {
            return;
        };
        if self.verbose {
            eprintln!("{:?} {process} <- {input:?}", self.now);
        }
        self.replicas[at].engine.handle(self.now, input);
        self.note_answers(at);
        self.note_restart_answers(at);
        while let Some(output) = self.replicas[at].engine.next_output() {
            if self.verbose {
                eprintln!("{:?} {process}   -> {output:?}", self.now);
            }
            self.check_output(at, &output);
            self.execute(at, output);
        }
        self.check(at);
        let replica = &self.replicas[at];
        if replica.stopping && replica.engine.is_idle() {
            self.end(at);
        } else if self.rng.f64() < self.plan.crashes {
            self.end(at);
            self.start_replicas();
        }
    }

    fn execute(&mut self, at: usize, output: Output) {
        let lost = !self.plan.calm && self.rng.u8(..30) == 0;
        let replica = &mut self.replicas[at];
        let acked = |sequence| replica.held.get(sequence).is_some_and(|it| it.acked);
        let lost = match &output {
            Output::Ack(sequence) | Output::Term { sequence, .. } => lost || acked(sequence),
            Output::Nak { sequence, .. } => {
                let lost = lost || acked(sequence);
                replica.taken.remove(sequence);
                lost
            }
            Output::Park { .. } | Output::Recall(_) => lost,
            _ => false,
        };
        match output {
            Output::Restart { .. } => self.start_restart(at, &output),
            Output::Park { sequence, delay } => {
                if let Some(holding) = replica.held.get_mut(&sequence) {
                    holding.parked = true;
                }
                if !lost {
                    self.server.nak(self.now, sequence, delay);
                }
            }
            Output::Recall(sequence) if !lost => {
                self.server.nak(self.now, sequence, Duration::ZERO);
            }
            Output::Recall(_) | Output::Rollout { .. } => {}
            Output::Patch { target, value } => {
                let patch = Patch {
                    process: replica.process,
                    object: object(&target),
                    order: order(value.event),
                    stage: value.stage,
                    steps: replica.steps(object(&target), &self.plan),
                    sent: self.now,
                };
                if replica.failing.contains_key(&patch.object) {
                    replica.suspects.insert(patch.object);
                }
                replica.in_flight.push(patch);
                replica.started.push(self.now);
                self.cluster.patches.push(patch);
            }
            Output::Ack(sequence)
            | Output::Term { sequence, .. }
            | Output::Nak { sequence, .. }
                if lost =>
            {
                replica.forget(sequence);
            }
            Output::Ack(sequence) => {
                replica.forget(sequence);
                self.server.ack(sequence);
            }
            Output::Term { sequence, .. } => {
                replica.forget(sequence);
                self.server.term(sequence);
            }
            Output::Nak { sequence, delay } => {
                replica.forget(sequence);
                self.server
                    .nak(self.now, sequence, delay.unwrap_or_default());
            }
            Output::DeadLetter {
                sequence,
                rejections,
                ..
            } => {
                if let Some(holding) = replica.held.get_mut(&sequence) {
                    holding.dead_letters = DeadLetters::Sent(rejections);
                }
            }
            Output::Progress(sequence) => {
                if let Some(holding) = replica.held.get_mut(&sequence) {
                    holding.heard = self.now;
                }
                if !replica.held.get(&sequence).is_some_and(|it| it.acked) {
                    self.server.progress(self.now, sequence);
                }
            }
            Output::Probe => {
                replica.health.probing = true;
                self.cluster.probes.push(replica.process);
            }
            Output::Step {
                event,
                target,
                step,
                ..
            } => self.note_step(at, &target, order(event), step),
        }
    }
}
