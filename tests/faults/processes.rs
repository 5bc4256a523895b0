//! Disturbances of the processes: they die, stand still, or lose their connections to the database.

use std::{sync::Arc, time::Duration};

use crate::{
    dice::Dice,
    weather::Part,
    world::{LEASE, World},
};

/// The time, in milliseconds, that a process counts as disturbed after it is back.
const TRACES: u64 = 3_000;

#[derive(Clone, Copy, Debug)]
enum Deed {
    Kill,
    StandStill,
    Terminate,
    Freeze,
    Cut,
    Delay,
}

/// Causes one disturbance after the other; each kind has its turn.
pub(crate) async fn disturb(world: Arc<World>, mut dice: Dice) {
    use Deed::{Cut, Delay, Freeze, Kill, StandStill, Terminate};
    while !world.is_over() {
        for deed in dice.shuffled(&[Kill, StandStill, Cut, Kill, Freeze, Delay, Terminate]) {
            world.rest(dice.millis(600, 2_500)).await;
            if world.is_over() {
                return;
            }
            once(&world, &mut dice, deed).await;
        }
    }
}

async fn once(world: &World, dice: &mut Dice, deed: Deed) {
    let index = dice.below(2);
    let (process, relay, part) = (&world.processes[index], &world.relays[index], Part::Process(index));
    // The duration is not known until the disturbance is over.
    world.storm(part, 120_000);
    let began = world.journal.now();
    let about = match deed {
        Deed::Kill => {
            let down = dice.millis(0, 1_500);
            process.kill().await;
            world.rest(down).await;
            back(world, index).await;
            format!("kill -9 of process {}, down for {down:?}", process.name)
        }
        Deed::StandStill => {
            let still = LEASE + dice.millis(500, 2_500);
            process.signal("STOP").await;
            world.rest(still).await;
            process.signal("CONT").await;
            format!("process {} stood still for {still:?}", process.name)
        }
        Deed::Terminate => {
            if let Err(why) = process.terminate().await {
                world
                    .journal
                    .wrong("a process does not end in order", format!("{why}; {}", process.end_of_log(5)));
                process.kill().await;
            }
            back(world, index).await;
            format!("process {} was asked to end and started again", process.name)
        }
        Deed::Freeze => {
            let frozen = dice.millis(500, 6_000);
            relay.freeze();
            world.rest(frozen).await;
            if dice.percent(50) {
                relay.thaw()
            } else {
                relay.cut()
            }
            relay.thaw();
            format!("the connections of process {} were frozen for {frozen:?}", process.name)
        }
        Deed::Cut => {
            relay.cut();
            relay.refuse(true);
            world.rest(dice.millis(0, 1_500)).await;
            relay.refuse(false);
            format!("the connections of process {} were reset", process.name)
        }
        Deed::Delay => {
            let delay = dice.millis(5, 60);
            relay.delay(delay);
            world.rest(dice.millis(1_000, 3_000)).await;
            relay.delay(Duration::ZERO);
            format!("the way of process {} took {delay:?} longer", process.name)
        }
    };
    world.weather.clear(&world.journal, part, TRACES);
    let took = world.journal.now() - began;
    world.journal.did(&format!("{deed:?}").to_lowercase(), format!("{about} (in all {took} ms)"));
}

/// Starts the process again if it does not run, and waits until it is ready.
pub(crate) async fn back(world: &World, index: usize) {
    let process = &world.processes[index];
    if let Err(why) = process.ensure().await {
        world.journal.wrong("a process ends by itself", format!("{why}; {}", process.end_of_log(8)));
    }
}
