//! A process of the simulation: it may die at any call, or stop for a while and continue as if nothing had
//! happened.

use std::{
    future::{Future, pending},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tds_core::{
    error::{Error, Result},
    lock::lock,
};
use tokio::{sync::Notify, time::Instant};

use crate::world::World;

/// One process. Every call that it makes passes through its gate.
pub(crate) struct Process {
    pub(crate) number: u64,
    world: Arc<World>,
    life: Mutex<Life>,
    died: Notify,
}

#[derive(Default)]
struct Life {
    dead: bool,
    paused_until: Option<Instant>,
    /// The time when its calls to the store last failed, hung or were paused.
    troubled: Option<Instant>,
}

impl Process {
    pub(crate) fn new(number: u64, world: Arc<World>) -> Arc<Self> {
        Arc::new(Self { number, world, life: Mutex::default(), died: Notify::new() })
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        lock(&self.life)
    }

    /// Returns at once, or after a pause; never returns if the process is dead.
    pub(crate) async fn gate(&self) {
        loop {
            let until = {
                let life = self.life();
                if life.dead { None } else { Some(life.paused_until.filter(|until| *until > Instant::now())) }
            };
            match until {
                None => pending::<()>().await,
                Some(None) => return,
                Some(Some(until)) => tokio::time::sleep_until(until).await,
            }
        }
    }

    pub(crate) fn die(&self) {
        self.life().dead = true;
        self.world.note("death", [self.number, 0], || format!("of process {}", self.number));
        self.died.notify_one();
    }

    pub(crate) async fn wait_for_death(&self) {
        self.died.notified().await;
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.life().dead
    }

    /// Stops everything in this process for a while.
    pub(crate) fn pause(&self, duration: Duration) {
        let until = Instant::now() + duration;
        let mut life = self.life();
        // A caller that already waits continues at the end of the longer pause.
        let until = life.paused_until.map_or(until, |other| other.max(until));
        life.paused_until = Some(until);
        life.troubled = Some(until);
    }

    pub(crate) fn wake(&self) {
        self.life().paused_until = None;
    }

    /// Returns true if the process had no trouble with its store for this time.
    pub(crate) fn is_sound_for(&self, duration: Duration) -> bool {
        let life = self.life();
        !life.dead && life.troubled.is_none_or(|troubled| troubled + duration < Instant::now())
    }

    fn troubled(&self) {
        let now = Instant::now();
        let mut life = self.life();
        life.troubled = life.troubled.max(Some(now));
    }

    /// Makes a call to the store. The call may be refused or late, its outcome may be unknown, or the process may die
    /// in it.
    pub(crate) async fn call<T>(
        &self,
        what: &'static str,
        effect: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.gate().await;
        let (world, plan) = (&self.world, &self.world.plan);
        if world.strikes("store delay", plan.store_delay) {
            self.troubled();
            tokio::time::sleep(world.dice.millis(8_000)).await;
            self.troubled();
        }
        if world.strikes("store error", plan.store_error) {
            self.troubled();
            return Err(Error::unavailable("the store is away"));
        }
        if world.strikes("death before a call", plan.store_death) {
            self.die();
        }
        self.gate().await;
        let result = effect.await;
        world.note(what, [self.number, u64::from(result.is_ok())], || format!("by process {}", self.number));
        if world.strikes("death after a call", plan.store_death) {
            self.die();
        }
        self.gate().await;
        if result.is_ok() && world.strikes("outcome unknown", plan.store_unknown) {
            self.troubled();
            return Err(Error::unavailable("the store's answer was lost"));
        }
        result
    }
}
