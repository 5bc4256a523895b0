//! The changes at the source, and the webhooks of these changes, some of which are lost.

use std::{sync::Arc, time::Duration};

use tds_zoho::testkit::{Module, webhook};
use tokio::time::sleep;

use crate::{
    dice::Dice,
    letters::{self, Letter},
    process::SECRET,
    world::World,
};

/// Sends a delivery once to one process; returns true if it was accepted.
pub(crate) async fn send(world: &World, process: usize, letter: &Letter) -> bool {
    let since = world.journal.now();
    let base = world.processes[process].base();
    let receipt = webhook::deliver(&letter.delivery, base, SECRET, letter.form).await;
    let path = &letter.delivery.entity_path;
    let status = match receipt {
        Ok(receipt) if receipt.status == 200 => match letters::read(&receipt.body) {
            Some((event_id, accepted)) => {
                if let Some((subject, number)) = &letter.announces {
                    world.source.was_announced(subject, *number);
                }
                world.letters.was_accepted(&event_id, accepted);
                world.journal.count("webhook accepted");
                return true;
            }
            None => format!("200 with {}", receipt.body),
        },
        Ok(receipt) => format!("{}: {}", receipt.status, receipt.body),
        // The time of an answer depends on the machine, so a missing answer is no fault.
        Err(_) => {
            world.journal.count("webhook without an answer");
            return false;
        }
    };
    world.journal.count("webhook refused");
    if world.was_calm(process, since) {
        let name = world.processes[process].name;
        world
            .journal
            .wrong("a webhook is refused in calm conditions", format!("{path} to process {name}: {status}"));
    }
    false
}

/// Sends the waiting deliveries in any order. Zoho repeats some of the deliveries that were not answered, and gives up
/// the others.
pub(crate) async fn deliver(world: Arc<World>, mut dice: Dice) {
    while !world.is_over() {
        let letter =
            if dice.percent(3) { Some(letters::odd(&mut dice)) } else { world.letters.take(&mut dice) };
        if let Some(letter) = letter
            && !send(&world, dice.below(2), &letter).await
            && dice.percent(70)
        {
            world.letters.post(letter);
        }
        sleep(dice.millis(5, 60)).await;
    }
}

/// Changes records at the source. Some changes are sent once, some twice, and some not at all.
pub(crate) async fn change(world: Arc<World>, mut dice: Dice) {
    while !world.is_over() {
        if let Some(change) = world.source.change(&mut dice) {
            for _ in 0..dice.pick(&[0, 0, 1, 1, 1, 2]) {
                world.letters.post(letters::about(&world.source, &change, &mut dice));
            }
        }
        sleep(dice.millis(10, 90)).await;
    }
}

/// Sends bursts of one record: several of its versions within milliseconds, in any order, to both processes.
pub(crate) async fn burst(world: Arc<World>, mut dice: Dice) {
    while !world.is_over() {
        let (module, path) = dice.pick(&[
            (Module::ITEMS, "products"),
            (Module::ITEMS, "products"),
            (Module::INVOICES, "invoices"),
        ]);
        let Some(id) = world.source.pick(&mut dice, module) else { continue };
        let mut burst = Vec::new();
        for _ in 0..=dice.below(2) {
            if let Some(change) = world.source.update(module, path, &id) {
                burst.push(letters::plain(&world.source, &change));
                burst.push(letters::about(&world.source, &change, &mut dice));
            }
        }
        // Each delivery is sent once more, the newest first.
        burst.extend(burst.clone().into_iter().rev());
        let sent = burst.into_iter().map(|letter| {
            let (process, after) = (dice.below(2), dice.millis(0, 12));
            let world = Arc::clone(&world);
            async move {
                sleep(after).await;
                send(&world, process, &letter).await;
            }
        });
        futures_util::future::join_all(sent.collect::<Vec<_>>()).await;
        world.journal.count("burst");
        sleep(dice.millis(20, 200)).await;
    }
}

/// Sends a state that comes back: A, B, A. The mirror must show the last state only if all three were accepted.
pub(crate) async fn return_to_a_state(world: Arc<World>, mut dice: Dice) {
    let mut round = 0;
    while !world.is_over() {
        round += 1;
        let Some(id) = world.source.pick(&mut dice, Module::ITEMS) else { continue };
        let process = dice.below(2);
        let mut all = true;
        for state in ["A", "B", "A"] {
            let Some(change) = world.source.put_state(&id, &format!("state {state} of round {round}")) else {
                break;
            };
            let mut letter = letters::plain(&world.source, &change);
            letter.announces = letter.announces.filter(|_| all);
            all = send(&world, process, &letter).await && all;
            sleep(dice.millis(0, 250)).await;
        }
        world.journal.count("state that came back");
        world.rest(Duration::from_millis(400)).await;
    }
}
