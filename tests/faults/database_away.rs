//! The database is frozen, fails over and takes no writes, in turn, while two processes work all the time. Every
//! request is answered in time, everything that was accepted ends, and no operator restarts anything.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use tds_core::lock::lock;
use tds_zoho::testkit::{Module, webhook::Form};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    cluster::End,
    dice::Dice,
    journal::{Fault, report},
    letters::{self, Letter},
    monkey::{close, given},
    operators::ENTITIES,
    readers::PATHS,
    rest,
    source::MODULES,
    world::{DATABASE, SCHEDULES, World},
};

/// The time that Zoho or a monitor waits for an answer, plus an allowance for a busy machine.
const ANSWER: Duration = Duration::from_secs(15);
/// A request of an operator may look through much data: TDS gives it up after half a minute.
const ANSWER_TO_OPERATORS: Duration = Duration::from_secs(35);
/// Everything continues within this time after a disturbance has ended.
const MINUTE: Duration = Duration::from_secs(60);
/// A sender gives up after this time, and reports a fault.
const FOR_EVER: Duration = Duration::from_secs(200);

#[derive(Clone, Copy, Debug)]
enum Trouble {
    Frozen,
    FailingOver,
    ReadOnly,
}

impl Trouble {
    fn recovery(self) -> &'static str {
        match self {
            Self::Frozen => "to continue after it was frozen",
            Self::FailingOver => "to continue after it failed over",
            Self::ReadOnly => "to continue after it was read-only",
        }
    }
}

struct Course {
    world: Arc<World>,
    /// The longest time of each kind of wait.
    longest: Mutex<BTreeMap<&'static str, Duration>>,
}

impl Course {
    fn note(&self, what: &'static str, took: Duration) {
        let mut longest = lock(&self.longest);
        let entry = longest.entry(what).or_default();
        *entry = took.max(*entry);
    }

    /// Judges one answer: it must come in time, and be a success, a conflict, or a 503 that asks the caller to come
    /// later.
    fn judge(
        &self,
        path: &str,
        began: Instant,
        answered: Result<(StatusCode, Value), reqwest::Error>,
    ) -> Option<(StatusCode, Value)> {
        let took = began.elapsed();
        let (what, limit) = match path {
            "/health" | "/readyz" | "/livez" | "/metrics" => ("for an answer to a monitor", ANSWER),
            path if path.starts_with("/api/") => ("for an answer to an operator", ANSWER_TO_OPERATORS),
            _webhook => ("for an answer to a webhook", ANSWER),
        };
        self.note(what, took);
        let wrong = |rule, evidence: String| self.world.journal.wrong(rule, format!("{path}: {evidence}"));
        if took > limit {
            wrong("an answer comes late", format!("after {took:?}: {answered:?}"));
        }
        match answered {
            Ok((status, answer)) => {
                let is_fine = status.is_success()
                    || [StatusCode::SERVICE_UNAVAILABLE, StatusCode::CONFLICT].contains(&status);
                if !is_fine {
                    wrong("an answer is neither yes nor later", format!("{status}: {answer}"));
                }
                Some((status, answer))
            }
            Err(error) => {
                wrong("there is no answer", format!("after {took:?}: {error}"));
                None
            }
        }
    }

    /// Sends a delivery once; returns the id of its event if it was accepted.
    async fn send(&self, process: usize, letter: &Letter) -> Option<i64> {
        let began = Instant::now();
        let answered = self.world.processes[process].webhook(&letter.delivery).await;
        let (status, answer) = self.judge(&letter.delivery.entity_path, began, answered)?;
        if status != StatusCode::OK {
            self.world.journal.count("webhook refused");
            return None;
        }
        let Some((event_id, accepted)) = letters::read(&answer.to_string()) else {
            self.world.journal.wrong("an answer is neither yes nor later", answer.to_string());
            return None;
        };
        if let Some((subject, number)) = &letter.announces {
            self.world.source.was_announced(subject, *number);
        }
        let id = accepted.inbox_event_id;
        self.world.letters.was_accepted(&event_id, accepted);
        self.world.journal.count("webhook accepted");
        Some(id)
    }
}

/// Changes records, and sends a webhook of each change until a process has accepted it.
async fn announce(course: Arc<Course>, mut dice: Dice) {
    let world = &course.world;
    while !world.is_over() {
        if let Some(letter) = change(world, &mut dice) {
            let began = Instant::now();
            while course.send(dice.below(2), &letter).await.is_none() {
                if began.elapsed() > FOR_EVER {
                    world.journal.wrong("a webhook is refused for ever", format!("{:?}", letter.delivery));
                    break;
                }
                sleep(dice.millis(200, 1_000)).await;
            }
            course.note("for a webhook to be accepted", began.elapsed());
        }
        world.rest(dice.millis(80, 300)).await;
    }
}

