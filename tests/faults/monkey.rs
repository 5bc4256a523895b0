//! The monkey test itself.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use crate::{
    crowd, database, dice::Dice, journal::report, operators, outages, processes, readers, rest, senders,
    world::World,
};

/// The longest time that the disturbances may take to end.
const LAST_DEED: Duration = Duration::from_secs(90);

/// Disturbs everything for this many seconds, and then judges the result.
async fn disturbs(seed: u64, seconds: u64) {
    let world = World::open(seed, seconds).await;
    let parts = [
        tokio::spawn(senders::deliver(Arc::clone(&world), Dice::of(seed, 1))),
        tokio::spawn(senders::deliver(Arc::clone(&world), Dice::of(seed, 2))),
        tokio::spawn(senders::deliver(Arc::clone(&world), Dice::of(seed, 3))),
        tokio::spawn(senders::change(Arc::clone(&world), Dice::of(seed, 4))),
        tokio::spawn(senders::burst(Arc::clone(&world), Dice::of(seed, 5))),
        tokio::spawn(senders::return_to_a_state(Arc::clone(&world), Dice::of(seed, 6))),
        tokio::spawn(processes::disturb(Arc::clone(&world), Dice::of(seed, 7))),
        tokio::spawn(database::disturb(Arc::clone(&world), Dice::of(seed, 8))),
        tokio::spawn(outages::disturb(Arc::clone(&world), Dice::of(seed, 9))),
        tokio::spawn(operators::work(Arc::clone(&world), Dice::of(seed, 10))),
        tokio::spawn(readers::read(Arc::clone(&world), Dice::of(seed, 11))),
        tokio::spawn(readers::read(Arc::clone(&world), Dice::of(seed, 12))),
        tokio::spawn(crowd::count(Arc::clone(&world))),
    ];
    sleep(Duration::from_secs(seconds)).await;
    world.end();
    for part in parts {
        timeout(LAST_DEED, part)
            .await
            .expect("a part of the monkey ends in time")
            .expect("it does not panic");
    }
    let (faults, _) = rest::judge(&world).await;
    let accepted = world.letters.accepted().len();
    let summary = format!("seed {seed}, {seconds} s, {accepted} accepted events: {}", world.journal.counts());
    assert!(
        faults.is_empty(),
        "\n{}\n{summary}\nthe last actions:\n{}\nlog of process one:\n{}\nlog of process two:\n{}\n\nagain: TDS_MONKEY_SEED={seed} \
         TDS_MONKEY_SECONDS={seconds} cargo test -p tests --test faults two_processes_survive_a_monkey -- --nocapture\n",
        report(&faults),
        world.journal.last(),
        world.processes[0].end_of_log(20),
        world.processes[1].end_of_log(20),
    );
    #[expect(clippy::print_stderr, reason = "shown with --nocapture")]
    {
        eprintln!("nothing is wrong. {summary}");
    }
    close(world).await;
}

/// Stops the server in order. If anything else still holds the world, the server ends when the last holder drops it.
pub(crate) async fn close(world: Arc<World>) {
    if let Some(world) = Arc::into_inner(world) {
        world.cluster.stop().await;
    }
}

/// Returns a number from the environment.
pub(crate) fn given(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_survive_a_monkey() {
    let (seed, seconds) = (given("TDS_MONKEY_SEED"), given("TDS_MONKEY_SECONDS"));
    disturbs(seed.unwrap_or(20_261_127), seconds.unwrap_or(25)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_seed_of_the_monkey_ends_the_same_way() {
    disturbs(7, 12).await;
}
