//! The state under random sequences of requests, results, clock steps and sign-ins. Every decision
//! must be justified by what [`World`] knows.

mod world;

use std::time::Duration;

use proptest::prelude::*;

use self::world::{Ask, End, ROUNDING, Step, World};
use crate::policy::Background;

fn span() -> impl Strategy<Value = Duration> {
    prop_oneof![0_u64..2_000, 0_u64..120_000, 0_u64..8_000_000].prop_map(Duration::from_millis)
}

fn lifetime() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(0_u64),
        1_u64..5_000,
        5_000_u64..3_600_000,
        Just(86_400_000),
    ]
    .prop_map(Duration::from_millis)
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => lifetime().prop_map(|lifetime| End::Granted { lifetime }),
        2 => (lifetime(), span()).prop_map(|(lifetime, age)| End::Found { lifetime, age }),
        4 => (prop::option::of(span()), 0.0..1.0)
            .prop_map(|(asked, random)| End::Failed { asked, random }),
        1 => Just(End::Refused),
        1 => Just(End::SignedOut),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let ask = prop_oneof![
        3 => Just(Ask::Usable),
        2 => Just(Ask::Fresh),
        2 => Just(Ask::Newer),
        1 => Just(Ask::NewerThanLast),
        2 => span().prop_map(Ask::ValidFor),
    ];
    prop_oneof![
        40 => ask.prop_map(Step::Enter),
        10 => Just(Step::KeepWarm),
        20 => end().prop_map(Step::Finish),
        20 => span().prop_map(Step::Pass),
        5 => Just(Step::WaitOut),
        4 => span().prop_map(Step::WallForward),
        4 => span().prop_map(Step::WallBack),
        2 => Just(Step::Cancel),
        4 => Just(Step::FinishAgain),
        3 => lifetime().prop_map(Step::Number),
        3 => Just(Step::PublishNumbered),
        3 => lifetime().prop_map(Step::Install),
        2 => Just(Step::SignOut),
        1 => Just(Step::Close),
    ]
}

fn background() -> impl Strategy<Value = Background> {
    prop_oneof![
        Just(Background::OnUse),
        Just(Background::KeepWarm),
        Just(Background::Never),
    ]
}

proptest! {
    #[test]
    fn every_decision_is_justified(
        asks_wall: bool,
        background in background(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut world = World::new(asks_wall, background);
        for step in steps {
            world.take(step);
        }
    }

    #[test]
    fn a_short_lifetime_does_not_mean_a_refresh_for_every_request(
        lifetime in (1_u64..10_000).prop_map(Duration::from_millis),
        pauses in prop::collection::vec(0_u64..500, 1..200),
    ) {
        let mut world = World::new(true, Background::OnUse);
        let begun = world.monotonic;
        let mut flights = 0;
        for pause in pauses {
            world.take(Step::Pass(Duration::from_millis(pause)));
            world.enter(Ask::Usable);
            flights += u32::from(world.flight.is_some());
            world.end(End::Granted { lifetime });
        }
        // Each token but the last was used for half of its lifetime at least.
        let elapsed = world.monotonic - begun;
        prop_assert!((lifetime / 2) * flights.saturating_sub(1) <= elapsed + ROUNDING * flights);
    }

    #[test]
    fn a_need_beyond_the_lifetime_does_not_mean_a_refresh_for_every_request(
        lifetime in (1_u64..3_600_000).prop_map(Duration::from_millis),
        pauses in prop::collection::vec(0_u64..5_000, 1..200),
    ) {
        let mut world = World::new(true, Background::OnUse);
        let begun = world.monotonic;
        let mut flights = 0;
        for pause in pauses {
            world.take(Step::Pass(Duration::from_millis(pause)));
            world.enter(Ask::ValidFor(lifetime));
            flights += u32::from(world.flight.is_some());
            world.end(End::Granted { lifetime });
        }
        // Each token but the last was expired, or no longer newly granted.
        let elapsed = world.monotonic - begun;
        let shortest = (lifetime / 10).clamp(Duration::from_secs(1), Duration::from_secs(60));
        let shortest = shortest.min(lifetime * 9 / 10);
        prop_assert!(shortest * flights.saturating_sub(1) <= elapsed + ROUNDING * flights);
    }

    #[test]
    fn an_outage_costs_a_bounded_number_of_flights(
        outage in prop::collection::vec((0_u64..2_000, 0.0..1.0), 1..300),
    ) {
        let mut world = World::new(true, Background::OnUse);
        let begun = world.monotonic;
        let mut flights = 0;
        for (pause, random) in outage {
            world.take(Step::Pass(Duration::from_millis(pause)));
            world.enter(Ask::Usable);
            flights += u128::from(world.flight.is_some());
            world.end(End::Failed { asked: None, random });
        }
        // The first seven come while the wait still doubles; from then on a tenth of a minute
        // passes between any two.
        let elapsed = (world.monotonic - begun).as_millis();
        prop_assert!(flights <= 7 + elapsed / 6_000 + 1);
    }
}