fn change(world: &World, dice: &mut Dice) -> Option<Letter> {
    let change = if dice.percent(5) {
        world.source.change(dice)?
    } else {
        let (module, path) = dice.pick(&MODULES);
        let id = world.source.pick(dice, module)?;
        world.source.update(module, path, &id)?
    };
    Some(Letter { form: Form::Json, ..letters::about(&world.source, &change, dice) })
}

/// Starts runs and reads from the API.
async fn operate(course: Arc<Course>, mut dice: Dice) {
    let world = &course.world;
    while !world.is_over() {
        let process = &world.processes[dice.below(2)];
        let began = Instant::now();
        if dice.percent(15) {
            let (entity, mode) = (dice.pick(&ENTITIES), dice.pick(&["full", "incremental"]));
            let request = json!({"entity_type": entity, "mode": mode});
            let answered = process.post("/api/zoho/bulk-sync", request).await;
            match course.judge("/api/zoho/bulk-sync", began, answered) {
                Some((StatusCode::ACCEPTED, _)) => world.journal.count("run begun"),
                _ => world.journal.count("run not begun"),
            }
        } else {
            let path = dice.pick(&PATHS);
            let answered = process.get(path).await;
            course.judge(path, began, answered);
            world.journal.count("look at the API");
        }
        world.rest(dice.millis(50, 400)).await;
    }
}

/// Causes one disturbance after the other, in complete rounds.
async fn disturb(course: &Course, mut dice: Dice) {
    let world = &course.world;
    let end = Instant::now() + Duration::from_secs(world.seconds);
    // In a short test each kind of disturbance has its turn; a long test also has long disturbances.
    let most = usize::try_from(world.seconds * 1_000 / 5).unwrap_or(usize::MAX).clamp(3_000, 30_000);
    let troubles = [Trouble::Frozen, Trouble::FailingOver, Trouble::ReadOnly];
    while Instant::now() < end {
        for trouble in dice.shuffled(&troubles) {
            let lasts = dice.millis(2_500, most);
            let about = match trouble {
                Trouble::Frozen => freeze(world, &mut dice, lasts).await,
                Trouble::FailingOver => fail_over(world, &mut dice, lasts).await,
                Trouble::ReadOnly => take_no_writes(world, &mut dice, lasts).await,
            };
            world
                .journal
                .did(&format!("database {trouble:?}").to_lowercase(), format!("{about}, for {lasts:?}"));
            goes_on(course, &mut dice, trouble).await;
            sleep(dice.millis(500, 2_000)).await;
        }
    }
}

/// Freezes open connections for good, as when the machine at the other end is gone. New connections either get no
/// answer for a while, or reach another machine at once.
async fn freeze(world: &World, dice: &mut Dice, lasts: Duration) -> &'static str {
    let (all, both) = (dice.percent(70), dice.percent(70));
    let relays = if both { &world.relays[..] } else { &world.relays[..1] };
    for relay in relays {
        if all { relay.freeze_all() } else { relay.freeze() }
    }
    sleep(lasts).await;
    for relay in relays {
        relay.admit();
    }
    match (all, both) {
        (true, true) => "no answer to anybody",
        (true, false) => "no answer to process one",
        (false, true) => "no answer over old connections",
        (false, false) => "no answer over the old connections of process one",
    }
}

/// Terminates every backend, ends the server, and refuses new connections for a while.
async fn fail_over(world: &World, dice: &mut Dice, lasts: Duration) -> &'static str {
    for relay in &world.relays {
        relay.refuse(true);
    }
    let mut admin = world.cluster.connect("postgres", "monkey").await;
    end_backends(&mut admin).await;
    drop(admin);
    let how = dice.pick(&[End::Fast, End::Immediate]);
    world.cluster.end(how);
    sleep(lasts).await;
    drop(world.cluster.connect("postgres", "monkey").await);
    for relay in &world.relays {
        relay.refuse(false);
    }
    match how {
        End::Fast => "ended in order",
        End::Immediate => "ended as in a crash",
    }
}

/// Makes the database read-only, as a standby is, or as hosts make a primary whose disk is full.
async fn take_no_writes(world: &World, dice: &mut Dice, lasts: Duration) -> &'static str {
    // The setting does not affect this session, which was open before.
    let mut admin = world.cluster.connect("postgres", "monkey").await;
    let whose = dice.pick(&[format!("DATABASE {DATABASE}"), "ROLE CURRENT_USER".to_owned()]);
    execute(&mut admin, &format!("ALTER {whose} SET default_transaction_read_only = on")).await;
    end_backends(&mut admin).await;
    sleep(lasts).await;
    execute(&mut admin, &format!("ALTER {whose} RESET default_transaction_read_only")).await;
    if whose.starts_with("ROLE") { "read-only for the role" } else { "read-only database" }
}

