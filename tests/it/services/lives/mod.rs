//! No order of events makes an ended token valid or ends a token that should be valid: random sequences of issuing, revoking,
//! disabling, rotating, deleting and restarting are compared with a simple model (`world.rs`).
//!
//! Each run repeats the sequences of [`KEPT`], draws fresh ones, and prints the seed of each. A sequence that fails is
//! shortened to the events that are needed. To repeat only the sequence of one seed:
//! `LIVES_SEED=<seed> cargo test --test it -- services::lives`. A seed that found a bug is added to [`KEPT`].

mod check;
mod event;
mod happen;
mod world;

use std::hash::BuildHasher as _;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::support::{Engine, on_both_engines};
use event::Event;
use world::World;

on_both_engines!(every_token_is_as_the_model_predicts);

/// Seeds that every run repeats.
const KEPT: [u64; 3] = [1, 2, 3];
/// How many fresh sequences a run draws.
const FRESH: usize = 6;
/// How many shorter sequences are tried after a failure.
const SHORTENINGS: usize = 300;

async fn every_token_is_as_the_model_predicts(engine: Engine) {
    for seed in seeds() {
        eprintln!("{engine:?}: the sequence of LIVES_SEED={seed}");
        if let Err(failure) = judge(seed, async |events| play(engine, events).await).await {
            panic!("{engine:?}: {failure}");
        }
    }
}

fn seeds() -> Vec<u64> {
    match std::env::var("LIVES_SEED") {
        Ok(seed) => vec![seed.parse().expect("LIVES_SEED is a number that an earlier run printed")],
        // Each new `RandomState` has other keys, so each gives another seed.
        Err(_) => {
            KEPT.into_iter().chain((0..FRESH).map(|_| std::hash::RandomState::new().hash_one(()))).collect()
        }
    }
}

/// Plays the sequence of a seed. The error has the shortest failing sequence that was found, and how it fails.
async fn judge(seed: u64, play: impl AsyncFn(&[Event]) -> Result<(), String>) -> Result<(), String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let mut tree = event::sequences().new_tree(&mut runner).unwrap();
    let mut shortest = tree.current();
    let Err(mut failure) = play(&shortest).await else { return Ok(()) };
    let mut goes_on = tree.simplify();
    for _ in 0..SHORTENINGS {
        if !goes_on {
            break;
        }
        let events = tree.current();
        goes_on = match play(&events).await {
            Err(why) => {
                (failure, shortest) = (why, events);
                tree.simplify()
            }
            Ok(()) => tree.complicate(),
        };
    }
    Err(format!("LIVES_SEED={seed} fails, in {} events: {shortest:#?}\n{failure}", shortest.len()))
}

/// Plays events in a new world. After each event the service is compared with the model. The error is the difference.
async fn play(engine: Engine, events: &[Event]) -> Result<(), String> {
    let playing = async {
        let mut world = World::new(engine).await;
        world.check().await;
        for event in events {
            world.happen(event.clone()).await;
            world.check().await;
        }
        world.happen(Event::ApplyDueChanges).await;
        world.check().await;
        world.close().await;
    };
    AssertUnwindSafe(playing).catch_unwind().await.map_err(|panic| match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().copied().unwrap_or("a panic without a text").to_owned(),
    })
}

#[tokio::test]
async fn a_failing_sequence_is_shortened() {
    let suspends_then_resumes = async |events: &[Event]| {
        let suspended = events.iter().position(|event| matches!(event, Event::Suspend));
        let resumes = |at| events[at..].iter().any(|event| matches!(event, Event::Resume));
        if suspended.is_some_and(resumes) { Err("resumed".to_owned()) } else { Ok(()) }
    };
    let mut shortened = 0;
    for seed in 0..20 {
        if let Err(why) = judge(seed, suspends_then_resumes).await {
            assert!(why.contains("fails, in 2 events") && why.ends_with("resumed"), "{why}");
            shortened += 1;
        }
    }
    assert!(shortened > 5, "only {shortened} of the sequences fail");
}