async fn end_backends(admin: &mut PgConnection) {
    let sql = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
          WHERE datname = '{DATABASE}' AND application_name NOT LIKE 'monkey%'"
    );
    execute(admin, &sql).await;
}

async fn execute(admin: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(admin).await.expect("an administrator may");
}

/// Checks that each process accepts a webhook again and completes it within a minute after the disturbance.
async fn goes_on(course: &Course, dice: &mut Dice, trouble: Trouble) {
    let (world, ended) = (&course.world, Instant::now());
    let late = |what: &str| {
        let rule = "it does not continue within a minute";
        world.journal.wrong(rule, format!("{what} {}", trouble.recovery()));
    };
    let mut steps = Vec::new();
    for process in 0..2 {
        let Some(id) = world.source.pick(dice, Module::ITEMS) else { continue };
        let Some(change) = world.source.update(Module::ITEMS, "products", &id) else { continue };
        let letter = letters::plain(&world.source, &change);
        let event = loop {
            if let Some(event) = course.send(process, &letter).await {
                break event;
            }
            if ended.elapsed() > MINUTE {
                return late("webhooks are refused");
            }
            sleep(Duration::from_millis(200)).await;
        };
        steps.push(format!("event {event} accepted after {:?}", ended.elapsed()));
        let status = format!("SELECT status FROM tds_inbox_events WHERE id = {event}");
        while world.text(&status).await.as_deref() != Some("completed") {
            if ended.elapsed() > MINUTE {
                return late(&format!("event {event} waits"));
            }
            sleep(Duration::from_millis(100)).await;
        }
        steps.push(format!("done after {:?}", ended.elapsed()));
    }
    for process in &world.processes {
        while !process.is_ready().await {
            if ended.elapsed() > MINUTE {
                return late("a process is not ready");
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
    course.note(trouble.recovery(), ended.elapsed());
    world.journal.did("everything continues", format!("after {:?}: {}", ended.elapsed(), steps.join(", ")));
}

/// Reports what the processes healed, by their own metrics. They must have healed nothing.
async fn healed(world: &World) -> Vec<Fault> {
    let mut faults = Vec::new();
    for process in &world.processes {
        let text = match process.get("/metrics").await {
            Ok((_, Value::String(text))) => text,
            other => format!("tds_healed_total no metrics: {other:?}"),
        };
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("tds_healed_total")).collect();
        if lines.is_empty() || lines.iter().any(|line| !line.ends_with(" 0")) {
            faults.push(Fault::new("something waited for nothing", format!("{}: {lines:?}", process.name)));
        }
    }
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_frozen_fails_over_and_takes_no_writes_in_turn_loses_nothing_and_hangs_nobody() {
    let seed = given("TDS_DATABASE_SEED").unwrap_or(5);
    let seconds = given("TDS_DATABASE_SECONDS").unwrap_or(18);
    // Schedules are off and only operators start runs, so that no run is active at the end.
    let world = World::open_with(seed, seconds, &SCHEDULES.map(|schedule| (schedule, "off"))).await;
    let course = Arc::new(Course { world, longest: Mutex::default() });
    let world = Arc::clone(&course.world);
    let dice = |part| Dice::of(seed, part);
    let mut parts: Vec<_> =
        (1..=4).map(|part| tokio::spawn(announce(Arc::clone(&course), dice(part)))).collect();
    parts.extend((5..=6).map(|part| tokio::spawn(operate(Arc::clone(&course), dice(part)))));
    disturb(&course, dice(7)).await;
    world.end();
    let ended = Instant::now();
    for part in parts {
        timeout(FOR_EVER + ANSWER_TO_OPERATORS, part)
            .await
            .expect("it ends in time")
            .expect("it does not panic");
    }
    let mut faults = Vec::new();
    rest::until_quiet(&world, &mut faults, "before anything is restarted").await;
    course.note("to come to rest", ended.elapsed());
    if ended.elapsed() > MINUTE {
        faults.push(Fault::new(
            "it does not continue within a minute",
            format!("rest after {:?}", ended.elapsed()),
        ));
    }
    faults.extend(healed(&world).await);
    faults.extend(rest::judge(&world).await.0);
    let longest = lock(&course.longest).clone();
    let summary = format!(
        "seed {seed}, {seconds} s, {} accepted events: {}\nlongest: {longest:#?}",
        world.letters.accepted().len(),
        world.journal.counts()
    );
    assert!(
        faults.is_empty(),
        "\n{}\n{summary}\nthe last actions:\n{}\nlog of process one:\n{}\nlog of process two:\n{}\n",
        report(&faults),
        world.journal.last(),
        world.processes[0].end_of_log(30),
        world.processes[1].end_of_log(30),
    );
    eprintln!("nothing is wrong. {summary}");
    drop(course);
    close(world).await;
}
